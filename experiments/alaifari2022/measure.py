"""Local artefacts of total variation and of networks, under perturbations found for one place; the mechanism behind them; transfer.

Every method is searched on the same measurements, for the same discs, with the same number of evaluations. Total variation stands twice: with
the weight of the card (chosen on noise), and with an eighth of it, closer to the constrained problem of the paper and to exact recovery.

The same on real brain slices, where there are any (`experiments.frame.real`), under names that begin with ``real``, with the weights that were chosen
on phantoms.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from experiments.alaifari2022.local import attacked, given, noised, spiked
from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Pieces
from experiments.frame.scans import Reconstructor, Scan
from reconstructors import zoo
from reconstructors.tv import TotalVariation
from stabtest.audit.fingerprint import digest
from stabtest.stability.cases import Method

SCAN, SOURCE = "unet-mri", "tv"
LIGHTER = 1 / 8
"""Weight of the second total variation, times that of the card."""
LIMIT_STEPS = 2000
"""Of its solver, for the single pixel alone: at the lighter weight the steps of all else do not reach the limit."""
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {
        "images": 1,
        "real": 0,
        "radii": [0.02],
        "evaluations": 4,
        "draws": 1,
        "methods": ["zero-filled", "unet-mri"],
    },
    "published": {
        "images": 2,
        "real": 3,
        "radii": [0.01, 0.02, 0.04],
        "evaluations": 24,
        "draws": 4,
        "methods": ["zero-filled", "tv", "tv-light", "unet-mri", "unet-mri-jittered", "itnet-mri", "cascade-mri"],
    },
    "full": {
        "images": 10,
        "real": 3,
        "radii": [0.005, 0.01, 0.02, 0.04, 0.08],
        "evaluations": 100,
        "draws": 10,
        "methods": [
            "zero-filled",
            "tv",
            "tv-light",
            "unet-mri",
            "unet-mri-jittered",
            "unet-mri-adversarial",
            "dagan-mri",
            "itnet-mri",
            "cascade-mri",
        ],
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """Every method on every phantom, then on every real slice."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {"radii": np.asarray(settings["radii"])}
    for name in settings["methods"]:
        for prefix, scan, index in real.images(SCAN, settings["images"], settings["real"]):
            _one(values, arrays, pieces, settings, prefix, name, scan, index)
    return Measured(values, arrays)


def _method(name: str) -> Reconstructor:
    if name == "tv-light":
        light = scans.total_variation(SCAN, weight=_light_weight())
        return replace(light, method=replace(light.method, name=name))
    return scans.classical(name, SCAN) if name in ("zero-filled", "tv") else scans.network(name)


def _light_weight() -> float:
    return LIGHTER * zoo.read_card(SCAN)["held_out"]["tv"]["weight"]


def _nearer_limit() -> Reconstructor:
    """The lighter total variation with more steps."""
    tv = TotalVariation(weight=_light_weight(), iterations=LIMIT_STEPS)
    return Reconstructor(Method("tv-light-limit", "reference", tv), digest(["tv", _light_weight(), LIMIT_STEPS]))


def _one(
    values: dict[str, list[float]],
    arrays: dict[str, Any],
    pieces: Pieces,
    settings: dict[str, Any],
    prefix: str,
    name: str,
    scan: Scan,
    index: int,
) -> None:
    """Artefacts found and by noise, the whole change, the spike, and what the perturbation for total variation does, of one method on one image."""

    def put(key: str, value: float) -> None:
        values.setdefault(f"{prefix}{key}", []).append(float(value))

    one, radii, budget = _method(name), settings["radii"], settings["evaluations"]
    found = attacked(pieces, one, scan, index, radii=radii, evaluations=budget)
    noise = noised(pieces, one, scan, index, radii=radii, draws=settings["draws"])
    spike = spiked(pieces, one, scan, index, radius=radii[-1])
    if name == "tv-light":
        put("spike.tv-light-limit", spiked(pieces, _nearer_limit(), scan, index, radius=radii[-1])["share"])
    for k, radius in enumerate(radii):
        for key in ("artefact", "change", "inside"):
            put(f"{key}.{name}.{100 * radius:g}", found[key][k])
        put(f"noise.{name}.{100 * radius:g}", noise["artefact"][k])
    put(f"spike.{name}", spike["share"])
    put(f"samples.{name}", spike["samples"])
    put(f"psnr.{name}", scans.clean_image(pieces, one, scan, index)["psnr"])
    shown = {f"image.{name}": found["image"], "region": found["region"], "peak": found["peak"]}
    if SOURCE in settings["methods"] and name != SOURCE:
        of = attacked(pieces, _method(SOURCE), scan, index, radii=radii, evaluations=budget)
        passed = given(pieces, one, scan, index, of["perturbation"][-1])
        put(f"given.{SOURCE}.to.{name}", passed["artefact"])
        shown[f"given.{name}"] = passed["image"]
    if index == 0:
        arrays |= {f"{prefix}{key}": array for key, array in shown.items()}
