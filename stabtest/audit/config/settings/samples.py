"""Fewer and more samples, more noise, the same again."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Positive, Section, Share
from stabtest.operators.mask_family import Kind

Angles = Literal["random_angles", "limited_angle"]


class SamplingSection(Section):
    """Test 3: fewer and more samples than the network was trained for, in nested sets."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
    fractions: tuple[Share, ...] = Field(
        default=(0.15, 0.35, 0.5, 0.75, 1.0), description="MRI: sampling fractions beside the trained one."
    )
    views: tuple[Count, ...] = Field(
        default=(),
        description="CT: view counts beside the trained one. Simulated: each divides the next; default half and double. "
        "A real scan: up to its number of views; default half.",
    )
    readouts: tuple[Count, ...] = Field(
        default=(),
        description="Non-Cartesian MRI: numbers of spokes, interleaves or readouts beside the trained one. Each divides the next (golden angle: "
        "any); of a file they divide its number. Default half and double; of a file half.",
    )
    patterns: tuple[Kind | Angles, ...] = Field(
        default=(),
        description="Other patterns of as many samples as trained with: kinds of mask (Cartesian MRI), or random_angles and limited_angle (CT; of "
        "a real scan, views that it has).",
    )


class NoiseSection(Section):
    """Test 5: error, bias and spread against the level of the noise."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
    levels: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(0.5, 1.0, 2.0, 4.0),
        description="Multiples of the scan's own noise. A real scan has its noise already: levels below 1 are left out there.",
    )
    draws: int = Field(default=4, ge=2, description="Draws of noise at each level.")
    kind: Literal["gaussian", "poisson"] = Field(
        default="gaussian",
        description="Gaussian noise, or photon counts (simulated CT): the dose falls with the square of the level.",
    )
    photons: Positive = Field(default=1e5, description="Photons of a ray before the object at the level 1, for Poisson noise.")
    attenuation: Positive = Field(default=4.0, description="Largest line integral of the sinogram, for Poisson noise.")
    correlation: float = Field(
        default=0.0, ge=0, lt=1, description="Correlation of the noise of any two coils (multi-coil MRI)."
    )
    trained: Annotated[tuple[float, ...], Field(max_length=2)] = Field(
        default=(), description="Lowest and highest level that the network was trained with, shaded in the report."
    )

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.trained and not (len(self.trained) == 2 and 0 <= self.trained[0] <= self.trained[1]):
            raise ValueError("trained: two levels, the lower one first")
        return self


class RepeatabilitySection(Section):
    """Test 6: the same measurement again, in a batch, with another seed, number of threads, precision, device."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
