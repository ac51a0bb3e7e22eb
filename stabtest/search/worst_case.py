r"""The worst-case search: everything in this folder put together.

    maximise  phi(f(y + e))   over   e = P e, ||e|| <= R     (or e = A r, ||r|| <= R, or another set)

1. reconstruct ``y`` once: the clean image;
2. divide the budget into paths (`stabtest.search.paths`): relaxed power ascents (`stabtest.search.ascent`) from a given start, from
   fresh ones (`stabtest.search.starts`) and again from the best so far, the best feasible iterate of each image kept;
3. look at the witness from scratch (`stabtest.search.verify`).

The problem is that of V. Antun, F. Renna, C. Poon, B. Adcock, A. Hansen, *On instabilities of deep learning in image
reconstruction and the potential costs of AI*, PNAS 117 (2020), with a hard constraint in place of a penalty.
A search that fails proves nothing; what it found is a lower bound of the worst case.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Literal, Unpack

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.admissible import SetOptions, admissible_set
from stabtest.search.ascent import REHEAT, ascend
from stabtest.search.batching import Tape, ascend_together, rising, together
from stabtest.search.constraints import ImageBall
from stabtest.search.leader import Leader, Progress, damage
from stabtest.search.memory import Memory
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, LocalDamage, Objective, vanishes_at_clean
from stabtest.search.paths import plan
from stabtest.search.precision import Precision, check_precision
from stabtest.search.problem import Problem, Reconstructor, reconstruct_within
from stabtest.search.result import WorstCase
from stabtest.search.similarity import StructuralDissimilarity
from stabtest.search.starts import gradient_start, random_start
from stabtest.search.verify import verify

ObjectiveName = Literal["clean", "truth", "local", "ssim"]
EVALUATIONS = 60
"""Budget if none is given: three paths of twenty steps."""


def worst_case(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radius: float | Tensor,
    objective: ObjectiveName | Objective = "clean",
    truth: Tensor | None = None,
    evaluations: int = EVALUATIONS,
    restarts: int | None = None,
    start: Tensor | None = None,
    stop_early: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
    parallel: int | None = None,
    chunk: int | None = None,
    precision: Precision = "float32",
    **options: Unpack[SetOptions],
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
        A number for all images, or one each, ``(B,)``; relative to the measurement unless ``unit`` says otherwise.
    objective
        ``"clean"``: distance to ``f(y)``. ``"truth"``: distance to the truth. ``"local"``: largest local change. ``"ssim"``:
        one minus the structural similarity with ``f(y)``. Or any callable ``image -> (B,)`` (`stabtest.search.objectives`).
    truth
        ``x``, shape ``(B, 1, H, W)``; needed by the objective ``"truth"`` and for the relative errors.
    evaluations
        The budget: evaluations of the network per image, each one forward and one backward. All of them count.
    restarts
        How many paths begin at a fresh start; about half of them if not given. 0 needs a ``start``.
    start
        A warm start, the ``variable`` of an earlier `WorstCase`; brought to the present radius. It gets a quarter of the budget.
    stop_early
        Whether to end before the budget is spent once a doubling of what was spent no longer pays (`stabtest.search.leader`).
    generator
        Source of the random starts; seed 0 if not given. The same seed gives the same witness bit for bit on one machine.
    progress
        Called as ``progress(done, planned)`` after every evaluation.
    parallel
        Most fresh paths in one batch. If not given, all of them on a GPU and one on a CPU. What is found is the same, to rounding.
    chunk
        Most images at once, all paths together; fewer than the batch has cost a second forward (`stabtest.search.memory`). If not given,
        all. It is halved where memory runs out.
    precision
        ``"bfloat16"``: the search runs the network under autocast; its witness is scored in float32 like any other
        (`stabtest.search.precision`).
    **options
        The set of admissible perturbations: ``unit``, ``noise_std``, ``domain``, ``norm``, ``region``, ``nonnegative``; see
        `stabtest.search.admissible.SetOptions`.

    Returns
    -------
    WorstCase
        Per image; re-verified from scratch.

    Raises
    ------
    SearchError
        If the radius, the set, the objective, the budget or the start do not fit, or a relative radius is asked for a
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
    _check_budget(evaluations, restarts, start)
    check_precision(precision)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    y = operator.range.check(measurement, "measurement").detach()
    memory = Memory(chunk)
    clean = reconstruct_clean(reconstructor, operator, y, memory=memory)
    if truth is not None and truth.is_complex() and not clean.is_complex():
        truth = truth.abs()  # a method that returns magnitudes is held against magnitudes
    constraint = admissible_set(operator, y, radius=radius, truth=truth, **options)
    aim = _objective(objective, clean, truth)
    problem = Problem(reconstructor, y, constraint, aim, precision=precision, memory=memory)
    like = constraint.space.zeros(len(y), dtype=constraint.radius.dtype, device=y.device)
    parallel = _most_parallel(parallel, y)
    progress = rising(progress)
    leader = Leader(like, planned=evaluations, progress=progress)

    if start is not None:
        warm = constraint.maximise_linear(constraint.space.check(start.detach(), "start"))
        steps = evaluations if restarts == 0 else max(1, evaluations // 4)
        leader.end_path(ascend(problem, warm, leader, steps=steps, heat=REHEAT, hold=0.0))
    legs, recorded = plan(evaluations - leader.evaluations, fresh=restarts), deque[Tape]()
    for k, leg in enumerate(legs):
        if stop_early and not recorded and leader.settled():
            break
        steps = leg.steps
        if leg.kind == "again":
            leader.end_path(ascend(problem, leader.variable, leader, steps=steps, heat=REHEAT, hold=0.0), fresh=False)
            continue
        if recorded:
            leader.end_path(recorded.popleft().play(leader))
            continue
        starts = [random_start(problem, generator=generator)]
        if k == 0 and not vanishes_at_clean(problem.objective) and steps > 1:
            starts, steps = [gradient_start(problem, leader, otherwise=starts[0])], steps - 1
        else:
            more = together(legs[k:], parallel=parallel, in_a_row=stop_early) - 1
            starts += [random_start(problem, generator=generator) for _ in range(more)]
        if len(starts) == 1:
            leader.end_path(ascend(problem, starts[0], leader, steps=steps))
            continue
        recorded.extend(ascend_together(problem, starts, steps=steps, progress=_from(leader, evaluations, progress)))
        leader.end_path(recorded.popleft().play(leader))
    return _report(problem, leader, clean, truth)


def _from(leader: Leader, planned: int, progress: Progress | None) -> Progress | None:
    """The progress of paths climbed ahead, counted from where the search stands."""
    done = leader.evaluations
    return None if progress is None else lambda more, _: progress(done + more, max(planned, done + more))


def reconstruct_clean(
    reconstructor: Reconstructor, operator: LinearOperator, y: Tensor, *, memory: Memory | None = None
) -> Tensor:
    """``f(y)`` without gradient, in chunks where the batch does not fit into memory.

    Raises
    ------
    NetworkError
        If it is not finite or not a batch of ``len(y)`` images.
    """
    clean = reconstruct_within(memory or Memory(), reconstructor, operator, y)
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


def _objective(objective: ObjectiveName | Objective, clean: Tensor, truth: Tensor | None) -> Objective:
    if callable(objective):
        return objective
    match objective:
        case "clean":
            return DistanceToClean(clean)
        case "local":
            return LocalDamage(clean)
        case "ssim":
            return StructuralDissimilarity(clean, vanishes_at_clean=True)
        case "truth":
            if truth is None or truth.shape != clean.shape:
                came = "none" if truth is None else str(tuple(truth.shape))
                raise SearchError("objective 'truth'", expected=f"truth of shape {tuple(clean.shape)}", came=came)
            return DistanceToTruth(truth)
        case _:
            raise SearchError("objective", expected="'clean', 'truth', 'local', 'ssim' or a callable", came=repr(objective))


def _most_parallel(parallel: int | None, y: Tensor) -> int:
    if parallel is None:
        return sys.maxsize if y.device.type == "cuda" else 1
    if parallel < 1:
        raise SearchError("parallel", expected="at least one path at a time", came=str(parallel))
    return parallel


def _check_budget(evaluations: int, restarts: int | None, start: Tensor | None) -> None:
    if evaluations < 1 or (restarts is not None and restarts < 0):
        came = f"evaluations={evaluations}, restarts={restarts}"
        raise SearchError("budget", expected="evaluations >= 1, restarts >= 0", came=came)
    if restarts == 0 and start is None:
        raise SearchError("starts", expected="at least one", came="none", remedy="set restarts above 0, or give a start")


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
        paths=leader.paths(),
        chunk=problem.memory.chunk,
    )
