"""A verdict as a word and a shape, in the order in which a reader should meet them."""

from __future__ import annotations

from stabtest.findings.document import Document
from stabtest.findings.records import Interval
from stabtest.findings.verdicts import Criterion, Finding, Verdict
from stabtest.report.numbers import number, setting

ORDER = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.PASS, Verdict.REPORTED)
_NO_BREAK = "\u00a0"
SHAPES = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.INVALID: "invalid",
    Verdict.NOT_RUN: "not-run",
    Verdict.REPORTED: "reported",
}


def judged(document: Document) -> list[Finding]:
    """Findings under a criterion, the gravest verdict first; a criterion without a finding counts as NOT RUN."""
    with_criterion = [finding for finding in document.findings if finding.criterion is not None]
    met = {finding.criterion.id for finding in with_criterion if finding.criterion is not None}
    missing = [_not_run(criterion) for criterion in document.criteria if criterion.id not in met]
    return sorted([*with_criterion, *missing], key=lambda finding: ORDER.index(finding.verdict))


def unjudged(document: Document) -> list[Finding]:
    """Findings without a criterion."""
    return [finding for finding in document.findings if finding.criterion is None]


def interval(value: Interval | None) -> str:
    r"""An interval with its level.

    Examples
    --------
    >>> interval(Interval(lower=0.1, upper=None, level=0.95, method="t")), interval(None)
    ('at least 0.100 (95\xa0%)', 'not available')
    """
    if value is None or (value.lower is None and value.upper is None):
        return number(None)
    if value.upper is None:
        ends = f"at least {number(value.lower)}"
    elif value.lower is None:
        ends = f"at most {number(value.upper)}"
    else:
        ends = f"{number(value.lower)} to {number(value.upper)}"
    level = setting(float(f"{100 * value.level:.6g}"))
    return f"{ends} ({level}{_NO_BREAK}%)"


def limit(criterion: Criterion | None) -> str:
    """The limit of a criterion in words.

    Examples
    --------
    >>> limit(Criterion(id="C1", statistic="s", rule="at most", limit=0.2, universal=True))
    'at most 0.2, universal'
    """
    if criterion is None:
        return "–"
    return f"{criterion.rule} {setting(criterion.limit)}" + (", universal" if criterion.universal else "")


def _not_run(criterion: Criterion) -> Finding:
    return Finding(
        test=criterion.statistic.partition(".")[0],
        statistic=criterion.statistic,
        method="–",
        value=None,
        interval=None,
        unit="",
        n=0,
        valid=True,
        witness=None,
        sentence="The audit holds no such statistic.",
        criterion=criterion,
        verdict=Verdict.NOT_RUN,
        reason="nothing was measured",
    )
