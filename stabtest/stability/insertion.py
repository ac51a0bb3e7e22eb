"""Putting a detail into the object before it is measured, and the image that a perfect reconstruction would show of it.

The detail ``h`` lives on a grid twice as fine as the reconstruction's and is measured through the operator of that grid,
``A.refine(2)``: nothing is reconstructed on the grid that it was simulated on (no inverse crime; Colton, Kress 1998, p.
154). Because the scan is linear, the measurement of the object *with* the detail is

    y' = y + A_fine h,

for simulated and for real ``y``, with the very same noise. In MRI the detail follows the local phase of the object (the
phase of the truth, or of the direct reconstruction, smoothed), since tissue that is added has the phase of the tissue around
it.

What can come back of it on the coarse grid is the *template*: the mean over blocks of 2 x 2 fine pixels, and in MRI the
band-limited image that a noise-free fully sampled scan gives (its ripples included). The *region* are the pixels that the
detail touches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stabtest import metrics, phantoms, tensors
from stabtest.operators import BlockMean, Fourier, LinearOperator, ifft2c
from stabtest.stability.cases import Case

FACTOR = 2
"""How much finer the grid is on which details are drawn."""
PHASE_SMOOTHING = 2.0
"""Standard deviation in pixels of the smoothing of the local phase."""
REGION_THRESHOLD = 0.05
"""A pixel belongs to the region where the block mean of ``|h|`` exceeds this share of its largest value."""


@dataclass(frozen=True, eq=False)
class Insertion:
    """A detail, ready to be put into a measurement.

    Parameters
    ----------
    site
        ``(row, column)`` of its middle, pixels of the reconstruction.
    diameter
        Pixels of the reconstruction; of the disc of equal area where it is no disc.
    contrast
        Height relative to the largest magnitude of the reference image.
    data
        ``A_fine h``, shape ``(1, *range)``.
    template
        What a perfect reconstruction shows of it, ``(1, 1, H, W)``.
    region
        Where it is, boolean ``(1, 1, H, W)``.
    phase
        Unit-modulus phase that it follows, ``(1, 1, H, W)``; ones for real images.
    """

    site: tuple[float, float]
    diameter: float
    contrast: float
    data: Tensor
    template: Tensor
    region: Tensor
    phase: Tensor

    def as_change_of(self, case: Case, reconstruction: Tensor) -> Tensor:
        """The template as a reconstruction of this kind shows it: ``|x + t| - |x|`` for magnitudes of a complex object.

        Parameters
        ----------
        case
            The case that the detail is put into.
        reconstruction
            ``(1, 1, H, W)``; real where the method returns magnitudes.
        """
        if self.template.is_complex() and not reconstruction.is_complex():
            return (case.reference_image + self.template).abs() - case.reference_image.abs()
        return self.template


def insert_lesion(
    case: Case, fine: LinearOperator, *, site: tuple[int, int], diameter: float, contrast: float, edge: float = 1.0
) -> Insertion:
    """A round lesion at a site of a case.

    Parameters
    ----------
    case
        Gives the peak that the contrast refers to, the phase and the measurement's precision.
    fine
        ``case.operator.refine(2)``, made once by the caller since it can be costly.
    site, diameter, contrast
        As in `Insertion`; a negative contrast is a dark lesion.
    edge
        Width of the fall-off at the outline in pixels, at most the diameter.

    Raises
    ------
    ConfigError
        If the diameter or the edge is not a possible length.
    OperatorError
        If ``fine`` does not belong to the case.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 16, 16)
    >>> case = Case("a", "a", "other", Identity((16, 16)), image, truth=image)
    >>> found = insert_lesion(case, case.operator.refine(2), site=(8, 7), diameter=4, contrast=0.5)
    >>> round(found.template.max().item(), 3), bool((found.data == found.template).all())
    (0.5, True)
    """
    height, width = case.reference_image.shape[-2:]
    side = max(height, width)
    shape = phantoms.lesion(FACTOR * side, centre=site, diameter=diameter, edge=min(edge, diameter), nominal=side)
    shape = shape[None, :, : FACTOR * height, : FACTOR * width]
    return insert(case, fine, shape, site=site, diameter=diameter, contrast=contrast)


def insert(
    case: Case, fine: LinearOperator, shape: Tensor, *, site: tuple[float, float], diameter: float, contrast: float
) -> Insertion:
    """Any detail that is drawn on the finer grid.

    Parameters
    ----------
    case, fine, site, diameter, contrast
        As in `insert_lesion`.
    shape
        ``(1, 1, 2 H, 2 W)``, real, in ``[0, 1]``.

    Raises
    ------
    OperatorError
        If the shape or ``fine`` does not belong to the case.
    """
    reference = case.reference_image
    real = tensors.real_dtype(reference.dtype)
    drawn = shape.to(device=reference.device, dtype=real) * (contrast * case.peak)
    phase = local_phase(reference, factor=FACTOR)
    data, template, region = enter(case, fine, drawn, phase)
    return Insertion(site, diameter, contrast, data, template, region, local_phase(reference))


def enter(case: Case, fine: LinearOperator, drawn: Tensor, phase: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Measurement, template and region of a detail that is drawn on the finer grid; differentiable in the detail.

    Parameters
    ----------
    case, fine
        As in `insert_lesion`.
    drawn
        ``h`` without its phase, ``(1, 1, 2 H, 2 W)``, real, in units of the image.
    phase
        `local_phase` of the reference image on that grid.

    Returns
    -------
    data, template, region
        As in `Insertion`.
    """
    detail = drawn * phase if case.reference_image.is_complex() else drawn
    means = functional.avg_pool2d(drawn.detach().abs(), FACTOR)
    region = means > REGION_THRESHOLD * means.max()
    return fine.forward(detail), coarse_image(detail, band_limited=case.modality == "mri"), region


