"""Where a worst-case perturbation may live, in words that hold for every case: "the high frequencies", "the first three views".

A test of stability is set up before there is an operator, and the same for all cases. So it names its region, and the boolean
tensor is made from the name and the operator of each case (`stabtest.search.regions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator
from stabtest.search import regions
from stabtest.search.constraints import Domain

RegionKind = Literal["high_frequencies", "low_frequencies", "band", "one_coil", "views", "disc", "box"]

KEYS: Mapping[RegionKind, tuple[str, ...]] = {
    "high_frequencies": ("above",),
    "low_frequencies": ("below",),
    "band": ("above", "below"),
    "one_coil": ("coil",),
    "views": ("views",),
    "disc": ("centre", "radius_px"),
    "box": ("rows", "columns"),
}
"""What each kind needs, no more and no less."""


@dataclass(frozen=True)
class Region:
    """A region by its name.

    Parameters
    ----------
    kind
        ``"high_frequencies"``, ``"low_frequencies"``, ``"band"`` (of k-space), ``"one_coil"``, ``"views"`` (of a sinogram),
        ``"disc"`` or ``"box"`` (of the image).
    above, below
        Radii in k-space as shares of the Nyquist frequency, from ``above`` on and up to, not including, ``below``.
    coil, views
        From 0.
    centre, radius_px
        Of the disc, ``(row, column)`` and radius, in pixels.
    rows, columns
        Of the box, the first and one past the last, from 0.

    Raises
    ------
    ConfigError
        If the kind is unknown, lacks what it needs or has what it does not use.

    Examples
    --------
    >>> Region("band", above=0.25, below=0.5).words
    'frequencies from 0.25 to 0.5 of Nyquist'
    """

    kind: RegionKind
    above: float | None = None
    below: float | None = None
    coil: int | None = None
    views: tuple[int, ...] | None = None
    centre: tuple[float, float] | None = None
    radius_px: float | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KEYS:
            raise ConfigError("region: kind", expected=f"one of {', '.join(KEYS)}", came=repr(self.kind))
        given = [name for name in self.__dataclass_fields__ if name != "kind" and getattr(self, name) is not None]
        if sorted(given) != sorted(KEYS[self.kind]):
            raise ConfigError(
                f"region {self.kind}", expected=" and ".join(KEYS[self.kind]), came=", ".join(given) or "nothing else"
            )

    @property
    def domain(self) -> Domain:
        """Where a perturbation kept to this region lives: discs and boxes are of the image, the others of the measurement."""
        return "image" if self.kind in ("disc", "box") else "measurement"

    @property
    def words(self) -> str:
        """The region as a report names it."""
        match self.kind:
            case "high_frequencies":
                return f"frequencies from {self.above:g} of Nyquist"
            case "low_frequencies":
                return f"frequencies below {self.below:g} of Nyquist"
            case "band":
                return f"frequencies from {self.above:g} to {self.below:g} of Nyquist"
            case "one_coil":
                return f"coil {self.coil} (from 0)"
            case "views":
                return f"views {', '.join(map(str, self.views or ()))} (from 0)"
            case "disc":
                return f"a disc of radius {self.radius_px:g} px about {_pair(self.centre)}"
            case "box":
                return f"rows {_span(self.rows)} and columns {_span(self.columns)}"

    def of(self, operator: LinearOperator) -> Tensor:
        """The boolean tensor for an operator, broadcastable to an element of the perturbation's space.

        Parameters
        ----------
        operator
            Forward model of the case.

        Raises
        ------
        SearchError
            If the operator has no such region, or nothing is measured in it.

        Examples
        --------
        >>> import torch
        >>> from stabtest.operators import Fourier
        >>> int(Region("low_frequencies", below=0.3).of(Fourier(torch.ones(8, 8, dtype=torch.bool))).sum())
        5
        """
        shape = (operator.domain.shape[-2], operator.domain.shape[-1])
        # What each kind needs is there: see __post_init__.
        match self.kind:
            case "high_frequencies":
                return regions.high_frequencies(operator, self.above or 0.0)
            case "low_frequencies":
                return regions.low_frequencies(operator, self.below or 0.0)
            case "band":
                return regions.band(operator, self.above or 0.0, self.below or 0.0)
            case "one_coil":
                return regions.one_coil(operator, self.coil or 0)
            case "views":
                return regions.views(operator, self.views or ())
            case "disc":
                return regions.disc(shape, self.centre or (0.0, 0.0), self.radius_px or 0.0)
            case "box":
                return regions.box(shape, self.rows or (0, 0), self.columns or (0, 0))


def _pair(point: tuple[float, float] | None) -> str:
    return "" if point is None else f"({point[0]:g}, {point[1]:g})"


def _span(ends: tuple[int, int] | None) -> str:
    return "" if ends is None else f"{ends[0]} to {ends[1] - 1}"
