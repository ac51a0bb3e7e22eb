"""Cases from measured sinograms.

Of a scan some views are chosen; the truth is the filtered back-projection of all of them, noise included, which is the best that the scanner
can show and not the object.
"""

from __future__ import annotations

import math

import torch

from stabtest.audit.cases.patterns import ViewPatterns
from stabtest.audit.cases.scans import ViewSelection
from stabtest.audit.cases.simulate import derived_seed
from stabtest.audit.config import Config
from stabtest.data import read_data_exchange
from stabtest.operators import Radon
from stabtest.stability.cases import Case


def sinogram_case(config: Config, index: int, name: str) -> Case:
    """Case number ``index``: one of ``[data] files``.

    Parameters
    ----------
    config
        With ``[data] kind = "sinogram"``.
    index
        Which file.
    name
        Of the case.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind, or does not fit the operator.
    """
    operator = config.operator
    data = read_data_exchange(
        str(config.path(config.data.files[index])),
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
        patient=config.data.patients[index] if config.data.patients else name,
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
