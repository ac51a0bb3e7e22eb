"""Images and scores in files, so that other people's observers can read them.

The images go out as MetaImage (`stabtest.stability.detectability.metaimage`), in the layout of the FDA's LCD-CT tool for low-contrast
detectability:

    FOLDER/signal_absent/signal_absent_001.raw ... signal_absent.mhd
    FOLDER/signal_present/signal_present_001.raw ... signal_present.mhd
    FOLDER/ground_truth.raw, ground_truth.mhd          the object with the lesion, or whatever stands for it
    FOLDER/scores.csv                                  observer, image, kind, score
    FOLDER/export.json                                 what the numbers mean

Slope and offset of int16 are in the JSON file and in the header. The k-th image with and the k-th without the lesion are numbered alike
and share no noise.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stabtest.errors import DataError
from stabtest.stability.detectability.metaimage import Encoding, header, write, write_stack
from stabtest.stability.detectability.observers import Array, magnitudes


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
        If shapes or numbers do not match, an intensity cannot be stored or a file not be written.

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
        write_stack(folder, kind, stack, encoding, spacing=spacing)
    if shown is not None:
        write(folder / "ground_truth.raw", shown.tobytes())
        write(
            folder / "ground_truth.mhd",
            header(shown.shape[1:], encoding, spacing=spacing, files="ground_truth.raw").encode("ascii"),
        )
    if scores:
        write(folder / "scores.csv", _table(scores).encode("ascii"))
    return _describe(folder, absent, encoding, about)


def export_pairs(
    folder: Path,
    stacks: Mapping[str, Tensor],
    *,
    spacing: float = 1.0,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write stacks of images that belong together, such as truths and what several methods make of their measurements.

    Parameters
    ----------
    folder
        Where; made if it is not there. ``folder/NAME/NAME_%03d.raw`` is written for each stack, in float32.
    stacks
        By name, ``(N, 1, H, W)`` each, real or complex (magnitudes are written); the k-th images belong together.
    spacing
        Side of a pixel.
    about
        What else the JSON file should say.

    Returns
    -------
    Path
        The JSON file, which is written last.

    Raises
    ------
    DataError
        If shapes do not match, a number is not finite or a file cannot be written.
    """
    encoding = Encoding()
    shapes = {tuple(stack.shape) for stack in stacks.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 4:
        raise DataError(
            "export", expected="stacks of one shape (N, 1, H, W)", came=", ".join(map(str, sorted(shapes))) or "none"
        )
    stored = {name: encoding.store(magnitudes(stack)[:, 0].numpy()) for name, stack in stacks.items()}
    for name, stack in stored.items():
        write_stack(folder, name, stack, encoding, spacing=spacing)
    return _describe(folder, next(iter(stacks.values())), encoding, about)


def _describe(folder: Path, images: Tensor, encoding: Encoding, about: Mapping[str, Any] | None) -> Path:
    """``export.json``, what the numbers mean; written last."""
    said = {
        "images": len(images),
        "shape": list(images.shape[-2:]),
        "element": encoding.element,
        "byte_order": "little-endian",
        "slope": encoding.slope,
        "offset": encoding.offset,
        "intensity": "slope * stored + offset",
        "about": dict(about or {}),
    }
    path = folder / "export.json"
    write(path, (json.dumps(said, indent=2, sort_keys=True) + "\n").encode("utf-8"))
    return path


def _table(scores: Mapping[str, tuple[Array, Array]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["observer", "image", "signal", "score"])
    for name, pair in scores.items():
        for kind, values in zip(("absent", "present"), pair):
            writer.writerows([name, k, kind, repr(float(value))] for k, value in enumerate(values, 1))
    return text.getvalue()
