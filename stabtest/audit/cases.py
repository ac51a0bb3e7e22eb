"""The cases of an audit: how many, what they are called, what they depend on, and making one."""

from __future__ import annotations

from typing import Any

from stabtest.audit.config import Config
from stabtest.audit.fingerprint import file_sha256
from stabtest.audit.measured import measured_case
from stabtest.audit.naming import case_names
from stabtest.audit.own_operator import own_files
from stabtest.audit.simulate import simulate
from stabtest.errors import DataError
from stabtest.findings.document import CaseInfo
from stabtest.stability.cases import Case


def check_data(config: Config) -> None:
    """See that every file of the data is there, before anything is computed.

    Raises
    ------
    DataError
        If one is missing.
    """
    named = (config.operator.mask.file, config.operator.matrix)
    for name in (*config.data.files, *(name for name in named if name is not None)):
        try:
            there, came = config.path(name).is_file(), "nothing"
        except OSError as error:  # a name that the file system cannot have
            there, came = False, error.strerror or str(error)
        if not there:
            raise DataError(
                str(config.path(name)), expected="a file", came=came, remedy="relative paths start at the configuration"
            )


def case_fingerprint(config: Config, index: int) -> dict[str, Any]:
    """Everything that a case depends on, beside the audit's seed and the code."""
    operator = config.operator.model_dump(mode="json", exclude_defaults=False)
    if config.operator.mask.file is not None:
        operator["mask"] = file_sha256(config.path(config.operator.mask.file))
    data = config.data
    if data.kind == "phantom":
        what: dict[str, Any] = {"phantom": data.phantom, "seed": data.first_seed + index, "noise": data.noise}
    elif data.kind == "images":
        what = {
            "file": file_sha256(config.path(data.files[index])),
            "row": data.row,
            "zero": data.zero,
            "one": data.one,
            "noise": data.noise,
        }
    else:
        what = {"file": file_sha256(config.path(data.files[index])), "row": data.row, "span": data.span}
    if config.operator.kind == "own":
        what["sources"] = own_files(config)
    return {"kind": data.kind, "operator": operator, **what}


def case_info(case: Case) -> CaseInfo:
    """What the report says about a case."""
    return CaseInfo(
        name=case.name,
        patient=case.patient,
        shape=list(case.operator.domain.shape[1:]),
        truth=case.truth_source,
        noise_std=case.noise_std,
        notes=list(case.notes),
    )


def make_case(config: Config, index: int) -> Case:
    """Simulate or read case number ``index``.

    Raises
    ------
    StabtestError
        If it cannot be had.
    """
    return simulate(config, index) if config.data.simulated else measured_case(config, index, case_names(config)[index])
