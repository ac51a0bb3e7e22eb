r"""The worst-case search: everything in this folder put together.

    maximise  phi(f(y + e))   over   e = P e, ||e|| <= R     (or e = A r, ||r|| <= R)

1. reconstruct ``y`` once: the clean image;
2. collect starts: given ones, the Jacobian's direction and its mirror image, random ones (`stabtest.search.starts`);
3. race damped power ascents from them (`stabtest.search.ascent`), the best feasible iterate of each image kept;
4. refine the best monotonely;
5. look at the witness from scratch (`stabtest.search.verify`).

The problem is that of V. Antun, F. Renna, C. Poon, B. Adcock, A. Hansen, *On instabilities of deep learning in image
reconstruction and the potential costs of AI*, PNAS 117 (2020), with a hard constraint in place of a penalty.
A search that fails proves nothing; what it found is a lower bound of the worst case.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.ascent import race, race_cost, refine
from stabtest.search.constraints import Domain, ImageBall, ball
from stabtest.search.leader import Leader, Progress, damage
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, Objective
from stabtest.search.problem import Problem, Reconstructor
from stabtest.search.result import WorstCase
from stabtest.search.starts import gradient_start, jacobian_starts, random_start
from stabtest.search.verify import verify

ObjectiveName = Literal["clean", "truth"]


def worst_case(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radius: float | Tensor,
    relative: bool = True,
    domain: Domain = "measurement",
    objective: ObjectiveName | Objective = "clean",
    truth: Tensor | None = None,
    steps: int = 20,
    restarts: int = 2,
    jacobian_steps: int = 4,
    start: Tensor | None = None,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> WorstCase:
    r"""Search for the admissible perturbation that damages each image most.

    Parameters
    ----------
    reconstructor
        ``f``: any callable ``(y, operator) -> image (B, 1, H, W)`` that PyTorch can differentiate, network or not.
    operator
        Forward model ``A``.
    measurement
        ``y``, shape ``(B, *range)``, real or complex, zero where nothing is measured.
    radius
        A number for all images, or one each, ``(B,)``.
    relative
        Whether the radius is a fraction: of ``||y||`` in the measurement domain; of ``||x||`` in the image domain,
        with the truth ``x`` if given and else the pseudo-inverse of ``y``. Otherwise it is in the units of ``y`` or
        ``x``.
    domain
        ``"measurement"``: perturbs the measured samples. ``"image"``: perturbs the object, ``e = A r``.
    objective
        ``"clean"``: distance to ``f(y)``. ``"truth"``: distance to the truth. Or a callable ``image -> (B,)``.
    truth
        ``x``, shape ``(B, 1, H, W)``; needed by the objective ``"truth"`` and for the relative errors.
    steps
        Gradient evaluations along the winning path. All starts together cost ``race_cost(number of starts, steps)``.
    restarts
        Random starts, beside the Jacobian's pair.
    jacobian_steps
        Power iterations for the Jacobian's start, one evaluation each; 0 leaves that start out.
    start
        A warm start, the ``variable`` of an earlier `WorstCase`; brought to the present radius.
    generator
        Source of the random starts; seed 0 if not given. The same seed gives the same witness bit for bit on one machine.
    progress
        Called as ``progress(done, planned)`` after every evaluation.

    Returns
    -------
    WorstCase
        Per image; re-verified from scratch.

    Raises
    ------
    SearchError
        If the radius, the objective, the budget or the start do not fit, or a relative radius is asked for a
        measurement of zeros.
    NetworkError
        If the clean reconstruction is not finite.

    Examples
    --------
    A network that multiplies samples by 3, 2, 1 and 1: the worst case is along the first.

    >>> from stabtest.operators import Identity
    >>> gains = torch.tensor([[3.0, 2.0], [1.0, 1.0]])
    >>> worst = worst_case(lambda y, A: gains * y, Identity((2, 2)), torch.ones(1, 1, 2, 2), radius=0.1)
    >>> round(worst.gain.item(), 3), worst.status, worst.violation.item() <= 1e-6
    (3.0, ['converged'], True)
    """
    _check_budget(steps, restarts, jacobian_steps, start)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    y = operator.range.check(measurement, "measurement").detach()
    clean = reconstruct_clean(reconstructor, operator, y)
    reference = reference_norm(operator, y, domain=domain, truth=truth)
    if truth is not None and truth.is_complex() and not clean.is_complex():
        truth = truth.abs()  # a method that returns magnitudes is held against magnitudes
    radii = absolute_radius(radius, reference if relative else torch.ones_like(reference))
    distance = DistanceToClean(clean)
    problem = Problem(reconstructor, y, ball(domain, operator, radii), _objective(objective, distance, truth))

    by_gradient = objective != "clean"
    number = (start is not None) + by_gradient + 2 * (jacobian_steps > 0) + restarts
    polish = max(2, steps // 4)
    planned = by_gradient + jacobian_steps + race_cost(number, steps) + polish
    leader = Leader(
        problem.constraint.space.zeros(len(y), dtype=radii.dtype, device=y.device), planned=planned, progress=progress
    )

    starts: list[Tensor] = []
    if start is not None:
        starts.append(problem.constraint.maximise_linear(problem.constraint.space.check(start.detach(), "start")))
    if by_gradient:
        starts.append(gradient_start(problem, leader))
    if jacobian_steps > 0:
        floor = 1e-3 * reference
        starts += jacobian_starts(problem, distance, leader, steps=jacobian_steps, floor=floor, generator=generator)
    starts += [random_start(problem, generator=generator) for _ in range(restarts)]
    race(problem, starts, leader, steps=steps)
    refine(problem, leader, steps=polish)
    return _report(problem, leader, clean, truth)


def reconstruct_clean(reconstructor: Reconstructor, operator: LinearOperator, y: Tensor) -> Tensor:
    """``f(y)`` without gradient.

    Raises
    ------
    NetworkError
        If it is not finite or not a batch of ``len(y)`` images.
    """
    with torch.no_grad():
        clean = reconstructor(y, operator)
    if clean.ndim < 2 or len(clean) != len(y):
        raise NetworkError("reconstruction: wrong shape", expected=f"({len(y)}, 1, H, W)", came=f"{tuple(clean.shape)}")
    if not bool(torch.isfinite(clean).all()):
        raise NetworkError(
            "reconstruction of the clean measurement",
            expected="finite numbers",
            came="NaN or infinity",
            remedy="check the weights",
        )
    return clean


def reference_norm(operator: LinearOperator, y: Tensor, *, domain: Domain, truth: Tensor | None) -> Tensor:
    """What a relative radius is relative to, ``(B,)``: ``||P y||``, or ``||x||`` in the image domain."""
    if domain == "measurement":
        return tensors.norm(operator.restrict(y))
    with torch.no_grad():
        return tensors.norm(operator.pseudo_inverse(y) if truth is None else truth)


def absolute_radius(radius: float | Tensor, unit: Tensor) -> Tensor:
    """``radius * unit`` for each image, ``(B,)``.

    Raises
    ------
    SearchError
        If there is not one positive radius, or one per image, or the unit is zero.
    """
    if not bool((unit > 0).all()):
        raise SearchError(
            "radius: relative to a measurement of zeros",
            expected="a measurement that is not zero",
            came=f"norms {unit.tolist()}",
            remedy="give an absolute radius with relative=False, or leave the image out",
        )
    given = torch.as_tensor(radius, dtype=unit.dtype, device=unit.device)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != len(unit)):
        raise SearchError("radius", expected=f"a number, or shape ({len(unit)},)", came=f"shape {tuple(given.shape)}")
    return given.expand_as(unit) * unit


def _objective(objective: ObjectiveName | Objective, clean: DistanceToClean, truth: Tensor | None) -> Objective:
    if callable(objective):
        return objective
    if objective == "clean":
        return clean
    if objective != "truth":
        raise SearchError("objective", expected="'clean', 'truth' or a callable", came=repr(objective))
    if truth is None or truth.shape != clean.clean.shape:
        came = "none" if truth is None else str(tuple(truth.shape))
        raise SearchError("objective 'truth'", expected=f"truth of shape {tuple(clean.clean.shape)}", came=came)
    return DistanceToTruth(truth)


def _check_budget(steps: int, restarts: int, jacobian_steps: int, start: Tensor | None) -> None:
    if steps < 1 or restarts < 0 or jacobian_steps < 0:
        raise SearchError(
            "budget",
            expected="steps >= 1, restarts >= 0, jacobian_steps >= 0",
            came=f"steps={steps}, restarts={restarts}, jacobian_steps={jacobian_steps}",
        )
    if restarts == 0 and jacobian_steps == 0 and start is None:
        raise SearchError("starts", expected="at least one", came="none", remedy="set restarts or jacobian_steps above 0")


def _report(problem: Problem, leader: Leader, clean: Tensor, truth: Tensor | None) -> WorstCase:
    """Every figure from the re-verified witness."""
    found = verify(problem, leader.variable)
    distance, size = damage(tensors.norm(found.perturbed - clean)), tensors.norm(clean)
    tiny = torch.finfo(size.dtype).tiny
    image = found.variable if isinstance(problem.constraint, ImageBall) else None
    return WorstCase(
        perturbation=found.perturbation.detach(),
        image_perturbation=image,
        clean=clean,
        perturbed=found.perturbed,
        objective=found.value,
        distance=distance,
        gain=distance / tensors.norm(found.perturbation).clamp_min(tiny),
        relative_change=distance / size.clamp_min(tiny),
        relative_error=None
        if truth is None
        else damage(tensors.norm(found.perturbed - truth)) / tensors.norm(truth).clamp_min(tiny),
        clean_error=None if truth is None else tensors.norm(clean - truth) / tensors.norm(truth).clamp_min(tiny),
        radius=problem.constraint.radius,
        violation=found.violation,
        evaluations=leader.evaluations,
        history=leader.history(size.clamp_min(tiny)),
        # Infinite damage that a fresh look does not find again was somewhere near: this search has not found the worst.
        status=[
            "still rising" if led == torch.inf and value < torch.inf else word
            for word, led, value in zip(leader.status(), leader.value.tolist(), found.value.tolist(), strict=True)
        ],
        health=leader.health(),
    )
