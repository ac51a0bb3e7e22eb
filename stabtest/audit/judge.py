"""Joining findings and criteria into verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings import Criterion, Finding, Verdict, decide


def judge(findings: Sequence[Finding], criteria: Sequence[Criterion], *, tested: str) -> list[Finding]:
    """Join findings of the method under test with the criteria on them; those of other methods are reported only.

    Parameters
    ----------
    findings
        Not yet decided.
    criteria
        Several may stand on one statistic: each gives a finding of its own.
    tested
        Name of the method under test.

    Returns
    -------
    list of Finding
        A criterion whose statistic was not measured gives a finding NOT RUN.
    """
    judged: list[Finding] = []
    for finding in findings:
        own = [c for c in criteria if finding.method == tested and c.statistic == finding.statistic]
        judged += [decide(finding, criterion) for criterion in own] or [decide(finding, None)]
    measured = {finding.statistic for finding in findings if finding.method == tested}
    for criterion in criteria:
        if criterion.statistic not in measured:
            judged.append(_not_run(criterion, tested))
    return judged


def _not_run(criterion: Criterion, tested: str) -> Finding:
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
        reason="this audit has no such statistic: see the list of statistics, and which tests were run",
    )
