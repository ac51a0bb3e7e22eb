"""A sampling mask from a file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest.data.files import load_numpy
from stabtest.errors import DataError


def read_mask(path: Path, shape: tuple[int, int]) -> Tensor:
    """Read a centred mask from an npy or npz file.

    Parameters
    ----------
    path
        ``(H, W)``, or ``(W,)`` for whole columns; 1 or true = measured, DC at ``N // 2``.
    shape
        Rows and columns of the image.

    Returns
    -------
    Tensor
        Boolean, of that shape.

    Raises
    ------
    DataError
        If the file is no array of 0 and 1, measures nothing, or has another shape than the image.
    """
    values, (height, width) = load_numpy(path), shape
    if values.dtype.kind not in "buif" or not ((values == 0) | (values == 1)).all():
        raise DataError(
            f"mask {path}",
            expected="an array of 0 and 1",
            came=f"other values, of type {values.dtype}",
            remedy="write 1 where a sample is measured, 0 elsewhere",
        )
    if values.shape not in (shape, (width,), (1, width)):
        raise DataError(
            f"mask {path}",
            expected=f"shape ({height}, {width}) or ({width},), as [operator] size says",
            came=str(values.shape),
            remedy="set [operator] size, or give the mask that belongs to this k-space",
        )
    mask = torch.from_numpy(np.broadcast_to(values != 0, shape).copy())
    if not bool(mask.any()):
        raise DataError(
            f"mask {path}",
            expected="at least one measured sample",
            came="zeros only",
            remedy="write 1 where a sample is measured",
        )
    return mask
