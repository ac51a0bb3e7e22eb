"""What is measured, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Count, Index, Positive, Section, Seed, Side
from stabtest.audit.config.settings.trajectory import TrajectorySection

Finite = Annotated[float, Field(allow_inf_nan=False)]


class MaskSection(Section):
    """The sampling mask of an MRI scan: a file, or drawn from a seed."""

    file: str | None = Field(default=None, description="Mask file: npy or npz, (H, W) or (W,), entries 0 and 1, 1 = measured.")
    kind: Literal[
        "cartesian_random",
        "cartesian_equispaced",
        "cartesian_gaussian",
        "variable_density",
        "poisson_disc",
        "radial",
        "measured",
    ] = Field(default="cartesian_random", description="Kind of mask; measured = that of an undersampled scan, from its file.")
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


class MapsSection(Section):
    """Where the coil maps come from: simulated, or for measured k-space of several coils given or estimated."""

    kind: Literal["simulated", "given", "low-resolution", "espirit"] = Field(
        default="simulated",
        description="simulated = of phantoms and images; given = from a file; low-resolution, espirit = from the calibration lines.",
    )
    file: str | None = Field(
        default=None,
        description="given: npy, npz or HDF5, (C, H, W) or (slices, C, H, W); {stem} in it is the data file's name without suffix.",
    )
    dataset: str | None = Field(
        default=None, description="given: array of an npz or dataset of an HDF5 file; default the only one."
    )
    calibration: Annotated[int, Field(ge=4, le=512)] = Field(
        default=24, description="low-resolution, espirit: most rows and columns of the fully sampled centre that are used."
    )
    kernel: Annotated[int, Field(ge=3, le=16)] = Field(default=6, description="espirit: side of a patch, in samples.")
    threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.02, description="espirit: singular values above this share of the largest are signal."
    )
    crop: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.95, description="espirit: maps are 0 where the largest eigenvalue is below it."
    )

    @model_validator(mode="after")
    def _given_by_a_file(self) -> Self:
        if self.kind == "given" and self.file is None:
            raise ValueError('file, where kind = "given"')
        return self


class OperatorSection(Section):
    """The forward model."""

    kind: Literal["fourier", "multicoil", "noncartesian", "noncartesian-multicoil", "radon", "identity", "own"] = Field(
        default="fourier",
        description="fourier = single-coil MRI, multicoil = MRI with coil maps, noncartesian(-multicoil) = the same along a trajectory, radon = "
        "CT, own = your own (factory or matrix).",
    )
    size: Side = Field(default=128, description="Side of the square image in pixels.")
    width: Side | None = Field(
        default=None, description="kspace: columns of the image, where it is not square; size then is the rows."
    )
    mask: MaskSection = Field(default=MaskSection(), description="MRI: sampling mask.")
    trajectory: TrajectorySection = Field(
        default=TrajectorySection(), description="noncartesian: where k-space is measured (needs the extra mri)."
    )
    coils: Count = Field(default=4, description="multicoil, noncartesian-multicoil: number of simulated receive coils.")
    maps: MapsSection = Field(default=MapsSection(), description="multicoil: coil maps.")
    angles: Count = Field(default=50, description="radon: number of views over 180 degrees (fan beam: 360).")
    detectors: Count | None = Field(default=None, description="radon: detector pixels; default covers the image diagonal.")
    geometry: Literal["parallel", "fan", "fan-curved"] = Field(
        default="parallel",
        description="radon: parallel beam over 180 degrees; fan beam over 360 degrees with a flat or a curved detector.",
    )
    source_distance: Positive | None = Field(
        default=None, description="fan beam: from the source to the rotation axis in pixels; default twice the size."
    )
    detector_distance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="fan beam: from the axis to the detector in pixels; default half of source_distance."
    )
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
    def _fan(self) -> Self:
        if self.geometry != "parallel" and self.source_distance is not None and self.source_distance <= self.size / 2**0.5:
            raise ValueError(
                f"source_distance above {self.size / 2**0.5:.1f}, half the diagonal: the source is outside of the image"
            )
        return self

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.kind == "own" and (self.factory is None) == (self.matrix is None):
            raise ValueError('exactly one of factory and matrix where kind = "own"')
        if self.kind != "own" and (self.factory is not None or self.matrix is not None):
            raise ValueError('kind = "own" where a factory or a matrix is given')
        if self.factory is None and self.arguments:
            raise ValueError("a factory where arguments are given")
        return self

    @property
    def has_trajectory(self) -> bool:
        """Whether it is non-Cartesian MRI."""
        return self.kind in ("noncartesian", "noncartesian-multicoil")

    @property
    def has_coils(self) -> bool:
        """Whether several coils measure."""
        return self.kind in ("multicoil", "noncartesian-multicoil")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.size, self.size if self.width is None else self.width


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
    groups: tuple[str, ...] = Field(
        default=(),
        description="Which subgroup each file (or phantom) is of, such as a scanner or an age group; the report shows each by itself.",
    )
    row: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Slice of a stack of k-space or images, or detector row of a sinogram; default the only one, or row 0.",
    )
    slices: tuple[Index, ...] = Field(default=(), description="kspace: several slices of each file, each a case.")
    every: Count | None = Field(default=None, description="kspace: every so many-th slice of each file, each a case; 1 = all.")
    field_of_view: Literal["shown", "read-out", "encoded"] | None = Field(
        default=None,
        description="kspace: shown = as the scanner shows it, read-out = cropped along the read-out only, encoded = all; default shown, of "
        "undersampled scans read-out.",
    )
    truth: Literal["reconstruction", "file", "none"] | None = Field(
        default=None,
        description="kspace: reconstruction = of all samples, file = the file's own image, none; default reconstruction, of undersampled "
        "scans none.",
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
        self._only_of_kspace()
        if not self.simulated and self.noise:
            raise ValueError("no noise where the measurements are real: they bring their own")
        return self

    def _only_of_kspace(self) -> None:
        given = {key for key in ("slices", "every", "field_of_view", "truth") if getattr(self, key) not in (None, ())}
        if self.kind != "kspace" and given:
            raise ValueError(f'no {" and no ".join(sorted(given))} where kind = "{self.kind}": they are for k-space')
        if sum((self.row is not None, bool(self.slices), self.every is not None)) > 1:
            raise ValueError("one of row, slices and every")
        if len(set(self.slices)) < len(self.slices):
            raise ValueError("slices that differ")
