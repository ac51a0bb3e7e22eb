"""Error to the truth against the relative size of the perturbation: of networks and of total variation, adversarial and Gaussian.

The measurement itself is free of noise, so that the perturbation is all of it, as published. Adversarial perturbations maximise the distance
to the truth over ``||e|| <= r ||y||``, by two searches with the same number of evaluations for every method: the published attack (projected Adam
with its published rate, `stabtest.search.published.genzel_2022`) and the one of this project (`stabtest.search.worst_case`). Of total variation
the weight is chosen anew for each ``r``, the best of a grid on another phantom with Gaussian noise of that size: "appropriately regularised".

The same on real brain slices, where there are any (`experiments.frame.real`), under names that begin with ``real``: the truth is the reconstruction
of all samples, of which the measurement is exactly a part. The weights of total variation stay those chosen on the phantom, as the networks stay
those trained on phantoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.real import Real
from experiments.frame.scans import Reconstructor, Scan
from experiments.genzel2022.attack import adam
from reconstructors import zoo

MRI, CT = "unet-mri", "fbpconvnet-ell50"
TUNING_CASE = 1000
"""Number of the phantom that weights are chosen on; no image that is measured."""
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Candidates for the weight of total variation, times that of the card."""
_NETWORKS = {"mri": ["unet-mri", "unet-mri-jittered", "itnet-mri"], "ct": ["fbpconvnet-ell50", "itnet-ct", "lpd-ct"]}
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {
        "images": 1,
        "real": 0,
        "evaluations": {"mri": 4},
        "draws": 1,
        "radii": {"mri": [0.08]},
        "networks": {"mri": ["unet-mri", "unet-mri-jittered"]},
    },
    "published": {
        "images": 3,
        "real": 1,
        "evaluations": {"mri": 100, "ct": 40},
        "draws": 4,
        "radii": {"mri": [0.08], "ct": [0.03]},
        "networks": _NETWORKS,
    },
    "full": {
        "images": 10,
        "real": 3,
        "evaluations": {"mri": 200, "ct": 200},
        "draws": 20,
        "radii": {"mri": [0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08], "ct": [0.005, 0.01, 0.015, 0.02, 0.03]},
        "networks": _NETWORKS,
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All curves: ``modality.attack.method.percent``, the relative error of each image; of real slices ``real.attack.method.percent``."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {}
    for modality, radii in settings["radii"].items():
        arrays[f"radii.{modality}"] = np.asarray(radii)
        of = {"mri": MRI, "ct": CT}[modality]
        for index in range(settings["images"]):
            _image(values, arrays, pieces, modality, of, of, index, settings, modality)
    if real.available() and settings["real"] and "mri" in settings["radii"]:
        arrays["radii.real"] = arrays["radii.mri"]
        for index in range(min(settings["real"], real.count("mri"))):
            _image(values, arrays, pieces, "real", MRI, Real(MRI), index, settings, "mri")
    return Measured(values, arrays)


def _image(
    values: dict[str, list[float]],
    arrays: dict[str, Any],
    pieces: Pieces,
    label: str,
    of: str,
    scan: Scan,
    index: int,
    settings: dict[str, Any],
    modality: str,
) -> None:
    """Every method on one image; of the first, the images under the worst perturbations found."""
    radii = settings["radii"][modality]
    found: dict[str, list[Arrays]] = {}
    for name in (*settings["networks"][modality], "tv"):
        ways = [_method(pieces, name, of, radius) for radius in radii]
        budget = settings["evaluations"][modality]
        found[name] = _curves(values, pieces, label, name, ways, scan, index, budget, settings["draws"], radii)
    methods = {name: _method(pieces, name, of, radii[-1]) for name in found}
    _transfer(values, pieces, label, scan, index, methods, found)
    if index == 0:
        arrays |= {f"worst.{label}.{name}": curve[-1]["image"][0] for name, curve in found.items()}


def _method(pieces: Pieces, name: str, scan: str, radius: float) -> Reconstructor:
    """A network, or total variation with the weight for noise of that size."""
    if name != "tv":
        return scans.network(name)
    weight = zoo.read_card(scan)["held_out"]["tv"]["weight"]
    errors = {
        factor: float(
            scans.noise_error(
                pieces,
                scans.total_variation(scan, weight=factor * weight),
                scan,
                TUNING_CASE,
                radii=[radius],
                draws=1,
                noise=0.0,
            )["error"][0]
        )
        for factor in FACTORS
    }
    return scans.total_variation(scan, weight=weight * min(errors, key=errors.__getitem__))


def _curves(
    values: dict[str, list[float]],
    pieces: Pieces,
    label: str,
    name: str,
    ways: list[Reconstructor],
    scan: Scan,
    index: int,
    budget: int,
    draws: int,
    radii: list[float],
) -> list[Arrays]:
    """Errors of one method at every radius; returns what the search of this project found."""
    level = _noise(scan)
    clean = scans.clean_image(pieces, ways[0], scan, index, noise=level)
    values.setdefault(f"{label}.clean.{name}", []).append(float(clean["nrmse"]))
    found: list[Arrays] = []
    for radius, one in zip(radii, ways, strict=True):
        ours = scans.searched(pieces, one, scan, index, radii=[radius], evaluations=budget, objective="truth", noise=level)
        published = adam(pieces, one, scan, index, radius=radius, evaluations=budget, noise=level)
        noise = scans.noise_error(pieces, one, scan, index, radii=[radius], draws=draws, noise=level)
        for attack, arrays in (("search", ours), ("adam", published), ("gaussian", noise)):
            values.setdefault(f"{label}.{attack}.{name}.{100 * radius:g}", []).append(float(arrays["error"][0]))
        found.append(ours)
    return found


def _transfer(
    values: dict[str, list[float]],
    pieces: Pieces,
    label: str,
    scan: Scan,
    index: int,
    methods: dict[str, Reconstructor],
    found: dict[str, list[Arrays]],
) -> None:
    """The worst case of each method at the largest radius, given to the others: their error."""
    for source, curve in found.items():
        for target, one in methods.items():
            if source != target:
                given = scans.applied(pieces, one, scan, index, methods[source], curve[-1], noise=_noise(scan))
                values.setdefault(f"{label}.transfer.{source}.to.{target}", []).append(float(given["error"][0]))


def _noise(scan: Scan) -> float | None:
    """Phantoms are measured without noise; what real measurements hold is in their truth too."""
    return None if isinstance(scan, Real) else 0.0
