"""Searching for the detail whose transfer bound is largest, by gradient ascent through the method.

Maximised over a family of details (`families`) is, for the numerator ``N(h) = ||h|| - ||f(y) - x|| - ||f(y + A h) - x - h||``,

    phi(h) = N(h) / eps   where N <= 0,      N(h) / max(||A h||, LEAST eps)   where N > 0,

the bound itself as soon as it says anything; before that the numerator, since a negative ratio would grow by making ``||A h||`` larger.
The numerator holds the method's own error *with* the detail, so that the gradient passes through ``f``. Below the share `LEAST` of ``eps``
nothing is gained by going closer in the data: there the rounding of ``f`` would be taken for a change.

That is ``objective="bound"``. A detail that is measured in full satisfies everybody: in single-coil MRI minimum norm reaches the bound 1 with
it, and a method that adds something mild in the null space would hide behind it. So ``objective="excess"``, the default, has ``||W h|| / rho^2``,
the near-null part of the detail (`families`), in place of ``||h||`` in the numerator. It is smaller, hence positive only where the bound is
above its kernel-aware ceiling (`transfer`), up to what the filter leaves of the measured part. What is reported is the bound in both cases.

One ascent: step along the family's steepest direction, keep what is better (and step further), otherwise halve the step. Each evaluation is
one forward and one backward pass. Starts: random members of the family, and in `FreeDetail` first ``+-(f(y) - x)``, what the method shows that
the object has not, and from a random direction the steepest one of ``||f(y + A h) - f(y)||`` and, with both signs, what the method adds in
answer. The best is evaluated again from scratch, with distances in float64, by `transfer_bound`. A search is no proof of absence: *no larger
bound was found within these evaluations*.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Method
from stabtest.stability.kernel.errors import check_complete
from stabtest.stability.kernel.families import Family, FreeDetail
from stabtest.stability.kernel.transfer import TransferBound, transfer_bound

LEAST = 0.05
"""Smallest data distance that is sought, as a share of ``eps``."""
SHORTEST = 1e-4
"""An ascent ends when its step, relative to the first, is shorter."""
Objective = Literal["bound", "excess"]
Status = Literal["ended", "still rising", "no usable gradient"]


@dataclass(frozen=True, eq=False)
class FoundDetail:
    """The largest transfer bound that a search found.

    Parameters
    ----------
    found
        The bound, with its witness.
    evaluations
        Passes through the method, backward passes not counted apart.
    starts
        Ascents.
    history
        ``phi`` of the best so far, as (evaluations, value).
    status
        "still rising" if the best ascent used all of its steps and the last quarter of them still paid more than 1 %.
    """

    found: TransferBound
    evaluations: int
    starts: int
    history: tuple[tuple[int, float], ...]
    status: Status


@dataclass(eq=False)
class _Objective:
    """``phi`` and its gradient, counted."""

    method: Method
    operator: LinearOperator
    measurement: Tensor
    image: Tensor
    family: Family
    clean: Tensor
    objective: Objective
    evaluations: int = 0
    usable: bool = False

    def __call__(self, z: Tensor) -> tuple[float, Tensor]:
        self.evaluations += 1
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            h = self.family.detail(z)
            seen = self.operator.forward(h)
            image = self.method.reconstruct(self.measurement + seen, self.operator)
            apart = tensors.norm(image - self.image - h)
            ellipsoid = self.family.ellipsoid
            far = h if self.objective == "bound" else ellipsoid.filter(h) / ellipsoid.size**2
            numerator = tensors.norm(far) - tensors.norm(self.clean - self.image) - apart
            close = tensors.norm(seen).clamp_min(LEAST * ellipsoid.data)
            value = torch.where(numerator > 0, numerator / close, numerator / ellipsoid.data).sum()
        self.usable = self.usable or bool(image.requires_grad)
        (gradient,) = torch.autograd.grad(value, z)
        number = float(value.detach())
        return (number if math.isfinite(number) else -math.inf), torch.nan_to_num(gradient.detach())


def search_detail(
    method: Method,
    operator: LinearOperator,
    measurement: Tensor,
    image: Tensor,
    family: Family,
    *,
    objective: Objective = "excess",
    steps: int = 40,
    starts: int = 3,
    generator: torch.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> FoundDetail:
    """The largest transfer bound within a family of details.

    Parameters
    ----------
    method
        ``f``; its errors are a part of the bound, and gradients pass through it.
    operator
        ``A``, that of the family.
    measurement
        ``y``, ``(1, *operator.range.shape)``.
    image
        ``x``, ``(1, *operator.domain.shape)``: the truth, or the method's own ``f(y)`` (see `transfer`).
    family
        What details are allowed.
    objective
        What is maximised, see the module.
    steps
        Evaluations in each ascent, at most.
    starts
        Random starts.
    generator
        Draws the starts.
    progress
        Called as ``progress(ascents done, ascents in all)``.

    Raises
    ------
    ConfigError
        If there is no step or no start.
    DataError
        If the method returns magnitudes.
    NetworkError
        If the method does not return a finite image of the right shape.

    Examples
    --------
    Minimum norm pays nothing: the bound stays within its ceiling.

    >>> from stabtest.operators import Fourier
    >>> from stabtest.stability.kernel.families import Ellipsoid
    >>> A = Fourier(torch.arange(16) % 2 * torch.ones(16, 1) > 0)
    >>> x = torch.randn(1, 1, 16, 16, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    >>> linear = Method("linear", "baseline", lambda y, A: A.pseudo_inverse(y))
    >>> family = FreeDetail(Ellipsoid(A, size=4.0, data=0.1))
    >>> search_detail(linear, A, A(x), x, family, generator=torch.Generator().manual_seed(0)).found.kernel_aware
    True
    """
    if steps < 1 or starts < 1:
        raise ConfigError("detail search", expected="at least one step and one start", came=f"{steps} and {starts}")
    clean = method(measurement, operator)
    check_complete(operator, clean)
    image = operator.domain.check(image, "image")
    climbed = _Objective(method, operator, measurement, image, family, clean, objective, evaluations=1)
    variables = [family.start(image, generator) for _ in range(starts)]
    if isinstance(family, FreeDetail):
        variables = [*_informed(climbed, family, variables[0]), *variables]
    history: list[tuple[int, float]] = []
    best, best_value, rising = variables[0], -math.inf, False
    for done, variable in enumerate(variables, 1):
        value, z, still = _ascend(climbed, family, variable, steps)
        if value > best_value:
            best, best_value, rising = z, value, still
        history.append((climbed.evaluations, best_value))
        if progress is not None:
            progress(done, len(variables))
    detail = family.detail(best).detach()
    found = transfer_bound(method, operator, measurement, image, detail, least=LEAST * family.ellipsoid.data)
    status: Status = "no usable gradient" if not climbed.usable else "still rising" if rising else "ended"
    return FoundDetail(found, climbed.evaluations + 2, len(variables), tuple(history), status)


def _informed(objective: _Objective, family: FreeDetail, random: Tensor) -> list[Tensor]:
    """Starts that look at the method: what it shows and the object has not, and how its image answers to a random direction."""
    shown = family.direction(objective.clean - objective.image)
    h = (1e-2 * random).detach().requires_grad_()
    objective.evaluations += 1
    with torch.enable_grad():
        image = objective.method.reconstruct(objective.measurement + objective.operator.forward(h), objective.operator)
        answer = tensors.norm(image - objective.clean).square().sum()
    found = [shown, -shown]
    if answer.requires_grad:
        (gradient,) = torch.autograd.grad(answer, h)
        # What the method adds in answer: a detail that it would recover as a whole.
        added = family.surface((image - objective.clean).detach())
        found += [family.direction(torch.nan_to_num(gradient)), added, -added]
    return [z for z in found if bool(torch.isfinite(z).all()) and bool((z != 0).any())]


def _ascend(objective: _Objective, family: Family, start: Tensor, steps: int) -> tuple[float, Tensor, bool]:
    """One ascent: best value, its variable, and whether it was still rising at the end."""
    best = family.feasible(start)
    value, gradient = objective(best)
    values, step = [value], 0.5
    while len(values) < steps and step > SHORTEST:
        if not bool((gradient != 0).any()):
            break
        trial = family.feasible(best + step * family.direction(gradient))
        new, slope = objective(trial)
        if new > value:
            best, value, gradient, step = trial, new, slope, 2 * step
        else:
            step /= 2
        values.append(value)
    quarter = values[-max(1, len(values) // 4)]
    return value, best, len(values) >= steps and value - quarter > 0.01 * max(abs(value), 1e-12)
