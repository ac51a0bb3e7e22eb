"""Scans, cases and methods of the experiments: those that an audit would make of the zoo's model cards.

The cases are phantoms that no training has seen (seeds of audits, from 1 000 000), drawn on a finer grid and measured with the noise that the
networks were trained with (`stabtest.audit.cases.simulate`). Total variation stands beside every network on the same measurement, with the
weight of the network's card, 300 steps of its solver and the derivative of what these steps converge to: that of the steps themselves costs
four times as much for a search of the same number of evaluations.

Where a function takes a scan it is the name of a network, whose scan it is, or a `Real` one: the same scan of the real measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.frame import real
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.real import Real
from reconstructors import zoo
from reconstructors.tv import TotalVariation
from stabtest import metrics
from stabtest.audit.cases import case_fingerprint, make_case
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import digest
from stabtest.audit.subject import TV_ITERATIONS, WEIGHTS, load_subjects
from stabtest.networks.magnitude import comparable
from stabtest.search import gaussian_baseline, worst_case_curve
from stabtest.search.admissible import SetOptions
from stabtest.search.constraints import Domain
from stabtest.search.worst_case import ObjectiveName
from stabtest.stability.cases import Case, Method

Scan = str | Real
"""Of phantoms, by the name of the network that was trained for it, or of the real measurements."""
NOISE_SEED = 0x9E3779B9
CASES = 1001
"""Phantoms in a scan."""
CLASSICAL_SCAN = {"mri": "unet-mri", "ct": "fbpconvnet-ell50", "other": "dncnn-denoise"}
"""Whose scan a classical method reconstructs, by modality."""


@dataclass(frozen=True, eq=False)
class Reconstructor:
    """A method with what its results depend on."""

    method: Method
    fingerprint: str

    @property
    def name(self) -> str:
        """As it is shown."""
        return self.method.name


@cache
def scan_of(scan: Scan, *, noise: float | None = None) -> Config:
    """The scan that a network of the zoo was trained for, as a configuration.

    Parameters
    ----------
    scan
        Of a network with a card.
    noise
        Another noise level than that of training; the real measurements have the one they have.
    """
    if isinstance(scan, Real):
        assert noise is None
        of = zoo.read_card(scan.of)
        return real.config(of["modality"], network=scan.of, size=of["size"])
    name = scan
    card = zoo.read_card(name)
    operator, size = card["operator"], card["size"]
    kind = {"mri": "fourier", "ct": "radon", "other": "identity"}[card["modality"]]
    section: dict[str, Any] = {"kind": kind, "size": size}
    if kind == "radon":
        section["angles"] = operator["angles"]
    elif kind == "fourier":
        section["mask"] = {
            "kind": operator["mask"],
            **{key: operator[key] for key in ("acceleration", "centre_fraction", "seed")},
        }
        if operator.get("coils"):
            section |= {"kind": "multicoil", "coils": operator["coils"]}
    trained_on = card["training"]["data"]  # "2500 chest phantoms, seeds ..."
    phantom = next(which for which in ("head", "ellipses", "chest") if f" {which} phantoms" in trained_on)
    level = card["noise_level"] if noise is None else noise
    return Config.model_validate(
        {
            "network": {"zoo": name},
            "operator": section,
            "data": {"phantom": phantom, "noise": level, "count": CASES},
            "reference": {"method": "none"},
        }
    )


@cache
def case(scan: Scan, index: int, *, noise: float | None = None) -> Case:
    """Phantom number ``index`` in the scan of a network, or real measurement of that number."""
    return make_case(scan_of(scan, noise=noise), index)


def network(name: str) -> Reconstructor:
    """A network of the zoo, ready to be called."""
    subject = load_subjects(scan_of(name))[0]
    return Reconstructor(subject.method, subject.fingerprint)


def classical(name: str, scan: str) -> Reconstructor:
    """A classical method with the settings that an audit gives it, total variation with those of the scan's card."""
    config = scan_of(scan)
    if name == "tv":
        return total_variation(scan)
    settings = {"zoo": name}
    reference = {"weight": WEIGHTS[name][config.modality]} if name in WEIGHTS else {}
    told = Config.model_validate(
        {"network": settings, "operator": config.operator.model_dump(), "reference": {"method": "none", **reference}}
    )
    subject = load_subjects(told)[0]
    return Reconstructor(subject.method, subject.fingerprint)


def total_variation(scan: str, *, weight: float | None = None) -> Reconstructor:
    """Total variation with the weight of the card of a network, or another, differentiated at the limit of its steps."""
    weight = zoo.read_card(scan)["held_out"]["tv"]["weight"] if weight is None else weight
    tv = TotalVariation(weight=weight, iterations=TV_ITERATIONS)
    return Reconstructor(
        Method("tv", "reference", tv.differentiations()["implicit"]), digest(["tv, implicit", weight, TV_ITERATIONS])
    )


def told(scan: Scan, index: int, *, noise: float | None = None) -> dict[str, Any]:
    """What a case depends on."""
    return case_fingerprint(scan_of(scan, noise=noise), index)


def clean_image(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, *, noise: float | None = None) -> Arrays:
    """Image, truth, PSNR and NRMSE of a case without perturbation."""

    def make() -> dict[str, Any]:
        found = case(scan, index, noise=noise)
        image = one.method(found.measurement, found.operator)
        assert found.truth is not None
        truth = comparable(found.truth, image)
        return {
            "image": image[0, 0].numpy(),
            "truth": found.truth[0, 0].numpy(),
            "psnr": metrics.psnr(image, truth)[0].item(),
            "nrmse": metrics.nrmse(image, truth)[0].item(),
        }

    return pieces.get(f"clean-{one.name}", {"method": one.fingerprint, "case": told(scan, index, noise=noise)}, make)


