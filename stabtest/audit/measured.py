"""Cases from real measurements: k-space (`stabtest.audit.measured_kspace`) and sinograms.

Of a CT scan some views are chosen; the truth is the filtered back-projection of all of them, noise included, which is the best that the scanner
can show and not the object.
"""

from __future__ import annotations

import math

import torch

from stabtest.audit.config import Config
from stabtest.audit.measured_kspace import kspace_case
from stabtest.audit.patterns import ViewPatterns
from stabtest.audit.scans import ViewSelection
from stabtest.audit.simulate import derived_seed
from stabtest.data import read_data_exchange
from stabtest.operators import Radon
from stabtest.stability.cases import Case


def measured_case(config: Config, index: int, name: str) -> Case:
    """Read case number ``index`` of a configuration.

    Parameters
    ----------
    config
        With ``[data] kind = "kspace"`` or ``"sinogram"``.
    index
        Which case: one of ``[data] files``, or of their slices.
    name
        Of the case.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind, or does not fit the operator.
    """
    if config.data.kind == "kspace":
        return kspace_case(config, index, name)
    patient = config.data.patients[index] if config.data.patients else name
    path = config.path(config.data.files[index])
    return _sinogram(config, str(path), name, patient)


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
