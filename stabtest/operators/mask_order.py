"""Orders in which k-space is acquired, one for each kind of mask.

A mask at a sampling fraction is a threshold of a *rank field*: rank 0 is measured first, and the mask at
``n`` samples is ``ranks < n``. Two masks of one field are therefore nested, whatever their fractions: more is
always a superset. Ranks of column kinds have shape ``(W,)`` (a column is measured wholly), of point kinds
``(H, W)``, and of spokes ``(H, W)`` with the number of the first spoke through a point.

Sources: the centre block of columns is that of fastMRI (Zbontar et al., arXiv:1811.08839,
`fastmri.data.subsample`); variable density is that of Lustig, Donoho & Pauly, MRM 58 (2007); points are drawn
without replacement in proportion to a density by the exponential keys of Efraimidis & Spirakis, Inf. Proc.
Lett. 97 (2006); the Poisson-disc order is the relaxation dart throwing of McCool & Fiume, Graphics Interface
(1992), every prefix of which is a Poisson-disc set; spokes follow the golden angle of Winkelmann et al., IEEE
TMI 26 (2007).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

Ranks = NDArray[np.int64]
Reals = NDArray[np.float64]

GOLDEN_ANGLE = math.pi * (math.sqrt(5) - 1) / 2
"""Increment of the golden-angle order, in radians (111.246 degrees)."""


def _uniform(count: int, seed: int) -> Reals:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64).numpy()


def _ranks_of(order: NDArray[np.int64]) -> Ranks:
    """Invert an order (indices, first measured first) into ranks."""
    ranks = np.empty(order.size, dtype=np.int64)
    ranks[order] = np.arange(order.size)
    return ranks


def _centre_block(width: int, count: int) -> NDArray[np.int64]:
    """The ``count`` central columns, as fastMRI places them, from the centre outwards."""
    start = (width - count + 1) // 2
    block = np.arange(start, start + count)
    return block[np.argsort(np.abs(block - width // 2), kind="stable")]


def random_columns(width: int, centre: int, seed: int) -> Ranks:
    """The centre block, then all other columns in random order."""
    block = _centre_block(width, centre)
    rest = np.setdiff1d(np.arange(width), block)
    return _ranks_of(np.concatenate([block, rest[np.argsort(_uniform(rest.size, seed))]]))


def gaussian_columns(width: int, centre: int, sigma: float, seed: int) -> Ranks:
    """The centre block, then columns drawn with a Gaussian density of deviation ``sigma * width``."""
    block = _centre_block(width, centre)
    rest = np.setdiff1d(np.arange(width), block)
    # Keys Exp(1)/density in logarithms: far columns have densities that underflow.
    log_density = -0.5 * ((rest - width // 2) / (sigma * width)) ** 2
    keys = np.log(-np.log1p(-_uniform(rest.size, seed))) - log_density
    return _ranks_of(np.concatenate([block, rest[np.argsort(keys)]]))


def equispaced_columns(width: int, centre: int, lines: int, seed: int) -> Ranks:
    """The centre block, ``lines`` equispaced columns, then all others, each time the one in the widest gap.

    The ``lines`` lie ``(width - centre) / lines`` apart, which is the adjusted acceleration of fastMRI's
    `EquispacedMaskFractionFunc`, counted along the columns outside the centre block so that their number is
    exact.
    """
    block = _centre_block(width, centre)
    rest = np.setdiff1d(np.arange(width), block)
    draws = _uniform(1 + width, seed)
    # Distances are whole numbers: parts of one only break ties, which would else fill k-space from the left.
    offset, jitter = float(draws[0]), 0.9 * draws[1:]
    positions = np.floor((np.arange(lines) + offset) * rest.size / max(lines, 1)).astype(np.int64)
    chosen = rest[np.minimum(positions, rest.size - 1)] if lines else rest[:0]
    order = [*block.tolist()]
    nearest = np.full(width, np.inf)
    for column in order:
        nearest = np.minimum(nearest, np.abs(np.arange(width) - column))
    for candidates in (chosen, np.setdiff1d(rest, chosen)):
        waiting = np.zeros(width, dtype=bool)
        waiting[candidates] = True
        while waiting.any():
            column = int(np.argmax(np.where(waiting, nearest + jitter, -1.0)))
            waiting[column] = False
            order.append(column)
            nearest = np.minimum(nearest, np.abs(np.arange(width) - column))
    return _ranks_of(np.array(order))


def k_radius(shape: tuple[int, int]) -> Reals:
    """Distance of each grid point from DC, 1 at the middle of an edge, shape ``(H, W)``."""
    rows, columns = ((np.arange(n) - n // 2) / max(n / 2, 1) for n in shape)
    return np.hypot(rows[:, None], columns[None, :])


def density_points(shape: tuple[int, int], centre: int, power: float, seed: int) -> Ranks:
    """The ``centre`` points nearest to DC, then points drawn with density ``(1 - r/r_max)^power``."""
    radius = k_radius(shape).ravel()
    inner = np.argsort(radius, kind="stable")[:centre]
    density = np.maximum(1 - radius / radius.max(initial=1e-12), 1e-3) ** power
    keys = -np.log1p(-_uniform(radius.size, seed)) / density
    keys[inner] = -1.0 / (1.0 + radius[inner])
    return _ranks_of(np.argsort(keys, kind="stable")).reshape(shape)


def poisson_points(shape: tuple[int, int], centre: int, slope: float, seed: int) -> Ranks:
    """The ``centre`` points nearest to DC, then darts at a falling distance ``s (1 + slope r)``.

    Darts are thrown in random order at the present ``s`` until none fits, then ``s`` falls by the fourth root
    of two.
    """
    height, width = shape
    radius = k_radius(shape)
    spacing = 1 + slope * radius
    inner = np.argsort(radius.ravel(), kind="stable")[:centre]
    taken = np.zeros(shape, dtype=bool)
    taken.ravel()[inner] = True
    order: list[int] = [int(i) for i in inner]
    darts = np.argsort(_uniform(radius.size, seed))
    if not order:
        order, taken[height // 2, width // 2] = [height // 2 * width + width // 2], True
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    scale = max(shape) / 4.0
    while len(order) < radius.size:
        distance = np.asarray(ndimage.distance_transform_edt(~taken))
        free = ~taken & (distance >= scale * spacing)
        reach = math.ceil(scale * float(spacing.max()))
        for dart in darts[free.ravel()[darts]]:
            i, j = divmod(int(dart), width)
            if not free[i, j]:
                continue
            order.append(int(dart))
            taken[i, j] = True
            near = np.s_[max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
            square = (rows[near[0]] - i) ** 2 + (columns[:, near[1]] - j) ** 2
            free[near] &= square >= (scale * spacing[near]) ** 2
        # Below the grid spacing everything fits: the last pass takes what is left, at random.
        scale = scale / 2**0.25 if scale * float(spacing.max()) > 1 else 0.0
    return _ranks_of(np.array(order)).reshape(shape)


def radial_spokes(shape: tuple[int, int], seed: int) -> Ranks:
    """Number of the first golden-angle spoke through each point; spokes run through DC to the border.

    Points that no one of ``4 max(H, W)`` spokes meets follow from the centre outwards, one a "spoke".
    """
    height, width = shape
    count = 4 * max(shape)
    start = float(_uniform(1, seed)[0]) * math.pi
    ranks = np.full(shape, np.iinfo(np.int64).max)
    rows, columns = np.arange(height) - height // 2, np.arange(width) - width // 2
    for spoke in reversed(range(count)):
        angle = start + spoke * GOLDEN_ANGLE
        along, across = math.cos(angle), math.sin(angle)
        # Stepping along the axis on which the spoke is longer (in samples) leaves no holes in it.
        if abs(along) >= abs(across):
            i, j = np.rint(columns * across / along).astype(np.int64) + height // 2, columns + width // 2
        else:
            i, j = rows + height // 2, np.rint(rows * along / across).astype(np.int64) + width // 2
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        ranks[i[inside], j[inside]] = spoke
    missed = np.flatnonzero(ranks.ravel() >= count)
    missed = missed[np.argsort(k_radius(shape).ravel()[missed], kind="stable")]
    ranks.ravel()[missed] = count + np.arange(missed.size)
    return ranks
