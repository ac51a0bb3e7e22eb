"""SSIM of networks and of sparse regularisation under an adversary, under a shift of the images, and the recovery of small features.

- *Adversary*: the perturbation of the measurement within a relative radius that takes the image furthest from the truth; the loss of SSIM.
- *Shift*: the same methods, trained or tuned on head phantoms, on phantoms of ellipses with the same scan and noise; the loss of SSIM.
- *Small features*: share of the contrast of lesions of 4 pixels that comes back (`stabtest.stability.StructureTest`), against the PSNR of the method;
  their rank correlation over the methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from experiments.frame import scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.scans import Reconstructor
from stabtest import metrics
from stabtest.audit.cases import case_fingerprint, make_case
from stabtest.networks.magnitude import comparable
from stabtest.stability import StructureTest

SCAN = "unet-mri"
CLASSICAL = ("zero-filled", "tv")
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {"images": 1, "radius": 0.08, "evaluations": 4, "sites": 1, "methods": ["zero-filled", "unet-mri", "cascade-mri"]},
    "published": {
        "images": 2,
        "radius": 0.08,
        "evaluations": 20,
        "sites": 4,
        "methods": ["zero-filled", "tv", "unet-mri", "itnet-mri", "cascade-mri"],
    },
    "full": {
        "images": 10,
        "radius": 0.08,
        "evaluations": 100,
        "sites": 8,
        "methods": ["zero-filled", "tv", "unet-mri", "dagan-mri", "itnet-mri", "cascade-mri"],
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All three, for every method."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {}
    for name in settings["methods"]:
        one = scans.classical(name, SCAN) if name in CLASSICAL else scans.network(name)
        for index in range(settings["images"]):
            found = scans.searched(
                pieces, one, SCAN, index, radii=[settings["radius"]], evaluations=settings["evaluations"], objective="truth"
            )
            clean = scans.clean_image(pieces, one, SCAN, index)
            before, after = (_similarity(image, clean["truth"]) for image in (clean["image"], found["image"][0]))
            shifted = _shifted(pieces, one, index)
            features = _features(pieces, one, index, settings["sites"])
            measured = {
                "ssim.clean": before,
                "ssim.worst": after,
                "loss.adversary": before - after,
                "ssim.shifted": float(shifted["ssim"]),
                "loss.shift": before - float(shifted["ssim"]),
                "psnr": float(clean["psnr"]),
                "feature": float(features["recovery"].mean()),
            }
            for key, value in measured.items():
                values.setdefault(f"{key}.{name}", []).append(value)
            if index == 0:
                arrays |= {"truth": clean["truth"], f"clean.{name}": clean["image"], f"worst.{name}": found["image"][0]}
                arrays |= {"truth.shifted": shifted["truth"], f"shifted.{name}": shifted["image"]}
    quality, recovered = (
        [float(np.mean(values[f"{key}.{name}"])) for name in settings["methods"]] for key in ("psnr", "feature")
    )
    values["feature.rank-correlation"] = [float(stats.spearmanr(quality, recovered).statistic)]
    for kind in ("adversary", "shift"):
        if "loss.adversary.tv" in values:
            for name in settings["methods"]:
                pairs = zip(values[f"loss.{kind}.{name}"], values[f"loss.{kind}.tv"], strict=True)
                values[f"extra-loss.{kind}.{name}"] = [own - tv for own, tv in pairs]
    return Measured(values, arrays)


def _similarity(image: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    from torch import from_numpy

    return float(metrics.ssim(from_numpy(image)[None, None], from_numpy(truth)[None, None]))


def _shifted(pieces: Pieces, one: Reconstructor, index: int) -> Arrays:
    """Image of a phantom of ellipses, measured by the same scan."""
    head = scans.scan_of(SCAN)
    config = head.model_copy(update={"data": head.data.model_copy(update={"phantom": "ellipses"})})

    def make() -> dict[str, Any]:
        on = make_case(config, index)
        assert on.truth is not None
        image = one.method(on.measurement, on.operator)
        truth = comparable(on.truth, image)
        return {"ssim": float(metrics.ssim(image, truth)), "image": image[0, 0].numpy(), "truth": on.truth[0, 0].numpy()}

    return pieces.get(f"shifted-{one.name}", {"method": one.fingerprint, "case": case_fingerprint(config, index)}, make)


def _features(pieces: Pieces, one: Reconstructor, index: int, sites: int) -> Arrays:
    """Recovery of small lesions at several places."""

    def make() -> dict[str, Any]:
        test = StructureTest(diameters_px=(4.0,), contrasts=(0.2,), sites=sites, pictures=0)
        rows = test.measure(one.method, scans.case(SCAN, index), seed=index).rows
        return {"recovery": [row.recovery for row in rows]}  # pyright: ignore

    return pieces.get(
        f"features-{one.name}", {"method": one.fingerprint, "case": scans.told(SCAN, index), "sites": sites}, make
    )
