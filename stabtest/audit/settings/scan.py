"""What is measured, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.settings.base import Count, Positive, Section, Seed, Side

Finite = Annotated[float, Field(allow_inf_nan=False)]


class MaskSection(Section):
    """The sampling mask of an MRI scan: a file, or drawn from a seed."""

    file: str | None = Field(default=None, description="Mask file: npy or npz, (H, W) or (W,), entries 0 and 1, 1 = measured.")
    kind: Literal[
        "cartesian_random", "cartesian_equispaced", "cartesian_gaussian", "variable_density", "poisson_disc", "radial"
    ] = Field(default="cartesian_random", description="Kind of mask.")
    acceleration: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=4.0, description="Nominal acceleration; the realised fraction is printed in the report."
    )
    centre_fraction: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Share of fully measured centre columns (or points); default of the kind if not given."
    )
    seed: Seed = Field(default=0, description="Seed of the mask.")

    @model_validator(mode="after")
    def _file_alone(self) -> Self:
        if self.file is not None and self.model_fields_set - {"file"}:
            others = ", ".join(sorted(self.model_fields_set - {"file"}))
            raise ValueError(f"file alone, without {others}")
        return self


class OperatorSection(Section):
    """The forward model."""

    kind: Literal["fourier", "multicoil", "radon", "identity", "own"] = Field(
        default="fourier",
        description="fourier = single-coil MRI, multicoil = MRI with coil maps, radon = parallel-beam CT, own = your own (factory or matrix).",
    )
    size: Side = Field(default=128, description="Side of the square image in pixels.")
    mask: MaskSection = Field(default=MaskSection(), description="MRI: sampling mask.")
    coils: Count = Field(default=4, description="multicoil: number of simulated receive coils.")
    angles: Count = Field(default=50, description="radon: number of views over 180 degrees.")
    detectors: Count | None = Field(default=None, description="radon: detector pixels; default covers the image diagonal.")
    factory: str | None = Field(
        default=None,
        description='own: "module:factory" or "path/to/file.py:factory" that makes an object with forward(x) and adjoint(y).',
    )
    arguments: dict[str, Any] = Field(default={}, description="own: keyword arguments of the factory.")
    matrix: str | None = Field(default=None, description="own: file of a matrix, npy or npz, dense or sparse of SciPy.")
    complex: bool = Field(default=False, description="own: whether images are complex.")
    layout: Literal["batch", "image", "flat", "real-imag"] | None = Field(
        default=None,
        description="own: what it takes: (B, 1, H, W), (H, W), (H W,) or two real channels; found by trying if not given.",
    )

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.kind == "own" and (self.factory is None) == (self.matrix is None):
            raise ValueError('exactly one of factory and matrix where kind = "own"')
        if self.kind != "own" and (self.factory is not None or self.matrix is not None):
            raise ValueError('kind = "own" where a factory or a matrix is given')
        if self.factory is None and self.arguments:
            raise ValueError("a factory where arguments are given")
        return self


class DataSection(Section):
    """What is measured: phantoms with known truth, images from files, or files of real measurements."""

    kind: Literal["phantom", "images", "kspace", "sinogram"] = Field(
        default="phantom",
        description="phantom, images (from files) = the measurement is simulated; kspace, sinogram = real measurements from files.",
    )
    phantom: Literal["head", "ellipses", "chest"] = Field(default="head", description="Which phantom.")
    count: Annotated[int, Field(ge=1, le=100_000)] = Field(default=4, description="Number of phantoms (each its own patient).")
    first_seed: Seed = Field(default=1_000_000, description="Seed of the first phantom; keep off the training seeds.")
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="Noise level: relative to the largest pixel (MRI) or the largest detector reading (CT)."
    )
    files: tuple[str, ...] = Field(
        default=(), description='Images and real data: files, one image each (or one slice, see row); "folder/*.png" is many.'
    )
    patients: tuple[str, ...] = Field(
        default=(),
        description="Images and real data: whose image each file is; images of one patient count once. Default: all differ; DICOM says it.",
    )
    row: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Slice of a stack of k-space or images, or detector row of a sinogram; default the only one, or row 0.",
    )
    span: Positive | None = Field(
        default=None, description="sinogram: degrees from the first view to the last, if known better than the file says."
    )

    zero: Finite | None = Field(
        default=None, description="images: value in the file that becomes 0; default 0, of Hounsfield units -1000 (air)."
    )
    one: Finite | None = Field(
        default=None, description="images: value in the file that becomes 1; default the largest of each image."
    )

    @property
    def simulated(self) -> bool:
        """Whether the measurement is simulated here."""
        return self.kind in ("phantom", "images")

    @model_validator(mode="after")
    def _files(self) -> Self:
        if self.kind == "phantom" and self.files:
            raise ValueError('kind = "images", "kspace" or "sinogram" where files are given')
        if self.kind != "phantom" and not self.files:
            raise ValueError(f'files, at least one, where kind = "{self.kind}"')
        if self.kind != "images" and (self.zero is not None or self.one is not None):
            raise ValueError(f'no zero and no one where kind = "{self.kind}": they are for images')
        if self.zero is not None and self.one is not None and self.one <= self.zero:
            raise ValueError("one above zero")
        if not self.simulated and self.noise:
            raise ValueError("no noise where the measurements are real: they bring their own")
        return self
