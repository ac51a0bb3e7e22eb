"""Activations that act on each entry: ``||h(u) - h(u')|| <= sup |h'| ||u - u'||``, the largest slope.

Values with many digits are maxima of the closed-form derivative, rounded upwards; the tests find them again on a fine grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from stabtest.bounds.call import Call, Gain, Rule, discontinuous, gain, unknown

GELU_ERF = 1.128904146
"""Maximum of ``Phi(x) + x phi(x)``, reached at ``sqrt 2``: ``(1 + erf 1) / 2 + e^-1 / sqrt pi``."""
GELU_TANH = 1.128993069
"""Maximum slope of the tanh form (Hendrycks & Gimpel, *Gaussian error linear units*, 2016)."""
SILU = 1.099839321
"""Maximum of ``s(x) + x s(x) (1 - s(x))`` with the logistic ``s``, reached near 2.3994."""
MISH = 1.088502
"""Maximum slope of ``x tanh(softplus(x))`` (Misra 2019), reached near 1.49."""
SELU = 1.7580993409
"""Slope at ``0-``: product of the two constants of Klambauer et al. 2017."""


def _fixed(constant: float, method: str) -> Rule:
    def rule(call: Call) -> Gain:
        if not (call.only("self") or call.only("input")):
            return unknown("its parameters depend on the input")
        if call.signals[0].dtype.is_complex and call.operation not in ("abs", "absolute"):
            return unknown("entire functions of complex numbers have unbounded slopes")
        return gain(constant, method)

    return rule


def leaky_relu(call: Call) -> Gain:
    """Slopes 1 and ``negative_slope``."""
    return gain(max(1.0, abs(float(call["negative_slope"]))), "max(1, |negative slope|)")


def linear_spline(call: Call) -> Gain:
    """Piecewise linear in each channel: the steepest piece, the ends continued (`reconstructors.splines.UniformSpline`)."""
    if not call.only("input"):
        return unknown("values depend on the input")
    low, high = spline_slopes(call)
    return gain(max(-low, high, 0.0), "steepest piece")


def spline_slopes(call: Call) -> tuple[float, float]:
    """Smallest and largest slope of the pieces of all channels, from the values ``(C, knots)`` and the spacing of the knots."""
    pieces: Tensor = call["constants"][0].detach().double().diff(dim=1) / call["spacing"]
    return float(pieces.min()), float(pieces.max())


def prelu(call: Call) -> Gain:
    """Slopes 1 and the learnt ones."""
    if not call.only("self"):
        return unknown("slopes depend on the input")
    weight: Tensor = call["weight"]
    return gain(max(1.0, float(weight.detach().abs().max())), "max(1, largest |learnt slope|)")


def rrelu(call: Call) -> Gain:
    """At test time, the mean slope."""
    if call.get("training", False):
        return unknown("random slopes in training mode; call .eval()")
    return gain(max(1.0, abs(float(call["lower"]) + float(call["upper"])) / 2), "max(1, |mean slope|)")


def elu(call: Call) -> Gain:
    """``scale x`` for x > 0, ``scale alpha (exp(input_scale x) - 1)`` below (Clevert et al. 2016).

    Slopes ``scale`` and, at ``0-``, the product of the three.
    """
    alpha, scale, inner = (float(call.get(name, 1.0)) for name in ("alpha", "scale", "input_scale"))
    if inner < 0:
        return unknown("negative input scale")
    return gain(max(abs(scale), abs(alpha * scale * inner)), "max(scale, |alpha scale input_scale|)")


def celu(call: Call) -> Gain:
    """``alpha (exp(x / alpha) - 1)`` below zero: slope 1 at ``0-`` for every ``alpha > 0``."""
    return gain(1.0, "slope at most 1") if float(call.get("alpha", 1.0)) > 0 else unknown("alpha <= 0")


def softplus(call: Call) -> Gain:
    """The slope of ``log(1 + exp(beta x)) / beta`` is a logistic.

    Where ``beta x`` exceeds ``threshold`` PyTorch returns ``x``, a jump of ``log(1 + e^-threshold) / beta``. At the
    default threshold of 20 the jump is below float32's rounding of the value and left out of account; a low threshold is
    a discontinuity.
    """
    if float(call.get("threshold", 20.0)) < 16.0:
        return discontinuous(call)
    return gain(1.0, "logistic slope")


def gelu(call: Call) -> Gain:
    """Erf or tanh form."""
    if call.get("approximate", "none") == "tanh":
        return gain(GELU_TANH, "largest slope, tanh form")
    return gain(GELU_ERF, "largest slope, (1 + erf 1)/2 + 1/(e sqrt pi)")


def threshold(call: Call) -> Gain:
    """``x`` above the threshold, ``value`` below: continuous only if the two meet."""
    if float(call["threshold"]) == float(call["value"]):
        return gain(1.0, "slopes 0 and 1")
    return discontinuous(call)


def softmax(call: Call) -> Gain:
    """1/2 in l2: the Jacobian ``diag(p) - p p^T`` has absolute row sums ``2 p_i (1 - p_i) <= 1/2`` (Gershgorin)."""
    return gain(0.5, "Gershgorin: 2 p (1 - p) <= 1/2")


def clamp(call: Call) -> Gain:
    """Projection of each entry onto an interval."""
    if not call.only("self"):
        return unknown("limits depend on the input")
    (signal,) = call.signals
    repeated = math.sqrt(math.prod(call.output_shape) / signal.size) if signal.size else 0.0
    return gain(repeated, "projection onto an interval")


def glu(call: Call) -> Gain:
    """``a s(b)``: a product of two parts of the input."""
    return unknown("product of two signals: no global constant")


_SLOPE_ONE = {
    "relu": "slopes 0 and 1",
    "relu6": "slopes 0 and 1",
    "hardtanh": "slopes 0 and 1",
    "tanh": "1 - tanh^2 <= 1",
    "softshrink": "slopes 0 and 1",
    "log_sigmoid": "logistic slope",
    "softsign": "1 / (1 + |x|)^2 <= 1",
    "abs": "slopes -1 and 1",
    "absolute": "slopes -1 and 1",
    "sin": "|cos| <= 1",
    "cos": "|sin| <= 1",
    "atan": "1 / (1 + x^2) <= 1",
    "asinh": "1 / sqrt(1 + x^2) <= 1",
}

# fmt: off
_JUMPS = (
    "sign", "sgn", "round", "floor", "ceil", "trunc", "fix", "frac", "heaviside", "hardshrink", "argmax", "argmin", "gt",
    "lt", "ge", "le", "eq", "ne", "greater", "less", "greater_equal", "less_equal", "logical_not", "logical_and",
    "logical_or", "isnan", "isinf", "isfinite", "floor_divide", "remainder", "fmod", "angle", "argsort", "signbit",
    "bucketize",
)
# fmt: on


def _jump(call: Call) -> Gain:
    return discontinuous(call)


RULES: dict[str, Callable[[Call], Gain]] = {
    **{name: _fixed(1.0, why) for name, why in _SLOPE_ONE.items()},
    **dict.fromkeys(_JUMPS, _jump),
    "sigmoid": _fixed(0.25, "s (1 - s) <= 1/4"),
    "hardsigmoid": _fixed(1 / 6 + 1e-15, "slope 1/6"),
    "hardswish": _fixed(1.5, "slope (2 x + 3) / 6 at x = 3"),
    "silu": _fixed(SILU, "largest slope, near x = 2.3994"),
    "mish": _fixed(MISH, "largest slope, near x = 1.49"),
    "selu": _fixed(SELU, "slope at 0-, scale times alpha"),
    "erf": _fixed(2 / math.sqrt(math.pi) + 1e-15, "2 / sqrt(pi) at 0"),
    "leaky_relu": leaky_relu,
    "linear_spline": linear_spline,
    "prelu": prelu,
    "_prelu_kernel": prelu,
    "rrelu": rrelu,
    "elu": elu,
    "celu": celu,
    "softplus": softplus,
    "gelu": gelu,
    "threshold": threshold,
    "softmax": softmax,
    "_softmax": softmax,
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": clamp,
    "clip": clamp,
    "glu": glu,
}
"""Operation name -> rule."""
