"""Cases from measured k-space, of one coil or several.

*Fully sampled.* The audit's mask is applied; the truth is the reconstruction of all samples, which for several coils is the least-squares
combination ``sum_c conj(s_c) x_c / sum_c |s_c|^2`` through the same maps that the methods are given: errors of the maps are in both, and not seen.
It holds noise, is the best that the scanner can show, and not the object.

*Undersampled by the scanner.* The mask is that of the file, and there is no truth unless the file holds an image. Such an image is a magnitude; the
phase that a complex truth needs is put on it: that of the reconstruction of all samples, or of the calibration lines where that is all there is.

*Coil maps* are estimated from the lines that are fully sampled under the mask of the audit, and from no others: a scan that takes only those lines
would have the same maps.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stabtest.audit.cases.patterns import MaskPatterns
from stabtest.audit.cases.scans import KSpaceScan, Masks
from stabtest.audit.cases.simulate import derived_seed, mask_family
from stabtest.audit.cases.slices import file_slices, patients
from stabtest.audit.config import Config
from stabtest.data import KSpaceData, read_kspace
from stabtest.data.calibration import calibration_region, low_resolution
from stabtest.data.coil_maps import explained, read_coil_maps
from stabtest.data.espirit import espirit
from stabtest.errors import DataError
from stabtest.operators import Fourier, LinearOperator, MultiCoilFourier, sampling_fraction
from stabtest.stability.cases import Case, TruthSource

LEAST_EXPLAINED = 0.5
"""Share of the energy of the measured k-space that one image through the maps must explain; less, and the maps are not of these coils."""
MAPS = {
    "simulated": "simulated, and known to every method",
    "given": "from a file",
    "low-resolution": "estimated from the low-resolution image of the calibration lines",
    "espirit": "estimated from the calibration lines by ESPIRiT",
}
"""Where the maps come from, in words."""


@dataclass(frozen=True, eq=False)
class _Maps:
    """Coil maps of a slice, and a note on them."""

    values: Tensor
    note: str


def read_slice(config: Config, index: int) -> KSpaceData:
    """Case number ``index`` as the file holds it, checked, on the grid of the reconstruction.

    Parameters
    ----------
    config
        With ``[data] kind = "kspace"``.
    index
        Of the case.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind, or sampled otherwise than the configuration says.
    """
    number, row = file_slices(config)[index]
    path, operator = config.path(config.data.files[number]), config.operator
    data = read_kspace(
        path,
        size=operator.shape,
        index=row,
        coils=operator.kind == "multicoil",
        field=config.data.field_of_view,
        undersampled=operator.mask.kind == "measured",
    )
    if operator.mask.kind == "measured" and data.measured is None:
        raise DataError(
            str(path),
            expected='for [operator] mask.kind = "measured" a file that says what was measured (a dataset mask, or a header)',
            came="neither",
            remedy="choose another mask.kind for fully sampled data, or write the mask beside the k-space",
        )
    return data


def kspace_case(config: Config, index: int, name: str) -> Case:
    """Case number ``index``.

    Parameters
    ----------
    config, index
        As in `read_slice`.
    name
        Of the case.

    Raises
    ------
    DataError
        As `read_slice`, or if the calibration lines are too few, or the maps do not explain the k-space.
    """
    data = read_slice(config, index)
    everything = torch.ones(config.operator.shape, dtype=torch.bool) if data.measured is None else data.measured
    mask, masks = _masks(config, everything)
    notes = list(data.notes)
    make: functools.partial[LinearOperator] = functools.partial(Fourier)
    maps = None
    if config.operator.kind == "multicoil":
        found = _coil_maps(config, index, data, mask & everything, everything)
        maps, notes = found.values, [*notes, found.note]
        make = functools.partial(MultiCoilFourier, sensitivities=maps)
    scan = KSpaceScan(data.kspace, mask, masks, make, measured=data.measured)
    measured = scan(sampling_fraction(mask))
    truth, source = _truth(config, data, maps, everything, measured.operator, notes)
    file, _ = file_slices(config)[index]
    whole = config.data.every is not None or bool(config.data.slices)
    return Case(
        name=name,
        patient=patients(config)[file] or (config.path(config.data.files[file]).stem if whole else name),
        modality="mri",
        operator=measured.operator,
        measurement=measured.measurement,
        truth=truth,
        truth_source=source,
        noise_std=data.noise_std if math.isfinite(data.noise_std) else None,
        resample=None if config.operator.mask.kind == "measured" else scan,
        repattern=None
        if config.operator.mask.kind == "measured"
        else MaskPatterns(scan, derived_seed(config.audit.seed, "pattern")),
        notes=tuple(notes),
    )


def _masks(config: Config, everything: Tensor) -> tuple[Tensor, Masks]:
    """The mask and its family; of an undersampled scan that of the file, without a family."""
    if config.operator.mask.kind == "measured":
        return everything, lambda fraction: everything
    return mask_family(config)


def _coil_maps(config: Config, index: int, data: KSpaceData, mask: Tensor, everything: Tensor) -> _Maps:
    section, kspace = config.operator.maps, data.kspace[0]
    number, row = file_slices(config)[index]
    if section.kind == "given":
        assert section.file is not None
        path = config.path(section.file.replace("{stem}", Path(config.data.files[number]).stem))
        shape = (int(kspace.shape[0]), int(kspace.shape[1]), int(kspace.shape[2]))
        values = read_coil_maps(path, shape, key=section.dataset, index=row)
        how = f"coil maps from {path.name}"
    else:
        region = calibration_region(mask, most=section.calibration)
        size = f"{region[0].stop - region[0].start} x {region[1].stop - region[1].start}"
        if section.kind == "espirit":
            found = espirit(kspace, region, kernel=section.kernel, threshold=section.threshold, crop=section.crop)
            values = found.maps
            how = (
                f"coil maps by ESPIRiT from the central {size} samples, all measured under the audit's mask: patches of {section.kernel} x "
                f"{section.kernel}, {found.kept} of {found.of} singular vectors above {section.threshold:g}, 0 where the largest eigenvalue is "
                f"below {section.crop:g}"
            )
        else:
            values = low_resolution(kspace, region)
            how = f"coil maps from the low-resolution image of the central {size} samples, all measured under the audit's mask (Hann window)"
    if not bool(values.any()):
        raise DataError(
            data.source,
            expected="coil maps that see something",
            came="maps that are 0 everywhere",
            remedy="more calibration lines, a smaller [operator] maps.kernel or a lower maps.crop",
        )
    share = explained(data.kspace, values, everything)
    seen = float((values != 0).any(0).double().mean())
    if share < LEAST_EXPLAINED and not data.prospective:
        raise DataError(
            data.source,
            expected=f"coil maps through which one image explains at least {100 * LEAST_EXPLAINED:.0f} % of the energy of the k-space",
            came=f"{100 * share:.1f} %, with maps that see {100 * seen:.0f} % of the pixels ({how})",
            remedy="give the maps of these coils in their order, or more calibration lines, or lower [operator] maps.crop",
        )
    said = (
        ""
        if data.prospective
        else f"; one image seen through them explains {100 * share:.2f} % of the energy of the measured k-space"
    )
    return _Maps(values, f"{how}; they see {100 * seen:.0f} % of the pixels{said}")


def _truth(
    config: Config, data: KSpaceData, maps: Tensor | None, everything: Tensor, scanned: LinearOperator, notes: list[str]
) -> tuple[Tensor | None, TruthSource]:
    """The image that errors are counted against, and where it is from."""
    wanted = config.data.truth or ("none" if data.prospective else "reconstruction")
    if wanted == "none":
        return None, "none"
    if wanted == "reconstruction" and data.prospective:
        raise DataError(
            data.source,
            expected='[data] truth = "none" or "file" for an undersampled scan',
            came='"reconstruction"',
            remedy="there are no samples to make one from",
        )
    whole: LinearOperator = Fourier(everything) if maps is None else MultiCoilFourier(everything, maps)
    if wanted == "reconstruction":
        return whole.pseudo_inverse(data.kspace * everything), "full reconstruction"
    shape = tuple(everything.shape)
    if data.shown is None or tuple(data.shown.shape[2:]) != shape:
        came = "no image" if data.shown is None else f"one of {data.shown.shape[2]} x {data.shown.shape[3]} pixels"
        raise DataError(
            data.source,
            expected=f'for [data] truth = "file" an image of {shape[0]} x {shape[1]} pixels in the file, the grid of the reconstruction',
            came=came,
            remedy='set [operator] size (and width) to its size, or [data] truth to "reconstruction" or "none"',
        )
    if data.prospective:
        region = calibration_region(everything)
        centre = torch.zeros_like(everything)
        centre[region] = True
        phase = scanned.pseudo_inverse(data.kspace * centre)
        notes.append(
            "the truth is the file's magnitude image with the phase of the calibration lines, since the file has no phase"
        )
    else:
        phase = whole.pseudo_inverse(data.kspace * everything)
        notes.append("the truth is the file's magnitude image with the phase of the reconstruction of all samples")
    return data.shown * torch.exp(1j * phase.angle()).to(torch.complex64), "reference in the file"


__all__ = ["LEAST_EXPLAINED", "MAPS", "kspace_case", "read_slice"]
