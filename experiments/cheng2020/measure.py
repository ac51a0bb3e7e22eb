"""False negatives: small features at random and by search, in networks by standard and by robust training, a cascade and total variation.

- *Random*: features drawn uniformly, the same for all methods; the share that is missed.
- *Search*: for each method and image the feature that comes back least (`stabtest.stability.MissedLesionTest`), with as many reconstructions.
- *The same feature*: that found for the U-Net, given to the others.

The same on real brain slices, where there are any (`experiments.frame.real`), under names that begin with ``real``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.cheng2020.features import MISSED, at_random, by_search, given
from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Pieces
from experiments.frame.scans import Reconstructor, Scan

SCAN, SOURCE = "unet-mri", "unet-mri"
CLASSICAL = ("zero-filled", "tv")
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {"images": 1, "real": 0, "evaluations": 8, "places": 4, "methods": ["unet-mri", "unet-mri-adversarial"]},
    "published": {
        "images": 4,
        "real": 3,
        "evaluations": 60,
        "places": 25,
        "methods": [
            "unet-mri",
            "unet-mri-jittered",
            "unet-mri-adversarial",
            "unet-mri-spectral",
            "itnet-mri",
            "cascade-mri",
            "tv",
        ],
    },
    "full": {
        "images": 20,
        "real": 3,
        "evaluations": 200,
        "places": 49,
        "methods": [
            "unet-mri",
            "unet-mri-jittered",
            "unet-mri-adversarial",
            "unet-mri-spectral",
            "dagan-mri",
            "itnet-mri",
            "cascade-mri",
            "tv",
            "zero-filled",
        ],
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All three, for every method; on phantoms, then on real slices."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {}
    for name in settings["methods"]:
        one = scans.classical(name, SCAN) if name in CLASSICAL else scans.network(name)
        for label, scan, index in real.images(SCAN, settings["images"], settings["real"]):
            _one(values, arrays, pieces, settings, label, one, scan, index)
    return Measured(values, arrays)


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
        values.setdefault(f"{label}{key}.{one.name}", []).append(float(value))

    budget = {key: settings[key] for key in ("places", "evaluations")}
    some = at_random(pieces, one, scan, index, settings["evaluations"])
    worst = by_search(pieces, one, scan, index, **budget)
    put("psnr", float(scans.clean_image(pieces, one, scan, index)["psnr"]))
    put("rate.random", float(np.mean(some["recovery"] < MISSED)))
    put("recovery.random", float(some["recovery"].mean()))
    put("least.random", float(some["recovery"].min()))
    put("recovery.found", float(worst["recovery"]))
    put("rate.found", float(worst["recovery"] < MISSED))
    put("seen.found", float(worst["seen"]))
    if one.name != SOURCE:
        lesion = by_search(pieces, scans.network(SOURCE), scan, index, **budget)["lesion"].tolist()
        put(f"given.{SOURCE}.to", given(pieces, one, scan, index, lesion))
    arrays[f"{label}random.{one.name}"] = np.concatenate(
        [arrays.get(f"{label}random.{one.name}", np.zeros(0)), some["recovery"]]
    )
    if index == 0:
        arrays |= {f"{label}{key}.{one.name}": worst[key] for key in ("image", "ideal", "lesion")}
