"""Would a small detail be seen? A lesion, tumour, vessel, line pairs, text or symbol is put into the object, and what comes back of it is measured.

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

The shapes, the recovery against the immediate surroundings and the modulation of line pairs are in `stabtest.stability.shapes`.

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
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError, DataError
from stabtest.findings.records import Picture, StructureRow
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.insertion import FACTOR, Insertion, insert
from stabtest.stability.null_space import null_space_share
from stabtest.stability.pictures import picture, slug
from stabtest.stability.shapes import SHAPES, Shape, draw_shape, gaps_between, local_recovery, modulation, name_of

LEAST_DETECTABILITY = 5.0
"""``d'`` from which a detail counts as identifiable (AUC of the ideal observer 0.9998)."""
MOST_NULL_SPACE = 0.9
"""Null-space share up to which a detail counts as identifiable where the noise level is not known."""


@dataclass(frozen=True)
class StructureTest:
    """Details of several shapes, sizes and contrasts at several sites.

    Parameters
    ----------
    diameters_px
        Sizes in pixels of the reconstruction: of a lesion its diameter, of other shapes as in `stabtest.stability.shapes`.
    contrasts
        Heights relative to ``max|x|``; negative = dark.
    sites
        Places for each size, drawn in flat parts of the body (`stabtest.phantoms.candidate_sites`).
    shapes
        Which details.
    sizes
        Of the shapes that have others than ``diameters_px``.
    words
        What a text says.
    pixel_mm
        Side of a pixel, if known, so that rows have the size in mm too.
    pictures
        At how many sites of each shape, size and contrast pictures are drawn.

    Raises
    ------
    ConfigError
        If a size is not positive, a contrast is zero, there is no such shape or letter, or there is nothing to do.
    """

    diameters_px: tuple[float, ...] = (4.0, 8.0)
    contrasts: tuple[float, ...] = (0.1, 0.2)
    sites: int = 2
    shapes: tuple[Shape, ...] = ("lesion",)
    sizes: dict[Shape, tuple[float, ...]] = field(default_factory=lambda: {}, hash=False)
    words: str = "CT"
    pixel_mm: float | None = None
    pictures: int = 1

    def __post_init__(self) -> None:
        if not self.diameters_px or min(self.diameters_px) <= 0:
            raise ConfigError("structure: diameters", expected="positive numbers of pixels", came=str(self.diameters_px))
        if not self.contrasts or 0 in self.contrasts:
            raise ConfigError("structure: contrasts", expected="numbers other than zero", came=str(self.contrasts))
        if self.sites < 1:
            raise ConfigError("structure: sites", expected="at least 1", came=str(self.sites))
        strange = [shape for shape in (*self.shapes, *self.sizes) if shape not in SHAPES]
        if not self.shapes or strange or len(set(self.shapes)) < len(self.shapes):
            raise ConfigError(
                "structure: shapes", expected=f"different ones of {', '.join(SHAPES)}", came=str(strange or self.shapes)
            )
        if any(not sizes or min(sizes) <= 0 for sizes in self.sizes.values()):
            raise ConfigError("structure: sizes", expected="positive numbers of pixels", came=str(self.sizes))
        if self.pixel_mm is not None and not 0 < self.pixel_mm < math.inf:
            raise ConfigError("structure: pixel_mm", expected="a positive number", came=str(self.pixel_mm))
        phantoms.bitmap(self.words)  # letters that there are not are told now

    def sizes_of(self, shape: Shape) -> tuple[float, ...]:
        """The sizes of a shape, in pixels."""
        return self.sizes.get(shape, self.diameters_px)

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
            One `StructureRow` for each shape, size, contrast and site.

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
        rows: list[StructureRow] = []
        shown: list[Picture] = []
        plan: list[tuple[Shape, float]] = [(shape, size) for shape in self.shapes for size in self.sizes_of(shape)]
        total = len(plan) * len(self.contrasts) * self.sites
        for shape, size in plan:
            sites = places(case, diameter=size, count=self.sites, seed=seed)
            shares: dict[tuple[int, int], float] = {}  # the same for all contrasts
            for contrast in self.contrasts:
                for k, site in enumerate(sites):
                    drawn = self._drawn(shape, case, size, site, seed + k)
                    detail = insert(case, fine, drawn, site=site, diameter=size, contrast=contrast)
                    with_detail = method(case.measurement + detail.data, case.operator)
                    if site not in shares:
                        shares[site] = null_space_share(case.operator, detail.template).share
                    row = _row(method, case, detail, with_detail - clean, sham, shares[site])
                    rows.append(row.model_copy(update=self._of_shape(shape, case, detail, drawn, with_detail - clean)))
                    if k < self.pictures:
                        shown.extend(_pictures(method, case, detail, clean, with_detail, shape))
                    if progress is not None:
                        progress(len(rows), total)
        return Outcome(tuple(rows), tuple(shown))

    def _drawn(self, shape: Shape, case: Case, size: float, site: tuple[int, int], seed: int) -> Tensor:
        """The detail of height 1 on the finer grid, ``(1, 1, 2 H, 2 W)``."""
        height, width = case.reference_image.shape[-2:]
        side = max(height, width)
        image = draw_shape(shape, FACTOR * side, nominal=side, site=site, size=size, words=self.words, seed=seed)
        return image[None, :, : FACTOR * height, : FACTOR * width].to(case.reference_image.device)

    def _of_shape(self, shape: Shape, case: Case, detail: Insertion, drawn: Tensor, change: Tensor) -> dict[str, Any]:
        """What is scored beside the recovery, and what the shape is called."""
        template = detail.as_change_of(case, change)
        along, wanted = _real(change, detail.phase), _real(template, detail.phase)
        footprint = functional.avg_pool2d(drawn, FACTOR).to(along.dtype)
        side = max(drawn.shape[-2:]) // FACTOR
        gaps = gaps_between(shape, FACTOR * side, nominal=side, site=detail.site, size=detail.diameter)
        bars_stand_out = None
        if gaps is not None:
            gaps = gaps[None, :, : drawn.shape[-2], : drawn.shape[-1]].to(drawn.device)
            between = functional.avg_pool2d(gaps, FACTOR).to(along.dtype)
            bars_stand_out = modulation(along, wanted, footprint, between, detail.contrast * case.peak)
        return {
            "detail": name_of(shape),
            "diameter_mm": None if self.pixel_mm is None else detail.diameter * self.pixel_mm,
            "local_recovery": local_recovery(along, wanted, footprint),
            "modulation": bars_stand_out,
        }


def _real(image: Tensor, phase: Tensor) -> Tensor:
    """Along the local phase."""
    return (image * phase.conj()).real if image.is_complex() else image


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


def _pictures(method: Method, case: Case, detail: Insertion, clean: Tensor, with_detail: Tensor, shape: Shape) -> list[Picture]:
    """The detail, the reconstruction with it, and what came back of it along the local phase, on the detail's own scale."""
    label = f"d{detail.diameter:g}-c{detail.contrast:g}-{detail.site[0]}-{detail.site[1]}"
    label = label if shape == "lesion" else f"{slug(name_of(shape))}-{label}"
    draw = partial(picture, case=case, section="structure", label=label, limit=abs(detail.contrast) * case.peak)
    words = f"{name_of(shape)} of {detail.diameter:g} px, contrast {detail.contrast:g}"
    along, change = detail.phase.conj(), with_detail - clean
    change = change * along if change.is_complex() else change
    name = method.name
    return [
        draw(detail.template * along, method="truth", role="detail", kind="signed", caption=f"What was put in: {words}"),
        draw(with_detail, method=name, role="with_detail", kind="anatomy", caption=f"{name}, with {words}"),
        draw(change, method=name, role="recovered", kind="signed", caption=f"{name}: what came back"),
    ]
