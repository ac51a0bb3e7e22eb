r"""Paths from fresh starts, several in one batch.

Paths from independent starts know nothing of each other, so a GPU can climb them together: the batch repeated once a path
(`stabtest.search.problem.Problem.repeated`). On a CPU that is no faster than one after the other.

What comes out is the same either way. Each path is recorded on a tape, and the tapes are played to the leader of the search in the
order of the plan, as if the paths had been climbed one after the other: the same starts, the same evaluations per image, the same
history up to rounding, and a path that goes on from the best point sees what it would have seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.search.ascent import Climb, ascend
from stabtest.search.corners import Elsewhere
from stabtest.search.leader import Leader, Progress
from stabtest.search.paths import Leg
from stabtest.search.problem import Evaluation, GradientHealth, Problem


@dataclass(frozen=True)
class Tape:
    """One path, recorded.

    Attributes
    ----------
    values, health
        Objective and `GradientHealth` at each step, ``(steps, B)``; the value ``-inf`` where the point was not finite.
    variable, gradient
        The best point of each image, ``(B, ...)``, and the gradient there.
    climb
        What came of it.
    """

    values: Tensor
    health: Tensor
    variable: Tensor
    gradient: Tensor
    climb: Climb

    def play(self, leader: Leader) -> Climb:
        """Offer the path to a leader, step by step, and return what came of it.

        Of the points only the best is known. A leader that takes an earlier step meanwhile takes the best one in the end.
        """
        for value, health in zip(self.values, self.health, strict=True):
            leader.offer(self.variable, Evaluation(value, self.gradient, health))
            if not bool((self.health[0] == GradientHealth.USABLE).any()):
                break  # a path of its own would have ended here: it had nowhere to go
        return self.climb


class _Recorder(Leader):
    """A leader of the repeated batch that remembers every step."""

    def __init__(self, like: Tensor, *, planned: int, progress: Progress | None) -> None:
        super().__init__(like, planned=planned, progress=progress)
        self.values: list[Tensor] = []
        self.healths: list[Tensor] = []

    def offer(self, v: Tensor, evaluation: Evaluation) -> Tensor:
        self.values.append(torch.where(torch.isfinite(v).flatten(1).all(1), evaluation.value, -torch.inf))
        self.healths.append(evaluation.health)
        return super().offer(v, evaluation)


def ascend_together(
    problem: Problem,
    starts: Sequence[Tensor],
    *,
    steps: int,
    grow: Sequence[bool] = (),
    progress: Progress | None = None,
    elsewhere: Sequence[Elsewhere | None] = (),
) -> list[Tape]:
    """One path from each start, all in one batch.

    Parameters
    ----------
    problem
        What is maximised, for ``B`` images.
    starts
        Points of the set, ``(B, ...)`` each.
    steps
        Gradient evaluations of each path.
    grow
        One a start, as in `stabtest.search.ascent.ascend`; all, if none are given.
    progress
        Called after each step as ``progress(evaluations per image so far, all of them)``.
    elsewhere
        One a start, as in `stabtest.search.ascent.ascend`.

    Returns
    -------
    list of Tape
        One a start.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.constraints import MeasurementBall
    >>> from stabtest.search.objectives import DistanceToClean
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([1.0]))
    >>> problem = Problem(lambda y, A: gains * y, y, ball, DistanceToClean(y))
    >>> starts = [ball.maximise_linear(torch.tensor([[[side]]])) for side in ([1.0, 1.0], [-1.0, 1.0])]
    >>> [round(tape.climb.best.item(), 4) for tape in ascend_together(problem, starts, steps=20)]
    [3.0, 3.0]
    """
    count, start = len(starts), torch.cat(list(starts))

    def report(done: int, planned: int) -> None:
        if progress is not None:
            progress(count * done, count * planned)

    recorder = _Recorder(start, planned=steps, progress=report)
    grows = torch.tensor(grow or [True] * count, device=start.device).repeat_interleave(problem.batch)
    climb = ascend(problem.repeated(count), start, recorder, steps=steps, grow=grows, elsewhere=_all_of(elsewhere))
    values, healths = torch.stack(recorder.values), torch.stack(recorder.healths)
    size = problem.batch
    return [
        Tape(value, health, variable, gradient, Climb(best, caution))
        for value, health, variable, gradient, best, caution in zip(
            values.split(size, dim=1),
            healths.split(size, dim=1),
            recorder.variable.split(size),
            recorder.gradient.split(size),
            climb.best.split(size),
            climb.caution.split(size),
            strict=True,
        )
    ]


def _all_of(paths: Sequence[Elsewhere | None]) -> Elsewhere | None:
    """Where the images of all paths begin anew, in the order of the repeated batch."""
    known = [path for path in paths if path is not None]
    return (lambda step: torch.cat([path(step) for path in known])) if known else None


def together(legs: Sequence[Leg], *, parallel: int, in_a_row: bool) -> int:
    """How many of the fresh paths ahead go into one batch: those as long as the first, up to so many.

    Parameters
    ----------
    legs
        What is left of the plan; the first is a fresh path.
    parallel
        Most paths in a batch.
    in_a_row
        Whether to stop at the first path that goes on from the best point: a search that may end early climbs nothing ahead.

    Examples
    --------
    >>> legs = [Leg("fresh", 20), Leg("fresh", 20), Leg("again", 20), Leg("fresh", 20)]
    >>> together(legs, parallel=8, in_a_row=False), together(legs, parallel=8, in_a_row=True)
    (3, 2)
    """
    ahead = itertools.takewhile(lambda leg: leg.kind == "fresh", legs) if in_a_row else legs
    fresh = (leg for leg in ahead if leg.kind == "fresh")
    return min(parallel, sum(1 for _ in itertools.takewhile(lambda leg: leg.steps == legs[0].steps, fresh)))


def rising(progress: Progress | None) -> Progress | None:
    """A progress that leaves out what has been told: paths climbed together are reported then, and not when they are played."""
    if progress is None:
        return None
    told, tell = 0, progress

    def report(done: int, planned: int) -> None:
        nonlocal told
        if done > told:
            told = done
            tell(done, planned)

    return report
