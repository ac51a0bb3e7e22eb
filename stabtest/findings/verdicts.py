"""Findings, criteria and the decision rule.

Measuring and deciding are separate: a `Finding` holds a statistic with its one-sided 95 % bounds, a `Criterion` a limit fixed
beforehand, and `decide` joins them. For a criterion "statistic at most limit" (ILAC-G8 calls such rules guarded acceptance):

- PASS if the upper bound of the statistic is within the limit,
- FAIL if its lower bound is beyond the limit, or if one re-verified admissible counterexample breaks a "never exceeds" claim,
- INCONCLUSIVE otherwise,
- INVALID where a gate failed, NOT RUN where nothing was measured, REPORTED, NO VERDICT where there is no criterion.

"At least" is the mirror image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from stabtest.findings.records import Interval, Record


class Verdict(StrEnum):
    """The words a verdict can be."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    NOT_RUN = "NOT RUN"
    REPORTED = "REPORTED, NO VERDICT"


class Criterion(Record):
    """An acceptance limit for one statistic, fixed before the results are loaded.

    ``universal`` marks a claim about every admissible perturbation ("never exceeds"): one counterexample refutes it, and no
    search can establish it, so it can FAIL or stay INCONCLUSIVE but never PASS by a search that found nothing.
    """

    id: str
    statistic: str
    """Key of the statistic, e.g. ``worst_case.relative_change.max``; the audit's documentation lists them."""
    rule: Literal["at most", "at least"]
    limit: float
    universal: bool = False
    rationale: str = ""


class Finding(Record):
    """One statistic of the audit: value, interval, how many cases it rests on, and its verdict once decided."""

    test: str
    statistic: str
    method: str
    value: float | None
    interval: Interval | None
    unit: str
    n: int
    valid: bool
    """Whether every gate that the statistic rests on held."""
    witness: str | None
    sentence: str
    """One plain sentence for the summary."""
    criterion: Criterion | None = None
    verdict: Verdict = Verdict.REPORTED
    reason: str = ""


def decide(finding: Finding, criterion: Criterion | None) -> Finding:
    """Join a finding and a criterion into a verdict; without a criterion the finding is reported only.

    Examples
    --------
    >>> bound = Interval(lower=0.1, upper=0.3, level=0.95, method="order statistic")
    >>> finding = Finding(test="worst_case", statistic="worst_case.relative_change.max", method="net", value=0.2,
    ...                   interval=bound, unit="", n=20, valid=True, witness=None, sentence="...")
    >>> decide(finding, Criterion(id="C1", statistic=finding.statistic, rule="at most", limit=0.4)).verdict.value
    'PASS'
    >>> decide(finding, Criterion(id="C1", statistic=finding.statistic, rule="at most", limit=0.2)).verdict.value
    'INCONCLUSIVE'
    """
    verdict, reason = _verdict(finding, criterion)
    return finding.model_copy(update={"criterion": criterion, "verdict": verdict, "reason": reason})


def _verdict(finding: Finding, criterion: Criterion | None) -> tuple[Verdict, str]:
    if finding.value is None:
        return Verdict.NOT_RUN, "nothing was measured"
    if not finding.valid:
        return Verdict.INVALID, "a validity gate failed"
    if criterion is None:
        return Verdict.REPORTED, "no criterion was frozen"
    sign = 1.0 if criterion.rule == "at most" else -1.0
    value, limit = sign * finding.value, sign * criterion.limit
    if criterion.universal:
        if value > limit:
            return Verdict.FAIL, "a re-verified admissible counterexample breaks the limit"
        return Verdict.INCONCLUSIVE, "no violation found within the stated budget; a search cannot establish a universal claim"
    if finding.interval is None:
        return Verdict.INCONCLUSIVE, "too few cases for an interval"
    ends = [finding.interval.lower, finding.interval.upper] if sign > 0 else [finding.interval.upper, finding.interval.lower]
    low, high = (None if end is None else sign * end for end in ends)
    if high is not None and high <= limit:
        return Verdict.PASS, f"the {finding.interval.level:.0%} bound is within the limit"
    if low is not None and low > limit:
        return Verdict.FAIL, f"the {finding.interval.level:.0%} bound is beyond the limit"
    return Verdict.INCONCLUSIVE, "the limit lies inside the interval"


def criteria_hash(criteria: Sequence[Criterion]) -> str:
    """SHA-256 of the criteria, taken before results are loaded so that a later change shows."""
    text = json.dumps([criterion.model_dump(mode="json") for criterion in criteria], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
