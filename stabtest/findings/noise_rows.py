"""Rows of the tests of noise and of repeatability."""

from __future__ import annotations

from typing import Literal

from stabtest.findings.records import Record


class NoiseRow(Record):
    """Error, bias and spread of one method at one level of noise."""

    case: str
    method: str
    level: float
    """Multiple of the scan's own noise."""
    kind: Literal["gaussian", "poisson"]
    noise_std: float | None
    """Of one sample (a complex one as a whole); ``None`` for photons."""
    photons: float | None
    """A ray before the object; ``None`` for Gaussian noise."""
    relative_norm: float
    """Median ``||y_d - A x|| / ||A x||`` of the draws: comparable to the radius of a worst case."""
    draws: int
    nrmse: float | None
    """Mean over the draws; ``None`` without a truth."""
    nrmse_max: float | None
    bias: float | None
    """Of the mean image, relative to the truth, the share of the spread in it taken off."""
    spread: float
    """Root of the variance summed over the pixels, relative to the image."""
    gain: float
    """Median ``||f(y_d) - f(A x)|| / ||y_d - A x||``."""
    added: bool = False
    """Whether noise was added to a real scan that has its own."""


class RepeatabilityRow(Record):
    """By how much one method's image changed where it should not."""

    case: str
    method: str
    variation: Literal["same input", "in a batch", "seed", "threads", "double precision", "device"]
    difference: float | None
    """``||f' - f|| / ||f||``; ``None`` where it could not be tried."""
    largest: float | None
    """Largest change of a pixel, relative to the largest pixel."""
    note: str = ""
    """What was varied, or why it could not be tried."""
