"""A chest as in an axial CT slice at the level of the heart: lungs with vessels, ribs, spine, sternum, heart, aorta.

Values are attenuation relative to dense bone: ``value = (HU + 1000) / 2000`` with Hounsfield units ``HU``, so that air is
0, lung about 0.13, fat 0.45, water 0.5, muscle and blood 0.52 to 0.55, spongy bone 0.62 and cortical bone up to 1. The body
lies on its back: front up, the patient's left on the right. Organs are ellipses and capsules in smoothly warped
coordinates, combined as signed distances; the vessels of the lungs are random trees that branch from the hila and taper.

One unit of length is about 200 mm.

Source: the geometry is of this project, after the organs of any axial chest CT.
"""

from __future__ import annotations

import numpy as np
import torch

from stabtest.phantoms import grid
from stabtest.phantoms.grid import Array
from stabtest.phantoms.shapes import ellipse, segment, taper

FAT, MUSCLE, BLOOD, LUNG, SPONGY, CORTICAL, AIR = 0.45, 0.525, 0.545, 0.12, 0.62, 0.92, 0.01
Branch = tuple[tuple[float, float, float], tuple[float, float, float]]


def chest(size: int, *, seed: int) -> torch.Tensor:
    """Draw one axial chest slice, front up.

    Parameters
    ----------
    size
        Pixels along each side, at least 8.
    seed
        Non-negative integer; the same seed is the same object at every size.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``, exactly 0 outside the body, which lies in the unit disc.

    Raises
    ------
    ConfigError
        If ``size`` is below 8 or ``seed`` is negative.

    Examples
    --------
    >>> image = chest(32, seed=0)
    >>> image.shape, float(image[0, 0, 0])
    (torch.Size([1, 32, 32]), 0.0)
    """
    size = grid.check_size(size)
    factor = grid.oversampling(size, 256)
    return grid.to_tensor(grid.block_mean(_render(grid.rng(seed, 31), size * factor), factor))


def _render(generator: np.random.Generator, size: int) -> Array:
    """The slice on a grid that resolves the ribs' cortex."""
    pixel, points = 2.0 / size, grid.axis(size)
    fields = [grid.smooth_field(generator, size, knots) for knots in (3, 3, 5, 9)]
    fat_layer = generator.uniform(0.03, 0.08)
    wide, deep = generator.uniform(0.84, 0.91), generator.uniform(0.58, 0.64)
    x = points - np.float32(generator.normal(0, 0.01)) + 0.01 * fields[0]
    y = points[:, None] - np.float32(generator.normal(0, 0.01)) + 0.01 * fields[1]
    x, y = np.broadcast_arrays(x, y)
    # A body rounder than an ellipse: superellipse of exponent 2.4, flattened at the back.
    flat = y / (deep * (1.0 - 0.06 * (y > 0) * np.clip(y / deep, 0, 1)))
    q = (np.abs(x / wide) ** 2.4 + np.abs(flat) ** 2.4) ** (1 / 2.4)
    skin = (q - 1.0) * deep
    image = FAT * grid.coverage(skin, pixel)
    image += 0.06 * grid.line_coverage(skin + 0.008, 0.006, pixel)
    image = _paint(image, MUSCLE, skin + fat_layer + 0.02 * np.abs(fields[2]), pixel)

    # The cage: the ring on which the ribs lie, and the space within it.
    cage = ellipse(x, y, (0.0, -0.02), (wide - fat_layer - 0.1, deep - fat_layer - 0.055), 0.0) + 0.006 * fields[2]
    image = _paint(image, FAT, np.abs(cage - 0.045) - 0.004, pixel)
    image = _mediastinum(generator, image, (x, y), cage, fields[3], pixel)
    image = _bones(generator, image, (x, y), (wide - fat_layer - 0.1, deep - fat_layer - 0.055), pixel)
    texture = grid.smooth_field(generator, size, 80)
    return np.clip(image * (1.0 + 0.012 * texture), 0.0, 1.0, dtype=np.float32)


def _paint(image: Array, value: float, distance: Array, pixel: float) -> Array:
    """Replace what is inside a signed distance."""
    return image + (value - image) * grid.coverage(distance, pixel)


