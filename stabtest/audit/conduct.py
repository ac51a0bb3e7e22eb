"""Run a plan: gates, then the units that are missing, then the document.

The order matters. The criteria are frozen (their hash and the time are written down) before any result is loaded; a later
change of the criteria in the same folder is a deviation that the report names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from stabtest.audit.document.assemble import assemble
from stabtest.audit.document.sidecar import export_pictures
from stabtest.audit.document.witnesses import export_witnesses
from stabtest.audit.gates import run_gates
from stabtest.audit.units.engine import Event, run_units
from stabtest.audit.units.laboratory import MakeLaboratory
from stabtest.audit.units.plan import Plan
from stabtest.audit.units.store import Store, write_atomically
from stabtest.errors import AuditError, refused
from stabtest.findings import Document, Verdict


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Parameters
    ----------
    document
        Everything, as in ``report.json``.
    out_dir
        Where the results are.
    """

    document: Document
    out_dir: Path

    @property
    def complete(self) -> bool:
        """Whether every unit was measured."""
        return not self.document.failures

    @property
    def failed(self) -> bool:
        """Whether a criterion FAILED."""
        return any(finding.verdict is Verdict.FAIL for finding in self.document.findings)


@dataclass(frozen=True)
class Frozen:
    """The criteria of a folder: when they were first written down, and what was changed since."""

    when: str
    deviations: tuple[str, ...]
    late: bool = False
    """Whether results had been computed before."""


def run(
    plan: Plan,
    out_dir: str | Path = "stabtest-audit",
    *,
    workers: int = 0,
    scheduler: str | None = None,
    progress: Callable[[Event], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> AuditResult:
    """Run an audit, or go on with one.

    Parameters
    ----------
    plan
        From `stabtest.audit.make_plan`.
    out_dir
        Folder of the results; what it holds of this plan is not measured again.
    workers
        Number of processes; 0 or 1 = this one.
    scheduler
        Address of a Dask scheduler whose workers measure instead (`stabtest.audit.units.cluster`).
    progress
        Told what happens to each unit.
    tell
        Told what is done before the first unit.

    Returns
    -------
    AuditResult
        With the document; `stabtest.report.write_report` renders it.

    Raises
    ------
    StabtestError
        If data, network or folder are wrong. Nothing is written then.
    KeyboardInterrupt
        If interrupted; run it again to go on.
    """
    out = Path(out_dir)
    require_writable(out)
    with one_thread():
        gates = run_gates(plan, tell=tell)
        store = Store(out / "units")
        store.sweep()
        frozen = freeze_criteria(plan, out)
        gpu = torch.device(plan.device).type != "cpu"
        make = MakeLaboratory.of(plan)
        ran = run_units(plan.units, make, store, workers=workers, scheduler=scheduler, gpu=gpu, progress=progress)
        document = assemble(
            plan, store, gates=gates, ran=ran, frozen=frozen.when, deviations=frozen.deviations, exploratory=frozen.late
        )
        export_witnesses(plan, store, document, out / "witnesses")
        export_pictures(plan, store, document, out / "pictures")
    return AuditResult(document, out)


@contextmanager
def one_thread() -> Generator[None]:
    """One thread of PyTorch on the CPU while the block runs.

    The order of summation depends on the number of threads, so that only a fixed number gives the same result with any number
    of workers; and where another program keeps the cores busy, threads that wait for each other are slower by orders of
    magnitude.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require_writable(out: Path) -> None:
    """Refuse a folder that results cannot go to before minutes are spent on the gates. Nothing is written.

    Raises
    ------
    AuditError
        If there is a file of that name or above it, or the folder may not be written.
    """
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists() or place.is_symlink())
    if not there.is_dir():
        came = "a file" if there == out.absolute() else f"{there}, which is a file"
    elif not os.access(there, os.W_OK | os.X_OK):
        came = f"{there}, which may not be written"
    else:
        return
    raise AuditError(str(out), expected="a folder that can be written", came=came, remedy="choose another: --out")


def freeze_criteria(plan: Plan, out: Path) -> Frozen:
    """Write down the criteria before results are loaded, or compare them with those that were.

    Raises
    ------
    AuditError
        If the folder cannot be written.
    """
    path = out / "criteria.json"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    criteria = [criterion.model_dump(mode="json") for criterion in plan.config.criterion]
    history = _history(path)
    known = [entry for entry in history if entry["sha256"] == plan.criteria_sha256]
    if not known:
        history.append({"sha256": plan.criteria_sha256, "frozen": now, "criteria": criteria})
        try:
            write_atomically(path, json.dumps(history, indent=1).encode())
        except OSError as error:
            raise refused(str(path), error, remedy="make room, or choose another folder: --out") from error
    first = history[0]
    when = (known or history)[-1]["frozen"]
    if first["sha256"] == plan.criteria_sha256:
        return Frozen(when, ())
    changed = (
        f"The criteria were changed on {when}, after results had been computed under those frozen on {first['frozen']} "
        f"(SHA-256 {first['sha256'][:12]}); their verdicts are exploratory."
    )
    return Frozen(when, (changed,), late=True)


def _history(path: Path) -> list[dict[str, Any]]:
    """The criteria that this folder has seen, first ones first; a damaged file counts as none."""
    try:
        history = json.loads(path.read_bytes())
        return [entry for entry in history if isinstance(entry["sha256"], str) and isinstance(entry["frozen"], str)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
