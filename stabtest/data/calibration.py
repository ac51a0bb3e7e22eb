"""The fully sampled centre of k-space, and coil maps from its low-resolution image.

*Region.* The largest centred square of which every sample was measured, then drawn out along the columns and the rows as far as that stays so.

*Low-resolution maps.* The images of the region's samples, tapered by a Hann window against ringing, over their root sum of squares:

    s_c(x) = z_c(x) / sqrt(sum_d |z_d(x)|^2),   z = F* (w y).

They are right where the coils are smooth at the resolution of the region and the object is bright; they hold the low-resolution phase of the
object (so that a combined image is nearly real), and noise where the object is dark.

Source: C. A. McKenzie, E. N. Yeh, M. A. Ohliger, M. D. Price, D. K. Sodickson, *Self-calibrating parallel imaging with automatic coil sensitivity
extraction*, Magnetic Resonance in Medicine 47 (2002).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stabtest.errors import DataError
from stabtest.operators import ifft2c


def calibration_region(mask: Tensor, *, most: int | None = None) -> tuple[slice, slice]:
    """Rows and columns of the fully sampled centre.

    Parameters
    ----------
    mask
        Boolean ``(H, W)``, centred, True where measured.
    most
        At most so many rows and columns.

    Raises
    ------
    DataError
        If not even the sample at DC was measured.

    Examples
    --------
    >>> mask = torch.zeros(32, 32, dtype=torch.bool)
    >>> mask[:, 12:20] = mask[:, ::4] = True
    >>> calibration_region(mask), calibration_region(mask, most=6)
    ((slice(0, 32, None), slice(12, 21, None)), (slice(13, 19, None), slice(13, 19, None)))
    """
    sampled = mask.cpu().numpy().astype(bool)
    height, width = sampled.shape
    top, left = height // 2, width // 2
    if not sampled[top, left]:
        raise DataError(
            "the centre of k-space",
            expected="measured samples around DC, to estimate the coil maps from",
            came="a mask that leaves DC out",
            remedy='choose another mask, or give maps: [operator] maps.kind = "given"',
        )
    bottom, right = top + 1, left + 1
    # Around and around: one step on every side that is measured in full, until no side is.
    grown = True
    while grown:
        grown = False
        if left > 0 and sampled[top:bottom, left - 1].all():
            left, grown = left - 1, True
        if right < width and sampled[top:bottom, right].all():
            right, grown = right + 1, True
        if top > 0 and sampled[top - 1, left:right].all():
            top, grown = top - 1, True
        if bottom < height and sampled[bottom, left:right].all():
            bottom, grown = bottom + 1, True
    rows, columns = slice(top, bottom), slice(left, right)
    return (rows, columns) if most is None else (_at_most(rows, height // 2, most), _at_most(columns, width // 2, most))


def _at_most(found: slice, middle: int, most: int) -> slice:
    """The part of a run nearest to the middle."""
    start = max(found.start, min(middle - most // 2, found.stop - most))
    return slice(start, min(start + most, found.stop))


def low_resolution(kspace: Tensor, region: tuple[slice, slice]) -> Tensor:
    """Coil maps from the low-resolution image of the centre.

    Parameters
    ----------
    kspace
        ``(C, H, W)``, complex, centred.
    region
        From `calibration_region`.

    Returns
    -------
    Tensor
        ``(C, H, W)``, complex64, root sum of squares 1 (0 where no coil sees anything).

    Raises
    ------
    DataError
        If the region has fewer than 4 rows or columns.

    Examples
    --------
    >>> from stabtest import operators, phantoms
    >>> maps = phantoms.coil_maps(32, 3, seed=0)
    >>> blob = torch.hann_window(32)[:, None] * torch.hann_window(32)
    >>> found = low_resolution(operators.fft2c(maps * blob), (slice(8, 24), slice(8, 24)))
    >>> bool((found.conj() * maps).sum(0).abs()[8:24, 8:24].min() > 0.98)
    True
    """
    check_calibration(region, least=4, what="low-resolution maps")
    window = torch.zeros(kspace.shape[1:], dtype=torch.float64)
    window[region] = _taper(kspace.shape[1], region[0])[:, None] * _taper(kspace.shape[2], region[1])
    coils = ifft2c(kspace.to(torch.complex128) * window)
    combined = coils.abs().square().sum(0).sqrt()
    maps = torch.where(combined > 1e-12 * combined.max(), coils / combined.clamp_min(1e-300), 0)
    return maps.to(torch.complex64)


def check_calibration(region: tuple[slice, slice], *, least: int, what: str) -> None:
    """Refuse a calibration region that is too small.

    Raises
    ------
    DataError
        With what was there and how to have more.
    """
    rows, columns = (part.stop - part.start for part in region)
    if min(rows, columns) < least:
        raise DataError(
            "the fully sampled centre of k-space",
            expected=f"at least {least} x {least} samples for {what}",
            came=f"{rows} x {columns} (rows x columns)",
            remedy="raise [operator] mask.centre_fraction, make maps.kernel smaller, or choose another maps.kind",
        )


def _taper(length: int, run: slice) -> Tensor:
    """A Hann window whose peak is at DC and whose feet lie just outside of the longer side of a run."""
    place = np.arange(run.start, run.stop) - length // 2
    reach = max(-int(place[0]), int(place[-1])) + 1
    return torch.from_numpy(0.5 + 0.5 * np.cos(np.pi * place / reach))