def searched(
    pieces: Pieces,
    one: Reconstructor,
    scan: Scan,
    index: int,
    *,
    radii: Sequence[float],
    evaluations: int,
    domain: Domain = "measurement",
    objective: ObjectiveName = "clean",
    noise: float | None = None,
) -> Arrays:
    """The worst case found at each radius, relative to the measurement or, in the image domain, to the image.

    Returns
    -------
    dict
        For each radius: ``change`` and ``gain`` to the clean image, ``error`` to the truth; ``perturbation`` of the measurement,
        ``image_perturbation`` in the image domain, ``image``; and whether the search ``rises`` still.
    """
    inputs = {
        "method": one.fingerprint,
        "case": told(scan, index, noise=noise),
        "radii": list(radii),
        "evaluations": evaluations,
        "domain": domain,
        "objective": objective,
    }

    def make() -> dict[str, Any]:
        found = case(scan, index, noise=noise)
        options: SetOptions = {"domain": domain}
        curve = worst_case_curve(
            one.method.reconstruct,
            found.operator,
            found.measurement,
            radii=radii,
            objective=objective,
            truth=found.truth,
            evaluations=evaluations,
            check=False,
            generator=torch.Generator().manual_seed(0),
            **options,
        )
        arrays: dict[str, Any] = {
            "change": [float(worst.relative_change) for worst in curve],
            "gain": [float(worst.gain) for worst in curve],
            "error": [float("nan") if worst.relative_error is None else float(worst.relative_error) for worst in curve],
            "rises": [worst.status[0] == "still rising" for worst in curve],
            "perturbation": np.stack([worst.perturbation[0].numpy() for worst in curve]),
            "image": np.stack([worst.perturbed[0, 0].numpy() for worst in curve]),
        }
        if domain == "image":
            arrays["image_perturbation"] = np.stack([worst.variable[0, 0].numpy() for worst in curve])
        return arrays

    return pieces.get(f"worst-{one.name}", inputs, make)


def applied(
    pieces: Pieces,
    one: Reconstructor,
    scan: Scan,
    index: int,
    source: Reconstructor,
    found: Arrays,
    *,
    noise: float | None = None,
) -> Arrays:
    """What the perturbations found for one method (`searched`) do to another: ``change``, ``error`` and ``image`` for each radius."""

    def make() -> dict[str, Any]:
        on = case(scan, index, noise=noise)
        assert on.truth is not None
        clean = one.method(on.measurement, on.operator)
        images = [
            one.method(on.measurement + torch.from_numpy(perturbation)[None], on.operator)
            for perturbation in found["perturbation"]
        ]
        return _compared(images, clean, on.truth)

    of = digest([source.fingerprint, found["change"].tolist()])
    return pieces.get(
        f"transfer-{source.name}-to-{one.name}",
        {"method": one.fingerprint, "case": told(scan, index, noise=noise), "of": of},
        make,
    )


def noised(
    pieces: Pieces,
    one: Reconstructor,
    scan: Scan,
    index: int,
    *,
    radii: Sequence[float],
    draws: int,
    domain: Domain = "measurement",
) -> Arrays:
    """Gaussian noise of the same norm: the median of the relative change over the draws at each radius."""

    def make() -> dict[str, Any]:
        on = case(scan, index)
        changes = [
            gaussian_baseline(
                one.method.reconstruct,
                on.operator,
                on.measurement,
                radius=radius,
                truth=on.truth,
                draws=draws,
                generator=torch.Generator().manual_seed(NOISE_SEED),
                domain=domain,
            )
            for radius in radii
        ]
        return {"change": [float(np.median(change[:, 0].numpy())) for change in changes]}

    inputs = {"method": one.fingerprint, "case": told(scan, index), "radii": list(radii), "draws": draws, "domain": domain}
    return pieces.get(f"noise-{one.name}", inputs, make)


def noise_error(
    pieces: Pieces,
    one: Reconstructor,
    scan: Scan,
    index: int,
    *,
    radii: Sequence[float],
    draws: int,
    noise: float | None = None,
) -> Arrays:
    """Error to the truth under Gaussian noise of exactly a relative norm in the measurement, the mean over draws at each radius."""

    def make() -> dict[str, Any]:
        on = case(scan, index, noise=noise)
        assert on.truth is not None
        size = torch.linalg.vector_norm(on.measurement)
        errors: list[float] = []
        for radius in radii:
            generator, found = torch.Generator().manual_seed(NOISE_SEED), []
            for _ in range(draws):
                e = on.operator.restrict(torch.randn(on.measurement.shape, dtype=on.measurement.dtype, generator=generator))
                image = one.method(on.measurement + e * (radius * size / torch.linalg.vector_norm(e)), on.operator)
                found.append(float(metrics.nrmse(image, comparable(on.truth, image))))
            errors.append(float(np.mean(found)))
        return {"error": errors}

    inputs = {"method": one.fingerprint, "case": told(scan, index, noise=noise), "radii": list(radii), "draws": draws}
    return pieces.get(f"noise-error-{one.name}", inputs, make)


def _compared(images: list[Tensor], clean: Tensor, truth: Tensor) -> dict[str, Any]:
    against = comparable(truth, clean)
    return {
        "change": [float(torch.linalg.vector_norm(image - clean) / torch.linalg.vector_norm(clean)) for image in images],
        "error": [float(metrics.nrmse(image, against)) for image in images],
        "image": np.stack([image[0, 0].numpy() for image in images]),
    }
