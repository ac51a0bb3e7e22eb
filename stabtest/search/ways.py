r"""A method that can be differentiated in several ways is attacked along each of them, and the worst counts.

A variational reconstruction, ``f(y) = argmin_x D(A x, y) + R(x)``, is computed by an iteration that is stopped after ``N`` steps.
Its derivative can be taken through these steps, or implicitly, as that of what the steps converge to. Neither is better
everywhere, and a reference that was attacked along one of them only looks more stable than it is, with it the network
beside it less. So `curve_by_ways` runs the search along each (`Differentiable`) and keeps, image by image and radius by
radius, the witness that does more.

Whatever a search climbs, the judge is the method itself, as it is used: clean image, the figures of every witness and the choice between
them come from the method's own forward pass. A way that hands back a poor derivative, or one of another function, can
find little; it cannot report what is not so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Unpack, runtime_checkable

import torch
from torch import Tensor

from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.admissible import SetOptions
from stabtest.search.curve import worst_case_curve
from stabtest.search.leader import Progress
from stabtest.search.objectives import Objective
from stabtest.search.problem import Reconstructor
from stabtest.search.result import WorstCase, better_of, lowered_into
from stabtest.search.worst_case import EVALUATIONS, ObjectiveName


@runtime_checkable
class Differentiable(Protocol):
    """A method that says in which ways it can be differentiated: those of `reconstructors.tv` and `reconstructors.wavelet` do."""

    def differentiations(self) -> Mapping[str, Reconstructor]:
        """Name of each way to the method differentiated so; the first is the method's own."""
        ...


@dataclass(frozen=True)
class CurveByWays:
    """Worst cases over radii, and what each way of differentiating contributed.

    Attributes
    ----------
    best
        One a radius: of each image the witness that does more, whatever way found it; ``WorstCase.ways`` says which.
    by_way
        What each way found by itself, one a radius; of a method with one way, ``best`` under the empty name.
    """

    best: list[WorstCase]
    by_way: Mapping[str, list[WorstCase]]


def ways_of(reconstructor: Reconstructor) -> Mapping[str, Reconstructor]:
    """The ways in which a method can be differentiated; itself under the empty name if it does not say.

    Examples
    --------
    >>> list(ways_of(lambda y, A: y))
    ['']
    """
    return reconstructor.differentiations() if isinstance(reconstructor, Differentiable) else {"": reconstructor}


def curve_by_ways(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radii: Sequence[float],
    share: float = 1.0,
    objective: ObjectiveName | Objective = "clean",
    truth: Tensor | None = None,
    evaluations: int = EVALUATIONS,
    restarts: int | None = None,
    stop_early: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Unpack[SetOptions],
) -> CurveByWays:
    """`worst_case_curve` along every way of differentiating a method; the objective found never falls with the radius.

    Parameters
    ----------
    reconstructor, operator, measurement, radii, objective, truth, evaluations, restarts, stop_early, **options
        As in `worst_case_curve`.
    share
        Of the evaluations, for each way but the first; 0: the first alone.
    seed
        Of the random starts. The first way begins where a search of a method with one way does; every other has starts of its own.
    progress
        Called as ``progress(done, planned)``; the plan may grow.

    Returns
    -------
    CurveByWays

    Raises
    ------
    SearchError
        If the share is not between 0 and 1, and as in `worst_case_curve`.

    Examples
    --------
    The derivative of one sample is cut; the other way has it, and what it finds is scored on the method itself:

    >>> from stabtest.operators import Identity
    >>> gains = torch.tensor([[3.0, 1.0]])
    >>> class Cut:
    ...     def __call__(self, y, A):
    ...         return gains * torch.where(gains > 2, y.detach(), y)
    ...
    ...     def differentiations(self):
    ...         return {"cut": self, "whole": lambda y, A: gains * y}
    >>> found = curve_by_ways(Cut(), Identity((1, 2)), torch.ones(1, 1, 1, 2), radii=[0.1], evaluations=20)
    >>> round(found.best[0].gain.item(), 3)
    3.0
    """
    if not 0 <= share <= 1:
        raise SearchError("share of the further ways", expected="a number from 0 to 1", came=str(share))
    ways = list(ways_of(reconstructor).items())
    ways = ways if share > 0 else ways[:1]
    by_way: dict[str, list[WorstCase]] = {}
    done = 0

    def report(now: int, planned: int) -> None:
        if progress is not None:
            progress(done + now, max(planned, done + now))

    for k, (name, way) in enumerate(ways):
        curve = worst_case_curve(
            reconstructor if k == 0 else _scored_by(reconstructor, way),
            operator,
            measurement,
            radii=radii,
            objective=objective,
            truth=truth,
            evaluations=evaluations if k == 0 else max(1, round(share * evaluations)),
            restarts=restarts if k == 0 else None,
            stop_early=stop_early,
            # What a further way climbs is not what it is scored by, and need not agree with its differences.
            check=k == 0,
            generator=torch.Generator().manual_seed((seed + k * 0x9E3779B9) % 2**63),
            progress=report,
            **options,
        )
        done += sum(found.evaluations for found in curve)
        by_way[name] = [replace(found, ways=(name,) * len(found.status) if name else ()) for found in curve]
    first, *others = by_way.values()
    best = list(first)
    for curve in others:
        best = [_joined(a, b) for a, b in zip(best, curve, strict=True)]
    for small, large in itertools.pairwise(range(len(best))):
        best[large] = lowered_into(best[small], best[large])
    return CurveByWays(best, by_way)


def _scored_by(reconstructor: Reconstructor, way: Reconstructor) -> Callable[[Tensor, LinearOperator], Tensor]:
    """The way where a derivative is asked for, the method itself everywhere else."""

    def scored(y: Tensor, operator: LinearOperator) -> Tensor:
        return (way if torch.is_grad_enabled() and y.requires_grad else reconstructor)(y, operator)

    return scored


def _joined(a: WorstCase, b: WorstCase) -> WorstCase:
    """The better of two ways, image by image; the spread is that of the first, whose starts and budget are those of every method."""
    return replace(better_of(a, b), paths=a.paths)
