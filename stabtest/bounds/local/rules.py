r"""Rules that hold on a ball: products, quotients, powers, comparisons, selections, activations.

Each is a function ``(call, reaches) -> Gain`` or None where it knows nothing better than the rule that holds everywhere. For a product

    ||u v - u' v'|| = ||(u - u') v + u' (v - v')|| <= max|v| ||u - u'|| + max|u| ||v - v'||

with the largest values on the ball; for a quotient ``u/v - u'/v' = (u - u') / v - u' (v - v') / (v v')`` with the smallest
``|v|``. A function of single entries has the largest slope that it takes between their ends (mean-value theorem). An entry that is
broadcast counts as often as it occurs, under a square root; for those that meet one and the same entry of the other operand
``(sum |u_i|^2)^1/2`` is at most their norm at the centre plus the radius.

A comparison whose two sides stay apart does not change on the ball: constant, so that what it selects is not a jump. Where they may meet
it is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain
from stabtest.bounds.local.intervals import slopes_between
from stabtest.bounds.local.reach import Reach, filled, fixed

LocalRule: TypeAlias = Callable[[Call, Sequence[Reach]], Gain | None]


def local_gain(factors: Sequence[float], method: str, *, first_output_only: bool = False) -> Gain:
    """Factors that hold on the ball; infinite or not a number: nothing is known."""
    finite = all(math.isfinite(factor) for factor in factors)
    status = "on a ball" if finite else "infinite"
    return Gain(tuple(float(f) for f in factors), method, status=status, first_output_only=first_output_only)


def operand(value: Any) -> Reach:  # noqa: ANN401
    """A signal, or a constant as one that does not move."""
    return value if isinstance(value, Reach) else fixed(torch.as_tensor(value).detach().to("cpu"))


def multiplication(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``u v`` of two signals (one signal twice: its square)."""
    if len(reaches) != 2:
        return None
    u, v = reaches
    shape = call.output_shape
    factors = (_copies(u.centre, v, shape), _copies(v.centre, u, shape))
    return local_gain(factors, "max|v| ||du|| + max|u| ||dv|| on the ball")


