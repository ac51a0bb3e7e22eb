"""Pixel grids, edge coverage and smooth random fields that do not know the grid they are sampled on.

A phantom is an object in continuous coordinates: ``x`` to the right and ``y`` downwards, the field of view is
``[-1, 1] x [-1, 1]``, and pixel ``(i, j)`` of a ``size x size`` image is the square of side ``h = 2 / size`` around
``(-1 + (j + 1/2) h, -1 + (i + 1/2) h)``. Its value is the mean of the object over that square. Hence the object of a seed is
the same at every size, and the mean over blocks of 2 x 2 pixels of the image at size ``2 N`` is the image at size ``N``. That
is what lets measurements be simulated on a finer grid than the one they are reconstructed on.

The mean over a pixel crossed by one smooth edge is the *coverage*: with signed distance ``d`` (negative inside) it is
``clip(1/2 - d / h, 0, 1)``, exact for a straight edge along an axis and within 0.05 for any other direction (the worst is a
diagonal edge through a corner). Where features are finer than a pixel, the phantoms sample a finer grid and average.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stabtest.errors import ConfigError

Array = NDArray[np.floating[Any]]
"""A real array; single precision in practice, which keeps the phantoms fast."""


def rng(seed: int, *stream: int) -> np.random.Generator:
    """The random numbers of a seed: PCG64, the same on every platform.

    Parameters
    ----------
    seed
        A non-negative integer.
    stream
        Further integers that name an independent stream of the same seed.

    Raises
    ------
    ConfigError
        If the seed is negative.

    Examples
    --------
    >>> float(rng(3).random()) == float(rng(3).random())
    True
    """
    if seed < 0:
        raise ConfigError("seed", expected="a non-negative integer", came=str(seed))
    return np.random.Generator(np.random.PCG64([int(seed), *stream]))


def check_size(size: int) -> int:
    """Return ``size`` if an image can have it.

    Raises
    ------
    ConfigError
        If it is not an integer of at least 8.
    """
    if int(size) != size or size < 8:
        raise ConfigError("size", expected="an integer of at least 8 pixels", came=str(size))
    return int(size)


def axis(size: int) -> Array:
    """Pixel centres along one axis, shape ``(size,)``, in ``(-1, 1)``.

    Examples
    --------
    >>> axis(4)
    array([-0.75, -0.25,  0.25,  0.75], dtype=float32)
    """
    return ((2.0 * np.arange(size) + 1.0) / size - 1.0).astype(np.float32)


def oversampling(size: int, least: int) -> int:
    """The smallest power of two by which ``size`` must be multiplied to reach ``least``.

    A power of two, so that the images at ``N`` and ``2 N`` are means of one and the same fine grid.
    """
    factor = 1
    while size * factor < least:
        factor *= 2
    return factor


def coverage(distance: Array, pixel: float) -> Array:
    """Covered share of each pixel, from the signed distance of its centre to the edge (negative inside)."""
    return np.clip(np.float32(0.5) - distance * np.float32(1.0 / pixel), 0.0, 1.0)


def line_coverage(distance: Array, half_width: Array | float, pixel: float) -> Array:
    """Covered share of a line of the given half width, right for lines thinner than a pixel too."""
    magnitude = np.abs(distance)
    return coverage(magnitude - half_width, pixel) - coverage(magnitude + half_width, pixel)


def block_mean(image: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """Mean over ``factor x factor`` blocks of the last two axes."""
    if factor == 1:
        return image
    *lead, height, width = image.shape
    blocks = image.reshape(*lead, height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(-3, -1), dtype=image.dtype)


def spline_basis(points: NDArray[np.floating], knots: int) -> Array:
    """Uniform cubic B-splines with ``knots`` intervals on ``[-1, 1]``, evaluated at points: ``(len(points), knots + 3)``."""
    position = np.clip((points.astype(np.float64) + 1.0) * 0.5 * knots, 0.0, knots - 1e-9)
    cell = position.astype(np.int64)
    t = position - cell
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6.0
    basis = np.zeros((len(points), knots + 3), dtype=np.float32)
    basis[np.arange(len(points))[:, None], cell[:, None] + np.arange(4)] = weights
    return basis


def smooth_field(generator: np.random.Generator, size: int, knots: int) -> Array:
    """A smooth Gaussian field of about unit variance on the grid, from ``knots + 3`` spline coefficients along each axis.

    The coefficients do not depend on ``size``: the field is one continuous function.

    Parameters
    ----------
    generator
        Random numbers; ``(knots + 3)**2`` are drawn.
    size
        Pixels along each side.
    knots
        Intervals along each side; structures are about ``2 / knots`` wide.
    """
    coefficients = generator.standard_normal((knots + 3, knots + 3)).astype(np.float32)
    basis = spline_basis(axis(size), knots)
    # One cubic B-spline has sum of squares 0.479 along an axis on average.
    return (basis @ coefficients @ basis.T) / np.float32(0.479)


def to_tensor(image: NDArray[np.generic]) -> torch.Tensor:
    """A ``(size, size)`` array as a contiguous ``(1, size, size)`` tensor of single precision."""
    dtype = np.complex64 if np.iscomplexobj(image) else np.float32
    return torch.from_numpy(np.ascontiguousarray(image, dtype=dtype)[None])
