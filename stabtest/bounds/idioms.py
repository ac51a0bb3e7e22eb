r"""Soft thresholding, recognised in the ways it is written with other operations.

``S_t(u) = sign(u) max(|u| - t, 0)``, the proximal map of ``t |u|``, has slopes 0 and 1: ``S_t(u) = u - P(u)`` with the projection ``P`` onto
``[-t, t]`` (I. Daubechies, M. Defrise, C. De Mol, *An iterative thresholding algorithm for linear inverse problems*, CPAM 57, 2004). Unrolled
networks write it out (J. Zhang, B. Ghanem, *ISTA-Net*, CVPR 2018: ``sign(u) * relu(abs(u) - t)``), and a table of operations sees a
sign, which jumps, in a product of two signals, which has no constant. Written with the two operations below, it has one. Equal for all
real ``u``, wherever ``t >= 0`` (a negative ``t`` jumps at 0, and is left as it is):

==========================================  ===========================
``sign(u) * relu(|u| - t)``                 soft thresholding
``relu(u - t) - relu(-u - t)``              soft thresholding
``relu(u) - relu(-u)``                      ``u``
``relu(u) + relu(-u)``                      ``|u|``
==========================================  ===========================

For ``relu(v)`` also ``clamp(v, min=0)``, ``max(v, 0)`` and ``maximum(v, 0)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.call import Call
from stabtest.bounds.graph import Graph
from stabtest.bounds.rewrite import At, Draft

_ATEN = torch.ops.aten


def recognised(graph: Graph) -> Graph:
    """The same graph with the idioms above replaced.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.compose import compose
    >>> from stabtest.bounds.graph import trace
    >>> class Soft(nn.Module):
    ...     def forward(self, x):
    ...         return torch.sign(x) * torch.relu(torch.abs(x) - 0.1)
    >>> graph = recognised(trace(Soft(), torch.ones(1, 3)))
    >>> [node.call.operation for node in graph.nodes[1:]], compose(graph)[1]
    (['softshrink'], 1.0)
    """
    if graph.problem is not None:
        return graph
    found = {position: match for position in graph.read if (match := _match(graph, position)) is not None}
    if not found:
        return graph
    draft = Draft(graph)
    for position, node in enumerate(graph.nodes):
        if position in found:
            draft.stand_in(position, _write(draft, node.name, found[position]))
        else:
            draft.keep(position)
    return draft.finished()


@dataclass(frozen=True)
class _Match:
    """``S_t(u)``, or ``|u|``: the place of ``u`` in the old graph, and ``t``."""

    place: int
    threshold: float | Tensor
    modulus: bool = False


@dataclass(frozen=True)
class _Positive:
    """``max(sign u - t, 0)`` or ``max(|u| - t, 0)``."""

    place: int
    threshold: float | Tensor
    sign: int
    modulus: bool


def _match(graph: Graph, position: int) -> _Match | None:
    node = graph.nodes[position]
    call = node.call
    if call is None or node.problem is not None or len(node.operands) != 2 or node.dtype.is_complex:
        return None
    first, second = node.operands
    shapes = {graph.nodes[place].shape for place in (first, second)} | {node.shape}
    if len(shapes) > 1:
        return None
    if call.operation in ("mul", "multiply"):
        return _product(graph, first, second) or _product(graph, second, first)
    if call.operation in ("add", "sub", "subtract") and call.get("alpha", 1) == 1:
        return _pair(graph, first, second, adding=call.operation == "add")
    return None


def _product(graph: Graph, sign: int, rest: int) -> _Match | None:
    place = _argument(graph, sign, "sign", "sgn")
    part = _positive(graph, rest)
    if place is None or part is None or not part.modulus or part.place != place or not _at_least_zero(part.threshold):
        return None
    return _Match(place, part.threshold)


def _pair(graph: Graph, first: int, second: int, *, adding: bool) -> _Match | None:
    one, other = _positive(graph, first), _positive(graph, second)
    if one is None or other is None or one.modulus or other.modulus:
        return None
    if one.place != other.place or one.sign != -other.sign or not _equal(one.threshold, other.threshold):
        return None
    if adding:
        return _Match(one.place, 0.0, modulus=True) if _equal(one.threshold, 0.0) else None
    # relu(-u - t) - relu(u - t) is -S_t(u): left as it is, since it would take one more operation.
    return _Match(one.place, one.threshold) if one.sign > 0 and _at_least_zero(one.threshold) else None


def _positive(graph: Graph, position: int) -> _Positive | None:
    inner = _rectified(graph, position)
    if inner is None:
        return None
    threshold: float | Tensor = 0.0
    shifted = graph.nodes[inner]
    if shifted.call is not None and shifted.call.operation in ("sub", "subtract") and shifted.call.only("self"):
        if shifted.call.get("alpha", 1) != 1 or graph.nodes[shifted.operands[0]].shape != shifted.shape:
            return None
        threshold, inner = _value(shifted.call["other"]), shifted.operands[0]
    if (place := _argument(graph, inner, "abs", "absolute")) is not None:
        return _Positive(place, threshold, 1, modulus=True)
    if (place := _argument(graph, inner, "neg", "negative")) is not None:
        return _Positive(place, threshold, -1, modulus=False)
    return _Positive(inner, threshold, 1, modulus=False)


def _rectified(graph: Graph, position: int) -> int | None:
    """Place of ``v``, if the node is ``max(v, 0)``."""
    node = graph.nodes[position]
    call = node.call
    if call is None or node.problem is not None or len(node.operands) != 1 or graph.nodes[node.operands[0]].shape != node.shape:
        return None
    zero: dict[str, Callable[[Call], Any]] = {
        "relu": lambda _: 0.0,
        "clamp_min": lambda call: call["min"],
        "clamp": lambda call: call["min"] if call.get("max") is None else None,
        "max": lambda call: call.get("other"),
        "maximum": lambda call: call["other"],
    }
    if call.operation not in zero or not call.only("self"):
        return None
    limit = zero[call.operation](call)
    return node.operands[0] if isinstance(limit, float | int | Tensor) and _equal(limit, 0.0) else None


def _argument(graph: Graph, position: int, *operations: str) -> int | None:
    """Place of ``u``, if the node is one of these operations of a real ``u``."""
    node = graph.nodes[position]
    if node.call is None or node.problem is not None or node.call.operation not in operations or not node.call.only("self"):
        return None
    place = node.operands[0]
    return None if graph.nodes[place].dtype.is_complex else place


def _value(number: Any) -> float | Tensor:  # noqa: ANN401
    """A number where there is only one."""
    if isinstance(number, Tensor):
        return float(number.detach()) if number.numel() == 1 else number.detach()
    return float(number)


def _at_least_zero(threshold: float | Tensor) -> bool:
    return bool((threshold >= 0).all()) if isinstance(threshold, Tensor) else threshold >= 0


def _equal(one: float | Tensor, other: float | Tensor) -> bool:
    one, other = torch.as_tensor(one), torch.as_tensor(other)
    return (one.shape == other.shape or other.ndim == 0) and bool((one == other).all())


def _write(draft: Draft, name: str, match: _Match) -> int:
    u = At(draft.places[match.place])
    if match.modulus:
        return draft.add(name, _ATEN.abs.default, {"self": u})
    if isinstance(match.threshold, Tensor):
        inside = draft.add(name, _ATEN.clamp.Tensor, {"self": u, "min": -match.threshold, "max": match.threshold})
        return draft.add(name, _ATEN.sub.Tensor, {"self": u, "other": At(inside), "alpha": 1})
    if match.threshold == 0.0:
        return u.place
    return draft.add(name, _ATEN.softshrink.default, {"self": u, "lambd": match.threshold})
