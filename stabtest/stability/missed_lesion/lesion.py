"""A lesion by its parameters, drawn so that a gradient flows back to them, and where its parameters may be.

The lesion is the Gaussian-edged ellipse of `stabtest.phantoms.soft`, ``h = c peak Phi((1 - q(x)) / s)``, here in PyTorch: smooth in row,
column, diameter, contrast, aspect and angle. It is drawn on the grid twice as fine (no inverse crime) from 2 x 2 samples in each fine
pixel, a quarter of a pixel of the reconstruction apart; with an edge of half a pixel their sum is that of the integral to 1e-6.

The admissible set is a box in diameter, contrast, aspect and angle, and a region for the place: the whole lesion within the body,
``depth(row, column) >= long semi-axis + 2 edges + 1``, and within the rows and columns that were asked for. Where the noise is known, the
contrast has a floor: below ``5 / d'(contrast 1)`` the data do not carry the lesion (``d'`` is linear in the contrast), and missing
it would be nobody's fault. So the projection of a point is exact in contrast, and takes a place outside to the nearest pixel inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stabtest import phantoms
from stabtest.errors import ConfigError
from stabtest.phantoms.soft import MOST_EDGE
from stabtest.stability.insertion import FACTOR

EDGE = 0.5
"""Standard deviation of the lesion's edge, in pixels of the reconstruction."""
NAMES = ("row", "column", "diameter", "contrast", "aspect", "degrees")
"""Parameters, in the order of the vector that is searched."""
_SAMPLES = 2
_MOST_ASPECT = 3.0
Polarity = Literal["bright", "dark", "both"]


@dataclass(frozen=True)
class Lesion:
    """A lesion, in pixels of the reconstruction.

    Parameters
    ----------
    row, column
        Of its middle.
    diameter
        Of the disc of equal area.
    contrast
        Height relative to the largest magnitude of the case; negative = dark.
    aspect
        Long axis over short one.
    degrees
        From the rows (to the right) to the long axis, towards larger row numbers.
    """

    row: float
    column: float
    diameter: float
    contrast: float
    aspect: float = 1.0
    degrees: float = 0.0

    @classmethod
    def of(cls, point: Tensor) -> Lesion:
        """From a vector in the order of `NAMES`; the angle from 0 to 180."""
        row, column, diameter, contrast, aspect, degrees = point.tolist()
        return cls(row, column, diameter, contrast, aspect, degrees % 180.0 if aspect > 1 else 0.0)

    @property
    def point(self) -> Tensor:
        """The vector, float64."""
        return torch.tensor([getattr(self, name) for name in NAMES], dtype=torch.float64)

    @property
    def words(self) -> str:
        """For captions."""
        form = f", {self.aspect:.2g} times as long as wide" if self.aspect > 1.005 else ""
        return f"lesion of {self.diameter:.3g} px, contrast {self.contrast:.3g}{form}, at row {self.row:.1f}, column {self.column:.1f}"


