"""The verdicts as a page of Markdown, for the summary of a job (GitHub) or a comment of a merge request.

Written for CommonMark with the tables of GitHub Flavored Markdown. Foreign text (names, titles, messages of errors) stands in it as text:
every character that Markdown could read as more than itself is escaped by a backslash (CommonMark 0.31, section 2.4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stabtest.findings.document import Document
from stabtest.findings.verdicts import Finding, Verdict
from stabtest.report.numbers import beside, count, duration, many, number
from stabtest.report.text import visible
from stabtest.report.verdict_words import ORDER, interval, judged, limit
from stabtest.report.wording import STATEMENT

LONGEST = 50
"""Rows of a list that are shown; GitHub refuses a summary of more than 1 MiB."""

_SPECIAL = re.compile(r"[!-/:-@\[-`{-~]")


def job_summary(document: Document) -> str:
    """The verdicts of a document as Markdown; nothing else is read.

    Parameters
    ----------
    document
        What was found.

    Returns
    -------
    str
        Title, counts of verdicts, a row for each criterion with the value of the reference method beside, what failed, and what it rests on.
    """
    verdicts = judged(document)
    parts = [f"## {text(document.title)}", _headline(document, verdicts)]
    if verdicts:
        parts.append(_table(document, verdicts))
    gates = [f"{gate.name} of {gate.subject}: {gate.detail}" for gate in document.gates if not gate.passed]
    parts += _list("Gates that failed", gates)
    parts += _list("Not measured", [f"{failure.unit}: {failure.error}" for failure in document.failures])
    parts += _list("Deviations", document.deviations)
    parts.append(_foot(document))
    return "\n\n".join(parts) + "\n"


def text(foreign: str) -> str:
    r"""Text as Markdown that shows it on one line and does nothing else.

    Examples
    --------
    >>> print(text("a_b | <i>"))
    a\_b \| \<i\>
    """
    return _SPECIAL.sub(lambda match: "\\" + match.group(), visible(" ".join(foreign.split())))


def _headline(document: Document, verdicts: Sequence[Finding]) -> str:
    tested = ", ".join(text(item.name) for item in document.items if item.role == "under test")
    where = f"{many(len(document.data.cases), 'case')}, {'simulated' if document.data.simulated else 'measured'}"
    if not verdicts:
        return f"**{Verdict.REPORTED.value}** for {tested} ({where}): the audit holds no criterion."
    amounts = [(verdict, sum(finding.verdict is verdict for finding in verdicts)) for verdict in ORDER]
    told = ", ".join(f"**{count(amount)} {verdict.value}**" for verdict, amount in amounts if amount)
    return f"{told} of {many(len(verdicts), 'criterion', 'criteria')} for {tested} ({where})."


def _table(document: Document, verdicts: Sequence[Finding]) -> str:
    reference = next((item.name for item in document.items if item.role == "reference"), None)
    heads = ["Verdict", "Criterion", "Statistic", "Value", "Interval", "Limit", "Why"]
    if reference is not None:
        heads.insert(4, f"Value of {text(reference)}")
    lines = [heads, ["---"] * len(heads)]
    for finding in verdicts:
        criterion = finding.criterion
        assert criterion is not None
        word = f"**{finding.verdict.value}**" if finding.verdict in (Verdict.FAIL, Verdict.INVALID) else finding.verdict.value
        cells = [word, *map(text, (criterion.id, criterion.statistic, beside(finding.value, criterion.limit)))]
        if reference is not None:
            cells.append(text(number(_value(document, criterion.statistic, reference))))
        lines.append([*cells, *map(text, (interval(finding.interval), limit(criterion), finding.reason))])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _value(document: Document, statistic: str, method: str) -> float | None:
    return next((each.value for each in document.findings if (each.statistic, each.method) == (statistic, method)), None)


def _list(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    shown = [f"- {text(entry)}" for entry in entries[:LONGEST]]
    if len(entries) > LONGEST:
        shown.append(f"- and {count(len(entries) - LONGEST)} more, in report.json")
    return [f"### {title}", "\n".join(shown)]


def _foot(document: Document) -> str:
    frozen = f"Criteria frozen {text(document.criteria_frozen)}" if document.criteria_frozen else "No criteria"
    late = ", after results were known: the verdicts are exploratory" if document.exploratory else ""
    cost = f"{many(document.cost.units, 'unit')}, {duration(document.cost.wall_seconds)}"
    made = f"stabtest {text(document.tool.version)}, seed {document.seed}, {cost}. {frozen}{late}."
    return f"{made} The largest value that a search found is a lower bound of the true one.\n\n{STATEMENT}"
