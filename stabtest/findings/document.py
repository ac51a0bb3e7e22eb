"""`report.json`: everything a report shows, as one validated document.

The HTML is rendered from this document alone, so that a script can compare the two. The JSON Schema is
``Document.model_json_schema()``; ``SCHEMA_VERSION`` grows when a reader of older documents would be misled.
"""

from __future__ import annotations

from typing import Any, Literal

from stabtest.findings.detectability_rows import DetectabilityRow, ThresholdRatioRow, ThresholdRow
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow, SfrcRow
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.noise_rows import NoiseRow, RepeatabilityRow
from stabtest.findings.physics_rows import BiasRow, ContrastStatement, NoisePowerRow, TransferRow, UniformityRow
from stabtest.findings.records import (
    BoundRow,
    Bracket,
    Failure,
    Gate,
    LayerRow,
    NormalisedRow,
    PatternRow,
    Picture,
    QualityRow,
    Record,
    SamplingRow,
    SamplingStatement,
    StructureRow,
    WorstCaseRow,
)
from stabtest.findings.shift_rows import ShiftRow, ShiftStatement
from stabtest.findings.verdicts import Criterion, Finding

SCHEMA_VERSION = 2
"""2: a radius of the worst case has a unit and a norm; in documents of version 1, which are read as before, it is relative and l2."""


class Tool(Record):
    """The software and machine that produced the document."""

    version: str
    commit: str | None
    python: str
    packages: dict[str, str]
    platform: str
    device: str
    threads: int


class Item(Record):
    """A method under test or for reference: what it is and where it came from."""

    name: str
    role: Literal["under test", "reference", "baseline"]
    description: str
    settings: dict[str, Any] = {}
    """For a network: takes, channels, scale; for a classical method: its parameters."""
    parameters: int | None = None
    weights_file: str | None = None
    weights_sha256: str | None = None
    card: dict[str, Any] | None = None
    """Model card: data, steps, seed, held-out metrics, loss curve."""
    intended_use: str | None = None


class CaseInfo(Record):
    """One image of the audit."""

    name: str
    patient: str
    shape: list[int]
    truth: Literal["phantom", "image in the file", "reference in the file", "full reconstruction", "none"]
    noise_std: float | None
    notes: list[str] = []
    group: str | None = None
    """The subgroup that the user put it into."""


class SeparationCheck(Record):
    """One comparison of the cases of the audit with those of the training."""

    what: str
    """What was compared, and by what."""
    audited: int
    training: int
    """How many there are on each side; none in the audit where the two cannot be compared."""
    shared: list[str]
    """Which of the audit's the training had too."""


class Separation(Record):
    """Whether the network is tried on what it was trained on, as far as that was compared."""

    statement: str = ""
    """How the cases were kept apart, in the user's words."""
    checks: list[SeparationCheck] = []


class DataInfo(Record):
    """Where the measurements came from, with the limits of what they can show."""

    source: str
    simulated: bool
    cases: list[CaseInfo]
    notes: list[str] = []
    files: dict[str, str] = {}
    """File name -> SHA-256."""
    separation: Separation | None = None
    """``None`` = written by an older version."""


class WorstCaseSection(Record):
    """Worst-case search over a curve of radii."""

    domain: Literal["measurement", "image"]
    objective: str
    radii: list[float]
    """In the ``unit``."""
    unit: Literal["relative", "noise", "absolute"] = "relative"
    norm: Literal["l2", "linf"] = "l2"
    region: str | None = None
    """Where the perturbation was allowed to live, in words; ``None`` = everywhere that is measured."""
    nonnegative: bool = False
    """Whether the perturbed measurement had to stay non-negative."""
    budget: str
    """The stated budget in words: evaluations, paths, starts."""
    rows: list[WorstCaseRow]


class StructureSection(Record):
    """Structural details put into the object."""

    description: str
    rows: list[StructureRow]


