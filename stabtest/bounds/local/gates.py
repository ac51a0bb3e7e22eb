r"""The loop transformation on a ball: gates that cannot switch are fixed.

While the input moves in the ball, what enters an activation stays between two ends (`stabtest.bounds.local.reach`), so that its
slopes lie in ``[a_i, b_i]`` entry by entry (`stabtest.bounds.local.intervals`): a ReLU that is on or off all over the ball has
``a_i = b_i``. Its mean slopes ``(a_i + b_i) / 2`` go into the linear part, ``(b_i - a_i) / 2`` remain. A maximum whose winner stays
ahead of its window by more than both can move is that entry. Then `stabtest.bounds.loops` as everywhere. For ``r -> 0``
nothing remains (but kinks at the centre itself), and the bound tends to the norm of the Jacobian.

It holds for ``x, x'`` in the ball: on the segment between them the chain rule has slopes in these intervals.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from stabtest.bounds.linear import Gate, LinearReplay, windows
from stabtest.bounds.local.intervals import slopes_between
from stabtest.bounds.local.reach import Reach
from stabtest.bounds.loops import Part

_STILL = 1e-9
"""Half width of the slopes of an entry that counts as fixed."""


def parts_on_ball(replay: LinearReplay, entering: Mapping[int, Reach]) -> list[Part]:
    """Mean and remainder of every gate.

    Parameters
    ----------
    replay
        From `stabtest.bounds.linear.linear_replay`.
    entering
        Node of a gate -> reach of what enters it.
    """
    return [
        _maximum(gate, entering[gate.position]) if gate.window else _activation(replay, gate, entering) for gate in replay.gates
    ]


def fixed_share(parts: list[Part]) -> float:
    """Share of the entries that cannot switch.

    Examples
    --------
    >>> half = torch.tensor([0.5, 0.0], dtype=torch.float64)
    >>> fixed_share([Part(half, 1.0, half)])
    0.5
    """
    weights = [part.weight for part in parts if part.weight is not None]
    total = sum(weight.numel() for weight in weights)
    return sum(int((weight <= _STILL).sum()) for weight in weights) / total if total else 1.0


def _activation(replay: LinearReplay, gate: Gate, entering: Mapping[int, Reach]) -> Part:
    call, reach = replay.graph.nodes[gate.position].call, entering[gate.position]
    assert call is not None
    found = slopes_between(call, reach.lower, reach.upper)
    assert found is not None
    low, high = found
    return Part((low + high) / 2, 1 + 1e-15, (high - low) / 2)


def _maximum(gate: Gate, reach: Reach) -> Part:
    """The winner where it is certain; elsewhere all of it remains."""
    lower, upper = windows(reach.lower, gate.window), windows(reach.upper, gate.window)
    winner = windows(reach.centre, gate.window).argmax(-1)
    chosen = one_hot(winner, lower.shape[-1]).to(torch.bool)
    others: Tensor = upper.masked_fill(chosen, -torch.inf).amax(-1)
    certain = (lower.gather(-1, winner[..., None])[..., 0] > others)[..., None]
    mean = torch.where(certain, chosen.to(torch.float64), 0.0)
    return Part(mean, 1.0, torch.where(certain, 0.0, torch.ones_like(mean)))
