"""Tables in the terminal: the closing summary, gates, layers, the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stabtest.findings import Document, Finding, Verdict
from stabtest.findings.document import LipschitzSection
from stabtest.findings.records import Gate
from stabtest.findings.statistic_names import STATISTICS
from stabtest.report.comparison import Audit
from stabtest.report.comparison.protocols import Difference, differences, touching
from stabtest.report.numbers import many
from stabtest.report.verdict_words import judged

_STYLE = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.INVALID: "bold magenta",
    Verdict.NOT_RUN: "magenta",
    Verdict.REPORTED: "dim",
}


BESIDE = 6
"""Audits that stand in columns; more are rows."""

LEADING = (
    "quality.psnr.median",
    "worst_case.relative_change.max",
    "worst_case.relative_change.ratio_to_reference",
    "structure.recovery.min",
)
"""Statistics that are shown of many audits."""


def number(value: float | None) -> str:
    """A number as the tables show it.

    Examples
    --------
    >>> number(0.28860250), number(20.326), number(None), number(float("inf")), number(12345.0)
    ('0.289', '20.3', '-', 'inf', '1.23e+04')
    """
    return "-" if value is None else f"{value:.3g}"


def zoo_line(name: str, card: Mapping[str, Any], *, width: int = 22) -> str:
    """One reconstructor in a line: name, image size, parameters, held-out PSNR with that of total variation, what it is.

    Parameters
    ----------
    name
        As ``[network] zoo`` takes it.
    card
        Of the model.
    width
        Of the column of names.

    Examples
    --------
    >>> zoo_line("fbp", {"description": "Filtered back-projection."})
    'fbp                        -           -              -  Filtered back-projection.'
    """
    size, parameters = card.get("size"), card.get("parameters")
    held = card.get("held_out", {}).get("psnr_db")
    score = "-" if held is None else f"{held['network']:.1f} ({held['tv']:.1f})"
    count = "-" if parameters is None else f"{parameters:,}".replace(",", " ")
    return f"{name:{width}s} {size or '-':>5} {count:>11s} {score:>14s}  {card.get('description', '')}"


def bounds(finding: Finding) -> str:
    """The interval of a finding: ``[low, high]``, open sides as dots."""
    interval = finding.interval
    if interval is None:
        return "no interval"
    low = "..." if interval.lower is None else number(interval.lower)
    high = "..." if interval.upper is None else number(interval.upper)
    return f"\\[{low}, {high}]"


def print_summary(document: Document, console: Console) -> None:
    """The closing summary: verdicts on the criteria, the gravest first, then every statistic beside that of the other methods."""
    tested = next(item.name for item in document.items if item.role == "under test")
    console.print(Text(f"\n{document.title}: {tested}", style="bold"))
    under_criteria = judged(document)
    if under_criteria:
        console.print(_verdicts(under_criteria))
    else:
        console.print(Text("REPORTED, NO VERDICT: the configuration holds no criterion.", style="yellow"))
    reported = [finding for finding in document.findings if finding.value is not None]
    if reported:
        console.print(_statistics(document, reported, tested))
    for failure in document.failures:
        console.print(Text(f"not measured: {failure.unit}: {failure.error}", style="magenta"))
    for deviation in document.deviations:
        console.print(Text(f"note: {deviation}", style="yellow"))


def _verdicts(findings: Sequence[Finding]) -> Table:
    table = Table(title="Verdicts", title_justify="left")
    for heading in ("verdict", "criterion", "statistic", "value", "bounds", "limit", "why"):
        table.add_column(heading, justify="right" if heading in ("value", "limit") else "left")
    for finding in findings:
        criterion = finding.criterion
        assert criterion is not None
        verdict = Text(finding.verdict.value, style=_STYLE[finding.verdict])
        limit = f"{criterion.rule} {number(criterion.limit)}" + (", universal" if criterion.universal else "")
        table.add_row(
            verdict, Text(criterion.id), finding.statistic, number(finding.value), bounds(finding), limit, finding.reason
        )
    return table


def _statistics(document: Document, findings: Sequence[Finding], tested: str) -> Table:
    """One row a statistic, one column a method; invalid values are marked."""
    table = Table(title=f"Measured on {many(len(document.data.cases), 'case')}", title_justify="left")
    table.add_column("statistic")
    methods = [item.name for item in document.items]
    for item in document.items:
        table.add_column(f"{item.name}\n({item.role})", justify="right")
    shown: dict[str, dict[str, str]] = {}
    for finding in findings:
        mark = "" if finding.valid else " INVALID"
        row = finding.statistic + (f" ({finding.unit})" if finding.unit else "")
        shown.setdefault(row, {})[finding.method] = _value(finding) + mark
    for statistic, values in shown.items():
        table.add_row(statistic, *(values.get(method, "") for method in methods), style="" if tested in values else "dim")
    return table


def _value(finding: Finding) -> str:
    """The value; of a Lipschitz constant both ends of its bracket, since one alone is half of a statement."""
    if not finding.statistic.startswith("lipschitz."):
        return number(finding.value)
    above = None if finding.interval is None else finding.interval.upper
    return f"{number(finding.value)} to {'?' if above is None else number(above)}"


def print_comparison(audits: Sequence[Audit], console: Console) -> None:
    """The items under test: one column an audit, or one row where they are too many; what was not measured alike is marked."""
    found = differences(audits)
    console.print(_side_by_side(audits, found) if len(audits) <= BESIDE else _one_below_another(audits, found))
    if found:
        console.print(Text(f"The protocols differ in {many(len(found), 'setting')}; the page lists them.", style="yellow"))


def _side_by_side(audits: Sequence[Audit], found: Sequence[Difference]) -> Table:
    table = Table(title="Items under test", title_justify="left")
    table.add_column("statistic")
    for audit in audits:
        table.add_column(audit.name, justify="right")
    table.add_column("protocol")
    for statistic in STATISTICS:
        shown = [_found(audit, statistic) for audit in audits]
        if any(shown):
            table.add_row(statistic, *shown, "differs" if touching(found, statistic) else "same")
    return table


def _one_below_another(audits: Sequence[Audit], found: Sequence[Difference]) -> Table:
    """A few statistics only: the page has all."""
    table = Table(title="Items under test, some of the statistics of the page", title_justify="left")
    table.add_column("audit", no_wrap=True)
    for statistic in LEADING:
        broken = statistic.replace(".", ".\n")
        table.add_column(broken + ("\nprotocols differ" if touching(found, statistic) else ""), justify="right")
    for audit in audits:
        table.add_row(audit.name, *(_found(audit, statistic) for statistic in LEADING))
    return table


def _found(audit: Audit, statistic: str) -> str:
    """What was found for the item under test, empty where nothing was."""
    finding = audit.finding(statistic, audit.tested)
    if finding is None or finding.value is None:
        return ""
    return _value(finding) + ("" if finding.valid else " INVALID")


def print_gates(gates: Sequence[Gate], console: Console) -> None:
    """One row a gate; the detail of those that failed."""
    table = Table()
    for heading in ("", "gate", "of", "value", "limit", "detail"):
        table.add_column(heading, justify="right" if heading in ("value", "limit") else "left")
    for gate in gates:
        mark = Text("holds", style="green") if gate.passed else Text("FAILED", style="bold red")
        limit = "-" if gate.limit is None else f"{gate.rule} {number(gate.limit)}"
        table.add_row(mark, gate.name, gate.subject, number(gate.value), limit, Text(gate.detail))
    console.print(table)


def print_bound(section: LipschitzSection, console: Console) -> None:
    """The layer table, what its costliest rows cost, the upper bounds, and the brackets."""
    if section.layers:
        table = Table(title="Layers", title_justify="left")
        for heading in ("layer", "operation", "output", "constant", "status", "cumulative", "share of log", "method"):
            table.add_column(heading, justify="right" if heading in ("constant", "cumulative", "share of log") else "left")
        for row in section.layers:
            shape = " x ".join(map(str, row.output_shape))
            share = "-" if row.log_share is None else f"{row.log_share:.0%}"
            values = (number(row.constant), row.status, number(row.cumulative), share, Text(row.method))
            table.add_row(row.name, row.operation, shape, *values)
        console.print(table)
    for each in section.normalised:
        console.print(Text(f"  with the constant of {each.layer} at most 1 the product would be {number(each.product)}"))
    if section.bounds:
        table = Table(title="Upper bounds of the network alone", title_justify="left")
        for heading in ("bound", "value", "status", "seconds", "note"):
            table.add_column(heading, justify="right" if heading in ("value", "seconds") else "left")
        for bound in section.bounds:
            table.add_row(bound.name, number(bound.upper), bound.status, f"{bound.seconds:.0f}", Text(bound.note))
        console.print(table)
    for bracket in section.brackets:
        above = "unknown" if bracket.upper is None else f"{number(bracket.upper)} ({bracket.upper_status})"
        of = bracket.name if bracket.radius is None else f"{bracket.name}, perturbations up to {bracket.radius:g}"
        console.print(Text(f"{of}: at least {number(bracket.lower)}, at most {above}", style="bold"))
        console.print(Text(f"  below: {bracket.lower_source}\n  above: {bracket.upper_source}"))
        if bracket.floor is not None:
            console.print(Text(f"  floor: no bound that allows every activation pattern can go below {number(bracket.floor)}"))
        for assumption in bracket.assumptions:
            console.print(Text(f"  assuming {assumption}"))
