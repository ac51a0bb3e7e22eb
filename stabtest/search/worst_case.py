r"""The worst-case search: everything in this folder put together.

    maximise  phi(f(y + e))   over   e = P e, ||e|| <= R     (or e = A r, ||r|| <= R, or another set)

1. reconstruct ``y`` once: the clean image;
2. hold the gradient against finite differences (`stabtest.search.health`);
3. divide the budget into paths (`stabtest.search.paths`) and walk them (`stabtest.search.walk`): relaxed power ascents
   (`stabtest.search.ascent`) from a given start, from fresh ones (`stabtest.search.starts`) and again from the best so far, the best
   feasible iterate of each image kept; where the gradient cannot be used, go on without (`stabtest.search.black_box`);
4. look at the witness from scratch (`stabtest.search.verify`).

The problem is that of V. Antun, F. Renna, C. Poon, B. Adcock, A. Hansen, *On instabilities of deep learning in image
reconstruction and the potential costs of AI*, PNAS 117 (2020), with a hard constraint in place of a penalty.
A search that fails proves nothing; what it found is a lower bound of the worst case.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, Unpack

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.admissible import SetOptions, admissible_set
from stabtest.search.batching import rising
from stabtest.search.black_box import black_box
from stabtest.search.constraints import ImageBall
from stabtest.search.health import GradientReport, Health, examine
from stabtest.search.leader import TOLERANCE, Leader, Progress, Status, damage
from stabtest.search.memory import Memory
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, LocalDamage, Objective
from stabtest.search.precision import Precision, check_precision
from stabtest.search.problem import Problem, Reconstructor, reconstruct_within
from stabtest.search.result import WorstCase
from stabtest.search.similarity import StructuralDissimilarity
from stabtest.search.verify import verify
from stabtest.search.walk import walk

ObjectiveName = Literal["clean", "truth", "local", "ssim"]
EVALUATIONS = 60
"""Budget if none is given: three paths of twenty steps."""
QUERIES = 10
"""Queries of the black-box search for each evaluation of the budget, where gradients cannot be used."""
MISLEADING = ("stochastic", "disconnected", "masked", "wrong")
"""What a gradient can be found to be that makes an ascent along it worthless."""


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
    check: bool = True,
    queries: int | None = None,
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
    check
        Whether to hold the gradient against finite differences first (`stabtest.search.health`), at 10 forward and 6 backward passes
        beside the budget.
    queries
        Where the gradient is missing, rough or found to mislead, a black-box search follows (`stabtest.search.black_box`), with so
        many forward passes; ten times the budget if not given, 0 for none. Its result stands, and so does the word "no usable
        gradient"; after a rough gradient the word is "still rising" where more was found.
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
    progress = rising(progress)
    leader = Leader(like, planned=evaluations, progress=progress)
    report = examine(problem) if check else None
    walk(
        problem,
        leader,
        evaluations=evaluations,
        restarts=restarts,
        start=start,
        stop_early=stop_early,
        parallel=parallel,
        generator=generator,
        progress=progress,
    )
    words: list[Status] = leader.status()  # of what had a gradient; a black-box search has none
    health = leader.health()
    blind = _blind(words, report)
    # A rough gradient is one that an ascent can follow, if not far: what a search without gradients finds beyond it says that there was more.
    also = [unseen or name == "rough" for unseen, name in zip(blind, _names(words, report), strict=True)]
    asked, climbed = leader.evaluations, leader.value
    if any(also) and queries != 0:
        leader.close([not more for more in also])
        budget = QUERIES * evaluations if queries is None else queries
        black_box(problem, leader, queries=budget, starts=[leader.variable], generator=generator)
        beyond = (leader.value - climbed > TOLERANCE * climbed.abs()).tolist()
        more_was_there: Status = "still rising"
        words = [
            more_was_there if more and not unseen else word for word, more, unseen in zip(words, beyond, blind, strict=True)
        ]
    found = _report(problem, leader, clean, truth)
    # Infinite damage that a fresh look does not find again was somewhere near: this search has not found the worst.
    words = [
        _word(word, led=led, found=value, blind=unseen)
        for word, led, value, unseen in zip(words, leader.value.tolist(), found.objective.tolist(), blind, strict=True)
    ]
    asked = leader.evaluations - asked
    spent = tuple(asked if more else 0 for more in also) if asked else ()
    return replace(found, status=words, health=health, gradient=report, queries=spent)


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


def _blind(words: list[Status], report: GradientReport | None) -> list[bool]:
    """Which images the search by gradients could not see: by what it met, or by what was found beforehand."""
    return [word == "no usable gradient" or name in MISLEADING for word, name in zip(words, _names(words, report), strict=True)]


def _names(words: list[Status], report: GradientReport | None) -> tuple[Health, ...]:
    return report.health if report is not None else ("healthy",) * len(words)


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
        status=leader.status(),
        health=leader.health(),
        paths=leader.paths(),
        chunk=problem.memory.chunk,
    )


def _word(word: Status, *, led: float, found: float, blind: bool) -> Status:
    """What the leader says of a search, unless something else speaks against it."""
    if found == math.inf:
        return "converged"
    if blind:
        return "no usable gradient"
    return "still rising" if led == math.inf else word
