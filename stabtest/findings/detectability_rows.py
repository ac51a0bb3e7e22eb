"""Rows of the test of detectability: what an observer could still tell from the images that a method makes.

``AUC`` is the share of pairs (one image with the lesion, one without) that the observer's scores put in the right order, and
``d' = (mean score with - mean score without) / root of the mean variance``. Intervals carry two one-sided bounds.
"""

from __future__ import annotations

from typing import Literal

from stabtest.findings.records import Interval, Record

ObserverName = Literal["npw", "cho"]
"""Non-prewhitening (a fixed template), channelised Hotelling (a trained one)."""


class DetectabilityRow(Record):
    """One observer's scores for one lesion at one site, on noise realisations that it was not trained on."""

    case: str
    method: str
    observer: ObserverName
    site: str
    diameter_px: float
    contrast: float
    """Relative to the largest magnitude of the reference image; 0 = sham: nothing was put in."""
    realisations: int
    """Test images without the lesion, and as many with it, all with noise of their own."""
    training: int
    """Training images of each kind; 0 for a fixed template."""
    channels: int
    """0 for a fixed template."""
    auc: float
    auc_interval: Interval | None
    detectability: float | None
    """``d'`` of the observer; ``None`` where the scores do not vary."""
    detectability_interval: Interval | None
    data_detectability: float
    """``d'`` of an ideal observer of the raw data, who knows object and lesion."""
    ideal_auc: float
    """``Phi(d' / sqrt 2)`` of that ideal observer: no observer of any image made from the data has a larger one."""
    carried: bool
    """The gate: whether the ideal observer reaches the AUC that the threshold contrast is defined by."""


class ThresholdRow(Record):
    """Contrast at which one observer reaches the threshold AUC, for one diameter on one case."""

    case: str
    method: str
    observer: ObserverName
    diameter_px: float
    auc: float
    """The AUC that defines the threshold."""
    threshold: float | None
    """Magnitude of the contrast; ``None`` where it lies outside of the contrasts measured, or the curve does not fit at all."""
    interval: Interval | None
    """A bound that lies too far outside of the contrasts measured is open."""
    exponent: float
    """``b`` of ``d' = k c^b``: 1 unless it was fitted."""
    exponent_fitted: bool
    ideal_threshold: float
    """Of the ideal observer of the raw data, its ``d'`` being proportional to contrast; mean over sites."""
    conditions: int
    """Pairs of contrast and site that entered."""
    misfit: float | None
    """Pearson's chi square over its degrees of freedom, about 1 where the curve fits; ``None`` without degrees of freedom."""


class ThresholdRatioRow(Record):
    """Threshold contrast of one method over that of another, for one diameter: above 1 = the first needs more contrast."""

    method: str
    reference: str
    observer: ObserverName
    diameter_px: float
    ratio: float
    """Geometric mean over patients."""
    interval: Interval | None
    patients: int
