"""Joining findings and criteria into verdicts.

A unit that ended in an error is an outcome, often the worst there is: a network that returns NaN for one patient has not
passed on the others. Where units that a finding rests on failed, PASS therefore becomes INCONCLUSIVE. FAIL stays, since no
further value can take it back.
"""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings import Criterion, Finding, Verdict, decide
from stabtest.findings.records import Failure


def judge(
    findings: Sequence[Finding],
    criteria: Sequence[Criterion],
    *,
    tested: str,
    failures: Sequence[Failure] = (),
    reference: str | None = None,
) -> list[Finding]:
    """Join findings of the method under test with the criteria on them; those of other methods are reported only.

    Parameters
    ----------
    findings
        Not yet decided.
    criteria
        Several may stand on one statistic: each gives a finding of its own.
    tested
        Name of the method under test.
    failures
        Units that ended in an error.
    reference
        Name of the reference method, whose failed units leave gaps in comparisons with it.

    Returns
    -------
    list of Finding
        A criterion whose statistic was not measured gives a finding NOT RUN.
    """
    judged: list[Finding] = []
    for finding in findings:
        own = [c for c in criteria if finding.method == tested and c.statistic == finding.statistic]
        gaps = _gaps(finding.statistic, [finding.method], failures, reference)
        judged += [_guarded(decide(finding, criterion), gaps) for criterion in own] or [decide(finding, None)]
    measured = {finding.statistic for finding in findings if finding.method == tested}
    for criterion in criteria:
        if criterion.statistic not in measured:
            judged.append(_not_run(criterion, tested, _gaps(criterion.statistic, [tested], failures, reference)))
    return judged


def _gaps(statistic: str, methods: Sequence[str], failures: Sequence[Failure], reference: str | None) -> int:
    """How many of the units failed that a statistic rests on."""
    test = statistic.partition(".")[0]
    if reference is not None and statistic.endswith("_to_reference"):
        methods = [*methods, reference]
    # As `stabtest.audit.units.plan.Unit.label` writes it; a document that is judged again holds nothing else of a unit.
    prefixes = tuple(f"{test}: {method}, " for method in methods)
    return sum(failure.unit.startswith(prefixes) for failure in failures)


def _guarded(finding: Finding, gaps: int) -> Finding:
    """No PASS where units failed."""
    if not gaps or finding.verdict is not Verdict.PASS:
        return finding
    reason = f"{finding.reason}, but {_units(gaps)} ended in an error and left no value"
    return finding.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})


def _units(count: int) -> str:
    return f"{count} unit{'' if count == 1 else 's'} of this test"


def _not_run(criterion: Criterion, tested: str, gaps: int) -> Finding:
    reason = "this audit has no such statistic: see the list of statistics, and which tests were run"
    if gaps:
        reason = f"nothing was measured: {_units(gaps)} ended in an error"
    return Finding(
        test=criterion.statistic.partition(".")[0],
        statistic=criterion.statistic,
        method=tested,
        value=None,
        interval=None,
        unit="",
        n=0,
        valid=True,
        witness=None,
        sentence=f"{criterion.statistic} was not measured.",
        criterion=criterion,
        verdict=Verdict.NOT_RUN,
        reason=reason,
    )
