"""Opening files and checking arrays, with errors that name the file, the key and what was expected.

Nothing here guesses: a file that is not what the reader was told it is ends in a `DataError`, never in an array that merely
looks right.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stabtest.errors import DataError, StabtestError

if TYPE_CHECKING:
    import h5py

AnyArray = NDArray[Any]


def existing(path: str | Path) -> Path:
    """Return the path if there is a file of more than zero bytes.

    Raises
    ------
    DataError
        If nothing is there, or it is a folder, or it is empty.

    Examples
    --------
    >>> existing("nowhere.npy")
    Traceback (most recent call last):
    ...
    stabtest.errors.DataError: nowhere.npy: expected a file; came nothing there. Remedy: check the path ...
    """
    path = Path(path)
    if not path.exists():
        remedy = "check the path (relative ones count from the current folder)"
        raise DataError(str(path), expected="a file", came="nothing there", remedy=remedy)
    if path.is_dir():
        raise DataError(str(path), expected="a file", came="a folder", remedy="name a file in it")
    if path.stat().st_size == 0:
        raise DataError(str(path), expected="data", came="an empty file", remedy="copy it again")
    return path


@contextmanager
def opened_hdf5(path: str | Path) -> Generator[h5py.File]:
    """An HDF5 file for reading; damage that shows while it is read becomes a `DataError` as well.

    Raises
    ------
    DataError
        If it is missing, truncated or not HDF5.
    """
    import h5py

    path = existing(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except StabtestError:
        raise
    except Exception as error:  # h5py has a KeyError, ValueError, TypeError, MemoryError for damage of each kind
        raise DataError(
            str(path), expected="a readable HDF5 file", came=_first_line(error), remedy="it may be truncated: copy it again"
        ) from error


def dataset(file: h5py.File, key: str) -> h5py.Dataset:
    """The dataset under a key.

    Raises
    ------
    DataError
        If there is none; the keys of the file are listed.
    """
    import h5py

    found = file.get(key)
    if not isinstance(found, h5py.Dataset):
        names: list[str] = []

        def note(name: str | bytes, node: object) -> None:
            if isinstance(node, h5py.Dataset):  # a name that is no UTF-8 comes as bytes
                names.append(name if isinstance(name, str) else name.decode(errors="replace"))

        file.visititems(note)
        came = (
            ("a group" if found is not None else "no such key") + "; the file holds " + (", ".join(names[:12]) or "no datasets")
        )
        raise DataError(f"{file.filename}: {key}", expected="a dataset", came=came, remedy="name the key that holds the data")
    return found


def load_numpy(path: str | Path, *, key: str | None = None) -> AnyArray:
    """An array from ``.npy`` or ``.npz``; pickled objects are refused.

    Parameters
    ----------
    path
        The file.
    key
        Which array of an ``.npz`` file; may be left out where there is only one.

    Raises
    ------
    DataError
        If the file is missing, damaged or holds pickled objects, or the key is not in it.
    """
    path = existing(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = list(loaded.files)
            chosen = key if key is not None else names[0] if len(names) == 1 else None
            if chosen not in names:
                raise DataError(
                    f"{path}: {key}" if key is not None else str(path),
                    expected="the key of one array",
                    came="no key" if key is None else "no such key",
                    remedy=f"choose one of {', '.join(names)}",
                )
            return np.asarray(loaded[chosen])
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib, struct and numpy each raise their own
        raise DataError(
            str(path), expected="a NumPy file of numbers", came=_first_line(error), remedy="write it again with numpy.save"
        ) from error


def numbers(array: AnyArray, name: str, *, ndim: int | None = None) -> AnyArray:
    """Return the array if it holds finite numbers that are not all zero.

    Raises
    ------
    DataError
        If it is empty, not numeric, not finite or zero throughout, or has another number of axes.

    Examples
    --------
    >>> numbers(np.zeros(3), "file.npy")
    Traceback (most recent call last):
    ...
    stabtest.errors.DataError: file.npy: expected values other than 0; came zeros throughout. Remedy: ...
    """
    if ndim is not None and array.ndim != ndim:
        raise DataError(name, expected=f"{ndim} axes", came=f"shape {array.shape}", remedy="choose one image of the stack")
    if array.size == 0:
        raise DataError(
            name, expected="numbers", came=f"an empty array of shape {array.shape}", remedy="check that this is the right file"
        )
    if array.dtype.kind not in "buifc":
        raise DataError(
            name, expected="numbers", came=f"entries of type {array.dtype}", remedy="give an array of real or complex numbers"
        )
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise DataError(
            name, expected="finite numbers", came=f"{bad} NaN or infinite values of {array.size}", remedy="mend them first"
        )
    if not array.any():
        raise DataError(
            name, expected="values other than 0", came="zeros throughout", remedy="check that this is the right file"
        )
    return array


def _first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__
