r"""The worst case as a function of the radius.

``W(R) = max {||f(y+e) - f(y)|| : ||e|| <= R}`` never falls with ``R``, since the balls are nested; what a search
finds may, and the dent shows where it failed. Neighbouring radii help each other: going up, each search also starts
from the witness of the radius below, pushed outwards; going down, a short one starts from the witness of the radius
above, pulled inwards. Last, a witness of a smaller radius that does more damage is taken over as it is: it is
feasible.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.leader import Progress
from stabtest.search.objectives import Objective
from stabtest.search.problem import Reconstructor
from stabtest.search.result import WorstCase, better_of, lowered_into
from stabtest.search.running import SearchOptions
from stabtest.search.worst_case import EVALUATIONS, ObjectiveName, worst_case


def worst_case_curve(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radii: Sequence[float],
    objective: ObjectiveName | Objective = "clean",
    truth: Tensor | None = None,
    evaluations: int = EVALUATIONS,
    restarts: int | None = None,
    stop_early: bool = False,
    check: bool = True,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
    **options: Unpack[SearchOptions],
) -> list[WorstCase]:
    """Worst-case searches over increasing radii, warm-started both ways; the objective found never falls.

    Parameters
    ----------
    reconstructor, operator, measurement, objective, truth, restarts, stop_early, check, generator, **options
        As in `worst_case`; the options are those of the set and of how a search is run (`stabtest.search.running`).
    radii
        Positive and strictly increasing.
    evaluations
        Budget of each radius on the way up; the way down adds an eighth of it.
    progress
        Called as ``progress(done, planned)``; the plan is for all radii and may grow on the way down.

    Returns
    -------
    list of WorstCase
        One a radius, in the same order.

    Raises
    ------
    SearchError
        If the radii are not positive and increasing, and as in `worst_case`.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> f = lambda y, A: torch.tanh(3 * y)
    >>> curve = worst_case_curve(f, Identity((1, 2)), torch.ones(1, 1, 1, 2), radii=[0.1, 0.2], evaluations=8)
    >>> bool(curve[0].objective <= curve[1].objective)
    True
    """
    values = [float(radius) for radius in radii]
    if not values or values[0] <= 0 or any(b <= a for a, b in itertools.pairwise(values)):
        raise SearchError("radii", expected="positive and strictly increasing", came=str(values))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    done = 0

    def report(now: int, planned: int) -> None:
        if progress is not None:
            progress(done + now, max(len(values) * planned, done + now))

    def search(radius: float, start: Tensor | None, *, evaluations: int, restarts: int | None, check: bool) -> WorstCase:
        return worst_case(
            reconstructor,
            operator,
            measurement,
            radius=radius,
            objective=objective,
            truth=truth,
            evaluations=evaluations,
            restarts=restarts,
            start=start,
            check=check,
            stop_early=stop_early,
            generator=generator,
            progress=report,
            **options,
        )

    curve: list[WorstCase] = []
    for radius in values:
        warm = curve[-1].variable if curve else None
        curve.append(search(radius, warm, evaluations=evaluations, restarts=restarts, check=check))
        done += curve[-1].evaluations
    for k in range(len(values) - 2, -1, -1):
        # A few steps tell whether the basin of the larger radius is the better one here as well.
        again = search(values[k], curve[k + 1].variable, evaluations=max(1, evaluations // 8), restarts=0, check=False)
        done += again.evaluations
        curve[k] = better_of(curve[k], again)
    for k in range(1, len(values)):
        curve[k] = lowered_into(curve[k - 1], curve[k])
    return curve
