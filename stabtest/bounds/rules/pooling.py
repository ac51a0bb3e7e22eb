r"""Pooling and resizing.

**Maximum.** ``|max_W u - max_W u'| <= max_W |u - u'|``, whose square is at most the sum over the window ``W``; an entry
lies in at most ``ceil(k / s')`` windows along an axis (``s' = s / gcd(s, dilation)``), so that the norm is at most
``sqrt(prod_a ceil(k_a / s'_a))``: 1 for 2 x 2 with stride 2, 2 for 3 x 3 with stride 2.

**Average, bilinear, bicubic.** Linear and separable, ``A = A_1 (x) A_2``, hence ``||A|| = ||A_1|| ||A_2||``. The factors
are read off by applying the operation itself to unit vectors along one axis (times a fixed profile along the other) and
decomposed in float64: exact for the very size, whatever the alignment of corners, padding or rounding of sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain, gain, unknown
from stabtest.bounds.dense import ROUNDING, largest_singular_values
from stabtest.bounds.rules.shapes import replay

_LONGEST = 4096


def _numbers(value: Any, axes: int) -> Sequence[int]:  # noqa: ANN401
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def max_pool(call: Call) -> Gain:
    """Overlap of the windows."""
    if not call.only("self"):
        return unknown("several operands")
    axes = int(call.operation.removesuffix("_with_indices")[-2])
    kernel = _numbers(call["kernel_size"], axes)
    stride = _numbers(call["stride"] or kernel, axes)
    dilation = _numbers(call["dilation"], axes)
    overlap = math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in zip(kernel, stride, dilation))
    method = "windows do not overlap" if overlap == 1 else f"an entry lies in up to {overlap} windows: sqrt({overlap})"
    return Gain((math.sqrt(overlap),), method, first_output_only=True)


def adaptive_max_pool(call: Call) -> Gain:
    """Windows ``[floor(i n / m), ceil((i + 1) n / m))``: the overlap is counted."""
    if not call.only("self"):
        return unknown("several operands")
    targets = [int(size) for size in call["output_size"]]
    sizes = call.signals[0].shape[-len(targets) :]
    overlap = 1
    for size, target in zip(sizes, targets):
        count = torch.zeros(size, dtype=torch.int64)
        for index in range(target):
            count[index * size // target : -(-(index + 1) * size // target)] += 1
        overlap *= int(count.max())
    return Gain((math.sqrt(overlap),), f"an entry lies in up to {overlap} windows: sqrt({overlap})", first_output_only=True)


def separable(call: Call) -> Gain:
    """Average pooling and interpolation: product of the norms along the axes."""
    name = "self" if "self" in call.arguments else "input"
    if not call.only(name):
        return unknown("several operands")
    axes = 2 if "2d" in call.operation else 1 if "1d" in call.operation else 0
    sizes = call.signals[0].shape[-axes:] if axes else ()
    if not sizes or max(sizes) > _LONGEST or call.signals[0].dtype.is_complex:
        return unknown("no separable form")
    if axes == 1:
        matrix = replay(call, **{name: torch.eye(sizes[0], dtype=torch.float64)[:, None]}).flatten(1)
        return gain(_norm(matrix), "its matrix along the axis")
    height, width = sizes
    # columns: unit vectors along the rows' axis, constant along the other; the constant profile's image must not vanish
    along_height = replay(call, **{name: torch.eye(height, dtype=torch.float64)[:, None, :, None].expand(-1, 1, -1, width)})
    along_width = replay(call, **{name: torch.eye(width, dtype=torch.float64)[:, None, None, :].expand(-1, 1, height, -1)})
    ones = replay(call, **{name: torch.ones(1, 1, height, width, dtype=torch.float64)}).reshape(along_height.shape[-2:])
    row, column = divmod(int(ones.abs().argmax()), ones.shape[1])
    peak = float(ones[row, column])
    if peak == 0:
        return unknown("the image of a constant vanishes")
    # (A_1 e_i)_r (A_2 1)_column and (A_1 1)_row (A_2 e_j)_c; their product over (A_1 1)_row (A_2 1)_column
    first, second = along_height[:, 0, :, column], along_width[:, 0, row, :]
    return gain(_norm(first) * _norm(second) / abs(peak), "product of its matrices along the axes")


def _norm(matrix: Tensor) -> float:
    return float(largest_singular_values(matrix[None])[0]) * ROUNDING


# fmt: off
_SEPARABLE = (
    "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
)
# fmt: on

RULES: dict[str, Callable[[Call], Gain]] = {
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), max_pool),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices"), max_pool),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), adaptive_max_pool),
    **dict.fromkeys(_SEPARABLE, separable),
}
"""Operation name -> rule."""
