"""Findings on image quality: how much sharpness is lost with contrast, and how wrong a flat region is.

**Fall of f50.** Each lower contrast is compared with the highest within a scan, and the falls are averaged over patients
(`stabtest.stability.physics.contrast`). The bounds of one method hold for all of its contrasts together, so the largest of their
lower ends bounds the largest mean fall from below, and the largest of their upper ends from above. A comparison that could not be
made, because too little of an edge came back or too near the noise, is where a method may be worst: no PASS rests on the rest, and
where nothing could be compared the finding is invalid.

**Bias.** The largest modulus that was found is no bound: noise alone makes one. Of ``k`` regions, each with a Student's t interval
``[l_i, u_i]`` over noise realisations, taken at the level ``1 - (1 - level) / (2 k)`` (Bonferroni over regions and signs),

    max_i |bias_i|  >=  max_i max(l_i, -u_i, 0)        with at least the level.

Nothing bounds it from above, since there are other regions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest import statistics
from stabtest.findings.physics_rows import BiasRow, ContrastStatement, TransferRow
from stabtest.findings.records import Interval
from stabtest.findings.verdicts import Finding
from stabtest.stability.physics.contrast import EQUAL, contrast_statements
from stabtest.stability.summaries.context import Context, bounds_text, joint, patients_text, percent


def summarise_image_quality(transfer: Sequence[TransferRow], bias: Sequence[BiasRow], context: Context) -> list[Finding]:
    """``image_quality.f50.fall`` and ``image_quality.bias.max`` of each method."""
    found: list[Finding] = []
    said = contrast_statements(transfer, patients=context.patients, level=context.level)
    for method in context.methods([*transfer, *bias]):
        own = [statement for statement in said if statement.method == method]
        if own:
            found.append(_fall(method, own, context))
        regions = [row for row in bias if row.method == method]
        if regions:
            found.append(_bias(method, regions, context))
    return found


def _fall(method: str, said: list[ContrastStatement], context: Context) -> Finding:
    contrasts = list(dict.fromkeys((statement.high_contrast, statement.low_contrast) for statement in said))
    groups = [[s for s in said if (s.high_contrast, s.low_contrast) == pair] for pair in contrasts]
    means = [_mean(group, context) for group in groups]
    compared = [(fall, pair) for (fall, _), pair in zip(means, contrasts) if fall is not None]
    by_case = [statement for statement in said if statement.case is not None]
    made = [statement for statement in by_case if statement.fall is not None]
    n = len({context.patient(statement.case or "") for statement in made})
    missing = len(by_case) - len(made)
    rest = f" {missing} of {len(by_case)} comparisons could not be made." if missing else ""
    if not compared:
        value, interval = math.nan, None
        sentence = f"Whether {method} resolves less at low contrast is not known."
    else:
        value, (high, low) = max(compared)
        interval = joint([interval for _, interval in means])
        moved = f"{percent(abs(value))} {'lower' if value > 0 else 'higher'} at contrast {low:g} than at {high:g}"
        if abs(value) < EQUAL:
            moved = f"the same within {percent(EQUAL)} at contrast {low:g} as at {high:g}"
        bounds = bounds_text(interval, percent)
        sentence = f"In {method} the frequency f50 at an edge is {moved}, mean over {patients_text(n)} {bounds}."
    return context.finding(
        "image_quality",
        "image_quality.f50.fall",
        method,
        value=value,
        interval=interval,
        n=n,
        sentence=sentence + rest,
        valid=bool(compared),
        caveat=f"{missing} of {len(by_case)} comparisons could not be made" if missing else "",
    )


def _mean(said: list[ContrastStatement], context: Context) -> tuple[float | None, Interval | None]:
    """Mean fall over patients at one contrast, and its bounds where there are two of them."""
    over = next((statement for statement in said if statement.case is None), None)
    if over is not None:
        return over.fall, over.interval
    falls = [(context.patient(s.case), s.fall) for s in said if s.case is not None and s.fall is not None]
    return (statistics.mean(statistics.by_patient(falls, statistics.mean)) if falls else None), None


def _bias(method: str, rows: list[BiasRow], context: Context) -> Finding:
    worst = max(rows, key=_size)
    n = len({context.patient(row.case) for row in rows})
    interval = _lower_bound(rows, context.level)
    sign = "too bright" if worst.bias_relative > 0 else "too dark"
    where = f"({worst.case}, region at {worst.site})"
    return context.finding(
        "image_quality",
        "image_quality.bias.max",
        method,
        value=_size(worst),
        interval=interval,
        n=n,
        sentence=(
            f"The flat region that {method} shows at the wrong value most is {sign} by {percent(_size(worst))} of the largest pixel {where}, "
            f"over {patients_text(n)} {_bound_words(interval)}."
        ),
    )


def _size(row: BiasRow) -> float:
    return math.inf if math.isnan(row.bias_relative) else abs(row.bias_relative)


def _lower_bound(rows: list[BiasRow], level: float) -> Interval | None:
    """The largest modulus is at least this, simultaneously over regions and signs."""
    # The interval is in the unit of the image, the finding in shares of the largest pixel. An exact 0 contributes nothing.
    scaled = [(row.interval, row.realisations, row.bias_relative / row.bias if row.bias else 0.0) for row in rows]
    known = [(i, n, scale) for i, n, scale in scaled if i is not None and i.lower is not None and i.upper is not None and n > 1]
    if not known:
        return None
    each = 1 - (1 - level) / (2 * len(known))
    ends = [(statistics.carried(interval, n, level=each), scale) for interval, n, scale in known]
    lower = max(max(i.lower * scale, -i.upper * scale) for i, scale in ends if i.lower is not None and i.upper is not None)
    method = (
        f"Student's t over noise realisations, Bonferroni over {len(known)} regions and signs; nothing bounds it from above"
    )
    return Interval(lower=max(lower, 0.0), upper=None, level=level, method=method)


def _bound_words(interval: Interval | None) -> str:
    return "(no interval: one scan only)" if interval is None else bounds_text(interval, percent)
