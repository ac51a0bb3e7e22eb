"""The verdicts as JUnit XML, which the programs that run tests for a project read (Jenkins, GitLab, GitHub by an action).

One test case a criterion, and one for each unit that ended in an error. The format knows four outcomes:

| of the audit | JUnit | because |
|---|---|---|
| PASS | passed | |
| FAIL | failure | the limit is broken |
| INVALID, NOT RUN, a unit that ended in an error | error | nothing was measured that the limit could be held against |
| INCONCLUSIVE; no criterion at all | skipped | measured, not decided: neither PASS nor FAIL |

The format has no standard; the elements and attributes used here are those of Apache Ant's JUnit task, which every reader takes. Control
characters, which XML 1.0 cannot hold, are written as their code points.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from stabtest.findings.document import Document
from stabtest.findings.verdicts import Finding, Verdict
from stabtest.report.numbers import beside
from stabtest.report.text import visible
from stabtest.report.verdict_words import interval, judged, limit

_OUTCOME = {
    Verdict.FAIL: "failure",
    Verdict.INVALID: "error",
    Verdict.NOT_RUN: "error",
    Verdict.INCONCLUSIVE: "skipped",
    Verdict.REPORTED: "skipped",
}
"""Element of a verdict; PASS has none."""

_COUNTS = (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
"""Attribute of a suite -> the elements that it counts."""


def junit(document: Document) -> str:
    """The verdicts of a document as JUnit XML; nothing else is read.

    Parameters
    ----------
    document
        What was found.

    Returns
    -------
    str
        An XML document, UTF-8 when encoded.
    """
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", name=visible(document.title), timestamp=visible(document.created))
    properties = SubElement(suite, "properties")
    for name, value in _facts(document).items():
        SubElement(properties, "property", name=name, value=visible(value))
    verdicts = judged(document)
    for finding in verdicts:
        _criterion(suite, finding)
    if not verdicts:
        case = SubElement(suite, "testcase", classname="stabtest", name="criteria", time="0")
        SubElement(case, "skipped", message=f"{Verdict.REPORTED.value}: the audit holds no criterion")
    for failure in document.failures:
        case = SubElement(suite, "testcase", classname="stabtest.unit", name=visible(failure.unit), time="0")
        SubElement(case, "error", type="unit", message=visible(failure.error)).text = visible(failure.error)
    counts = {name: len(suite.findall(f"testcase/{tag}")) for name, tag in _COUNTS}
    for element in (root, suite):
        element.set("tests", str(len(suite.findall("testcase"))))
        for name, amount in counts.items():
            element.set(name, str(amount))
        element.set("time", f"{document.cost.wall_seconds:.3f}")
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _facts(document: Document) -> dict[str, str]:
    """What identifies the audit."""
    tested = ", ".join(item.name for item in document.items if item.role == "under test")
    return {
        "id": document.id,
        "item under test": tested,
        "stabtest": document.tool.version,
        "command": document.command,
        "seed": str(document.seed),
        "criteria SHA-256": document.criteria_sha256,
        "criteria frozen": document.criteria_frozen or "not frozen",
        "exploratory": "yes" if document.exploratory else "no",
    }


def _criterion(suite: Element, finding: Finding) -> None:
    criterion = finding.criterion
    assert criterion is not None
    name = visible(f"{criterion.id}: {criterion.statistic}")
    case = SubElement(suite, "testcase", classname=visible(f"stabtest.{finding.test}"), name=name, time="0")
    value = beside(finding.value, criterion.limit)
    message = (
        f"{finding.verdict.value}: {value}, limit {limit(criterion)}, interval {interval(finding.interval)}: {finding.reason}"
    )
    told = visible("\n".join(f"{key}: {each}" for key, each in _details(finding, value).items() if each))
    outcome = _OUTCOME.get(finding.verdict)
    if outcome is None:
        SubElement(case, "system-out").text = told
        return
    element = SubElement(case, outcome, message=visible(message))
    element.text = told
    if outcome != "skipped":
        element.set("type", finding.verdict.value)


def _details(finding: Finding, value: str) -> dict[str, str]:
    criterion = finding.criterion
    assert criterion is not None
    return {
        "verdict": finding.verdict.value,
        "statistic": finding.statistic,
        "of": finding.method,
        "value": f"{value} {finding.unit}".rstrip(),
        "interval": interval(finding.interval),
        "limit": limit(criterion),
        "n": str(finding.n),
        "why": finding.reason,
        "reason of the limit": criterion.rationale,
        "witness": finding.witness or "",
        "in words": finding.sentence,
    }
