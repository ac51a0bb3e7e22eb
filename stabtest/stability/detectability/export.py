"""Images and scores in files, so that other people's observers can read them.

The images go out as MetaImage (Kitware, *MetaIO*: the format of ITK): a text header ``.mhd`` and one ``.raw`` file an image,
little-endian, rows one after another, in the layout of the FDA's LCD-CT tool for low-contrast detectability:

    FOLDER/signal_absent/signal_absent_001.raw ... signal_absent.mhd
    FOLDER/signal_present/signal_present_001.raw ... signal_present.mhd
    FOLDER/ground_truth.raw, ground_truth.mhd          the object with the lesion, or whatever stands for it
    FOLDER/scores.csv                                  observer, image, kind, score
    FOLDER/export.json                                 what the numbers mean

The header gives the files by a pattern, ``signal_absent_%03d.raw 1 N 1``. In int16, ``intensity = slope * stored + offset``; slope and
offset are in the JSON file and in the header (``ElementToIntensityFunctionSlope``, ``...Offset``: standard fields, which many readers
ignore). ``float32`` needs neither. The k-th image with and the k-th without the lesion are numbered alike and share no noise.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
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


def export_study(
    folder: Path,
    absent: Tensor,
    present: Tensor,
    *,
    truth: Tensor | None = None,
    scores: Mapping[str, tuple[Array, Array]] | None = None,
    encoding: Encoding | None = None,
    spacing: float = 1.0,
    about: Mapping[str, str | float | int] | None = None,
) -> Path:
    """Write images with and without the lesion, and what observers made of them.

    Parameters
    ----------
    folder
        Where; made if it is not there. Files in it are replaced.
    absent, present
        ``(N, 1, H, W)``, real or complex (magnitudes are written), as many of the one as of the other.
    truth
        ``(1, 1, H, W)``: the object with the lesion.
    scores
        Of each observer, ``(N,)`` without and with.
    encoding
        float32 by default. The ground truth is stored in the same way.
    spacing
        Side of a pixel, in mm or whatever the reader takes it for.
    about
        What else the JSON file should say (case, method, site, diameter, contrast, ...).

    Returns
    -------
    Path
        The JSON file, which is written last.

    Raises
    ------
    DataError
        If shapes or numbers do not match, or an intensity cannot be stored.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = export_study(Path(folder), torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
    ...     sorted(path.name for path in written.parent.rglob("*absent*"))
    ['signal_absent', 'signal_absent.mhd', 'signal_absent_001.raw', 'signal_absent_002.raw']
    """
    encoding = encoding or Encoding()
    if absent.ndim != 4 or absent.shape != present.shape or not len(absent):
        raise DataError(
            "export",
            expected="as many images with as without, (N, 1, H, W)",
            came=f"{tuple(absent.shape)}, {tuple(present.shape)}",
        )
    for name, pair in (scores or {}).items():
        if any(values.shape != (len(absent),) for values in pair):
            raise DataError(
                f"export: scores of {name}", expected=f"{len(absent)} of each kind", came=f"{pair[0].shape}, {pair[1].shape}"
            )
    if truth is not None and truth.shape != (1, *absent.shape[1:]):
        raise DataError("export: truth", expected=str((1, *absent.shape[1:])), came=str(tuple(truth.shape)))
    # Everything is converted before anything is written: a number that cannot be stored leaves no half of a study.
    stacks = {
        "signal_absent": encoding.store(magnitudes(absent)[:, 0].numpy()),
        "signal_present": encoding.store(magnitudes(present)[:, 0].numpy()),
    }
    shown = None if truth is None else encoding.store(magnitudes(truth)[:, 0].numpy())
    for kind, stack in stacks.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for k, image in enumerate(stack, 1):
            _write(folder / kind / f"{kind}_{k:03d}.raw", image.tobytes())
        pattern = f"{kind}_%03d.raw 1 {len(stack)} 1"
        _write(folder / kind / f"{kind}.mhd", header(stack.shape, encoding, spacing=spacing, files=pattern).encode("ascii"))
    if shown is not None:
        _write(folder / "ground_truth.raw", shown.tobytes())
        _write(
            folder / "ground_truth.mhd",
            header(shown.shape[1:], encoding, spacing=spacing, files="ground_truth.raw").encode("ascii"),
        )
    if scores:
        _write(folder / "scores.csv", _table(scores).encode("ascii"))
    said = {
        "images": len(absent),
        "shape": list(absent.shape[-2:]),
        "element": encoding.element,
        "byte_order": "little-endian",
        "slope": encoding.slope,
        "offset": encoding.offset,
        "intensity": "slope * stored + offset",
        "about": dict(about or {}),
    }
    path = folder / "export.json"
    _write(path, (json.dumps(said, indent=2, sort_keys=True) + "\n").encode("utf-8"))
    return path


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


def _table(scores: Mapping[str, tuple[Array, Array]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["observer", "image", "signal", "score"])
    for name, pair in scores.items():
        for kind, values in zip(("absent", "present"), pair):
            writer.writerows([name, k, kind, repr(float(value))] for k, value in enumerate(values, 1))
    return text.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Written beside and renamed: nothing half-written stands under its final name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
