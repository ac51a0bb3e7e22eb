"""Channels: the few numbers that a channelised observer keeps of an image.

A channel is an image ``u_j``; its response to an image ``g`` is ``v_j = sum_p u_j(p) g(p)``. With ``r`` the distance in pixels
from the *known* place of the lesion:

**Difference of Gaussians**, band-pass channels like those of human vision (Abbey, Barrett, *J. Opt. Soc. Am. A* 18 (2001)
473-488). In the frequency ``rho`` in cycles per pixel,

    C_j(rho) = exp(-rho^2 / (2 (Q s_j)^2)) - exp(-rho^2 / (2 s_j^2)),        s_j = s_1 alpha^(j - 1),

*dense*: ``s_1 = 0.005, alpha = 1.4, Q = 1.67``, ten channels. Here they are given in space by their Fourier transform,

    u_j(r) = 2 pi (Q s_j)^2 exp(-2 pi^2 (Q s_j)^2 r^2) - 2 pi s_j^2 exp(-2 pi^2 s_j^2 r^2),

so that the lesion may stand anywhere and nothing is periodic. The first channels are about ``1 / s_1 = 200`` pixels wide: in a
small image they are cut off, see more of the mean than they should, and are nearly alike.

**Laguerre-Gauss**, for round lesions in noise without a preferred direction (Barrett, Abbey, Gallas, Eckstein, *Proc. SPIE* 3340
(1998) 27-43; Gallas, Barrett, *J. Opt. Soc. Am. A* 20 (2003) 1725-1738): orthonormal in the plane,

    u_j(r) = (sqrt 2 / a) exp(-pi r^2 / a^2) L_j(2 pi r^2 / a^2),        j = 0, 1, ...

with the Laguerre polynomials ``L_j``. The width ``a`` is neither a radius nor a diameter: the Gaussian has the standard deviation
``a / sqrt(2 pi)``. A disc of diameter ``D`` lies best in the first channel where ``(1 - exp(-x)) / sqrt(x)`` is largest,
``x = pi D^2 / (4 a^2) = 1.2564``, which gives ``a = 0.7906 D`` (`matched_width`).
"""

from __future__ import annotations

import math

import torch
from scipy import special
from torch import Tensor

from stabtest.errors import ConfigError

MATCHED = 0.5 * math.sqrt(math.pi / 1.2564312086261697)
"""``a / D``; the number under the root solves ``exp(x) = 1 + 2 x``."""


def laguerre_gauss(shape: tuple[int, int], *, centre: tuple[float, float], width: float, count: int = 5) -> Tensor:
    """Laguerre-Gauss channels.

    Parameters
    ----------
    shape
        ``(H, W)`` of the images.
    centre
        ``(row, column)`` of the middle of the lesion, pixels.
    width
        ``a`` in pixels.
    count
        How many, ``j = 0 .. count - 1``.

    Returns
    -------
    Tensor
        ``(count, H, W)``, float64.

    Raises
    ------
    ConfigError
        If the width or the count is not positive.

    Examples
    --------
    >>> u = laguerre_gauss((65, 65), centre=(32, 32), width=10.0, count=3).flatten(1)
    >>> bool(torch.allclose(u @ u.T, torch.eye(3, dtype=torch.float64), atol=1e-6))
    True
    """
    _check(count, width)
    square = _squared_distance(shape, centre) * (2 * math.pi / width**2)
    envelope = math.sqrt(2) / width * torch.exp(-square / 2)
    polynomials = [torch.from_numpy(special.eval_laguerre(j, square.numpy())) for j in range(count)]
    return torch.stack([envelope * polynomial for polynomial in polynomials])


def difference_of_gaussians(
    shape: tuple[int, int],
    *,
    centre: tuple[float, float],
    count: int = 10,
    first: float = 0.005,
    ratio: float = 1.4,
    band: float = 1.67,
) -> Tensor:
    """Difference-of-Gaussians channels, by default the dense ones of Abbey and Barrett.

    Parameters
    ----------
    shape, centre
        As for `laguerre_gauss`.
    count
        How many.
    first
        ``s_1`` in cycles per pixel.
    ratio
        ``alpha > 1``.
    band
        ``Q > 1``.

    Returns
    -------
    Tensor
        ``(count, H, W)``, float64.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    Examples
    --------
    >>> u = difference_of_gaussians((129, 129), centre=(64, 64), count=3, first=0.05)
    >>> bool(u.sum((1, 2)).abs().max() < 1e-3)  # band-pass: blind to a constant
    True
    """
    _check(count, first)
    if not (ratio > 1 and band > 1):
        raise ConfigError("channels", expected="ratio and band above 1", came=f"{ratio}, {band}")
    square = _squared_distance(shape, centre)

    def gaussian(s: float) -> Tensor:
        return 2 * math.pi * s**2 * torch.exp(-2 * math.pi**2 * s**2 * square)

    return torch.stack([gaussian(band * first * ratio**j) - gaussian(first * ratio**j) for j in range(count)])


def matched_width(diameter: float) -> float:
    """The width ``a`` with which a disc of this diameter lies best in the first Laguerre-Gauss channel.

    Examples
    --------
    >>> round(matched_width(10.0), 3)
    7.906
    """
    if not diameter > 0:
        raise ConfigError("channels: diameter", expected="a positive number of pixels", came=str(diameter))
    return MATCHED * diameter


def _squared_distance(shape: tuple[int, int], centre: tuple[float, float]) -> Tensor:
    rows, columns = (torch.arange(n, dtype=torch.float64) - c for n, c in zip(shape, centre))
    return rows[:, None].square() + columns.square()


def _check(count: int, length: float) -> None:
    if count < 1 or not 0 < length < math.inf:
        raise ConfigError("channels", expected="at least one channel and a positive width", came=f"{count}, {length}")
