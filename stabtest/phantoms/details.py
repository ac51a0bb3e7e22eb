"""Small structures to put into an image: lesions, text and line pairs, and where to put them.

Places and lengths are given in *pixels of a nominal grid* of ``nominal x nominal`` pixels over the field of view (``nominal
= size`` if it is not given): pixel ``(row, column)`` has its centre at ``((row + 1/2) / nominal, (column + 1/2) /
nominal)`` of the field of view, and ``centre`` may be fractional. ``lesion(256, centre=(40, 60), diameter=5, nominal=128)``
is therefore the same object as ``lesion(128, centre=(40, 60), diameter=5)`` on a grid twice as fine: its block mean is the
coarser image. Every detail is real, in ``[0, 1]``, and the mean over each pixel: text and line pairs exactly (products of
interval overlaps), lesions by sampling at least 64 points across the diameter.

An irregular lesion has the outline ``r(t) = R (1 + sum_k c_k cos(k t + p_k)) / sqrt(1 + sum_k c_k^2 / 2)``, ``k = 2 .. 5``:
its area is ``pi R^2`` exactly, as is that of the round one, and a soft edge keeps it.

Source: structural details as in V. Antun, F. Renna, C. Poon, B. Adcock, A. C. Hansen, *On instabilities of deep learning in
image reconstruction and the potential costs of AI*, PNAS 117 (2020), figures 3 and 4 (text, symbols, tumours).
"""

from __future__ import annotations

import numpy as np
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import grid
from stabtest.phantoms.font import bitmap
from stabtest.phantoms.grid import Array

Centre = tuple[float, float]


def lesion(
    size: int,
    *,
    centre: Centre,
    diameter: float,
    edge: float = 0.0,
    irregularity: float = 0.0,
    seed: int = 0,
    nominal: int | None = None,
) -> torch.Tensor:
    """A round or irregular blob of height 1.

    Parameters
    ----------
    size
        Pixels along each side of the image.
    centre
        ``(row, column)`` in pixels of the nominal grid.
    diameter
        Of the disc of equal area, in pixels of the nominal grid.
    edge
        Width of the linear fall-off across the outline, in pixels of the nominal grid; at most the diameter.
    irregularity
        Root mean square deviation of the outline from a circle as a fraction of the radius, 0 to 0.3.
    seed
        Chooses the outline when ``irregularity`` is positive.
    nominal
        Pixels along each side of the grid in which places and lengths are given; ``size`` if None.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``; the sum times the pixel area is ``pi diameter^2 / 4`` (within 1 %)
        where the lesion lies within the field of view.

    Raises
    ------
    ConfigError
        If a length is not positive, or ``edge`` or ``irregularity`` is out of range.

    Examples
    --------
    >>> area = lesion(64, centre=(30, 31.5), diameter=5).sum()
    >>> bool(abs(area / (torch.pi * 25 / 4) - 1) < 0.01)
    True
    """
    size = grid.check_size(size)
    nominal = size if nominal is None else grid.check_size(nominal)
    if not diameter > 0:
        raise ConfigError("diameter", expected="a positive number of pixels of the nominal grid", came=str(diameter))
    if not 0 <= edge <= diameter:
        raise ConfigError("edge", expected=f"a width between 0 and the diameter {diameter}", came=str(edge))
    if not 0 <= irregularity <= 0.3:
        raise ConfigError("irregularity", expected="a fraction between 0 and 0.3", came=str(irregularity))
    # Radius and fall-off in pixels of the image; the fall-off enlarges the area by pi edge^2 / 12, which is taken back.
    unit = size / nominal
    radius = unit * float(np.sqrt(diameter**2 / 4 - edge**2 / 12))
    row, column = ((c + 0.5) * unit for c in centre)
    reach = (1.0 + 4.0 * irregularity) * radius + unit * edge + 1.0
    top, bottom = _box(row, reach, size)
    left, right = _box(column, reach, size)
    image = np.zeros((size, size), dtype=np.float32)
    if top >= bottom or left >= right:
        return grid.to_tensor(image)
    factor = grid.oversampling(1, int(np.ceil(64 / (unit * diameter)))) if unit * diameter < 64 else 1
    y = _samples(top, bottom, factor)[:, None] - row
    x = _samples(left, right, factor) - column
    distance = np.hypot(x, y)
    if irregularity > 0:
        generator = grid.rng(seed, 17)
        order = np.arange(2, 6)
        amplitude = generator.standard_normal(4) / order
        amplitude *= irregularity / np.sqrt(0.5 * np.sum(amplitude**2))
        shift = generator.uniform(0, 2 * np.pi, 4)
        angle = np.arctan2(y, x)[..., None]
        outline = 1.0 + np.sum(amplitude * np.cos(order * angle + shift), axis=-1)
        distance = distance - radius * (outline / np.sqrt(1.0 + 0.5 * np.sum(amplitude**2)) - 1.0)
    width = float(np.hypot(unit * edge, 1.0 / factor))
    image[top:bottom, left:right] = grid.block_mean(grid.coverage(distance - radius, width), factor)
    return grid.to_tensor(image)


