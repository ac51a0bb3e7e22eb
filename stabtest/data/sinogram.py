"""A measured parallel-beam scan, resampled to the geometry of `stabtest.operators.Radon`.

In this order: counts to line integrals (`stabtest.data.exchange`), at most half a turn of views, rotation axis
(`stabtest.data.axis`), field of view, detector bins as wide as a pixel of the reconstruction grid with the axis in the
middle (`stabtest.data.bins`), intensity. Line integrals have no unit, so that the image is attenuation per pixel
(``pixel_size = 1``); both are divided by the 99.9th percentile of the filtered back-projection of all views, which makes
the image about 1 at its brightest.

The handedness cannot be known from the data: were the stage to turn the other way, the image would be its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest.data.axis import Axis, find_axis
from stabtest.data.bins import Array, rebin, select_views
from stabtest.data.exchange import read_row
from stabtest.errors import DataError
from stabtest.operators import Radon


@dataclass(frozen=True)
class SinogramData:
    """One slice of a scan, ready for ``Radon(size, angles, detectors)``.

    Attributes
    ----------
    sinogram
        The chosen views, ``(1, 1, views, detectors)``, float32, line integrals in pixels of the reconstruction grid.
    angles
        Their angles in degrees.
    size, detectors
        Side of the reconstruction grid and number of bins; a bin is as wide as a pixel.
    all_views, all_angles
        The same of every view measured (at most half a turn, no view twice).
    reference
        Filtered back-projection (ramp without window) of all views, ``(1, 1, size, size)``, about 1 at its brightest.
    factor
        By what the line integrals were divided.
    noise_std
        Standard deviation of the readings in air, in units of ``sinogram``. Behind the object there are fewer counts and more
        noise.
    axis, axis_error
        Rotation axis in indices of the stored detector pixels, and how far other estimates deviate. NaN if it was given.
    source
        The file.
    notes
        What was done to the data, one sentence each.
    """

    sinogram: Tensor
    angles: tuple[float, ...]
    size: int
    detectors: int
    all_views: Tensor
    all_angles: tuple[float, ...]
    reference: Tensor
    factor: float
    noise_std: float
    axis: float
    axis_error: float
    source: str
    notes: tuple[str, ...]


def read_data_exchange(
    path: str | Path,
    *,
    row: int = 0,
    size: int = 128,
    views: int | None = None,
    detectors: int | None = None,
    axis: float | None = None,
    field: float | None = None,
    span: float | None = None,
) -> SinogramData:
    """Read one row of a parallel-beam scan in Data Exchange HDF5.

    Parameters
    ----------
    path
        The file.
    row
        Detector row.
    size
        Side of the reconstruction grid in pixels, at least 16.
    views
        How many views to choose, as equally spaced as possible; all if None.
    detectors
        Number of bins; as `stabtest.operators.Radon` chooses (enough for the diagonal of the image) if None.
    axis
        Rotation axis in indices of the stored detector pixels, if it is known; found from the data if None.
    field
        Side of the field of view, in stored detector pixels; if None, as large as the object and a margin of a tenth, if that
        was measured.
    span
        Angle in degrees from the first view to the last, if it is known better than the file says.

    Returns
    -------
    SinogramData
        Sinogram, angles, reference, and notes.

    Raises
    ------
    DataError
        If the file is missing or damaged, or lacks what a scan needs (see `stabtest.data.exchange.read_row`), or a parameter
        does not fit it.
    """
    if size < 16:
        raise DataError(f"{path}: size = {size}", expected="at least 16 pixels", came=str(size), remedy="set [operator] size")
    rows, angles, notes = read_row(path, row)
    if span is not None:
        if not 10.0 <= span <= 360.0:
            raise DataError(
                f"{path}: span = {span}", expected="from 10 to 360 degrees", came=str(span), remedy="correct [data] span"
            )
        angles = angles[0] + (angles - angles[0]) * (span / (angles[-1] - angles[0]))
        notes.append(f"angles stretched to a span of {span:g} degrees, as asked")
    rows, angles, beyond = _half_turn(rows, angles, notes)
    if np.median(rows.sum(axis=1)) <= 0:
        raise DataError(
            f"{path}: row {row}",
            expected="an object that attenuates the beam",
            came="no attenuation on average",
            remedy="choose another row, or check exchange/data_white",
        )
    if axis is None:
        found = find_axis(rows, angles)
        notes.append(_axis_note(found))
        if span is None and not beyond:
            _question_angles(rows, angles, found, notes)
    elif 0 <= axis <= rows.shape[1] - 1:
        found = Axis(float(axis), float("nan"), float("nan"), float("nan"))
        notes.append(f"rotation axis at detector pixel {axis:g}, as given")
    else:
        raise DataError(
            f"{path}: axis = {axis}",
            expected=f"from 0 to {rows.shape[1] - 1}",
            came=str(axis),
            remedy="give the detector pixel of the rotation axis, or None to have it found",
        )
    field = _field(rows, found.position, field, str(path), notes)
    spacing = field / size
    scanner = Radon(size, [float(angle) for angle in angles], detectors)
    count = scanner.geometry.detectors
    binned = rebin(rows, axis=found.position, spacing=spacing, count=count)
    notes.append(
        f"detector averaged to {count} bins of {spacing:.4g} stored pixels, the width of a pixel of the {size} x {size} grid"
    )
    outside = _outside(count, spacing, found.position, rows.shape[1])
    if outside.any():
        notes.append(f"{int(outside.sum())} bins reach beyond the detector; air is assumed there")
    noise = _noise(binned, outside)
    everything = torch.from_numpy(binned).to(torch.float32)[None, None]
    image = scanner.fbp(everything, window="ram-lak")
    factor = float(np.quantile(image.numpy(), 0.999))
    if not factor > 0:
        raise DataError(
            f"{path}: row {row}",
            expected="an image brighter than 0 somewhere",
            came=f"99.9th percentile {factor:.3g}",
            remedy="choose another row, or check exchange/data_white and the angles",
        )
    notes.append(
        f"divided by {factor:.6g}, the 99.9th percentile of the filtered back-projection of all {len(angles)} views "
        f"(attenuation per pixel); that image, divided too, is the reference"
    )
    chosen = np.arange(len(angles)) if views is None else select_views(len(angles), views)
    if views is not None:
        gaps = np.diff(angles[chosen])
        uneven = f", gaps from {gaps.min():.4g} to {gaps.max():.4g} degrees" if len(gaps) else ""
        notes.append(f"{views} of {len(angles)} views chosen as equally spaced as possible{uneven}")
    return SinogramData(
        sinogram=everything[:, :, torch.from_numpy(chosen)] / factor,
        angles=tuple(float(angle) for angle in angles[chosen]),
        size=size,
        detectors=count,
        all_views=everything / factor,
        all_angles=tuple(float(angle) for angle in angles),
        reference=image / factor,
        factor=factor,
        noise_std=noise / factor,
        axis=found.position,
        axis_error=found.error,
        source=str(path),
        notes=tuple(notes),
    )


def _half_turn(rows: Array, angles: Array, notes: list[str]) -> tuple[Array, Array, bool]:
    """The views of the first half turn; whether there were more."""
    turned = np.abs(angles - angles[0])
    step = float(np.median(np.diff(turned)))
    kept = turned < 180.0 - 0.25 * step
    if kept.all():
        if 180.0 - turned[-1] > 4.0 * step:
            notes.append(f"a limited angle: the views span {turned[-1] + step:.4g} of 180 degrees")
        return rows, angles, False
    dropped = int(np.count_nonzero(~kept))
    notes.append(f"{dropped} views from 180 degrees on were left out, since they see again what the first ones saw")
    return rows[kept], angles[kept], True


def _axis_note(found: Axis) -> str:
    return (
        f"rotation axis at detector pixel {found.position:.2f} +- {found.error:.2f} by least total variation of the filtered "
        f"back-projection (by centre of mass {found.by_mass:.2f}); the error is the largest deviation of the estimates by "
        f"centre of mass and by the even and the odd views"
    )


def _question_angles(rows: Array, angles: Array, found: Axis, notes: list[str]) -> None:
    """Say so if the views fit together better when the last one is taken as the mirror image of the first."""
    span = angles[-1] - angles[0]
    step = abs(span) / (len(angles) - 1)
    if not 0.25 * step < 180.0 - abs(span) < 1.75 * step:
        return
    if not found.total_variation > 0:  # nothing in the image to tell by
        return
    stretched = angles[0] + (angles - angles[0]) * (180.0 / abs(span))
    other = find_axis(rows[:-1], stretched[:-1])
    gain = 1.0 - other.total_variation / found.total_variation
    if gain > 0.001:
        notes.append(
            f"the views fit together better if they span 180 instead of {abs(span):.5g} degrees (total variation "
            f"{100 * gain:.2f} % lower, axis at {other.position:.2f}): the stored angles may be wrong by up to "
            f"{180.0 - abs(span):.3g} degrees; they were used as they are (span = 180 stretches them)"
        )


def _field(rows: Array, axis: float, asked: float | None, name: str, notes: list[str]) -> float:
    """Side of the field of view in detector pixels."""
    pixels = rows.shape[1]
    measured = 2.0 * min(axis + 0.5, pixels - 0.5 - axis)
    if asked is not None:
        if not 16.0 <= asked <= 2.0 * pixels:
            raise DataError(
                f"{name}: field = {asked}",
                expected=f"from 16 to {2 * pixels} detector pixels",
                came=str(asked),
                remedy="give the field in detector pixels, or None to have it found",
            )
        notes.append(f"field of view {asked:g} detector pixels, as asked")
        return float(asked)
    # A pixel belongs to the object where any view is darker than a twentieth of the darkest reading.
    smooth = np.stack([np.convolve(line, np.ones(5) / 5, mode="same") for line in rows]).max(axis=0)
    shadow = np.flatnonzero(smooth > 0.05 * smooth.max())
    reach = float(max(axis - shadow[0] + 0.5, shadow[-1] - axis + 0.5))
    truncated = [side for side, pixel in (("left", 0), ("right", pixels - 1)) if pixel in shadow]
    if truncated:
        notes.append(f"the object reaches the {' and the '.join(truncated)} end of the detector: projections are truncated")
    side = float(min(2.2 * reach, max(measured, 2.0 * reach)))
    notes.append(f"field of view {side:.1f} detector pixels around the axis: the object reaches {reach:.1f} from it")
    return side


def _outside(count: int, spacing: float, axis: float, pixels: int) -> np.ndarray:
    """Which bins reach beyond the detector."""
    edges = axis + 0.5 + (np.arange(count + 1) - 0.5 * count) * spacing
    return (edges[:-1] < -1e-9) | (edges[1:] > pixels + 1e-9)


def _noise(binned: Array, outside: np.ndarray) -> float:
    """Standard deviation of the readings in the airy bins, each bin's own mean taken off; NaN without any."""
    air = ~outside & (binned.max(axis=0) < 0.05 * binned.max())
    return float(np.std(binned[:, air] - binned[:, air].mean(axis=0))) if air.any() else float("nan")
