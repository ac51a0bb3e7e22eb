"""The cases of an audit: how many, what they are called, what they depend on, and making one."""

from __future__ import annotations

from typing import Any

from stabtest.audit.cases.measured_kspace import kspace_case, read_slice
from stabtest.audit.cases.measured_sinogram import sinogram_case
from stabtest.audit.cases.naming import case_names
from stabtest.audit.cases.own_operator import own_files
from stabtest.audit.cases.simulate import make_operator, simulate
from stabtest.audit.cases.slices import file_slices, maps_files
from stabtest.audit.cases.trajectory import trajectory_files
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import file_sha256, known_sha256
from stabtest.errors import DataError
from stabtest.findings.document import CaseInfo
from stabtest.operators import LinearOperator
from stabtest.operators.noncartesian import require_finufft
from stabtest.stability.cases import Case


def check_data(config: Config) -> None:
    """See that every file of the data is there, and what a non-Cartesian scan takes, before anything is computed.

    Raises
    ------
    DataError
        If a file is missing.
    OperatorError
        If pytorch-finufft is needed and not installed.
    """
    if config.operator.has_trajectory:
        require_finufft()
    named = (config.operator.mask.file, config.operator.matrix, *maps_files(config), *trajectory_files(config))
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
    if named := trajectory_files(config):
        operator["trajectory files"] = [file_sha256(config.path(name)) for name in named]
    data = config.data
    if data.kind == "kspace":
        return {"kind": data.kind, "operator": operator, **_kspace_fingerprint(config, index)}
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


def _kspace_fingerprint(config: Config, index: int) -> dict[str, Any]:
    """Of a slice: its file, where it lies in it, how it is read, and the file of its maps."""
    data, (number, row) = config.data, file_slices(config)[index]
    what: dict[str, Any] = {
        "file": known_sha256(config.path(data.files[number])),
        "row": row,
        "field": data.field_of_view,
        "truth": data.truth,
    }
    maps = maps_files(config)
    return what | ({"maps": known_sha256(config.path(maps[number if len(maps) > 1 else 0]))} if maps else {})


def case_operator(config: Config) -> LinearOperator:
    """The forward model of a configuration; of measured k-space that of the first case, since only the file knows it.

    Raises
    ------
    StabtestError
        If it cannot be had.
    """
    return make_case(config, 0).operator if config.data.kind == "kspace" else make_operator(config)


def check_case(config: Config, index: int) -> None:
    """Read case number ``index`` without computing what can be computed later: damage is found before hours are spent.

    Raises
    ------
    StabtestError
        If it cannot be had.
    """
    if config.data.kind == "kspace":
        read_slice(config, index)
    else:
        make_case(config, index)


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
    if config.data.simulated:
        return simulate(config, index)
    read = kspace_case if config.data.kind == "kspace" else sinogram_case
    return read(config, index, case_names(config)[index])


__all__ = ["case_fingerprint", "case_info", "case_names", "case_operator", "check_case", "check_data", "make_case"]
