"""Which details are put into the object: recovered, searched, looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Finite, Index, Positive, Section, possible
from stabtest.findings.detectability_rows import ObserverName
from stabtest.stability.cases import Method
from stabtest.stability.detectability import DetectabilityTest
from stabtest.stability.detectability.detection import LEAST_REALISATIONS
from stabtest.stability.missed_lesion import LesionBox, MissedLesionTest
from stabtest.stability.shapes import SHAPES, Shape
from stabtest.stability.structure import StructureTest


class StructureSection(Section):
    """Test 2: small details put into the object, and what comes back of them."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
    diameters: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(4.0, 8.0),
        description="Sizes of the details in pixels (in mm where pixel_mm is given): of a lesion the diameter.",
    )
    contrasts: Annotated[tuple[float, ...], Field(min_length=1)] = Field(
        default=(0.1, 0.2), description="Heights of the details relative to the largest pixel; negative = dark."
    )
    sites: Count = Field(default=2, description="Number of places for each shape, size and contrast.")
    shapes: Annotated[tuple[Shape, ...], Field(min_length=1)] = Field(
        default=("lesion",),
        description=f"Which details: {', '.join(SHAPES)}. Each takes as many reconstructions as the others.",
    )
    sizes: dict[Shape, Annotated[tuple[Positive, ...], Field(min_length=1)]] = Field(
        default={}, description="Shapes that have sizes of their own, in place of diameters."
    )
    text: str = Field(default="CT", description="What a text says: capital letters, figures and signs.")
    pixel_mm: Positive | None = Field(default=None, description="Side of a pixel in mm; where it is given, sizes are in mm.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        with possible():
            self.test()
        return self

    def test(self) -> StructureTest:
        """The test that is meant, its sizes in pixels."""
        side = self.pixel_mm or 1.0
        return StructureTest(
            diameters_px=tuple(size / side for size in self.diameters),
            contrasts=self.contrasts,
            sites=self.sites,
            shapes=self.shapes,
            sizes={shape: tuple(size / side for size in sizes) for shape, sizes in self.sizes.items()},
            words=self.text,
            pixel_mm=self.pixel_mm,
        )


class MissedLesionSection(Section):
    """Test 2b: the lesion that comes back least, searched over the body; off unless asked for, since it takes many reconstructions."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It takes evaluations + 8 reconstructions for each method and case.",
    )
    diameters: tuple[Positive, Positive] = Field(
        default=(4.0, 8.0), description="Smallest and largest diameter in pixels, of the disc of equal area; from 2."
    )
    contrasts: tuple[Positive, Positive] = Field(
        default=(0.1, 0.2), description="Smallest and largest height relative to the largest pixel, without sign."
    )
    polarity: Literal["bright", "dark", "both"] = Field(default="both", description="Bright lesions, dark ones, or both.")
    aspect: float = Field(
        default=1.0, ge=1, le=3, description="How many times as long as wide a lesion may be; 1 = discs only."
    )
    rows: tuple[Index, Index] | None = Field(
        default=None, description="First row and one past the last for the middle of a lesion, from 0; default: the whole body."
    )
    columns: tuple[Index, Index] | None = Field(default=None, description="The same of the columns.")
    places: Count = Field(default=25, description="About how many places of the coarse grid.")
    points: Literal[1, 2, 3] = Field(
        default=1,
        description="Sizes and heights of the coarse grid: 1 = one at each place, spread over the box, 2 = smallest and largest, "
        "3 = their middle too.",
    )
    evaluations: Count = Field(
        default=150, description="Budget: reconstructions for each method and case, those with a gradient among them."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        with possible():
            self.test()
        return self

    def test(self, reference: Callable[[], Method | None] | None = None) -> MissedLesionTest:
        """The test that is meant.

        Parameters
        ----------
        reference
            Makes the method that is shown the same lesion.
        """
        box = LesionBox(self.diameters, self.contrasts, self.polarity, self.aspect, self.rows, self.columns)
        return MissedLesionTest(box, places=self.places, points=self.points, evaluations=self.evaluations, reference=reference)


class DetectabilitySection(Section):
    """Test 9: can a lesion still be detected; off unless asked for, since it takes many reconstructions."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It takes 2 x realisations reconstructions for each lesion, and 2 x training more for the "
        "trained observer; lesions are diameters x sites x (contrasts + 1 sham): some 1000 for each method and case at the defaults.",
    )
    diameters: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(3.0, 6.0), description="Diameters of the lesions in pixels."
    )
    contrasts: tuple[Finite, ...] = Field(
        default=(),
        description="Heights relative to the largest pixel, all bright or all negative = dark; empty: for each diameter those at which "
        "an ideal observer of the raw data has the d' of levels.",
    )
    levels: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(1.0, 2.0, 4.0), description="d' of the ideal observer of the raw data; used where no contrasts are given."
    )
    sites: Count = Field(default=1, description="Places of each lesion, in flat parts of the body.")
    realisations: int = Field(
        default=32,
        ge=LEAST_REALISATIONS,
        description="Test images with the lesion, and as many without, each with noise of its own.",
    )
    training: Count = Field(default=32, description="Training images of each kind for the trained observer (cho).")
    observers: Annotated[tuple[ObserverName, ...], Field(min_length=1)] = Field(
        default=("npw", "cho"),
        description='Who looks: "npw" (a fixed template: what a perfect image shows of the lesion), "cho" (channelised Hotelling, trained).',
    )
    background: Literal["measurement", "truth"] = Field(
        default="measurement",
        description='What stands for the object without noise: the measurement itself, or the measured true image ("truth").',
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len({contrast > 0 for contrast in self.contrasts}) > 1:
            raise ValueError("contrasts: all of them bright or all of them dark")
        with possible():
            self.test()
        return self

    def test(self) -> DetectabilityTest:
        """The test that is meant."""
        return DetectabilityTest(
            diameters_px=self.diameters,
            contrasts=self.contrasts,
            levels=self.levels,
            sites=self.sites,
            realisations=self.realisations,
            training=self.training,
            observers=self.observers,
            background=self.background,
        )
