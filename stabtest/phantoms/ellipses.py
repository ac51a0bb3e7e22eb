"""Random overlapping ellipses, the "ellipsoidal" data on which FBPConvNet was trained.

The object is ``clip(sum_k a_k 1[x in E_k] / s, 0, 1)`` with a random number of ellipses ``E_k`` of random centre, semi-axes,
angle and intensity ``a_k`` of either sign, all inside the unit disc; ``s`` is the largest value of the sum. The background
is 0.

Source: K. H. Jin, M. T. McCann, E. Froustey, M. Unser, *Deep convolutional neural network for inverse problems in imaging*,
IEEE Transactions on Image Processing 26 (2017), section V-A (images of ellipses of random intensity, size and location).
"""

from __future__ import annotations

import numpy as np
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import grid
from stabtest.phantoms.grid import Array


def ellipses(size: int, *, seed: int, count: tuple[int, int] = (8, 24)) -> torch.Tensor:
    """Draw one image of random ellipses.

    Parameters
    ----------
    size
        Pixels along each side, at least 8.
    seed
        Non-negative integer; the same seed is the same object at every size.
    count
        Smallest and largest number of ellipses.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``, 0 outside the unit disc.

    Raises
    ------
    ConfigError
        If ``size`` is below 8, ``seed`` is negative or ``count`` is not an increasing pair of positive integers.

    Examples
    --------
    >>> image = ellipses(32, seed=0)
    >>> image.shape, bool(image.max() <= 1)
    (torch.Size([1, 32, 32]), True)
    """
    size = grid.check_size(size)
    if not 1 <= count[0] <= count[1]:
        raise ConfigError("count", expected="a pair (smallest, largest) with 1 <= smallest <= largest", came=str(count))
    scene = _scene(grid.rng(seed), count)
    factor = grid.oversampling(size, 256)
    image = _render(scene, size * factor)
    # The scale must not depend on the grid: it is the largest value on a fixed one.
    peak = float(_render(scene, 64).max())
    image = np.clip(image / np.float32(max(peak, 1e-3)), 0.0, 1.0)
    return grid.to_tensor(grid.block_mean(image, factor))


def _scene(generator: np.random.Generator, count: tuple[int, int]) -> list[tuple[float, ...]]:
    """Centre, semi-axes, angle and intensity of each ellipse; every ellipse lies in the unit disc."""
    number = int(generator.integers(count[0], count[1] + 1))
    scene: list[tuple[float, ...]] = []
    for index in range(number):
        major = generator.uniform(0.35, 0.6) if index == 0 else 0.04 + 0.36 * generator.random() ** 1.5
        minor = major * generator.uniform(0.3, 1.0)
        radius = (0.97 - major) * np.sqrt(generator.random())
        where, angle = generator.uniform(0.0, 2 * np.pi, size=2)
        # The first is large and positive, so that there is something to take away from.
        sign = 1.0 if index == 0 or generator.random() < 0.65 else -1.0
        intensity = sign * generator.uniform(0.15, 1.0)
        scene.append((radius * np.cos(where), radius * np.sin(where), major, minor, angle, intensity))
    return scene


def _render(scene: list[tuple[float, ...]], size: int) -> Array:
    """The additive sum on a grid, each ellipse drawn only within its bounding box."""
    image = np.zeros((size, size), dtype=np.float32)
    points, pixel = grid.axis(size), 2.0 / size
    for x0, y0, major, minor, angle, intensity in scene:
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        columns = _span(points, x0, np.hypot(major * cos, minor * sin) + pixel)
        rows = _span(points, y0, np.hypot(major * sin, minor * cos) + pixel)
        x, y = points[columns] - np.float32(x0), points[rows, None] - np.float32(y0)
        u, v = (cos * x + sin * y) / np.float32(major), (cos * y - sin * x) / np.float32(minor)
        # First-order signed distance (q - 1) / |grad q| of the level function q = sqrt(u^2 + v^2).
        q = np.sqrt(u * u + v * v)
        slope = np.sqrt((u / np.float32(major)) ** 2 + (v / np.float32(minor)) ** 2)
        distance = (q - 1) * q / np.maximum(slope, np.float32(1e-6))
        distance = np.where(slope > 1e-6, distance, -np.float32(minor))
        image[rows, columns] += np.float32(intensity) * grid.coverage(distance, pixel)
    return image


def _span(points: Array, centre: float, reach: float) -> slice:
    """The pixels whose centres lie within ``reach`` of ``centre``."""
    return slice(int(np.searchsorted(points, centre - reach)), int(np.searchsorted(points, centre + reach, side="right")))
