"""k-space locations and density compensation from files of the user's.

A location is ``(row, column)`` with DC at ``(0, 0)``; in radians per pixel Nyquist is ``pi``, so that

    radians = 2 pi (cycles per pixel) = 2 pi (cycles per field of view) / (number of pixels).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest.audit.config.settings.trajectory import Units
from stabtest.data.files import load_numpy
from stabtest.errors import DataError

ROUNDING = 1e-6
"""What a location may be beyond Nyquist by rounding, in radians."""


def read_trajectory(path: Path, shape: tuple[int, int], *, units: Units = "radians") -> Tensor:
    """Read k-space locations.

    Parameters
    ----------
    path
        npy, or npz of one array; real ``(readouts, samples, 2)`` or ``(samples, 2)``, row first.
    shape
        Rows and columns of the image.
    units
        Of the file.

    Returns
    -------
    Tensor
        Radians per pixel, float64 ``(readouts, samples, 2)``, within ``[-pi, pi]``.

    Raises
    ------
    DataError
        If the file is no such array, a location is not finite, or one lies beyond Nyquist.
    """
    values = load_numpy(path)
    if values.dtype.kind not in "iuf" or values.ndim not in (2, 3) or values.shape[-1] != 2 or 0 in values.shape:
        raise DataError(
            f"trajectory {path}",
            expected="real numbers of shape (readouts, samples, 2) or (samples, 2), row before column",
            came=f"{values.dtype} {values.shape}",
            remedy="write the locations as pairs in the last axis; leave a third direction out",
        )
    locations = np.asarray(values, dtype=np.float64)
    if not np.isfinite(locations).all():
        raise DataError(
            f"trajectory {path}",
            expected="finite locations",
            came=f"{int((~np.isfinite(locations)).sum())} that are infinite or not a number",
            remedy="leave those samples out, of trajectory and measurement alike",
        )
    pixels = np.asarray(shape) if units == "cycles-per-field-of-view" else 1
    radians = locations * (1.0 if units == "radians" else 2 * math.pi / pixels)
    most = float(np.abs(radians).max())
    if most > math.pi + ROUNDING:
        raise DataError(
            f"trajectory {path}",
            expected=f"locations up to Nyquist, which is {_nyquist(units, shape)} in {units.replace('-', ' ')}",
            came=f"up to {float(np.abs(locations).max()):.4g}",
            remedy="set [operator] trajectory.units to the unit of the file, or [operator] size to the matrix of the scan",
        )
    if most < 1e-3 * math.pi:
        raise DataError(
            f"trajectory {path}",
            expected=f"locations up to about Nyquist, which is {_nyquist(units, shape)} in {units.replace('-', ' ')}",
            came=f"at most {float(np.abs(locations).max()):.4g}",
            remedy="set [operator] trajectory.units to the unit of the file",
        )
    return torch.from_numpy(np.clip(radians if values.ndim == 3 else radians[None], -math.pi, math.pi))


def _nyquist(units: Units, shape: tuple[int, int]) -> str:
    return {"radians": "pi", "cycles-per-pixel": "0.5", "cycles-per-field-of-view": f"{min(shape) / 2:g}"}[units]


def read_density(path: Path, readouts: int, samples: int) -> Tensor:
    """Read weights of density compensation.

    Parameters
    ----------
    path
        npy, or npz of one array; ``(readouts, samples)``, ``(readouts * samples,)``, or ``(samples,)`` for every readout alike.
    readouts, samples
        Of the trajectory.

    Returns
    -------
    Tensor
        Float64 ``(readouts, samples)``.

    Raises
    ------
    DataError
        If the file is no such array, or a weight is negative or not finite.
    """
    values = load_numpy(path)
    shapes = ((readouts, samples), (readouts * samples,), (samples,))
    if values.dtype.kind not in "iuf" or values.shape not in shapes:
        raise DataError(
            f"density {path}",
            expected=f"real numbers of shape ({readouts}, {samples}), ({readouts * samples},) or ({samples},), as the trajectory",
            came=f"{values.dtype} {values.shape}",
            remedy="write one weight for each sample of the trajectory",
        )
    weights = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any()):
        raise DataError(
            f"density {path}",
            expected="finite weights from 0, not all of them 0",
            came=f"values from {weights.min():.4g} to {weights.max():.4g}",
            remedy='leave trajectory.density_file out: the weights are then computed (trajectory.density = "iterative")',
        )
    whole = weights.reshape(readouts, samples) if weights.size == readouts * samples else weights
    return torch.from_numpy(np.broadcast_to(whole, (readouts, samples)).copy())