def draw(point: Tensor, shape: tuple[int, int]) -> Tensor:
    """The lesion of height 1 on the finer grid, differentiable in all parameters but the contrast, which is not used.

    Parameters
    ----------
    point
        In the order of `NAMES`, float64.
    shape
        ``(H, W)`` of the reconstruction.

    Returns
    -------
    Tensor
        ``(1, 1, 2 H, 2 W)``, float64.

    Examples
    --------
    >>> image = draw(Lesion(16.3, 15.0, 6.0, 0.1).point, (32, 32))
    >>> bool(abs(image.sum() / 4 / (torch.pi * 9) - 1) < 1e-4)
    True
    """
    row, column, diameter, _, aspect, degrees = point.unbind()
    mean = torch.sqrt(diameter**2 / 4 - EDGE**2)
    reach = (float(mean.detach()) + 8 * EDGE) * math.sqrt(float(aspect.detach())) + 1
    boxes = [
        (max(0, int(FACTOR * (float(at) + 0.5 - reach))), min(FACTOR * n, math.ceil(FACTOR * (float(at) + 0.5 + reach))))
        for at, n in zip((row.detach(), column.detach()), shape)
    ]
    (top, bottom), (left, right) = boxes
    if top >= bottom or left >= right:
        raise ConfigError(
            "lesion", expected=f"a place in an image of {shape[0]} x {shape[1]}", came=f"{Lesion.of(point.detach())}"
        )
    step = 1 / (FACTOR * _SAMPLES)
    y, x = (
        (torch.arange(_SAMPLES * first, _SAMPLES * last, dtype=point.dtype, device=point.device) + 0.5) * step - 0.5
        for first, last in boxes
    )
    dy, dx = y[:, None] - row, x - column
    turn = torch.deg2rad(degrees)
    u = (dx * torch.cos(turn) + dy * torch.sin(turn)) / torch.sqrt(aspect)
    v = (dy * torch.cos(turn) - dx * torch.sin(turn)) * torch.sqrt(aspect)
    # The root has no derivative at the centre, where the lesion is flat.
    distance = torch.sqrt(u**2 + v**2 + 1e-12)
    image = functional.avg_pool2d(torch.special.ndtr((mean - distance) / EDGE)[None, None], _SAMPLES)
    return functional.pad(image, (left, FACTOR * shape[1] - right, top, FACTOR * shape[0] - bottom))


@dataclass(frozen=True)
class LesionBox:
    """Which lesions are searched.

    Parameters
    ----------
    diameters
        Smallest and largest, in pixels; at least 2, four times the edge.
    contrasts
        Smallest and largest height, without sign, relative to the largest magnitude.
    polarity
        Bright, dark, or both.
    aspect
        Largest long axis over short one, 1 (discs) to 3.
    rows, columns
        First and one past the last, of the middle of the lesion; everywhere in the body if None.

    Raises
    ------
    ConfigError
        If a range is empty or out of bounds.
    """

    diameters: tuple[float, float] = (4.0, 8.0)
    contrasts: tuple[float, float] = (0.1, 0.2)
    polarity: Polarity = "both"
    aspect: float = 1.0
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        least = EDGE / MOST_EDGE
        if not least <= self.diameters[0] <= self.diameters[1] < math.inf:
            raise ConfigError(
                "lesions: diameters", expected=f"from {least:g} pixels, the smaller first", came=str(self.diameters)
            )
        if not 0 < self.contrasts[0] <= self.contrasts[1] < math.inf:
            raise ConfigError("lesions: contrasts", expected="above 0, the smaller first", came=str(self.contrasts))
        if not 1 <= self.aspect <= _MOST_ASPECT:
            raise ConfigError("lesions: aspect", expected=f"from 1 to {_MOST_ASPECT:g}", came=str(self.aspect))
        for name, given in (("rows", self.rows), ("columns", self.columns)):
            if given is not None and not 0 <= given[0] < given[1]:
                raise ConfigError(f"lesions: {name}", expected="first and one past the last, from 0", came=str(given))

    @property
    def signs(self) -> tuple[float, ...]:
        """Of the contrasts."""
        return {"bright": (1.0,), "dark": (-1.0,), "both": (1.0, -1.0)}[self.polarity]

    @property
    def units(self) -> tuple[float, float, float, float]:
        """Half ranges of diameter, contrast and aspect, and 45 degrees; 0 for what does not vary."""
        halves = [(high - low) / 2 for low, high in (self.diameters, self.contrasts, (1.0, self.aspect))]
        return halves[0], halves[1], halves[2], 45.0 if self.aspect > 1 else 0.0

    def clip(self, lesion: Lesion, floor: float = 0.0) -> Lesion:
        """Diameter, contrast and aspect brought into the box, the contrast not below ``floor`` in size."""
        low, high = self.contrasts
        size = min(max(abs(lesion.contrast), low, floor), high)
        return replace(
            lesion,
            diameter=min(max(lesion.diameter, self.diameters[0]), self.diameters[1]),
            contrast=math.copysign(size, lesion.contrast),
            aspect=min(max(lesion.aspect, 1.0), self.aspect),
        )

    @property
    def words(self) -> str:
        """For the report."""
        sizes, heights = (
            "{:g} to {:g}".format(*ends) if ends[0] < ends[1] else f"{ends[0]:g}" for ends in (self.diameters, self.contrasts)
        )
        sign = {"bright": "bright", "dark": "dark", "both": "bright or dark"}[self.polarity]
        form = f", up to {self.aspect:g} times as long as wide" if self.aspect > 1 else ""
        where = [
            f"{name} {given[0]} to {given[1] - 1}" for name, given in (("rows", self.rows), ("columns", self.columns)) if given
        ]
        place = f" in {' and '.join(where)}" if where else ""
        return f"{sizes} pixels in diameter, {heights} of the largest pixel in height, {sign}{form}, everywhere within the body{place}"


