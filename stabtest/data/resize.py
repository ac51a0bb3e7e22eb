"""Fewer pixels of the field of view, or fewer samples of k-space: both exactly, without interpolating the data.

*Field of view.* Transformed to the image along one axis, cropped to the middle, transformed back (orthonormal both ways, so that white noise stays
white at the same level): what a scan of the smaller field of view would have measured of an object that does not reach beyond it. Along the
read-out, which is always sampled in full, that removes the oversampling of the scanner and nothing else. Along the phase encoding the new samples are
trigonometric interpolations between measured lines, which presupposes that all of them were measured.

*Samples.* The central ``n_1 x n_2`` of ``N_1 x N_2``, times ``sqrt(n_1 n_2 / (N_1 N_2))``: see `stabtest.data.kspace`.
"""

from __future__ import annotations

import numpy as np

from stabtest.data.files import AnyArray
from stabtest.errors import DataError


def crop_field(array: AnyArray, axis: int, pixels: int) -> AnyArray:
    """K-space of the middle of the field of view.

    Parameters
    ----------
    array
        Complex, centred along ``axis``.
    axis
        Negative: -2 the read-out, -1 the phase encoding.
    pixels
        How many to keep, at most as many as there are.

    Examples
    --------
    >>> image = np.array([0, 0, 1, 2, 3, 0, 0, 0])  # pixel 4 is the origin
    >>> transform = lambda x: np.fft.fftshift(np.fft.fft(np.fft.ifftshift(x), norm="ortho"))
    >>> np.allclose(crop_field(transform(image), -1, 4), transform(image[2:6]))
    True
    """
    full = array.shape[axis]
    if pixels == full:
        return array
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(array, axes=axis), axis=axis, norm="ortho"), axes=axis)
    start = full // 2 - pixels // 2
    image = np.take(image, np.arange(start, start + pixels), axis=axis)
    return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes=axis), axis=axis, norm="ortho"), axes=axis)


def crop_columns(columns: AnyArray, pixels: int) -> AnyArray:
    """Which columns count as measured after `crop_field` along the phase encoding: those whose nearest old one was.

    Examples
    --------
    >>> crop_columns(np.array([False, False, True, True, True, True, True, True]), 4)
    array([False,  True,  True,  True])
    """
    full = len(columns)
    place = np.rint((np.arange(pixels) - pixels // 2) * (full / pixels)).astype(np.int64) + full // 2
    return columns[np.clip(place, 0, full - 1)]


def crop_samples(array: AnyArray, shape: tuple[int, int]) -> AnyArray:
    """The central samples along the last two axes, at the same brightness."""
    (height, width), (full_height, full_width) = shape, array.shape[-2:]
    top, left = full_height // 2 - height // 2, full_width // 2 - width // 2
    scale = float(np.sqrt(height * width / (full_height * full_width)))
    return array[..., top : top + height, left : left + width] * scale


def wanted_shape(size: int | tuple[int, int], full: tuple[int, int], name: str, *, field: bool) -> tuple[int, int]:
    """Height and width that ``size`` asks for.

    Parameters
    ----------
    size
        One side, or ``(H, W)``.
    full
        What there is.
    name
        For messages.
    field
        Whether the field of view was cropped before.

    Raises
    ------
    DataError
        If there are fewer samples, or less than 8 are asked for.
    """
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    if len(wanted) == 2 and all(8 <= n <= most for n, most in zip(wanted, full, strict=True)):
        return wanted
    whose = f"{full[0]} x {full[1]} samples of the field of view" if field else f"stored {full[0]} x {full[1]} samples"
    raise DataError(
        f"{name}: size = {size}",
        expected=f"from 8 to the {whose}",
        came=str(size),
        remedy="a larger image would need samples that were not measured",
    )
