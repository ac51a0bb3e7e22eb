"""The accuracy-stability plane of the MRI reconstructors of the zoo: PSNR without perturbation against the worst change found.

For each reconstructor the search of an audit looks, over perturbations of the measurement within relative radii, for the largest relative change
of its image; with a share of what Gaussian noise of the same norm does. Every method is searched on the same measurements with the same number
of evaluations. What is found is a lower bound of the worst case for all of them.

The same on real brain slices, where there are any (`experiments.frame.real`), under names that begin with ``real``. There the PSNR is against the
reconstruction of all samples, of which the measurement is exactly a part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Pieces
from experiments.frame.scans import Reconstructor, Scan

SCAN = "unet-mri"
CLASSICAL = ("zero-filled", "tv", "firenet")
NETWORKS = (
    "unet-mri",
    "unet-mri-jittered",
    "unet-mri-adversarial",
    "unet-mri-spectral",
    "cascade-mri",
    "dagan-mri",
    "itnet-mri",
)
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {
        "images": 1,
        "real": 0,
        "radii": [0.05],
        "evaluations": 4,
        "draws": 1,
        "methods": ["zero-filled", "unet-mri", "unet-mri-spectral"],
    },
    "published": {
        "images": 2,
        "real": 1,
        "radii": [0.02, 0.05],
        "evaluations": 24,
        "draws": 4,
        "methods": [*CLASSICAL, *NETWORKS],
    },
    "full": {
        "images": 10,
        "real": 3,
        "radii": [0.01, 0.02, 0.05, 0.1],
        "evaluations": 60,
        "draws": 8,
        "methods": [*CLASSICAL, "wavelet", *NETWORKS],
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """Every method on every phantom, then on every real slice."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {"radii": np.asarray(settings["radii"])}
    for name in settings["methods"]:
        one = scans.classical(name, SCAN) if name in (*CLASSICAL, "wavelet") else scans.network(name)
        for prefix, scan, index in real.images(SCAN, settings["images"], settings["real"]):
            _one(values, arrays, pieces, prefix, one, scan, index, settings)
    for prefix in ("", "real."):
        if f"{prefix}psnr.tv" in values:
            _ahead(values, prefix, [name for name in settings["methods"] if name in NETWORKS], settings["radii"])
    return Measured(values, arrays)


def _ahead(values: dict[str, list[float]], prefix: str, networks: list[str], radii: list[float]) -> None:
    """How many trained networks are both more accurate and more stable than total variation, by the means over the images."""

    def mean(key: str) -> float:
        return float(np.mean(values[f"{prefix}{key}"]))

    accurate = [name for name in networks if mean(f"psnr.{name}") > mean("psnr.tv")]
    for radius in radii:
        stable = [name for name in accurate if mean(f"change.{name}.{radius:g}") < mean(f"change.tv.{radius:g}")]
        values[f"{prefix}ahead-of-tv.{radius:g}"] = [float(len(stable))]


def _one(
    values: dict[str, list[float]],
    arrays: dict[str, Any],
    pieces: Pieces,
    prefix: str,
    one: Reconstructor,
    scan: Scan,
    index: int,
    settings: dict[str, Any],
) -> None:
    """PSNR, worst change, its gain, and the change by noise, of one method on one image; of the first the images."""

    def put(key: str, value: float) -> None:
        values.setdefault(f"{prefix}{key}", []).append(float(value))

    name, radii = one.name, settings["radii"]
    clean = scans.clean_image(pieces, one, scan, index)
    found = scans.searched(pieces, one, scan, index, radii=radii, evaluations=settings["evaluations"], objective="clean")
    noise = scans.noised(pieces, one, scan, index, radii=radii, draws=settings["draws"])
    put(f"psnr.{name}", clean["psnr"])
    for k, radius in enumerate(radii):
        put(f"change.{name}.{radius:g}", found["change"][k])
        put(f"noise.{name}.{radius:g}", noise["change"][k])
    put(f"gain.{name}", found["gain"].max())
    if index == 0:
        shown = {f"clean.{name}": clean["image"], f"worst.{name}": found["image"][-1], "truth": clean["truth"]}
        arrays |= {f"{prefix}{key}": image for key, image in shown.items()}