class Room:
    """Where the middle of a lesion may be, so that all of it lies within the body.

    Parameters
    ----------
    image
        Of the case, ``(1, 1, H, W)``.
    box
        Gives rows and columns.
    """

    def __init__(self, image: Tensor, box: LesionBox) -> None:
        self.depth: NDArray[np.float64] = phantoms.depth(image).numpy()
        allowed = np.zeros(self.depth.shape, dtype=bool)
        allowed[slice(*(box.rows or (None,))), slice(*(box.columns or (None,)))] = True
        self.depth[~allowed] = 0.0

    def need(self, lesion: Lesion) -> float:
        """How far from the border of the body its middle must be."""
        mean = math.sqrt(lesion.diameter**2 / 4 - EDGE**2)
        return (mean + 2 * EDGE) * math.sqrt(lesion.aspect) + 1.0

    def project(self, lesion: Lesion) -> Lesion | None:
        """The lesion where it is if there is room, else at the nearest pixel that has room; None if none has."""
        need = self.need(lesion)
        if self._at(lesion.row, lesion.column) >= need:
            return lesion
        rows, columns = np.nonzero(self.depth >= need)
        if not len(rows):
            return None
        nearest = np.argmin((rows - lesion.row) ** 2 + (columns - lesion.column) ** 2)
        return replace(lesion, row=float(rows[nearest]), column=float(columns[nearest]))

    def lattice(self, lesion: Lesion, count: int) -> tuple[list[tuple[int, int]], float]:
        """About ``count`` pixels on a square lattice that have room for a lesion of this size, and the spacing of the lattice.

        The lattice lies symmetric to the middle of the room; where it has fewer than half as many points, it is made denser.
        """
        rows, columns = np.nonzero(self.depth >= self.need(lesion))
        if not len(rows):
            return [], 0.0
        there = set(zip(rows.tolist(), columns.tolist()))
        spacing = max(1.0, math.sqrt(len(rows) / count))
        while True:
            axes = [_axis(places, spacing) for places in (rows, columns)]
            found = [(r, c) for r in axes[0] for c in axes[1] if (r, c) in there]
            if 2 * len(found) >= count or spacing <= 1.0:
                return found, spacing
            spacing = max(1.0, 0.9 * spacing)

    def _at(self, row: float, column: float) -> float:
        """Depth between pixels: the least of the four around the place."""
        height, width = self.depth.shape
        if not (0 <= row <= height - 1 and 0 <= column <= width - 1):
            return 0.0
        around = self.depth[math.floor(row) : math.ceil(row) + 1, math.floor(column) : math.ceil(column) + 1]
        return float(around.min())


def _axis(places: NDArray[np.int64], spacing: float) -> list[int]:
    """Points of a lattice, symmetric within the extent of the places."""
    low, high = int(places.min()), int(places.max())
    count = max(1, round((high - low + 1) / spacing))
    return sorted({int(low + (high - low + 1) * (k + 0.5) / count) for k in range(count)})
