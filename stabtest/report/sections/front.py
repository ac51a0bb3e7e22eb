"""Sections 0 and 1: what this document is, and what was found, each verdict two clicks from its picture and its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document
from stabtest.findings.verdicts import Finding, Verdict
from stabtest.report import tables
from stabtest.report.anchors import picture_of, section_of
from stabtest.report.blocks import (
    Block,
    Cell,
    Facts,
    Heading,
    Paragraph,
    Section,
    Table,
    Tally,
    VerdictItem,
    VerdictList,
)
from stabtest.report.methods import under_test
from stabtest.report.numbers import beside, count, many, with_minus_signs
from stabtest.report.sections.method import anchor_of
from stabtest.report.verdict_words import ORDER, SHAPES, interval, judged, limit, unjudged
from stabtest.report.wording import EXPLORATORY

_COLUMNS: tuple[str, ...] = ("Criterion", "Verdict", "Statistic", "Method", "Estimate", "Interval", "Limit", "n", "See")
_NUMERIC = frozenset({"Estimate", "n"})
_JUDGED = tuple(column for column in _COLUMNS if column != "See")
"""Of the table of verdicts, each of which has its links in the list above."""
_REPORTED = tuple(column for column in _COLUMNS if column != "Criterion")
"""Of the table of statistics that no criterion judges."""


def control(document: Document) -> Section:
    """The control block: identity, versions and hashes."""
    weights = [item for item in document.items if item.weights_sha256]
    facts: list[tuple[str, Cell]] = [
        ("Document", tables.text(document.id, code=True)),
        ("Status", tables.text("Draft" if document.draft else "Final")),
        ("Created (UTC)", tables.text(document.created)),
        ("Tool", tables.text(f"stabtest {document.tool.version}" + _commit(document))),
        ("Document schema", tables.text(str(document.schema_version))),
        ("Configuration, SHA-256", tables.text(document.configuration_sha256, code=True)),
        ("Criteria, SHA-256", tables.text(document.criteria_sha256, code=True)),
        ("Criteria frozen", tables.text(_frozen(document))),
    ]
    facts += [(f"Weights of {item.name}, SHA-256", tables.text(item.weights_sha256 or "", code=True)) for item in weights]
    if not weights:
        facts.append(("Weights, SHA-256", tables.text("not available")))
    files = len(document.data.files)
    listed = f"{many(files, 'file')}, hashes listed under Data" if files else "no files; the data are generated from the seed"
    facts += [("Data", tables.text(listed, link="#data")), ("Seed", Cell(str(document.seed)))]
    return Section(0, "control", "Control block", (Facts(tuple(facts)),))


def _frozen(document: Document) -> str:
    """When the criteria were frozen."""
    if document.exploratory and document.criteria_frozen:
        return f"{document.criteria_frozen}, after results were known"
    return document.criteria_frozen or ("not frozen before the results" if document.criteria else "there are none")


def summary(document: Document) -> Section:
    """The executive summary."""
    under_criteria, reported = judged(document), unjudged(document)
    blocks: list[Block] = []
    if document.exploratory and under_criteria:
        blocks.append(Paragraph(EXPLORATORY, "alert"))
    if under_criteria:
        tally = [(v, sum(finding.verdict == v for finding in under_criteria)) for v in ORDER]
        blocks.append(Tally(tuple((SHAPES[v], v.value, n) for v, n in tally if n)))
        blocks.append(VerdictList(tuple(_item(document, finding) for finding in under_criteria)))
        blocks.append(_table(document, under_criteria, "summary-table", "Verdict for each criterion", _JUDGED, folded=False))
    else:
        blocks.append(
            Paragraph(
                "No acceptance criterion was set: every result below is REPORTED, NO VERDICT. The numbers are evidence only. "
                "Sentences are given for the item under test; the table holds the other methods too."
            )
        )
    if reported:
        blocks.append(Heading("reported", "Reported without a criterion"))
        if not under_criteria:
            tested = under_test(document)
            sentences = [finding for finding in reported if finding.method in tested] or reported
            blocks.append(VerdictList(tuple(_item(document, finding) for finding in sentences)))
        folded = bool(under_criteria) or len(reported) > 12
        blocks.append(_table(document, reported, "reported-table", "Statistics without a criterion", _REPORTED, folded=folded))
    if not document.findings:
        blocks.append(Paragraph("The audit holds no findings.", "absent"))
    blocks.append(
        Paragraph(
            "Intervals are one-sided bounds at the level given, clustered by patient. “Found” values come from a search with a "
            "stated budget: the true worst case can only be larger. The rules are in the glossary.",
            "note",
        )
    )
    return Section(1, "summary", "Executive summary", tuple(blocks))


def _commit(document: Document) -> str:
    return f", commit {document.tool.commit}" if document.tool.commit else ""


def links(document: Document, finding: Finding) -> tuple[tuple[str, str], ...]:
    """Where a finding's numbers, picture and command are."""
    section, picture = section_of(finding), picture_of(document, finding)
    found = [("numbers", f"#{section}")] if section else []
    found += [("picture", f"#{picture}")] if picture else []
    how = anchor_of(document, finding.statistic)
    found += [("method", f"#{how}")] if how else []
    return (*found, ("command", "#command"))


def _item(document: Document, finding: Finding) -> VerdictItem:
    head = finding.criterion.id if finding.criterion is not None else finding.statistic
    return VerdictItem(
        verdict=SHAPES[finding.verdict],
        word=finding.verdict.value,
        head=f"{head}, {finding.method}" if finding.method != "–" else head,
        sentence=with_minus_signs(finding.sentence),
        reason="" if finding.verdict is Verdict.REPORTED else finding.reason,
        links=links(document, finding),
    )


def _table(
    document: Document, findings: Sequence[Finding], anchor: str, caption: str, columns: tuple[str, ...], *, folded: bool
) -> Table:
    """The findings, less the method's name where there is one for all of them."""
    methods = {finding.method for finding in findings} - {"–"}
    shown = tuple(column for column in columns if column != "Method" or len(methods) > 1)
    places = [_COLUMNS.index(column) for column in shown]
    body = tuple(tuple(row[place] for place in places) for row in (_row(document, finding) for finding in findings))
    whole = f"{caption}, {methods.pop()}" if methods and "Method" not in shown else caption
    return Table(anchor, whole, shown, body, folded=folded, numeric=tuple(column in _NUMERIC for column in shown))


def _row(document: Document, finding: Finding) -> tuple[Cell, ...]:
    """One cell for each of `_COLUMNS`."""
    criterion = finding.criterion
    value = finding.value
    estimate = beside(value, None if criterion is None else criterion.limit)
    where = links(document, finding)
    return (
        tables.text(criterion.id if criterion is not None else "–"),
        Cell(finding.verdict.value, verdict=SHAPES[finding.verdict]),
        tables.text(finding.statistic + (f" ({finding.unit})" if finding.unit else ""), code=True),
        tables.text(finding.method),
        Cell(estimate, value=None if value is None else repr(value), numeric=value is not None, missing=value is None),
        Cell(interval(finding.interval)),
        Cell(limit(criterion), value=None if criterion is None else repr(criterion.limit)),
        Cell(count(finding.n), value=repr(finding.n), numeric=True),
        Cell(where[0][0], link=where[0][1], extra_links=where[1:]),
    )
