"""Where non-Cartesian MRI measures k-space."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Positive, Section

Units = Literal["radians", "cycles-per-pixel", "cycles-per-field-of-view"]


class TrajectorySection(Section):
    """The trajectory of a non-Cartesian scan: spokes, spirals, or a file of k-space locations."""

    file: str | None = Field(
        default=None,
        description="File of k-space locations, npy or npz: (readouts, samples, 2) or (samples, 2), row first, DC at 0.",
    )
    units: Units = Field(default="radians", description="file: its unit; radians are per pixel, pi = Nyquist.")
    kind: Literal["radial", "radial-golden", "spiral"] = Field(
        default="radial", description="Spokes at equal angles, spokes at the golden angle, or Archimedean spirals."
    )
    readouts: Count | None = Field(
        default=None, description="Number of spokes or interleaves; default 50 spokes, 4 interleaves."
    )
    samples: Annotated[int, Field(ge=2, le=1_000_000)] | None = Field(
        default=None,
        description="Samples of a readout; default one a pixel along a spoke, one a pixel along the outermost turn.",
    )
    turns: Positive = Field(
        default=8.0, description="spiral: turns of an interleave; (interleaves x turns) = half the size is Nyquist."
    )
    density: Literal["iterative", "none"] = Field(
        default="iterative",
        description="Density compensation of the direct image: by Pipe and Menon, or none (the bare adjoint).",
    )
    density_file: str | None = Field(
        default=None, description="file: its density compensation, one number from 0 for each sample; computed if not given."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        drawn = self.model_fields_set & {"kind", "readouts", "samples", "turns"}
        if self.file is not None and drawn:
            raise ValueError(f"file without {', '.join(sorted(drawn))}: the file says where every sample lies")
        if self.density_file is not None and (self.file is None or self.density == "none"):
            raise ValueError('density_file beside a file of locations, and without density = "none"')
        return self

    @property
    def words(self) -> Literal["spokes", "interleaves", "readouts"]:
        """What a readout is called, in the plural."""
        return "readouts" if self.file is not None else "interleaves" if self.kind == "spiral" else "spokes"
