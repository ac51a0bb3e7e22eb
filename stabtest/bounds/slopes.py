"""Between which slopes an elementwise activation lies: ``a <= (h(s) - h(t)) / (s - t) <= b`` for all ``s != t``.

The largest slopes are those of `stabtest.bounds.rules.activations`; the smallest are minima of the closed-form derivatives, rounded
downwards; the tests find both again on a fine grid.
"""

from __future__ import annotations

from torch import Tensor

from stabtest.bounds.call import Call
from stabtest.bounds.rules import activations

_FIXED: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("relu", "relu6", "hardtanh", "tanh", "softshrink", "log_sigmoid", "atan", "asinh"), (0.0, 1.0)),
    **dict.fromkeys(("abs", "absolute", "sin", "cos"), (-1.0, 1.0)),
    "sigmoid": (0.0, 0.25),
    "hardsigmoid": (0.0, 1 / 6 + 1e-15),
    "hardswish": (-0.5, 1.5),
    "silu": (1 - activations.SILU, activations.SILU),
    "mish": (-0.112841, activations.MISH),
    "selu": (0.0, activations.SELU),
    "erf": (0.0, 1.1283791671),
}


def slopes(call: Call) -> tuple[float, float] | None:
    """Smallest and largest slope of an operation that acts on each entry of one real signal; None for any other operation.

    Examples
    --------
    >>> import torch
    >>> from stabtest.bounds.call import Signal
    >>> slopes(Call("relu", torch.ops.aten.relu.default, {"self": Signal((1, 2), torch.float32)}, (1, 2)))
    (0.0, 1.0)
    """
    signals = call.signals
    if len(signals) != 1 or signals[0].dtype.is_complex or not (call.only("self") or call.only("input")):
        return None
    name = call.operation
    if name in _FIXED:
        return _FIXED[name]
    match name:
        case "leaky_relu":
            slope = float(call["negative_slope"])
            return min(1.0, slope), max(1.0, slope)
        case "linear_spline":
            return activations.spline_slopes(call)
        case "prelu" | "_prelu_kernel":
            weight: Tensor = call["weight"].detach()
            return min(1.0, float(weight.min())), max(1.0, float(weight.max()))
        case "gelu":
            top = activations.GELU_TANH if call.get("approximate", "none") == "tanh" else activations.GELU_ERF
            return 1 - top, top  # the slope is symmetric about 1/2: h(x) - h(-x) = x
        case "elu":
            alpha, scale, inner = (float(call.get(key, 1.0)) for key in ("alpha", "scale", "input_scale"))
            if inner < 0 or alpha < 0 or scale < 0:
                return None
            return 0.0, max(scale, alpha * scale * inner)
        case "celu":
            return (0.0, 1.0) if float(call.get("alpha", 1.0)) > 0 else None
        case "softplus":
            return (0.0, 1.0) if float(call.get("threshold", 20.0)) >= 16.0 else None
        case "clamp" | "clamp_min" | "clamp_max" | "clip":
            return (0.0, 1.0) if call.output_shape == signals[0].shape else None
        case "threshold":
            return (0.0, 1.0) if float(call["threshold"]) == float(call["value"]) else None
        case _:
            return None
