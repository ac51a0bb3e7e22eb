"""The scan is not what the method is told: mask, coil maps, motion, geometry, detectors, receiver.

Each makes ``(y', operator told)`` from a case and keeps its noise realisation; at size 0, ``y' = y`` and the operator is the
case's. What is done to the measurement is in `stabtest.stability.shift.mri_scans` and `stabtest.stability.shift.ct_scans`.

| Kind | What happens | Size, unit | Operators | Needs the truth |
|---|---|---|---|---|
| ``mask`` | told another mask | share of the samples outside of the centre | Fourier, multi-coil | |
| ``coil_gain``, ``coil_phase`` | told maps with errors a coil | standard deviation, relative or degrees | multi-coil, Cartesian or not | |
| ``coil_shift`` | told maps that are moved | pixels | multi-coil, Cartesian or not | |
| ``coil_array`` | told maps blended with another array's | share | multi-coil, Cartesian or not | |
| ``motion_translation``, ``motion_rotation`` | moves between groups of lines | largest, pixels or degrees | Fourier, multi-coil | yes |
| ``angle_jitter`` | each view at another angle | standard deviation, degrees | Radon | yes |
| ``angle_stretch`` | the gantry turns further | relative | Radon | yes |
| ``centre`` | the axis projects elsewhere | bins | Radon | yes |
| ``detector_gain``, ``detector_offset`` | errors that belong to a bin | standard deviation, relative | Radon | |
| ``receiver_gain`` | ``y' = (1 + s) y``, noise and truth included | relative | all | |
| ``receiver_phase`` | ``y' = exp(i s) y``, truth included | degrees | complex images | |

Where the object is measured anew, ``y' = y + (A' - A) o`` with the object ``o`` on the finest grid at hand
(`stabtest.stability.shift.scene`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from stabtest.errors import ConfigError, DataError
from stabtest.operators import FanBeam, Fourier, MultiCoilFourier, NonCartesian, Radon
from stabtest.operators.base import LinearOperator
from stabtest.stability.cases import Case
from stabtest.stability.shift import ct_scans, mri_scans
from stabtest.stability.shift.scene import Scene
from stabtest.stability.shift.shifted import Family, Shifted

ScanKind = Literal[
    "mask",
    "coil_gain",
    "coil_phase",
    "coil_shift",
    "coil_array",
    "motion_translation",
    "motion_rotation",
    "angle_jitter",
    "angle_stretch",
    "centre",
    "detector_gain",
    "detector_offset",
    "receiver_gain",
    "receiver_phase",
]

SCAN_UNITS: Mapping[ScanKind, str] = {
    "mask": "share",
    "coil_gain": "relative",
    "coil_phase": "degrees",
    "coil_shift": "pixels",
    "coil_array": "share",
    "motion_translation": "pixels",
    "motion_rotation": "degrees",
    "angle_jitter": "degrees",
    "angle_stretch": "relative",
    "centre": "bins",
    "detector_gain": "relative",
    "detector_offset": "relative",
    "receiver_gain": "relative",
    "receiver_phase": "degrees",
}
"""What the size of each kind is counted in."""

NEED_TRUTH: frozenset[ScanKind] = frozenset(
    ("motion_translation", "motion_rotation", "angle_jitter", "angle_stretch", "centre")
)
"""Kinds that measure the object anew."""


@dataclass(frozen=True)
class ScanShift:
    """One error of the scan.

    Parameters
    ----------
    kind
        See the table of this module.
    size
        How much; 0 changes nothing.
    groups
        Of phase-encoding lines, between which the patient moves; used by motion only.

    Raises
    ------
    ConfigError
        If the kind is unknown, the size out of range, or there are fewer than two groups.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 8, 8)
    >>> case = Case("a", "a", "other", Identity((8, 8)), image, truth=image)
    >>> ScanShift("receiver_gain", 0.5).apply(case).measurement.unique(), ScanShift("centre", 1.0).unfit(case)
    (tensor([1.5000]), 'the operator is no Radon transform')
    """

    kind: ScanKind
    size: float
    groups: int = 4

    def __post_init__(self) -> None:
        if self.kind not in SCAN_UNITS:
            raise ConfigError("scan shift: kind", expected=f"one of {', '.join(SCAN_UNITS)}", came=repr(self.kind))
        limited = {"share": (0.0, 1.0), "relative": (-1.0, math.inf)}.get(self.unit, (-math.inf, math.inf))
        inside = limited[0] <= self.size <= limited[1] and not (self.unit == "relative" and self.size == -1)
        if not (math.isfinite(self.size) and inside):
            words = {"share": "between 0 and 1", "relative": "above -1"}.get(self.unit, "a finite number")
            raise ConfigError(f"{self.kind}: size", expected=words, came=str(self.size))
        if self.groups < 2:
            raise ConfigError(f"{self.kind}: groups", expected="at least 2", came=str(self.groups))

    @property
    def family(self) -> Family:
        """``"scan"``."""
        return "scan"

    @property
    def label(self) -> str:
        """The kind, of motion with the number of groups.

        Examples
        --------
        >>> ScanShift("motion_rotation", 2.0).label, ScanShift("mask", 0.1).label
        ('motion_rotation (4 groups)', 'mask')
        """
        return f"{self.kind} ({self.groups} groups)" if self.kind.startswith("motion") else self.kind

    @property
    def unit(self) -> str:
        """Of the size."""
        return SCAN_UNITS[self.kind]

    @property
    def needs_truth(self) -> bool:
        """Whether the object has to be measured anew."""
        return self.kind in NEED_TRUTH

    def unfit(self, case: Case) -> str | None:
        """Why the operator of a case cannot have this error; None where it can."""
        operator = case.operator
        match self.kind:
            case "mask":
                if not isinstance(operator, Fourier | MultiCoilFourier):
                    return "the operator has no mask"
                same = bool((_told_mask(operator, 1.0, 0) == operator.mask).all())
                return "every sample is measured, or all that are belong to the centre" if same else None
            case "coil_gain" | "coil_phase" | "coil_shift" | "coil_array":
                if _maps(operator) is None:
                    return "the operator has no coil maps"
                alone = operator.range.shape[0] < 2 and self.kind in ("coil_gain", "coil_phase")
                return "one coil: its gain and phase are those of the receiver" if alone else None
            case "motion_translation" | "motion_rotation":
                cartesian = isinstance(operator, Fourier | MultiCoilFourier)
                return None if cartesian else "the operator has no phase-encoding lines"
            case "angle_jitter" | "angle_stretch" | "centre" | "detector_gain" | "detector_offset":
                return None if isinstance(operator, Radon | FanBeam) else "the operator is no Radon transform"
            case "receiver_phase":
                return None if operator.domain.is_complex and operator.range.is_complex else "images are real"
            case "receiver_gain":
                return None

    def apply(self, case: Case | Scene, *, seed: int = 0) -> Shifted:
        """The measurement with the error, and what the method is told.

        Parameters
        ----------
        case
            Any; with its truth where the object is measured anew, or a scene with the finer object.
        seed
            Of what is drawn: lines, gains, poses, angles. The size scales what is drawn and does not change the draw.

        Returns
        -------
        Shifted
            ``expected`` is the identity, for the receiver its gain.

        Raises
        ------
        DataError
            If the operator cannot have this error, or the case lacks the truth that it needs.
        """
        scene = Scene.of(case)
        case = scene.case
        reason = self.unfit(case)
        if reason is not None:
            raise DataError(f"case {case.name}: {self.kind}", expected="an operator that can have this error", came=reason)
        y, operator = case.measurement, case.operator
        same = Shifted(y, operator, case.truth, lambda image: image)
        generator = torch.Generator().manual_seed(seed)
        if self.kind in ("receiver_gain", "receiver_phase"):
            return _receiver(same, self.kind, self.size)
        if isinstance(operator, Fourier | MultiCoilFourier | NonCartesian):
            return self._mri(scene, same, operator, seed, generator)
        assert isinstance(operator, Radon | FanBeam)
        return self._ct(scene, same, operator, generator)

    def _mri(
        self,
        scene: Scene,
        same: Shifted,
        operator: Fourier | MultiCoilFourier | NonCartesian,
        seed: int,
        generator: torch.Generator,
    ) -> Shifted:
        if self.kind == "mask":
            assert not isinstance(operator, NonCartesian)
            mask = _told_mask(operator, self.size, seed)
            if isinstance(operator, Fourier):
                return replace(same, operator=Fourier(mask))
            return replace(same, operator=MultiCoilFourier(mask, operator.sensitivities))
        if self.kind in ("motion_translation", "motion_rotation"):
            pixels, degrees = (scene.factor * self.size, 0.0) if self.kind == "motion_translation" else (0.0, self.size)
            change = mri_scans.motion(
                scene.operator,
                scene.object(self.kind),
                pixels=pixels,
                degrees=degrees,
                groups=self.groups,
                generator=generator,
            )
            return replace(same, measurement=same.measurement + change)
        maps = _maps(operator)
        assert maps is not None
        match self.kind:
            case "coil_gain":
                told = mri_scans.balanced(maps, gain=self.size, generator=generator)
            case "coil_phase":
                told = mri_scans.balanced(maps, degrees=self.size, generator=generator)
            case "coil_shift":
                told = mri_scans.moved_maps(maps, self.size)
            case _:
                told = mri_scans.other_maps(maps, self.size, seed=seed)
        if isinstance(operator, NonCartesian):
            return replace(same, operator=operator.with_sensitivities(told))
        return replace(same, operator=MultiCoilFourier(operator.mask, told))

    def _ct(self, scene: Scene, same: Shifted, operator: Radon | FanBeam, generator: torch.Generator) -> Shifted:
        y = same.measurement
        match self.kind:
            case "detector_gain":
                return replace(same, measurement=y + ct_scans.unlike_detectors(y, gain=self.size, generator=generator))
            case "detector_offset":
                return replace(same, measurement=y + ct_scans.unlike_detectors(y, offset=self.size, generator=generator))
            case "angle_jitter":
                other = ct_scans.other_angles(operator, jitter=self.size, generator=generator)
            case "angle_stretch":
                other = ct_scans.other_angles(operator, stretch=self.size, generator=generator)
            case _:
                other = ct_scans.other_centre(operator, self.size)
        seen = scene.object(self.kind)
        other = other if scene.factor == 1 else other.refine(scene.factor)
        return replace(same, measurement=y + (other.forward(seen) - scene.operator.forward(seen)))


def _receiver(same: Shifted, kind: ScanKind, size: float) -> Shifted:
    factor = 1 + size if kind == "receiver_gain" else complex(math.cos(math.radians(size)), math.sin(math.radians(size)))

    def scaled(image: Tensor) -> Tensor:
        # A phase leaves magnitudes as they are.
        return image * (factor if image.is_complex() or not isinstance(factor, complex) else 1.0)

    truth = None if same.truth is None else scaled(same.truth)
    return Shifted(scaled(same.measurement), same.operator, truth, scaled)


def _maps(operator: LinearOperator) -> Tensor | None:
    """Coil maps, where there are any."""
    return operator.sensitivities if isinstance(operator, MultiCoilFourier | NonCartesian) else None


def _told_mask(operator: Fourier | MultiCoilFourier, share: float, seed: int) -> Tensor:
    return mri_scans.told_mask(operator.mask, share, generator=torch.Generator().manual_seed(seed))