def division(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``u / v`` with ``v`` away from 0."""
    if call.get("rounding_mode") is not None:
        return None
    arguments = filled(call, reaches)
    if not isinstance(arguments["other"], Reach):
        return None
    u, v = operand(arguments["self"]), arguments["other"]
    least = v.smallest
    if not bool((least > 0).all()):
        return local_gain([math.inf] * len(reaches), "divides by what may vanish on the ball")
    inverse = Reach(1 / v.smallest, 0.0, torch.zeros_like(least))
    by_numerator = _copies(u.centre, inverse, call.output_shape)
    by_divisor = _meeting(v.centre, u, call.output_shape, 1 / least.square())
    factors = [by_numerator, by_divisor] if isinstance(arguments["self"], Reach) else [by_divisor]
    return local_gain(factors, "||du|| / min|v| + max|u| ||dv|| / min|v|^2 on the ball")


def elementwise(derivative: Callable[[Tensor], Tensor], *, positive: bool, formula: str) -> LocalRule:
    """A function of single entries whose derivative has its largest modulus at an end of each interval."""

    def rule(call: Call, reaches: Sequence[Reach]) -> Gain | None:
        if len(reaches) != 1 or reaches[0].centre.is_complex() or not bool(torch.isfinite(reaches[0].spread).all()):
            return None
        (u,) = reaches
        if positive and not bool((u.lower > 0).all()):
            return local_gain([math.inf], f"{formula}: the argument may vanish on the ball")
        return local_gain([_largest(derivative(u.lower), derivative(u.upper))], f"{formula}, largest slope on the ball")

    return rule


def power(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``u^p`` with a constant exponent: ``|p| |u|^(p-1)`` at the largest or smallest modulus."""
    exponent = 2 if call.operation == "square" else call.get("exponent")
    if len(reaches) != 1 or not isinstance(exponent, int | float) or not bool(torch.isfinite(reaches[0].spread).all()):
        return None
    (u,) = reaches
    whole = float(exponent).is_integer()
    ends = (u.smallest, u.largest)
    if exponent == 0:
        return local_gain([0.0], "exponent 0")
    if (not whole and (u.centre.is_complex() or bool((u.lower <= 0).any()))) or (
        exponent < 1 and bool((u.smallest <= 0).any())
    ):
        return local_gain([math.inf], "power: the argument may vanish on the ball")
    slope = _largest(*(abs(exponent) * end ** (exponent - 1) for end in ends))
    return local_gain([slope], "|p| |u|^(p - 1) on the ball")


def comparison(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """Constant where the sides stay apart."""
    arguments = filled(call, reaches)
    u, v = operand(arguments["self"]), operand(arguments.get("other", 0.0))
    if u.centre.is_complex() or v.centre.is_complex():
        return None
    apart = bool(((u.centre - v.centre).abs() > u.spread + v.spread).all())
    return _constant(reaches, apart, "its sides stay apart on the ball")


def logical(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """Of what does not change."""
    return _constant(reaches, all(reach.radius == 0 for reach in reaches), "its operands do not change on the ball")


def sign(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """Constant away from 0."""
    (u,) = reaches
    if u.centre.is_complex():
        return None
    return _constant(reaches, bool((u.centre.abs() > u.spread).all()), "stays away from 0 on the ball")


def rounding(shift: float) -> LocalRule:
    """Constant away from its jumps, at whole numbers plus a shift."""

    def rule(call: Call, reaches: Sequence[Reach]) -> Gain | None:
        (u,) = reaches
        if call.get("decimals"):
            return None
        gap = (u.centre - shift - (u.centre - shift).round()).abs()
        return _constant(reaches, bool((gap > u.spread).all()), "stays between its jumps on the ball")

    return rule


def finite(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``isnan`` and the like of numbers that stay finite."""
    settled = all(math.isfinite(reach.radius) and bool(torch.isfinite(reach.centre).all()) for reach in reaches)
    return _constant(reaches, settled, "stays finite on the ball")


def selection(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``where(c, u, v)`` with a condition that does not change: disjoint parts of ``u`` and ``v``."""
    arguments = filled(call, reaches)
    condition = arguments["condition"]
    if not isinstance(condition, Reach) or condition.radius != 0:
        return None
    chosen = condition.centre != 0
    factors = [0.0]
    for side, places in (("self", chosen), ("other", ~chosen)):
        value = arguments.get(side)
        if isinstance(value, Reach):
            mask = fixed(places.to(torch.float64))
            factors.append(_copies(value.centre, mask, call.output_shape))
    return Gain(tuple(factors), "the condition does not change on the ball", combine="squares", status="on a ball")


def activation(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """The largest slope between the ends."""
    if len(reaches) != 1 or reaches[0].centre.is_complex() or not bool(torch.isfinite(reaches[0].spread).all()):
        return None
    found = slopes_between(call, reaches[0].lower, reaches[0].upper)
    return None if found is None else local_gain([_largest(*found)], "largest slope on the ball")


def glu(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``a s(b)`` of two halves: ``max s(b)`` and ``max |a| / 4``, jointly."""
    (u,) = reaches
    axis = int(call.get("dim", -1))
    a, b = u.largest.chunk(2, axis)[0], u.upper.chunk(2, axis)[1]
    slope = torch.hypot(torch.sigmoid(b), a / 4)
    return local_gain([_largest(slope)], "hypot(max s(b), max|a| / 4) on the ball")


def deviation(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """Standard deviation and variance over axes: ``||P u|| / sqrt(N - c)``, and its square."""
    (u,) = reaches
    axes, correction = call.get("dim"), call.get("correction", 1)
    if not call.only("self") or u.centre.is_complex():
        return None
    axes = tuple(range(u.centre.ndim)) if axes is None else tuple(axes)
    free = math.prod(u.centre.shape[axis] for axis in axes) - (1 if correction is None else float(correction))
    if free <= 0:
        return local_gain([math.inf], "too few entries")
    if call.operation == "std":
        return Gain((1 / math.sqrt(free),), "1 / sqrt(N - c), reverse triangle inequality")
    centred = u.centre - u.centre.mean(axes, keepdim=True)
    size = float(torch.linalg.vector_norm(centred, dim=axes).max()) + u.radius
    return local_gain([2 * size / free], "2 (||P u|| + d) / (N - c) on the ball")


def _copies(small: Tensor, factor: Reach, shape: tuple[int, ...]) -> float:
    """Norm of ``du -> v du`` for every ``v`` within reach, ``du`` broadcast."""
    return _meeting(small, factor, shape, None)


def _meeting(small: Tensor, factor: Reach, shape: tuple[int, ...], weight: Tensor | None) -> float:
    """``max_i w_i (sum |v|^2 over the entries that meet the i-th of ``small``)^1/2`` for every ``v`` within reach."""
    padded = (1,) * (len(shape) - small.ndim) + tuple(small.shape)
    axes = [axis for axis, (few, many) in enumerate(zip(padded, shape)) if few == 1 and many != 1]

    def over(values: Tensor) -> Tensor:
        square = values.abs().square().broadcast_to(shape)
        return (square.sum(axes, keepdim=True) if axes else square).sqrt()

    copies = math.sqrt(math.prod(shape) / factor.centre.numel()) if factor.centre.numel() else 0.0
    size = torch.minimum(over(factor.largest), over(factor.centre) + copies * factor.radius)
    size = size if weight is None else size * weight.reshape(padded)
    return float(size.max()) if size.numel() else 0.0


def _constant(reaches: Sequence[Reach], holds: bool, reason: str) -> Gain | None:
    return local_gain([0.0] * len(reaches), reason) if holds else None


def _largest(*values: Tensor) -> float:
    return max((float(value.abs().max()) for value in values if value.numel()), default=0.0)


RULES: dict[str, LocalRule] = {
    **dict.fromkeys(("mul", "multiply"), multiplication),
    **dict.fromkeys(("div", "divide", "true_divide"), division),
    **dict.fromkeys(("pow", "square"), power),
    "sqrt": elementwise(lambda u: 0.5 * u.rsqrt(), positive=True, formula="1 / (2 sqrt u)"),
    "rsqrt": elementwise(lambda u: 0.5 * u ** (-1.5), positive=True, formula="u^(-3/2) / 2"),
    "reciprocal": elementwise(lambda u: u ** (-2), positive=True, formula="1 / u^2"),
    "log": elementwise(lambda u: 1 / u, positive=True, formula="1 / u"),
    "log1p": elementwise(lambda u: 1 / (1 + u), positive=True, formula="1 / (1 + u)"),
    "exp": elementwise(torch.exp, positive=False, formula="exp u"),
    "expm1": elementwise(torch.exp, positive=False, formula="exp u"),
    **dict.fromkeys(("gt", "lt", "ge", "le", "eq", "ne", "greater", "less", "greater_equal", "less_equal"), comparison),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or", "any", "all"), logical),
    **dict.fromkeys(("sign", "sgn", "signbit"), sign),
    **dict.fromkeys(("floor", "ceil", "trunc", "fix"), rounding(0.0)),
    "round": rounding(0.5),
    **dict.fromkeys(("isnan", "isinf", "isfinite"), finite),
    "where": selection,
    "glu": glu,
    **dict.fromkeys(("std", "var"), deviation),
}
"""Operation name -> rule on a ball."""
