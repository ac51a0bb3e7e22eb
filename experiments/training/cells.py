r"""Cell-like images with their segmentation, for the U-Net of the lecture.

As in the sections of tissue that the U-Net was first made for (O. Ronneberger, P. Fischer, T. Brox, *U-Net*, MICCAI 2015: cells
apart, membranes between them), all made here from a seed:

1. Centres ``c_i`` on a jittered grid of a random pitch, in coordinates that are bent by two smooth random fields.
2. A pixel belongs to the cell of the nearest centre; with ``d_1 <= d_2`` the distances to the two nearest, ``m = (d_2 - d_1) / 2`` is
   about the distance to the membrane, which is where ``m`` is below half its width.
3. Grey values: membranes dark, each cell of a level of its own, in it a smooth texture and some round organelles as dark as membranes
   (what separates them is shape). Then a blur by the optics and Gaussian noise.

The truth is 1 in a cell, organelles included, and 0 on a membrane.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

Array = NDArray[np.float32]
NOISE = 0.08
"""Standard deviation, of a grey scale from 0 to 1."""


def cells(size: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """One image ``(1, size, size)``, float32, and its classes ``(size, size)``, int64.

    Parameters
    ----------
    size
        Pixels along each side.
    seed
        Another one, another image.

    Examples
    --------
    >>> image, classes = cells(64, seed=0)
    >>> image.shape, classes.unique(), 0.6 < classes.float().mean().item() < 0.95
    (torch.Size([1, 64, 64]), tensor([0, 1]), True)
    """
    generator = np.random.default_rng([seed, 77])
    pitch, width = generator.uniform(16, 26), generator.uniform(2.0, 3.5)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    rows, columns = (axis + 3 * _smooth(generator, size, 8) for axis in (rows, columns))
    count = int(size / pitch) + 4
    grid = (np.mgrid[:count, :count].reshape(2, -1).T - 1.5) * pitch
    centres = grid + generator.uniform(-0.38, 0.38, grid.shape) * pitch
    distances = np.hypot(rows[..., None] - centres[:, 0], columns[..., None] - centres[:, 1])
    nearest = np.argmin(distances, axis=-1)
    first, second = np.moveaxis(np.partition(distances, 1, axis=-1)[..., :2], -1, 0)
    inside = (second - first) / 2 > width / 2

    level = generator.uniform(0.5, 0.85, len(centres))[nearest] + 0.06 * _smooth(generator, size, 2)
    dark = generator.uniform(0.15, 0.3)
    for centre in centres[generator.random(len(centres)) < 0.6]:
        place, radius = centre + generator.normal(0, pitch / 8, 2), generator.uniform(1.5, 3.5)
        level = np.where(np.hypot(rows - place[0], columns - place[1]) < radius, dark, level)
    image = ndimage.gaussian_filter(np.where(inside, level, dark), generator.uniform(0.6, 1.0))
    image = image + NOISE * generator.standard_normal(image.shape)
    return torch.from_numpy(image.astype(np.float32))[None], torch.from_numpy(inside.astype(np.int64))


def _smooth(generator: np.random.Generator, size: int, width: float) -> Array:
    """Gaussian noise of standard deviation about 1, blurred."""
    field = ndimage.gaussian_filter(generator.standard_normal((size, size)), width, mode="wrap")
    return (field / field.std()).astype(np.float32)
