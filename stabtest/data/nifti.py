"""Volumes in NIfTI files, by nibabel (the extra ``nifti``).

Values are those that the header's slope and intercept give. Slices lie along the last axis of the file; each is turned so that rows of the array
run along the second axis, as pictures are stored. Orientation in the patient is not used: a slice is an image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stabtest.data import files
from stabtest.errors import DataError


def read_nifti(path: str | Path) -> files.AnyArray:
    """Slices ``(n, H, W)`` of a volume, or the image ``(H, W)``.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``.

    Raises
    ------
    DataError
        If nibabel is not installed, the file is missing or damaged, or it holds a series (four axes or more).
    """
    path = files.existing(path)
    try:
        import nibabel
    except ImportError as error:
        raise DataError(
            str(path), expected="nibabel, which reads NIfTI", came="not installed", remedy="pip install 'stabtest[nifti]'"
        ) from error
    try:
        array = np.asarray(nibabel.load(path).dataobj)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]
    except Exception as error:
        message = str(error).strip().splitlines()
        raise DataError(
            str(path),
            expected="a readable NIfTI file",
            came=message[0] if message else type(error).__name__,
            remedy="copy it again",
        ) from error
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3):
        raise DataError(
            str(path), expected="an image or a volume", came=f"shape {array.shape}", remedy="write one volume of the series"
        )
    return array.T if array.ndim == 2 else array.transpose(2, 1, 0)
