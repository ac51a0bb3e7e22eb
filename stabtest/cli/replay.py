"""``stabtest replay``: a stored witness put into another network, its reference method and the direct reconstruction.

What a witness did to the network that it was found for stands in its file, or in the ``report.json`` of the audit that wrote
it. Here it is put into the network of a configuration, beside Gaussian noise of the same norm. The operator must be the one
it was found with; the measurement too, unless the file brings its own or the user goes on anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from stabtest import statistics
from stabtest.audit.cases import case_names, check_data, make_case
from stabtest.audit.cases.simulate import derived_seed
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import digest
from stabtest.audit.privacy import public
from stabtest.audit.subject import Subject
from stabtest.audit.units.laboratory import to_device
from stabtest.cli.tables import number
from stabtest.errors import ConfigError, DataError, SearchError
from stabtest.findings import Document
from stabtest.report import load_document
from stabtest.search.gaussian import gaussian_baseline
from stabtest.search.probe import fingerprint
from stabtest.search.replay import replay, same_operator, space_of
from stabtest.search.verify import TOLERANCE
from stabtest.search.witness import Witness
from stabtest.search.witness_file import load_witness
from stabtest.stability.cases import Case


@dataclass(frozen=True)
class Effect:
    """What a witness does to one method, beside noise of its norm.

    Parameters
    ----------
    method, role
        Which.
    relative_change, gain
        As in `stabtest.findings.records.WorstCaseRow`.
    noise_median, noise_max
        Relative change under Gaussian noise of the same l2 norm; None where it was not measured here.
    """

    method: str
    role: str
    relative_change: float
    gain: float
    noise_median: float | None = None
    noise_max: float | None = None


@dataclass(frozen=True)
class Replay:
    """One image of a witness, put into every method of a configuration.

    Parameters
    ----------
    title
        Of the table.
    recorded
        What it did to the network it was found for, if the file says.
    effects
        Of the method under test, the reference, the baseline.
    violation
        Of the witness, recomputed.
    radius_known
        Whether the file states the radius.
    notes
        What the reader must know.
    """

    title: str
    recorded: Effect | None
    effects: tuple[Effect, ...]
    violation: float
    radius_known: bool
    notes: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether the witness is in its set."""
        return self.violation <= TOLERANCE


@dataclass(frozen=True)
class Origin:
    """A witness with what is known of where it comes from.

    Parameters
    ----------
    witness
        Described as far as can be.
    configuration
        That of the audit that wrote it, if its ``report.json`` is there.
    notes
        What is not known.
    """

    witness: Witness
    configuration: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def replay_file(
    path: Path, config: Config, subjects: Sequence[Subject], *, case: str | None, device: str, anyway: bool
) -> list[Replay]:
    """Put every image of a witness file into the methods of a configuration.

    Parameters
    ----------
    path
        By `stabtest.search.witness_file.save_witness`, or ``witnesses/NAME.npz`` of an audit.
    config, subjects
        What to put it into.
    case
        Name of the case; else that of the file, or the one with the file's measurement.
    device
        Where to compute.
    anyway
        Use the configuration's measurement also where it is not the witness's.

    Raises
    ------
    StabtestError
        If file, shape, operator, case or measurement do not fit.
    """
    check_data(config)
    origin = _origin(path, config)
    whole = origin.witness
    images = range(len(whole))
    if case is not None and len(whole) > 1 and whole.cases:
        images = [index for index, name in enumerate(whole.cases) if name == case]
        if not images:
            raise ConfigError("--case", expected=f"one of {', '.join(whole.cases)}", came=case)
    name = path.name if len(whole) == 1 else f"{path.name}, image {{}} of {len(whole)}"
    return [
        _replay_one(name.format(index + 1), replace(origin, witness=whole.image(index)), config, subjects, case, device, anyway)
        for index in images
    ]


