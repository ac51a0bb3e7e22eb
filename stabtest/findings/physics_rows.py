"""Rows of image quality as a medical physicist measures it: resolution by contrast, noise power, uniformity and bias.

Frequencies are in cycles per pixel, up to the Nyquist frequency 0.5. What is measured of an image (``quantity``) is its value,
in MRI its part along the local phase, or its magnitude where a method returns nothing else.
"""

from __future__ import annotations

from typing import Literal

from stabtest.findings.records import Interval, Record

Quantity = Literal["value", "along the local phase", "magnitude"]
"""What of an image is measured."""


class TransferRow(Record):
    """Task transfer function of one method at the edge of a disc of one contrast, over sites and noise realisations."""

    case: str
    method: str
    quantity: Quantity
    diameter_px: float
    contrast: float
    """Height of the disc relative to the largest value of ``|x|``; negative for a dark one."""
    sites: int
    realisations: int
    noise_ratio: float | None
    """Level of the noise that the method saw relative to the case's; ``None`` = its level is not known, one measurement."""
    frequencies: list[float]
    transfer: list[float]
    """1 at frequency 0, of the change averaged over sites and realisations; empty where no edge came back."""
    step: float
    """Part of the edge's height that came back: what the transfer function does not show."""
    f50: float | None
    """Where the curve falls to a half; ``inf`` = nowhere up to the Nyquist frequency, ``None`` = no edge came back."""
    f10: float | None
    f50_interval: Interval | None
    """Of the f50 of the expected change; ``None`` where the curve is not reliable, or a frequency lies beyond Nyquist."""
    f50_left_out: list[float]
    """f50 with one noise realisation (or site) left out, each in turn: what intervals are made from."""
    left_out: Literal["noise realisations", "sites"]
    edge_cnr: float | None
    """Height of the edge that came back over the standard error of a pixel of the averaged change; ``None`` = one unit only."""
    data_detectability: float | None
    """``d' = ||A h|| / sigma`` of the disc, the least of all sites."""
    reliable: bool
    """The gate: enough of the edge came back, far enough above the noise, and the data carry it."""


class ContrastStatement(Record):
    """Whether a method resolves less at a low contrast than at the highest."""

    method: str
    case: str | None
    """``None`` = over patients."""
    high_contrast: float
    low_contrast: float
    fall: float | None
    """``1 - f50(low) / f50(high)``; ``None`` where it could not be had."""
    interval: Interval | None
    statement: str


class NoisePowerRow(Record):
    """Noise power spectrum of one method in one case, over flat regions."""

    case: str
    method: str
    quantity: Quantity
    realisations: int
    noise_ratio: float | None
    regions: int
    side_px: int
    frequencies: list[float]
    power: list[float]
    """Radial mean, value^2 pixel^2."""
    standard_error: list[float]
    integral: float
    """Of the two-dimensional spectrum, value^2: equal to the variance by Parseval's theorem."""
    variance: float
    """Over realisations, mean over the regions' pixels, value^2, computed in space."""
    noise_std: float
    """``sqrt(variance)``, unit of the image."""
    noise_std_hu: float | None
    peak_frequency: float
    mean_frequency: float
    noise_map: str
    """Name of the stored standard deviation in every pixel."""


class BiasRow(Record):
    """Mean error of one method in one flat region of the object, over noise realisations."""

    case: str
    method: str
    quantity: Quantity
    site: str
    diameter_px: float
    realisations: int
    truth: float
    """Mean of the truth in the region, unit of the image."""
    bias: float
    """Mean of reconstruction minus truth, unit of the image."""
    bias_relative: float
    """Over the largest value of ``|x|``."""
    bias_hu: float | None
    interval: Interval | None
    """Of the bias over repeated scans of this object; ``None`` without noise realisations."""


class UniformityRow(Record):
    """Uniformity of one method's image of a flat disc, scanned as the case is; the mean over noise realisations."""

    case: str
    method: str
    quantity: Quantity
    diameter_px: float
    level: float
    """Value of the disc, unit of the image."""
    realisations: int
    means: list[float]
    """In the regions centre, top, right, bottom, left."""
    bias: float
    """Mean over the five regions minus the level."""
    centre_difference: float
    """Largest difference of a peripheral region from the centre, unit of the image."""
    centre_difference_hu: float | None
    uniformity_index: float
    integral_uniformity: float
    """``1 - (high - low) / (high + low)`` of small regions; 1 = uniform."""
