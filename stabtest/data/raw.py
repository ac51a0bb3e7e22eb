"""One slice of k-space as a file holds it, whatever the file, before anything is done to it.

The axes are ``(coils, read-out, phase encoding)``: rows were read out in one go, columns are phase encodings, and it is columns that an undersampled
Cartesian scan leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stabtest.data import files
from stabtest.errors import DataError


@dataclass(frozen=True, eq=False)
class RawKSpace:
    """A slice.

    Attributes
    ----------
    array
        ``(C, H, W)``, complex, centred.
    name
        How messages call it.
    columns
        Which columns were measured, boolean ``(W,)``; None where the file does not say: then all, and zeros are doubtful.
    kept
        Pixels of the shown field of view along both axes, None where the file does not say.
    prospective
        Whether the scanner itself left columns out within the measured range.
    shown
        The image that the file calls its reconstruction, real ``(h, w)``, or None.
    noise_std
        Of each sample where a noise scan says; NaN otherwise.
    notes
        What was read and done.
    """

    array: files.AnyArray
    name: str
    columns: files.AnyArray | None = None
    kept: tuple[int, int] | None = None
    prospective: bool = False
    shown: files.AnyArray | None = None
    noise_std: float = float("nan")
    notes: tuple[str, ...] = field(default=())


def slice_of(stored_shape: tuple[int, ...], index: int | None, name: str, *, coils: bool) -> tuple[int, ...]:
    """Where one slice lies in an array: the leading indices, none if the array is a slice.

    Parameters
    ----------
    stored_shape
        ``(H, W)`` or ``(slices, H, W)`` for one coil; ``(C, H, W)`` or ``(slices, C, H, W)`` for several.
    index
        Which slice.
    name
        For messages.
    coils
        Whether several coils are expected.

    Raises
    ------
    DataError
        If the shape is another one, or there is no such slice.
    """
    least = 3 if coils else 2
    axes = len(stored_shape)
    if axes < least or axes > least + 1:
        raise DataError(name, expected=_EXPECTED[coils], came=_came(stored_shape), remedy=_REMEDY[coils])
    if axes == least:
        if index:
            raise DataError(
                name,
                expected="a stack of slices",
                came=f"shape {stored_shape}",
                remedy="leave out [data] row (in Python: index)",
            )
        return ()
    if index is None and stored_shape[0] != 1:
        raise DataError(
            name,
            expected="one slice",
            came=f"shape {stored_shape}",
            remedy="choose a slice: [data] row = 0, or every = 1 for all of them (in Python: index)",
        )
    index = index or 0
    if not 0 <= index < stored_shape[0]:
        raise DataError(
            name,
            expected=f"a slice from 0 to {stored_shape[0] - 1}",
            came=f"index = {index}",
            remedy="correct [data] row (in Python: index)",
        )
    return (index,)


def read_array(path: str | Path, *, key: str | None, index: int | None, coils: bool) -> RawKSpace:
    """A slice of a NumPy file.

    Raises
    ------
    DataError
        If it cannot be read, or has another shape.
    """
    array = files.load_numpy(path, key=key)
    name = str(path) + (f": {key}" if key else "")
    where = slice_of(array.shape, index, name, coils=coils)
    chosen = array[where] if where else array
    return RawKSpace(chosen if coils else chosen[None], name + (f"[{index}]" if where and index is not None else ""))


_EXPECTED = {
    False: "(H, W) or (slices, H, W), single-coil k-space of 2 axes",
    True: "multi-coil k-space (slices, coils, H, W), or (coils, H, W) in a NumPy file",
}
_REMEDY = {
    False: 'for several coils set [operator] kind = "multicoil" (in Python: coils=True)',
    True: 'for a single coil set [operator] kind = "fourier"',
}


def _came(shape: tuple[int, ...]) -> str:
    return f"shape {shape}" + (", which looks like (slices, coils, H, W)" if len(shape) == 4 else "")


def complex_numbers(raw: RawKSpace) -> RawKSpace:
    """The slice if it holds finite complex numbers that are not all zero.

    Raises
    ------
    DataError
        If it does not.
    """
    files.numbers(raw.array, raw.name, ndim=3)
    if raw.array.dtype.kind != "c":
        raise DataError(raw.name, expected="complex k-space", came=f"real numbers of type {raw.array.dtype}", remedy=_REAL)
    return raw


_REAL = "k-space is complex: is this an image? Then simulate from it, or give the complex array"


def measured_columns(array: files.AnyArray) -> files.AnyArray:
    """Which columns of ``(C, H, W)`` hold anything.

    Examples
    --------
    >>> measured_columns(np.array([[[0, 1, 2j, 0]]]))
    array([False,  True,  True, False])
    """
    return np.any(array != 0, axis=(0, 1))


def has_gaps(columns: files.AnyArray) -> bool:
    """Whether columns are missing between measured ones.

    Examples
    --------
    >>> has_gaps(np.array([False, True, True, False])), has_gaps(np.array([True, False, True]))
    (False, True)
    """
    found = np.flatnonzero(columns)
    return bool(len(found)) and int(found[-1] - found[0] + 1) != len(found)
