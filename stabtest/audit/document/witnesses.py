"""The perturbations behind the findings, one file each, for whoever wants to check them.

Each file says what it is (`stabtest.search.witness_file`), so that ``stabtest replay`` can put it into another network without
the report. The measurement itself is not in it: it may be a patient's. A file with the measurement is made by
`stabtest.search.witness_of` with ``keep_measurement``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from stabtest import __version__
from stabtest.audit.cases import make_case
from stabtest.audit.config import Config
from stabtest.audit.measures import worst_case_test
from stabtest.audit.subject import Subject
from stabtest.audit.units.plan import Plan
from stabtest.audit.units.store import Store
from stabtest.errors import DataError, refused
from stabtest.findings import Document
from stabtest.findings.records import WorstCaseRow
from stabtest.search.probe import fingerprint, probe
from stabtest.search.witness import Witness
from stabtest.search.witness_file import save_witness
from stabtest.stability.cases import Case


def export_witnesses(plan: Plan, store: Store, document: Document, folder: Path) -> list[Path]:
    """Write ``folder/<name>.npz`` for every witness that a finding names.

    Parameters
    ----------
    plan, store
        Where the witnesses come from.
    document
        Whose findings name them.
    folder
        Made if there is something to write.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    AuditError
        If a file cannot be written.
    StabtestError
        If the case of a witness cannot be had any more.
    """
    wanted = {finding.witness for finding in document.findings if finding.witness}
    subjects = {subject.method.name: subject for subject in plan.subjects}
    written: list[Path] = []
    for unit in plan.units:
        if not wanted:
            break
        result = store.get(unit.key)
        rows = {row.witness: row for row in (result.rows if result else ()) if isinstance(row, WorstCaseRow)}
        if not wanted & set(rows):
            continue
        arrays, case = store.witnesses(unit.key), make_case(plan.config, unit.index)
        for name in sorted(wanted & set(rows) & set(arrays)):
            path = folder / f"{name}.npz"
            try:
                save_witness(path, described(arrays[name], rows[name], case, subjects[unit.method], plan.config))
            except DataError as error:
                cause = error.__cause__ if isinstance(error.__cause__, OSError) else OSError(error.came)
                raise refused(f"witness {path}", cause, remedy="make room and run the same command again") from error
            written.append(path)
            wanted.discard(name)
    return written


def described(perturbation: NDArray[Any], row: WorstCaseRow, case: Case, subject: Subject, config: Config) -> Witness:
    """A stored perturbation with what its row, its case and its method know of it.

    Parameters
    ----------
    perturbation
        In the domain of the search, without the batch axis.
    row, case, subject
        What was measured, on which measurement, of which method.
    config
        Of the audit.
    """
    test = worst_case_test(config)
    budget: dict[str, str | int | float] = {"evaluations": test.evaluations, "spent": row.evaluations, "status": row.status}
    if test.restarts is not None:
        budget["restarts"] = test.restarts
    return Witness(
        perturbation=torch.from_numpy(perturbation)[None],
        domain=row.domain,
        norm=row.norm,
        radius=torch.tensor([row.radius_absolute], dtype=torch.float64),
        relative_radius=torch.tensor([row.radius], dtype=torch.float64) if row.unit == "relative" else None,
        region=None if test.region is None else test.region.of(case.operator),
        floor=(-case.measurement).clamp_max(0) if test.nonnegative else None,
        objective=row.objective,
        seed=config.audit.seed,
        budget=budget,
        operator=case.operator.describe(),
        operator_probe=probe(case.operator),
        measurement_sha256=(fingerprint(case.measurement[0]),),
        cases=(row.case,),
        network=row.method,
        network_sha256=subject.item.weights_sha256 or subject.fingerprint,
        relative_change=torch.tensor([row.relative_change], dtype=torch.float64),
        gain=torch.tensor([row.gain], dtype=torch.float64),
        violation=torch.tensor([row.violation], dtype=torch.float64),
        version=__version__,
    )
