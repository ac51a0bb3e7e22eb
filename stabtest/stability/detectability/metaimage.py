"""Stacks of images as MetaImage (Kitware, *MetaIO*: the format of ITK): a text header ``.mhd`` and one ``.raw`` file an image.

Raw files are little-endian, rows one after another. The header gives the files by a pattern, ``NAME_%03d.raw 1 N 1``. In int16,
``intensity = slope * stored + offset``; slope and offset are in the header (``ElementToIntensityFunctionSlope``, ``...Offset``: standard
fields, which many readers ignore). ``float32`` needs neither.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import ConfigError, DataError
from stabtest.stability.detectability.observers import Array, magnitudes

Element = Literal["float32", "int16"]

_ELEMENTS: Mapping[Element, tuple[str, str]] = {"float32": ("<f4", "MET_FLOAT"), "int16": ("<i2", "MET_SHORT")}


@dataclass(frozen=True)
class Encoding:
    """How an intensity is stored.

    Parameters
    ----------
    element
        ``"float32"``, or ``"int16"`` as ``round((intensity - offset) / slope)``.
    slope, offset
        Of int16; 1 and 0 for float32.

    Raises
    ------
    ConfigError
        If the element is another, the slope is not positive, or float32 is scaled.

    Examples
    --------
    >>> Encoding("int16", slope=1.0, offset=-1000.0).store(np.array([[-1000.0, 40.0]])).tolist()
    [[0, 1040]]
    """

    element: Element = "float32"
    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.element not in _ELEMENTS:
            raise ConfigError("export: element", expected=" or ".join(_ELEMENTS), came=repr(self.element))
        if not 0 < self.slope < math.inf or not math.isfinite(self.offset):
            raise ConfigError("export", expected="a positive slope and a finite offset", came=f"{self.slope}, {self.offset}")
        if self.element == "float32" and (self.slope, self.offset) != (1.0, 0.0):
            raise ConfigError("export: float32", expected="slope 1 and offset 0", came=f"{self.slope}, {self.offset}")

    def store(self, values: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        """Intensities as they are written.

        Raises
        ------
        DataError
            If a number is not finite, or lies outside of what int16 holds.
        """
        if not np.isfinite(values).all():
            raise DataError("export", expected="finite numbers", came="NaN or infinity")
        stored = np.round((values - self.offset) / self.slope) if self.element == "int16" else values
        if self.element == "int16" and not (stored.min() >= -32768 and stored.max() <= 32767):
            low, high = (self.slope * n + self.offset for n in (-32768, 32767))
            raise DataError(
                "export as int16",
                expected=f"intensities from {low:g} to {high:g}",
                came=f"{values.min():g} to {values.max():g}",
                remedy="choose slope and offset for this range, see fitting_encoding",
            )
        with np.errstate(over="ignore"):
            written = stored.astype(_ELEMENTS[self.element][0])
        if not np.isfinite(written).all():
            raise DataError("export as float32", expected="intensities below 3.4e38", came=f"{np.abs(values).max():g}")
        return written


def fitting_encoding(images: Tensor) -> Encoding:
    """The int16 encoding that spans the range of these images; rounding is then at most ``range / 131 000``.

    Examples
    --------
    >>> import torch
    >>> fitting = fitting_encoding(torch.tensor([[[[0.0, 65000.0]]]]))
    >>> fitting.slope, fitting.offset
    (1.0, 32500.0)
    """
    values = magnitudes(images)
    low, high = float(values.min()), float(values.max())
    return Encoding("int16", slope=(high - low) / 65000 if high > low else 1.0, offset=(low + high) / 2)


def write_stack(folder: Path, name: str, stack: NDArray[Any], encoding: Encoding, *, spacing: float) -> None:
    """Write stored images ``(N, H, W)`` as ``folder/name/name_001.raw`` and so on, with a header beside them.

    Parameters
    ----------
    folder
        Made if it is not there; files in it are replaced.
    name
        Of the stack.
    stack
        From `Encoding.store`.
    encoding
        That one.
    spacing
        Side of a pixel.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    for k, image in enumerate(stack, 1):
        write(folder / name / f"{name}_{k:03d}.raw", image.tobytes())
    text = header(stack.shape, encoding, spacing=spacing, files=f"{name}_%03d.raw 1 {len(stack)} 1")
    write(folder / name / f"{name}.mhd", text.encode("ascii"))


def header(shape: Sequence[int], encoding: Encoding, *, spacing: float, files: str) -> str:
    """The text of a MetaImage header.

    Parameters
    ----------
    shape
        Slowest axis first, as arrays have it; MetaImage counts the other way.
    encoding
        Of the raw files.
    spacing
        Side of a pixel; slices of a stack are 1 apart.
    files
        ``ElementDataFile``: a name or a pattern.

    Examples
    --------
    >>> print(header((2, 4, 6), Encoding(), spacing=0.5, files="a_%03d.raw 1 2 1").splitlines()[2])
    DimSize = 6 4 2
    """
    axes = len(shape)
    lines = [
        "ObjectType = Image",
        f"NDims = {axes}",
        f"DimSize = {' '.join(str(n) for n in reversed(shape))}",
        f"ElementType = {_ELEMENTS[encoding.element][1]}",
        f"ElementSpacing = {' '.join([f'{spacing:g}', f'{spacing:g}', '1'][:axes])}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "ElementByteOrderMSB = False",
        "CompressedData = False",
        f"ElementToIntensityFunctionSlope = {encoding.slope!r}",
        f"ElementToIntensityFunctionOffset = {encoding.offset!r}",
        f"ElementDataFile = {files}",  # by the rules of the format the last line
    ]
    return "\n".join(lines) + "\n"


def write(path: Path, content: bytes) -> None:
    """Written beside and renamed: nothing half-written stands under its final name.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise DataError(str(path), expected="a place that can be written", came=error.strerror or str(error)) from error
