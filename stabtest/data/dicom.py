"""One image of a DICOM file, and of its tags no more than what the image means.

CT: stored values become Hounsfield units, ``HU = RescaleSlope * stored + RescaleIntercept`` (DICOM PS3.3, C.11.1). MR and everything else: the
same rescaling where the file has one, else the stored values.

Personal tags are not read into anything: the patient's identity is used once, to count images of one patient as one, and only the number
in order of appearance goes further (`patient_numbers`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stabtest.data import files
from stabtest.errors import DataError

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset


@dataclass(frozen=True)
class DicomImage:
    """What is taken from a file.

    Attributes
    ----------
    values
        ``(H, W)`` or ``(frames, H, W)``, rescaled.
    hounsfield
        Whether they are Hounsfield units.
    spacing
        Row and column spacing in mm, if the file says.
    """

    values: files.AnyArray
    hounsfield: bool
    spacing: tuple[float, float] | None


def is_dicom(path: str | Path) -> bool:
    """Whether a file has the preamble of DICOM."""
    with files.existing(path).open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_dicom(path: str | Path) -> DicomImage:
    """Read the pixels of a DICOM file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        If it is missing, damaged, compressed in a way that cannot be read, in colour, or has no pixels.
    """
    data = _opened(path, pixels=True)
    try:
        stored = np.asarray(data.pixel_array)
    except Exception as error:  # each decoder has its own exceptions
        message = str(error).strip().splitlines()
        raise DataError(
            str(path),
            expected="a DICOM file with pixels that can be decoded",
            came=message[0].rstrip(".") if message else type(error).__name__,
            remedy="copy it again, or write it without compression",
        ) from error
    with _header(path):
        colours = data.get("SamplesPerPixel", 1) != 1
    if stored.ndim not in (2, 3) or colours:
        raise DataError(str(path), expected="a greyscale image", came="colour", remedy="convert it to grey")
    with _header(path):
        values = stored.astype(np.float64) * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
        modality = str(data.get("Modality", ""))
        units = str(data.get("RescaleType", "HU")).upper()
        spacing = data.get("PixelSpacing")
        sides = None if spacing is None or len(spacing) != 2 else (float(spacing[0]), float(spacing[1]))
    return DicomImage(values, hounsfield=modality == "CT" and units in ("HU", "HU_MOD"), spacing=sides)


def patient_numbers(paths: Sequence[Path]) -> list[int | None]:
    """Whose image each file is: numbers from 1 in order of appearance; None where a file is not DICOM or does not say.

    Parameters
    ----------
    paths
        Files of any kind.

    Raises
    ------
    DataError
        If a DICOM file cannot be read, or its patient.
    """
    known: dict[str, int] = {}
    numbers: list[int | None] = []
    for path in paths:
        identity = ""
        if is_dicom(path):
            with _header(path):
                identity = str(_opened(path, pixels=False).get("PatientID", "") or "")
        numbers.append(known.setdefault(identity, len(known) + 1) if identity else None)
    return numbers


@contextmanager
def _header(path: str | Path) -> Generator[None]:
    """Values of a header are converted when they are asked for, each kind with its own exceptions."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            str(path),
            expected="a DICOM header whose entries can be read",
            came=f"{type(error).__name__}: {error}",
            remedy="copy the file again",
        ) from error


def _opened(path: str | Path, *, pixels: bool) -> FileDataset:
    import pydicom

    try:
        return pydicom.dcmread(files.existing(path), stop_before_pixels=not pixels)
    except DataError:
        raise
    except Exception as error:
        message = str(error).strip().splitlines()
        raise DataError(
            str(path),
            expected="a readable DICOM file",
            came=message[0] if message else type(error).__name__,
            remedy="copy it again",
        ) from error
