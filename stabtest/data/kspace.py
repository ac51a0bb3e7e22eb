"""K-space from a file, of one coil or several, fully sampled or not.

The image of a coil is ``x = F* y`` with the centred orthonormal transform of `stabtest.operators.ifft2c`, DC at ``N // 2`` along each
axis.

Two crops, in this order (`stabtest.data.resize`): the field of view to the one that the scanner shows, where the file says what that is (read-out
oversampling), and k-space to the central samples that are asked for. The latter are, times ``sqrt(n_1 n_2 / (N_1 N_2))``, the k-space that a scan of
the same field of view at lower resolution would have measured, with the same brightness. That is the ideal anti-aliased resize (a sinc kernel: sharp
edges ring), and no interpolation touches the data.

Source: the conventions are those of fastMRI (J. Zbontar et al., *fastMRI: an open dataset and benchmarks for accelerated
MRI*, arXiv:1811.08839); the coils are put together for scaling by root sum of squares (P. B. Roemer et al., *The NMR phased array*, Magnetic
Resonance in Medicine 16, 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stabtest.data import files
from stabtest.data.fastmri_file import read_volume_slice
from stabtest.data.kspace_checks import check_centre, check_sampling, compare, is_split, noise_notes
from stabtest.data.mrd_file import find_group, read_acquisitions
from stabtest.data.raw import RawKSpace, complex_numbers, read_array
from stabtest.data.receiver_noise import corner_noise
from stabtest.data.resize import crop_columns, crop_field, crop_samples, wanted_shape
from stabtest.errors import DataError
from stabtest.operators import ifft2c

Field = Literal["shown", "read-out", "encoded"]
"""Which field of view: the one that the scanner shows, cropped along the read-out only, or all of it."""


@dataclass(frozen=True)
class KSpaceData:
    """One slice.

    Attributes
    ----------
    kspace
        ``(1, C, H, W)``, complex64, centred.
    reference
        Of a single coil, fully sampled: its reconstruction ``(1, 1, H, W)``, complex64, largest magnitude 1. None of several coils, whose
        combination needs their maps, and of undersampled data.
    factor
        By what the stored (and cropped) k-space was divided.
    noise_std
        Estimated standard deviation of the complex noise (both parts together) on each sample of ``kspace`` and, the transform
        being orthonormal, on each pixel of a coil's image; root mean square over the coils; NaN where too few samples in the corners were measured.
    source
        The file.
    notes
        What was done to the data, one sentence each.
    measured
        Boolean ``(H, W)``, which samples the scanner measured; None where the file does not say: all.
    prospective
        Whether the scanner left out lines within the measured range.
    shown
        The image that the file holds as its own reconstruction, magnitudes ``(1, 1, h, w)`` divided by ``factor``, or None.
    """

    kspace: Tensor
    reference: Tensor | None
    factor: float
    noise_std: float
    source: str
    notes: tuple[str, ...]
    measured: Tensor | None = None
    prospective: bool = False
    shown: Tensor | None = None


def read_kspace(
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    key: str | None = None,
    index: int | None = None,
    coils: bool = False,
    field: Field | None = None,
    undersampled: bool = False,
) -> KSpaceData:
    """Read one slice of centred k-space.

    Parameters
    ----------
    path
        ``.npy``, ``.npz`` or HDF5 (``.h5``, ``.hdf5``, ``.mrd``): fastMRI's layout, or raw data in the ISMRM format; told by content.
    size
        Crop to the central ``size x size`` (or ``(H, W)``) samples; None keeps all.
    key
        Array of an ``.npz`` file, or dataset of an HDF5 file (``"kspace"`` if None).
    index
        Slice of a stack.
    coils
        Whether the file holds several coils: ``(slices, C, H, W)``, or in a NumPy file ``(C, H, W)``.
    field
        Which field of view, where the file says what the scanner shows. None: ``"shown"`` of fully sampled data, ``"read-out"`` of
        undersampled ones, whose phase encodings cannot be resampled.
    undersampled
        Whether data of which the scanner left out lines are wanted.

    Returns
    -------
    KSpaceData
        K-space and reference of brightness 1, and notes.

    Raises
    ------
    DataError
        If the file is missing or damaged, the array is not one complex slice of finite numbers, its energy is not in the
        middle, most of it is zero (undersampled), or ``size`` or ``field`` does not fit.

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
    raw = complex_numbers(_read(path, key=key, index=index, coils=coils))
    check_centre(np.sqrt((np.abs(raw.array) ** 2).sum(0)), raw.name)
    empty = check_sampling(raw, undersampled=undersampled)
    height, width = raw.array.shape[1:]
    # The file name without its folder: notes are printed in reports that others see.
    shown = raw.name.replace(str(path), Path(path).name, 1)
    several = f"{len(raw.array)} coils x " if coils else ""
    notes = [f"read {shown}: {several}{height} x {width} samples of type {raw.array.dtype}, DC at the middle", *raw.notes]
    if empty:
        notes.append(f"{100 * empty:.1f} % of the samples are exactly 0 (partial Fourier or padding by the scanner)")
    array, noise = raw.array.astype(np.complex128), corner_noise(raw.array, raw.columns)
    array, columns = _crop_field(raw, array, field, notes)
    inside = ifft2c(torch.from_numpy(array))
    if not raw.prospective:
        compare(inside, raw.shown, notes)
    full = array.shape[1:]
    if size is not None:
        array, columns = _crop_size(array, columns, size, raw.name, (height, width), notes)
    image = ifft2c(torch.from_numpy(array))
    magnitude = image.abs().square().sum(0).sqrt()
    factor = float(magnitude.max())
    whose = "zero-filled" if raw.prospective else "fully sampled"
    combined = "root sum of squares of the coils" if coils else "reconstruction"
    notes.append(f"divided by {factor:.6g}, so that the {whose} {combined} has largest magnitude 1")
    scale = float(np.sqrt(array.shape[1] * array.shape[2] / (full[0] * full[1]))) / factor
    level = noise_notes(raw, noise, scale, magnitude.numpy() / factor, notes)
    if is_split(magnitude.numpy()):
        notes.append("the object seems to lie across the borders of the image: is the k-space modulated by (-1)^(i+j)?")
    reference = (image / factor).to(torch.complex64)[None] if len(array) == 1 and not raw.prospective else None
    measured = None if columns is None else torch.from_numpy(np.broadcast_to(columns, array.shape[1:]).copy())
    return KSpaceData(
        kspace=torch.from_numpy(array / factor).to(torch.complex64)[None],
        reference=reference,
        factor=factor,
        noise_std=level,
        source=str(path),
        notes=tuple(notes),
        measured=measured,
        prospective=raw.prospective,
        shown=None if raw.shown is None else torch.from_numpy(raw.shown / factor).float()[None, None],
    )


