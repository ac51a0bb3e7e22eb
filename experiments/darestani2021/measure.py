"""SSIM of networks and of sparse regularisation under an adversary, under a shift of the images, and the recovery of small features.

- *Adversary*: the perturbation of the measurement within a relative radius that takes the image furthest from the truth; the loss of SSIM.
- *Shift*: the same methods, trained or tuned on head phantoms, on phantoms of ellipses with the same scan and noise; the loss of SSIM.
- *Small features*: share of the contrast of lesions of 4 pixels that comes back (`stabtest.stability.StructureTest`), against the PSNR of the method;
  their rank correlation over the methods.

The same on real brain slices, where there are any (`experiments.frame.real`), under names that begin with ``real``; there the shift is that from
head phantoms to the slices: methods that were trained or tuned on phantoms, on real images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.real import Real
from experiments.frame.scans import Reconstructor, Scan
from stabtest import metrics
from stabtest.audit.cases import case_fingerprint, make_case
from stabtest.networks.magnitude import comparable
from stabtest.stability import StructureTest

SCAN = "unet-mri"
CLASSICAL = ("zero-filled", "tv")
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {
        "images": 1,
        "real": 0,
        "radius": 0.08,
        "evaluations": 4,
        "sites": 1,
        "methods": ["zero-filled", "unet-mri", "cascade-mri"],
    },
    "published": {
        "images": 2,
        "real": 3,
        "radius": 0.08,
        "evaluations": 20,
        "sites": 4,
        "methods": ["zero-filled", "tv", "unet-mri", "itnet-mri", "cascade-mri"],
    },
    "full": {
        "images": 10,
        "real": 3,
        "radius": 0.08,
        "evaluations": 100,
        "sites": 8,
        "methods": ["zero-filled", "tv", "unet-mri", "dagan-mri", "itnet-mri", "cascade-mri"],
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All three, for every method; on phantoms, then on real slices."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {}
    slices = real.wanted(settings["real"], "mri")
    for name in settings["methods"]:
        one = scans.classical(name, SCAN) if name in CLASSICAL else scans.network(name)
        for index in range(settings["images"]):
            shown = arrays if index == 0 else {}
            before = _image(values, shown, pieces, "", one, SCAN, index, settings)
            shifted = _shifted(pieces, one, index)
            values.setdefault(f"ssim.shifted.{name}", []).append(float(shifted["ssim"]))
            values.setdefault(f"loss.shift.{name}", []).append(before - float(shifted["ssim"]))
            shown |= {"truth.shifted": shifted["truth"], f"shifted.{name}": shifted["image"]}
        for index in range(slices):
            after = _image(values, arrays if index == 0 else {}, pieces, "real.", one, Real(SCAN), index, settings)
            head = float(np.mean(values[f"ssim.clean.{name}"]))
            values.setdefault(f"real.loss.shift.{name}", []).append(head - after)
    for prefix in ("", "real.") if slices else ("",):
        _compared(values, prefix, settings["methods"])
    return Measured(values, arrays)


def _image(
    values: dict[str, list[float]],
    shown: dict[str, Any],
    pieces: Pieces,
    prefix: str,
    one: Reconstructor,
    scan: Scan,
    index: int,
    settings: dict[str, Any],
) -> float:
    """The adversary and the small features, of one method on one image; returns its SSIM without perturbation."""
    budget = settings["evaluations"]
    found = scans.searched(pieces, one, scan, index, radii=[settings["radius"]], evaluations=budget, objective="truth")
    clean = scans.clean_image(pieces, one, scan, index)
    before, after = (_similarity(image, clean["truth"]) for image in (clean["image"], found["image"][0]))
    measured = {
        "ssim.clean": before,
        "ssim.worst": after,
        "loss.adversary": before - after,
        "psnr": float(clean["psnr"]),
        "feature": float(_features(pieces, one, scan, index, settings["sites"])["recovery"].mean()),
    }
    for key, value in measured.items():
        values.setdefault(f"{prefix}{key}.{one.name}", []).append(value)
    pictures = {"truth": clean["truth"], f"clean.{one.name}": clean["image"], f"worst.{one.name}": found["image"][0]}
    shown |= {f"{prefix}{key}": image for key, image in pictures.items()}
    return before


def _compared(values: dict[str, list[float]], prefix: str, names: list[str]) -> None:
    """Over the methods: the rank correlation of quality and small features, and what each loses beyond total variation."""
    quality, recovered = ([float(np.mean(values[f"{prefix}{key}.{name}"])) for name in names] for key in ("psnr", "feature"))
    values[f"{prefix}feature.rank-correlation"] = [float(stats.spearmanr(quality, recovered).statistic)]
    for kind in ("adversary", "shift") if "tv" in names else ():
        for name in names:
            pairs = zip(values[f"{prefix}loss.{kind}.{name}"], values[f"{prefix}loss.{kind}.tv"], strict=True)
            values[f"{prefix}extra-loss.{kind}.{name}"] = [own - tv for own, tv in pairs]


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


def _features(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, sites: int) -> Arrays:
    """Recovery of small lesions at several places."""

    def make() -> dict[str, Any]:
        test = StructureTest(diameters_px=(4.0,), contrasts=(0.2,), sites=sites, pictures=0)
        rows = test.measure(one.method, scans.case(scan, index), seed=index).rows
        return {"recovery": [row.recovery for row in rows]}  # pyright: ignore

    return pieces.get(
        f"features-{one.name}", {"method": one.fingerprint, "case": scans.told(scan, index), "sites": sites}, make
    )
