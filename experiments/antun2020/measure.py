"""The three instabilities of the paper, on the networks of the zoo that follow those of the paper.

1. *Tiny perturbations*: of the image, ``||r|| <= rho ||x||``, the search of an audit looks for ``A r`` that changes the network's image most; total
   variation is given the same perturbations, and the network Gaussian noise of the same norm. Once also in the sampling domain.
2. *Details*: a text, a card symbol and an irregular tumour put into the object before it is measured; the share of their contrast that comes
   back (`stabtest.stability.structure.recovery`).
3. *More samples* than trained for: nested sets of samples of the same object, the network unchanged.

All but the perturbations of the sampling domain also on real measurements, where there are any (`experiments.frame.real`), under names that begin
with ``real``: brain slices for the networks of MRI with one coil, a tooth for those of CT.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.frame import real, scans
from experiments.frame.page import Measured
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.real import Real
from experiments.frame.room import with_room
from experiments.frame.scans import Reconstructor, Scan
from reconstructors import zoo
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
    "quick": {"images": 1, "real": 0, "radii": [0.02], "evaluations": 6, "draws": 1, "networks": ["automap-mri"]},
    "published": {
        "images": 3,
        "real": 3,
        "radii": [0.01, 0.02, 0.05],
        "evaluations": 20,
        "draws": 4,
        "networks": list(NETWORKS),
    },
    "full": {
        "images": 10,
        "real": 3,
        "radii": [0.005, 0.01, 0.02, 0.05],
        "evaluations": 100,
        "draws": 8,
        "networks": list(NETWORKS),
    },
}


def measure(settings: dict[str, Any], pieces: Pieces) -> Measured:
    """All three, for every network; on phantoms, then on real measurements."""
    values: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {"radii": np.asarray(settings["radii"])}
    names = settings["networks"]
    _measured(values, arrays, pieces, {name: _images(name, name, settings["images"]) for name in names}, settings)
    if set(names) == set(NETWORKS):
        _extremes(values, names)
    if real.available() and settings["real"]:
        found: dict[str, list[float]] = {}
        shown: dict[str, Any] = {}
        images = {name: _images(name, Real(name), settings["real"]) for name in names if real.possible(name)}
        _measured(found, shown, pieces, images, settings)
        _extremes(found, list(images))
        values |= {f"real.{key}": series for key, series in found.items()}
        arrays |= {f"real.{key}": array for key, array in shown.items()}
    return Measured(values, arrays)


def _images(name: str, scan: Scan, count: int) -> list[tuple[Scan, int]]:
    """The first of a network's cases that have room for every detail."""
    card = zoo.read_card(name)
    of = real.count(card["modality"]) if isinstance(scan, Real) else scans.CASES
    sizes = [size * card["size"] / 128 for size, _ in DETAILS.values()]
    return [(scan, index) for index in with_room(scan, count, sizes, of=of)]


def _measured(
    values: dict[str, list[float]],
    arrays: dict[str, Any],
    pieces: Pieces,
    images: dict[str, list[tuple[Scan, int]]],
    settings: dict[str, Any],
) -> None:
    """All that is measured of each network on its images."""
    for name, cases in images.items():
        one, tv = scans.network(name), scans.total_variation(name)
        for k, (scan, index) in enumerate(cases):
            shown = arrays if k == 0 else {}
            _perturb(values, shown, pieces, one, tv, scan, index, settings)
            for method, label in ((one, name), (tv, f"tv-{name}")):
                _details(values, shown, pieces, method, label, scan, index)
                if name not in FIXED_SAMPLES:
                    _samples(values, pieces, method, label, scan, index)


def _extremes(values: dict[str, list[float]], names: list[str]) -> None:
    """Of each detail, the mean recovery of the network that shows least of it, and of the one that shows most."""
    for shape in DETAILS:
        means = [float(np.mean(values[f"recovery.{name}.{shape}"])) for name in names]
        values |= {f"recovery.lowest.{shape}": [min(means)], f"recovery.highest.{shape}": [max(means)]}


def _perturb(
    values: dict[str, list[float]],
    shown: dict[str, Any],
    pieces: Pieces,
    one: Reconstructor,
    tv: Reconstructor,
    scan: Scan,
    index: int,
    settings: dict[str, Any],
) -> None:
    """Worst cases of the image domain at every radius, and of phantoms one of the sampling domain."""
    name, radii, budget = one.name, settings["radii"], settings["evaluations"]
    found = scans.searched(pieces, one, scan, index, radii=radii, evaluations=budget, domain="image")
    same = scans.applied(pieces, tv, scan, index, one, found)
    noise = scans.noised(pieces, one, scan, index, radii=radii, draws=settings["draws"], domain="image")
    for k, radius in enumerate(radii):
        for what, arrays in (("change", found), ("tv", same), ("noise", noise)):
            values.setdefault(f"{what}.{name}.{100 * radius:g}", []).append(float(arrays["change"][k]))
    if not isinstance(scan, Real):
        sampled = scans.searched(pieces, one, scan, index, radii=[SAMPLING_RADIUS], evaluations=budget)
        values.setdefault(f"sampling.{name}", []).append(float(sampled["change"][0]))
    clean, clean_tv = (scans.clean_image(pieces, method, scan, index) for method in (one, tv))
    values.setdefault(f"psnr.{name}", []).append(float(clean["psnr"]))
    shown |= {
        f"{name}.truth": clean["truth"],
        f"{name}.perturbation": found["image_perturbation"],
        f"{name}.network": np.concatenate([clean["image"][None], found["image"]]),
        f"{name}.tv": np.concatenate([clean_tv["image"][None], same["image"]]),
    }


def _details(
    values: dict[str, list[float]],
    shown: dict[str, Any],
    pieces: Pieces,
    one: Reconstructor,
    label: str,
    scan: Scan,
    index: int,
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


def _samples(values: dict[str, list[float]], pieces: Pieces, one: Reconstructor, label: str, scan: Scan, index: int) -> None:
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
