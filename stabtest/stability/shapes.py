"""The shapes of details that are put into an object, each by one size, and what is scored beside the recovery.

======================  ==================================================================  ================================
shape                   what it is                                                          its size
======================  ==================================================================  ================================
``lesion``              a disc with a linear edge one pixel wide                            diameter
``disc``                a disc with a sharp edge                                            diameter
``gaussian``            a disc with a Gaussian edge, standard deviation an eighth of it     diameter of the disc of equal area
``irregular``           a tumour: an irregular outline (15 %), edge one pixel wide          diameter of the disc of equal area
``vessel``              an S of a width of a sixth of the size                              from end to end
``line_pairs``          three bars from top to bottom, gaps as wide, period 0.4 of the size  side of the pattern
``line_pairs_turned``   the same from left to right                                         side of the pattern
``text``                a line of letters                                                   length of the line
``spade`` ... ``club``  card symbols                                                        height
======================  ==================================================================  ================================

All are drawn as means over the pixels of the grid twice as fine; the outline of a tumour and the direction of a vessel are drawn from the
seed of the site, the same for all methods.

**Local recovery**: the contrast against the immediate surroundings. With the footprint ``w`` (the share of each pixel that the detail
covers), a ring ``B`` of pixels 2 to 4 pixels from it, the change ``D`` and the template ``t``, both along the local phase,

    c_local = (<w, D> / <w, 1> - mean_B D) / (<w, t> / <w, 1> - mean_B t).

A uniform shift of the surroundings, which the matched filter of `stabtest.stability.structure` counts, cancels.

**Modulation** of line pairs: with the bars ``b`` and the gaps ``g`` between them (shares of pixels),

    m = (<b, D> / <b, 1> - <g, D> / <g, 1>) / (<b, t> / <b, 1> - <g, t> / <g, 1>):

1 where the bars stand out as they should, 0 where they are a smear, whatever came back of the smear, negative where bars and gaps have
changed places. It is not given where the template itself shows the bars with less than a tenth of their height: the pixels cannot
hold them.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from torch import Tensor
from torch.nn import functional

from stabtest import phantoms
from stabtest.errors import ConfigError

Shape = Literal[
    "lesion",
    "disc",
    "gaussian",
    "irregular",
    "vessel",
    "line_pairs",
    "line_pairs_turned",
    "text",
    "spade",
    "heart",
    "diamond",
    "club",
]
SHAPES: tuple[Shape, ...] = get_args(Shape)
NAMES: dict[Shape, str] = {
    "gaussian": "Gaussian lesion",
    "irregular": "irregular tumour",
    "line_pairs": "line pairs",
    "line_pairs_turned": "line pairs, turned",
}
"""Names in rows and reports, where they differ from the word."""
BARS = 3
PERIOD = 2 / (2 * BARS - 1)
"""Of line pairs, as a share of the side of the pattern."""
IRREGULARITY = 0.15
VESSEL_WIDTH = 1 / 6
GAUSSIAN_EDGE = 1 / 8
LEAST_MODULATION = 0.1
"""Modulation of the template, as a share of the height, from which that of a method is given."""
RING = (2, 4)
"""Pixels from the footprint at which the surroundings begin and end."""


def name_of(shape: Shape) -> str:
    """The shape as it is called in rows.

    Examples
    --------
    >>> name_of("irregular"), name_of("lesion")
    ('irregular tumour', 'lesion')
    """
    return NAMES.get(shape, shape)


def draw_shape(
    shape: Shape, grid: int, *, nominal: int, site: tuple[float, float], size: float, words: str = "CT", seed: int = 0
) -> Tensor:
    """A detail of height 1.

    Parameters
    ----------
    shape
        Which.
    grid
        Pixels along each side of the image that is drawn.
    nominal
        Pixels along each side of the grid in which the place and the size are given.
    site
        ``(row, column)`` of its middle.
    size
        As in the table above.
    words
        What a text says.
    seed
        Of the outline of a tumour and the direction of a vessel.

    Returns
    -------
    Tensor
        ``(1, grid, grid)``, float32, in ``[0, 1]``.

    Raises
    ------
    ConfigError
        If there is no such shape, or it cannot have that size or say those words.

    Examples
    --------
    >>> float(draw_shape("line_pairs", 64, nominal=32, site=(15.5, 15.5), size=10).sum()) / 4  # three bars of 2 x 10 pixels
    60.0
    """
    place: dict[str, Any] = {"centre": site, "nominal": nominal}
    match shape:
        case "lesion":
            return phantoms.lesion(grid, diameter=size, edge=min(1.0, size), **place)
        case "disc":
            return phantoms.disc(grid, diameter=size, **place)
        case "gaussian":
            return phantoms.soft_ellipse(grid, diameter=size, edge=GAUSSIAN_EDGE * size, **place)
        case "irregular":
            return phantoms.lesion(grid, diameter=size, edge=min(1.0, size), irregularity=IRREGULARITY, seed=seed, **place)
        case "vessel":
            degrees = float(np.random.default_rng([seed, 29]).uniform(0, 180))
            return phantoms.vessel(grid, length=size, width=VESSEL_WIDTH * size, degrees=degrees, **place)
        case "line_pairs" | "line_pairs_turned":
            upright = shape == "line_pairs"
            return phantoms.line_pairs(grid, period=PERIOD * size, count=BARS, length=size, vertical=upright, **place)
        case "text":
            return phantoms.text(grid, words, height=7 * size / _cells(words), **place)
        case "spade" | "heart" | "diamond" | "club":
            return phantoms.suit(grid, shape, height=size, **place)
        case _:
            raise ConfigError("structure: shapes", expected=" or ".join(SHAPES), came=repr(shape))


def gaps_between(shape: Shape, grid: int, *, nominal: int, site: tuple[float, float], size: float) -> Tensor | None:
    """The gaps between the bars of line pairs, as shares of pixels ``(1, grid, grid)``; None for other shapes.

    Parameters
    ----------
    shape, grid, nominal, site, size
        As in `draw_shape`.
    """
    if shape not in ("line_pairs", "line_pairs_turned"):
        return None
    # Two bars in the place of the gaps between three.
    upright, period = shape == "line_pairs", PERIOD * size
    return phantoms.line_pairs(grid, centre=site, period=period, count=BARS - 1, length=size, vertical=upright, nominal=nominal)


def local_recovery(change: Tensor, template: Tensor, footprint: Tensor) -> float | None:
    """Contrast against the immediate surroundings, relative to that of the template.

    Parameters
    ----------
    change, template
        ``D`` and ``t`` along the local phase, real, ``(1, 1, H, W)``.
    footprint
        ``w``, ``(1, 1, H, W)``.

    Returns
    -------
    float or None
        None where there are no surroundings or the template has no contrast against them.

    Examples
    --------
    >>> import torch
    >>> w = torch.zeros(1, 1, 16, 16)
    >>> w[..., 6:10, 6:10] = 1
    >>> round(local_recovery(0.5 * w + 0.2, w, w), 6)
    0.5
    """
    inner, outer = (_widened(footprint > 0.01, reach) for reach in RING)
    ring = outer & ~inner
    weight = footprint.sum()
    if not bool(ring.any()) or not bool(weight > 0):
        return None

    def contrast(image: Tensor) -> float:
        return float((image * footprint).sum() / weight - image[ring].mean())

    return _ratio(contrast(change), contrast(template), 0.0)


def modulation(change: Tensor, template: Tensor, bars: Tensor, gaps: Tensor, height: float) -> float | None:
    """How far the bars stand out from the gaps, relative to the template.

    Parameters
    ----------
    change, template
        ``D`` and ``t`` along the local phase, real, ``(1, 1, H, W)``.
    bars, gaps
        Shares of the pixels, ``(1, 1, H, W)``.
    height
        Of the bars, in units of the image.

    Returns
    -------
    float or None
        None where the pixels cannot hold the bars.

    Examples
    --------
    >>> import torch
    >>> bars = torch.tensor([1.0, 0, 1, 0, 1]).expand(1, 1, 5, 5)
    >>> modulation(0.25 * bars + 0.3, bars, bars, 1 - bars, 1.0)
    0.25
    """

    def depth(image: Tensor) -> float:
        return float((image * bars).sum() / bars.sum() - (image * gaps).sum() / gaps.sum())

    return _ratio(depth(change), depth(template), LEAST_MODULATION * abs(height))


def _ratio(value: float, whole: float, least: float) -> float | None:
    return value / whole if abs(whole) > least else None


def _widened(mask: Tensor, reach: int) -> Tensor:
    """All pixels within a square of half width ``reach`` of the mask."""
    return functional.max_pool2d(mask.float(), 2 * reach + 1, stride=1, padding=reach) > 0


def _cells(words: str) -> int:
    return phantoms.bitmap(words).shape[1]
