r"""What normalising an image before the network, and undoing it after, does to its Lipschitz constant.

Let ``N`` have the constant ``L`` and ``o = ||N(0)||``, so that ``||N(u)|| <= o + L ||u||``. The image is ``z = B y`` with
``||B|| <= b``, perturbed to ``z'``.

**Division by the maximum**, ``g(y) = c N(z / c)`` with ``c = max |P y|``, ``||P|| <= p`` (``B = P`` for a network that
takes the image). Write ``u = z / c``. For any two measurements with ``c, c' > 0``

    g' - g = c' (N(u') - N(u)) + (c' - c) N(u),     c' (u' - u) = (z' - z) - (c' - c) u,

and ``|c' - c| <= max |P (y' - y)| <= p ||y' - y||``. Hence

    ||g' - g|| <= K ||y' - y||,     K = L (b + p ||u||) + p ||N(u)||.

``u`` and ``N(u)`` are those of *one* of the two: with the measured ``y`` there, ``K`` is a number that can be computed,
and it holds for *every* ``y'``, near or far. That is the bound on the gain of any perturbation of this measurement. For
``B = P`` also ``||u|| <= sqrt n`` (``n`` pixels, none above 1), so that ``K <= p (L (1 + 2 sqrt n) + o)`` globally.

**Standardisation** of an image with one channel of ``n`` pixels, ``g = s N(u) + m``, ``u = (z - m) / s``, ``s = ||Q z|| /
k``, where ``Q`` takes the mean off and ``k = sqrt(n - 1)`` (unbiased deviation), so that ``||u|| = k``. Let ``s <= s'``
without loss of generality. ``s u' = (s / s') Q z'`` is the projection of ``Q z'`` onto the ball of radius ``k s``, on
which ``s u = Q z`` lies; projections onto convex sets do not expand: ``s ||u' - u|| <= ||Q (z' - z)||``. And ``|s' - s|
<= ||Q (z' - z)|| / k``. Hence

    ||s' N(u') - s N(u)|| <= s ||N(u') - N(u)|| + |s' - s| ||N(u')|| <= (L + (o + L k) / k) ||Q (z' - z)|| = (2 L + o / k)
    ||Q (z' - z)||,

and with the mean, which adds ``||(1 - Q)(z' - z)||`` along the orthogonal complement, ``||g' - g|| <= sqrt(1 + (2 L + o /
k)^2) ||z' - z||``: for *all* pairs. With several channels, each with its own ``s``, the ratio of the deviations enters,
which nothing bounds: unknown.

Both maps jump where the scale is zero (an image of zeros, a constant image), since it is then replaced by 1: such images
are excepted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stabtest.errors import BoundsError


def maximum_at(
    network: float,
    *,
    image_norm: float,
    scale_norm: float,
    scaled_input: float,
    scaled_output: float,
) -> float:
    """``K = L (b + p ||u||) + p ||N(u)||``: bound of the gain from one measurement to any other.

    Parameters
    ----------
    network
        ``L``.
    image_norm
        ``b``: norm of the map from measurement to the network's unscaled input.
    scale_norm
        ``p``: norm of the map from measurement to the image whose maximum is taken.
    scaled_input, scaled_output
        ``||u||`` and ``||N(u)||`` at the measurement.

    Examples
    --------
    >>> maximum_at(2.0, image_norm=1.0, scale_norm=1.0, scaled_input=10.0, scaled_output=8.0)
    30.0
    """
    return network * (image_norm + scale_norm * scaled_input) + scale_norm * scaled_output


def maximum_everywhere(network: float, *, image_norm: float, pixels: int, output_at_zero: float) -> float:
    """``p (L (1 + 2 sqrt n) + o)``: for all pairs of measurements, for a network that takes the image.

    Examples
    --------
    >>> maximum_everywhere(1.0, image_norm=1.0, pixels=16, output_at_zero=0.5)
    9.5
    """
    return image_norm * (network * (1 + 2 * math.sqrt(pixels)) + output_at_zero)


def standardised(network: float, *, image_norm: float, pixels: int, output_at_zero: float) -> float:
    """``b sqrt(1 + (2 L + o / k)^2)``, ``k = sqrt(n - 1)``: for all pairs of measurements, one channel.

    Raises
    ------
    BoundsError
        With fewer than two pixels there is no deviation.

    Examples
    --------
    >>> round(standardised(1.0, image_norm=1.0, pixels=101, output_at_zero=0.0), 4)
    2.2361
    """
    if pixels < 2:
        raise BoundsError("standardisation", expected="at least 2 pixels", came=str(pixels))
    return image_norm * math.hypot(1.0, 2 * network + output_at_zero / math.sqrt(pixels - 1))


def euclidean(x: Tensor) -> float:
    """Norm of all entries in float64."""
    return float(torch.linalg.vector_norm(x.detach().to(torch.complex128 if x.is_complex() else torch.float64)))
