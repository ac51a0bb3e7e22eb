"""Which reconstructors are audited, on which scan, by which tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from experiments.frame import scans
from reconstructors import zoo

CLASSICAL = {
    "zero-filled": "unet-mri",
    "firenet": "unet-mri",
    "wavelet": "unet-mri",
    "tgv": "unet-mri",
    "cg-sense": "modl-mri-coils",
    "fbp": "fbpconvnet-ell50",
    "sirt": "fbpconvnet-ell50",
    "gaussian-filter": "dncnn-denoise",
    "median-filter": "dncnn-denoise",
    "handcrafted-denoiser": "dncnn-denoise",
}
"""Methods without training that are audited, and whose scan they see. Total variation is the reference of every audit."""
NO_IMAGES = ("lecture-unet", "lecture-unet-cells", "texture-discriminator", "dense-relu", "deep-spline", "threshold-logic")
"""Networks of the lecture that do not reconstruct: two classes, or a few numbers. `stabtest bound` and `experiments.lecture_cnn` treat them."""
TRAINED = tuple(name for name in zoo.names() if name not in (*CLASSICAL, *NO_IMAGES, "tv"))
AUDITED = (*TRAINED, *CLASSICAL)
"""Everything that `experiments.zoo_audits` knows."""
RADII = {"mri": [0.01, 0.05], "ct": [0.01, 0.05], "other": [0.02, 0.1]}
MORE = {
    "mri": {"fractions": [0.15, 0.5, 1.0]},
    "ct": {"views": [25, 100]},
    "other": {"enabled": False},
}
"""The study of samples; a denoiser samples nothing."""
ONE_MASK = ("automap-mri",)
"""Networks whose first layer knows one set of samples only."""


@cache
def configuration(name: str) -> dict[str, dict[str, Any]]:
    """The audit of a reconstructor, section by section.

    Examples
    --------
    >>> told = configuration("fbpconvnet-ell50")
    >>> told["operator"], told["network"]
    ({'kind': 'radon', 'size': 128, 'angles': 50}, {'zoo': 'fbpconvnet-ell50'})
    """
    on = CLASSICAL.get(name, name)
    card = zoo.read_card(on)
    scan = scans.scan_of(on).model_dump(exclude_unset=True, mode="json")
    return {
        "audit": {
            "title": f"{name}, of the zoo",
            "intended_use": "Published so that networks can be compared; not for any clinical use",
            "pictures_mb": 1.3,
        },
        "network": {"zoo": name},
        "operator": scan["operator"],
        "data": {**scan["data"], "count": 2},
        "reference": {"method": "tv", "weight": card["held_out"]["tv"]["weight"], "iterations": 150},
        "worst_case": {"radii": RADII[card["modality"]], "evaluations": 40, "further_ways": 0.25},
        "structure": {
            "diameters": [4.0, 8.0] if scan["operator"]["size"] >= 128 else [2.0, 4.0],
            "contrasts": [0.2],
            "sites": 2,
        },
        "sampling": {"enabled": False} if name in ONE_MASK else MORE[card["modality"]],
        "noise": {"levels": [1.0, 4.0], "draws": 2},
        "lipschitz": {"jacobian_steps": 10, "seconds": 10.0},
        "criteria": {"profile": "antun-2020/1"},
    }
