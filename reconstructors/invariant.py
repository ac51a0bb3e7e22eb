r"""Translation-invariant wavelet sparsity.

Solves, for every image of a batch,

    min_x  1/2 || A x / a - y / a ||^2  +  weight * mean_s || D W S_s x ||_1,         a >= ||A||,

the mean over all ``4^levels`` distinct cyclic shifts ``S_s`` of what `reconstructors.wavelet` penalises for one (*cycle spinning*,
R. Coifman, D. Donoho, *Translation-invariant de-noising*, 1995). A decimated basis sees an edge differently at each position and
leaves blocks and ringing; the mean does not, at ``levels`` times the work.

All shifts together are the undecimated transform: at level ``j = 1 ... levels`` the averages are convolved with the filters
``h / sqrt 2`` and ``g / sqrt 2`` spread by ``2^(j-1)``, along rows and columns. It is a Parseval frame, ``L* L = 1``, whose
details of level ``j`` are ``2^-j`` times those of the decimated bases, each of which occurs in ``4^(levels - j)`` of
``4^levels`` shifts, so that the penalty is ``weight 2^-j |c|`` for each. Solved by `reconstructors.primal_dual`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from reconstructors.primal_dual import PrimalDual
from reconstructors.wavelets import FILTERS, Wavelet, check
from stabtest import tensors


def analyse(x: Tensor, *, levels: int, wavelet: Wavelet) -> Tensor:
    """Undecimated coefficients, ``(B, 1, H, W) -> (B, 1 + 3 levels, H, W)``: averages first, then details from coarse to fine.

    Raises
    ------
    ConfigError
        If the size does not fit (`reconstructors.wavelets.check`).

    Examples
    --------
    >>> c = analyse(torch.ones(1, 1, 4, 4), levels=2, wavelet="haar")
    >>> c.shape, c[:, 1:].abs().max().item() < 1e-6
    (torch.Size([1, 7, 4, 4]), True)
    """
    check((x.shape[-2], x.shape[-1]), levels, wavelet)
    averages, details = _parts(x), list[Tensor]()
    for j in range(levels):
        rows, columns = _filters(averages, j, wavelet)
        height, width = x.shape[-2:]
        c = rows @ averages @ columns.mT
        averages = c[..., :height, :width]
        details.append(torch.cat([c[..., :height, width:], c[..., height:, :width], c[..., height:, width:]], -3))
    return _whole(torch.cat([averages, *reversed(details)], -3), x)


def adjoint(c: Tensor, *, levels: int, wavelet: Wavelet) -> Tensor:
    """Adjoint of `analyse`, which is a left inverse: ``(B, 1 + 3 levels, H, W) -> (B, 1, H, W)``."""
    parts = _parts(c)
    averages = parts[..., :1, :, :]
    for j in reversed(range(levels)):
        rows, columns = _filters(averages, j, wavelet)
        first = 1 + 3 * (levels - 1 - j)
        right, down, both = (parts[..., first + k : first + k + 1, :, :] for k in range(3))
        level = torch.cat([torch.cat([averages, right], -1), torch.cat([down, both], -1)], -2)
        averages = rows.mT @ level @ columns
    return _whole(averages, c)


@dataclass(frozen=True)
class InvariantWavelets(PrimalDual):
    """Translation-invariant wavelet reconstruction, a callable ``(y, operator) -> image``.

    The other parameters are those of `reconstructors.primal_dual.PrimalDual`.

    Parameters
    ----------
    wavelet, levels
        Filters and depth; the sides of the image must be divisible by ``2^levels``.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> noisy = torch.tensor([[[[0.0, 0.25], [0.75, 1.0]]]])
    >>> method = InvariantWavelets(weight=10.0, levels=1, iterations=400, step_ratio=1.0)
    >>> method(noisy, Identity((2, 2))).mean().round(decimals=3)
    tensor(0.5000)
    """

    wavelet: Wavelet = "haar"
    levels: int = 3
    name: ClassVar[str] = "wavelet"
    norm_squared: ClassVar[float] = 1.0

    def analyse(self, x: Tensor) -> Tensor:
        """The undecimated coefficients."""
        return analyse(x, levels=self.levels, wavelet=self.wavelet)

    def analysis_adjoint(self, q: Tensor) -> Tensor:
        """Its adjoint."""
        return adjoint(q, levels=self.levels, wavelet=self.wavelet)

    def project(self, q: Tensor) -> Tensor:
        """Onto ``|q| <= weight 2^-j`` on details, 0 on averages."""
        radius = self._radius(q)
        if not q.is_complex():
            return torch.minimum(torch.maximum(q, -radius), radius)
        squared = q.real.square() + q.imag.square()
        modulus = squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
        return q * (radius / torch.maximum(modulus, radius))

    def penalty(self, x: Tensor) -> Tensor:
        """The weighted mean over shifts, ``(B,)``."""
        c = self.analyse(x)
        return (self._radius(c) * c.abs()).flatten(1).sum(1)

    def _radius(self, c: Tensor) -> Tensor:
        by_level = [self.weight * 2.0**-j for j in range(self.levels, 0, -1) for _ in range(3)]
        radius = torch.tensor([0.0, *by_level], dtype=tensors.real_dtype(c.dtype), device=c.device)
        return radius[:, None, None]


def _parts(x: Tensor) -> Tensor:
    return torch.view_as_real(x).movedim(-1, 0) if x.is_complex() else x


def _whole(parts: Tensor, like: Tensor) -> Tensor:
    return torch.complex(parts[0], parts[1]) if like.is_complex() else parts


def _filters(like: Tensor, level: int, wavelet: Wavelet) -> tuple[Tensor, Tensor]:
    height, width = like.shape[-2:]
    return _filter(height, level, wavelet, like.dtype, like.device), _filter(width, level, wavelet, like.dtype, like.device)


@lru_cache(maxsize=64)
def _filter(n: int, level: int, wavelet: Wavelet, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Circulant ``(2 n, n)``: low above high pass, spread by ``2^level``, over ``sqrt 2``."""
    low = FILTERS[wavelet]
    high = tuple((-1) ** k * c for k, c in enumerate(reversed(low)))
    matrix = torch.zeros(2 * n, n, dtype=torch.float64)
    for k in range(n):
        for position, (h, g) in enumerate(zip(low, high, strict=True)):
            matrix[k, (k + (position << level)) % n] += h / 2**0.5
            matrix[n + k, (k + (position << level)) % n] += g / 2**0.5
    return matrix.to(dtype=dtype, device=device)
