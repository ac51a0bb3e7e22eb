"""Convolutions and matrix products with constant weights.

The bias is a shift and drops out. A weight that itself depends on the input makes a product of two signals, which has no
global constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from stabtest.bounds.call import Call, Gain, gain, unknown
from stabtest.bounds.convolution import convolution_norm
from stabtest.bounds.dense import matrix_norm

_VARYING = "weights depend on the input: no global constant"


def _numbers(value: Any) -> Sequence[int]:  # noqa: ANN401
    return [value] if isinstance(value, int) else list(value)


def convolution(call: Call) -> Gain:
    """Any stride, dilation and groups, zero padding: `stabtest.bounds.convolution.convolution_norm`."""
    if not call.only("input"):
        return unknown(_VARYING)
    weight: Tensor = call["weight"]
    norm = convolution_norm(
        weight, stride=_numbers(call["stride"]), dilation=_numbers(call["dilation"]), groups=int(call["groups"])
    )
    return gain(norm, "supremum of the symbol, Riesz comparison")


def transposed_convolution(call: Call) -> Gain:
    """Adjoint of the convolution with the same weight, cropped by ``padding``: at most its norm."""
    answer = convolution(call)
    return answer if answer.factors is None else gain(answer.factors[0], "adjoint's symbol, Riesz comparison")


def linear(call: Call) -> Gain:
    """``W x`` on the last axis."""
    if not call.only("input"):
        return unknown(_VARYING)
    return gain(*matrix_norm(call["weight"]))


def matrix_product(call: Call) -> Gain:
    """``X W`` or ``W X`` with one constant factor, possibly a batch of them.

    Where each matrix of the batch meets its own signal, the largest counts; where a signal meets several, their squares add.
    """
    names = [name for name in ("self", "other", "mat1", "mat2", "vec", "vec2") if name in call.arguments]
    operands = [call[name] for name in names]
    if call.operation == "addmm":
        operands = [call["mat1"], call["mat2"]]
        if call.get("beta", 1) != 1 or call.get("alpha", 1) != 1:
            return unknown("scaled matrix product")
    constants = [operand for operand in operands if isinstance(operand, Tensor)]
    if len(call.signals) != 1 or len(constants) != 1 or len(operands) != 2:
        return unknown("product of two signals: no global constant")
    weight, (signal,) = constants[0], call.signals
    if weight.ndim <= 2:
        return gain(*matrix_norm(weight if weight.ndim == 2 else weight[None]))
    batch = weight.flatten(0, -3)
    norms = [matrix_norm(matrix)[0] for matrix in batch]
    outer = call.output_shape[:-2] if len(signal.shape) > 1 else call.output_shape[:-1]
    if len(signal.shape) > 2 and tuple(signal.shape[:-2]) == tuple(outer):
        return gain(max(norms), "largest singular value of each matrix of the batch")
    return gain(math.hypot(*norms), "root of the sum of squares over the matrices of the batch")


RULES: dict[str, Callable[[Call], Gain]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution),
    "linear": linear,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "addmm"), matrix_product),
}
"""Operation name -> rule."""