def disc(size: int, *, centre: Centre, diameter: float, nominal: int | None = None) -> torch.Tensor:
    """A disc of height 1 with a sharp edge: `lesion` without irregularity.

    Parameters, shapes, units and errors are those of `lesion`.

    Examples
    --------
    >>> float(disc(32, centre=(15, 15), diameter=8)[0, 15, 15])
    1.0
    """
    return lesion(size, centre=centre, diameter=diameter, nominal=nominal)


def text(size: int, string: str, *, centre: Centre, height: float, nominal: int | None = None) -> torch.Tensor:
    """A line of capital letters, figures and signs in a 5 x 7 bitmap font, of height 1.

    Parameters
    ----------
    size
        Pixels along each side of the image.
    string
        What to write: letters (written as capitals), figures, space and ``. , - + ? ! : /``.
    centre
        ``(row, column)`` of the middle of the line, in pixels of the nominal grid.
    height
        Of a capital letter, in pixels of the nominal grid; strokes are a seventh of it.
    nominal
        As in `lesion`.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``: the share of each pixel that is written on, exactly.

    Raises
    ------
    ConfigError
        If the height is not positive, the string is empty or a sign is not in the font.

    Examples
    --------
    >>> text(64, "SIAM", centre=(31.5, 31.5), height=14).shape
    torch.Size([1, 64, 64])
    """
    size = grid.check_size(size)
    unit = size / (size if nominal is None else grid.check_size(nominal))
    if not height > 0:
        raise ConfigError("height", expected="a positive number of pixels of the nominal grid", came=str(height))
    cells = bitmap(string)
    cell = unit * height / 7
    rows = _overlaps((centre[0] + 0.5) * unit + (np.arange(8) - 3.5) * cell, size)
    columns = _overlaps((centre[1] + 0.5) * unit + (np.arange(cells.shape[1] + 1) - cells.shape[1] / 2) * cell, size)
    return grid.to_tensor(np.clip(rows @ cells @ columns.T, 0.0, 1.0))


def line_pairs(
    size: int,
    *,
    centre: Centre,
    period: float,
    count: int = 4,
    length: float | None = None,
    vertical: bool = True,
    nominal: int | None = None,
) -> torch.Tensor:
    """Parallel bars of height 1, as wide as the gaps between them: a resolution pattern.

    Parameters
    ----------
    size
        Pixels along each side of the image.
    centre
        ``(row, column)`` of the middle of the pattern, in pixels of the nominal grid.
    period
        One bar and one gap, in pixels of the nominal grid; the pattern has ``1 / period`` line pairs per pixel.
    count
        Number of bars, at least 1.
    length
        Of the bars, in pixels of the nominal grid; ``count * period`` if None.
    vertical
        Bars from top to bottom; from left to right otherwise.
    nominal
        As in `lesion`.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``: the covered share of each pixel, exactly.

    Raises
    ------
    ConfigError
        If a length or the count is not positive.

    Examples
    --------
    >>> bars = line_pairs(32, centre=(15.5, 15.5), period=4, count=3)
    >>> float(bars.sum())  # three bars, 2 x 12 pixels each
    72.0
    """
    size = grid.check_size(size)
    unit = size / (size if nominal is None else grid.check_size(nominal))
    length = count * period if length is None else length
    if not (period > 0 and length > 0 and count >= 1):
        raise ConfigError("line_pairs", expected="positive period, length and count", came=f"{period}, {length}, {count}")
    row, column = ((c + 0.5) * unit for c in centre)
    across, along = (column, row) if vertical else (row, column)
    # Bars and gaps alternate; the pattern begins and ends with a bar.
    edges = across + (np.arange(2 * count) - (2 * count - 1) / 2) * 0.5 * period * unit
    bars = _overlaps(edges, size)[:, ::2].sum(axis=1)
    extent = _overlaps(np.array([along - 0.5 * length * unit, along + 0.5 * length * unit]), size)[:, 0]
    pattern = np.outer(extent, bars) if vertical else np.outer(bars, extent)
    return grid.to_tensor(np.clip(pattern, 0.0, 1.0))


def _box(middle: float, reach: float, size: int) -> tuple[int, int]:
    """First and one past the last pixel within ``reach`` of a place."""
    return max(0, int(np.floor(middle - reach))), min(size, int(np.ceil(middle + reach)))


def _samples(first: int, last: int, factor: int) -> Array:
    """Sample points in the pixels ``first .. last - 1``, ``factor`` in each."""
    return first + (np.arange((last - first) * factor) + 0.5) / factor


def _overlaps(edges: Array, size: int) -> Array:
    """Length of the overlap of each pixel with each interval between consecutive edges: ``(size, len(edges) - 1)``."""
    pixel = np.arange(size, dtype=np.float64)[:, None]
    return np.clip(np.minimum(pixel + 1, edges[1:]) - np.maximum(pixel, edges[:-1]), 0.0, None)
