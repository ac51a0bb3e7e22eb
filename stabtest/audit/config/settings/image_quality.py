"""Image quality as a medical physicist measures it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Positive, Section


class ImageQualitySection(Section):
    """Test 7: resolution by contrast, noise power, uniformity and bias; off unless asked for, since it takes many reconstructions."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It takes noise_realisations + edge_realisations x (contrasts x sites + 1) reconstructions "
        "for each method and case: 40 at the defaults.",
    )
    contrasts: Annotated[tuple[float, ...], Field(min_length=1)] = Field(
        default=(0.02, 0.1, 0.5),
        description="Heights of the discs relative to the largest pixel; negative = dark. The highest is what the others are compared with.",
    )
    diameter: float = Field(
        default=16.0,
        ge=6,
        description="Diameter of the discs in pixels; ten times the standard deviation of the blur, or more.",
    )
    sites: Count = Field(default=1, description="Number of places of discs, of regions of noise and of regions of bias.")
    edge_realisations: Count = Field(default=6, description="Draws of noise in which discs are reconstructed.")
    noise_realisations: int = Field(
        default=16,
        ge=3,
        description="Draws of noise for the noise power spectrum and the bias; no fewer than edge_realisations.",
    )
    noise_side: int = Field(default=16, ge=4, description="Side in pixels of the square regions of the noise power spectrum.")
    flat_object: bool = Field(default=True, description="Whether to scan a uniform disc too, for its uniformity.")
    water: Positive | None = Field(
        default=None,
        description="CT: value of water in the image, for differences in Hounsfield units; not set: none are given.",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if 0 in self.contrasts or len(set(self.contrasts)) < len(self.contrasts):
            raise ValueError("contrasts: different numbers other than zero")
        if self.noise_realisations < self.edge_realisations:
            raise ValueError("noise_realisations: at least edge_realisations")
        return self
