"""Would a small lesion be seen? A detail is put into the object, and what comes back of it is measured.

Antun et al., PNAS 117 (2020) 30088-30095, call it the second instability: a small structural change, a tumour, is not
captured. The detail ``h`` enters before the scan (`stabtest.stability.insertion`), so that ``y' = y + A_fine h`` has the
*same* noise as ``y``. With the change ``D = f(y') - f(y)``, the template ``t`` (what a perfect reconstruction shows of
``h``) and its region ``R``:

- **recovery** (contrast recovery coefficient) ``c = Re <t, D>_R / ||t||_R^2``. In the model ``D = c t + rest`` on ``R`` it
  is the least-squares estimate of ``c``, the matched filter for the shape ``t`` in white noise: 1 = all came back, 0 = nothing,
  negative = inverted. A uniform shift of the surroundings that reaches into ``R`` counts, and shows in the outside energy.
- **region NRMSE** ``||D - t||_R / ||t||_R``.
- **outside energy** ``||D - c t||^2_(not R) / ||t||^2``: what appeared where nothing was put. The ripples that a band-limited
  ``t`` has outside ``R`` belong to the detail; what came back of it brings that share of them, which is no hallucination.
- **sham recovery**: the same ``c`` of ``D = f(y + n) - f(y)`` with nothing put in and ``n`` one fresh noise realisation of
  the case's level.

A method that returns magnitudes has the template ``|x + t| - |x|``.

The gate: the data must carry the detail, ``d' = ||A_fine h|| / sigma >= 5`` with the noise ``sigma`` of a *real* sample (a
complex sample of standard deviation ``s`` has ``s / sqrt 2`` in each part). ``d'`` is what an ideal observer who knows the
background gets from the raw data (Barrett, Myers, *Foundations of Image Science*, 2004, section 13.2). Where the noise level
is not known the gate is a null-space share of at most 0.9. A level of zero counts as not known: without noise ``d'`` is
infinite for the least trace that rounding leaves, and would let every detail pass. The null-space share alone is no gate:
prior knowledge may well fill in what the scanner cannot see.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError, DataError
from stabtest.findings.records import Picture, StructureRow
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.insertion import FACTOR, Insertion, insert_lesion
from stabtest.stability.null_space import null_space_share
from stabtest.stability.pictures import picture

LEAST_DETECTABILITY = 5.0
"""``d'`` from which a detail counts as identifiable (AUC of the ideal observer above 0.9998)."""
MOST_NULL_SPACE = 0.9
"""Null-space share up to which a detail counts as identifiable where the noise level is not known."""


@dataclass(frozen=True)
class StructureTest:
    """Lesions of several diameters and contrasts at several sites.

    Parameters
    ----------
    diameters_px
        Diameters in pixels of the reconstruction.
    contrasts
        Heights relative to ``max|x|``; negative = dark.
    sites
        Places for each diameter, drawn in flat parts of the body (`stabtest.phantoms.candidate_sites`).
    kind
        The detail; today a round lesion.
    pictures
        At how many sites of each diameter and contrast pictures are drawn.

    Raises
    ------
    ConfigError
        If a diameter is not positive, a contrast is zero, or there is nothing to do.
    """

    diameters_px: tuple[float, ...] = (4.0, 8.0)
    contrasts: tuple[float, ...] = (0.1, 0.2)
    sites: int = 2
    kind: Literal["lesion"] = "lesion"
    pictures: int = 1

    def __post_init__(self) -> None:
        if not self.diameters_px or min(self.diameters_px) <= 0:
            raise ConfigError("structure: diameters", expected="positive numbers of pixels", came=str(self.diameters_px))
        if not self.contrasts or 0 in self.contrasts:
            raise ConfigError("structure: contrasts", expected="numbers other than zero", came=str(self.contrasts))
        if self.sites < 1:
            raise ConfigError("structure: sites", expected="at least 1", came=str(self.sites))

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """Recovery of every detail.

        Parameters
        ----------
        method, case
            What reconstructs, and what the details are put into.
        seed
            Chooses sites and the noise of the sham; with the same seed all methods get the same.
        progress
            Called after each detail.

        Returns
        -------
        Outcome
            One `StructureRow` for each diameter, contrast and site.

        Raises
        ------
        DataError
            If the body has no room for the details.
        NetworkError
            If the method does not return a finite image of the right shape.
        """
        fine = case.operator.refine(FACTOR)
        clean = method(case.measurement, case.operator)
        sham = sham_change(method, case, clean, seed)
        shares: dict[tuple[float, tuple[int, int]], float] = {}
        rows: list[StructureRow] = []
        shown: list[Picture] = []
        total = len(self.diameters_px) * len(self.contrasts) * self.sites
        for diameter in self.diameters_px:
            sites = places(case, diameter=diameter, count=self.sites, seed=seed)
            for contrast in self.contrasts:
                for k, site in enumerate(sites):
                    detail = insert_lesion(case, fine, site=site, diameter=diameter, contrast=contrast)
                    with_detail = method(case.measurement + detail.data, case.operator)
                    if (diameter, site) not in shares:  # the same for all contrasts
                        shares[diameter, site] = null_space_share(case.operator, detail.template).share
                    rows.append(_row(method, case, detail, with_detail - clean, sham, shares[diameter, site]))
                    if k < self.pictures:
                        shown.extend(_pictures(method, case, detail, clean, with_detail))
                    if progress is not None:
                        progress(len(rows), total)
        return Outcome(tuple(rows), tuple(shown))


