r"""Activations of opposite arguments, tied to each other.

Bounds that allow every pattern of slopes let ``relu(u)`` and ``relu(-u)`` open together, which no input does: they give 2 for ``relu(u) -
relu(-u) = u``. An activation with

    h(-u) = s h(u) + c (-u)

needs one gate for both: ``s = 1, c = 1`` for ReLU, GELU and SiLU; ``s = 1, c = 1 + a`` for a leaky ReLU of slope ``a``; ``s = -1, c = 0`` for odd
ones and ``s = 1, c = 0`` for even ones. Where ``-u`` is a tensor of its own, its activation is written with that of ``u``. Where opposite
arguments stand in one tensor, along its channels, as in the concatenated ReLU (W. Shang et al., *Understanding and improving
convolutional neural networks via concatenated rectified linear units*, ICML 2016) or in layers whose weights are opposite bit for bit,
the entries of the second kind are written with the gates of the first. The function is the same, and it has fewer patterns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.bounds.call import Call
from stabtest.bounds.graph import Graph
from stabtest.bounds.rewrite import At, Draft

_ATEN = torch.ops.aten
_REFLECTED: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("relu", "gelu", "silu"), (1.0, 1.0)),
    **dict.fromkeys(("tanh", "softshrink", "erf", "sin", "atan", "asinh"), (-1.0, 0.0)),
    **dict.fromkeys(("abs", "absolute", "cos"), (1.0, 0.0)),
}


def tied(graph: Graph) -> Graph:
    """The same function with one gate for each pair of opposite arguments; the graph itself where there are none.

    Parameters
    ----------
    graph
        From `stabtest.bounds.graph.trace`.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> class Concatenated(nn.Module):
    ...     def forward(self, x):
    ...         return torch.relu(torch.cat([x, -x], 1))
    >>> [node.name for node in tied(trace(Concatenated(), torch.ones(1, 3))).nodes]
    ['input', 'neg', 'cat', 'relu, one of two', 'relu', 'relu, the other', 'relu, its line', 'relu, both']
    """
    if graph.problem is not None:
        return graph
    mirrored: dict[int, int] = {}
    found: dict[int, dict[int, int]] = {}
    gates: list[int] = []
    for position in graph.read:
        node = graph.nodes[position]
        if node.call is None or node.problem is not None or _reflection(node.call) is None:
            continue
        twin = next((gate for gate in gates if _same(graph, gate, position)), None)
        if twin is not None:
            mirrored[position] = twin
            continue
        gates.append(position)
        if len(node.shape) > 1 and (pairs := _opposite(graph, node.operands[0])):
            found[position] = pairs
    if not found and not mirrored:
        return graph
    draft = Draft(graph)
    for position in range(len(graph.nodes)):
        if position in mirrored:
            _mirror(draft, position, mirrored[position])
        elif position in found:
            _write(draft, position, found[position])
        else:
            draft.keep(position)
    return draft.finished()


def _reflection(call: Call) -> tuple[float, float] | None:
    """``(s, c)``."""
    if len(call.signals) != 1 or call.signals[0].dtype.is_complex or not (call.only("self") or call.only("input")):
        return None
    if call.operation == "leaky_relu":
        return 1.0, 1.0 + float(call["negative_slope"])
    return _REFLECTED.get(call.operation)


def _same(graph: Graph, one: int, other: int) -> bool:
    """Whether two nodes are the same activation of opposite arguments."""
    first, second = graph.nodes[one].call, graph.nodes[other].call
    assert first is not None
    assert second is not None
    if first.target is not second.target or not _are_opposite(
        graph, graph.nodes[one].operands[0], graph.nodes[other].operands[0]
    ):
        return False
    return repr(first.arguments) == repr(second.arguments)  # numbers, words and the signal


def _opposite(graph: Graph, position: int) -> dict[int, int]:
    """Channel -> an earlier one that is its negative, each in one pair at most."""
    node = graph.nodes[position]
    call = node.call
    if call is None or node.problem is not None or len(node.shape) < 2:
        return {}
    if call.operation in ("cat", "concat", "concatenate") and len(node.operands) == len(call["tensors"]):
        return _of_parts(graph, node.operands) if call.get("dim", 0) % len(node.shape) == 1 else {}
    weighted = call.operation in ("conv1d", "conv2d", "conv3d") or (call.operation == "linear" and len(node.shape) == 2)
    if weighted and call.only("input") and int(call.get("groups", 1)) == 1 and len(node.shape) == call["weight"].ndim:
        return _of_rows(call["weight"].detach().flatten(1), call.get("bias"))
    return {}


def _of_parts(graph: Graph, parts: tuple[int, ...]) -> dict[int, int]:
    """Of a concatenation."""
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + graph.nodes[part].shape[1])
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for second, part in enumerate(parts):
        for first in range(second):
            if {first, second} & taken or not _are_opposite(graph, parts[first], part):
                continue
            taken |= {first, second}
            for channel in range(graph.nodes[part].shape[1]):
                pairs[starts[second] + channel] = starts[first] + channel
    return pairs


def _are_opposite(graph: Graph, one: int, other: int) -> bool:
    return _negated(graph, one) == other or _negated(graph, other) == one


def _negated(graph: Graph, position: int) -> int | None:
    """Place of ``u``, if the node is ``-u``."""
    node = graph.nodes[position]
    if node.call is None or node.problem is not None or node.call.operation not in ("neg", "negative"):
        return None
    return node.operands[0]


def _of_rows(rows: Tensor, bias: Tensor | None) -> dict[int, int]:
    """Of a layer: rows of weights, with their biases, that add up to exactly nothing."""
    if bias is not None:
        rows = torch.cat([rows, bias.detach()[:, None]], 1)
    pairs: dict[int, int] = {}
    known: dict[bytes, list[int]] = {}
    for channel, row in enumerate((rows.to("cpu", torch.float64) + 0.0).numpy()):
        earlier = known.get((0.0 - row).tobytes())
        if earlier and row.any():
            pairs[channel] = earlier.pop()
        else:
            known.setdefault(row.tobytes(), []).append(channel)
    return pairs


def _mirror(draft: Draft, position: int, twin: int) -> None:
    node = draft.source.nodes[position]
    assert node.call is not None
    reflection = _reflection(node.call)
    assert reflection is not None
    sign, line = reflection
    place = draft.places[twin]
    if sign < 0:
        place = draft.add(f"{node.name}, its sign", _ATEN.neg.default, {"self": At(place)})
    if line:
        argument = At(draft.places[node.operands[0]])
        straight = draft.add(
            f"{node.name}, its line", _ATEN.mul.Tensor, {"self": argument, "other": torch.tensor(line, dtype=torch.float64)}
        )
        place = draft.add(node.name, _ATEN.add.Tensor, {"self": At(place), "other": At(straight), "alpha": 1})
    draft.stand_in(position, place)


def _write(draft: Draft, position: int, pairs: dict[int, int]) -> None:
    node = draft.source.nodes[position]
    assert node.call is not None
    reflection = _reflection(node.call)
    assert reflection is not None
    sign, line = reflection
    channels = draft.source.nodes[node.operands[0]].shape[1]
    kept = [channel for channel in range(channels) if channel not in pairs]
    place_of = {channel: place for place, channel in enumerate(kept)}
    origin = torch.tensor([place_of[pairs.get(channel, channel)] for channel in range(channels)])
    tail = [1] * (len(node.shape) - 2)
    second = torch.tensor([float(channel in pairs) for channel in range(channels)], dtype=torch.float64).reshape(-1, *tail)

    argument = At(draft.places[node.operands[0]])
    one = draft.add(
        f"{node.name}, one of two", _ATEN.index_select.default, {"self": argument, "dim": 1, "index": torch.tensor(kept)}
    )
    key = "self" if node.call.only("self") else "input"
    gate = draft.add(node.name, node.call.target, {**node.call.arguments, key: At(one)})
    both = draft.add(f"{node.name}, the other", _ATEN.index_select.default, {"self": At(gate), "dim": 1, "index": origin})
    if sign < 0:
        both = draft.add(f"{node.name}, its sign", _ATEN.mul.Tensor, {"self": At(both), "other": 1 - 2 * second})
    if line:
        straight = draft.add(f"{node.name}, its line", _ATEN.mul.Tensor, {"self": argument, "other": line * second})
        both = draft.add(f"{node.name}, both", _ATEN.add.Tensor, {"self": At(both), "other": At(straight), "alpha": 1})
    draft.stand_in(position, both)
