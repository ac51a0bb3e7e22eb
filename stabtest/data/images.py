"""Images from files: NumPy arrays, PNG and TIFF pictures, DICOM, NIfTI, raw numbers.

An image becomes ``(value - offset) / scale``; nothing is clipped or resampled. With ``offset = 0`` and ``scale`` the largest
magnitude (the default), the largest magnitude is 1. Images stored as Hounsfield units plus 1000 fit the attenuation scale of
`stabtest.phantoms.chest` with ``scale = 2000``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest.data import dicom, files, nifti
from stabtest.errors import DataError

PICTURES = (".png", ".tif", ".tiff")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins: byte order and version, classic and big."""
KNOWN = (".npy", ".npz", *PICTURES, ".nii", ".nii.gz", ".raw")


@dataclass(frozen=True)
class ImageData:
    """One image.

    Attributes
    ----------
    image
        ``(1, 1, H, W)``, float32 or complex64.
    scale, offset
        The stored value is ``scale * image + offset``.
    source
        The file.
    notes
        What was done to the data, one sentence each.
    """

    image: Tensor
    scale: float
    offset: float
    source: str
    notes: tuple[str, ...]


def read_image(
    path: str | Path,
    *,
    shape: tuple[int, int] | None = None,
    dtype: str = "<i2",
    key: str | None = None,
    index: int | None = None,
    scale: float | None = None,
    offset: float | None = None,
) -> ImageData:
    """Read one greyscale image.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, ``.png``, ``.tif``, ``.tiff``, ``.nii``, ``.nii.gz`` or ``.raw``; DICOM whatever it is called.
    shape
        ``(H, W)`` of a raw file, which does not say it itself; of other files a check.
    dtype
        Type of the numbers in a raw file, in NumPy's code; little-endian 16-bit integers if not given.
    key
        Array of an ``.npz`` file.
    index
        Which image of a stack ``(n, H, W)``; of a NIfTI volume the slice along its last axis.
    scale
        What becomes 1 after the offset is off; the largest magnitude if None.
    offset
        What becomes 0; of Hounsfield units, if None, -1000 (air), else 0.

    Returns
    -------
    ImageData
        The image and notes.

    Raises
    ------
    DataError
        If the file is missing, damaged or of an unknown kind, does not hold one 2-D image of finite numbers that are not
        all zero, or does not have the shape.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.array([[0, 1000], [1500, 2000]], dtype="<i2").tofile(f"{folder}/ct.raw")
    ...     read_image(f"{folder}/ct.raw", shape=(2, 2), scale=2000).image
    tensor([[[[0.0000, 0.5000],
              [0.7500, 1.0000]]]])
    """
    suffix = "".join(Path(path).suffixes[-2:]).lower() if str(path).lower().endswith(".nii.gz") else Path(path).suffix.lower()
    name = f"{path}: {key}" if key else str(path)
    about: list[str] = []
    if suffix == ".dcm" or (suffix not in KNOWN and Path(path).is_file() and dicom.is_dicom(path)):
        read = dicom.read_dicom(path)
        array = read.values
        if read.spacing is not None:
            about.append(f"pixels of {read.spacing[0]:g} x {read.spacing[1]:g} mm")
        if read.hounsfield:
            about.append("Hounsfield units, by the rescaling that the file states")
            offset = -1000.0 if offset is None else offset
    elif suffix in (".nii", ".nii.gz"):
        array = nifti.read_nifti(path)
    elif suffix in (".npy", ".npz"):
        array = files.load_numpy(path, key=key)
    elif suffix in PICTURES:
        array = _picture(path)
    elif suffix == ".raw":
        array = _raw(path, shape, dtype)
    else:
        raise DataError(
            str(path),
            expected="a NumPy, PNG, TIFF, DICOM, NIfTI or raw file",
            came=f"a {suffix or 'nameless'} file",
            remedy="save the image by numpy.save",
        )
    offset = 0.0 if offset is None else offset
    array = _one_of_stack(array, index, name)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    array = files.numbers(array, name, ndim=2)
    if shape is not None and array.shape != tuple(shape):
        raise DataError(
            name, expected=f"shape {tuple(shape)}", came=f"shape {array.shape}", remedy="give the shape that the file has"
        )
    kind = np.complex128 if array.dtype.kind == "c" else np.float64
    notes = [f"read {name}: {array.shape[0]} x {array.shape[1]} pixels of type {array.dtype}", *about]
    values = array.astype(kind) - offset
    if offset:
        notes.append(f"{offset:g} subtracted")
    if scale is None:
        scale = float(np.abs(values).max())
        notes.append(f"divided by {scale:.6g}, its largest magnitude")
    else:
        notes.append(f"divided by {scale:.6g}, as asked")
    if not (np.isfinite(scale) and scale > 0):
        came = "an image that equals its offset" if scale == 0 else f"scale = {scale}"
        raise DataError(
            name, expected="a positive scale", came=came, remedy="correct what becomes 0 and 1: [data] zero and one"
        )
    tensor = torch.from_numpy(values / scale).to(torch.complex64 if kind is np.complex128 else torch.float32)
    return ImageData(image=tensor[None, None], scale=scale, offset=offset, source=str(path), notes=tuple(notes))


