r"""A universal perturbation: one ``e`` that damages many images.

    maximise  M_i( ||f(y_i + e) - f(y_i)|| / ||f(y_i)|| )   over one   e = P e, ||e|| <= R   (or e = A r, ||r|| <= R)

with a mean ``M`` over the images ``i``: the arithmetic mean, the root mean square, or a quantile (the minimum among them).
A worst case belongs to one measurement, which an adversary would have to know. That one perturbation serves for images it has not
been made for is a stronger statement about the network (S.-M. Moosavi-Dezfooli, A. Fawzi, O. Fawzi, P. Frossard, *Universal
adversarial perturbations*, CVPR 2017); a fault of the scanner that is the same in every scan looks like this. It is shown by
images that had no part in the search (``held_out``), and beside one draw of Gaussian noise, put into all images alike.

The method is the generalised power method of `stabtest.search.ascent` with the gradients of all images added,

    e <- argmax_K <sum_i w_i grad phi_i(e), .>,

damped by the same rule (`stabtest.search.many`). A mean or root mean square of convex ``phi_i`` is convex, as the power method
wants it; if ``f`` is linear and ``M`` the root mean square, the method is the power iteration on
``sum_i J_i* J_i / ||f(y_i)||^2``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Ball, Domain, ImageBall, ball
from stabtest.search.leader import Leader, Progress, Status
from stabtest.search.many import Aggregate, Many, aggregated, race, small_ball_power
from stabtest.search.norms import Norm
from stabtest.search.precision import Precision, check_precision
from stabtest.search.probe import fingerprint
from stabtest.search.problem import Reconstructor
from stabtest.search.radius import reference_size
from stabtest.search.verify import shrink

SMALL = 0.1
"""Radius of the Jacobian's start, relative to that of the search."""


@dataclass(frozen=True)
class Universal:
    """One perturbation for many images, and what it does to each.

    Attributes
    ----------
    perturbation
        ``e``, ``(1, *range)``.
    image_perturbation
        ``r`` with ``e = A r`` where the search was in the image domain, ``(1, *domain)``.
    relative_change, held_out_change
        Per image, of those it was found on ``(N,)`` and of the others ``(M,)``; infinite where an image is not finite.
    value, held_out_value
        Their `aggregate`.
    noise, held_out_noise
        Relative change under Gaussian noise of the same norm, the same for all images of a draw: ``(draws, N)``, ``(draws, M)``.
    aggregate
        What was maximised.
    radius, violation
        Absolute radius, and its relative violation in float64.
    evaluations
        Gradient evaluations of each of the ``N`` images.
    history
        ``(evaluations, best aggregate so far)`` at every rise.
    status
        Did doubling the budget still pay (`stabtest.search.leader`)?
    """

    perturbation: Tensor
    image_perturbation: Tensor | None
    relative_change: Tensor
    held_out_change: Tensor | None
    value: float
    held_out_value: float | None
    noise: Tensor
    held_out_noise: Tensor | None
    aggregate: Aggregate
    radius: float
    violation: float
    evaluations: int
    history: list[tuple[int, float]]
    status: Status

    @property
    def variable(self) -> Tensor:
        """The perturbation in the domain of the search, ``(1, ...)``; can be given as ``start``."""
        return self.perturbation if self.image_perturbation is None else self.image_perturbation


