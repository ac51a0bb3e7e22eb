"""Fully sampled single-coil k-space from a file.

The image is ``x = F* y`` with the centred orthonormal transform of `stabtest.operators.ifft2c`, DC at ``N // 2`` along each
axis.

Resizing is done in k-space: the central ``n_1 x n_2`` samples of ``N_1 x N_2``, times ``sqrt(n_1 n_2 / (N_1 N_2))``, are
the k-space that a scan of the same field of view at lower resolution would have measured, with the same brightness. That is
the ideal anti-aliased resize (a sinc kernel: sharp edges ring), and no interpolation touches the data.

Source: the conventions are those of fastMRI (J. Zbontar et al., *fastMRI: an open dataset and benchmarks for accelerated
MRI*, arXiv:1811.08839), whose HDF5 files hold single-coil k-space as ``kspace`` of shape ``(slices, H, W)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest.data import files
from stabtest.errors import DataError
from stabtest.operators import ifft2c


@dataclass(frozen=True)
class KSpaceData:
    """One fully sampled slice.

    Attributes
    ----------
    kspace
        ``(1, 1, H, W)``, complex64, centred.
    reference
        Its fully sampled reconstruction ``(1, 1, H, W)``, complex64, largest magnitude 1.
    factor
        By what the stored (and cropped) k-space was divided.
    noise_std
        Estimated standard deviation of the complex noise (both parts together) on each sample of ``kspace`` and, the transform
        being orthonormal, on each pixel of ``reference``; NaN where too few samples in the corners were measured.
    source
        The file.
    notes
        What was done to the data, one sentence each.
    """

    kspace: Tensor
    reference: Tensor
    factor: float
    noise_std: float
    source: str
    notes: tuple[str, ...]


def read_kspace(
    path: str | Path, *, size: int | tuple[int, int] | None = None, key: str | None = None, index: int | None = None
) -> KSpaceData:
    """Read centred, fully sampled, single-coil k-space.

    Parameters
    ----------
    path
        ``.npy``, ``.npz`` or HDF5 (``.h5``, ``.hdf5``).
    size
        Crop to the central ``size x size`` (or ``(H, W)``) samples; None keeps all.
    key
        Array of an ``.npz`` file, or dataset of an HDF5 file (``"kspace"`` if None).
    index
        Slice of a stack ``(slices, H, W)``.

    Returns
    -------
    KSpaceData
        K-space and reference of brightness 1, and notes.

    Raises
    ------
    DataError
        If the file is missing or damaged, the array is not one complex 2-D slice of finite numbers, its energy is not in the
        middle, most of it is zero (undersampled), or ``size`` does not fit.

    Examples
    --------
    >>> import tempfile
    >>> from stabtest.operators import fft2c
    >>> from stabtest.phantoms import head
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/brain.npy", fft2c(head(32, seed=0)).numpy()[0])
    ...     data = read_kspace(f"{folder}/brain.npy", size=24)
    >>> data.kspace.shape, round(float(data.reference.abs().max()), 5)
    (torch.Size([1, 1, 24, 24]), 1.0)
    """
    array, name = _load(path, key, index)
    array = files.numbers(array, name, ndim=2)
    if array.dtype.kind != "c":
        raise DataError(name, expected="complex k-space", came=f"real numbers of type {array.dtype}", remedy=_REAL)
    _check_centre(array, name)
    empty = float(np.mean(array == 0))
    if empty > 0.05:
        raise DataError(
            name,
            expected="fully sampled k-space",
            came=f"{100 * empty:.0f} % of the samples are exactly 0",
            remedy="give the fully sampled data; the audit applies the mask itself",
        )
    # The file name without its folder: notes are printed in reports that others see.
    shown = name.replace(str(path), Path(path).name, 1)
    notes = [f"read {shown}: {array.shape[0]} x {array.shape[1]} samples of type {array.dtype}, DC at the middle"]
    if empty:
        notes.append(f"{100 * empty:.1f} % of the samples are exactly 0 (partial Fourier or padding by the scanner)")
    array = array.astype(np.complex128)
    noise, full = _noise(array), array.size
    if size is not None:
        array = _crop(array, size, name, notes)
    image = ifft2c(torch.from_numpy(array))
    factor = float(image.abs().max())
    notes.append(f"divided by {factor:.6g}, so that the fully sampled reconstruction has largest magnitude 1")
    reference = image / factor
    noise *= float(np.sqrt(array.size / full)) / factor
    background = _background(reference.numpy())
    level = (
        f"noise estimated from the corners of the stored k-space: standard deviation {noise:.2g} of the largest magnitude"
        if np.isfinite(noise)
        else "the noise is not known: too few samples in the corners of the stored k-space were measured"
    )
    notes.append(f"{level}; the darkest corner of the image has root mean square {background:.2g}")
    if background > 2.0 * noise:
        notes.append(
            "the background is stronger than this noise: it is not white (ghosts, filtering or simulated disturbances)"
        )
    if _split(reference.abs().numpy()):
        notes.append("the object seems to lie across the borders of the image: is the k-space modulated by (-1)^(i+j)?")
    return KSpaceData(
        kspace=torch.from_numpy(array / factor).to(torch.complex64)[None, None],
        reference=reference.to(torch.complex64)[None, None],
        factor=factor,
        noise_std=noise,
        source=str(path),
        notes=tuple(notes),
    )


LEAST_CORNER = 0.25
"""Share of the samples in the corners of k-space that must have been measured for an estimate of the noise."""
_REAL = "k-space is complex: is this an image? Then simulate from it, or give the complex array"


def _load(path: str | Path, key: str | None, index: int | None) -> tuple[files.AnyArray, str]:
    """The array of a file, a slice of it if so asked, and how to call it in messages."""
    suffix = Path(path).suffix.lower()
    if suffix in (".h5", ".hdf5"):
        key = key or "kspace"
        with files.opened_hdf5(path) as file:
            stored = files.dataset(file, key)
            name = f"{path}: {key}"
            if index is None or stored.ndim < 3:
                return _single(np.asarray(stored[...]), name, index)
            return np.asarray(stored[_checked(index, stored.shape, name)]), f"{name}[{index}]"
    if suffix in (".npy", ".npz"):
        return _single(files.load_numpy(path, key=key), str(path) + (f": {key}" if key else ""), index)
    raise DataError(str(path), expected="k-space as .npy, .npz, .h5 or .hdf5", came=f"a {suffix or 'nameless'} file")


def _single(array: files.AnyArray, name: str, index: int | None) -> tuple[files.AnyArray, str]:
    """One slice of a stack, or the array itself."""
    if array.ndim == 4:
        raise DataError(
            name,
            expected="single-coil k-space (H, W) or (slices, H, W)",
            came=f"shape {array.shape}, which looks like (slices, coils, H, W)",
            remedy="combine the coils or give one of them",
        )
    if array.ndim == 3 and index is None and array.shape[0] == 1:
        return array[0], name
    if array.ndim == 3:
        if index is None:
            raise DataError(
                name,
                expected="one slice",
                came=f"shape {array.shape}",
                remedy="choose a slice: [data] row = 0, ... (in Python: index)",
            )
        return array[_checked(index, array.shape, name)], f"{name}[{index}]"
    if index:
        raise DataError(
            name, expected="a stack of slices", came=f"shape {array.shape}", remedy="leave out [data] row (in Python: index)"
        )
    return array, name


def _checked(index: int, shape: tuple[int, ...], name: str) -> int:
    """The index of a slice, if there is such a slice."""
    if not 0 <= index < shape[0]:
        raise DataError(name, expected=f"a slice from 0 to {shape[0] - 1}", came=f"index = {index}")
    return index


def _check_centre(array: files.AnyArray, name: str) -> None:
    """Refuse k-space whose strongest sample is not near the middle."""
    peak = np.unravel_index(int(np.abs(array).argmax()), array.shape)
    far = [abs(int(p) - n // 2) > max(2, n // 16) for p, n in zip(peak, array.shape, strict=True)]
    if any(far):
        corner = all(min(int(p), n - int(p)) <= max(2, n // 16) for p, n in zip(peak, array.shape, strict=True))
        raise DataError(
            name,
            expected=f"centred k-space, strongest near {tuple(n // 2 for n in array.shape)}",
            came=f"the strongest sample at {tuple(map(int, peak))}",
            remedy="apply numpy.fft.fftshift"
            if corner
            else "check the order of the axes, and that this is k-space and not an image",
        )


def _crop(array: files.AnyArray, size: int | tuple[int, int], name: str, notes: list[str]) -> files.AnyArray:
    """The central samples, scaled to the same brightness."""
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    if len(wanted) != 2 or any(not 8 <= n <= full for n, full in zip(wanted, array.shape, strict=False)):
        raise DataError(
            f"{name}: size = {size}",
            expected=f"from 8 to the stored {array.shape[0]} x {array.shape[1]} samples",
            came=str(size),
            remedy="a larger image would need samples that were not measured",
        )
    start = [full // 2 - n // 2 for n, full in zip(wanted, array.shape, strict=True)]
    scale = float(np.sqrt(wanted[0] * wanted[1] / array.size))
    notes.append(
        f"cropped to the central {wanted[0]} x {wanted[1]} of {array.shape[0]} x {array.shape[1]} samples and multiplied by "
        f"{scale:.6g}: the ideal anti-aliased resize of the image (sinc kernel, same field of view and brightness)"
    )
    return array[start[0] : start[0] + wanted[0], start[1] : start[1] + wanted[1]] * scale


def _noise(array: files.AnyArray) -> float:
    """Standard deviation of complex noise, from the median magnitude of the four corners of k-space (an eighth of each side).

    There the object has little left; the magnitude of complex Gaussian noise has the median ``sigma sqrt(log 2)``. Samples
    that are exactly zero were not measured (partial Fourier, elliptical shutters, padding) and say nothing about the noise.
    NaN where fewer than `LEAST_CORNER` of the samples there are left.
    """
    height, width = (max(2, n // 8) for n in array.shape)
    bands = (slice(height), slice(-height, None)), (slice(width), slice(-width, None))
    corners = np.concatenate([array[rows, columns].ravel() for rows in bands[0] for columns in bands[1]])
    measured = np.abs(corners[corners != 0])
    if len(measured) < LEAST_CORNER * len(corners):
        return float("nan")
    return float(np.median(measured) / np.sqrt(np.log(2.0)))


def _background(image: files.AnyArray) -> float:
    """Root mean square of the darkest of the four corners of the image (an eighth of each side)."""
    height, width = (max(2, n // 8) for n in image.shape)
    bands = (slice(height), slice(-height, None)), (slice(width), slice(-width, None))
    return min(float(np.sqrt(np.mean(np.abs(image[rows, columns]) ** 2))) for rows in bands[0] for columns in bands[1])


def _split(magnitude: files.AnyArray) -> bool:
    """Whether more than three quarters of the energy lies in the outer half of the image."""
    height, width = magnitude.shape
    energy = magnitude**2
    middle = energy[height // 7 : height - height // 7, width // 7 : width - width // 7].sum()
    return bool(middle < 0.25 * energy.sum())
