"""The accuracy-stability plane of the MRI reconstructors of the zoo: PSNR without perturbation against the worst change found.

For each reconstructor the search of an audit looks, over perturbations of the measurement within relative radii, for the largest relative change
of its image; with a share of what Gaussian noise of the same norm does. Every method is searched on the same measurements with the same number
of evaluations. What is found is a lower bound of the worst case for all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.frame import scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Pieces

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
        "radii": [0.05],
        "evaluations": 4,
        "draws": 1,
        "methods": ["zero-filled", "unet-mri", "unet-mri-spectral"],
    },
    "published": {"images": 2, "radii": [0.02, 0.05], "evaluations": 24, "draws": 4, "methods": [*CLASSICAL, *NETWORKS]},
    "full": {
        "images": 10,
        "radii": [0.01, 0.02, 0.05, 0.1],
        "evaluations": 60,
        "draws": 8,
        "methods": [*CLASSICAL, "wavelet", *NETWORKS],
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """PSNR, worst change, its gain, and the change by noise, for each method and image."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {"radii": np.asarray(settings["radii"])}
    for name in settings["methods"]:
        one = scans.classical(name, SCAN) if name in (*CLASSICAL, "wavelet") else scans.network(name)
        for index in range(settings["images"]):
            clean = scans.clean_image(pieces, one, SCAN, index)
            found = scans.searched(
                pieces, one, SCAN, index, radii=settings["radii"], evaluations=settings["evaluations"], objective="clean"
            )
            noise = scans.noised(pieces, one, SCAN, index, radii=settings["radii"], draws=settings["draws"])
            values.setdefault(f"psnr.{name}", []).append(float(clean["psnr"]))
            for k, radius in enumerate(settings["radii"]):
                values.setdefault(f"change.{name}.{radius:g}", []).append(float(found["change"][k]))
                values.setdefault(f"noise.{name}.{radius:g}", []).append(float(noise["change"][k]))
            values.setdefault(f"gain.{name}", []).append(float(found["gain"].max()))
            if index == 0:
                arrays |= {f"clean.{name}": clean["image"], f"worst.{name}": found["image"][-1], "truth": clean["truth"]}
    return Measured(values, arrays)
