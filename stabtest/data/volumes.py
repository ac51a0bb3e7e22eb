"""What can be said of a file of k-space without reading its samples: how many slices it has, and whether two are of one patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stabtest.data import files
from stabtest.data.fastmri_file import patient_id
from stabtest.data.mrd_file import count_slices as count_acquired
from stabtest.data.mrd_file import find_group
from stabtest.errors import DataError

_HDF5 = (".h5", ".hdf5", ".mrd")


def count_slices(path: str | Path, *, coils: bool) -> int:
    """How many slices a file holds; 1 where it holds one without an axis for it.

    Parameters
    ----------
    path
        A file of k-space.
    coils
        Whether of several coils.

    Raises
    ------
    DataError
        If it cannot be read or holds no k-space.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _HDF5:
        with files.opened_hdf5(path) as file:
            group = find_group(file)
            if group is not None:
                return count_acquired(file, group)
            shape = files.dataset(file, "kspace").shape
    elif suffix == ".npy":
        try:
            shape = np.load(files.existing(path), mmap_mode="r", allow_pickle=False).shape
        except (ValueError, OSError, EOFError) as error:
            raise DataError(
                str(path),
                expected="a NumPy file of numbers",
                came=str(error).split("\n")[0],
                remedy="it may be truncated, or hold Python objects: save the array again by numpy.save",
            ) from error
    else:
        shape = files.load_numpy(path).shape
    return int(shape[0]) if len(shape) == (4 if coils else 3) else 1


def volume_patients(paths: Sequence[Path]) -> list[int | None]:
    """Whose each file is: numbers from 1 in order of appearance; None where a file does not say.

    Parameters
    ----------
    paths
        Files of any kind. The identities are compared and go no further.
    """
    known: dict[str, int] = {}
    numbers: list[int | None] = []
    for path in paths:
        identity = None
        if path.suffix.lower() in _HDF5:
            with files.opened_hdf5(path) as file:
                identity = patient_id(file)
        numbers.append(known.setdefault(identity, len(known) + 1) if identity else None)
    return numbers
