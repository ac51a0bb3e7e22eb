"""The three instabilities of the paper, on the networks of the zoo that follow those of the paper.

1. *Tiny perturbations*: of the image, ``||r|| <= rho ||x||``, the search of an audit looks for ``A r`` that changes the network's image most; total
   variation is given the same perturbations, and the network Gaussian noise of the same norm. Once also in the sampling domain.
2. *Details*: a text, a card symbol and an irregular tumour put into the object before it is measured; the share of their contrast that comes
   back (`stabtest.stability.structure.recovery`).
3. *More samples* than trained for: nested sets of samples of the same object, the network unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.frame import scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.scans import Reconstructor
from stabtest.operators import Fourier, MultiCoilFourier, sampling_fraction
from stabtest.stability import SamplingTest
from stabtest.stability.insertion import FACTOR, insert
from stabtest.stability.shapes import Shape, draw_shape
from stabtest.stability.structure import places, recovery

NETWORKS = {
    "automap-mri": "AUTOMAP",
    "cascade-mri": "Deep MRI",
    "dagan-mri": "DAGAN",
    "vn-mri-coils": "MRI-VN",
    "fbpconvnet-ell50": "Ell 50",
    "fbpconvnet-med50": "Med 50",
}
"""Of the zoo, and that of the paper whose architecture each follows."""
FIXED_SAMPLES = ("automap-mri",)
"""Networks that take no other set of samples than that of training."""
DETAILS: dict[Shape, tuple[float, float]] = {"text": (22.0, 0.3), "spade": (12.0, 0.3), "irregular": (8.0, 0.3)}
"""Size in pixels of a 128 x 128 image, and contrast."""
SAMPLING_RADIUS = 0.02
FRACTIONS, VIEWS = (0.4, 0.6, 0.8), (50, 75, 100)
SETTINGS: dict[str, dict[str, Any]] = {
    "quick": {"images": 1, "radii": [0.02], "evaluations": 6, "draws": 1, "networks": ["automap-mri"]},
    "published": {"images": 1, "radii": [0.01, 0.02, 0.05], "evaluations": 20, "draws": 4, "networks": list(NETWORKS)},
    "full": {"images": 10, "radii": [0.005, 0.01, 0.02, 0.05], "evaluations": 100, "draws": 8, "networks": list(NETWORKS)},
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All three, for every network."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {"radii": np.asarray(settings["radii"])}
    for name in settings["networks"]:
        one, tv = scans.network(name), scans.total_variation(name)
        for index in range(settings["images"]):
            shown = arrays if index == 0 else {}
            _perturb(values, shown, pieces, one, tv, index, settings)
            for method, label in ((one, name), (tv, f"tv-{name}")):
                _details(values, shown, pieces, method, name, label, index)
                if name not in FIXED_SAMPLES:
                    _samples(values, pieces, method, name, label, index)
    for shape in DETAILS if set(settings["networks"]) == set(NETWORKS) else ():
        means = [float(np.mean(values[f"recovery.{name}.{shape}"])) for name in settings["networks"]]
        values |= {f"recovery.lowest.{shape}": [min(means)], f"recovery.highest.{shape}": [max(means)]}
    return Measured(values, arrays)


def _perturb(
    values: dict[str, list[float]],
    shown: dict[str, Any],
    pieces: Pieces,
    one: Reconstructor,
    tv: Reconstructor,
    index: int,
    settings: dict[str, Any],
) -> None:
    """Worst cases of the image domain at every radius, and one of the sampling domain."""
    name, radii, budget = one.name, settings["radii"], settings["evaluations"]
    found = scans.searched(pieces, one, name, index, radii=radii, evaluations=budget, domain="image")
    same = scans.applied(pieces, tv, name, index, one, found)
    noise = scans.noised(pieces, one, name, index, radii=radii, draws=settings["draws"], domain="image")
    for k, radius in enumerate(radii):
        for what, arrays in (("change", found), ("tv", same), ("noise", noise)):
            values.setdefault(f"{what}.{name}.{100 * radius:g}", []).append(float(arrays["change"][k]))
    sampled = scans.searched(pieces, one, name, index, radii=[SAMPLING_RADIUS], evaluations=budget)
    values.setdefault(f"sampling.{name}", []).append(float(sampled["change"][0]))
    clean, clean_tv = (scans.clean_image(pieces, method, name, index) for method in (one, tv))
    values.setdefault(f"psnr.{name}", []).append(float(clean["psnr"]))
    shown |= {
        f"{name}.truth": clean["truth"],
        f"{name}.perturbation": found["image_perturbation"],
        f"{name}.network": np.concatenate([clean["image"][None], found["image"]]),
        f"{name}.tv": np.concatenate([clean_tv["image"][None], same["image"]]),
    }


def _details(
    values: dict[str, list[float]], shown: dict[str, Any], pieces: Pieces, one: Reconstructor, scan: str, label: str, index: int
) -> None:
    """Recovery of every detail."""

    def make(shape: Shape, size: float, contrast: float) -> Arrays:
        on = scans.case(scan, index)
        side = on.operator.domain.shape[-1]
        size *= side / 128
        site = places(on, diameter=size, count=1, seed=index)[0]
        drawn = draw_shape(shape, FACTOR * side, nominal=side, site=site, size=size, seed=index)[None]
        detail = insert(on, on.operator.refine(FACTOR), drawn, site=site, diameter=size, contrast=contrast)
        clean, with_detail = (one.method(y, on.operator) for y in (on.measurement, on.measurement + detail.data))
        template = detail.as_change_of(on, clean)
        return {
            "recovery": np.asarray(recovery(with_detail - clean, template, detail.region)),
            "image": with_detail[0, 0].numpy(),
            "site": np.asarray([*site, size]),
            "ideal": (on.reference_image + detail.template)[0, 0].numpy(),
        }

    for shape, (size, contrast) in DETAILS.items():
        inputs = {"method": one.fingerprint, "case": scans.told(scan, index), "size": size, "contrast": contrast}
        found = pieces.get(f"detail-{shape}-{one.name}", inputs, lambda s=shape, d=size, c=contrast: make(s, d, c))
        values.setdefault(f"recovery.{label}.{shape}", []).append(float(found["recovery"]))
        shown |= {
            f"{label}.{key}.{shape}": found[of] for key, of in (("detail", "image"), ("ideal", "ideal"), ("site", "site"))
        }


def _samples(values: dict[str, list[float]], pieces: Pieces, one: Reconstructor, scan: str, label: str, index: int) -> None:
    """Error at the trained number of samples and above, and its change from there to the most."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        levels: tuple[float, ...] = VIEWS
        if isinstance(on.operator, Fourier | MultiCoilFourier):
            levels = (sampling_fraction(on.operator.mask), *FRACTIONS)
        rows = SamplingTest(levels=levels, pictures=False).measure(one.method, on).rows
        return {"fraction": [row.fraction for row in rows], "nrmse": [row.nrmse for row in rows]}  # pyright: ignore

    found = pieces.get(f"samples-{one.name}", {"method": one.fingerprint, "case": scans.told(scan, index)}, make)
    values.setdefault(f"more.{label}", []).append(float(found["nrmse"][-1] - found["nrmse"][0]))
    for fraction, error in zip(found["fraction"], found["nrmse"], strict=True):
        values.setdefault(f"nrmse.{label}.{fraction:.3g}", []).append(float(error))
