"""Findings on noise: how the error grows with it, and how it compares with the reference's at the most of it.

Both are ratios of paired values, one for each patient, with Student's t on their logarithms. An error of zero, an infinite or an unknown one leaves
its finding without an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest import statistics
from stabtest.findings.noise_rows import NoiseRow
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, bounds_text, patients_text


def summarise_noise(rows: Sequence[NoiseRow], context: Context) -> list[Finding]:
    """``noise.nrmse.growth`` of each method, and ``noise.nrmse.ratio_to_reference`` of all but the reference."""
    found: list[Finding] = []
    levels = sorted({row.level for row in rows})
    if not levels:
        return found
    usual, most = min(levels, key=lambda level: abs(math.log(level))), levels[-1]
    reference = _errors(rows, context.reference, most)
    for method in context.methods(rows):
        own = _errors(rows, method, most)
        if most > usual:
            pairs = statistics.paired(own, _errors(rows, method, usual))
            words = f"From {usual:g} to {most:g} times the noise of the scan the NRMSE of {method} grows by a factor of"
            found += _ratio("noise.nrmse.growth", method, pairs, words, True, context)
        if context.reference is not None and method != context.reference:
            words = f"At {most:g} times the noise of the scan the NRMSE of {method}, relative to {context.reference}, is"
            healthy = context.healthy(context.reference, test="noise")
            pairs = statistics.paired(own, reference)
            found += _ratio("noise.nrmse.ratio_to_reference", method, pairs, words, healthy, context)
    return found


def _errors(rows: Sequence[NoiseRow], method: str | None, level: float) -> dict[str, float]:
    """Case -> NRMSE, where there is a truth."""
    return {row.case: row.nrmse for row in rows if row.method == method and row.level == level and row.nrmse is not None}


def _ratio(
    statistic: str, method: str, pairs: list[tuple[str, float, float]], words: str, valid: bool, context: Context
) -> list[Finding]:
    if not pairs:
        return []
    ratios = [(context.patient(case), one / other if other else math.nan) for case, one, other in pairs]
    means = statistics.by_patient(ratios, statistics.geometric_mean)
    plain = all(0 < ratio < math.inf for ratio in means)
    value = statistics.geometric_mean(means) if plain else math.nan
    interval = statistics.ratio_interval(means, level=context.level) if plain else None
    bounds = (
        bounds_text(interval, lambda end: f"{end:.3g}") if plain else "(no interval: an error is zero, infinite or unknown)"
    )
    shown = "unknown" if math.isnan(value) else f"{value:.3g}"
    sentence = f"{words} {shown} over {patients_text(len(means))} {bounds}."
    return [
        context.finding(
            "noise", statistic, method, value=value, interval=interval, n=len(means), sentence=sentence, valid=valid
        )
    ]
