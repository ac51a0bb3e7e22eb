"""Coil maps from a file.

A file for all slices holds ``(C, H, W)``; one for a volume ``(slices, C, H, W)``, as fastMRI orders k-space. The maps must be on the grid of the
reconstruction and in the order of the coils: neither can be seen from the file, but maps of other coils do not explain the k-space
(`explained`), and the share that they do is reported.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest.data import files
from stabtest.errors import DataError
from stabtest.operators import MultiCoilFourier


def read_coil_maps(
    path: str | Path, shape: tuple[int, int, int], *, key: str | None = None, index: int | None = None
) -> Tensor:
    """Coil maps of one slice.

    Parameters
    ----------
    path
        ``.npy``, ``.npz`` or HDF5.
    shape
        ``(C, H, W)`` that the k-space has.
    key
        Array or dataset; may be left out where there is only one.
    index
        The slice, where the file holds those of many.

    Returns
    -------
    Tensor
        ``(C, H, W)``, complex64.

    Raises
    ------
    DataError
        If the file cannot be read, or the maps are not finite complex numbers of that shape.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/maps.npy", np.ones((5, 4, 8, 8), np.complex64))
    ...     read_coil_maps(f"{folder}/maps.npy", (4, 8, 8), index=3).shape
    torch.Size([4, 8, 8])
    """
    name = f"coil maps {path}"
    if Path(path).suffix.lower() in (".h5", ".hdf5"):
        with files.opened_hdf5(path) as file:
            stored = files.dataset(file, key or _only(list(file), name))
            many = stored.ndim == 4
            _check_slice(many, stored.shape, index, name)
            array = np.asarray(stored[index if stored.shape[0] > 1 else 0] if many else stored[...])
    else:
        array = files.load_numpy(path, key=key)
        if array.ndim == 4:
            _check_slice(True, array.shape, index, name)
            array = array[index if array.shape[0] > 1 else 0]
    if array.shape != shape:
        raise DataError(
            name,
            expected=f"shape {shape}: coils, and the grid of the reconstruction",
            came=f"{array.shape} for a slice",
            remedy="give the maps of the coils of this scan"
            if array.ndim == 3 and array.shape[1:] == shape[1:]
            else "set [operator] size and [data] field_of_view to those of the maps, or resample the maps",
        )
    files.numbers(array, name)
    if array.dtype.kind != "c":
        raise DataError(
            name,
            expected="complex sensitivities",
            came=f"real numbers of type {array.dtype}",
            remedy="give magnitude and phase of each coil in one complex array",
        )
    return torch.from_numpy(array.astype(np.complex64))


def explained(kspace: Tensor, maps: Tensor, measured: Tensor) -> float:
    """Share of the energy of k-space that one image seen through the maps explains, by the coil-combined zero-filled image.

    For fully sampled data that image is the least-squares solution, and what is left is noise and errors of the maps.

    Parameters
    ----------
    kspace
        ``(1, C, H, W)``, zero where nothing was measured.
    maps
        ``(C, H, W)``.
    measured
        Boolean ``(H, W)``. Samples outside are not asked for.

    Examples
    --------
    >>> from stabtest import phantoms
    >>> maps, everything = phantoms.coil_maps(16, 4, seed=0), torch.ones(16, 16, dtype=torch.bool)
    >>> y = MultiCoilFourier(everything, maps)(torch.ones(1, 1, 16, 16, dtype=torch.complex64))
    >>> round(explained(y, maps, everything), 4), explained(y, maps.flip(0), everything) < 0.9
    (1.0, True)
    """
    operator = MultiCoilFourier(measured, maps)
    left = kspace - operator(operator.pseudo_inverse(kspace))
    return 1.0 - float(left.abs().square().sum() / kspace.abs().square().sum())


def _only(names: list[str], name: str) -> str:
    if len(names) != 1:
        came = ", ".join(names[:12]) or "nothing"
        raise DataError(name, expected="one dataset, or [operator] maps.dataset", came=came, remedy="say which holds the maps")
    return names[0]


def _check_slice(many: bool, shape: tuple[int, ...], index: int | None, name: str) -> None:
    if many and shape[0] > 1 and (index is None or not 0 <= index < shape[0]):
        came = "no slice" if index is None else f"slice {index}"
        raise DataError(
            name,
            expected=f"a slice from 0 to {shape[0] - 1}, as the file holds maps of so many",
            came=came,
            remedy="give maps of every slice of the scan, or one set of maps (C, H, W) for all",
        )