def _mediastinum(
    generator: np.random.Generator, image: Array, position: tuple[Array, Array], cage: Array, field: Array, pixel: float
) -> Array:
    """Lungs with vessels, and heart, great vessels and fat between them."""
    x, y = position
    hx, hy = 0.12 + generator.normal(0, 0.015), -0.14 + generator.normal(0, 0.015)
    hw, hh = generator.uniform(0.24, 0.3), generator.uniform(0.17, 0.21)
    heart = ellipse(x, y, (hx, hy), (hw, hh), 0.45) + 0.004 * field
    spine = ellipse(x, y, (0.0, 0.3), (0.14, 0.17), 0.0)
    aorta = ellipse(x, y, (0.1, 0.15), (0.058, 0.058), 0.0)
    middle = np.abs(x + 0.01) - (0.05 + 0.05 * np.exp(-(((y + 0.05) / 0.18) ** 2))) - 0.004 * field
    keep_out = np.minimum(np.minimum(heart - 0.02, spine), np.minimum(aorta - 0.015, middle))
    lungs = np.maximum(cage + 0.012, -keep_out)
    image = _paint(image, FAT, np.maximum(cage + 0.012, -lungs), pixel)
    air = grid.coverage(lungs, pixel)
    points = grid.axis(image.shape[0])
    lung = np.full_like(image, LUNG) * (1.0 + 0.08 * field + 0.12 * np.clip(y, -0.5, 0.5))
    for side in (-1.0, 1.0):
        for branch in _tree(generator, (0.13 * side, 0.02), side):
            _draw_vessel(lung, points, branch, pixel)
        _draw_vessel(lung, points, ((0.16 * side, 0.05, 0.022), (0.27 * side, 0.1, 0.012)), pixel, AIR)
    image = image + (lung - image) * air
    # A thin sac around the heart, its chambers faintly brighter than its wall.
    image = _paint(image, MUSCLE, heart, pixel)
    image = _paint(image, BLOOD, ellipse(x, y, (hx + 0.05, hy + 0.02), (0.55 * hw, 0.5 * hh), 0.45), 3 * pixel)
    image = _paint(image, BLOOD, ellipse(x, y, (hx - 0.11, hy - 0.02), (0.3 * hw, 0.5 * hh), 0.2), 3 * pixel)
    image = _paint(image, BLOOD, aorta, pixel)
    image = _paint(image, MUSCLE, ellipse(x, y, (0.02, 0.1), (0.03, 0.022), 0.3), pixel)
    return _paint(image, BLOOD, ellipse(x, y, (-0.06, 0.12), (0.02, 0.02), 0.0), pixel)


def _tree(generator: np.random.Generator, root: tuple[float, float], side: float) -> list[Branch]:
    """A random vessel tree from a hilum outwards, as tapered segments ``(x, y, radius)``."""
    branches: list[Branch] = []
    front = [
        (root[0], root[1], generator.normal(a, 0.12), generator.uniform(0.012, 0.022))
        for a in (-1.1, -0.6, -0.15, 0.3, 0.75, 1.2)
    ]
    while front:
        x, y, angle, radius = front.pop()
        if radius < 0.0035 or abs(x) > 0.75:
            continue
        length = generator.uniform(0.05, 0.11)
        end_x, end_y = x + side * length * np.cos(angle), y + length * np.sin(angle)
        thinner = radius * generator.uniform(0.68, 0.85)
        branches.append(((x, y, radius), (end_x, end_y, thinner)))
        spread = generator.uniform(0.25, 0.6)
        front.append((end_x, end_y, angle + spread * generator.uniform(0.3, 1.0), thinner * 0.95))
        if generator.random() < 0.55:
            front.append((end_x, end_y, angle - spread, thinner * generator.uniform(0.6, 0.95)))
    # Vessels that cross the slice show as dots.
    for _ in range(40):
        radius = 0.004 + 0.007 * generator.random() ** 2
        x, y = side * generator.uniform(0.15, 0.7), generator.uniform(-0.35, 0.4)
        branches.append(((x, y, radius), (x + 0.004, y, radius)))
    return branches


