"""One search: the budget, path by path.

The paths of `stabtest.search.paths` are climbed one after the other by `stabtest.search.ascent`; on a GPU those from fresh
starts go together in one batch and are told to the leader in their turn (`stabtest.search.batching`). A warm start, where
there is one, has the first path to itself. A path whose start has no gradient (all ReLUs that lead on are closed there) ends at
once, and what it leaves of the budget goes to further starts: the network may be dead at one point and not at the next.
"""

from __future__ import annotations

import itertools
from collections import deque

import torch
from torch import Tensor

from stabtest.errors import SearchError
from stabtest.search.ascent import REHEAT, Climb, ascend
from stabtest.search.batching import Tape, ascend_together, rising, together
from stabtest.search.corners import elsewhere, has_corners
from stabtest.search.leader import Leader, Progress
from stabtest.search.objectives import vanishes_at_clean
from stabtest.search.paths import plan
from stabtest.search.problem import Problem
from stabtest.search.running import most_parallel
from stabtest.search.starts import gradient_start, random_start

LOST = 8
"""How often what is left of a budget is divided anew, where paths have ended early because no image had a gradient at their starts."""


def walk(
    problem: Problem,
    leader: Leader,
    *,
    evaluations: int,
    restarts: int | None = None,
    start: Tensor | None = None,
    stop_early: bool = False,
    parallel: int | None = None,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> None:
    """Spend a budget of gradient evaluations.

    Parameters
    ----------
    problem
        What is maximised, over which set.
    leader
        Is offered every iterate, and told where each path ends.
    evaluations, restarts, start, stop_early, parallel, generator
        As in `stabtest.search.worst_case`.
    progress
        That of the leader; told ahead of it of paths that are climbed together.

    Raises
    ------
    SearchError
        If the budget, the starts or ``parallel`` do not fit.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.constraints import MeasurementBall
    >>> from stabtest.search.objectives import DistanceToClean
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([1.0]))
    >>> problem, leader = Problem(lambda y, A: gains * y, y, ball, DistanceToClean(y)), Leader(y, planned=40)
    >>> walk(problem, leader, evaluations=40, generator=torch.Generator().manual_seed(0))
    >>> round(leader.value.item(), 4), [(end.evaluations, end.fresh) for end in leader.paths()]
    (3.0, [(20, True), (40, False)])
    """
    _check(evaluations, restarts, start)
    parallel = most_parallel(parallel, problem.measurement)
    progress = rising(progress)

    # The first path from a fresh start grows; not where the set has corners: a path at rest begins anew there, which is worth more.
    grows = itertools.chain((not has_corners(problem),), itertools.repeat(False))
    caution, highest = torch.ones_like(leader.value, dtype=torch.float64), torch.full_like(leader.value, -torch.inf)

    def end(climb: Climb, *, fresh: bool = True) -> None:
        nonlocal caution, highest
        caution = torch.where(climb.best >= highest, climb.caution, caution)  # that of the path which found the best point
        highest = torch.maximum(highest, climb.best)
        leader.end_path(climb.best, fresh=fresh)

    def again(v: Tensor, steps: int, *, fresh: bool) -> None:
        corners = elsewhere(problem, generator=generator)
        end(
            ascend(problem, v, leader, steps=steps, heat=REHEAT, hold=0.0, grow=False, caution=caution, elsewhere=corners),
            fresh=fresh,
        )

    if start is not None:
        constraint = problem.constraint
        warm = constraint.maximise_linear(constraint.space.check(start.detach(), "start"))
        again(warm, evaluations if restarts == 0 else max(1, evaluations // 4), fresh=True)
    for attempt in range(1 + LOST):
        legs, recorded = plan(evaluations - leader.evaluations, fresh=None if attempt else restarts), deque[Tape]()
        for k, leg in enumerate(legs):
            if stop_early and not recorded and leader.settled():
                return
            if leg.kind == "again":
                again(leader.variable, leg.steps, fresh=False)
                continue
            if not recorded:
                v, steps, grow = random_start(problem, generator=generator), leg.steps, next(grows)
                corners = elsewhere(problem, generator=generator)
                if k == attempt == 0 and not vanishes_at_clean(problem.objective) and steps > 1:
                    v = gradient_start(problem, leader, otherwise=v)
                    end(ascend(problem, v, leader, steps=steps - 1, grow=grow, elsewhere=corners))
                    continue
                more = together(legs[k:], parallel=parallel, in_a_row=stop_early) - 1
                if more == 0:
                    end(ascend(problem, v, leader, steps=steps, grow=grow, elsewhere=corners))
                    continue
                ahead = [
                    (random_start(problem, generator=generator), elsewhere(problem, generator=generator)) for _ in range(more)
                ]
                starts, left = zip((v, corners), *ahead, strict=True)
                growing = [grow, *itertools.islice(grows, more)]
                told = _from(leader, evaluations, progress)
                recorded.extend(ascend_together(problem, starts, steps=steps, grow=growing, progress=told, elsewhere=left))
            end(recorded.popleft().play(leader))
        if leader.evaluations >= evaluations or restarts == 0:
            return


def _from(leader: Leader, planned: int, progress: Progress | None) -> Progress | None:
    """The progress of paths climbed ahead, counted from where the search stands."""
    done = leader.evaluations
    return None if progress is None else lambda more, _: progress(done + more, max(planned, done + more))


def _check(evaluations: int, restarts: int | None, start: Tensor | None) -> None:
    if evaluations < 1 or (restarts is not None and restarts < 0):
        came = f"evaluations={evaluations}, restarts={restarts}"
        raise SearchError("budget", expected="evaluations >= 1, restarts >= 0", came=came)
    if restarts == 0 and start is None:
        raise SearchError("starts", expected="at least one", came="none", remedy="set restarts above 0, or give a start")
