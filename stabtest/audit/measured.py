"""Cases from real measurements.

K-space is fully sampled and we apply the mask: the truth is then the reconstruction of all samples, noise included, which
is the best that the scanner can show and not the object. Of a CT scan some views are chosen; the truth is the filtered
back-projection of all of them, with the same reservation.
"""

from __future__ import annotations

import math

import torch

from stabtest.audit.config import Config
from stabtest.audit.patterns import MaskPatterns, ViewPatterns
from stabtest.audit.scans import KSpaceScan, ViewSelection
from stabtest.audit.simulate import derived_seed, mask_family
from stabtest.data import read_data_exchange, read_kspace
from stabtest.operators import Radon, sampling_fraction
from stabtest.stability.cases import Case


def measured_case(config: Config, index: int, name: str) -> Case:
    """Read file number ``index`` of a configuration.

    Parameters
    ----------
    config
        With ``[data] kind = "kspace"`` or ``"sinogram"``.
    index
        Which of ``[data] files``.
    name
        Of the case.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind, or does not fit the operator.
    """
    patient = config.data.patients[index] if config.data.patients else name
    path = config.path(config.data.files[index])
    if config.data.kind == "kspace":
        return _kspace(config, str(path), name, patient)
    return _sinogram(config, str(path), name, patient)


def _kspace(config: Config, path: str, name: str, patient: str) -> Case:
    size = config.operator.size
    data = read_kspace(path, size=size, index=config.data.row)
    mask, masks = mask_family(config)
    scan = KSpaceScan(data.kspace, mask, masks)
    measured = scan(sampling_fraction(mask))
    return Case(
        name=name,
        patient=patient,
        modality="mri",
        operator=measured.operator,
        measurement=measured.measurement,
        truth=data.reference,
        truth_source="full reconstruction",
        noise_std=data.noise_std if math.isfinite(data.noise_std) else None,
        resample=scan,
        repattern=MaskPatterns(scan, derived_seed(config.audit.seed, "pattern")),
        notes=data.notes,
    )


def _sinogram(config: Config, path: str, name: str, patient: str) -> Case:
    operator = config.operator
    data = read_data_exchange(
        path,
        row=config.data.row or 0,
        size=operator.size,
        views=operator.angles,
        detectors=operator.detectors,
        span=config.data.span,
    )
    where = torch.tensor([data.all_angles.index(angle) for angle in data.angles])
    scan = ViewSelection(data.all_views, data.all_angles, where, Radon(data.size, data.angles, data.detectors))
    return Case(
        name=name,
        patient=patient,
        modality="ct",
        operator=scan.operator,
        measurement=data.sinogram,
        truth=data.reference,
        truth_source="full reconstruction",
        noise_std=data.noise_std if math.isfinite(data.noise_std) else None,
        resample=scan,
        repattern=ViewPatterns(scan, derived_seed(config.audit.seed, "pattern")),
        notes=data.notes,
    )
