"""Signed distances to the shapes that organs are made of, negative inside.

Distances to ellipses are of first order, ``(q - 1) q / |grad q|`` with ``q = sqrt(u^2 + v^2)`` in the axes of the ellipse:
right at the outline and for circles everywhere, which is what the coverage of a pixel needs.
"""

from __future__ import annotations

import numpy as np

from stabtest.phantoms.grid import Array

Point = tuple[float, float]
End = tuple[float, float, float]


def ellipse(x: Array, y: Array, centre: Point, semi: Point, angle: float) -> Array:
    """Signed distance to a tilted ellipse.

    Parameters
    ----------
    x, y
        Coordinates, of shapes that broadcast.
    centre, semi
        Its centre and its semi-axes before tilting.
    angle
        Tilt in radians, from ``x`` towards ``y``.

    Examples
    --------
    >>> import numpy as np
    >>> ellipse(np.array([2.0, 3.0]), np.array([0.0, 0.0]), (0.0, 0.0), (2.0, 1.0), 0.0)
    array([0., 1.])
    """
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    u = (cos * (x - centre[0]) + sin * (y - centre[1])) / semi[0]
    v = (cos * (y - centre[1]) - sin * (x - centre[0])) / semi[1]
    q = np.sqrt(u * u + v * v)
    slope = np.sqrt((u / semi[0]) ** 2 + (v / semi[1]) ** 2)
    # At the very centre the slope vanishes; there the distance is the smaller semi-axis.
    return np.where(slope > 1e-6, (q - 1.0) * q / np.maximum(slope, 1e-6), -min(semi)).astype(q.dtype)


def segment(x: Array, y: Array, start: Point, stop: Point) -> Array:
    """Distance to a straight segment (never negative)."""
    return taper(x, y, (*start, 0.0), (*stop, 0.0))


def taper(x: Array, y: Array, start: End, stop: End) -> Array:
    """Signed distance to a capsule whose radius, the third number of each end, changes linearly along it."""
    dx, dy = stop[0] - start[0], stop[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - (start[2] + (stop[2] - start[2]) * along)
