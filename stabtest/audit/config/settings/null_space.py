"""Where the scanner sees nothing."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Positive, Section, possible
from stabtest.stability.kernel import KernelTest, SfrcSettings
from stabtest.stability.kernel.kernel_test import Base, FamilyName
from stabtest.stability.kernel.sfrc import LEAST_SIDE


class SfrcSection(Section):
    """Scanning Fourier ring correlation."""

    threshold: float = Field(gt=0, lt=1, description="Correlation below which a ring of frequencies no longer agrees.")
    least_cutoff: float = Field(gt=0, le=1, description="Share of the Nyquist frequency up to which a patch has to agree.")
    side: int = Field(default=32, ge=LEAST_SIDE, description="Of the patches, in pixels.")


class KernelSection(Section):
    """Test 10: what is shown where the scanner sees nothing; off unless asked for, since it takes several searches."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It needs a truth, and takes a search for each family and base: up to some 500 gradient evaluations "
        "for each method and case at the defaults.",
    )
    families: Annotated[tuple[FamilyName, ...], Field(min_length=1)] = Field(
        default=("free", "bump"),
        description='Details that are searched: "free" (any change), "bump" (a bump of free place, width and sign).',
    )
    bases: Annotated[tuple[Base, ...], Field(min_length=1)] = Field(
        default=("truth", "reconstruction"),
        description='What details are added to: the "truth", or the method\'s own "reconstruction".',
    )
    size: Positive = Field(default=0.2, description="Largest detail, relative to the norm of the image.")
    data: Positive = Field(
        default=5.0,
        description="Largest distance in the data, in standard deviations of the noise of a real sample (d' of an ideal observer).",
    )
    steps: Count = Field(default=30, description="Evaluations of each ascent, at most.")
    reference_steps: Count | None = Field(
        default=None,
        description="The same for the reference and the baseline, where their evaluations are dear; as steps if not given.",
    )
    starts: Count = Field(default=2, description="Random starts, for each family and base.")
    floor: float = Field(
        default=1e-3, ge=0, description="Size above which something is shown in the null space, relative to the largest pixel."
    )
    sfrc: SfrcSection | None = Field(
        default=None,
        description="Scanning Fourier ring correlation, left out unless asked for: its thresholds have no default. threshold: correlation below "
        "which a ring of frequencies no longer agrees; least_cutoff: share of the Nyquist frequency up to which a patch has to agree with the truth; "
        "side of the patches in pixels, default 32.",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        with possible():
            self.test()
        return self

    def test(self) -> KernelTest:
        """The test that is meant."""
        rings = None if self.sfrc is None else SfrcSettings(self.sfrc.threshold, self.sfrc.least_cutoff, side=self.sfrc.side)
        return KernelTest(
            families=self.families,
            bases=self.bases,
            size=self.size,
            data=self.data,
            steps=self.steps,
            reference_steps=self.reference_steps,
            starts=self.starts,
            floor=self.floor,
            sfrc=rings,
        )
