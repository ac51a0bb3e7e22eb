"""Details of the kernel: what is transferred from one object to another, and what recovering it costs in stability; MRI and CT.

- *Transfer* (`details.transferred`): a text, a card symbol, a tumour, and a part of the object made stronger: the share of their invisible part
  that a method fills in. It fills it in as well where the object does not have it.
- *Errors* (`details.errors`): the share of the error's energy in the kernel, and how much of the kernel's part of the object is guessed.
- *Price* (`details.priced`): a pair of images whose measurements the noise hides from each other, found by search, and the lower bound of the local
  Lipschitz constant that it gives; beside it the gain of the pair, that with other noise, and the largest gain that the search of an audit finds
  in the same ball.

The same on real measurements, where there are any (`experiments.frame.real`), under names that begin with ``real``: brain slices (MRI), a tooth (CT).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Pieces
from experiments.frame.real import Real
from experiments.frame.room import with_room
from experiments.frame.scans import Reconstructor, Scan
from experiments.gottschling2020.details import ANATOMY, DETAILS, errors, priced, transferred

SCANS = {"mri": "unet-mri", "ct": "fbpconvnet-ell50"}
CLASSICAL = ("zero-filled", "fbp", "tv")
_SEARCH = {"size": 0.2, "data": 5.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {
        **_SEARCH,
        "images": 1,
        "real": 0,
        "steps": 3,
        "evaluations": 4,
        "draws": 1,
        "methods": {"mri": ["zero-filled", "unet-mri"], "ct": ["fbp"]},
    },
    "published": {
        **_SEARCH,
        "images": 2,
        "real": 3,
        "steps": 12,
        "evaluations": 20,
        "draws": 8,
        "methods": {
            "mri": [
                "zero-filled",
                "tv",
                "unet-mri-spectral",
                "unet-mri-adversarial",
                "unet-mri-jittered",
                "unet-mri",
                "itnet-mri",
                "cascade-mri",
            ],
            "ct": ["fbp", "fbpconvnet-ell50", "itnet-ct"],
        },
    },
    "full": {
        **_SEARCH,
        "images": 6,
        "real": 3,
        "steps": 30,
        "evaluations": 60,
        "draws": 20,
        "methods": {
            "mri": [
                "zero-filled",
                "tv",
                "unet-mri-spectral",
                "unet-mri-adversarial",
                "unet-mri-jittered",
                "dagan-mri",
                "unet-mri",
                "itnet-mri",
                "cascade-mri",
            ],
            "ct": ["fbp", "tv", "fbpconvnet-ell50", "itnet-ct", "lpd-ct"],
        },
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All three, for every method of both modalities; on phantoms, then on real measurements."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {}
    for modality, names in settings["methods"].items():
        scan, slices = SCANS[modality], real.wanted(settings["real"], modality)
        _measured(values, arrays, pieces, settings, modality, names, scan, _with_room(scan, settings["images"], scans.CASES))
        if slices:
            images = _with_room(Real(scan), slices, real.count(modality))
            _measured(values, arrays, pieces, settings, f"real.{modality}", names, Real(scan), images)
    return Measured(values, arrays)


def _with_room(scan: Scan, count: int, of: int) -> list[int]:
    """The first images of a scan that have room for every detail."""
    return with_room(scan, count, [size for size, _ in DETAILS.values()], of=of)


def _measured(
    values: dict[str, list[float]],
    arrays: dict[str, Any],
    pieces: Pieces,
    settings: dict[str, Any],
    label: str,
    names: list[str],
    scan: Scan,
    images: list[int],
) -> None:
    """Every method on these images, and over the methods the rank correlation of what is guessed and what it costs."""
    of = scan.of if isinstance(scan, Real) else scan
    for name in names:
        one = scans.classical(name, of) if name in CLASSICAL else scans.network(name)
        for index in images:
            _one(values, arrays, pieces, settings, label, one, scan, index)
    if len(names) > 2:
        guessed, gain = ([float(np.mean(values[f"{label}.{key}.{name}"])) for name in names] for key in ("guessed", "gain"))
        values[f"{label}.trade-off"] = [float(stats.spearmanr(guessed, gain).statistic)]


def _one(
    values: dict[str, list[float]],
    arrays: dict[str, Any],
    pieces: Pieces,
    settings: dict[str, Any],
    label: str,
    one: Reconstructor,
    scan: Scan,
    index: int,
) -> None:
    """One method on one image."""

    def put(key: str, value: float) -> None:
        values.setdefault(f"{label}.{key}.{one.name}", []).append(float(value))

    shown = {shape: transferred(pieces, one, scan, index, shape) for shape in DETAILS}
    part = transferred(pieces, one, scan, index, None)
    put("transfer", float(np.mean([found["transfer"] for found in shown.values()])))
    put("transfer-anatomy", float(part["transfer"]))
    put("seen", max(float(found["seen"]) for found in shown.values()))
    put("share", float(np.mean([found["share"] for found in shown.values()])))
    error = errors(pieces, one, scan, index)
    put("null-share", float(error["share"]))
    put("guessed", float(error["recovery"]))
    put("error", float(error["error"]))
    words = {key: settings[key] for key in ("size", "data", "steps", "evaluations", "draws")}
    price = priced(pieces, one, scan, index, **words)
    for key in ("bound", "gain", "ceiling", "worst"):
        put(key, float(price[key]))
    put("bound-truth", float(price["bound_truth"]))
    put("other-noise", float(np.median(price["others"])))
    put("pair-seen", float(price["seen"]))
    if f"{label}.detail.{one.name}" not in arrays:
        for shape, found in {**shown, ANATOMY: part}.items():
            arrays[f"{label}.transfer.{one.name}.{shape}"] = found["transfer"]
            arrays |= {f"{label}.{key}.{one.name}.{shape}": found[key] for key in ("image", "with", "without", "site")}
        arrays[f"{label}.detail.{one.name}"] = price["detail"]
