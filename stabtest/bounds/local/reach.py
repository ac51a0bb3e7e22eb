r"""How far a signal inside the network can move while the input moves in a ball.

For ``||x - x_0|| <= r`` the signal at node ``j`` is ``u_j(x)``. Known of it are its value ``u_j(x_0)`` at the centre and
``||u_j(x) - u_j(x_0)|| <= l_j r``, with ``l_j`` the Lipschitz constant of the map from the input to it on the ball (the ball is
convex). For each entry ``|u_ji(x) - u_ji(x_0)| <= s_ji``, the smallest of

- ``l_j r``, as no entry moves further than all of them together;
- ``|A| s`` where ``u_j = A u + c`` (intervals; S. Gowal et al., *Scalable verified training for provably robust image classification*,
  ICCV 2019, section 3);
- ``||a_i|| l r`` with ``a_i`` the row of a convolution or a matrix (Cauchy-Schwarz).

Computed in float64; the result is enlarged by a relative ``1e-9``, far above what rounding can do.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.bounds.affine import action, difference_action, is_affine, parts
from stabtest.bounds.call import Call
from stabtest.bounds.graph import Node
from stabtest.bounds.positive import absolute_action
from stabtest.bounds.slopes import slopes
from stabtest.errors import BoundsError

SLACK = 1 + 1e-9

_WITH_ROWS = frozenset({"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear"})
_POSITIVE = frozenset({"sqrt", "rsqrt", "reciprocal", "log"})
_RISING = _POSITIVE | {"exp", "expm1"}
_POWERS = frozenset({"pow", "square"})
_KEEPS_SIZE = frozenset({"real", "imag", "abs", "absolute", "conj", "_conj", "conj_physical", "_conj_physical"})


@dataclass(frozen=True)
class Reach:
    """Where a signal can be while the input is in the ball.

    Parameters
    ----------
    centre
        Its value at the centre of the ball, in double precision (or of a type without fractions).
    radius
        Largest Euclidean distance of the whole signal from it.
    spread
        Largest distance of each entry from it, real, of the signal's shape.
    """

    centre: Tensor
    radius: float
    spread: Tensor

    @property
    def lower(self) -> Tensor:
        """Smallest value of each entry (real signals)."""
        return self.centre - self.spread

    @property
    def upper(self) -> Tensor:
        """Largest value of each entry (real signals)."""
        return self.centre + self.spread

    @property
    def smallest(self) -> Tensor:
        """Smallest modulus of each entry."""
        return (self.centre.abs() - self.spread).clamp_min(0.0)

    @property
    def largest(self) -> Tensor:
        """Largest modulus of each entry."""
        return self.centre.abs() + self.spread


def fixed(value: Tensor) -> Reach:
    """A signal that does not move."""
    exact = value.to(torch.complex128 if value.is_complex() else torch.float64)
    return Reach(exact, 0.0, torch.zeros(value.shape, dtype=torch.float64))


def spread_of(node: Node, operands: Sequence[Reach], centre: Tensor, radius: float) -> Tensor:
    """How far each entry of a node's output moves.

    Parameters
    ----------
    node
        The operation.
    operands
        Its operands, in order.
    centre
        The output at the centre.
    radius
        ``l_j r`` of the output, which may be infinite.
    """
    found = torch.full(centre.shape, radius, dtype=torch.float64)
    for bound in (_by_entries(node, operands), _by_rows(node, operands)):
        if bound is not None and bound.shape == centre.shape:
            found = torch.minimum(found, bound * SLACK)
    return found


def _by_entries(node: Node, operands: Sequence[Reach]) -> Tensor | None:
    """``|A| s``, or what an operation on single entries makes of it."""
    call = node.call
    if call is None or not all(bool(torch.isfinite(operand.spread).all()) for operand in operands):
        return None
    spreads = [operand.spread for operand in operands]
    if call.operation in _KEEPS_SIZE and len(spreads) == 1:
        return spreads[0]
    if call.operation == "complex":
        return torch.hypot(*torch.broadcast_tensors(*spreads))
    sector = slopes(call)
    if sector is not None:
        return max(abs(sector[0]), abs(sector[1])) * spreads[0]
    if call.operation in ("mul", "multiply") and len(operands) == 2:
        one, other = operands
        return one.centre.abs() * other.spread + other.centre.abs() * one.spread + one.spread * other.spread
    if call.operation in ("div", "divide", "true_divide") and len(operands) == 2 and call.get("rounding_mode") is None:
        one, other = operands
        return (one.spread + (one.centre / other.centre).abs() * other.spread) / other.smallest
    if (call.operation in _RISING or call.operation in _POWERS) and len(operands) == 1 and not operands[0].centre.is_complex():
        return _between_ends(call, operands[0])
    if not is_affine(call):
        return None
    try:
        return parts(absolute_action(node)(spreads))[0]
    except BoundsError:
        return None


def _between_ends(call: Call, u: Reach) -> Tensor | None:
    """Of a function that rises or falls all the way, its ends; of a power, those of the modulus."""
    run = action(call)
    if call.operation in _POWERS:
        exponent = 2 if call.operation == "square" else call.get("exponent")
        if not isinstance(exponent, int | float) or not exponent > 0:
            return None
        if not float(exponent).is_integer() and bool((u.lower < 0).any()):
            return None
        of_modulus = float(exponent) % 2 == 0
        ends = (run([u.smallest if of_modulus else u.lower]), run([u.largest if of_modulus else u.upper]))
    elif call.operation in _POSITIVE and bool((u.lower <= 0).any()):
        return None
    else:
        ends = (run([u.lower]), run([u.upper]))
    middle = run([u.centre])
    return torch.maximum((ends[0] - middle).abs(), (ends[1] - middle).abs())


def _by_rows(node: Node, operands: Sequence[Reach]) -> Tensor | None:
    """``||a_i|| l r`` for convolutions and matrices: the squares of the weights, summed by the operation itself."""
    call = node.call
    if call is None or call.operation not in _WITH_ROWS or not is_affine(call) or not math.isfinite(operands[0].radius):
        return None
    weight: Tensor = call["weight"].detach()
    squares = dataclasses.replace(call, arguments={**call.arguments, "weight": weight.to(torch.float64).square()})
    if weight.is_complex() or operands[0].centre.is_complex():
        return None
    ones = torch.ones(operands[0].centre.shape, dtype=torch.float64)
    return difference_action(squares)([ones]).sqrt() * operands[0].radius


def filled(call: Call, operands: Sequence[Reach]) -> dict[str, object]:
    """The arguments of an operation with reaches in the places of its signals."""
    from stabtest.bounds.call import Signal

    given = iter(operands)

    def put(value: object) -> object:
        if isinstance(value, Signal):
            return next(given)
        return [put(item) for item in value] if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownVariableType]

    return {name: put(value) for name, value in call.arguments.items()}
