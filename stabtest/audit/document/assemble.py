"""From measured rows to the document: findings with verdicts, a few pictures, limits and deviations.

Results are read one unit at a time. Which pictures are shown is a rule fixed beforehand (`stabtest.audit.document.pictures`), not a
choice made after looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from stabtest.audit.cases import case_operator
from stabtest.audit.cases.groups import groups_of
from stabtest.audit.cases.measured_kspace import MAPS
from stabtest.audit.cases.separation import separation
from stabtest.audit.cases.trajectory import trajectory_words
from stabtest.audit.config import Config
from stabtest.audit.document.brackets import join_gains
from stabtest.audit.document.imaging_sections import detectability_section, image_quality_section, kernel_section, shift_section
from stabtest.audit.document.judge import judge
from stabtest.audit.document.limitations import deviations_of, limitations
from stabtest.audit.document.pictures import choose_pictures
from stabtest.audit.document.provenance import input_files, tool
from stabtest.audit.document.sections import (
    lipschitz_section,
    missed_lesion_section,
    noise_section,
    sampling_section,
    structure_section,
    worst_case_section,
)
from stabtest.audit.fingerprint import digest
from stabtest.audit.privacy import public, without_folders
from stabtest.audit.units.engine import Ran
from stabtest.audit.units.plan import Plan, Unit
from stabtest.audit.units.store import Result, Store
from stabtest.findings import Document
from stabtest.findings.detectability_rows import DetectabilityRow
from stabtest.findings.document import (
    CaseInfo,
    Cost,
    DataInfo,
    RepeatabilitySection,
)
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow, SfrcRow
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.noise_rows import NoiseRow, RepeatabilityRow
from stabtest.findings.physics_rows import BiasRow, NoisePowerRow, TransferRow, UniformityRow
from stabtest.findings.records import (
    BoundRow,
    Bracket,
    Failure,
    Gate,
    LayerRow,
    NormalisedRow,
    PatternRow,
    QualityRow,
    Record,
    SamplingRow,
    StructureRow,
    WorstCaseRow,
)
from stabtest.findings.shift_rows import ShiftRow
from stabtest.stability import summarise

Row = TypeVar("Row", bound=Record)


def assemble(
    plan: Plan,
    store: Store,
    *,
    gates: Sequence[Gate],
    ran: Ran,
    frozen: str,
    deviations: Sequence[str] = (),
    exploratory: bool = False,
) -> Document:
    """Join what the store holds of a plan.

    Parameters
    ----------
    plan, store
        What was planned, and what was measured of it.
    gates
        From `stabtest.audit.gates.run_gates`.
    ran
        From `stabtest.audit.units.engine.run_units`.
    frozen
        When the criteria were written down.
    deviations
        What went otherwise than planned so far.
    exploratory
        Whether the criteria came after results.

    Returns
    -------
    Document
    """
    config = plan.config
    results = [(unit, result) for unit in plan.units if (result := store.get(unit.key)) is not None]
    cases = _cases(results)
    patients = {case.name: case.patient for case in cases}

    def rows(kind: type[Row]) -> list[Row]:
        return [row for _, result in results for row in result.rows if isinstance(row, kind)]

    tested = plan.subjects[0].method.name
    reference = next((subject.method.name for subject in plan.subjects if subject.role == "reference"), None)
    failures = [Failure(unit=label, error=without_folders(error, config)) for label, error in ran.failures]
    brackets = join_gains(rows(Bracket), rows(WorstCaseRow), tested)
    findings = summarise(
        [*(row for _, result in results for row in result.rows if not isinstance(row, Bracket)), *brackets],
        roles={subject.method.name: subject.role for subject in plan.subjects},
        patients=patients,
        gates=gates,
    )
    pictures, left_out = choose_pictures(plan, store, results)
    configuration = public(config.model_dump(mode="json"))
    return Document(
        id=plan.id,
        title=config.audit.title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=tool(plan.device),
        command=plan.command,
        configuration=configuration,
        configuration_sha256=digest(configuration),
        seed=config.audit.seed,
        modality=config.modality,
        items=[subject.item for subject in plan.subjects],
        operator=_operator(config),
        data=_data(config, cases),
        gates=list(gates),
        quality=rows(QualityRow),
        worst_case=worst_case_section(config, rows(WorstCaseRow)),
        structure=structure_section(config, rows(StructureRow)),
        missed_lesion=missed_lesion_section(config, rows(MissedLesionRow)),
        sampling=sampling_section(config, rows(SamplingRow), rows(PatternRow), patients),
        noise=noise_section(config, rows(NoiseRow)),
        repeatability=RepeatabilitySection(rows=again) if (again := rows(RepeatabilityRow)) else None,
        image_quality=image_quality_section(
            config, rows(TransferRow), rows(NoisePowerRow), rows(BiasRow), rows(UniformityRow), patients
        ),
        shift=shift_section(config, rows(ShiftRow), cases, patients),
        detectability=detectability_section(config, rows(DetectabilityRow), tested, reference, patients),
        kernel=kernel_section(config, rows(KernelErrorRow), rows(KernelTransferRow), rows(SfrcRow)),
        lipschitz=lipschitz_section(rows(LayerRow), brackets, rows(BoundRow), rows(NormalisedRow)),
        criteria=list(config.criterion),
        criteria_sha256=plan.criteria_sha256,
        criteria_frozen=frozen if config.criterion else None,
        criteria_profile=config.criteria.profile,
        exploratory=exploratory,
        findings=judge(findings, config.criterion, tested=tested, failures=failures, reference=reference),
        failures=failures,
        deviations=[*deviations, *deviations_of(plan, gates, ran), *left_out],
        limitations=limitations(config, cases),
        pictures=pictures,
        cost=Cost(
            wall_seconds=round(sum(result.seconds for _, result in results), 1),
            units=len(plan.units),
            gradient_evaluations=sum(result.evaluations for _, result in results),
            resumed_units=ran.resumed,
        ),
    )


def _cases(results: Sequence[tuple[Unit, Result]]) -> list[CaseInfo]:
    """Each case once, in the order of the plan."""
    found: dict[str, CaseInfo] = {}
    for _, result in results:
        if result.case is not None:
            found.setdefault(result.case.name, result.case)
    return list(found.values())


def _operator(config: Config) -> dict[str, str | int | float]:
    """The forward model in words and figures; of measured k-space that of the first case."""
    described, section = case_operator(config).describe(), config.operator.maps
    if config.operator.has_trajectory:
        described = {**described, **trajectory_words(config)}
    if not config.operator.has_coils:
        return described
    used: dict[str, tuple[str, ...]] = {
        "low-resolution": ("calibration",),
        "espirit": ("calibration", "kernel", "threshold", "crop"),
    }
    chosen = {f"coil maps: {_MAPS_SAID[key]}": getattr(section, key) for key in used.get(section.kind, ())}
    return {**described, "coil maps": MAPS[section.kind], **chosen}


_MAPS_SAID = {
    "calibration": "rows and columns of the centre used, at most",
    "kernel": "side of a patch, samples",
    "threshold": "least singular value kept, relative",
    "crop": "0 where the eigenvalue is below",
}
"""What the settings of estimated coil maps are called in the report."""


def _data(config: Config, cases: list[CaseInfo]) -> DataInfo:
    data = config.data
    if data.kind == "phantom":
        seeds = f"seeds {data.first_seed} to {data.first_seed + data.count - 1}"
        source = f"simulated {data.phantom} phantoms, {seeds}, measured on a grid twice as fine, Gaussian noise {data.noise:g}"
    elif data.kind == "images":
        source = f"{len(data.files)} image file{'' if len(data.files) == 1 else 's'}, measured on a grid twice as fine, Gaussian noise {data.noise:g}"
    else:
        source = f"real {'k-space' if data.kind == 'kspace' else 'projections'} from {len(data.files)} file{'' if len(data.files) == 1 else 's'}"
        source += f", {len(cases)} slices" if data.slices or data.every is not None else ""
    groups = groups_of(config)
    cases = [case.model_copy(update={"group": groups.get(case.name)}) for case in cases]
    return DataInfo(
        source=source, simulated=data.simulated, cases=cases, files=input_files(config), separation=separation(config)
    )
