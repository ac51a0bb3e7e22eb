"""Sections 3 to 6: hazards and tests, criteria, data, forward model and validity gates."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document
from stabtest.findings.records import Gate
from stabtest.report import tables
from stabtest.report.anchors import SECTIONS, was_run
from stabtest.report.blocks import Block, Bullets, Cell, Facts, Heading, Paragraph, Section, Table
from stabtest.report.numbers import count, setting
from stabtest.report.sections.item import flatten
from stabtest.report.sections.method import method
from stabtest.report.sections.separation import separation_blocks, separation_facts
from stabtest.report.verdict_words import SHAPES, judged
from stabtest.report.wording import HAZARDS


def hazards(document: Document) -> Section:
    """Which test answers which hazard, under which criterion, and whether it was run."""
    body: list[tuple[Cell, ...]] = []
    for hazard, test, name, anchor in HAZARDS:
        criteria = [criterion.id for criterion in document.criteria if criterion.statistic.partition(".")[0] == name]
        body.append(
            (
                tables.text(hazard),
                tables.text(test),
                tables.text(", ".join(criteria) or "none"),
                tables.text("run" if was_run(document, SECTIONS[name]) else "not run", link=f"#{anchor}"),
            )
        )
    table = Table("hazards-table", "Hazards, tests and criteria", ("Hazard", "Test", "Criteria", "State"), tuple(body))
    return Section(3, "hazards", "Hazards, tests, criteria", (table,))


def criteria(document: Document) -> Section:
    """The criteria, when they were frozen, and their verdicts."""
    frozen, late = document.criteria_frozen, document.exploratory and document.criteria_frozen
    blocks: list[Block] = [
        *method(document),
        Heading("acceptance", "Criteria"),
        Facts(
            (
                (
                    "Frozen",
                    tables.text(
                        f"{frozen}, after results were known" if late else frozen or "not frozen before the results were loaded"
                    ),
                ),
                ("Profile", tables.text(document.criteria_profile or "none: all criteria are the user's own")),
                ("SHA-256 of the criteria", tables.text(document.criteria_sha256, code=True)),
            )
        ),
        Paragraph(
            "Measuring and deciding are separate. A criterion “at most” passes if the upper 95 % bound of its statistic is within "
            "the limit and fails if the lower bound is beyond it; “at least” is the mirror image. A universal criterion speaks of "
            "every admissible perturbation: one re-verified counterexample makes it fail, and no search can make it pass. A change "
            "after the freeze is a deviation (section 15).",
            "method",
        ),
    ]
    verdicts: dict[str, list[str]] = {}
    for finding in judged(document):
        if finding.criterion is not None:
            verdicts.setdefault(finding.criterion.id, []).append(finding.verdict.value)
    body = tuple(
        (
            tables.text(criterion.id),
            tables.text(criterion.statistic, code=True),
            Cell(criterion.rule),
            limit_cell,
            Cell("yes" if criterion.universal else "no"),
            tables.text(criterion.rationale or "not stated"),
            tables.text(", ".join(dict.fromkeys(verdicts.get(criterion.id, ["NOT RUN"])))),
        )
        for criterion, limit_cell in zip(document.criteria, tables.settings([c.limit for c in document.criteria]))
    )
    heads = ("Criterion", "Statistic", "Rule", "Limit", "Universal", "Rationale", "Verdict")
    blocks.append(
        Table(
            "criteria-table",
            "Acceptance criteria",
            heads,
            body,
            empty="No criterion was set: REPORTED, NO VERDICT.",
            numeric=(False, False, False, True, False, False, False),
        )
    )
    return Section(4, "criteria", "Protocol and criteria", tuple(blocks))


def data(document: Document) -> Section:
    """Where the measurements came from."""
    info = document.data
    patients = len({case.patient for case in info.cases})
    facts = (
        ("Source", tables.text(info.source)),
        ("Measurements", tables.text("simulated" if info.simulated else "real")),
        ("Images", Cell(count(len(info.cases)), value=repr(len(info.cases)))),
        ("Patients or objects", Cell(count(patients), value=repr(patients))),
        *separation_facts(info.separation),
    )
    cases = info.cases
    body = tables.rows(
        tables.words(case.name for case in cases),
        tables.words(case.patient for case in cases),
        tables.words(case.group or "–" for case in cases),
        tables.words(" × ".join(map(str, case.shape)) for case in cases),
        tables.words(case.truth for case in cases),
        tables.measured([case.noise_std for case in cases]),
        tables.words("; ".join(case.notes) for case in cases),
    )
    heads = ("Case", "Patient", "Subgroup", "Size (px)", "Truth", "Noise std of a sample", "Notes")
    blocks: list[Block] = [
        Facts(facts),
        *(
            [Bullets(tuple(info.notes), "No notes on the data.")]
            if info.notes or not any(case.notes for case in info.cases)
            else []
        ),
        *separation_blocks(info.separation),
        Table(
            "cases-table",
            "Cases",
            heads,
            body,
            folded=len(cases) > 8,
            empty="The audit holds no cases.",
            numeric=(False, False, False, False, False, True, False),
        ),
    ]
    if info.files:
        files = tuple((tables.text(name, code=True), tables.text(digest, code=True)) for name, digest in info.files.items())
        blocks.append(Table("files-table", "Files", ("File", "SHA-256"), files, folded=len(files) > 8))
    return Section(5, "data", "Data", tuple(blocks))


def forward_model(document: Document) -> Section:
    """The forward model and the gates that had to hold."""
    facts = tuple(
        (
            key[:1].upper() + key[1:],
            Cell(setting(value), value=repr(value)) if isinstance(value, float) else tables.text(str(value)),
        )
        for key, value in flatten(document.operator)
    )
    words = {"mri": "MRI", "ct": "CT", "other": "other"}
    gates = document.gates
    body = tables.rows(
        tables.words(gate.name for gate in gates),
        tables.words(gate.subject for gate in gates),
        [Cell("held" if gate.passed else "FAILED", verdict="pass" if gate.passed else "fail") for gate in gates],
        _values(gates),
        [_limit(gate) for gate in gates],
        tables.words(gate.detail for gate in gates),
    )
    failed = sum(not gate.passed for gate in gates)
    state = f"{failed} of {len(gates)} gates failed: findings that rest on them are INVALID." if failed else None
    blocks: list[Block] = [
        Facts((("Modality", Cell(words[document.modality])), *facts)),
        Heading("gates", "Validity gates"),
        Paragraph(
            "Checks that had to hold before anything was measured: shapes, adjoint, gradient, determinism, accuracy.", "method"
        ),
    ]
    if state:
        blocks.append(Paragraph(state, "alert"))
    blocks.append(
        Table(
            "gates-table",
            "Validity gates",
            ("Gate", "Of", "Result", "Value", "Limit", "Detail"),
            body,
            empty="The audit holds no gates: nothing shows that the measurements are valid.",
            numeric=(False, False, False, True, False, False),
        )
    )
    return Section(6, "forward-model", "Forward model and validity gates", tuple(blocks))


def _values(gates: Sequence[Gate]) -> list[Cell]:
    """What was measured; a gate that answers yes or no has no number."""
    measured = tables.measured([gate.value for gate in gates])
    return [_NO_NUMBER if gate.value is None else cell for gate, cell in zip(gates, measured)]


_NO_NUMBER = Cell("–", missing=True)


def _limit(gate: Gate) -> Cell:
    """The limit with the side on which the value has to be."""
    if gate.limit is None:
        return _NO_NUMBER
    return Cell(f"{gate.rule} {setting(gate.limit)}", value=repr(gate.limit))


def conclusions(document: Document) -> Section:
    """Section 17: one conclusion for each criterion."""
    found = judged(document)
    body = tuple(
        (
            tables.text(finding.criterion.id if finding.criterion is not None else "–"),
            Cell(finding.verdict.value, verdict=SHAPES[finding.verdict]),
            tables.text(finding.method),
            tables.text(finding.reason),
            tables.text("section", link="#summary"),
        )
        for finding in found
    )
    table = Table(
        "conclusions-table",
        "Conclusion for each criterion",
        ("Criterion", "Verdict", "Method", "Reason", "See"),
        body,
        empty="No criterion was set, so there is no conclusion: REPORTED, NO VERDICT.",
    )
    note = Paragraph(
        "Conclusions hold for the item, the data, the forward model and the budget stated here, and for nothing else.", "note"
    )
    return Section(17, "conclusions", "Conclusions by criterion", (table, note))
