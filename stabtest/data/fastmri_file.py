"""Files of fastMRI: HDF5 volumes of single- or multi-coil k-space.

| dataset | shape | |
|---|---|---|
| ``kspace`` | ``(slices, coils, H, W)`` or ``(slices, H, W)`` | centred, orthonormal; rows are the read-out |
| ``mask`` | ``(W,)`` | of test sets: which columns were kept |
| ``reconstruction_rss``, ``reconstruction_esc`` | ``(slices, h, w)`` | magnitudes, cropped to the shown field of view |
| ``ismrmrd_header`` | XML | see `stabtest.data.mrd_header` |

One slice is read at a time. Of the attributes ``acquisition`` and ``max`` are shown; ``patient_id`` is compared with that of other files and
never shown. The masks of test sets also mark columns beyond the encoding limits, which hold zeros and were not measured; here they are not.

Source: J. Zbontar et al., *fastMRI: an open dataset and benchmarks for accelerated MRI*, arXiv:1811.08839, section 4 and appendix.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stabtest.data import files
from stabtest.data.mrd_header import Encoding, read_header
from stabtest.data.raw import RawKSpace, has_gaps, measured_columns, slice_of
from stabtest.errors import DataError

if TYPE_CHECKING:
    import h5py

_IMAGES = {True: "reconstruction_rss", False: "reconstruction_esc"}


def read_volume_slice(file: h5py.File, path: Path, *, key: str | None, index: int | None, coils: bool) -> RawKSpace:
    """One slice of an open file.

    Parameters
    ----------
    file, path
        The file, and where it lies.
    key
        Dataset; ``"kspace"`` if None.
    index
        Slice.
    coils
        Whether several coils are expected.

    Raises
    ------
    DataError
        If a dataset is missing or has another shape, or the mask does not belong to the k-space.
    """
    key = key or "kspace"
    stored = files.dataset(file, key)
    name = f"{path}: {key}"
    shape = tuple(int(n) for n in stored.shape)
    if coils and len(shape) == 3:
        came = f"shape {shape}, which is (slices, H, W) in fastMRI's single-coil files"
        remedy = 'for a single coil set [operator] kind = "fourier"; one slice of several coils is (1, coils, H, W)'
        raise DataError(name, expected="multi-coil k-space (slices, coils, H, W)", came=came, remedy=remedy)
    where = slice_of(shape, index, name, coils=coils)
    array = np.asarray(stored[where] if where else stored[...])
    array = array if coils else array[None]
    shown_name = name + (f"[{where[0]}]" if where and index is not None else "")
    notes = _attributes(file)
    header = _header(file, str(path))
    shown = _shown(file, str(path), index=where[0] if where else 0, slices=shape[0] if where else 1, coils=coils)
    mask = _mask(file, str(path), array) if "mask" in file else None
    if header is None and mask is None:
        kept = None if shown is None else (min(shown.shape[0], array.shape[1]), min(shown.shape[1], array.shape[2]))
        return RawKSpace(array, shown_name, kept=kept, shown=shown, notes=tuple(notes))
    columns = measured_columns(array)
    _check_limits(columns, header, mask, shown_name, notes)
    kept = _kept(header, shown, array)
    return RawKSpace(array, shown_name, columns, kept, prospective=has_gaps(columns), shown=shown, notes=tuple(notes))


def patient_id(file: h5py.File) -> str | None:
    """The attribute by which volumes of one patient are told; to be compared only."""
    value = file.attrs.get("patient_id")
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value) if value is not None else ""
    return text or None


def _attributes(file: h5py.File) -> list[str]:
    notes: list[str] = []
    acquisition = file.attrs.get("acquisition")
    if acquisition is not None:
        text = acquisition.decode(errors="replace") if isinstance(acquisition, bytes) else str(acquisition)
        notes.append(f"acquisition {text[:60]!r}, as the file calls it")
    largest = file.attrs.get("max")
    if isinstance(largest, (int, float, np.number)) and np.isfinite(float(largest)):
        notes.append(
            f"the largest value of the volume is {float(largest):.6g}, as the file says; each slice is scaled by its own"
        )
    return notes


def _header(file: h5py.File, path: str) -> Encoding | None:
    if "ismrmrd_header" not in file:
        return None
    stored = files.dataset(file, "ismrmrd_header")
    value = np.asarray(stored[()]).ravel()
    text = value[0] if len(value) else b""
    header = read_header(text if isinstance(text, (str, bytes)) else str(text), f"{path}: ismrmrd_header")
    if header.trajectory != "cartesian":
        raise DataError(
            f"{path}: ismrmrd_header",
            expected="a Cartesian trajectory",
            came=repr(header.trajectory[:40]),
            remedy="grid the data yourself and give Cartesian k-space",
        )
    return header


def _mask(file: h5py.File, path: str, array: files.AnyArray) -> files.AnyArray:
    """The mask, checked against the k-space."""
    values = np.asarray(files.dataset(file, "mask")[...])
    width = array.shape[-1]
    if values.size != width or values.dtype.kind not in "buif" or not np.isin(values, (0, 1)).all():
        raise DataError(
            f"{path}: mask",
            expected=f"{width} entries 0 or 1, one a column of the k-space",
            came=f"shape {values.shape} of type {values.dtype}",
            remedy="write the mask (W,) of this k-space, 1 where a column was measured; masks of points cannot be read from this format",
        )
    mask = values.ravel() != 0
    strange = int(np.count_nonzero(measured_columns(array) & ~mask))
    if strange:
        raise DataError(
            f"{path}: mask",
            expected="zeros in the columns that it leaves out",
            came=f"{strange} of them hold samples",
            remedy="the mask belongs to other k-space: apply it first, or leave it out",
        )
    return mask


def _check_limits(
    columns: files.AnyArray, header: Encoding | None, mask: files.AnyArray | None, name: str, notes: list[str]
) -> None:
    """Refuse gaps that nothing explains; say what was not measured."""
    if mask is None and has_gaps(columns):
        raise DataError(
            name,
            expected="fully sampled k-space, or a dataset mask that says what was left out",
            came=f"{int(np.count_nonzero(~columns))} columns of zeros, some between measured ones, and no mask",
            remedy="write the mask (W,) beside the k-space",
        )
    if not columns.any():
        return
    first, last = (int(np.flatnonzero(columns)[k]) for k in (0, -1))
    outside = first + len(columns) - 1 - last
    limits = header.columns(len(columns)) if header is not None else None
    if outside:
        why = "" if limits is None else f"; by the header columns {limits[0]} to {limits[1] - 1} were encoded"
        notes.append(f"{outside} columns at the borders hold zeros only and count as not measured{why}")


def _kept(header: Encoding | None, shown: files.AnyArray | None, array: files.AnyArray) -> tuple[int, int] | None:
    height, width = array.shape[1:]
    if header is not None:
        return header.kept(0, height), header.kept(1, width)
    return None if shown is None else (min(shown.shape[0], height), min(shown.shape[1], width))


def _shown(file: h5py.File, path: str, *, index: int, slices: int, coils: bool) -> files.AnyArray | None:
    """The image of the slice that the file holds, if it does."""
    key = next((name for name in (_IMAGES[coils], _IMAGES[not coils]) if name in file), None)
    if key is None:
        return None
    stored = files.dataset(file, key)
    if stored.ndim != 3 or stored.shape[0] != slices:
        raise DataError(
            f"{path}: {key}",
            expected=f"({slices}, h, w), one image a slice of the k-space",
            came=f"shape {stored.shape}",
            remedy=f"store the images of this k-space under {key}, or take the dataset out",
        )
    image = np.asarray(stored[index])
    if image.dtype.kind not in "uif" or not np.isfinite(image).all():
        raise DataError(
            f"{path}: {key}[{index}]",
            expected="finite magnitudes",
            came=f"other values, of type {image.dtype}",
            remedy="take the dataset out; the image is then reconstructed from the k-space",
        )
    return image.astype(np.float64)
