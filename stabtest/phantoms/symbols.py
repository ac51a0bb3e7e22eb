"""Card symbols and thin vessels.

**Symbols.** In units of the height, ``u`` to the right and ``v`` downwards from the middle:

- *diamond*: ``|u| / 0.375 + |v| / 0.5 <= 1``, area 0.375;
- *heart*: a square of side ``a`` on its corner with a half disc of diameter ``a`` on each upper side, area ``a^2 (1 + pi / 4)``, of height
  ``a (3 / (2 sqrt 2) + 1/2) = 1``;
- *spade*: a heart of height 0.8 upside down, and a stem: a triangle from its middle to the bottom;
- *club*: three discs of radius 0.25, and the same stem.

**Vessel.** Two quarters of a circle that make an S, with round ends: all points within half the width of the centre line. For a curve
without a tight bend the area of such a tube is exactly ``width * length of the curve + pi width^2 / 4`` (Pappus; Weyl, *On the
volume of tubes*, Am. J. Math. 61 (1939)).

Each pixel is the mean over sample points, at least 128 across the detail.

Source: V. Antun, F. Renna, C. Poon, B. Adcock, A. C. Hansen, *On instabilities of deep learning in image reconstruction and the potential
costs of AI*, PNAS 117 (2020), figures 3 and 4: text and card symbols as details whose shape every reader knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from stabtest.errors import ConfigError
from stabtest.phantoms import grid
from stabtest.phantoms.details import Centre
from stabtest.phantoms.grid import Array

Suit = Literal["spade", "heart", "diamond", "club"]
Mask = NDArray[np.bool_]
_ACROSS = 128
_HEART = 1 / (1.5 / np.sqrt(2) + 0.5)
"""Side of the square of a heart of height 1."""


def suit(size: int, name: Suit, *, centre: Centre, height: float, nominal: int | None = None) -> torch.Tensor:
    """A card symbol of height 1.

    Parameters
    ----------
    size, centre, nominal
        As in `stabtest.phantoms.details.lesion`.
    name
        ``"spade"``, ``"heart"``, ``"diamond"`` or ``"club"``.
    height
        From top to bottom, in pixels of the nominal grid; the widths are 0.75 to 1.1 of it.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``.

    Raises
    ------
    ConfigError
        If there is no such symbol or the height is not positive.

    Examples
    --------
    >>> image = suit(64, "diamond", centre=(31.5, 31.5), height=20)
    >>> bool(abs(image.sum() / (0.375 * 400) - 1) < 0.01)
    True
    """
    if name not in get_args(Suit):
        raise ConfigError("symbol", expected=" or ".join(get_args(Suit)), came=repr(name))
    if not height > 0:
        raise ConfigError("height", expected="a positive number of pixels of the nominal grid", came=str(height))
    inside = {"spade": _spade, "heart": _heart, "diamond": _diamond, "club": _club}[name]
    return _drawn(size, centre, height, 0.6 * height, nominal, lambda u, v: inside(u / height, v / height))


def vessel(
    size: int, *, centre: Centre, length: float, width: float, degrees: float = 0.0, nominal: int | None = None
) -> torch.Tensor:
    """A thin vessel in the form of an S, of height 1.

    Parameters
    ----------
    size, centre, nominal
        As in `stabtest.phantoms.details.lesion`.
    length
        From end to end as the crow flies, round ends included, in pixels of the nominal grid.
    width
        In pixels of the nominal grid; at most a third of the length.
    degrees
        From the direction of the rows (to the right) to the line between the ends, towards larger row numbers.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``.

    Raises
    ------
    ConfigError
        If a length is not possible.

    Examples
    --------
    >>> image = vessel(64, centre=(31.5, 31.5), length=30, width=2)
    >>> curve = torch.pi * 28 / (2 * 2**0.5)
    >>> bool(abs(image.sum() / (2 * curve + torch.pi) - 1) < 0.01)
    True
    """
    if not 0 < width <= length / 3:
        raise ConfigError("vessel", expected="a width above 0 and up to a third of the length", came=f"{width} and {length}")
    radius = (length - width) / (2 * np.sqrt(2))
    turn = np.deg2rad(degrees)

    def inside(u: Array, v: Array) -> Mask:
        along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
        # Half a turn about the middle takes the S to itself: the left arc is the right one.
        side = np.where(along >= 0, 1.0, -1.0)
        x, y = side * along, side * across
        to_middle, ahead = radius / np.sqrt(2), 2 * radius / np.sqrt(2)
        dx, dy = x - to_middle, y - to_middle
        # A quarter of a circle about (to_middle, to_middle), from the middle of the S over the side away from that centre.
        on_arc = np.abs(dx) <= -dy
        distance = np.where(on_arc, np.abs(np.hypot(dx, dy) - radius), np.hypot(x - np.where(dx > 0, ahead, 0.0), y))
        return np.asarray(distance <= width / 2)

    return _drawn(size, centre, min(length, 4 * width), 0.5 * length + width, nominal, inside)


def _drawn(
    size: int,
    centre: Centre,
    finest: float,
    reach: float,
    nominal: int | None,
    inside: Callable[[Array, Array], Mask],
) -> torch.Tensor:
    """Share of each pixel that lies inside; ``inside`` takes pixels of the nominal grid from the centre."""
    size = grid.check_size(size)
    unit = size / (size if nominal is None else grid.check_size(nominal))
    factor = grid.oversampling(1, int(np.ceil(_ACROSS / (unit * finest))))
    image = np.zeros((size, size), dtype=np.float32)
    spans = [
        (min(max(0, int((at + 0.5 - reach) * unit) - 1), size), max(min(size, int((at + 0.5 + reach) * unit) + 2), 0))
        for at in centre
    ]
    (top, bottom), (left, right) = spans
    if top >= bottom or left >= right:
        return grid.to_tensor(image)
    v, u = (
        ((np.arange(first * factor, last * factor) + 0.5) / factor / unit - (at + 0.5)).astype(np.float64)
        for at, (first, last) in zip(centre, spans)
    )
    covered = inside(u[None, :], v[:, None]).astype(np.float32)
    image[top:bottom, left:right] = grid.block_mean(covered, factor)
    return grid.to_tensor(image)


def _diamond(u: Array, v: Array) -> Mask:
    return np.asarray(np.abs(u) / 0.375 + np.abs(v) / 0.5 <= 1)


def _heart(u: Array, v: Array) -> Mask:
    half = _HEART / np.sqrt(2)
    w = v - (0.5 - half)  # from the middle of the square, whose lower corner is at the bottom
    square = np.abs(u) + np.abs(w) <= half
    lobes = np.hypot(np.abs(u) - half / 2, w + half / 2) <= _HEART / 2
    return np.asarray(square | lobes)


def _stem(u: Array, v: Array) -> Mask:
    return np.asarray((v >= -0.1) & (v <= 0.5) & (np.abs(u) <= 0.2 * (v + 0.1) / 0.6))


def _spade(u: Array, v: Array) -> Mask:
    return np.asarray(_heart(u / 0.8, -(v + 0.1) / 0.8) | _stem(u, v))


def _club(u: Array, v: Array) -> Mask:
    discs = (np.hypot(u, v + 0.25) <= 0.25) | (np.hypot(np.abs(u) - 0.27, v - 0.1) <= 0.25)
    return np.asarray(discs | _stem(u, v))
