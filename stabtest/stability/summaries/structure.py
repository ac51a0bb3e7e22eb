"""Findings on structural details: the least recovery, the typical one, how many patients lost one, and what was hallucinated.

Only details that the data carry count (the gate of each row). If nothing is left, the figures are those of all details and
the findings are invalid. A detail is *lost* when its recovery is below `LOST`, or is not a number.

That the reference lost a detail too is a remark in the sentence and no excuse: the data carry the detail, and leaving it out
would turn the worst failures of the method into missing values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest import statistics
from stabtest.findings.records import Interval, StructureRow
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, bounds_text, largest, patients_text, percent, smallest

LOST = 0.5
"""Recovery below which a detail counts as lost: less than half of its contrast came back."""

Key = tuple[str, str, str, float, float]


def summarise_structure(rows: Sequence[StructureRow], context: Context) -> list[Finding]:
    """The ``structure.*`` statistics of each method."""
    blind = {_key(row) for row in rows if row.method == context.reference and _recovery(row) < LOST}
    found: list[Finding] = []
    for method in context.methods(rows):
        own = [row for row in rows if row.method == method]
        fair = [row for row in own if row.identifiable]
        missed = [_key(row) in blind for row in fair or own if _recovery(row) < LOST]
        remark = ""
        if method != context.reference and any(missed):
            remark = f" Lost details: {len(missed)}; {context.reference} lost {sum(missed)} of them too."
        found += _of_method(method, fair or own, len(own), remark, context, valid=bool(fair))
    return found


def _of_method(
    method: str, rows: list[StructureRow], tried: int, remark: str, context: Context, *, valid: bool
) -> list[Finding]:
    aside = f" {tried - len(rows)} of {tried} details were set aside: the data do not carry them." if len(rows) < tried else ""
    aside = aside if valid else " No detail was fit to judge the method by: the data carry none of them."

    def finding(
        statistic: str, value: float | None, interval: Interval | None, n: int, sentence: str, witness: str | None = None
    ) -> Finding:
        return context.finding(
            "structure",
            statistic,
            method,
            value=value,
            interval=interval,
            n=n,
            valid=valid,
            witness=witness,
            sentence=sentence + remark + aside,
        )

    worst, loud = min(rows, key=_recovery), max(rows, key=_outside)
    least, most = _recovery(worst), _outside(loud)
    means = context.per_patient(rows, _recovery)
    lowest = context.per_patient(rows, _recovery, min)
    n, lost = len(means), sum(value < LOST for value in lowest)
    typical = statistics.quantile_interval(means, 0.5, level=context.level)
    fraction = statistics.fraction_interval(lost, n, level=context.level)
    return [
        finding(
            "structure.recovery.min",
            least,
            smallest(least, n, level=context.level),
            n,
            f"The detail that came back least in {method} is the {_name(worst)}: {percent(least)} of its contrast.",
        ),
        finding(
            "structure.recovery.median",
            statistics.median(means),
            typical,
            n,
            f"Of the contrast of the details {method} brought back {percent(statistics.median(means))} in the median of "
            f"{patients_text(n)} {bounds_text(typical, percent)}.",
        ),
        finding(
            "structure.lost_fraction",
            lost / n,
            fraction,
            n,
            f"{method} lost a detail (recovery below {percent(LOST)}) in {lost} of {patients_text(n)} "
            f"{bounds_text(fraction, percent)}.",
        ),
        finding(
            "structure.outside_energy.max",
            most,
            largest(most, n, level=context.level),
            n,
            f"Outside the {_name(loud)}, {method} changed the image by {percent(most)} of the detail's energy, "
            "the most of all details.",
        ),
    ]


def _recovery(row: StructureRow) -> float:
    """The recovery; what is not a finite number came back in no usable way."""
    return row.recovery if math.isfinite(row.recovery) else -math.inf


def _outside(row: StructureRow) -> float:
    """The outside energy; what is not a number is unbounded."""
    return math.inf if math.isnan(row.outside_energy) else row.outside_energy


def _key(row: StructureRow) -> Key:
    return row.case, row.detail, row.site, row.diameter_px, row.contrast


def _name(row: StructureRow) -> str:
    return f"{row.detail} of {row.diameter_px:g} px and contrast {row.contrast:g} at {row.site} in {row.case}"
