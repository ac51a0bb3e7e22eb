"""Several upper bounds of one network, from the quickest to the slowest; the smallest counts.

Each is a true bound by itself, so that the smallest is one, too. Where the smallest holds with a probability, it was picked among
all that do, and fails with at most the sum of their probabilities; a certified one that is the smallest cannot fail. One that does not
apply to a network, or for which there was no time, is there with the reason.

================================  =======================================================================================
product of the layers             `stabtest.bounds.compose`: constants of the operations, multiplied along the graph
product of linear regions         `stabtest.bounds.loops.cut`: the same with all that is linear between two activations taken as one map
absolute values of the weights    `stabtest.bounds.positive`: exact where no weight is negative
loop transformation               `stabtest.bounds.loops`: mean slopes and remainders, norms of linear parts of the graph
semidefinite per frequency        `stabtest.bounds.lattice`: multipliers for each channel, certified at every frequency
semidefinite per activation       `stabtest.bounds.multipliers`: one multiplier for each activation, on any graph; where the one before
                                  does not apply
================================  =======================================================================================

The loop transformation and the multipliers for each activation know of activations of opposite arguments that they belong together
(`stabtest.bounds.tied`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from stabtest.bounds.call import Status
from stabtest.bounds.graph import Graph
from stabtest.bounds.lattice.forms import Multipliers
from stabtest.bounds.lattice.semidefinite import semidefinite_bound
from stabtest.bounds.lattice.translate import translate
from stabtest.bounds.linear import LinearReplay, linear_replay
from stabtest.bounds.loops import cut, loop_bound
from stabtest.bounds.multipliers import multiplier_bound
from stabtest.bounds.positive import positive_bound
from stabtest.bounds.tied import tied
from stabtest.errors import BoundsError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, planned)``."""

PRODUCT, REGIONS = "product of the layers", "product of linear regions"
ABSOLUTE, LOOPS = "absolute values of the weights", "loop transformation"
SEMIDEFINITE, PER_GATE = "semidefinite per frequency", "semidefinite per activation"

STEPS, FEWEST, ASCENT = 100, 40, 20
"""Lanczos steps of a norm of the loop transformation, the fewest that are worth taking, and the passes for its weights."""


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
    multipliers
        Of the semidefinite bound: where another run can go on.
    """

    name: str
    upper: float | None
    status: Status
    note: str
    seconds: float = 0.0
    failure: float = 0.0
    multipliers: Multipliers | None = None


def smallest(bounds: Sequence[GlobalBound]) -> GlobalBound:
    """The one that counts: the smallest known, of equal ones the first.

    Examples
    --------
    >>> smallest([GlobalBound("a", 3.0, "certified", ""), GlobalBound("b", None, "unknown", "")]).name
    'a'
    """
    return min(bounds, key=lambda bound: math.inf if bound.upper is None else bound.upper)


def failure_of_smallest(bounds: Sequence[GlobalBound]) -> float:
    """Probability that the smallest is no bound: none if it is certified, else at most what all those come to among which it was picked.

    Examples
    --------
    >>> likely = [GlobalBound(name, upper, "probabilistic", "", failure=1e-9) for name, upper in (("a", 3.0), ("b", 2.0))]
    >>> failure_of_smallest(likely), failure_of_smallest([*likely, GlobalBound("c", 1.0, "certified", "")])
    (2e-09, 0.0)
    """
    return min(1.0, sum(bound.failure for bound in bounds)) if smallest(bounds).failure else 0.0


def further_bounds(
    graph: Graph,
    *,
    seconds: float,
    generator: torch.Generator,
    small: Graph | None = None,
    start: Multipliers | None = None,
    progress: Progress | None = None,
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
    small
        The same network on a smaller image, on which the semidefinite bound finds its start sooner; the bound is for ``graph``.
    start
        Multipliers of an earlier run, where the semidefinite bound goes on.
    progress
        Told where the semidefinite bound stands.
    """
    if seconds <= 0:
        reason = "not asked for: no time was given (seconds)"
        return tuple(GlobalBound(name, None, "unknown", reason) for name in (REGIONS, ABSOLUTE, LOOPS, SEMIDEFINITE))
    first = (
        _timed(REGIONS, lambda: _regions(linear_replay(graph), seconds, generator)),
        _timed(ABSOLUTE, lambda: _absolute(linear_replay(graph))),
        _timed(LOOPS, lambda: _loops(linear_replay(tied(graph)), seconds, generator)),
        _timed(SEMIDEFINITE, lambda: _semidefinite(graph, small or graph, seconds, start, generator, progress)),
    )
    if first[-1].upper is not None:
        return first
    return *first, _timed(PER_GATE, lambda: _per_gate(linear_replay(tied(graph)), seconds, generator))


