"""Findings on missed lesions: the least recovery that a search found, and the reference's least from a search of its own.

A search that finds little proves nothing: nothing bounds the least recovery from below, and a limit on it can fail but never
pass. Where the data carry no lesion of the box the findings are invalid. That the reference shows less of its own worst lesion is a remark and
no excuse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest import statistics
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, bounds_text, patients_text, percent, smallest


def summarise_missed_lesion(rows: Sequence[MissedLesionRow], context: Context) -> list[Finding]:
    """The ``missed_lesion.*`` statistics of each method."""
    found: list[Finding] = []
    reference = {row.case: _least(row) for row in rows if row.method == context.reference and _counts(row)}
    for method in context.methods(rows):
        own = [row for row in rows if row.method == method]
        fair = [row for row in own if _counts(row)]
        found.append(_minimum(method, own, fair, reference, context))
        if method == context.reference:
            continue
        if both := statistics.paired({row.case: _least(row) for row in fair}, reference):
            found.append(_difference(method, both, context))
    return found


def _counts(row: MissedLesionRow) -> bool:
    """Whether there is a lesion that the data carry."""
    return row.identifiable and row.recovery is not None


def _least(row: MissedLesionRow) -> float:
    """The recovery; what is not a finite number came back in no usable way."""
    return row.recovery if row.recovery is not None and math.isfinite(row.recovery) else -math.inf


def _minimum(
    method: str, own: list[MissedLesionRow], fair: list[MissedLesionRow], reference: dict[str, float], context: Context
) -> Finding:
    aside = (
        f" In {len(own) - len(fair)} of {len(own)} cases no lesion of the box was found that the data carry."
        if len(fair) < len(own)
        else ""
    )
    n = len({context.patient(row.case) for row in fair})
    worst = min(fair, key=_least, default=None)
    value = None if worst is None else _least(worst)
    sentence = "No lesion was fit to judge the method by."
    if worst is not None and value is not None:
        sentence = f"The lesion found to come back least in {method} is that {_name(worst)}: {percent(value)} of its contrast."
        if worst.reference is not None and worst.reference_recovery is not None:
            sentence += f" Of the same lesion {worst.reference} brings back {percent(worst.reference_recovery)}."
        if method != context.reference and reference:
            sentence += f" The least found of {context.reference} in a search of its own is {percent(min(reference.values()))}."
    return context.finding(
        "missed_lesion",
        "missed_lesion.recovery.min",
        method,
        value=value,
        interval=None if value is None else smallest(value, n, level=context.level),
        n=n,
        valid=bool(fair),
        sentence=sentence + aside,
    )


def _difference(method: str, both: Sequence[tuple[str, float, float]], context: Context) -> Finding:
    gaps = statistics.by_patient([(context.patient(case), one - other) for case, one, other in both], statistics.mean)
    value = statistics.mean(gaps)
    interval = statistics.mean_interval(gaps, level=context.level)
    return context.finding(
        "missed_lesion",
        "missed_lesion.recovery.difference_to_reference",
        method,
        value=value,
        interval=interval,
        n=len(gaps),
        valid=context.reference is not None and context.healthy(context.reference, test="missed_lesion"),
        sentence=f"Each searched by itself, the least recovery found of {method} differs from that of {context.reference} by {value:+.2f} on "
        f"average over {patients_text(len(gaps))} {bounds_text(interval, lambda end: f'{end:+.2f}')}.",
    )


def _name(row: MissedLesionRow) -> str:
    return f"of {row.diameter_px:.3g} px and contrast {row.contrast:.3g} at row {row.row:.1f}, column {row.column:.1f} in {row.case}"