def _replay_one(
    name: str, origin: Origin, config: Config, subjects: Sequence[Subject], wanted: str | None, device: str, anyway: bool
) -> Replay:
    witness, notes = origin.witness, list(origin.notes)
    case = make_case(config, _index(config, witness, wanted))
    _check_operator(witness, case)
    y, note = _measurement(origin, config, case, anyway)
    notes += [note] if note else []
    # A real perturbation file of zeros has no norm to give the noise.
    if not bool(witness.perturbation.abs().amax() > 0):
        raise SearchError(f"{name}: perturbation", expected="one that is not zero", came="zeros")
    case, y = to_device(case, device), y.to(device)
    effects: list[Effect] = []
    violation = torch.inf
    for subject in subjects:
        subject.method(y, case.operator)  # says what is wrong with a network that does not fit
        done = replay(witness, subject.method.reconstruct, case.operator, y)
        noise = gaussian_baseline(
            subject.method.reconstruct,
            case.operator,
            y,
            radius=done.size,
            unit="absolute",
            domain=witness.domain or "measurement",
            draws=config.worst_case.noise_draws,
            generator=torch.Generator().manual_seed(derived_seed(config.audit.seed, "replay")),
        )[:, 0].tolist()
        violation = float(done.violation)
        effects.append(
            Effect(
                subject.method.name,
                subject.role,
                float(done.relative_change),
                float(done.gain),
                statistics.median(noise),
                max(noise),
            )
        )
    recorded = None
    if witness.relative_change is not None and witness.gain is not None:
        who = witness.network or "an unnamed network"
        recorded = Effect(who, "found for", float(witness.relative_change), float(witness.gain))
    if _same_network(witness, subjects[0]):
        notes.append(f"{subjects[0].method.name} is the network that it was found for (same weights)")
    return Replay(_title(name, witness, case), recorded, tuple(effects), violation, witness.radius is not None, tuple(notes))


def _origin(path: Path, config: Config) -> Origin:
    """The witness, described by its own metadata, else by the report of its audit, else by the configuration's domain."""
    witness = load_witness(path)
    if witness.domain is not None:
        return Origin(witness)
    report = path.resolve().parent.parent / "report.json"
    document = load_document(report) if report.is_file() else None
    rows = document.worst_case.rows if document is not None and document.worst_case is not None else []
    row = next((row for row in rows if row.witness == path.stem), None)
    if document is None or row is None:
        domain = config.worst_case.domain
        note = f"the file does not say where it comes from: taken as a perturbation in the {domain} domain, of unknown radius"
        return Origin(replace(witness, domain=domain), notes=(note,))
    described = replace(
        witness,
        domain=row.domain,
        norm=row.norm,
        radius=torch.tensor([row.radius_absolute], dtype=torch.float64),
        relative_radius=torch.tensor([row.radius], dtype=torch.float64) if row.unit == "relative" else None,
        objective=row.objective,
        seed=document.seed,
        operator=document.operator,
        cases=(row.case,),
        network=row.method,
        network_sha256=_weights(document, row.method),
        relative_change=torch.tensor([row.relative_change]),
        gain=torch.tensor([row.gain]),
        violation=torch.tensor([row.violation]),
        version=document.tool.version,
    )
    return Origin(described, configuration=document.configuration)


def _weights(document: Document, method: str) -> str | None:
    return next((item.weights_sha256 for item in document.items if item.name == method), None)


def _index(config: Config, witness: Witness, wanted: str | None) -> int:
    """Number of the case that the witness belongs to."""
    names = case_names(config)
    if wanted is not None:
        if wanted not in names:
            raise ConfigError("--case", expected=f"one of {', '.join(names)}", came=wanted)
        return names.index(wanted)
    if witness.cases and witness.cases[0] in names:
        return names.index(witness.cases[0])
    for index in range(len(names) if witness.measurement_sha256 else 0):
        if _is(witness, make_case(config, index).measurement):
            return index
    if len(names) > 1:
        came = f"a witness for {witness.cases[0]!r}" if witness.cases and witness.cases[0] else "a witness that names none"
        raise ConfigError(
            "case", expected=f"one of {', '.join(names)}", came=came, remedy="say with --case on which it is to be replayed"
        )
    return 0


def _is(witness: Witness, measurement: Tensor) -> bool:
    return bool(witness.measurement_sha256) and fingerprint(measurement[0]) == witness.measurement_sha256[0]


