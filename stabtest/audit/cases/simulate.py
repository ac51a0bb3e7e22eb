"""From a configuration to measured cases with known truth.

The object is drawn on a grid twice as fine as the one that is reconstructed, and measured through ``A.refine(2)``; nothing
is reconstructed on the grid it was simulated on (that would be the inverse crime of Colton and Kress, *Inverse Acoustic and
Electromagnetic Scattering Theory*). Noise is Gaussian and comes from the audit's seed. The truth is what an ideal scan would
show on the reconstruction's grid:

- MRI: the image of the fully sampled Cartesian k-space without noise (band-limited by the scan, not by the sampling), along trajectories too,
- CT: the mean of the object over each pixel.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from stabtest import phantoms
from stabtest.audit.cases.imaged import FINER, read_object
from stabtest.audit.cases.mask_file import read_mask
from stabtest.audit.cases.naming import case_names
from stabtest.audit.cases.own_operator import own_operator
from stabtest.audit.cases.patterns import AnglePatterns, MaskPatterns
from stabtest.audit.cases.scans import KSpaceScan, Masks, SinogramScan, masks_around
from stabtest.audit.cases.trajectory import Readouts, ReadoutScan, noncartesian, readouts
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import digest
from stabtest.errors import ConfigError
from stabtest.operators import (
    Averaged,
    BlockMean,
    FanBeam,
    Fourier,
    Identity,
    LinearOperator,
    MaskFamily,
    MultiCoilFourier,
    NonCartesian,
    Radon,
    ifft2c,
    sampling_fraction,
)
from stabtest.stability.cases import Case
from stabtest.tensors import randn

SAME_GRID = (
    "simulated with the discretisation that it is reconstructed with, since the operator has no finer one: "
    "errors of the discretisation are not seen, and methods look better than they are"
)
"""Note on cases of an operator without a ``refine`` of its own."""


def derived_seed(*parts: int | str) -> int:
    """A seed below 2^63 for one purpose, from the audit's seed and names.

    Examples
    --------
    >>> derived_seed(0, "noise", 3) == derived_seed(0, "noise", 3), derived_seed(0, "noise", 3) == derived_seed(1, "noise", 3)
    (True, False)
    """
    return int(digest(list(parts))[:15], 16)


def mask_family(config: Config) -> tuple[Tensor, Masks]:
    """The sampling mask of a configuration, boolean ``(H, W)``, and the nested family around it.

    Raises
    ------
    ConfigError, DataError, OperatorError
        If the mask cannot be made or read, or its shape is not that of the image.
    """
    shape, section = config.operator.shape, config.operator.mask
    if section.file is not None:
        mask = read_mask(config.path(section.file), shape)
        return mask, masks_around(mask, seed=derived_seed(config.audit.seed, "mask"))
    if section.kind == "measured":
        raise ConfigError(
            '[operator] mask.kind = "measured"', expected="the mask of a scan", came="a question before one was read"
        )
    family = MaskFamily(section.kind, shape, section.acceleration, section.centre_fraction, seed=section.seed)
    return family.trained, family.at


def make_operator(config: Config) -> LinearOperator:
    """The forward model of a configuration (with simulated coil maps for several coils).

    Raises
    ------
    StabtestError
        If the configuration does not describe one.
    """
    section = config.operator
    match section.kind:
        case "fourier":
            return Fourier(mask_family(config)[0])
        case "multicoil":
            return MultiCoilFourier(mask_family(config)[0], coil_maps(config))
        case "noncartesian" | "noncartesian-multicoil":
            return noncartesian(config, coil_seed=_coil_seed(config))
        case "radon":
            if section.geometry == "parallel":
                return Radon(section.size, section.angles, section.detectors)
            return FanBeam(
                section.size,
                section.angles,
                section.detectors,
                source_distance=section.source_distance,
                detector_distance=section.detector_distance,
                detector="flat" if section.geometry == "fan" else "curved",
            )
        case "identity":
            return Identity((section.size, section.size))
        case "own":
            return own_operator(config)


def coil_maps(config: Config) -> Tensor:
    """Simulated coil sensitivities ``(C, H, W)``."""
    return phantoms.coil_maps(config.operator.size, config.operator.coils, seed=_coil_seed(config))


def _coil_seed(config: Config) -> int:
    return derived_seed(config.audit.seed, "coils") % 2**31


def simulate(config: Config, index: int) -> Case:
    """Phantom or image number ``index`` of a configuration, measured.

    Parameters
    ----------
    config
        With ``[data] kind = "phantom"`` or ``"images"``.
    index
        From 0.

    Returns
    -------
    Case
        With its truth; each phantom, and each image whose patient is not known, is its own patient.

    Raises
    ------
    StabtestError
        If an image file cannot be read, or there is no such operator.
    """
    data, name = config.data, case_names(config)[index]
    if data.kind == "phantom":
        return _simulated(config, name, _fine(config, index), derived_seed(config.audit.seed, "noise", data.first_seed + index))
    found = read_object(config, index)
    fine = _kind_of_scan(config, found.fine)
    case = _simulated(config, name, fine, derived_seed(config.audit.seed, "noise", "image", name))
    return replace(case, patient=found.patient or name, truth_source="image in the file", notes=(*found.notes, *case.notes))


def _simulated(config: Config, name: str, fine: Tensor, noise_seed: int) -> Case:
    match config.operator.kind:
        case "fourier" | "multicoil":
            return _simulate_mri(config, name, fine, noise_seed)
        case "noncartesian" | "noncartesian-multicoil":
            return _simulate_noncartesian(config, name, fine, noise_seed)
        case "radon":
            return _simulate_ct(config, name, fine, noise_seed)
        case "identity":
            return _simulate_identity(config, name, fine, noise_seed)
        case "own":
            return _simulate_own(config, name, fine, noise_seed)


def finer_object(config: Config, case: Case) -> Tensor | None:
    """The object that a case was simulated from, ``(1, 1, 2 H, 2 W)`` on the device of the case; None for real data.

    Parameters
    ----------
    config
        That the case is of.
    case
        From `simulate`.
    """
    if not config.data.simulated:
        return None
    index = case_names(config).index(case.name)
    return _fine(config, index).to(case.measurement.device)


def _fine(config: Config, index: int) -> Tensor:
    """The object of case number ``index`` on the finer grid."""
    if config.data.kind == "images":
        return _kind_of_scan(config, read_object(config, index).fine)
    seed = config.data.first_seed + index
    return _kind_of_scan(config, phantoms.make(config.data.phantom, FINER * config.operator.size, seed=seed)[None])


def _kind_of_scan(config: Config, fine: Tensor) -> Tensor:
    """Complex for MRI and where the user's own operator is of complex images, real for what else."""
    section = config.operator
    if config.modality == "mri" or (section.kind == "own" and section.complex):
        return fine.to(torch.complex64)
    return fine.abs() if fine.is_complex() else fine


