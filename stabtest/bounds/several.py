"""Several upper bounds of one network, from the quickest to the slowest; the smallest counts.

Each is a true bound by itself, so that the smallest is one, too (its probability of failure is its own). One that does not apply to
a network, or for which there was no time, is there with the reason.

================================  =======================================================================================
product of the layers             `stabtest.bounds.compose`: constants of the operations, multiplied along the graph
loop transformation               `stabtest.bounds.loops`: mean slopes and remainders, norms of linear parts of the graph
semidefinite per frequency        `stabtest.bounds.lattice`: multipliers for each channel, certified at every frequency
================================  =======================================================================================
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from stabtest.bounds.call import Status
from stabtest.bounds.graph import Graph
from stabtest.bounds.lattice.semidefinite import semidefinite_bound
from stabtest.bounds.lattice.translate import translate
from stabtest.bounds.linear import LinearReplay, linear_replay
from stabtest.bounds.loops import loop_bound
from stabtest.errors import BoundsError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, planned)``."""

PRODUCT, LOOPS, SEMIDEFINITE = "product of the layers", "loop transformation", "semidefinite per frequency"


@dataclass(frozen=True)
class GlobalBound:
    """One upper bound of the Lipschitz constant, or why there is none.

    Parameters
    ----------
    name
        Of the method.
    upper
        ``None`` where it does not apply or was not computed.
    status
        As in `stabtest.bounds.LipschitzBound`.
    note
        What it rests on, or the reason.
    seconds
        Processor time.
    failure
        Probability that it is not a bound.
    """

    name: str
    upper: float | None
    status: Status
    note: str
    seconds: float = 0.0
    failure: float = 0.0


def smallest(bounds: Sequence[GlobalBound]) -> GlobalBound:
    """The one that counts: the smallest known, of equal ones the first.

    Examples
    --------
    >>> smallest([GlobalBound("a", 3.0, "certified", ""), GlobalBound("b", None, "unknown", "")]).name
    'a'
    """
    return min(bounds, key=lambda bound: math.inf if bound.upper is None else bound.upper)


def further_bounds(
    graph: Graph, *, seconds: float, generator: torch.Generator, progress: Progress | None = None
) -> tuple[GlobalBound, ...]:
    """The bounds beyond the product.

    Parameters
    ----------
    graph
        From `stabtest.bounds.graph.trace`.
    seconds
        Processor time in which the semidefinite bound seeks its multipliers; what remains to be computed then is computed. 0: none of
        these bounds.
    generator
        Draws starts of Lanczos iterations and samples of frequencies.
    progress
        Told where the semidefinite bound stands.
    """
    if seconds <= 0:
        reason = "not asked for: no time was given (seconds)"
        return tuple(GlobalBound(name, None, "unknown", reason) for name in (LOOPS, SEMIDEFINITE))
    return (
        _timed(LOOPS, lambda: _loops(linear_replay(graph), generator)),
        _timed(SEMIDEFINITE, lambda: _semidefinite(graph, seconds, generator, progress)),
    )


def _timed(name: str, compute: Callable[[], GlobalBound]) -> GlobalBound:
    begin = time.process_time()
    try:
        found = compute()
    except BoundsError as error:
        found = GlobalBound(name, None, "unknown", f"does not apply: {error}")
    return replace(found, seconds=time.process_time() - begin)


def _loops(replay: LinearReplay, generator: torch.Generator) -> GlobalBound:
    found = loop_bound(replay, generator=generator)
    status: Status = "probabilistic" if found.failure else "certified"
    note = f"{found.norms} norms of linear parts"
    if found.failure:
        note += f", each by Lanczos iteration; holds with probability at least 1 - {found.failure:.1e} over its random starts"
    return GlobalBound(LOOPS, found.value, status, note, failure=found.failure)


def _semidefinite(graph: Graph, seconds: float, generator: torch.Generator, progress: Progress | None) -> GlobalBound:
    found = semidefinite_bound(
        translate(graph), replay=linear_replay(graph), seconds=seconds, progress=progress, generator=generator
    )
    rows, columns = found.torus
    note = (
        f"checked at all frequencies of a torus of {rows} x {columns} points ({found.frequencies} of the coarsest grid, each with "
        f"its mirror image), {found.seconds_checking:.0f} s of the time"
    )
    return GlobalBound(SEMIDEFINITE, found.upper, "certified", note)
