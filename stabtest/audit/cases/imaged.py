"""Objects from image files: the measurement is simulated from them as from a phantom.

The image is made square (zeros around the shorter side) and resampled to a grid twice as fine as the one that is reconstructed (cubic
splines, with the anti-aliasing filter of scikit-image where it gets smaller), then measured through the finer operator.

An image is not an object. It holds the noise, the blur and the processing of whatever made it, and has no detail that they did not leave: from
processed images methods look better than they are (E. Shimron, J. I. Tamir, K. Wang, M. Lustig, *Implicit data crimes: machine learning bias arising
from misuse of public data*, PNAS 119(13), 2022). A magnitude image has no phase, so that simulated k-space is Hermitian, which that of a scanner is
not. The report says all this.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from skimage.transform import resize
from torch import Tensor

from stabtest.audit.config import Config
from stabtest.data import patient_numbers, read_image
from stabtest.data.files import AnyArray

FINER = 2
"""How much finer the grid of the object is than that of the reconstruction."""


@dataclass(frozen=True, eq=False)
class ImagedObject:
    """An object from a file.

    Parameters
    ----------
    fine
        ``(1, 1, 2 N, 2 N)``, real or complex.
    patient
        Whose, if the file or the configuration says.
    notes
        What was done to it.
    """

    fine: Tensor
    patient: str | None
    notes: tuple[str, ...]


def read_object(config: Config, index: int) -> ImagedObject:
    """Image file number ``index`` of a configuration as an object.

    Parameters
    ----------
    config
        With ``[data] kind = "images"``.
    index
        Which of ``[data] files``.

    Raises
    ------
    DataError
        If the file is missing, damaged or not one image.
    """
    data, path = config.data, config.path(config.data.files[index])
    # read_image subtracts zero and divides by scale; Hounsfield units without a zero start at air, -1000.
    scale = None
    if data.one is not None:
        scale = data.one - (data.zero if data.zero is not None else _default_zero(path, data.row))
    read = read_image(path, index=data.row, scale=scale, offset=data.zero)
    image, size = read.image[0, 0].numpy(), FINER * config.operator.size
    notes = list(read.notes)
    height, width = image.shape
    if height != width:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        image = np.pad(image, ((top, side - height - top), (left, side - width - left)))
        notes.append(f"made square with zeros, {side} x {side}")
    if image.shape[0] != size:
        notes.append(f"resampled from {image.shape[0]} to {size} pixels a side, the grid of the simulated object")
    if image.shape[0] < size:
        notes.append(f"it has no detail finer than {size / image.shape[0]:.1f} pixels of that grid")
    fine = torch.from_numpy(_resampled(image, size))[None, None]
    return ImagedObject(fine, _patient(config, index), tuple(notes))


def _default_zero(path: Path, row: int | None) -> float:
    """What becomes 0 where the configuration does not say."""
    return read_image(path, index=row).offset


def _resampled(image: AnyArray, size: int) -> AnyArray:
    if image.shape == (size, size):
        return image
    if np.iscomplexobj(image):
        return (_resampled(np.real(image), size) + 1j * _resampled(np.imag(image), size)).astype(np.complex64)
    smaller = size < image.shape[0]
    return resize(image.astype(np.float64), (size, size), order=3, mode="constant", anti_aliasing=smaller).astype(np.float32)


def _patient(config: Config, index: int) -> str | None:
    """Name for counting: as given, or the number of the patient of a DICOM file."""
    if config.data.patients:
        return config.data.patients[index]
    number = _numbers(tuple(config.path(name) for name in config.data.files))[index]
    return None if number is None else f"patient {number}"


@functools.lru_cache(maxsize=4)
def _numbers(paths: tuple[Path, ...]) -> tuple[int | None, ...]:
    # Headers of all files, once and not for every case.
    return tuple(patient_numbers(paths))
