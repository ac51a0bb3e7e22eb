"""Findings, criteria and the decision rule.

Measuring and deciding are separate: a `Finding` holds a statistic with its one-sided 95 % bounds, a `Criterion` a limit fixed
beforehand, and `decide` joins them. For a criterion "statistic at most limit" (ILAC-G8 calls such rules guarded acceptance):

- PASS if the upper bound of the statistic is within the limit,
- FAIL if its lower bound is beyond the limit, or if one re-verified admissible counterexample breaks a "never exceeds" claim,
- INCONCLUSIVE otherwise,
- INVALID where a gate failed, NOT RUN where nothing was measured, REPORTED, NO VERDICT where there is no criterion.

"At least" is the mirror image.

PASS needs more than a bound: the value is finite, the interval is in order and holds the value, and the finding has no
`Finding.caveat`. FAIL by a counterexample needs less: a perturbation that was verified on its own stays one although another
search was blind.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
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


UNIVERSAL: Mapping[str, Literal["at most", "at least"]] = {
    "worst_case.relative_change.max": "at most",
    "worst_case.relative_error.max": "at most",
    "worst_case.gain.max": "at most",
    "worst_case.local_damage.max": "at most",
    "structure.recovery.min": "at least",
    "structure.outside_energy.max": "at most",
    "missed_lesion.recovery.min": "at least",
    "lipschitz.": "at most",
}
"""Statistics of which one value can refute a universal claim, and the rule of such a claim; a final dot means all that begin so.

Means, medians and ratios are none: that one patient's value is beyond the limit does not refute a claim about them.
"""


class Criterion(Record):
    """An acceptance limit for one statistic, fixed before the results are loaded.

    ``universal`` marks a claim about every admissible perturbation ("never exceeds"): one counterexample refutes it, and no
    search can establish it, so it can FAIL or stay INCONCLUSIVE but never PASS by a search that found nothing (a Lipschitz bound
    from analysis can establish one about ``lipschitz.*``).
    """

    id: str
    statistic: str
    """Key of the statistic, e.g. ``worst_case.relative_change.max``; the audit's documentation lists them."""
    rule: Literal["at most", "at least"]
    limit: float
    universal: bool = False
    rationale: str = ""

    @property
    def can_be_refuted(self) -> bool:
        """Whether one counterexample can refute this criterion, as `universal` presumes.

        Examples
        --------
        >>> criterion = Criterion(id="C1", statistic="worst_case.gain.max", rule="at most", limit=2, universal=True)
        >>> criterion.can_be_refuted, criterion.model_copy(update={"rule": "at least"}).can_be_refuted
        (True, False)
        """
        rules = (
            rule
            for key, rule in UNIVERSAL.items()
            if self.statistic == key or (key[-1] == "." and self.statistic.startswith(key))
        )
        return self.rule in rules


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
    counterexample: bool = False
    """Whether one re-verified admissible perturbation reached the value; then it refutes a limit although ``valid`` is false."""
    caveat: str = ""
    """Why the finding cannot support PASS even where its bound is within the limit; empty if it can."""
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
    if criterion is None:
        return (Verdict.REPORTED, "no criterion was frozen") if finding.valid else (Verdict.INVALID, "a validity gate failed")
    sign = 1.0 if criterion.rule == "at most" else -1.0
    value, limit = sign * finding.value, sign * criterion.limit
    low, high = _ends(finding.interval, sign)
    beyond = low is not None and low > limit
    refuted = criterion.universal and value > limit
    if not finding.valid:
        if finding.counterexample and (refuted or beyond):
            reason = "a re-verified admissible counterexample is beyond the limit; other searches were not valid"
            return Verdict.FAIL, reason
        return Verdict.INVALID, "a validity gate failed"
    if refuted:
        return Verdict.FAIL, "a re-verified admissible counterexample breaks the limit"
    if math.isnan(value):
        return Verdict.INCONCLUSIVE, "the value is not a number"
    if criterion.universal and not finding.statistic.startswith("lipschitz."):  # a bound can establish what no search can
        return Verdict.INCONCLUSIVE, "no violation found within the stated budget; a search cannot establish a universal claim"
    if finding.interval is None:
        few = math.isfinite(value)
        return Verdict.INCONCLUSIVE, "too few cases for an interval" if few else "the value is not finite: there is no interval"
    if not _holds(low, value, high):
        return Verdict.INVALID, "the interval contradicts itself or the value"
    if beyond:
        return Verdict.FAIL, f"the {100 * finding.interval.level:g} % bound is beyond the limit"
    if not math.isfinite(value):
        return Verdict.INCONCLUSIVE, "the value is not finite"
    if high is not None and high <= limit:
        reason = f"the {100 * finding.interval.level:g} % bound is within the limit"
        if finding.caveat:
            return Verdict.INCONCLUSIVE, f"{reason}, but {finding.caveat}"
        return Verdict.PASS, reason
    return Verdict.INCONCLUSIVE, "the limit lies inside the interval"


def _ends(interval: Interval | None, sign: float) -> tuple[float | None, float | None]:
    """The ends, mirrored for "at least": lower and upper in the direction in which larger is worse."""
    if interval is None:
        return None, None
    ends = (interval.lower, interval.upper) if sign > 0 else (interval.upper, interval.lower)
    low, high = (None if end is None else sign * end for end in ends)
    return low, high


def _holds(low: float | None, value: float, high: float | None) -> bool:
    """Whether ``low <= value <= high``, up to rounding; an open end holds everything, NaN nothing."""
    room = 1e-9 * abs(value) if math.isfinite(value) else 0.0
    above = low is None or low <= value + room
    below = high is None or value - room <= high
    return above and below and (low is None or high is None or low <= high + room)


def criteria_hash(criteria: Sequence[Criterion]) -> str:
    """SHA-256 of the criteria, taken before results are loaded so that a later change shows."""
    text = json.dumps([criterion.model_dump(mode="json") for criterion in criteria], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
