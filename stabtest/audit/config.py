"""``stabtest.toml``: what is audited, on what data, by which tests, against which limits.

One table of the file is one model here. Unknown keys and wrong types are errors that name the file, the key, what was expected
and what came; nothing is guessed or converted. Relative paths are relative to the file, not to the working directory.

The meaning of the noise level: for MRI the standard deviation of the complex noise on each k-space sample (orthonormal FFT, so
that it is that of a fully sampled image too) divided by the largest magnitude of the image; for CT the standard deviation of
the noise on each detector reading divided by the largest reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from stabtest.errors import ConfigError
from stabtest.findings import Criterion
from stabtest.findings.detectability_rows import ObserverName
from stabtest.operators.mask_family import Kind
from stabtest.stability.cases import Method
from stabtest.stability.detectability import DetectabilityTest
from stabtest.stability.detectability.detection import LEAST_REALISATIONS
from stabtest.stability.kernel import KernelTest, SfrcSettings
from stabtest.stability.kernel.kernel_test import Base, FamilyName
from stabtest.stability.kernel.sfrc import LEAST_SIDE
from stabtest.stability.missed_lesion import LesionBox, MissedLesionTest
from stabtest.stability.region import KEYS, Region
from stabtest.stability.shapes import SHAPES, Shape
from stabtest.stability.shift import Box, ObjectShift, ScanShift, ShiftTest
from stabtest.stability.shift.measure import BOX, OBJECTS
from stabtest.stability.shift.object_shifts import ObjectKind
from stabtest.stability.shift.scan_shifts import ScanKind
from stabtest.stability.structure import StructureTest

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=8, le=4096)]
Share = Annotated[float, Field(gt=0, le=1)]
Index = Annotated[int, Field(ge=0)]
Angles = Literal["random_angles", "limited_angle"]
Finite = Annotated[float, Field(allow_inf_nan=False)]

_NO_BOX = {"degrees": 0.0, "rows": 0.0, "columns": 0.0, "intensity": 0.0}


class Section(BaseModel):
    """Base of all tables: frozen, strict types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AuditSection(Section):
    """What the report is called and what the network is meant for."""

    title: str = Field(default="Stability audit", description="Title of the report.")
    seed: Seed = Field(default=0, description="Seed of everything random in the audit.")
    intended_use: str = Field(default="", description="What the network is meant for; printed in the report.")


