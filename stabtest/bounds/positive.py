r"""The bound ``|| |W_L| ... |W_1| ||``: all weights by their absolute values, exact for networks without negative weights.

For any gates ``|J_D| <= |W_L| |D_{L-1}| ... |W_1|`` entry by entry, and norms of matrices with non-negative entries are monotone: no
pattern has a larger norm than the network with absolute values in place of all weights, an activation with slopes in ``[a, b]``
replaced by multiplication with ``s = max(|a|, |b|)`` (P. L. Combettes, J.-C. Pesquet, *Lipschitz certificates for layered network
structures driven by averaged activation operators*, SIAM J. Math. Data Sci. 2(2), 2020, where it is shown to be attained by
non-negative weights). On any acyclic graph: sums become sums of absolute values, concatenations, copies and averages stay.

A maximum over a window gives ``|dy|^2 <= sum_k |dz_k|^2``: the root of the sum of squares takes its place. The result is a
map ``F`` of non-negative vectors, in general no longer linear, with ``|f(x) - f(x')| <= F(|x - x'|)``.

**Certificate.** For a non-negative matrix ``M`` and any vector ``p > 0``, ``||M||^2 <= max_i (M^T M p)_i / p_i`` (Collatz and Wielandt;
R. Horn, C. Johnson, *Matrix analysis*, 2nd ed., Theorem 8.1.26). The same holds for ``F``: with ``s = x^2`` entry by entry,
``phi(s) = ||F(sqrt s)||^2`` is concave and homogeneous of degree 1, for so are the squares of the steps, ``(sum_k a_k sqrt(s_k))^2``
with ``a >= 0`` and the sum over a window, which do not decrease either. A concave function lies below its tangents, and by Euler's
identity

    ||F(x)||^2 <= <grad phi(s_0), s> = sum_i (g_i / p_i) x_i^2 <= max_i (g_i / p_i) ||x||^2,    s_0 = p^2,  g = grad (||F||^2 / 2)(p),

for *every* ``p > 0``. One forward and one backward pass certify; power iteration ``p <- g / ||g||`` supplies ``p``, and ``||F(p)|| / ||p||``
tells from below how far it still can fall. All terms of all sums are non-negative, so that nothing cancels: rounding in float64
is covered by a factor ``1 + 1e-9``.

Not available with complex numbers (Fourier transforms) and weights with signs that are not written down (bicubic interpolation).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.affine import Action, difference_action, parts
from stabtest.bounds.call import Call, Signal
from stabtest.bounds.dense import ROUNDING
from stabtest.bounds.graph import Node
from stabtest.bounds.linear import Gate, LinearReplay, windows
from stabtest.bounds.rules.norms import batch_slopes
from stabtest.errors import BoundsError

# fmt: off
_SIGNED = frozenset({"upsample_bicubic2d", "_upsample_bicubic2d_aa", "linear_operator", "resolvent"})
_SUMS = frozenset({"add", "sub", "subtract", "rsub"})
_BATCH_NORMS = frozenset({"batch_norm", "_native_batch_norm_legit_no_training", "instance_norm"})
_WITH_WEIGHTS = frozenset({
    "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "mul",
    "multiply", "matmul", "mm", "bmm", "mv", "dot", "einsum", "tensordot", "kron", "div", "divide", "true_divide", "addmm", "baddbmm",
    "addmv", "addbmm",
})
# fmt: on
_LEAST = 1e-12


@dataclass(frozen=True)
class PositiveBound:
    """Upper bound of the Lipschitz constant, certified.

    Parameters
    ----------
    value
        Of the whole network, all outputs jointly.
    reached
        A gain that the map of absolute values reaches: what the method can give at best.
    steps
        Forward and backward passes spent.
    """

    value: float
    reached: float
    steps: int


def positive_bound(replay: LinearReplay, *, steps: int = 100, tolerance: float = 1e-3) -> PositiveBound:
    """Bound by absolute values.

    Parameters
    ----------
    replay
        From `stabtest.bounds.linear.linear_replay`.
    steps
        Most power iterations; any number of them gives a bound.
    tolerance
        Relative distance of bound and reached gain at which the iteration stops.

    Raises
    ------
    BoundsError
        Where an operation has no absolute value here; the message names it.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> from stabtest.bounds.linear import linear_replay
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]])), network[2].weight.copy_(torch.ones(1, 2))
    >>> replay = linear_replay(trace(network, torch.ones(1, 2, dtype=torch.float64)))
    >>> round(positive_bound(replay).value, 6)
    5.0
    """
    gate_of = {gate.position: gate for gate in replay.gates}
    actions = [None if act is None else absolute_action(node) for act, node in zip(replay.actions, replay.graph.nodes)]
    if replay.is_complex:
        raise _refused(replay.graph.nodes[0], "complex numbers")
    p = torch.ones(replay.input_shape, dtype=torch.float64)
    value, reached, spent = math.inf, 0.0, 0
    for _ in range(max(1, steps)):
        p = p.requires_grad_(True)
        with torch.enable_grad():
            square = _square(replay, gate_of, actions, p)
            (g,) = torch.autograd.grad(square / 2, p, materialize_grads=True)
        p, square, spent = p.detach(), square.detach(), spent + 1
        value = min(value, math.sqrt(float((g / p).max())))
        reached = max(reached, math.sqrt(float(square)) / float(torch.linalg.vector_norm(p)))
        largest = float(g.max())
        if not largest > 0 or value <= reached * (1 + tolerance):
            break
        p = g / largest + _LEAST
    return PositiveBound(value * ROUNDING, reached, spent)


def _square(replay: LinearReplay, gate_of: dict[int, Gate], actions: Sequence[Action | None], p: Tensor) -> Tensor:
    """``||F(p)||^2``."""
    values: dict[int, Any] = {0: p}
    for position in replay.graph.read[1:]:
        node = replay.graph.nodes[position]
        operands = [values[place] for place in node.operands]
        gate, act = gate_of.get(position), actions[position]
        if node.item is not None:
            values[position] = operands[0][node.item]
        elif gate is not None and gate.window:
            pooled = _root(windows(operands[0], gate.window).square().sum(-1))
            several = node.call is not None and node.call.operation.endswith("_with_indices")
            values[position] = (pooled,) if several else pooled
        elif gate is not None:
            values[position] = max(abs(gate.low), abs(gate.high)) * operands[0]
        elif act is not None:
            values[position] = act(operands)
        if any(bool((part.detach() < 0).any()) for part in parts(values[position])):
            raise _refused(node, "an operation with negative weights")
    return torch.stack([values[place].square().sum() for place in replay.graph.outputs]).sum()


def _root(square: Tensor) -> Tensor:
    """Its derivative is 0 where an argument vanishes: nothing ever passes there."""
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


def absolute_action(node: Node) -> Action:
    """The affine operation of a node with absolute values in place of its weights, its shift left out.

    Raises
    ------
    BoundsError
        Where it has none here (complex numbers, weights that are not written down).
    """
    call = node.call
    assert call is not None
    tensors = [value for value in call.arguments.values() if isinstance(value, Tensor)]
    if node.dtype.is_complex or any(signal.dtype.is_complex for signal in call.signals):
        raise _refused(node, f"{call.operation} with complex numbers")
    if call.operation in _SIGNED or any(tensor.is_complex() for tensor in tensors):
        raise _refused(node, call.operation)
    if call.operation in _BATCH_NORMS:
        slopes = batch_slopes(call)
        assert slopes is not None
        factor = slopes.abs().reshape(-1, *([1] * (len(node.shape) - 2)))
        several = call.operation == "_native_batch_norm_legit_no_training"
        return lambda u: (u[0] * factor,) if several else u[0] * factor
    if call.operation in _SUMS:
        return _sum(call)
    if call.operation in ("neg", "negative"):
        return lambda u: u[0]
    if call.operation in _WITH_WEIGHTS:
        return difference_action(dataclasses.replace(call, arguments={k: _size(v) for k, v in call.arguments.items()}))
    return difference_action(call)


def _sum(call: Call) -> Action:
    """``|u| + |alpha| |v|`` in the shape of the output."""
    alpha = abs(float(call.get("alpha", 1)))
    pair = (call.get("self"), call.get("other"))
    factors = (alpha, 1.0) if call.operation == "rsub" else (1.0, alpha)
    weights = [factor for operand, factor in zip(pair, factors) if isinstance(operand, Signal)]
    return lambda u: sum(
        (weight * part.broadcast_to(call.output_shape) for weight, part in zip(weights, u)),
        start=torch.zeros(call.output_shape, dtype=torch.float64),
    )


def _size(value: Any) -> Any:  # noqa: ANN401
    """Absolute value of a constant factor."""
    if isinstance(value, Tensor):
        return value.detach().abs()
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return abs(value)
    return value


def _refused(node: Node, operation: str) -> BoundsError:
    return BoundsError(
        "bound by absolute values",
        expected="real operations whose weights have absolute values",
        came=f"{operation} ({node.name})",
    )
