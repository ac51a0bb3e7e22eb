"""Perturbations of the measurement that change an image in one place; each a piece.

For a disc ``D`` in the body the search of this project looks, within ``||e|| <= R ||y||``, for the largest change of the magnitudes there,
``|| |f(y + e)| - |f(y)| ||_D``: a change of the phase alone is none that shows. The published attack makes a change there large with weights on a
disc. What it does is measured by

- the **artefact**, the largest change of the magnitude of a pixel in the disc, relative to the largest of the truth: the local, l-infinity error;
- the relative change of the whole complex image, the l2 error, and the share of its energy in the disc.

The mechanism behind it: for one pixel ``delta`` the perturbation ``s A delta`` is small, ``||A delta||^2`` is about the share of the
samples, and a method that recovers sparse changes of its image exactly shows ``s`` there, where zero-filling shows ``s ||A delta||^2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.frame import scans
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.scans import Reconstructor, Scan
from stabtest import tensors
from stabtest.audit.fingerprint import digest
from stabtest.search import worst_case_curve
from stabtest.search.regions import disc
from stabtest.stability.cases import Case
from stabtest.stability.structure import places

RADIUS_PX = 2.5
"""Of the disc."""


def site_of(case: Case, seed: int) -> tuple[int, int]:
    """A place in a flat part of the body, as details get one."""
    return places(case, diameter=3 * RADIUS_PX, count=1, seed=seed)[0]


def region_of(case: Case, seed: int) -> Tensor:
    """The disc, ``(1, 1, H, W)``."""
    height, width = case.operator.domain.shape[-2:]
    row, column = site_of(case, seed)
    return disc((height, width), (float(row), float(column)), RADIUS_PX).reshape(1, 1, height, width)


@dataclass(frozen=True, eq=False)
class MagnitudeDamage:
    """``|| |f(y + e)| - |f(y)| ||_D`` of each image."""

    clean: Tensor
    region: Tensor
    vanishes_at_clean: ClassVar[bool] = True

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The change of the magnitudes in the disc, ``(B,)``."""
        return tensors.norm((reconstruction.abs() - self.clean.abs()) * self.region)


def measures(case: Case, region: Tensor, clean: Tensor, perturbed: Tensor) -> dict[str, float]:
    """Artefact, relative change and the share of its energy in the disc."""
    change = perturbed - clean
    whole = float(tensors.norm(change))
    return {
        "artefact": float(((perturbed.abs() - clean.abs()) * region).abs().max()) / case.peak,
        "change": whole / float(tensors.norm(clean)),
        "inside": (float(tensors.norm(change * region)) / whole) ** 2 if whole > 0 else 0.0,
    }


def attacked(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, *, radii: Sequence[float], evaluations: int) -> Arrays:
    """The worst found for the disc at each radius."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        region, clean = region_of(on, index), one.method(on.measurement, on.operator)
        curve = worst_case_curve(
            one.method.reconstruct,
            on.operator,
            on.measurement,
            radii=radii,
            objective=MagnitudeDamage(clean, region),
            evaluations=evaluations,
            check=False,
            generator=torch.Generator().manual_seed(0),
        )
        found = [measures(on, region, clean, worst.perturbed) for worst in curve]
        return {
            **{key: [one_radius[key] for one_radius in found] for key in found[0]},
            "perturbation": np.stack([worst.perturbation[0].numpy() for worst in curve]),
            "image": np.stack([clean[0, 0].numpy(), *[worst.perturbed[0, 0].numpy() for worst in curve]]),
            "region": region[0, 0].numpy(),
            "peak": on.peak,
        }

    inputs = {
        "method": one.fingerprint,
        "case": scans.told(scan, index),
        "radii": list(radii),
        "evaluations": evaluations,
        "disc": RADIUS_PX,
    }
    return pieces.get(f"local-{one.name}", inputs, make)


def given(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, perturbation: np.ndarray[Any, Any]) -> Arrays:
    """What a perturbation that was found for another method does in the same disc."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        e = torch.from_numpy(perturbation)[None]
        clean, perturbed = (one.method(y, on.operator) for y in (on.measurement, on.measurement + e))
        return {**measures(on, region_of(on, index), clean, perturbed), "image": perturbed[0, 0].numpy()}

    of = digest(perturbation.view(np.float32).tolist())
    inputs = {"method": one.fingerprint, "case": scans.told(scan, index), "of": of, "disc": RADIUS_PX}
    return pieces.get(f"local-given-{one.name}", inputs, make)


def noised(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, *, radii: Sequence[float], draws: int) -> Arrays:
    """Gaussian noise of the same norm: the median artefact."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        region, clean = region_of(on, index), one.method(on.measurement, on.operator)
        size, found = float(tensors.norm(on.measurement)), []
        for radius in radii:
            generator, some = torch.Generator().manual_seed(scans.NOISE_SEED), []
            for _ in range(draws):
                e = tensors.randn(tuple(on.measurement.shape), dtype=on.measurement.dtype, generator=generator)
                e = on.operator.restrict(e)
                image = one.method(on.measurement + e * (radius * size / float(tensors.norm(e))), on.operator)
                some.append(measures(on, region, clean, image)["artefact"])
            found.append(float(np.median(some)))
        return {"artefact": found}

    inputs = {
        "method": one.fingerprint,
        "case": scans.told(scan, index),
        "radii": list(radii),
        "draws": draws,
        "disc": RADIUS_PX,
    }
    return pieces.get(f"local-noise-{one.name}", inputs, make)


def spiked(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, *, radius: float) -> Arrays:
    """One pixel, ``e = s A delta`` of a relative norm, with the phase of the object there: the share of ``s`` that comes back."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        assert on.truth is not None
        row, column = site_of(on, index)
        delta = torch.zeros_like(on.truth)
        here = on.truth[..., row, column]
        delta[..., row, column] = here / here.abs()
        data = on.operator.forward(delta)
        height = radius * float(tensors.norm(on.measurement)) / float(tensors.norm(data))
        change = one.method(on.measurement + height * data, on.operator) - one.method(on.measurement, on.operator)
        back = float((change[..., row, column] * delta[..., row, column].conj()).real)
        return {"share": back / height, "height": height / on.peak, "samples": float(tensors.norm(data)) ** 2}

    inputs = {"method": one.fingerprint, "case": scans.told(scan, index), "radius": radius}
    return pieces.get(f"spike-{one.name}", inputs, make)
