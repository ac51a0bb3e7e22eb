"""From measured rows to the document: findings with verdicts, a few pictures, limits and deviations.

Results are read one unit at a time. Which pictures are shown is a rule fixed beforehand (`stabtest.audit.pictures`), not a
choice made after looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar

from stabtest.audit.brackets import join_gains
from stabtest.audit.cases import case_operator
from stabtest.audit.config import Config
from stabtest.audit.engine import Ran
from stabtest.audit.fingerprint import digest
from stabtest.audit.groups import groups_of
from stabtest.audit.judge import judge
from stabtest.audit.limits import deviations_of, limitations
from stabtest.audit.measured_kspace import MAPS
from stabtest.audit.measures import sampling_levels, shift_test, worst_case_test
from stabtest.audit.pictures import choose_pictures
from stabtest.audit.plan import Plan, Unit
from stabtest.audit.privacy import public, without_folders
from stabtest.audit.provenance import input_files, tool
from stabtest.audit.separation import separation
from stabtest.audit.simulate import mask_family
from stabtest.audit.store import Result, Store
from stabtest.audit.trajectory import trajectory_words
from stabtest.findings import Document
from stabtest.findings.detectability_rows import DetectabilityRow
from stabtest.findings.document import (
    CaseInfo,
    Cost,
    DataInfo,
    DetectabilitySection,
    ImageQualitySection,
    KernelSection,
    LipschitzSection,
    MissedLesionSection,
    NoiseSection,
    RepeatabilitySection,
    SamplingSection,
    ShiftSection,
    StructureSection,
    WorstCaseSection,
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
from stabtest.operators import sampling_fraction
from stabtest.stability import statements, summarise
from stabtest.stability.detectability import compare, thresholds
from stabtest.stability.physics import contrast_statements
from stabtest.stability.physics.resolution import LEAST_CNR, LEAST_STEP
from stabtest.stability.shapes import name_of
from stabtest.stability.shift import statements as shift_statements
from stabtest.stability.structure import LEAST_DETECTABILITY, MOST_NULL_SPACE

Row = TypeVar("Row", bound=Record)

OBJECTIVES = {
    "clean": "distance to the clean reconstruction",
    "truth": "distance to the truth",
    "local": "largest local change from the clean reconstruction",
    "ssim": "loss of structural similarity to the clean reconstruction, 1 - SSIM",
}
"""What the search makes large, in words."""


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
        From `stabtest.audit.engine.run_units`.
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
        worst_case=_worst_case(config, rows(WorstCaseRow)),
        structure=_structure(config, rows(StructureRow)),
        missed_lesion=_missed_lesion(config, rows(MissedLesionRow)),
        sampling=_sampling(config, rows(SamplingRow), rows(PatternRow), patients),
        noise=_noise(config, rows(NoiseRow)),
        repeatability=RepeatabilitySection(rows=again) if (again := rows(RepeatabilityRow)) else None,
        image_quality=_image_quality(
            config, rows(TransferRow), rows(NoisePowerRow), rows(BiasRow), rows(UniformityRow), patients
        ),
        shift=_shift(config, rows(ShiftRow), cases, patients),
        detectability=_detectability(config, rows(DetectabilityRow), tested, reference, patients),
        kernel=_kernel(config, rows(KernelErrorRow), rows(KernelTransferRow), rows(SfrcRow)),
        lipschitz=_lipschitz(rows(LayerRow), brackets, rows(BoundRow), rows(NormalisedRow)),
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


def _worst_case(config: Config, rows: list[WorstCaseRow]) -> WorstCaseSection | None:
    section = config.worst_case
    if not section.enabled:
        return None
    return WorstCaseSection(
        domain=section.domain,
        objective=OBJECTIVES[section.objective],
        radii=sorted(section.radii),
        unit=section.unit,
        norm=section.norm,
        region=None if section.region is None else section.region.region.words,
        nonnegative=section.nonnegative,
        budget=f"{worst_case_test(config).budget}; the same for every method",
        rows=rows,
    )


def _structure(config: Config, rows: list[StructureRow]) -> StructureSection | None:
    section = config.structure
    if not section.enabled:
        return None
    unit = "pixels" if section.pixel_mm is None else f"mm (a pixel is {section.pixel_mm:g} mm)"
    heights = _and(section.contrasts)
    if section.shapes == ("lesion",):
        what = f"Round lesions of {_and(section.sizes.get('lesion', section.diameters))} {unit} diameter"
    else:
        each = (f"{name_of(shape)} ({_and(section.sizes.get(shape, section.diameters))})" for shape in section.shapes)
        what = f"Details of these shapes and sizes in {unit}: {', '.join(each)}"
        what += f"; the text is “{section.text}”" if "text" in section.shapes else ""
    description = (
        f"{what}, {heights} of the largest pixel in height, at {section.sites} places each, "
        "put into the object before it was measured; the noise is the same with and without."
    )
    return StructureSection(description=description, rows=rows)


def _and(values: Sequence[float]) -> str:
    return " and ".join(f"{value:g}" for value in values)


def _missed_lesion(config: Config, rows: list[MissedLesionRow]) -> MissedLesionSection | None:
    if not rows:
        return None
    test = config.missed_lesion.test()
    description = (
        f"The lesion that comes back least is searched: {test.box.words}; with a Gaussian edge, put into the object before it was measured. Only "
        f"lesions count that the data carry (detectability at least {LEAST_DETECTABILITY:g} where the noise is known, null-space share at most "
        f"{MOST_NULL_SPACE:g}). What was found is drawn, measured and reconstructed again by another program."
    )
    return MissedLesionSection(description=description, budget=f"{test.budget}; the same for every method", rows=rows)


def _sampling(
    config: Config, rows: list[SamplingRow], patterns: list[PatternRow], patients: dict[str, str]
) -> SamplingSection | None:
    if not config.sampling.enabled or not sampling_levels(config):
        return None
    what = _samples(config)
    return SamplingSection(
        description=f"The same object with nested sets of {what}: more is always a superset, with the same noise on common ones."
        + _against_itself(config),
        axis=what,
        trained_fraction=sampling_fraction(mask_family(config)[0]) if what == "k-space samples" else 1.0,
        rows=rows,
        statements=statements(rows, patients=patients),
        patterns=patterns,
    )


def _against_itself(config: Config) -> str:
    """What a truth that is made of all samples does to the end of the sweep."""
    itself = config.data.kind == "sinogram" or (config.data.kind == "kspace" and config.data.truth in (None, "reconstruction"))
    if not itself:
        return ""
    return (
        " The truth is the direct reconstruction of all samples, noise included: with all of them its own error is 0 by construction, and a method "
        "that removes noise is counted as wrong."
    )


def _samples(config: Config) -> Literal["k-space samples", "views", "spokes", "interleaves", "readouts"]:
    """What there is more or less of in the sampling sweep."""
    if config.operator.has_trajectory:
        return config.operator.trajectory.words
    return "views" if config.operator.kind == "radon" else "k-space samples"


def _noise(config: Config, rows: list[NoiseRow]) -> NoiseSection | None:
    if not rows:
        return None
    section = config.noise
    if section.kind == "poisson":
        words = f"photon counts, {section.photons:g} photons a ray at the level 1 and a largest line integral of {section.attenuation:g}"
    else:
        words = "Gaussian noise"
        if section.correlation:
            words += f" with a correlation of {section.correlation:g} between coils"
    added = ", added to what the scan holds already" if any(row.added for row in rows) else ""
    description = (
        f"{words[0].upper()}{words[1:]} in multiples of the scan's own level{added}; {section.draws} draws at each level, the same for "
        "every method."
    )
    return NoiseSection(
        description=description, trained=(section.trained[0], section.trained[1]) if section.trained else None, rows=rows
    )


def _image_quality(
    config: Config,
    transfer: list[TransferRow],
    power: list[NoisePowerRow],
    bias: list[BiasRow],
    uniformity: list[UniformityRow],
    patients: dict[str, str],
) -> ImageQualitySection | None:
    if not transfer:
        return None
    section = config.image_quality
    realisations, most = (max(row.realisations for row in rows) if rows else 1 for rows in (transfer, [*power, *bias]))
    scans = f"{most} scans with independent noise, the same for every method" if most > 1 else "One scan"
    edges = f" in {realisations} of them" if most > 1 else ""
    places = "one flat place" if section.sites == 1 else f"{section.sites} flat places"
    description = (
        f"{scans}. A disc of {section.diameter:g} pixels with a sharp edge is put into the object at {places}{edges}, at each contrast (height "
        "relative to the largest pixel). A curve counts where at least "
        f"{100 * LEAST_STEP:g} % of the edge came back, the edge is at least {LEAST_CNR:g} times the noise of the averaged change, and the data "
        f"carry the disc (detectability at least {LEAST_DETECTABILITY:g})."
    )
    return ImageQualitySection(
        description=description,
        transfer=transfer,
        noise_power=power,
        bias=bias,
        uniformity=uniformity,
        statements=contrast_statements(transfer, patients=patients),
    )


def _shift(config: Config, rows: list[ShiftRow], cases: Sequence[CaseInfo], patients: dict[str, str]) -> ShiftSection | None:
    if not rows:
        return None
    test, families = shift_test(config), {row.family for row in rows}
    said: list[str] = []
    if "object" in families:
        where = (
            "on the grid twice as fine that it was drawn on" if any(row.finer for row in rows) else "on the pixels of the truth"
        )
        said.append(f"The object is changed {where} and measured again with the same noise.")
    if "scan" in families:
        said.append("The scan departs from what the methods are told of it.")
    if "searched" in families and test.box is not None:
        grid = test.points ** len(test.box.names)
        ascents, steps = (f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((test.restarts, "ascent"), (test.steps, "step")))
        climbs = f", then {ascents} of at most {steps}" if test.restarts and test.steps else ""
        said.append(
            f"The worst shift of a box ({test.box.words}) is searched: {grid} points of a grid{climbs}; the same for every method."
        )
    without = [case.name for case in cases if case.truth == "none" and any(row.case == case.name for row in rows)]
    if without:
        said.append(
            f"Without a truth ({', '.join(without)}) no object can be measured anew: changes of the object, motion, errors of the geometry "
            "and the search were left out there, and no error can be given."
        )
    return ShiftSection(description=" ".join(said), rows=rows, statements=shift_statements(rows, patients=patients))


def _detectability(
    config: Config, rows: list[DetectabilityRow], tested: str, reference: str | None, patients: dict[str, str]
) -> DetectabilitySection | None:
    if not rows:
        return None
    section = config.detectability
    kind = (
        f"contrasts {', '.join(f'{c:g}' for c in section.contrasts)} of the largest pixel"
        if section.contrasts
        else f"contrasts at which an ideal observer of the raw data has a d′ of {', '.join(f'{level:g}' for level in section.levels)}"
    )
    about = {
        "measurement": "the measurement itself, whose noise then belongs to the object",
        "truth": "the measured true image",
    }
    description = (
        f"Discs of {', '.join(f'{d:g}' for d in section.diameters)} px at {section.sites} {'place' if section.sites == 1 else 'places'} of "
        f"each case, {kind}. {section.realisations} images of fresh noise with the lesion and {section.realisations} without are "
        f"reconstructed and scored by observers who know lesion and place. Noise is added to {about[section.background]}."
    )
    found = thresholds(rows)
    others = [method for method in dict.fromkeys(row.method for row in rows) if reference is not None and method != reference]
    ratios = [
        one for method in others for one in compare(found, method=method, reference=reference or tested, patients=patients)
    ]
    return DetectabilitySection(description=description, rows=rows, thresholds=found, ratios=ratios)


def _kernel(
    config: Config, errors: list[KernelErrorRow], transfers: list[KernelTransferRow], rings: list[SfrcRow]
) -> KernelSection | None:
    if not errors:
        return None
    section = config.kernel
    unit = (
        "standard deviations of the noise"
        if all(row.data_unit == "sigma" for row in transfers)
        else "of the units in the table"
    )
    starts = f"{section.starts} random start{'' if section.starts == 1 else 's'}"
    description = (
        "Each image is split into what the scanner measures and what it cannot see. Details at most "
        f"{section.size:g} of the image in norm and {section.data:g} {unit} in the data are searched, by {starts} for each family "
        "of details and each image that they are added to (any change also from what the method shows beyond the image and what it "
        f"answers), each of at most {section.steps} evaluations, the same for every method."
    )
    note = (
        None
        if rings
        else "Scanning Fourier ring correlation was not computed: it has no thresholds of its own, and none were given."
    )
    return KernelSection(description=description, errors=errors, transfers=transfers, sfrc=rings, sfrc_note=note)


def _lipschitz(
    layers: list[LayerRow], brackets: list[Bracket], bounds: list[BoundRow], normalised: list[NormalisedRow]
) -> LipschitzSection | None:
    if not layers and not brackets:
        return None
    return LipschitzSection(layers=layers, brackets=brackets, bounds=bounds, normalised=normalised)
