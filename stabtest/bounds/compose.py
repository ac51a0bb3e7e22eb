r"""From the constants of the operations to that of the network.

For every node ``j`` of the graph the bound ``l_j`` of the map from the network's input to it, in order of execution (the
lecture's rules, on any acyclic graph):

- a chain multiplies: ``Lip(g o f) <= Lip(g) Lip(f)``;
- sums add: ``Lip(f + g) <= Lip(f) + Lip(g)``;
- concatenation and parallel maps add in squares: ``Lip((f, g))^2 <= Lip(f)^2 + Lip(g)^2``; parts of one and the same
  split tensor are counted once.

(M. Unser's lecture notes on CNN modules; Szegedy et al., *Intriguing properties of neural networks*, ICLR 2014, sec. 4.3;
Gouk et al., *Regularisation of neural networks by enforcing Lipschitz continuity*, Machine Learning 110, 2021.) Unknown
absorbs all that follows it. A factor of exactly zero means that the operand is not read, so that zero times infinity is
zero.

A batch normalisation after a convolution that feeds nothing else is multiplied into its kernel.

**Share in log scale.** With ``l_j = sum_i g_i l_i`` let ``p_i = g_i l_i / l_j`` (for squares ``p_i = (g_i l_i /
l_j)^2``). Then ``log l_j = sum_i p_i log l_i + own_j`` with ``own_j = log l_j - sum_i p_i log l_i``, which is ``log g``
in a chain. Followed down from the output, with the weights ``p``, the own terms of all nodes add up to ``log l_out``
exactly: that is the column ``log_share``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from stabtest.bounds.call import Call, Gain, gain, unknown
from stabtest.bounds.graph import Graph, Node
from stabtest.bounds.rules import RULES
from stabtest.bounds.rules.norms import batch_slopes, fused_weight

_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_BATCH_NORMS = ("batch_norm", "_native_batch_norm_legit_no_training")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One node with what is known of it.

    Parameters
    ----------
    node
        The operation.
    gain
        Its rule's answer.
    bound
        ``l_j``; ``None`` = unknown.
    weights
        ``p_i`` of each operand, for the share in log scale.
    log_share
        Share of the logarithm of the network's bound; ``None`` where that is not a positive finite number other than 1.
    """

    node: Node
    gain: Gain
    bound: float | None
    weights: tuple[float, ...] = ()
    log_share: float | None = None
    fused: bool = False
    """Whether a batch normalisation is multiplied into this convolution: ``bound`` is then that of both together."""


def compose(
    graph: Graph,
    *,
    rules: Mapping[str, Callable[[Call], Gain]] | None = None,
    local: Callable[[int, Sequence[Layer]], Gain | None] | None = None,
) -> tuple[tuple[Layer, ...], float | None]:
    """Bounds of all nodes, and of the network (all its outputs jointly).

    Parameters
    ----------
    graph
        From `stabtest.bounds.graph.trace`.
    rules
        Further rules by operation name; they go before the built-in ones.
    local
        ``(position, layers before it) -> Gain``, asked before the built-in rules; None where it knows nothing better
        (`stabtest.bounds.local`).

    Returns
    -------
    layers, bound
        ``bound`` is ``None`` where it is unknown.
    """
    table = {**RULES, **(rules or {})}
    fused = _fusions(graph) if not rules else {}
    layers: list[Layer] = []
    known: dict[tuple[object, ...], Gain] = {}
    for position, node in enumerate(graph.nodes):
        key = _same_kernel(node.call) if position not in fused and not rules else None
        answer = known[key] if key in known else _answer(graph, position, table, fused, layers)
        found = None if local is None or answer.factors == () else local(position, layers)
        if found is not None and not (rules and node.call is not None and node.call.operation in rules):
            answer = _smaller(found, answer, node)
        if key is not None:
            known[key] = answer
        bound, weights = _combine(graph, node, answer, layers)
        layers.append(Layer(node, answer, bound, weights, fused=position in fused))
    if graph.problem is not None:
        return (), None
    if not graph.outputs:
        return tuple(layers), 0.0
    final = [layers[place].bound for place in graph.outputs]
    total = None if any(bound is None for bound in final) else math.hypot(*(bound for bound in final if bound is not None))
    return _with_shares(layers, graph, total), total


def recombine(graph: Graph, layers: Sequence[Layer], constants: Mapping[int, float]) -> float | None:
    """The network's bound if some operations had other constants, all else as it was found.

    Parameters
    ----------
    graph, layers
        As given to and answered by `compose`.
    constants
        By position in the graph: the largest factor that the operation would have.
    """
    changed: list[Layer] = []
    for position, (node, layer) in enumerate(zip(graph.nodes, layers, strict=True)):
        answer, limit = layer.gain, constants.get(position)
        if limit is not None and answer.factors is not None:
            answer = dataclasses.replace(answer, factors=tuple(min(factor, limit) for factor in answer.factors))
        bound, weights = _combine(graph, node, answer, changed)
        changed.append(Layer(node, answer, bound, weights))
    final = [changed[place].bound for place in graph.outputs]
    return None if any(bound is None for bound in final) else math.hypot(*(bound for bound in final if bound is not None))