def coarse_image(detail: Tensor, *, band_limited: bool) -> Tensor:
    """What a perfect reconstruction shows of a fine image.

    Parameters
    ----------
    detail
        ``(B, 1, 2 H, 2 W)``, real or complex.
    band_limited
        The image of a noise-free fully sampled Cartesian scan; the block mean otherwise.

    Returns
    -------
    Tensor
        ``(B, 1, H, W)``.

    Examples
    --------
    >>> coarse_image(torch.ones(1, 1, 8, 8), band_limited=False).unique()
    tensor([1.])
    """
    shape = (detail.shape[-2] // FACTOR, detail.shape[-1] // FACTOR)
    if not band_limited:
        return BlockMean(shape, FACTOR, is_complex=detail.is_complex()).forward(detail)
    full = torch.ones(shape, dtype=torch.bool)
    return ifft2c(Fourier(full).refine(FACTOR).forward(detail))


def local_phase(image: Tensor, *, factor: int = 1) -> Tensor:
    """Unit-modulus phase of a smoothed complex image, on a grid ``factor`` times finer; 1 where the image is zero.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``; of a real image the phase is 1 everywhere.
    factor
        Refinement; bilinear between the pixels, in register with block means.

    Examples
    --------
    >>> image = torch.full((1, 1, 8, 8), 2j)
    >>> local_phase(image, factor=2)[0, 0, 3, 3]
    tensor(0.+1.j)
    """
    if not image.is_complex():
        return torch.ones_like(image)
    smooth = metrics.smooth(image, sigma=PHASE_SMOOTHING)
    if factor > 1:
        parts = torch.cat([smooth.real, smooth.imag], 1)
        parts = functional.interpolate(parts, scale_factor=factor, mode="bilinear", align_corners=False)
        smooth = torch.complex(parts[:, :1], parts[:, 1:])
    size = smooth.abs()
    return torch.where(size > 0, smooth / torch.where(size > 0, size, 1), torch.ones_like(smooth))
