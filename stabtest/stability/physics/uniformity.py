"""Is a flat part flat, and at the right value? Uniformity and bias in regions.

**A flat object.** Of an image of a uniform disc, with the mean ``m_0`` in a round region at the centre and ``m_1 .. m_4`` in four
at the periphery, as in the ACR phantom of CT (regions of 0.11 of the object's diameter, one region's diameter away from its edge;
American College of Radiology, *Computed Tomography Quality Control Manual*, 2017):

    centre difference     max |m_i - m_0|                 unit of the image, or HU; the ACR allows 5 HU
    uniformity index      (m_i - m_0) / m_0               of the i with the largest modulus

Where the values are proportional to attenuation the second is the index ``(HU_i - HU_0) / (HU_0 + 1000)`` of Elstrom et al.,
*Evaluation of image quality for different kV cone-beam CT acquisition and reconstruction methods in the head and neck region*,
Acta Oncol. 50 (2011) 908-917. Over all positions of a small region (0.35 % of the object's area) within the inner 70 % of the
object, with the smallest and the largest mean ``low`` and ``high``,

    integral uniformity   1 - (high - low) / (high + low)

as a share of 1 (American College of Radiology, *Large and Medium Phantom Test Guidance for the MRI Accreditation Program*: at
least 0.875 below 3 T). It counts noise in a single image as non-uniformity: give it the mean over realisations.

**An anatomical object** is not flat as a whole, but its truth may be known. The bias of a region is the mean of ``z - x`` over
it, and a method is uniform if the bias is the same everywhere.

In Hounsfield units, ``HU = 1000 (x / water - 1)``: differences times ``1000 / water``, with the value of water given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import DataError

REGION_SHARE = 0.113
"""Diameter of a region relative to the object's: 400 mm^2 in 200 mm."""
SMALL_SHARE = 0.0595
"""Diameter of the small region of the integral uniformity: 1 cm^2 in the 190 mm phantom."""
INNER_SHARE = 0.7
"""Share of the object's area in which the small region moves."""


@dataclass(frozen=True)
class Uniformity:
    """Uniformity of the image of a flat disc.

    Parameters
    ----------
    means
        In the regions centre, top, right, bottom, left; unit of the image.
    centre_difference
        Largest ``|m_i - m_0|``, unit of the image.
    uniformity_index
        ``(m_i - m_0) / m_0`` of largest modulus, without unit; NaN where the centre is 0.
    integral_uniformity
        At most 1 = uniform; NaN where the values are not positive.
    """

    means: tuple[float, ...]
    centre_difference: float
    uniformity_index: float
    integral_uniformity: float


def uniformity(image: Tensor, *, centre: tuple[float, float], radius: float) -> Uniformity:
    """Uniformity of the image of a flat disc.

    Parameters
    ----------
    image
        Real ``(1, 1, H, W)``; the mean over noise realisations where there are several.
    centre, radius
        Of the disc, pixels, as known and not as seen.

    Raises
    ------
    DataError
        If the image is complex, or the disc is not inside the image or too small for regions (radius below 10 pixels).

    Examples
    --------
    >>> from stabtest import phantoms
    >>> flat = phantoms.disc(64, centre=(31.5, 31.5), diameter=50)[None]
    >>> found = uniformity(2 * flat, centre=(31.5, 31.5), radius=25)
    >>> found.means, found.centre_difference, found.integral_uniformity
    ((2.0, 2.0, 2.0, 2.0, 2.0), 0.0, 1.0)
    """
    values = _real(image)
    height, width = values.shape
    if not all(radius <= c + 0.5 and c + 0.5 + radius <= n for c, n in zip(centre, (height, width))) or radius < 10:
        raise DataError(
            "uniformity: object",
            expected=f"a disc of at least 10 pixels radius inside the image {height} x {width}",
            came=f"centre ({centre[0]:g}, {centre[1]:g}), radius {radius:g}",
        )
    size = 2 * radius * REGION_SHARE
    out = radius - 1.5 * size  # one diameter between the region's outline and the object's
    places = [(0.0, 0.0), (-out, 0.0), (0.0, out), (out, 0.0), (0.0, -out)]
    masks = [round_region((height, width), (centre[0] + r, centre[1] + c), size / 2) for r, c in places]
    means = tuple(float(values[mask].mean()) for mask in masks)
    differences = [mean - means[0] for mean in means[1:]]
    worst = max(differences, key=abs)
    return Uniformity(
        means=means,
        centre_difference=abs(worst),
        uniformity_index=worst / means[0] if means[0] else math.nan,
        integral_uniformity=_integral(values, centre, radius),
    )