def places(case: Case, *, diameter: float, count: int, seed: int) -> tuple[tuple[int, int], ...]:
    """Where details go: the flattest fifth of the body if it has room, else the flattest half, else anywhere in the body.

    Raises
    ------
    DataError
        If the body has no room for them at all.
    """
    for share in (0.2, 0.5):
        with contextlib.suppress(DataError):
            return phantoms.candidate_sites(case.reference_image, diameter=diameter, count=count, seed=seed, share=share)
    return phantoms.candidate_sites(case.reference_image, diameter=diameter, count=count, seed=seed, share=1.0)


def recovery(change: Tensor, template: Tensor, region: Tensor) -> float:
    """``Re <t, D>_R / ||t||_R^2``.

    Parameters
    ----------
    change, template
        ``D`` and ``t``, ``(1, 1, H, W)``.
    region
        ``R``, boolean ``(1, 1, H, W)``.

    Examples
    --------
    >>> template = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    >>> recovery(0.5 * template, template, template > 0)
    0.5
    """
    inside = template * region
    return float(tensors.inner(inside, change) / tensors.inner(inside, inside))


def detectability(data: Tensor, noise_std: float | None) -> float | None:
    """``d' = ||A h|| / sigma`` of a known signal in white Gaussian noise, ``sigma`` of a real sample.

    Parameters
    ----------
    data
        ``A h``, ``(1, *range)``.
    noise_std
        Of one sample, as `Case` defines it; None, zero or NaN if not known.

    Returns
    -------
    float or None
        None where the noise is not known.

    Examples
    --------
    >>> detectability(torch.tensor([[3.0, 4.0]]), 0.5), detectability(torch.tensor([[3.0, 4.0]]), 0.0)
    (10.0, None)
    """
    if noise_std is None or not 0 < noise_std < math.inf:
        return None
    sigma = noise_std / math.sqrt(2) if data.is_complex() else noise_std
    return float(tensors.norm(data)) / sigma


def identifiable(data_detectability: float | None, null_share: float) -> bool:
    """The gate of this module.

    Examples
    --------
    >>> identifiable(12.0, 0.95), identifiable(3.0, 0.1), identifiable(None, 0.1)
    (True, False, True)
    """
    return null_share <= MOST_NULL_SPACE if data_detectability is None else data_detectability >= LEAST_DETECTABILITY


def sham_change(method: Method, case: Case, clean: Tensor, seed: int) -> Tensor | None:
    """``f(y + n) - f(y)``; one realisation serves all details, so that sham values of one case are not independent.

    Parameters
    ----------
    method, case
        What reconstructs, and what it is given.
    clean
        ``f(y)``.
    seed
        Of the noise.

    Returns
    -------
    Tensor or None
        None where the noise is not known.
    """
    if case.noise_std is None or not 0 < case.noise_std < math.inf:
        return None
    generator = torch.Generator().manual_seed(seed)
    y = case.measurement
    noise = tensors.randn(tuple(y.shape), dtype=y.dtype, generator=generator, device=y.device)
    return method(y + case.noise_std * case.operator.restrict(noise), case.operator) - clean


def _row(method: Method, case: Case, detail: Insertion, change: Tensor, sham: Tensor | None, share: float) -> StructureRow:
    template, region = detail.as_change_of(case, change), detail.region
    visible = detectability(detail.data, case.noise_std)
    inside = tensors.norm(template * region)
    back = recovery(change, template, region)
    return StructureRow(
        case=case.name,
        method=method.name,
        detail="lesion",
        site=f"({detail.site[0]}, {detail.site[1]})",
        diameter_px=detail.diameter,
        contrast=detail.contrast,
        recovery=back,
        region_nrmse=float(tensors.norm((change - template) * region) / inside),
        outside_energy=float((tensors.norm((change - back * template) * ~region) / tensors.norm(template)) ** 2),
        sham_recovery=None if sham is None else recovery(sham, template, region),
        data_detectability=visible,
        null_space_share=share,
        identifiable=identifiable(visible, share),
    )


def _pictures(method: Method, case: Case, detail: Insertion, clean: Tensor, with_detail: Tensor) -> list[Picture]:
    """The detail, the reconstruction with it, and what came back of it along the local phase, on the detail's own scale."""
    label = f"d{detail.diameter:g}-c{detail.contrast:g}-{detail.site[0]}-{detail.site[1]}"
    draw = partial(picture, case=case, section="structure", label=label, limit=abs(detail.contrast) * case.peak)
    words = f"lesion of {detail.diameter:g} px, contrast {detail.contrast:g}"
    along, change = detail.phase.conj(), with_detail - clean
    change = change * along if change.is_complex() else change
    name = method.name
    return [
        draw(detail.template * along, method="truth", role="detail", kind="signed", caption=f"What was put in: {words}"),
        draw(with_detail, method=name, role="with_detail", kind="anatomy", caption=f"{name}, with a {words}"),
        draw(change, method=name, role="recovered", kind="signed", caption=f"{name}: what came back"),
    ]
