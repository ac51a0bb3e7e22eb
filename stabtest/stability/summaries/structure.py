"""Findings on structural details: the least recovery, the typical one, how many patients lost one, and what was hallucinated.

Only details that the data carry count (the gate of each row). Where there is a reference method, details that the reference
loses too (recovery below `LOST`) are set aside for the other methods: they say more about the measurement than about the
method. If nothing is left, the figures are those of all details and the findings are invalid. A detail is *lost* when its
recovery is below `LOST`.
"""

from __future__ import annotations

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
    blind = {_key(row) for row in rows if row.method == context.reference and row.recovery < LOST}
    found: list[Finding] = []
    for method in context.methods(rows):
        own = [row for row in rows if row.method == method]
        fair = [row for row in own if row.identifiable and (method == context.reference or _key(row) not in blind)]
        found += _of_method(method, fair or own, len(own), context, valid=bool(fair))
    return found


def _of_method(method: str, rows: list[StructureRow], tried: int, context: Context, *, valid: bool) -> list[Finding]:
    aside = f" {tried - len(rows)} of {tried} details were set aside by the gates." if len(rows) < tried else ""
    aside = aside if valid else " No detail was fit to judge the method by."

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
            sentence=sentence + aside,
        )

    worst = min(rows, key=lambda row: row.recovery)
    loud = max(rows, key=lambda row: row.outside_energy)
    means = context.per_patient(rows, lambda row: row.recovery)
    lowest = context.per_patient(rows, lambda row: row.recovery, min)
    n, lost = len(means), sum(value < LOST for value in lowest)
    typical = statistics.quantile_interval(means, 0.5, level=context.level)
    fraction = statistics.fraction_interval(lost, n, level=context.level)
    return [
        finding(
            "structure.recovery.min",
            worst.recovery,
            smallest(worst.recovery, n, level=context.level),
            n,
            f"The detail that came back least in {method} is the {_name(worst)}: {percent(worst.recovery)} of its contrast.",
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
            loud.outside_energy,
            largest(loud.outside_energy, n, level=context.level),
            n,
            f"Outside the {_name(loud)}, {method} changed the image by {percent(loud.outside_energy)} of the detail's energy, "
            "the most of all details.",
        ),
    ]


def _key(row: StructureRow) -> Key:
    return row.case, row.detail, row.site, row.diameter_px, row.contrast


def _name(row: StructureRow) -> str:
    return f"{row.detail} of {row.diameter_px:g} px and contrast {row.contrast:g} at {row.site} in {row.case}"
