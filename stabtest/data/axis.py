"""Where the rotation axis of a parallel-beam scan projects on the detector.

Two independent ways:

- *Centre of mass.* The centre of mass of a projection is that of the object seen from the angle,
  ``c + a cos(theta) + b sin(theta)`` (the first of the Helgason-Ludwig consistency conditions); a least-squares fit gives the
  axis ``c``. Right where no projection is truncated; a sloping background shifts it.
- *Sharpness.* A wrong axis doubles every edge and turns points into arcs; the total variation of the filtered back-projection
  is smallest for the right one. The search starts at the centre of mass, with steps of 1, then 1/4 detector pixel, then a
  parabola through the best three.

The second is what is used; the first, and the second for the even and for the odd views alone, say how far to trust it.

Source: S. G. Azevedo, D. J. Schneberk, J. P. Fitch, H. E. Martz, *Calculation of the rotational centers in computed
tomography sinograms*, IEEE Transactions on Nuclear Science 37 (1990); T. Donath, F. Beckmann, A. Schreyer, *Automated
determination of the center of rotation in tomography data*, Journal of the Optical Society of America A 23 (2006), for
image metrics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from stabtest.data.bins import Array, rebin
from stabtest.operators import Radon


@dataclass(frozen=True)
class Axis:
    """The rotation axis, in indices of detector pixels.

    Attributes
    ----------
    position
        By sharpness, all views.
    error
        Largest deviation of the three other estimates from it: by centre of mass, by the even and by the odd views.
    by_mass
        By centre of mass.
    total_variation
        Of the image at ``position``: comparable between choices of the angles.
    """

    position: float
    error: float
    by_mass: float
    total_variation: float


def find_axis(rows: Array, angles: Array, *, size: int = 96) -> Axis:
    """Find the rotation axis of a sinogram.

    Parameters
    ----------
    rows
        Line integrals ``(views, pixels)``, air about 0.
    angles
        Degrees, ``(views,)``, over about half a turn.
    size
        Side of the trial images in pixels.

    Returns
    -------
    Axis
        Position and error in indices of detector pixels.
    """
    by_mass = centre_of_mass(rows, angles)
    position, variation = sharpest(rows, angles, start=by_mass, size=size)
    parts = [sharpest(rows[k::2], angles[k::2], start=position, size=size)[0] for k in (0, 1)]
    error = max(abs(other - position) for other in (by_mass, *parts))
    return Axis(position, error, by_mass, variation)


def centre_of_mass(rows: Array, angles: Array) -> float:
    """The axis as the constant part of the sine wave that the centres of mass describe.

    Examples
    --------
    >>> angles = np.linspace(0, 179, 60)
    >>> middle = 10 + 3 * np.cos(np.radians(angles - 20))
    >>> rows = np.exp(-((np.arange(24) - middle[:, None]) ** 2) / 4)
    >>> round(centre_of_mass(rows, angles), 3)
    10.0
    """
    mass = rows.sum(axis=1)
    # A view that holds next to nothing (a lost frame) has no centre of mass.
    held = mass > 0.2 * np.median(mass)
    middles = rows[held] @ np.arange(rows.shape[1]) / mass[held]
    turn = np.radians(angles[held])
    model = np.stack([np.ones_like(turn), np.cos(turn), np.sin(turn)], axis=1)
    return float(np.linalg.lstsq(model, middles, rcond=None)[0][0])


def sharpest(rows: Array, angles: Array, *, start: float, size: int = 96) -> tuple[float, float]:
    """The axis of least total variation near a start, and that total variation.

    Parameters
    ----------
    rows, angles, size
        As in `find_axis`.
    start
        Where to begin; the search goes on as long as the best lies at the border of what was tried.
    """
    pixels = rows.shape[1]
    spacing = pixels / size
    scanner = Radon(size, [float(angle) for angle in angles], size)
    known: dict[float, float] = {}

    def variation(position: float) -> float:
        if position not in known:
            trial = torch.from_numpy(rebin(rows, axis=position, spacing=spacing, count=size)).to(torch.float32)[None, None]
            image = scanner.fbp(trial, window="hann")[0, 0].double()
            known[position] = float(image.diff(dim=0).abs().sum() + image.diff(dim=1).abs().sum())
        return known[position]

    best = float(np.clip(start, 0.0, pixels - 1.0))
    for step in (1.0, 0.25):
        # Downhill on a grid, looking three steps to each side, since total variation has small local minima.
        for _ in range(pixels):
            near = [best + step * k for k in range(-3, 4)]
            found = min(near, key=variation)
            if found == best:
                break
            best = found
    low, middle, high = (variation(best + 0.25 * k) for k in (-1, 0, 1))
    curvature = low - 2.0 * middle + high
    shift = 0.125 * (low - high) / curvature if curvature > 0 else 0.0
    return best + float(np.clip(shift, -0.125, 0.125)), middle