class NetworkSection(Section):
    """The method under test: a network of the zoo, or a user's own through its factory."""

    zoo: str | None = Field(default=None, description="Name of a built-in reconstructor (`stabtest zoo` lists them).")
    factory: str | None = Field(
        default=None, description='Own network: "module:factory" or "path/to/file.py:factory", called to make the torch module.'
    )
    arguments: dict[str, Any] = Field(default={}, description="Keyword arguments of the factory.")
    weights: str | None = Field(default=None, description="Weights: safetensors, or a state_dict saved by torch.save.")
    takes: Literal["pseudo_inverse", "measurements", "measurements+operator", "fastmri", "deepinv"] = Field(
        default="pseudo_inverse", description="What the network is given; pseudo_inverse = zero-filled or FBP image."
    )
    channels: Literal["native", "real-imag", "magnitude"] = Field(
        default="native", description="Layout of complex images: native complex, two channels, or the magnitude only."
    )
    scale: Literal["none", "max", "standardise"] = Field(
        default="none", description="Scaling of each image before the network, undone afterwards."
    )
    name: str | None = Field(default=None, description="Name in the report; default: that of the zoo or of the factory.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.zoo is None) == (self.factory is None):
            raise ValueError("exactly one of zoo and factory")
        adapted = sorted({"arguments", "weights", "takes", "channels", "scale"} & self.model_fields_set)
        if self.zoo is not None and adapted:
            raise ValueError(f"zoo alone, without {', '.join(adapted)}: a built-in reconstructor brings its own")
        return self

    @property
    def label(self) -> str:
        """The name in the report."""
        return self.name or self.zoo or str(self.factory).rpartition(":")[2]


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

    kind: Literal["fourier", "multicoil", "radon", "identity"] = Field(
        default="fourier", description="fourier = single-coil MRI, multicoil = MRI with coil maps, radon = parallel-beam CT."
    )
    size: Side = Field(default=128, description="Side of the square image in pixels.")
    mask: MaskSection = Field(default=MaskSection(), description="MRI: sampling mask.")
    coils: Count = Field(default=4, description="multicoil: number of simulated receive coils.")
    angles: Count = Field(default=50, description="radon: number of views over 180 degrees.")
    detectors: Count | None = Field(default=None, description="radon: detector pixels; default covers the image diagonal.")


class DataSection(Section):
    """What is measured: phantoms with known truth, or files of real measurements."""

    kind: Literal["phantom", "kspace", "sinogram"] = Field(
        default="phantom", description="phantom = simulated; kspace, sinogram = real measurements from files."
    )
    phantom: Literal["head", "ellipses", "chest"] = Field(default="head", description="Which phantom.")
    count: Annotated[int, Field(ge=1, le=100_000)] = Field(default=4, description="Number of phantoms (each its own patient).")
    first_seed: Seed = Field(default=1_000_000, description="Seed of the first phantom; keep off the training seeds.")
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="Noise level: relative to the largest pixel (MRI) or the largest detector reading (CT)."
    )
    files: tuple[str, ...] = Field(default=(), description="Real data: files, one image each (or one slice, see row).")
    patients: tuple[str, ...] = Field(
        default=(), description="Real data: whose image each file is; images of one patient count once. Default: all differ."
    )
    row: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Slice of a stack of k-space, or detector row of a sinogram; default the only one, or row 0."
    )
    span: Positive | None = Field(
        default=None, description="sinogram: degrees from the first view to the last, if known better than the file says."
    )

    @model_validator(mode="after")
    def _files(self) -> Self:
        if self.kind == "phantom" and self.files:
            raise ValueError('kind = "kspace" or "sinogram" where files are given')
        if self.kind != "phantom" and not self.files:
            raise ValueError(f'files, at least one, where kind = "{self.kind}"')
        if self.kind != "phantom" and self.noise:
            raise ValueError("no noise where the measurements are real: they bring their own")
        if self.patients and len(self.patients) != len(self.files):
            raise ValueError(f"as many patients as files, {len(self.files)}")
        return self


