"""The comparison as a page: which audits, by what protocols, with what numbers and verdicts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stabtest.errors import AuditError
from stabtest.findings.document import Document
from stabtest.findings.statistic_names import STATISTICS
from stabtest.findings.verdicts import Finding, Verdict
from stabtest.report import tables
from stabtest.report.blocks import Block, Cell, FigureRow, Page, Paragraph, Section, Table
from stabtest.report.comparison.audits import WIDEST, Audit, by_scan
from stabtest.report.comparison.figures import brackets, damage_table, figures
from stabtest.report.comparison.protocols import UNKNOWN, Difference, differences, touching, unrecorded
from stabtest.report.document_io import replace_file
from stabtest.report.numbers import NOT_AVAILABLE, count, many, number
from stabtest.report.render import render_page
from stabtest.report.verdict_words import ORDER, SHAPES, judged, limit
from stabtest.report.wording import STATEMENT

TITLE = "Audits side by side"
_LONGEST = 160


def write_comparison(audits: Sequence[Audit], file: str | os.PathLike[str], *, title: str = TITLE) -> Path:
    """Write the page of a comparison.

    Parameters
    ----------
    audits
        As `stabtest.report.comparison.read_audits` gives them for this file.
    file
        Where to write it; its folder is made if it is not there.
    title
        Of the page.

    Raises
    ------
    AuditError
        If it cannot be written.
    """
    path = Path(file)
    text = render_page(comparison(audits, title=title))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
    except OSError as error:
        raise AuditError(f"{path}", expected="a place that can be written", came=error.strerror or str(error)) from error
    return path


def comparison(audits: Sequence[Audit], *, title: str = TITLE) -> Page:
    """The view model of a comparison."""
    found = differences(audits)
    sections = (
        Section(1, "summary", "Audits", _overview(audits, found)),
        Section(2, "statistics", "Statistics", _statistics(audits)),
        Section(3, "figures", "Worst case", _figures(audits)),
        Section(4, "verdicts", "Verdicts", _verdicts(audits)),
        Section(5, "protocols", "Protocols", _protocols(audits, found)),
    )
    lines = (
        ("Audits", count(len(audits))),
        ("Protocols", "the same" if not found else f"{many(len(found), 'setting')} differ" + ("s" if len(found) == 1 else "")),
        ("Documents", ", ".join(audit.document.id for audit in audits)),
    )
    return Page(title, STATEMENT, "Final", lines, sections, kind="comparison of stability audits")


def _overview(audits: Sequence[Audit], found: Sequence[Difference]) -> tuple[Block, ...]:
    documents = [audit.document for audit in audits]
    body = tables.rows(
        [Cell(audit.name, link=audit.link) for audit in audits],
        tables.words(audit.document.title for audit in audits),
        tables.words(_scan(document) for document in documents),
        tables.counts([len(document.data.cases) for document in documents]),
        tables.counts([len({case.patient for case in document.data.cases}) for document in documents]),
        tables.words(_tally(audit) for audit in audits),
        tables.counts([len(document.deviations) for document in documents]),
        tables.words(document.created[:10] for document in documents),
        tables.words(f"{document.tool.version} {document.tool.commit or ''}".strip() for document in documents),
        [tables.text(document.criteria_sha256[:8], code=True) for document in documents],
    )
    heads = (
        "Audit",
        "Title",
        "Scan",
        "Images",
        "Patients",
        "Verdicts",
        "Deviations",
        "Created",
        "stabtest",
        "Criteria",
    )
    numeric = (False, False, False, True, True, False, True, False, False, False)
    blocks: list[Block] = [Table("audits-table", "Audits", heads, body, numeric=numeric)]
    if found:
        blocks.append(
            Paragraph(
                f"The protocols differ in {many(len(found), 'setting')} (section 5). A statistic that depends on one of them is marked: "
                "its values were not measured alike, and which is smaller says nothing about the methods.",
                "alert",
            )
        )
    return tuple(blocks)


def _scan(document: Document) -> str:
    """Modality, and whether it was measured."""
    modality = {"mri": "MRI", "ct": "CT", "other": "other"}[document.modality]
    return f"{modality}, {'simulated' if document.data.simulated else 'real'}"


def _tally(audit: Audit) -> str:
    under = judged(audit.document)
    if not under:
        return "no criteria"
    counts = [(verdict, sum(finding.verdict == verdict for finding in under)) for verdict in ORDER]
    return ", ".join(f"{n} {verdict.value}" for verdict, n in counts if n)


def _statistics(audits: Sequence[Audit]) -> tuple[Block, ...]:
    intro = Paragraph(
        "Estimate with its one-sided 95 % bounds in brackets, clustered by patient; a dot stands for a bound that cannot be had. “Protocol” "
        "says whether the settings that the statistic depends on are the same in all audits that have it, or how many differ.",
        "method",
    )
    blocks: list[Block] = [intro]
    groups = by_scan(audits)
    for index, (scan, members) in enumerate(groups):
        found = differences(members)
        end, of = ("", "") if len(groups) == 1 else (f"-{index + 1}", f", {scan}")
        tested, references = [audit.tested for audit in members], [audit.reference for audit in members]
        blocks += [
            _side_by_side(members, tested, found, f"comparison-table{end}", f"Item under test{of}", folded=False),
            _side_by_side(members, references, found, f"references-table{end}", f"Reference methods{of}", folded=True),
        ]
    return tuple(blocks)


def _side_by_side(
    audits: Sequence[Audit],
    methods: Sequence[str | None],
    found: Sequence[Difference],
    anchor: str,
    caption: str,
    *,
    folded: bool,
) -> Table:
    there = {f.statistic for audit, method in zip(audits, methods) for f in audit.document.findings if f.method == method}
    ordered = [name for name in STATISTICS if name in there] + sorted(there.difference(STATISTICS))
    rows: list[tuple[Cell, ...]] = []
    for statistic in ordered:
        values = [audit.finding(statistic, method) for audit, method in zip(audits, methods)]
        unit = next((finding.unit for finding in values if finding is not None and finding.unit), "")
        name = statistic + (f" ({unit})" if unit else "")
        rows.append((tables.text(name, code=True), *map(_value, values), _protocol(values, touching(found, statistic))))
    heads = ("Statistic", *(audit.name for audit in audits), "Protocol")
    return Table(anchor, caption, heads, tuple(rows), folded=folded, empty="None of the audits has findings.")


def _value(finding: Finding | None) -> Cell:
    if finding is None or finding.value is None:
        return Cell("not run", missing=True) if finding is None else Cell(NOT_AVAILABLE, missing=True)
    ends = finding.interval
    bounds = [None, None] if ends is None else [ends.lower, ends.upper]
    inside = "" if bounds == [None, None] else f" [{', '.join('·' if end is None else number(end) for end in bounds)}]"
    invalid = " INVALID" if not finding.valid or finding.verdict is Verdict.INVALID else ""
    return Cell(number(finding.value) + inside + invalid, value=repr(finding.value))


def _protocol(values: Sequence[Finding | None], found: Sequence[Difference]) -> Cell:
    """Whether the audits that have a statistic measured it alike."""
    have = [index for index, finding in enumerate(values) if finding is not None]
    differ = [each for each in found if len({each.values[index] for index in have} - {UNKNOWN}) > 1]
    if len(have) < 2:
        return Cell("–")
    return Cell(f"{count(len(differ))} differ", link="#protocols") if differ else Cell("same")


def _figures(audits: Sequence[Audit]) -> tuple[Block, ...]:
    plots, bound = figures(audits), brackets(audits)
    blocks: list[Block] = [
        Paragraph(
            "Found values are lower bounds of the true worst case. A method can change little because it shows little: read the change "
            "beside the error on the clean measurement. Filled markers are items under test, hollow ones their reference methods. Audits "
            "whose radii mean different things stand in plots of their own, with the same scales.",
            "method",
        )
    ]
    if plots:
        blocks.append(FigureRow(plots))
    if bound is not None:
        blocks.append(FigureRow((bound,)))
    return (*blocks, damage_table(audits))


def _verdicts(audits: Sequence[Audit]) -> tuple[Block, ...]:
    rows: list[tuple[Cell, ...]] = []
    for audit in audits:
        for finding in judged(audit.document):
            criterion = finding.criterion
            rows.append(
                (
                    tables.text(criterion.id if criterion is not None else "–"),
                    Cell(audit.name, link=None if audit.link is None else f"{audit.link}#summary"),
                    Cell(finding.verdict.value, verdict=SHAPES[finding.verdict]),
                    tables.text(finding.statistic, code=True),
                    _value(finding),
                    Cell(limit(criterion), value=None if criterion is None else repr(criterion.limit)),
                    tables.text(finding.reason),
                )
            )
    rows.sort(key=lambda row: row[0].text)
    heads = ("Criterion", "Audit", "Verdict", "Statistic", "Estimate", "Limit", "Reason")
    none = "No audit has a criterion: REPORTED, NO VERDICT."
    return (Table("verdicts-table", "Verdicts, by criterion", heads, tuple(rows), empty=none),)


def _protocols(audits: Sequence[Audit], found: Sequence[Difference]) -> tuple[Block, ...]:
    if len(audits) > WIDEST:
        heads = ("Setting", "Value", "Audits")
        rows = tuple(row for each in found for row in _by_value(each, audits))
    else:
        heads = ("Setting", *(audit.name for audit in audits))
        rows = tuple(
            (tables.text(each.key, code=True), *(tables.text(_short(value), code=value != UNKNOWN) for value in each.values))
            for each in found
        )
    blocks: list[Block] = [
        Table("protocols-table", "Settings that differ", heads, rows, empty="None: all audits followed one protocol."),
        Paragraph(
            "Compared are the scan, the data, the reference method, the seed and the settings of every test that was run. The network, the "
            "criteria and the version of the tool are not part of the protocol; the last two stand in section 1.",
            "note",
        ),
    ]
    unknown = unrecorded(audits)
    if unknown:
        words = many(unknown, "setting is", "settings are")
        blocks.append(
            Paragraph(
                f"{words} recorded in some audits and not in others, as those of tests that were not run, or of older versions."
            )
        )
    return tuple(blocks)


def _by_value(difference: Difference, audits: Sequence[Audit]) -> list[tuple[Cell, ...]]:
    """A row for each value of a setting, with the audits that have it."""
    having: dict[str, list[str]] = {}
    for audit, value in zip(audits, difference.values):
        having.setdefault(value, []).append(audit.name)
    return [
        (
            tables.text(difference.key, code=True),
            tables.text(_short(value), code=value != UNKNOWN),
            tables.text(", ".join(names)),
        )
        for value, names in having.items()
    ]


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else value[:_LONGEST] + " …"
