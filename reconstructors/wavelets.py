r"""Periodised orthogonal wavelet transforms of images.

One level of the one-dimensional transform of an even number ``n`` of samples is, with a low-pass filter ``h`` and ``g_l =
(-1)^l h_{L-1-l}``,

    a_k = sum_l h_l x_{(2k + l) mod n},     d_k = sum_l g_l x_{(2k + l) mod n},     k = 0 ... n/2 - 1.

``sum_l h_l h_{l + 2m} = delta_m`` makes it an orthogonal matrix for every even ``n``, also one shorter than the filter, since
shifts are taken modulo ``n``. In two dimensions rows and columns are transformed in turn, and the next level goes on with the
quarter of the averages (S. Mallat, *A theory for multiresolution signal decomposition*, IEEE TPAMI 11, 1989). Coefficients are
laid out as an image of the same size with the averages in the upper left corner.

Filters: Haar; Daubechies of 2 and 4 vanishing moments (I. Daubechies, *Ten Lectures on Wavelets*, SIAM 1992, table 6.1; the
names and the order are those of PyWavelets, ``pywt.Wavelet("db4").rec_lo``). The printed digits of the last make its matrix
orthogonal to 1e-11 only, so it was computed anew by the spectral factorisation of the book's chapter 6 and rounded to double
precision. One level is applied as a dense matrix along each axis: up to some hundred pixels that is several times faster than
sums of shifted copies. Differentiable, real or complex.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from stabtest.errors import ConfigError

Wavelet = Literal["haar", "db2", "db4"]

_ROOT = math.sqrt(3.0)
FILTERS: dict[str, tuple[float, ...]] = {
    "haar": (math.sqrt(0.5), math.sqrt(0.5)),
    "db2": tuple(c / (4 * math.sqrt(2.0)) for c in (1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT)),
    "db4": (
        0.2303778133088965,
        0.7148465705529157,
        0.6308807679298589,
        -0.027983769416859854,
        -0.18703481171909309,
        0.030841381835560764,
        0.0328830116668852,
        -0.010597401785069032,
    ),
}
"""Low-pass filters ``h`` by name."""


def check(shape: tuple[int, int], levels: int, wavelet: str) -> None:
    """Whether images of ``shape`` have ``levels`` levels.

    Raises
    ------
    ConfigError
        If the wavelet is unknown, ``levels`` is not positive, or a side is not divisible by ``2^levels``.
    """
    if wavelet not in FILTERS:
        raise ConfigError("wavelet", expected=f"one of {', '.join(FILTERS)}", came=repr(wavelet))
    if levels < 1:
        raise ConfigError("wavelet: levels", expected="at least 1", came=str(levels))
    if any(side < 1 or side % 2**levels for side in shape):
        most = min((side & -side).bit_length() - 1 for side in shape)
        raise ConfigError(
            "wavelet: image size",
            expected=f"sides divisible by 2^levels = {2**levels}",
            came=f"{shape[0]} x {shape[1]}",
            remedy=f"set levels = {most}" if most > 0 else "resample the image to even sides",
        )


def analyse(x: Tensor, *, levels: int = 3, wavelet: Wavelet = "db4") -> Tensor:
    """Coefficients of images, ``(..., H, W) -> (..., H, W)``, real or complex, an orthogonal map.

    Raises
    ------
    ConfigError
        If the size does not fit (`check`).

    Examples
    --------
    >>> analyse(torch.ones(1, 1, 2, 2), levels=1, wavelet="haar").round(decimals=4) + 0.0
    tensor([[[[2., 0.],
              [0., 0.]]]])
    """
    check((x.shape[-2], x.shape[-1]), levels, wavelet)
    parts = torch.view_as_real(x).movedim(-1, 0) if x.is_complex() else x
    averages, details = parts, list[tuple[Tensor, Tensor, Tensor]]()
    for _ in range(levels):
        rows, columns = _matrices(averages, wavelet)
        c = rows @ averages @ columns.mT
        height, width = c.shape[-2] // 2, c.shape[-1] // 2
        averages = c[..., :height, :width]
        details.append((c[..., :height, width:], c[..., height:, :width], c[..., height:, width:]))
    for right, down, both in reversed(details):
        averages = torch.cat([torch.cat([averages, right], -1), torch.cat([down, both], -1)], -2)
    return torch.complex(averages[0], averages[1]) if x.is_complex() else averages


def synthesise(c: Tensor, *, levels: int = 3, wavelet: Wavelet = "db4") -> Tensor:
    """Inverse, and adjoint, of `analyse`."""
    check((c.shape[-2], c.shape[-1]), levels, wavelet)
    parts = torch.view_as_real(c).movedim(-1, 0) if c.is_complex() else c
    height, width = c.shape[-2] >> levels, c.shape[-1] >> levels
    averages = parts[..., :height, :width]
    for _ in range(levels):
        top = torch.cat([averages, parts[..., :height, width : 2 * width]], -1)
        bottom = parts[..., height : 2 * height, : 2 * width]
        height, width = 2 * height, 2 * width
        level = torch.cat([top, bottom], -2)
        rows, columns = _matrices(level, wavelet)
        averages = rows.mT @ level @ columns
    return torch.complex(averages[0], averages[1]) if c.is_complex() else averages


def level_matrix(n: int, wavelet: Wavelet) -> Tensor:
    """One level in one dimension, the orthogonal ``(n, n)`` matrix of the module in float64: averages above details.

    Examples
    --------
    >>> level_matrix(2, "haar").round(decimals=4)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]], dtype=torch.float64)
    """
    low = FILTERS[wavelet]
    high = tuple((-1) ** k * c for k, c in enumerate(reversed(low)))
    matrix = torch.zeros(n, n, dtype=torch.float64)
    for k in range(n // 2):
        for position, (h, g) in enumerate(zip(low, high, strict=True)):
            matrix[k, (2 * k + position) % n] += h
            matrix[n // 2 + k, (2 * k + position) % n] += g
    return matrix


def _matrices(like: Tensor, wavelet: Wavelet) -> tuple[Tensor, Tensor]:
    """Level matrices for both axes, of the precision and on the device of ``like``."""
    height, width = like.shape[-2:]
    return _matrix(height, wavelet, like.dtype, like.device), _matrix(width, wavelet, like.dtype, like.device)


@lru_cache(maxsize=64)
def _matrix(n: int, wavelet: Wavelet, dtype: torch.dtype, device: torch.device) -> Tensor:
    return level_matrix(n, wavelet).to(device=device, dtype=dtype)