def bias(images: Tensor, truth: Tensor, regions: Sequence[Tensor]) -> Tensor:
    """Mean error in regions, for each image.

    Parameters
    ----------
    images
        Real ``(B, 1, H, W)``.
    truth
        Real ``(1, 1, H, W)``.
    regions
        Boolean ``(H, W)`` each.

    Returns
    -------
    Tensor
        ``(B, regions)``, float64, unit of the image; positive = too bright.

    Raises
    ------
    DataError
        If an image is complex, the shapes differ, or a region is empty.

    Examples
    --------
    >>> truth = torch.ones(1, 1, 4, 4)
    >>> bias(1.5 * truth, truth, [torch.ones(4, 4) > 0])
    tensor([[0.5000]], dtype=torch.float64)
    """
    if images.is_complex() or truth.is_complex() or images.shape[1:] != truth.shape[1:]:
        raise DataError("bias", expected="real images of one shape", came=f"{images.dtype}, {truth.dtype}")
    if not regions or not all(bool(region.any()) for region in regions):
        raise DataError("bias: regions", expected="at least one, none of them empty", came=str(len(regions)))
    error = (images.detach() - truth).to("cpu", torch.float64)[:, 0]
    return torch.stack([error[:, region].mean(1) for region in regions], 1)


def round_region(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> Tensor:
    """Pixels whose middle is within a radius (at least 1 pixel) of a place, boolean ``(H, W)``.

    Examples
    --------
    >>> int(round_region((5, 5), (2, 2), 1.0).sum())
    5
    """
    rows, columns = (torch.arange(n, dtype=torch.float64) - c for n, c in zip(shape, centre))
    return torch.hypot(rows[:, None], columns) <= max(radius, 1.0)


def hounsfield(difference: float, *, water: float) -> float:
    """A difference of image values in Hounsfield units.

    Raises
    ------
    DataError
        If the value of water is not positive.

    Examples
    --------
    >>> round(hounsfield(0.0002, water=0.02), 9)
    10.0
    """
    if not water > 0:
        raise DataError("Hounsfield units: value of water", expected="a positive number", came=f"{water:g}")
    return 1000 * difference / water


def _integral(values: Tensor, centre: tuple[float, float], radius: float) -> float:
    small = max(radius * SMALL_SHARE, 1.0)
    half = math.floor(small)
    kernel = round_region((2 * half + 1, 2 * half + 1), (half, half), small).to(torch.float64)
    means = torch.nn.functional.conv2d(values[None, None], (kernel / kernel.sum())[None, None], padding=half)[0, 0]
    inner = radius * math.sqrt(INNER_SHARE) - small
    reached = means[round_region((values.shape[0], values.shape[1]), centre, inner)]
    low, high = float(reached.min()), float(reached.max())
    return 1 - (high - low) / (high + low) if low > 0 else math.nan


def _real(image: Tensor) -> Tensor:
    if image.ndim != 4 or tuple(image.shape[:2]) != (1, 1) or image.is_complex():
        raise DataError("uniformity", expected="one real image (1, 1, H, W)", came=f"{image.dtype} {tuple(image.shape)}")
    return image.detach().to("cpu", torch.float64)[0, 0]
