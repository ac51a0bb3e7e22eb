"""Sums, products with constants, reductions, selections.

An operand that is broadcast to a larger shape is copied: each of its entries counts as often as it occurs, under a square
root. A product or a quotient of two signals, a power, a root or a logarithm has no constant that holds for all inputs:
unknown (finite only on a ball).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain, Signal, discontinuous, gain, unknown

_NO_GLOBAL = "not Lipschitz on unbounded inputs without more knowledge"


def _copies(shape: tuple[int, ...], output: tuple[int, ...]) -> float:
    """Norm of broadcasting ``shape`` to ``output``."""
    return math.sqrt(math.prod(output) / math.prod(shape)) if math.prod(shape) else 0.0


def _operands(call: Call) -> tuple[Any, Any]:
    return call.get("self", call.get("input")), call.get("other")


def addition(call: Call) -> Gain:
    """``u + alpha v``: constants add; a constant operand is a shift. Same for subtraction."""
    first, second = _operands(call)
    alpha = call.get("alpha", 1)
    weights = (abs(alpha), 1.0) if call.operation == "rsub" else (1.0, abs(alpha))
    factors = tuple(
        float(weight) * _copies(operand.shape, call.output_shape)
        for operand, weight in zip((first, second), weights)
        if isinstance(operand, Signal)
    )
    return Gain(factors, "sum: constants add" if len(factors) > 1 else "shift")


def constant_multiple(shape: tuple[int, ...], output: tuple[int, ...], factor: Any) -> float:  # noqa: ANN401
    """Norm of ``u -> c u`` entry by entry, broadcasting included: ``max_i sqrt(sum over the copies of u_i of |c|^2)``."""
    if not isinstance(factor, Tensor):
        return abs(factor) * _copies(shape, output)
    square = factor.detach().to("cpu", torch.complex128 if factor.is_complex() else torch.float64).abs().square()
    square = square.broadcast_to(output)
    padded = (1,) * (len(output) - len(shape)) + tuple(shape)
    axes = [axis for axis, (small, large) in enumerate(zip(padded, output)) if small == 1 and large != 1]
    total = square.sum(axes) if axes else square
    return math.sqrt(float(total.max())) if total.numel() else 0.0


def multiplication(call: Call) -> Gain:
    """By a constant: its largest magnitude. Two signals: unknown."""
    first, second = _operands(call)
    if isinstance(first, Signal) and isinstance(second, Signal):
        return unknown("product of two signals: " + _NO_GLOBAL)
    signal, factor = (first, second) if isinstance(first, Signal) else (second, first)
    return gain(constant_multiple(signal.shape, call.output_shape, factor), "largest magnitude of the factor")


def division(call: Call) -> Gain:
    """By a constant."""
    if call.get("rounding_mode") is not None:
        return discontinuous(call)
    first, second = _operands(call)
    if not isinstance(first, Signal) or isinstance(second, Signal):
        return unknown("divides by a signal: " + _NO_GLOBAL)
    if isinstance(second, Tensor):
        if bool((second == 0).any()):
            return unknown("divides by zero")
        factor: Any = 1 / second.detach().to("cpu", torch.complex128 if second.is_complex() else torch.float64)
    elif second == 0:
        return unknown("divides by zero")
    else:
        factor = 1 / second
    return gain(constant_multiple(first.shape, call.output_shape, factor), "1 / smallest magnitude of the divisor")


def attention(call: Call) -> Gain:
    """Products of what depends on the input (H. Kim, G. Papamakarios, A. Mnih, *The Lipschitz constant of self-attention*, ICML 2021)."""
    if float(call.get("dropout_p", 0.0)) > 0:
        return unknown("random: dropout in attention")
    return unknown("attention: " + _NO_GLOBAL)


def power(call: Call) -> Gain:
    """Exponent 1 only."""
    exponent = call.get("exponent")
    if call.only("self") and isinstance(exponent, int | float) and exponent == 1:
        return gain(1.0, "exponent 1")
    return unknown("power: " + _NO_GLOBAL)


def reduction(call: Call) -> Gain:
    """Sum over ``N`` entries: ``sqrt N``; mean: ``1 / sqrt N`` (Cauchy-Schwarz, reached by a constant)."""
    if not call.only("self"):
        return unknown("several operands")
    outputs = math.prod(call.output_shape)
    count = call.signals[0].size / outputs if outputs else 0.0
    if call.operation == "mean":
        return gain(1 / math.sqrt(count) if count else 0.0, "mean of N entries: 1 / sqrt(N)")
    return gain(math.sqrt(count), "sum of N entries: sqrt(N)")


def extremum(call: Call) -> Gain:
    """Largest or smallest entry over axes: each entry is in one group, ``|max u - max u'| <= max |u - u'|``."""
    if "other" in call.arguments:
        return pairwise(call)
    return Gain((1.0,), "|max u - max v| <= ||u - v||", first_output_only=True)


def ordered(call: Call) -> Gain:
    """Entries in order, or one of them: ``||sort u - sort v|| <= ||u - v||`` (the rearrangement inequality); a median is one entry.

    G. H. Hardy, J. E. Littlewood, G. Polya, *Inequalities*, theorem 368.
    """
    if not call.only("self"):
        return unknown("several operands")
    return Gain((1.0,), "||sort u - sort v|| <= ||u - v||", first_output_only=True)


def pairwise(call: Call) -> Gain:
    """``max(u, v)``, ``min(u, v)``, ``hypot(u, v)``, ``u + i v``: at most the pair of differences; squares add."""
    factors = tuple(_copies(signal.shape, call.output_shape) for signal in call.signals)
    return Gain(factors, "pair of operands: squares add", combine="squares")


def selection(call: Call) -> Gain:
    """``where(c, u, v)`` with a constant condition selects disjoint parts; a condition that depends on the input can jump."""
    if isinstance(call["condition"], Signal):
        return unknown("the condition depends on the input")
    return pairwise(call)


def fill(call: Call) -> Gain:
    """Constant places filled with a constant."""
    if not call.only("self"):
        return unknown("places depend on the input")
    return gain(_copies(call.signals[0].shape, call.output_shape), "keeps or drops entries")


def vector_norm(call: Call) -> Gain:
    """Norms over axes: ``| ||u||_p - ||v||_p | <= ||u - v||_p <= N^max(0, 1/p - 1/2) ||u - v||_2``."""
    order = call.get("ord", call.get("p", 2))
    if not call.only("self") or order is None or order < 1:
        return unknown("norm of this order")
    if order >= 2:
        return gain(1.0, "reverse triangle inequality")
    outputs = math.prod(call.output_shape)
    count = call.signals[0].size / outputs if outputs else 0.0
    return gain(count ** (1 / float(order) - 0.5), "reverse triangle inequality and Hoelder")


def log_sum_exp(call: Call) -> Gain:
    """Its gradient is a softmax, of l2 norm at most 1."""
    if not call.only("self") or call.signals[0].dtype.is_complex:
        return unknown("complex argument")
    return gain(1.0, "gradient is a softmax: ||p||_2 <= 1")


RULES: dict[str, Callable[[Call], Gain]] = {
    **dict.fromkeys(("add", "sub", "subtract", "rsub"), addition),
    **dict.fromkeys(("mul", "multiply"), multiplication),
    **dict.fromkeys(("div", "divide", "true_divide"), division),
    "scaled_dot_product_attention": attention,
    "pow": power,
    **dict.fromkeys(("sum", "mean"), reduction),
    **dict.fromkeys(("amax", "amin", "max", "min"), extremum),
    **dict.fromkeys(("sort", "median", "kthvalue", "topk"), ordered),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "hypot", "complex"), pairwise),
    "where": selection,
    "masked_fill": fill,
    **dict.fromkeys(("linalg_vector_norm", "norm"), vector_norm),
    "logsumexp": log_sum_exp,
}
"""Operation name -> rule."""
