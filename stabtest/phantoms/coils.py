"""Receive-coil sensitivities of a birdcage-like array.

Element ``k`` sits at ``c_k`` on a ring around the object, and its sensitivity falls with the distance while its phase turns
once around it:

    s_k(x) = exp(i arg(x - c_k)) / sqrt(|x - c_k|^2 + w^2),

which is the in-plane part of the field of a long straight wire (Biot and Savart), softened by the width ``w`` of the
conductor. The maps are divided by their root sum of squares, so that ``sum_k |s_k|^2 = 1`` at every pixel.

Source: the birdcage coil simulation common to the MRI toolboxes (for example ``sigpy.mri.birdcage_maps``); P. B. Roemer et
al., *The NMR phased array*, Magnetic Resonance in Medicine 16 (1990), for the combination by root sum of squares.
"""

from __future__ import annotations

import numpy as np
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import grid


def coil_maps(size: int, coils: int, *, seed: int, radius: float = 1.5) -> torch.Tensor:
    """Smooth complex coil sensitivities.

    Parameters
    ----------
    size
        Pixels along each side, at least 8.
    coils
        Number of receive elements, at least 1.
    seed
        Non-negative integer; moves the elements by a few per cent of the ring and turns their phases.
    radius
        Radius of the ring in units of half the field of view, at least 1.42: every element lies beyond the corners,
        since the phase turns around it.

    Returns
    -------
    Tensor
        Shape ``(coils, size, size)``, complex64, root sum of squares 1 at every pixel.

    Raises
    ------
    ConfigError
        If ``size``, ``coils``, ``seed`` or ``radius`` is out of range.

    Examples
    --------
    >>> maps = coil_maps(16, 4, seed=0)
    >>> torch.allclose(maps.abs().square().sum(0), torch.ones(16, 16))
    True
    """
    size = grid.check_size(size)
    if coils < 1:
        raise ConfigError("coils", expected="at least one receive element", came=str(coils))
    if not radius >= 1.42:
        raise ConfigError("radius", expected="a ring beyond the corners of the field of view, at least 1.42", came=str(radius))
    generator = grid.rng(seed, 11)
    angles = 2 * np.pi * (np.arange(coils) + generator.uniform(0, 1) + 0.15 * generator.uniform(-1, 1, coils)) / coils
    ring = radius * (1.0 + 0.1 * generator.uniform(0, 1, coils))
    turns = generator.uniform(-np.pi, np.pi, coils)
    points = grid.axis(size).astype(np.float64)
    across = points - (ring * np.cos(angles))[:, None, None]
    down = points[:, None] - (ring * np.sin(angles))[:, None, None]
    distance = np.sqrt(across**2 + down**2 + 0.15**2)
    # Relative to the direction towards the centre, so that the phase wraps behind the element and not in the image.
    field = (across + 1j * down) * np.exp(1j * (turns - angles))[:, None, None]
    maps = field / np.abs(field) / distance
    maps = maps / np.sqrt(np.sum(np.abs(maps) ** 2, axis=0))
    return torch.from_numpy(maps.astype(np.complex64))