def universal(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurements: Tensor,
    *,
    radius: float,
    relative: bool = True,
    domain: Domain = "measurement",
    norm: Norm = "l2",
    region: Tensor | None = None,
    floor: Tensor | None = None,
    aggregate: Aggregate = "mean",
    held_out: Tensor | None = None,
    steps: int = 20,
    restarts: int = 2,
    jacobian_steps: int = 4,
    start: Tensor | None = None,
    draws: int = 8,
    chunk: int = 8,
    precision: Precision = "float32",
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Universal:
    """Search for one perturbation that damages all measurements.

    Parameters
    ----------
    reconstructor, operator
        As in `stabtest.search.worst_case`.
    measurements
        ``y_i``, ``(N, *range)``.
    radius
        Of the ball.
    relative
        Whether the radius is a fraction of the mean size of the measurements, ``||P y_i||`` in the norm of the set (image domain:
        of their pseudo-inverses).
    domain, norm, region, floor
        The set, as in `stabtest.search.constraints.ball`; one for all images.
    aggregate
        ``"mean"`` (default), ``"rms"``, ``"minimum"``, or the number of a quantile in (0, 1): the largest value that a share
        ``1 - q`` of the images reaches.
    held_out
        Measurements that take no part in the search, ``(M, *range)``.
    steps, restarts, jacobian_steps
        Gradient evaluations along the path that wins, random starts, power iterations in a small ball for the first pair.
    start
        One more start, ``(1, ...)``, such as the `Universal.variable` of another search.
    draws
        Realisations of Gaussian noise.
    chunk
        Images that are evaluated at once.
    precision
        Of the network while the search climbs (`stabtest.search.precision`); everything reported but the history is scored in float32.
    generator
        Seed 0 if not given.
    progress
        Called as ``progress(done, planned)`` after each evaluation of all images.

    Raises
    ------
    SearchError
        If radius, budget, aggregate or start do not fit, or a held-out measurement is one of those searched on.
    NetworkError
        If a clean reconstruction is not finite.

    Examples
    --------
    Two images of which a network amplifies different pixels: the best for both is to share.

    >>> from stabtest.operators import Identity
    >>> y = torch.tensor([[1.0, 1.0, 2.0], [1.0, 1.0, -2.0]]).reshape(2, 1, 1, 3)
    >>> f = lambda y, A: y * torch.where(y[..., 2:] > 0, torch.tensor([3.0, 1.0, 1.0]), torch.tensor([1.0, 3.0, 1.0]))
    >>> found = universal(f, Identity((1, 3)), y, radius=0.1, aggregate="minimum")
    >>> [round(float(e), 3) for e in found.perturbation.abs().flatten()], found.violation <= 1e-6
    ([0.173, 0.173, 0.0], True)
    """
    _check(radius, aggregate, steps, restarts, jacobian_steps, start, draws, chunk)
    check_precision(precision)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    y = operator.range.check(measurements, "measurements").detach()
    reference = _reference(operator, y.split(chunk), domain, norm)
    unit = torch.ones_like(reference)
    if relative and not bool(reference > 0):
        raise SearchError("radius: relative to measurements of zeros", expected="measurements that are not zero", came="zeros")
    constraint = ball(domain, operator, radius * (reference if relative else unit), norm=norm, region=region, floor=floor)
    many = Many.of(reconstructor, constraint, y, aggregate, chunk, precision)
    others = None if held_out is None else Many.of(reconstructor, constraint, _apart(operator, y, held_out), aggregate, chunk)
    zero = constraint.space.zeros(1, dtype=unit.dtype, device=y.device)

    number = (start is not None) + 2 * (jacobian_steps > 0) + restarts
    quarter = max(1, steps // 4)
    planned = jacobian_steps + (number * quarter + max(steps - quarter, 0) if number > 1 else steps)
    leader = Leader(zero, planned=planned, progress=progress)
    starts: list[Tensor] = []
    if start is not None:
        starts.append(constraint.maximise_linear(constraint.space.check(start.detach(), "start")))
    if jacobian_steps > 0:
        small = torch.minimum(constraint.radius, torch.maximum(SMALL * constraint.radius, 1e-3 * reference))
        v = _random(constraint.with_radius(small), zero, generator)
        v = small_ball_power(replace(many, constraint=constraint.with_radius(small)), v, leader, steps=jacobian_steps)
        starts += [constraint.maximise_linear(v), constraint.maximise_linear(-v)]
    starts += [_random(constraint, zero, generator) for _ in range(restarts)]
    race(many, starts, leader, steps=steps)

    v = shrink(constraint, leader.variable)
    noise = [_random(constraint, zero, generator) for _ in range(draws)]
    changes = many.changes(v)
    held = None if others is None else others.changes(v)
    return Universal(
        perturbation=constraint.perturbation(v).detach(),
        image_perturbation=v if isinstance(constraint, ImageBall) else None,
        relative_change=changes,
        held_out_change=held,
        value=float(aggregated(changes, aggregate)),
        held_out_value=None if held is None else float(aggregated(held, aggregate)),
        noise=torch.stack([many.changes(n) for n in noise]),
        held_out_noise=None if others is None else torch.stack([others.changes(n) for n in noise]),
        aggregate=aggregate,
        radius=float(constraint.radius),
        violation=float(constraint.violation(v)),
        evaluations=leader.evaluations,
        history=leader.history(unit)[0],
        status=leader.status()[0],
    )


def _random(constraint: Ball, like: Tensor, generator: torch.Generator) -> Tensor:
    return constraint.maximise_linear(
        tensors.randn(tuple(like.shape), dtype=like.dtype, generator=generator, device=like.device)
    )


def _reference(operator: LinearOperator, parts: tuple[Tensor, ...], domain: Domain, norm: Norm) -> Tensor:
    """Mean of what a relative radius is a fraction of, ``(1,)``."""
    return torch.cat([reference_size(operator, y, domain=domain, norm=norm, truth=None) for y in parts]).mean(0, keepdim=True)


def _apart(operator: LinearOperator, y: Tensor, held_out: Tensor) -> Tensor:
    """The held-out measurements, none of which may be one of those searched on."""
    others = operator.range.check(held_out, "held_out").detach()
    known = {fingerprint(one) for one in y}
    again = [index for index, one in enumerate(others) if fingerprint(one) in known]
    if again or not len(others):
        came = f"number(s) {', '.join(map(str, again))} among them" if again else "none"
        raise SearchError("held_out", expected="measurements that the search does not use", came=came)
    return others


def _check(
    radius: float,
    aggregate: Aggregate,
    steps: int,
    restarts: int,
    jacobian_steps: int,
    start: Tensor | None,
    draws: int,
    chunk: int,
) -> None:
    if aggregate not in ("mean", "rms", "minimum") and not (isinstance(aggregate, float) and 0 < aggregate < 1):
        raise SearchError("aggregate", expected="'mean', 'rms', 'minimum' or a quantile in (0, 1)", came=repr(aggregate))
    if not 0 < radius < math.inf:
        raise SearchError("radius", expected="a positive finite number", came=str(radius))
    if min(steps, draws, chunk) < 1 or min(restarts, jacobian_steps) < 0:
        budget = dict(steps=steps, restarts=restarts, jacobian_steps=jacobian_steps, draws=draws, chunk=chunk)
        raise SearchError("budget", expected="steps, draws, chunk >= 1; restarts, jacobian_steps >= 0", came=str(budget))
    if restarts == 0 and jacobian_steps == 0 and start is None:
        raise SearchError("starts", expected="at least one", came="none", remedy="set restarts or jacobian_steps above 0")
