r"""Slopes of an activation between two ends: smallest and largest ``h'`` on each interval ``[l_i, u_i]``.

Piecewise linear functions by their kinks: the slopes of the pieces that an interval meets. Smooth ones by the derivative at
both ends, and at those of its extrema and kinks that lie between. Any other: what holds everywhere (`stabtest.bounds.slopes`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stabtest.bounds.affine import action
from stabtest.bounds.call import Call
from stabtest.bounds.rules.activations import SELU
from stabtest.bounds.slopes import slopes

_EXTREMA: dict[str, tuple[float, ...]] = {
    "tanh": (0.0,),
    "sigmoid": (0.0,),
    "erf": (0.0,),
    "atan": (0.0,),
    "asinh": (0.0,),
    "softplus": (),
    "log_sigmoid": (),
    "silu": (-2.399357280520, 2.399357280520),
    "gelu": (-math.sqrt(2.0), math.sqrt(2.0)),
    "mish": (-2.256376396376, 1.490571179485),
    **dict.fromkeys(("elu", "celu", "selu", "hardswish"), ()),
}
"""Where the derivative of an activation that is smooth, or smooth between kinks, turns."""

SELU_RIGHT = 1.0507009873554805
"""Slope of the scaled exponential unit above 0."""

_ROUNDING = 1e-12


def slopes_between(call: Call, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor] | None:
    """Smallest and largest slope for each entry; None where the operation is no activation.

    Parameters
    ----------
    call
        The operation.
    lower, upper
        Ends of the intervals, of the signal's shape.

    Examples
    --------
    >>> from stabtest.bounds.call import Signal
    >>> relu = Call("relu", torch.ops.aten.relu.default, {"self": Signal((1, 3), torch.float32)}, (1, 3))
    >>> low, high = slopes_between(relu, torch.tensor([[-2.0, -1.0, 1.0]]), torch.tensor([[-1.0, 1.0, 2.0]]))
    >>> low.tolist(), high.tolist()
    ([[0.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]])
    """
    everywhere = slopes(call)
    if everywhere is None:
        return None
    low = torch.full(lower.shape, everywhere[0], dtype=torch.float64)
    high = torch.full(lower.shape, everywhere[1], dtype=torch.float64)
    pieces = _pieces(call)
    if pieces is not None:
        found = _of_pieces(*pieces, lower, upper)
    elif call.operation in _EXTREMA and call.get("approximate", "none") == "none":
        found = _of_smooth(call, _EXTREMA[call.operation], everywhere, lower, upper)
    else:
        return low, high
    return torch.maximum(low, found[0]), torch.minimum(high, found[1])


def _pieces(call: Call) -> tuple[Sequence[float], Sequence[float | Tensor]] | None:
    """Kinks, and slopes from left to right, of a piecewise linear activation."""
    match call.operation:
        case "relu":
            return (0.0,), (0.0, 1.0)
        case "leaky_relu":
            return (0.0,), (float(call["negative_slope"]), 1.0)
        case "prelu" | "_prelu_kernel":
            weight: Tensor = call["weight"].detach().to("cpu", torch.float64)
            axes = len(call.output_shape) - 2
            return (0.0,), (weight.reshape(1, -1, *([1] * axes)) if weight.numel() > 1 and axes >= 0 else float(weight), 1.0)
        case "relu6":
            return (0.0, 6.0), (0.0, 1.0, 0.0)
        case "hardtanh":
            return (float(call["min_val"]), float(call["max_val"])), (0.0, 1.0, 0.0)
        case "hardsigmoid":
            return (-3.0, 3.0), (0.0, 1 / 6, 0.0)
        case "abs" | "absolute":
            return (0.0,), (-1.0, 1.0)
        case "softshrink":
            size = float(call["lambd"])
            return (-size, size), (1.0, 0.0, 1.0)
        case "threshold":
            return (float(call["threshold"]),), (0.0, 1.0)
        case _:
            return None


def _of_pieces(kinks: Sequence[float], pieces: Sequence[float | Tensor], lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.full(lower.shape, torch.inf, dtype=torch.float64)
    high = torch.full(lower.shape, -torch.inf, dtype=torch.float64)
    for left, right, slope in zip((-math.inf, *kinks), (*kinks, math.inf), pieces, strict=True):
        met = (lower <= right) & (upper >= left)
        value = torch.as_tensor(slope, dtype=torch.float64).expand(lower.shape)
        low = torch.where(met, torch.minimum(low, value), low)
        high = torch.where(met, torch.maximum(high, value), high)
    return low, high


def _of_smooth(
    call: Call, extrema: Sequence[float], everywhere: tuple[float, float], lower: Tensor, upper: Tensor
) -> tuple[Tensor, Tensor]:
    ends = [_derivative(call, end) for end in (lower, upper)]
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    for place in extrema:
        inside = (lower <= place) & (upper >= place)
        value = _derivative(call, torch.full_like(lower, place))
        low, high = torch.where(inside, torch.minimum(low, value), low), torch.where(inside, torch.maximum(high, value), high)
    for place, left, right in _kinks(call):
        inside = (lower <= place) & (upper >= place)
        low = torch.where(inside, low.clamp(max=min(left, right)), low)
        high = torch.where(inside, high.clamp(min=max(left, right)), high)
    return low - _ROUNDING, high + _ROUNDING


def _kinks(call: Call) -> tuple[tuple[float, float, float], ...]:
    """Kinks of an activation that is smooth elsewhere, with the slopes left and right of them."""
    match call.operation:
        case "elu":
            alpha, scale, inner = (float(call.get(key, 1.0)) for key in ("alpha", "scale", "input_scale"))
            return ((0.0, alpha * scale * inner, scale),)
        case "selu":
            return ((0.0, SELU, SELU_RIGHT),)
        case "celu":
            return ((0.0, 1.0, 1.0),)
        case "hardswish":
            return ((-3.0, 0.0, -0.5), (3.0, 1.5, 1.0))
        case _:
            return ()


def _derivative(call: Call, at: Tensor) -> Tensor:
    point = at.detach().to(torch.float64).requires_grad_(True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(action(call)([point]).sum(), point)
    return slope