def _timed(name: str, compute: Callable[[], GlobalBound]) -> GlobalBound:
    begin = time.process_time()
    try:
        found = compute()
    except BoundsError as error:
        found = GlobalBound(name, None, "unknown", f"does not apply: {error}")
    return replace(found, seconds=time.process_time() - begin)


def _absolute(replay: LinearReplay) -> GlobalBound:
    found = positive_bound(replay)
    return GlobalBound(
        ABSOLUTE, found.value, "certified", "norm of the network with all weights positive, by Collatz and Wielandt"
    )


def _regions(replay: LinearReplay, seconds: float, generator: torch.Generator) -> GlobalBound:
    # All rows together pass once through the network.
    steps = _steps(_pass(replay), seconds)
    if isinstance(steps, str):
        return GlobalBound(REGIONS, None, "unknown", steps)
    found = loop_bound(replay, parts=cut(replay.gates), steps=steps, ascent=ASCENT, generator=generator)
    note = f"{found.norms} norms of linear maps between activations" + _chance(found.failure)
    return GlobalBound(REGIONS, found.value, "probabilistic" if found.failure else "certified", note, failure=found.failure)


def _loops(replay: LinearReplay, seconds: float, generator: torch.Generator) -> GlobalBound:
    # A row takes, on the average, half of the network for each of its passes.
    steps = _steps(_pass(replay) / 2 * (len(replay.gates) + 1), seconds)
    if isinstance(steps, str):
        return GlobalBound(LOOPS, None, "unknown", steps)
    found = loop_bound(replay, steps=steps, ascent=ASCENT, generator=generator)
    note = f"{found.norms} norms of linear parts" + _chance(found.failure)
    return GlobalBound(LOOPS, found.value, "probabilistic" if found.failure else "certified", note, failure=found.failure)


def _steps(one: float, seconds: float) -> int | str:
    """Lanczos steps that there is time for, if one of them takes so long for all norms; or why there are none."""
    steps = min(STEPS, int(seconds / one) - ASCENT) if one > 0 else STEPS
    if steps >= FEWEST:
        return steps
    return f"would take about {one * (FEWEST + ASCENT):.0f} s at least, more than the {seconds:.0f} s given"


def _pass(replay: LinearReplay) -> float:
    """Processor time of one pass through the network, forward and backward."""
    gates = [torch.full(gate.shape, gate.high, dtype=torch.float64) for gate in replay.gates]
    x = torch.ones(replay.input_shape, dtype=torch.complex128 if replay.is_complex else torch.float64, requires_grad=True)
    begin = time.process_time()
    with torch.enable_grad():
        replay(x, gates).square().sum().backward()
    return time.process_time() - begin


def _per_gate(replay: LinearReplay, seconds: float, generator: torch.Generator) -> GlobalBound:
    passes, check = 100, 200
    one = 2 * _pass(replay)
    checks = int((seconds / one - 2 * passes) / (passes + check)) if one > 0 else 6
    if checks < 1:
        reason = f"would take about {one * (3 * passes + check):.0f} s at least, more than the {seconds:.0f} s given"
        return GlobalBound(PER_GATE, None, "unknown", reason)
    found = multiplier_bound(replay, steps=passes, lanczos_steps=check, checks=min(6, checks), generator=generator)
    if math.isinf(found.value):
        return GlobalBound(PER_GATE, None, "unknown", f"no multipliers passed the check ({found.checks} tried)")
    note = f"one multiplier for each activation, {found.checks} checks" + _chance(found.failure)
    return GlobalBound(PER_GATE, found.value, "probabilistic" if found.failure else "certified", note, failure=found.failure)


def _chance(failure: float) -> str:
    if not failure:
        return ""
    return f", by Lanczos iteration; holds with probability at least 1 - {failure:.1e} over its random starts"


def _semidefinite(
    graph: Graph,
    small: Graph,
    seconds: float,
    start: Multipliers | None,
    generator: torch.Generator,
    progress: Progress | None,
) -> GlobalBound:
    found = semidefinite_bound(
        translate(graph), replay=linear_replay(small), seconds=seconds, start=start, progress=progress, generator=generator
    )
    rows, columns = found.torus
    note = (
        f"checked at all frequencies of a torus of {rows} x {columns} points ({found.frequencies} of the coarsest grid, each with "
        f"its mirror image), {found.seconds_checking:.0f} s of the time"
    )
    return GlobalBound(SEMIDEFINITE, found.upper, "certified", note, multipliers=found.multipliers)