def _read(path: str | Path, *, key: str | None, index: int | None, coils: bool) -> RawKSpace:
    """The slice as the file holds it."""
    suffix = Path(path).suffix.lower()
    if suffix in (".h5", ".hdf5", ".mrd"):
        with files.opened_hdf5(path) as file:
            group = None if key else find_group(file)
            if group is not None:
                return read_acquisitions(file, Path(path), group, index=index, coils=coils)
            return read_volume_slice(file, Path(path), key=key, index=index, coils=coils)
    if suffix in (".npy", ".npz"):
        return read_array(path, key=key, index=index, coils=coils)
    raise DataError(
        str(path),
        expected="k-space as .npy, .npz, .h5 or .hdf5",
        came=f"a {suffix or 'nameless'} file",
        remedy="save the complex array by numpy.save",
    )


def _crop_field(
    raw: RawKSpace, array: files.AnyArray, field: Field | None, notes: list[str]
) -> tuple[files.AnyArray, files.AnyArray | None]:
    """The field of view that is wanted, and which columns of it were measured."""
    height, width = array.shape[1:]
    field = field or ("read-out" if raw.prospective else "shown")
    if field == "shown" and raw.prospective:
        raise DataError(
            f"{raw.name}: field of view",
            expected='"read-out" or "encoded" for an undersampled scan',
            came='"shown"',
            remedy="lines between measured ones cannot be resampled",
        )
    if raw.kept is None or field == "encoded" or raw.kept == (height, width):
        return array, raw.columns
    rows, across = raw.kept[0], raw.kept[1] if field == "shown" else width
    columns = raw.columns
    array = crop_field(array, -2, rows)
    if rows != height:
        notes.append(
            f"field of view along the read-out cropped from {height} to {rows} pixels, as the scanner shows it (oversampling)"
        )
    if across != width:
        array = crop_field(array, -1, across)
        if columns is not None:
            columns = crop_columns(columns, across)
            array = array * columns
        notes.append(
            f"field of view along the phase encoding cropped from {width} to {across} pixels, as the scanner shows it: its samples are "
            "trigonometric interpolations between measured lines, and what lay outside cannot fold into the image"
        )
    elif raw.kept[1] != width:
        notes.append(f"along the phase encoding the scanner shows {raw.kept[1]} of the {width} pixels; all were kept")
    return array, columns


def _crop_size(
    array: files.AnyArray,
    columns: files.AnyArray | None,
    size: int | tuple[int, int],
    name: str,
    stored: tuple[int, int],
    notes: list[str],
) -> tuple[files.AnyArray, files.AnyArray | None]:
    """The central samples, and which columns of them were measured."""
    full = (array.shape[1], array.shape[2])
    wanted = wanted_shape(size, full, name, field=full != stored)
    scale = float(np.sqrt(wanted[0] * wanted[1] / (full[0] * full[1])))
    if wanted != full or stored == full:
        notes.append(
            f"cropped to the central {wanted[0]} x {wanted[1]} of {full[0]} x {full[1]} samples and multiplied by "
            f"{scale:.6g}: the ideal anti-aliased resize of the image (sinc kernel, same field of view and brightness)"
        )
    if columns is not None:
        left = full[1] // 2 - wanted[1] // 2
        columns = columns[left : left + wanted[1]]
    return crop_samples(array, wanted), columns
