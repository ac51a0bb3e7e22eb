"""Counts of a parallel-beam scan from Data Exchange HDF5, and line integrals from counts.

With the dark current ``d`` and the open beam ``w`` (means over their frames, per detector pixel), Beer and Lambert's law
gives the line integral of the attenuation

    p = -log((counts - d) / (w - d)).

Source: F. De Carlo et al., *Scientific data exchange: a schema for HDF5-based storage of raw and analyzed data*, Journal of
Synchrotron Radiation 21 (2014): ``exchange/data`` ``(views, rows, pixels)``, ``exchange/data_white``,
``exchange/data_dark``, ``exchange/theta``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stabtest.data import files
from stabtest.data.bins import Array
from stabtest.errors import DataError

if TYPE_CHECKING:
    import h5py

FLOOR = 1e-4
"""Least transmission that is believed; below it, a line integral of 9.2 is as good as any."""


def read_row(path: str | Path, row: int) -> tuple[Array, Array, list[str]]:
    """Line integrals and angles of one detector row.

    Parameters
    ----------
    path
        Data Exchange HDF5.
    row
        Detector row (slice of the object).

    Returns
    -------
    rows, angles, notes
        Line integrals ``(views, pixels)`` float64, angles in degrees ``(views,)``, what was done.

    Raises
    ------
    DataError
        If the file is missing or damaged, a dataset is missing, has another shape or holds NaN, the row does not exist, an
        open beam is not brighter than its dark current, or the angles are not in degrees.
    """
    with files.opened_hdf5(path) as file:
        stored = files.dataset(file, "exchange/data")
        if stored.ndim != 3:
            raise DataError(
                f"{path}: exchange/data",
                expected="(views, rows, pixels)",
                came=f"shape {stored.shape}",
                remedy="store the scan with all three axes; an axis may have the length 1",
            )
        views, rows, pixels = (int(n) for n in stored.shape)
        if not 0 <= row < rows:
            raise DataError(
                f"{path}: row = {row}", expected=f"from 0 to {rows - 1}", came=str(row), remedy="correct [data] row"
            )
        counts = files.numbers(np.asarray(stored[:, row]), f"{path}: exchange/data, row {row}").astype(np.float64)
        frames: dict[str, Array] = {}
        for key in ("exchange/data_white", "exchange/data_dark"):
            frame = files.dataset(file, key)
            if frame.ndim != 3 or frame.shape[1:] != (rows, pixels):
                raise DataError(
                    f"{path}: {key}",
                    expected=f"(frames, {rows}, {pixels}), as exchange/data",
                    came=f"shape {frame.shape}",
                    remedy="take the frames of the same detector as the scan",
                )
            values = np.asarray(frame[:, row], dtype=np.float64)
            # A dark current may be zero throughout, an open beam may not.
            frames[key] = files.numbers(values, f"{path}: {key}") if values.any() or "white" in key else values
        angles, how = _angles(files.dataset(file, "exchange/theta"), str(path), views)
    white, dark = (frames[f"exchange/data_{name}"].mean(axis=0) for name in ("white", "dark"))
    notes = [f"read {Path(path).name}: {views} views x {rows} rows x {pixels} pixels, row {row}", how]
    return line_integrals(counts, white, dark, name=str(path), notes=notes), angles, notes


def line_integrals(counts: Array, white: Array, dark: Array, *, name: str, notes: list[str]) -> Array:
    """Line integrals from counts; what was done is appended to ``notes``.

    Parameters
    ----------
    counts
        ``(views, pixels)``.
    white, dark
        Open beam and dark current, ``(pixels,)``.
    name
        Of the file, for messages.
    notes
        Grows by one sentence.

    Raises
    ------
    DataError
        If more than a twentieth of the detector pixels have an open beam no brighter than their dark current.

    Examples
    --------
    >>> counts = np.array([[60.0, 110.0]])
    >>> line_integrals(counts, np.array([110.0, 110.0]), np.array([10.0, 10.0]), name="scan.h5", notes=[]).round(3) + 0.0
    array([[0.693, 0.   ]])
    """
    open_beam = white - dark
    dead = open_beam <= 0
    if np.mean(dead) > 0.05:
        raise DataError(
            f"{name}: exchange/data_white",
            expected="an open beam brighter than the dark current",
            came=f"{int(dead.sum())} of {dead.size} detector pixels where it is not",
            remedy="check that data_white and data_dark are not exchanged",
        )
    transmission = (counts - dark) / np.where(dead, 1.0, open_beam)
    clipped = int(np.count_nonzero(transmission[:, ~dead] < FLOOR))
    integrals = -np.log(np.maximum(transmission, FLOOR))
    notes.append(
        f"flat-field and dark corrected with the means of their frames, then -log; "
        f"{clipped} of {counts.size} transmissions below {FLOOR:g} were set to it"
    )
    if dead.any():
        alive = np.flatnonzero(~dead)
        integrals[:, dead] = np.stack([np.interp(np.flatnonzero(dead), alive, line[alive]) for line in integrals])
        notes.append(f"{int(dead.sum())} dead detector pixels interpolated from their neighbours")
    return integrals


def _angles(theta: h5py.Dataset, name: str, views: int) -> tuple[Array, str]:
    """The angles in degrees, and in which unit they were stored."""
    angles = files.numbers(np.asarray(theta[...]), f"{name}: exchange/theta", ndim=1).astype(np.float64)
    if len(angles) != views:
        raise DataError(
            f"{name}: exchange/theta",
            expected=f"{views} angles, one a view",
            came=str(len(angles)),
            remedy="store exchange/theta of this scan whole",
        )
    unit = theta.attrs.get("units", b"")
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    if unit.lower().startswith("rad"):
        angles, how = np.degrees(angles), "angles stored in radians, converted to degrees"
    else:
        how = f"angles as stored, {angles[0]:g} to {angles[-1]:g} degrees" + (
            "" if unit else " (no unit given, degrees assumed)"
        )
    if np.any(np.diff(angles) * np.sign(angles[-1] - angles[0]) <= 0):
        raise DataError(
            f"{name}: exchange/theta",
            expected="angles in ascending or descending order",
            came="another order, or an angle twice",
            remedy="sort the views by their angles",
        )
    if abs(angles[-1] - angles[0]) < 10.0:
        raise DataError(
            f"{name}: exchange/theta",
            expected="angles over tens of degrees",
            came=f"a span of {abs(angles[-1] - angles[0]):.3g}",
            remedy='if they are in radians, say so: exchange/theta attribute units = "radians"',
        )
    return angles, how