def _one_of_stack(array: files.AnyArray, index: int | None, name: str) -> files.AnyArray:
    """The image asked for; a single one needs no asking."""
    if index is None or (array.ndim == 2 and index == 0):
        return array
    if array.ndim < 3:
        raise DataError(
            name, expected="a stack of images where one is chosen", came=f"shape {array.shape}", remedy="leave out [data] row"
        )
    if index >= array.shape[0]:
        raise DataError(
            f"{name}: image {index}", expected=f"one of 0 to {array.shape[0] - 1}", came=str(index), remedy="correct [data] row"
        )
    return array[index]


def _picture(path: str | Path) -> files.AnyArray:
    """A PNG or TIFF file; colour is refused, a colour picture of greys is taken."""
    path = files.existing(path)
    from skimage import io

    try:
        _check_pages(path)
        array = np.asarray(io.imread(path))
    except DataError:
        raise
    except Exception as error:  # each decoder has its own exceptions
        message = str(error).strip().splitlines()
        raise DataError(
            str(path),
            expected="a readable picture",
            came=message[0] if message else type(error).__name__,
            remedy="it may be truncated",
        ) from error
    if array.ndim == 3 and array.shape[-1] in (3, 4):
        grey = array[..., 0]
        if any(not np.array_equal(grey, array[..., channel]) for channel in (1, 2)):
            raise DataError(
                str(path), expected="a greyscale picture", came=f"colour, shape {array.shape}", remedy="convert it to grey"
            )
        return grey
    return array


def _check_pages(path: Path) -> None:
    """See that the pages of a TIFF end: the library that reads it follows a chain that goes round without end."""
    with path.open("rb") as stream:
        if stream.read(4) not in _TIFF:
            return
    import tifffile

    places: set[int] = set()
    with tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            if page.offset in places:
                raise DataError(
                    str(path),
                    expected="a TIFF whose chain of pages ends",
                    came=f"one that comes back to a page after {len(places)}",
                    remedy="the file is damaged: export it again",
                )
            places.add(page.offset)


def _raw(path: str | Path, shape: tuple[int, int] | None, dtype: str) -> files.AnyArray:
    """Raw numbers of a known type and shape."""
    path = files.existing(path)
    if shape is None:
        raise DataError(
            str(path),
            expected="shape = (H, W) for a raw file",
            came="none",
            remedy="a raw file does not say it itself: save the image by NumPy, or read it in Python with its shape",
        )
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise DataError(
            f"{path}: dtype",
            expected='a NumPy type code such as "<i2" or "<f4"',
            came=repr(dtype),
            remedy="see numpy.dtype.str of such an array",
        ) from error
    if kind.kind not in "uifc":
        raise DataError(
            f"{path}: dtype", expected="a type of numbers", came=repr(dtype), remedy='such as "<i2", "<u2" or "<f4"'
        )
    needed, found = shape[0] * shape[1] * kind.itemsize, path.stat().st_size
    if needed != found:
        raise DataError(
            str(path),
            expected=f"{needed} bytes for {shape[0]} x {shape[1]} numbers of type {kind}",
            came=f"{found} bytes",
            remedy="correct shape or dtype, or copy the file again",
        )
    return np.fromfile(path, dtype=kind).reshape(shape)