def _simulate_mri(config: Config, name: str, fine: Tensor, seed: int) -> Case:
    mask, masks = mask_family(config)
    everything = torch.ones_like(mask)
    if config.operator.kind == "multicoil":
        make: functools.partial[LinearOperator] = functools.partial(MultiCoilFourier, sensitivities=coil_maps(config))
    else:
        make = functools.partial(Fourier)
    full = make(everything)
    clean = full.refine(FINER).forward(fine)
    truth = ifft2c(Fourier(everything).refine(FINER).forward(fine))
    noise_std = config.data.noise * float(truth.abs().max())
    generator = torch.Generator().manual_seed(seed)
    noisy = clean + noise_std * randn(tuple(clean.shape), dtype=clean.dtype, generator=generator)
    scan = KSpaceScan(noisy, mask, masks, make)
    measured = scan(sampling_fraction(mask))
    return Case(
        name=name,
        patient=name,
        modality="mri",
        operator=measured.operator,
        measurement=measured.measurement,
        truth=truth,
        truth_source="phantom",
        noise_std=noise_std,
        resample=scan,
        noiseless=measured.operator.restrict(clean),
        repattern=MaskPatterns(scan, derived_seed(config.audit.seed, "pattern")),
    )


def _simulate_noncartesian(config: Config, name: str, fine: Tensor, seed: int) -> Case:
    everything = torch.ones(config.operator.shape, dtype=torch.bool)
    truth = ifft2c(Fourier(everything).refine(FINER).forward(fine))  # of the whole square of k-space, its corners too
    noise_std = config.data.noise * float(truth.abs().max())
    trained = len(readouts(config).places)

    def made(count: int) -> tuple[Readouts, NonCartesian]:
        number = None if count == trained else count
        return readouts(config, number), noncartesian(config, coil_seed=_coil_seed(config), count=number)

    scan = ReadoutScan(trained, made, lambda operator: operator.refine(FINER).forward(fine), noise_std, seed)
    measured = scan(trained)
    assert isinstance(measured.operator, NonCartesian)
    return Case(
        name=name,
        patient=name,
        modality="mri",
        operator=measured.operator,
        measurement=measured.measurement,
        truth=truth,
        truth_source="phantom",
        noise_std=noise_std,
        resample=scan,
        noiseless=scan.project(measured.operator),
    )


def _simulate_ct(config: Config, name: str, fine: Tensor, seed: int) -> Case:
    operator = make_operator(config)
    assert isinstance(operator, Radon | FanBeam)
    clean = operator.refine(FINER).forward(fine)
    noise_std = config.data.noise * float(clean.abs().max())
    scan = SinogramScan(operator, lambda other: other.refine(FINER).forward(fine), noise_std, seed)
    measured = scan(len(operator.angles))
    return Case(
        name=name,
        patient=name,
        modality="ct",
        operator=operator,
        measurement=measured.measurement,
        truth=F.avg_pool2d(fine, FINER),
        truth_source="phantom",
        noise_std=noise_std,
        resample=scan,
        noiseless=clean,
        repattern=AnglePatterns(scan, derived_seed(seed, "pattern")),
    )


def _simulate_identity(config: Config, name: str, fine: Tensor, seed: int) -> Case:
    truth = F.avg_pool2d(fine, FINER)
    noise_std = config.data.noise * float(truth.abs().max())
    noise = randn(tuple(truth.shape), dtype=truth.dtype, generator=torch.Generator().manual_seed(seed))
    return Case(
        name=name,
        patient=name,
        modality="other",
        operator=make_operator(config),
        measurement=truth + noise_std * noise,
        truth=truth,
        truth_source="phantom",
        noise_std=noise_std,
        noiseless=truth,
    )


def _simulate_own(config: Config, name: str, fine: Tensor, seed: int) -> Case:
    operator = own_operator(config)
    _, height, width = operator.domain.shape
    finer = operator.refine(FINER)
    clean = finer.forward(fine)
    noise_std = config.data.noise * float(clean.abs().max())
    noise = randn(tuple(clean.shape), dtype=clean.dtype, generator=torch.Generator().manual_seed(seed))
    return Case(
        name=name,
        patient=name,
        modality="other",
        operator=operator,
        measurement=operator.restrict(clean + noise_std * noise),
        truth=BlockMean((height, width), FINER, is_complex=fine.is_complex()).forward(fine),
        truth_source="phantom",
        noise_std=noise_std,
        noiseless=clean,
        notes=(SAME_GRID,) if isinstance(finer, Averaged) else (),
    )
