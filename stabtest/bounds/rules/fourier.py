"""Discrete Fourier transforms.

The unitary transform is an isometry; PyTorch's ``norm`` gives a power of the length: with ``N`` the product of the
transformed lengths (after ``s`` or ``n``: cropping has norm 1, zero padding is isometric) the forward transform has norm
``sqrt N`` ("backward", the default), 1 ("ortho") or ``1 / sqrt N`` ("forward"), the inverse the opposite power. Real
input (``rfft``) keeps half of the spectrum: at most the same. Real output (``irfft``) counts the kept half twice: at most
``sqrt 2`` times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from stabtest.bounds.call import Call, Gain, gain, unknown


def _lengths(call: Call, shape: Sequence[int]) -> list[int]:
    """Lengths of the transform along its axes."""
    dims: Any = call.get("dim")
    sizes: Any = call.get("s", call.get("n"))
    if isinstance(dims, int):
        dims = [dims]
    if isinstance(sizes, int):
        sizes = [sizes]
    if dims is None:
        dims = list(range(-len(sizes), 0)) if sizes is not None else list(range(len(shape)))
    if sizes is not None:
        return [int(size) if size != -1 else shape[dim] for size, dim in zip(sizes, dims)]
    return [shape[dim] for dim in dims]


def transform(call: Call) -> Gain:
    """All of ``fft, ifft, rfft, irfft`` in one, two or n dimensions."""
    if not call.only("self"):
        return unknown("several operands")
    kind = call.operation.removeprefix("fft_").rstrip("n2")
    halved = kind == "irfft"
    # The length along the halved axis is that of the output.
    reference = call.output_shape if halved else call.signals[0].shape
    if call.get("dim") is None and len(reference) != len(call.signals[0].shape):
        return unknown("axes of the transform")
    count = math.prod(_lengths(call, reference))
    power = {"backward": 0.5, None: 0.5, "ortho": 0.0, "forward": -0.5}[call.get("norm")]
    norm = count ** (-power if kind in ("ifft", "irfft") else power)
    return gain(norm * (math.sqrt(2) if halved else 1.0) * (1 + 1e-12 * (norm != 1.0)), "unitary up to its scaling")


RULES: dict[str, Callable[[Call], Gain]] = {
    f"fft_{kind}{suffix}": transform for kind in ("fft", "ifft", "rfft", "irfft") for suffix in ("", "2", "n")
}
"""Operation name -> rule."""
