"""``stabtest.toml``: what is audited, on what data, by which tests, against which limits.

One table of the file is one model of `stabtest.audit.config.settings`. Unknown keys and wrong types are errors that name the file, the key, what was
expected and what came; nothing is guessed or converted. Relative paths are relative to the file, not to the working directory.

The meaning of the noise level: for MRI the standard deviation of the complex noise on each k-space sample (orthonormal FFT, so
that it is that of a fully sampled image too) divided by the largest magnitude of the image; for CT the standard deviation of
the noise on each detector reading divided by the largest reading.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, PrivateAttr, model_validator

from stabtest.audit.config.settings import (
    Angles,
    AuditSection,
    CriteriaSection,
    DataSection,
    DetectabilitySection,
    ImageQualitySection,
    KernelSection,
    LipschitzSection,
    MissedLesionSection,
    NetworkSection,
    NoiseSection,
    OperatorSection,
    ReferenceSection,
    RepeatabilitySection,
    SamplingSection,
    ShiftSection,
    StructureSection,
    TrainingSection,
    WorstCaseSection,
)
from stabtest.audit.config.settings.base import Section
from stabtest.findings import Criterion
from stabtest.operators.mask_family import Kind


class Config(Section):
    """The whole of ``stabtest.toml``."""

    audit: AuditSection = AuditSection()
    network: NetworkSection
    operator: OperatorSection = OperatorSection()
    data: DataSection = DataSection()
    training: TrainingSection = TrainingSection()
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
    criteria: CriteriaSection = CriteriaSection()
    criterion: tuple[Criterion, ...] = Field(
        default=(), description="Acceptance criteria, fixed before the results are loaded."
    )
    _base_dir: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_ct = self.operator.kind == "radon"
        self._check_scan()
        if self.data.kind == "sinogram" and not (is_ct and self.operator.geometry == "parallel"):
            raise ValueError('[operator] kind = "radon" and geometry = "parallel" for a sinogram')
        method = self.reference.method
        if method in ("fbp", "sirt") and not is_ct:
            raise ValueError(f'[operator] kind = "radon" for the reference "{method}"')
        if method == "cg-sense" and self.modality != "mri":
            raise ValueError('[operator] of MRI for the reference "cg-sense"')
        if method == "zero-filled" and (self.modality != "mri" or self.operator.has_trajectory):
            raise ValueError('[operator] kind = "fourier" or "multicoil" for the reference "zero-filled"')
        if method == "gridding" and not self.operator.has_trajectory:
            raise ValueError('[operator] kind = "noncartesian" or "noncartesian-multicoil" for the reference "gridding"')
        self._check_patterns()
        if self.worst_case.enabled:
            self._check_set()
        return self

    def _check_scan(self) -> None:
        """See that the operator can be had of these data."""
        operator, measured = self.operator, self.data.kind == "kspace"
        if measured and operator.kind not in ("fourier", "multicoil"):
            gridded = ": measured non-Cartesian data are not read; grid them before" if operator.has_trajectory else ""
            raise ValueError(f'[operator] kind = "fourier" or "multicoil" for k-space{gridded}')
        if operator.kind == "multicoil" and measured == (operator.maps.kind == "simulated"):
            possible = 'maps.kind = "espirit", "low-resolution" or "given"' if measured else 'maps.kind = "simulated"'
            raise ValueError(f"[operator] {possible} for {'measured' if measured else 'simulated'} k-space of several coils")
        if operator.has_trajectory and operator.maps.kind != "simulated":
            raise ValueError('[operator] maps.kind = "simulated" for a non-Cartesian scan')
        if operator.mask.kind == "measured" and not measured:
            raise ValueError('[data] kind = "kspace" for [operator] mask.kind = "measured"')
        if operator.width is not None and not measured:
            raise ValueError('[data] kind = "kspace" for [operator] width: other images are square')

    def _check_patterns(self) -> None:
        """See that other patterns exist for this operator and these data."""
        wanted = set(self.sampling.patterns)
        possible: dict[str, tuple[str, ...]] = {"mri": get_args(Kind), "ct": get_args(Angles)}
        if wanted and self.operator.has_trajectory:
            raise ValueError(
                '[operator] kind = "fourier" or "multicoil" for [sampling] patterns: give another trajectory its own audit'
            )
        if strange := sorted(wanted - set(possible.get(self.modality, ()))):
            raise ValueError(f"[sampling] patterns that the operator can have, and not {', '.join(strange)}")

    def _check_set(self) -> None:
        """See that the perturbations of the worst case exist for this operator and these data."""
        section, operator = self.worst_case, self.operator
        if section.nonnegative and self.modality == "mri":
            raise ValueError('[operator] kind = "radon" or "identity" for [worst_case] nonnegative = true: k-space is complex')
        if section.unit == "noise" and self.data.simulated and self.data.noise == 0:
            raise ValueError('[data] noise above 0 for [worst_case] unit = "noise"')
        region = section.region
        if region is None:
            return
        if region.kind in ("high_frequencies", "low_frequencies", "band") and self.modality != "mri":
            raise ValueError(
                f'[operator] kind = "fourier", "multicoil" or "noncartesian" for [worst_case] region "{region.kind}"'
            )
        too_few = self.data.simulated and (region.coil or 0) >= operator.coils  # of a real scan the file says how many
        if region.kind == "one_coil" and (not operator.has_coils or too_few):
            raise ValueError(
                f'[operator] kind = "multicoil" or "noncartesian-multicoil" and more than {region.coil} coils for [worst_case] region "one_coil"'
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
            "noncartesian": "mri",
            "noncartesian-multicoil": "mri",
            "radon": "ct",
            "identity": "other",
            "own": "other",
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