def _answer(
    graph: Graph,
    position: int,
    table: Mapping[str, Callable[[Call], Gain]],
    fused: Mapping[int, Call],
    layers: list[Layer],
) -> Gain:
    node = graph.nodes[position]
    if node.problem is not None:
        return unknown(node.problem)
    if node.item is not None:
        source = layers[node.operands[0]]
        if source.gain.first_output_only and node.item > 0:
            return unknown("a further output of this operation")
        return gain(1.0, "one of several outputs")
    if node.call is None:
        return Gain((), "the input")
    if not node.call.signals:
        return unknown("random")
    rule = table.get(node.call.operation)
    if rule is None:
        return unknown(f"no rule for {node.call.operation}")
    if position in fused:
        answer = rule(fused[position])
        return dataclasses.replace(answer, method=answer.method + "; fused with the batch norm that follows")
    if node.operands and node.operands[0] in fused and node.call.operation in _BATCH_NORMS:
        return Gain((1.0,), "fused: counted in the convolution before", first_output_only=True)
    answer = rule(node.call)
    if answer.factors is not None and any(math.isnan(factor) for factor in answer.factors):
        return unknown("a weight is not a number")
    if answer.factors is not None and len(answer.factors) != len(node.operands):
        return unknown(f"the rule answered for {len(answer.factors)} of {len(node.operands)} operands")
    return answer


def _smaller(found: Gain, answer: Gain, node: Node) -> Gain:
    """What is known on a ball, where it is more than what is known everywhere."""
    if found.factors is None or len(found.factors) != len(node.operands):
        return answer
    known = answer.constant
    return found if known is None or (found.constant or 0.0) < known else answer


def _same_kernel(call: Call | None) -> tuple[object, ...] | None:
    """Key of a convolution, whose constant does not depend on the image; unrolled networks use the same one many times."""
    if call is None or call.operation not in (*_CONVOLUTIONS, *_TRANSPOSED) or not call.only("input"):
        return None
    settings = (repr(call.get(name)) for name in ("stride", "padding", "dilation", "groups"))
    return (call.operation, id(call["weight"]), *settings)


def _combine(graph: Graph, node: Node, answer: Gain, layers: list[Layer]) -> tuple[float | None, tuple[float, ...]]:
    """``l_j`` and the weights ``p_i``."""
    if node.call is None and not node.operands:
        return (1.0, ()) if node.problem is None else (None, ())
    if answer.factors is None:
        return None, ()
    terms: list[float] = []
    for factor, place in zip(answer.factors, node.operands):
        bound = layers[place].bound
        if bound is None:
            return None, ()
        terms.append(0.0 if factor == 0.0 else factor * bound)
    if answer.combine == "squares":
        terms = _once(graph, node, terms)
        total = math.hypot(*terms)
        weights = tuple((term / total) ** 2 for term in terms) if 0 < total < math.inf else ()
    else:
        total = math.fsum(terms)
        weights = tuple(term / total for term in terms) if 0 < total < math.inf else ()
    return total, weights


def _once(graph: Graph, node: Node, terms: list[float]) -> list[float]:
    """Distinct parts of one split tensor have no more norm together than the tensor: only the largest term counts."""
    groups: dict[int, list[int]] = {}
    for index, place in enumerate(node.operands):
        part = graph.nodes[place]
        if part.item is not None:
            groups.setdefault(part.operands[0], []).append(index)
    result = list(terms)
    for group in groups.values():
        items = [graph.nodes[node.operands[index]].item for index in group]
        if len(group) > 1 and len(set(items)) == len(items):
            largest = max(group, key=lambda index: terms[index])
            for index in group:
                result[index] = terms[index] if index == largest else 0.0
    return result


def _fusions(graph: Graph) -> dict[int, Call]:
    """Convolutions whose only reader is a batch normalisation at test time, with the joint kernel."""
    found: dict[int, Call] = {}
    for node in graph.nodes:
        call = node.call
        if call is None or call.operation not in _BATCH_NORMS or len(node.operands) != 1 or not call.only("input"):
            continue
        before = graph.nodes[node.operands[0]]
        source, slopes = before.call, batch_slopes(call)
        if source is None or slopes is None or before.users != 1 or not source.only("input"):
            continue
        weight = source["weight"] if "weight" in source.arguments else None
        if weight is None:
            continue
        convolution = source.operation in _CONVOLUTIONS and len(before.shape) == weight.ndim
        transposed = source.operation in _TRANSPOSED and len(before.shape) == weight.ndim
        if convolution or transposed or (source.operation == "linear" and len(before.shape) == 2):
            joint = fused_weight(weight, slopes, channel_axis=1 if transposed else 0, groups=int(source.get("groups", 1)))
            found[node.operands[0]] = dataclasses.replace(source, arguments={**source.arguments, "weight": joint})
    return found


def _with_shares(layers: list[Layer], graph: Graph, total: float | None) -> tuple[Layer, ...]:
    if total is None or not 0 < total < math.inf or abs(math.log(total)) < 1e-9:
        return tuple(layers)
    weight = [0.0] * len(layers)
    for place in graph.outputs:
        bound = layers[place].bound
        weight[place] += ((bound or 0.0) / total) ** 2
    own = [0.0] * len(layers)
    for position in reversed(range(len(layers))):
        layer = layers[position]
        if weight[position] == 0.0 or not layer.node.operands or not layer.bound:
            continue
        below = 0.0
        for share, place in zip(layer.weights, layer.node.operands):
            bound = layers[place].bound
            if share > 0 and bound:
                weight[place] += weight[position] * share
                below += share * math.log(bound)
        own[position] = weight[position] * (math.log(layer.bound) - below)
    return tuple(dataclasses.replace(layer, log_share=value / math.log(total)) for layer, value in zip(layers, own))
