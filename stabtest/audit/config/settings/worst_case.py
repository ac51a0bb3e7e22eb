"""Which worst case is searched."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Finite, Index, Positive, Section
from stabtest.stability.region import KEYS, Region


class RegionSection(Section):
    """Where the perturbation may live, if not everywhere."""

    kind: Literal["high_frequencies", "low_frequencies", "band", "one_coil", "views", "disc", "box"] = Field(
        description="Kind of region."
    )
    above: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="high_frequencies, band: from this share of the Nyquist frequency on."
    )
    below: Positive | None = Field(
        default=None, description="low_frequencies, band: up to, not including, this share of the Nyquist frequency."
    )
    coil: Index | None = Field(default=None, description="one_coil: which, from 0.")
    views: Annotated[tuple[Index, ...], Field(min_length=1)] | None = Field(default=None, description="views: which, from 0.")
    centre: tuple[Finite, Finite] | None = Field(default=None, description="disc: row and column of its centre.")
    radius_px: Positive | None = Field(default=None, description="disc: radius in pixels.")
    rows: tuple[Index, Index] | None = Field(default=None, description="box: first row and one past the last, from 0.")
    columns: tuple[Index, Index] | None = Field(default=None, description="box: first column and one past the last.")

    @model_validator(mode="after")
    def _own_keys(self) -> Self:
        if self.model_fields_set - {"kind"} != set(KEYS[self.kind]):
            raise ValueError(f'{" and ".join(KEYS[self.kind])}, and nothing else, beside kind = "{self.kind}"')
        return self

    @property
    def region(self) -> Region:
        """The region that is meant."""
        return Region(**self.model_dump())


class WorstCaseSection(Section):
    """Test 1: the perturbation that hurts most, over a curve of radii."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
    radii: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(0.005, 0.01, 0.02, 0.05), description="Radii of the set of perturbations, in the unit below."
    )
    unit: Literal["relative", "noise", "absolute"] = Field(
        default="relative",
        description="What the radii are multiples of: the measurement (or image) norm, the norm of the noise, or 1.",
    )
    norm: Literal["l2", "linf"] = Field(
        default="l2", description="Norm of the perturbation: Euclidean, or the largest modulus of a sample."
    )
    domain: Literal["measurement", "image"] = Field(default="measurement", description="Where the perturbation lives.")
    region: RegionSection | None = Field(
        default=None,
        description="Part of it to which the perturbation is kept: high_frequencies (above), low_frequencies (below), band (above, "
        "below), one_coil (coil), views (views); of the image disc (centre, radius_px), box (rows, columns).",
    )
    nonnegative: bool = Field(
        default=False, description="CT, denoising: whether the perturbed measurement must stay non-negative."
    )
    objective: Literal["clean", "truth", "local", "ssim"] = Field(
        default="clean",
        description="What is made large: distance to the clean reconstruction, to the truth, the largest local change, or 1 - SSIM.",
    )
    evaluations: Count = Field(
        default=60,
        description="Budget of a radius: evaluations of the network, each one forward and one backward. Fewer than 30 are one "
        "path, which cannot say that it has converged.",
    )
    restarts: Count | None = Field(
        default=None, description="Paths from a fresh start; default half of them, the others go on from the best point so far."
    )
    stop_early: bool = Field(default=False, description="Whether a search ends once a doubling of its budget no longer pays.")
    further_ways: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Share of the evaluations that each further way of differentiating a method gets on top (tv: at its limit); 0: none.",
    )
    noise_draws: Count = Field(default=8, description="Draws of Gaussian noise of the same norm, for comparison.")

    @model_validator(mode="after")
    def _one_set(self) -> Self:
        if self.region is not None and self.region.region.domain != self.domain:
            raise ValueError(f'domain = "{self.region.region.domain}" for the region "{self.region.kind}"')
        if self.domain == "image" and self.unit == "noise":
            raise ValueError('unit = "relative" or "absolute" where domain = "image": the noise is in the measurement')
        if self.domain == "image" and self.nonnegative:
            raise ValueError('domain = "measurement" where nonnegative = true')
        return self