class ReferenceSection(Section):
    """The classical method that goes through the same tests with the same budget."""

    method: Literal["tv", "wavelet", "zero-filled", "fbp", "none"] = Field(
        default="tv",
        description="tv = total variation; wavelet = translation-invariant wavelets; zero-filled (MRI) and fbp (CT) are linear; none = no reference.",
    )
    weight: Positive | None = Field(
        default=None, description="tv, wavelet: regularisation weight; default of the method if not given."
    )
    iterations: Count | None = Field(default=None, description="tv, wavelet: iterations; default of the method if not given.")


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
        try:
            self.test()
        except ConfigError as error:
            raise ValueError(str(error)) from error
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
        description="Sizes and heights of the coarse grid: 1 = the middle, 2 = smallest and largest, 3 = all of them.",
    )
    evaluations: Count = Field(
        default=150, description="Budget: reconstructions for each method and case, those with a gradient among them."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        try:
            self.test()
        except ConfigError as error:
            raise ValueError(str(error)) from error
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
    patterns: tuple[Kind | Angles, ...] = Field(
        default=(),
        description="Other patterns of as many samples as trained with, of simulated cases: kinds of mask (MRI), or random_angles and "
        "limited_angle (CT).",
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


class ShiftSection(Section):
    """Test 8: object and scan not quite as they should be; off unless asked for, since it takes many reconstructions."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It takes one reconstruction for each shift and size, two where the object is resampled, "
        "and points^4 + 2 x restarts x steps or more for the search: some 140 for each method and case at the defaults, and about "
        "as many of the linear reference beside it.",
    )
    objects: dict[ObjectKind, tuple[Finite, ...]] | None = Field(
        default=None,
        description="Changes of the object and their sizes (relative, degrees, pixels, share); default: all of the example; {}: none.",
    )
    anatomy: Literal["ellipses", "head", "chest"] | None = Field(
        default=None, description="Which phantom another anatomy is; default ellipses, or head where the cases are ellipses."
    )
    scans: dict[ScanKind, tuple[Finite, ...]] | None = Field(
        default=None,
        description="Errors of the scan and their sizes; default: all that the operator can have, at the sizes of the methods page; {}: none.",
    )
    box: dict[Literal["degrees", "rows", "columns", "intensity"], Finite] | None = Field(
        default=None,
        description="Largest rotation, translation (pixels) and relative change of brightness of the searched worst shift; "
        "default: the example; {}: no search.",
    )
    points: int = Field(
        default=3, ge=1, description="Search: points of the grid along each side of the box, odd; all combinations are tried."
    )
    restarts: int = Field(default=2, ge=0, description="Search: ascents, from the best of the grid and from random points.")
    steps: int = Field(default=8, ge=0, description="Search: steps of each ascent at most, each one or two evaluations.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.points % 2 == 0:
            raise ValueError("points: an odd number, so that no shift is one of them")
        try:
            test = self.test()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if self.enabled and test is None:
            raise ValueError("objects, scans or box: not all of them empty where enabled = true")
        return self

    def test(self, *, phantom: str | None = None) -> ShiftTest | None:
        """The test that is meant; None where there is nothing to do.

        Parameters
        ----------
        phantom
            Which phantom the cases are, so that another anatomy is another one.
        """
        anatomy = self.anatomy or ("head" if phantom == "ellipses" else "ellipses")
        if self.objects is None:
            objects = tuple(replace(one, anatomy=anatomy) for one in OBJECTS)
        else:
            objects = tuple(ObjectShift(kind, size, anatomy=anatomy) for kind, sizes in self.objects.items() for size in sizes)
        scans = (
            None if self.scans is None else tuple(ScanShift(kind, size) for kind, sizes in self.scans.items() for size in sizes)
        )
        box = BOX if self.box is None else Box(**{**_NO_BOX, **self.box}) if self.box else None
        if not objects and scans == () and box is None:
            return None
        return ShiftTest(objects=objects, scans=scans, box=box, points=self.points, restarts=self.restarts, steps=self.steps)


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
        try:
            self.test()
        except ConfigError as error:
            raise ValueError(str(error)) from error
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


class SfrcSection(Section):
    """Scanning Fourier ring correlation."""

    threshold: float = Field(gt=0, lt=1)
    least_cutoff: float = Field(gt=0, le=1)
    side: int = Field(default=32, ge=LEAST_SIDE)


class KernelSection(Section):
    """Test 10: what is shown where the scanner sees nothing; off unless asked for, since it takes several searches."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It needs a truth, and takes a search for each family and base: some 250 gradient evaluations for "
        "each method and case at the defaults.",
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
        try:
            self.test()
        except ConfigError as error:
            raise ValueError(str(error)) from error
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
            starts=self.starts,
            floor=self.floor,
            sfrc=rings,
        )


class LipschitzSection(Section):
    """Test 4: the layer table and the brackets of the Lipschitz constants."""

    enabled: bool = Field(default=True, description="Whether this test is run.")
    jacobian_steps: Count = Field(default=10, description="Power iterations on the Jacobian, for the lower ends.")
    seconds: float = Field(
        default=0.0,
        ge=0,
        description="Processor time for smaller upper ends than the product of the layers (loop transformation, semidefinite bound) and "
        "for the floor that they cannot pass; 0: none of them.",
    )


class Config(Section):
    """The whole of ``stabtest.toml``."""

    audit: AuditSection = AuditSection()
    network: NetworkSection
    operator: OperatorSection = OperatorSection()
    data: DataSection = DataSection()
    reference: ReferenceSection = ReferenceSection()
    worst_case: WorstCaseSection = WorstCaseSection()
    structure: StructureSection = StructureSection()
    missed_lesion: MissedLesionSection = MissedLesionSection()
    sampling: SamplingSection = SamplingSection()
    lipschitz: LipschitzSection = LipschitzSection()
    noise: NoiseSection = NoiseSection()
    repeatability: RepeatabilitySection = RepeatabilitySection()
    image_quality: ImageQualitySection = ImageQualitySection()
    shift: ShiftSection = ShiftSection()
    detectability: DetectabilitySection = DetectabilitySection()
    kernel: KernelSection = KernelSection()
    criterion: tuple[Criterion, ...] = Field(default=(), description="Acceptance limits, fixed before the results are loaded.")
    _base_dir: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_ct = self.operator.kind == "radon"
        if self.data.kind == "kspace" and self.operator.kind != "fourier":
            raise ValueError('[operator] kind = "fourier" for k-space')
        if self.data.kind == "sinogram" and not is_ct:
            raise ValueError('[operator] kind = "radon" for a sinogram')
        if self.reference.method == "fbp" and not is_ct:
            raise ValueError('[operator] kind = "radon" for the reference "fbp"')
        if self.reference.method == "zero-filled" and self.modality != "mri":
            raise ValueError('[operator] kind = "fourier" or "multicoil" for the reference "zero-filled"')
        self._check_patterns()
        if self.worst_case.enabled:
            self._check_set()
        return self

    def _check_patterns(self) -> None:
        """See that other patterns exist for this operator and these data."""
        wanted = set(self.sampling.patterns)
        if wanted and self.data.kind != "phantom":
            raise ValueError('[data] kind = "phantom" for [sampling] patterns: a real scan cannot be taken again')
        possible: dict[str, tuple[str, ...]] = {"mri": get_args(Kind), "ct": get_args(Angles)}
        if strange := sorted(wanted - set(possible.get(self.modality, ()))):
            raise ValueError(f"[sampling] patterns that the operator can have, and not {', '.join(strange)}")

    def _check_set(self) -> None:
        """See that the perturbations of the worst case exist for this operator and these data."""
        section, operator = self.worst_case, self.operator
        if section.nonnegative and self.modality == "mri":
            raise ValueError('[operator] kind = "radon" or "identity" for [worst_case] nonnegative = true: k-space is complex')
        if section.unit == "noise" and self.data.kind == "phantom" and self.data.noise == 0:
            raise ValueError('[data] noise above 0 for [worst_case] unit = "noise"')
        region = section.region
        if region is None:
            return
        if region.kind in ("high_frequencies", "low_frequencies", "band") and self.modality != "mri":
            raise ValueError(f'[operator] kind = "fourier" or "multicoil" for [worst_case] region "{region.kind}"')
        if region.kind == "one_coil" and (operator.kind != "multicoil" or (region.coil or 0) >= operator.coils):
            raise ValueError(
                f'[operator] kind = "multicoil" and more than {region.coil} coils for [worst_case] region "one_coil"'
            )
        if region.kind == "views" and (operator.kind != "radon" or max(region.views or (0,)) >= operator.angles):
            raise ValueError(
                f'[operator] kind = "radon" and more than {max(region.views or (0,))} angles for [worst_case] region "views"'
            )

    @property
    def modality(self) -> Literal["mri", "ct", "other"]:
        """What the forward model measures."""
        kinds: dict[str, Literal["mri", "ct", "other"]] = {
            "fourier": "mri",
            "multicoil": "mri",
            "radon": "ct",
            "identity": "other",
        }
        return kinds[self.operator.kind]

    @property
    def base_dir(self) -> Path:
        """Folder of the file that the configuration was read from; relative paths start here."""
        return self._base_dir

    def path(self, name: str) -> Path:
        """A path of the configuration: ``$NAME`` from the environment, relative ones from the folder of the file."""
        expanded = Path(os.path.expandvars(name))
        return expanded if expanded.is_absolute() else self._base_dir / expanded

    def at(self, base_dir: Path) -> Self:
        """The same configuration with its relative paths starting in another folder."""
        copy = self.model_copy()
        copy._base_dir = base_dir
        return copy
