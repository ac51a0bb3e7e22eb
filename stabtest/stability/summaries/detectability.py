"""Findings on detectability: how much more contrast a lesion needs than with the reference, and how well the plainest is told.

*Ratio of thresholds.* For each observer and diameter the threshold contrast over that of the reference, one ratio a patient, with Student's t on
their logarithms; the largest over observers and diameters is the value, and its bounds hold for all of them together (Bonferroni). A
threshold that lies outside of the contrasts that were measured is put at their end: the largest where even that one is not told, so
that the ratio is *at least* this and nothing bounds it from above; the smallest where that one is told already, so that it is at most this.
Where the reference has no threshold it is blind too, and nothing is compared.

*Smallest AUC.* Of the highest contrast of each diameter, for each observer, the mean over patients of the area under the curve; the
smallest over observers and diameters. Only lesions count that the data carry and that the reference tells (AUC of `THRESHOLD_AUC` or
more): otherwise a low AUC says nothing about the method. The reference itself is measured by the first condition alone.

An interval is over patients; of one patient there is none, though its AUCs have bounds over noise, which are in the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from stabtest import statistics
from stabtest.findings.detectability_rows import DetectabilityRow, ThresholdRow
from stabtest.findings.records import Interval
from stabtest.findings.verdicts import Finding
from stabtest.stability.detectability.contrast_detail import MOST_MISFIT, thresholds
from stabtest.stability.detectability.detection import THRESHOLD_AUC
from stabtest.stability.summaries.context import Context, bounds_text, joint, patients_text

Lesion = tuple[str, float]
"""Observer and diameter."""

NAMES = {"npw": "the fixed template", "cho": "the channelised Hotelling observer"}


def summarise_detectability(rows: Sequence[DetectabilityRow], context: Context) -> list[Finding]:
    """``detectability.threshold.ratio_to_reference`` of all but the reference, and ``detectability.auc.min`` of each method."""
    real = [row for row in rows if row.contrast]
    if not real:
        return []
    found: list[Finding] = []
    lesions = list(dict.fromkeys((row.observer, row.diameter_px) for row in real))
    known = {(one.case, one.method, one.observer, one.diameter_px): one for one in thresholds(real)}
    for method in context.methods(real):
        if context.reference is not None and method != context.reference:
            found.append(_ratio(method, real, known, lesions, context))
        found += _auc(method, real, lesions, context)
    return found


def _ratio(
    method: str,
    rows: Sequence[DetectabilityRow],
    known: dict[tuple[str, str, str, float], ThresholdRow],
    lesions: Sequence[Lesion],
    context: Context,
) -> Finding:
    reference = context.reference or ""
    measured: list[tuple[float, Interval | None, Lesion, int, str]] = []
    blind: list[str] = []
    for lesion in lesions:
        ratios: list[tuple[str, float]] = []
        ends: set[int] = set()
        for case in dict.fromkeys(row.case for row in rows if row.method == method):
            base = known.get((case, reference, *lesion))
            own = known.get((case, method, *lesion))
            if base is None or base.threshold is None or own is None:
                continue
            contrast, end = _placed(own, [row for row in _of(rows, method, lesion) if row.case == case])
            ratios.append((context.patient(case), contrast / base.threshold))
            ends.add(end)
        if not ratios:
            blind.append(f"{lesion[1]:g} px")
            continue
        values = statistics.by_patient(ratios, statistics.geometric_mean)
        plain = all(0 < value < math.inf for value in values)
        interval = (
            statistics.simultaneous(statistics.ratio_interval, values, len(lesions), level=context.level) if plain else None
        )
        if interval is not None:
            open_ends = {"lower": None if -1 in ends else interval.lower, "upper": None if 1 in ends else interval.upper}
            interval = interval.model_copy(update=open_ends)
        measured.append((statistics.geometric_mean(values) if plain else math.nan, interval, lesion, len(values), _at(ends)))
    valid = bool(measured) and context.healthy(reference, test="detectability")
    caveat = (
        f"{reference} has no threshold within the contrasts measured either: {', '.join(dict.fromkeys(blind))}" if blind else ""
    )
    if not measured:
        sentence = f"{method}: not compared, since {reference} tells none of the lesions at any of the contrasts measured."
        return _finding("threshold.ratio_to_reference", method, math.nan, None, 0, sentence, valid, caveat, context)
    value, _, (observer, diameter), patients, at = max(measured, key=lambda one: math.inf if math.isnan(one[0]) else one[0])
    bounds = joint([one[1] for one in measured])
    shown = "an unknown multiple of" if math.isnan(value) else f"{at}{value:.3g} times"
    sentence = (
        f"To be told by {NAMES[observer]}, a lesion of {diameter:g} px needs {shown} the contrast with {method} that it needs with {reference}, "
        f"over {patients_text(patients)} {bounds_text(bounds, lambda end: f'{end:.3g}')}."
    )
    return _finding("threshold.ratio_to_reference", method, value, bounds, patients, sentence, valid, caveat, context)


def _at(ends: set[int]) -> str:
    """How a ratio is to be read, where thresholds lie beyond the contrasts that were measured: above, below, or on both sides."""
    return {(1, False): "at least ", (-1, False): "at most ", (0, True): "about "}.get((sum(ends), {1, -1} <= ends), "")


def _placed(own: ThresholdRow, rows: Sequence[DetectabilityRow]) -> tuple[float, int]:
    """The threshold, or the end of the measured contrasts beyond which it lies, and which end that is (1 above, -1 below)."""
    if own.threshold is not None:
        return own.threshold, 0
    contrasts = sorted({abs(row.contrast) for row in rows})
    if own.misfit is not None and own.misfit > MOST_MISFIT:
        return math.nan, 0
    top = statistics.mean([row.auc for row in rows if abs(row.contrast) == contrasts[-1]])
    return (contrasts[-1], 1) if top < THRESHOLD_AUC else (contrasts[0], -1)


def _auc(method: str, rows: Sequence[DetectabilityRow], lesions: Sequence[Lesion], context: Context) -> list[Finding]:
    reference = context.reference
    told: list[tuple[float, Interval | None, Lesion, int]] = []
    left_out: list[str] = []
    for lesion in lesions:
        values = _highest(rows, method, lesion, context)
        if not values:
            left_out.append(f"{lesion[1]:g} px: not carried by the data")
            continue
        beside = _highest(rows, reference, lesion, context) if reference is not None and method != reference else values
        if method != reference and reference is not None and not (beside and statistics.mean(beside) >= THRESHOLD_AUC):
            left_out.append(f"{lesion[1]:g} px: {reference} does not tell it either")
            continue
        interval = statistics.simultaneous(statistics.mean_interval, values, len(lesions), level=context.level)
        if interval is not None and interval.lower is not None and interval.upper is not None:
            interval = interval.model_copy(update={"lower": max(interval.lower, 0.0), "upper": min(interval.upper, 1.0)})
        told.append((statistics.mean(values), interval, lesion, len(values)))
    caveat = "; ".join(dict.fromkeys(left_out))
    if not told:
        sentence = f"{method}: no lesion that could be judged ({caveat})."
        return [_finding("auc.min", method, math.nan, None, 0, sentence, False, caveat, context)]
    value, _, (observer, diameter), patients = min(told, key=lambda one: one[0])
    bounds = _least([one[1] for one in told])
    sentence = (
        f"At the highest contrast {NAMES[observer]} tells a lesion of {diameter:g} px in images of {method} with an AUC of {value:.3g} "
        f"over {patients_text(patients)} {bounds_text(bounds, lambda end: f'{end:.3g}')}."
    )
    return [_finding("auc.min", method, value, bounds, patients, sentence, True, caveat, context)]


def _least(intervals: Sequence[Interval | None]) -> Interval | None:
    """Bounds of the smallest of several values, as `joint` of the largest."""
    turned = joint(
        [None if i is None else i.model_copy(update={"lower": _minus(i.upper), "upper": _minus(i.lower)}) for i in intervals]
    )
    return None if turned is None else turned.model_copy(update={"lower": _minus(turned.upper), "upper": _minus(turned.lower)})


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _of(rows: Iterable[DetectabilityRow], method: str | None, lesion: Lesion) -> list[DetectabilityRow]:
    return [row for row in rows if row.method == method and (row.observer, row.diameter_px) == lesion]


def _highest(rows: Sequence[DetectabilityRow], method: str | None, lesion: Lesion, context: Context) -> list[float]:
    """AUC of the highest contrast of each case where the data carry the lesion, one for each patient."""
    mine = _of(rows, method, lesion)
    top: dict[str, float] = {}
    for row in mine:
        top[row.case] = max(abs(row.contrast), top.get(row.case, 0.0))
    return context.per_patient([row for row in mine if abs(row.contrast) == top[row.case] and row.carried], lambda row: row.auc)


def _finding(
    name: str,
    method: str,
    value: float,
    interval: Interval | None,
    n: int,
    sentence: str,
    valid: bool,
    caveat: str,
    context: Context,
) -> Finding:
    return context.finding(
        "detectability",
        f"detectability.{name}",
        method,
        value=value,
        interval=interval,
        n=n,
        sentence=sentence,
        valid=valid,
        caveat=caveat,
    )