def _draw_vessel(lung: Array, points: Array, branch: Branch, pixel: float, value: float = 0.5) -> None:
    """Paint one tapered segment in place, within its bounding box."""
    (x0, y0, r0), (x1, y1, r1) = branch
    centre, reach = ((x0 + x1) / 2, (y0 + y1) / 2), max(abs(x1 - x0), abs(y1 - y0)) / 2 + max(r0, r1) + pixel
    window = _window(lung.shape[0], centre, reach)
    distance = taper(points[window[1]], points[window[0], None], *branch)
    # Thinner than a pixel, it covers no more than its width.
    inside = grid.coverage(distance, pixel) * np.float32(min(1.0, 2 * max(r0, r1) / pixel))
    lung[window] += (np.float32(value) - lung[window]) * inside


def _bones(
    generator: np.random.Generator, image: Array, position: tuple[Array, Array], cage: tuple[float, float], pixel: float
) -> Array:
    """Ribs on the cage, sternum, vertebra with canal and processes, shoulder blades."""
    x, y = position
    size, image = image.shape[0], image.copy()
    for side in (-1.0, 1.0):
        start = generator.uniform(0.0, 0.25)
        for step in range(6):
            # Angles from the front around the side to the back.
            angle = -1.15 + start + 0.44 * step + generator.normal(0, 0.03)
            cx, cy = side * (cage[0] + 0.042) * np.cos(angle), (cage[1] + 0.03) * np.sin(angle) - 0.02
            tilt = np.arctan2((cage[1] + 0.03) * np.cos(angle), -side * (cage[0] + 0.042) * np.sin(angle))
            tilt += side * generator.uniform(0.0, 0.25)
            window = _window(size, (cx, cy), 0.15)
            rib = ellipse(x[window], y[window], (cx, cy), (generator.uniform(0.05, 0.085), 0.02), tilt)
            image[window] = _bone(image[window], rib, 0.007, pixel)
        window = _window(size, (side * 0.51, 0.42), 0.2)
        blade = segment(x[window], y[window], (side * 0.42, 0.45), (side * 0.6, 0.37))
        image[window] = _bone(image[window], blade - 0.012, 0.006, pixel)
    window = _window(size, (0.0, -cage[1] - 0.035), 0.15)
    sternum = ellipse(x[window], y[window], (0.0, -cage[1] - 0.035), (0.075, 0.022), 0.0)
    image[window] = _bone(image[window], sternum, 0.007, pixel)
    window = _window(size, (0.0, 0.35), 0.28)
    image[window] = _vertebra(image[window], x[window], y[window], pixel)
    return image


def _window(size: int, centre: tuple[float, float], reach: float) -> tuple[slice, slice]:
    """Rows and columns of the square of half side ``reach`` around a place ``(x, y)``."""
    columns, rows = (
        slice(max(0, int((c - reach + 1) * 0.5 * size)), min(size, int(np.ceil((c + reach + 1) * 0.5 * size)))) for c in centre
    )
    return rows, columns


def _vertebra(image: Array, x: Array, y: Array, pixel: float) -> Array:
    """Body, arch with processes, and the spinal canal in between."""
    side = np.abs(x)
    body = ellipse(x, y, (0.0, 0.27), (0.095, 0.075), 0.0)
    arch = np.minimum(segment(side, y, (0.065, 0.32), (0.055, 0.4)), segment(side, y, (0.055, 0.4), (0.0, 0.44)))
    arch = np.minimum(arch, segment(side, y, (0.06, 0.38), (0.17, 0.42))) - 0.017
    spinous = taper(x, y, (0.0, 0.43, 0.02), (0.0, 0.5, 0.012))
    image = _bone(image, np.minimum(np.minimum(body, arch), spinous), 0.01, pixel)
    canal = ellipse(x, y, (0.0, 0.375), (0.04, 0.03), 0.0)
    return _paint(image, MUSCLE, canal, pixel)


def _bone(image: Array, distance: Array, cortex: float, pixel: float) -> Array:
    """Spongy bone in a cortical shell."""
    image = _paint(image, CORTICAL, distance, pixel)
    return _paint(image, SPONGY, distance + cortex, pixel)
