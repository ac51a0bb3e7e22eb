"""Bias in flat regions of a case's own object, and the uniformity of a flat disc scanned as the case is.

Both are of the mean over noise realisations (`stabtest.stability.physics.uniformity` has the definitions). The regions are discs
at flat sites of the object, with Student's t over the realisations for the bias of each. It counts everything that moves the
mean: aliasing of an undersampled scan, shrinkage of a denoiser, and the raised mean of a noisy magnitude.

The uniform disc is what a phantom is in the clinic, and for a network that was trained on anatomy nothing it has ever seen. A poor
value there says something about its use on phantoms; the bias in the object's own regions is the one about patients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stabtest import phantoms, statistics
from stabtest.findings.physics_rows import BiasRow, UniformityRow
from stabtest.networks.magnitude import comparable
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Case
from stabtest.stability.insertion import FACTOR, local_phase
from stabtest.stability.physics.disc import quantity, signal
from stabtest.stability.physics.realisations import Realisations
from stabtest.stability.physics.resolution import Run
from stabtest.stability.physics.uniformity import bias, hounsfield, round_region, uniformity

FLAT_SHARE = 0.75
"""Diameter of the uniform disc relative to the shorter side of the image."""


def bias_rows(
    images: Tensor,
    case: Case,
    truth: Tensor,
    *,
    name: str,
    sites: Sequence[tuple[int, int]],
    diameter: float,
    water: float | None,
) -> list[BiasRow]:
    """Bias at each site.

    Parameters
    ----------
    images
        Reconstructions of the noise realisations, ``(n, 1, H, W)``.
    case, truth
        The case, and its truth.
    name
        Of the method.
    sites, diameter
        Of the round regions, pixels.
    water
        Value of water, for Hounsfield units.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> x = torch.ones(1, 1, 32, 32)
    >>> case = Case("a", "a", "ct", Identity((32, 32)), x, truth=x, truth_source="phantom")
    >>> row = bias_rows(1.25 * x, case, x, name="too bright", sites=[(16, 16)], diameter=8, water=1.0)[0]
    >>> row.bias, row.bias_hu, row.interval
    (0.25, 250.0, None)
    """
    regions = [round_region((int(images.shape[-2]), int(images.shape[-1])), site, diameter / 2) for site in sites]
    phase = local_phase(case.reference_image)
    right = signal(comparable(truth, images), phase)
    errors = bias(signal(images, phase), right, regions)
    rows: list[BiasRow] = []
    for k, (site, region) in enumerate(zip(sites, regions)):
        values = errors[:, k].tolist()
        interval, mean = statistics.mean_interval(values), statistics.mean(values)
        if interval is not None:
            interval = interval.model_copy(update={"method": f"Student's t, {len(values)} noise realisations"})
        rows.append(
            BiasRow(
                case=case.name,
                method=name,
                quantity=quantity(case, images),
                site=f"({site[0]}, {site[1]})",
                diameter_px=diameter,
                realisations=len(values),
                truth=float(right.to("cpu", torch.float64)[0, 0][region].mean()),
                bias=mean,
                bias_relative=mean / case.peak,
                bias_hu=None if water is None else hounsfield(mean, water=water),
                interval=interval,
            )
        )
    return rows


def flat_disc(case: Case, fine: LinearOperator) -> tuple[Tensor, tuple[float, float], float, float]:
    """The noise-free scan of a uniform disc of half the case's peak, of phase 0.

    Parameters
    ----------
    case, fine
        The case, and ``case.operator.refine(2)``.

    Returns
    -------
    data, centre, diameter, level
        ``(1, *range)``; pixels of the reconstruction; value of the disc, unit of the image.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> x = torch.ones(1, 1, 32, 32)
    >>> data, centre, diameter, level = flat_disc(Case("a", "a", "ct", Identity((32, 32)), x), Identity((32, 32)).refine(2))
    >>> centre, diameter, level, data[0, 0, 16, 16].item()
    ((15.5, 15.5), 24.0, 0.5, 0.5)
    """
    height, width = case.operator.domain.shape[-2:]
    diameter, level = FLAT_SHARE * min(height, width), case.peak / 2
    side, centre = max(height, width), ((height - 1) / 2, (width - 1) / 2)
    drawn = phantoms.disc(FACTOR * side, centre=centre, diameter=diameter, nominal=side)[None]
    drawn = level * drawn[..., : FACTOR * height, : FACTOR * width].to(case.reference_image)
    return fine.forward(drawn), centre, diameter, level


def uniformity_row(
    run: Run, case: Case, fine: LinearOperator, scans: Realisations, *, name: str, count: int, water: float | None
) -> UniformityRow:
    """Uniformity of the mean image of a flat disc, with the noise of the first ``count`` scans.

    Parameters
    ----------
    run
        The method on the case's operator.
    case, fine
        The case, and ``case.operator.refine(2)``.
    scans, count
        Whose noise is taken, and how many.
    name
        Of the method.
    water
        Value of water, for Hounsfield units.

    Raises
    ------
    DataError
        If the image is too small for the regions.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.stability.physics.realisations import realisations
    >>> x = torch.ones(1, 1, 48, 48)
    >>> case = Case("a", "a", "ct", Identity((48, 48)), x)
    >>> row = uniformity_row(lambda y: y, case, case.operator.refine(2), realisations(case, count=1, seed=0), name="identity",
    ...     count=1, water=None)
    >>> row.bias, row.centre_difference, row.integral_uniformity
    (0.0, 0.0, 1.0)
    """
    data, centre, diameter, level = flat_disc(case, fine)
    images = torch.cat([run(data + (y - scans.clean)) for y in scans.measurements[:count]])
    mean = signal(images, torch.ones_like(case.reference_image)).to(torch.float64).mean(0, keepdim=True)
    found = uniformity(mean, centre=centre, radius=diameter / 2)
    return UniformityRow(
        case=case.name,
        method=name,
        quantity=quantity(case, images),
        diameter_px=diameter,
        level=level,
        realisations=len(images),
        means=list(found.means),
        bias=statistics.mean(found.means) - level,
        centre_difference=found.centre_difference,
        centre_difference_hu=None if water is None else hounsfield(found.centre_difference, water=water),
        uniformity_index=found.uniformity_index,
        integral_uniformity=found.integral_uniformity,
    )