class MissedLesionSection(Record):
    """The lesion that came back least, as far as a search found it."""

    description: str
    budget: str
    """The stated budget in words."""
    rows: list[MissedLesionRow]


class SamplingSection(Record):
    """Fewer and more samples than the network was trained for."""

    description: str
    axis: Literal["k-space samples", "views", "spokes", "interleaves", "readouts"]
    trained_fraction: float | None
    rows: list[SamplingRow]
    statements: list[SamplingStatement]
    patterns: list[PatternRow] = []
    """Other patterns at the same fraction; empty where none were tried."""


class NoiseSection(Record):
    """Error, bias and spread against the level of noise."""

    description: str
    trained: tuple[float, float] | None = None
    """Lowest and highest level of training, where it was stated."""
    rows: list[NoiseRow]


class RepeatabilitySection(Record):
    """The same measurement again under conditions that should not matter."""

    rows: list[RepeatabilityRow]


class ImageQualitySection(Record):
    """Resolution by contrast, noise power, bias in flat regions and uniformity."""

    description: str
    transfer: list[TransferRow]
    noise_power: list[NoisePowerRow]
    """Empty where there is no noise to draw."""
    bias: list[BiasRow]
    """Empty where there is no truth."""
    uniformity: list[UniformityRow]
    statements: list[ContrastStatement]


class ShiftSection(Record):
    """Object and scan not quite as they should be."""

    description: str
    rows: list[ShiftRow]
    statements: list[ShiftStatement]
    """Empty where there is no truth."""


class DetectabilitySection(Record):
    """What observers could still tell from images of fresh noise."""

    description: str
    rows: list[DetectabilityRow]
    thresholds: list[ThresholdRow]
    ratios: list[ThresholdRatioRow]
    """Of every method over the reference, where both have a threshold."""


class KernelSection(Record):
    """What methods do where the scanner sees nothing."""

    description: str
    errors: list[KernelErrorRow]
    transfers: list[KernelTransferRow]
    sfrc: list[SfrcRow] = []
    """Empty without thresholds, which have no default."""
    sfrc_note: str | None = None


class LipschitzSection(Record):
    """The layer table and the brackets."""

    layers: list[LayerRow]
    brackets: list[Bracket]
    notes: list[str] = []
    bounds: list[BoundRow] = []
    """All upper bounds of the network alone that were computed."""
    normalised: list[NormalisedRow] = []


class Cost(Record):
    """What the audit cost."""

    wall_seconds: float
    """Sum over the units, resumed ones included; with several processes more than the time on the clock."""
    units: int
    gradient_evaluations: int
    resumed_units: int = 0


class Document(Record):
    """The whole of ``report.json``."""

    schema_version: int = SCHEMA_VERSION
    id: str
    title: str
    created: str
    """ISO 8601, UTC."""
    draft: bool = False
    tool: Tool
    command: str
    configuration: dict[str, Any]
    configuration_sha256: str
    seed: int
    modality: Literal["mri", "ct", "other"]
    items: list[Item]
    operator: dict[str, str | int | float]
    data: DataInfo
    gates: list[Gate]
    quality: list[QualityRow]
    worst_case: WorstCaseSection | None = None
    structure: StructureSection | None = None
    missed_lesion: MissedLesionSection | None = None
    sampling: SamplingSection | None = None
    noise: NoiseSection | None = None
    repeatability: RepeatabilitySection | None = None
    image_quality: ImageQualitySection | None = None
    shift: ShiftSection | None = None
    detectability: DetectabilitySection | None = None
    kernel: KernelSection | None = None
    lipschitz: LipschitzSection | None = None
    criteria: list[Criterion]
    criteria_sha256: str
    criteria_frozen: str | None
    criteria_profile: str | None = None
    """Name and version of the shipped criteria among them."""
    exploratory: bool = False
    """Whether the criteria came after results were known."""
    findings: list[Finding]
    failures: list[Failure] = []
    deviations: list[str] = []
    limitations: list[str] = []
    pictures: list[Picture] = []
    cost: Cost