def _check_operator(witness: Witness, case: Case) -> None:
    space_of(witness, case.operator)
    here = case.operator.describe()
    # Files of audits have no probe of the operator, but its description.
    known = witness.operator_probe or not witness.operator
    same = same_operator(witness, case.operator) if known else dict(witness.operator) == here
    if not same:
        raise ConfigError(
            "[operator]",
            expected=f"the operator of the witness ({_words(witness.operator)})",
            came=_words(here) + (" with other entries" if dict(witness.operator) == here else ""),
            remedy="replay with the mask, geometry and coil maps that it was found with",
        )


def _measurement(origin: Origin, config: Config, case: Case, anyway: bool) -> tuple[Tensor, str]:
    """The measurement to use, and what there is to say about it."""
    witness = origin.witness
    if _is(witness, case.measurement):
        return case.measurement, ""
    if not witness.measurement_sha256:
        if origin.configuration is None:
            return case.measurement, f"whether it was found on case {case.name} is not known"
        if _data(origin.configuration) == _data(public(config.model_dump(mode="json"))):
            return case.measurement, ""
    if witness.measurement is not None and not anyway:
        return witness.measurement, f"the measurement in the file is used; that of case {case.name} is another"
    if not anyway:
        raise DataError(
            f"case {case.name}: measurement",
            expected="the one that the witness was found on",
            came="another (data, seed or noise differ)",
            remedy="--case for another case, --anyway to put it into this measurement all the same",
        )
    return case.measurement, f"put into another measurement than it was found on: that of case {case.name}"


def _data(configuration: dict[str, Any]) -> str:
    """What the measurements of a configuration depend on, other than which of the cases it is."""
    data = {key: value for key, value in configuration["data"].items() if key not in ("count", "first_seed")}
    return digest([configuration["operator"], data, configuration["audit"]["seed"]])


def _same_network(witness: Witness, subject: Subject) -> bool:
    return witness.network_sha256 is not None and witness.network_sha256 in (subject.item.weights_sha256, subject.fingerprint)


def _title(name: str, witness: Witness, case: Case) -> str:
    size = "" if witness.relative_radius is None else f"{100 * float(witness.relative_radius):.3g} % of "
    what = {"measurement": "the measurement", "image": "the image"}[witness.domain or "measurement"]
    norm = "" if witness.norm == "l2" else ", largest modulus"
    goal = f", to maximise {_objective(witness.objective)}" if witness.objective else ""
    return f"{name}: {size}{what}{norm}{goal}; case {case.name}"


def _objective(name: str) -> str:
    return {"clean": "the distance to the clean image", "truth": "the distance to the truth"}.get(name, name)


def _words(description: Any) -> str:  # noqa: ANN401
    return ", ".join(
        f"{key} {number(value) if isinstance(value, float) else value}" for key, value in dict(description).items()
    )


def print_replay(done: Replay, console: Console) -> None:
    """A table with one row a method, the network it was found for first."""
    table = Table(title=Text(done.title), title_justify="left")
    headings = ("method", "", "relative change", "gain", "noise: median", "noise: largest", "change / noise", "share of found")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < 2 else "right")
    before = done.recorded.relative_change if done.recorded else None
    for effect in ([done.recorded] if done.recorded else []) + list(done.effects):
        shown = (effect.relative_change, effect.gain, effect.noise_median, effect.noise_max)
        times = effect.relative_change / effect.noise_median if effect.noise_median else None
        share = (
            f"{effect.relative_change / before:.0%}" if before and effect.role != "found for" and before < torch.inf else "-"
        )
        table.add_row(effect.method, effect.role, *map(number, shown), number(times), share)
    console.print(table)
    if not done.radius_known:
        support = (
            "lies on what is measured" if done.feasible else f"lies OFF what is measured by {done.violation:.3g} of its norm"
        )
        console.print(Text(f"The radius is not known; the perturbation {support}."))
    elif done.feasible:
        console.print(Text(f"Feasible: violation {done.violation:.1g} of the radius, in float64."))
    else:
        console.print(Text(f"INFEASIBLE: violation {done.violation:.3g} of the radius, in float64.", style="bold red"))
    for note in done.notes:
        console.print(Text(f"note: {note}", style="yellow"))
