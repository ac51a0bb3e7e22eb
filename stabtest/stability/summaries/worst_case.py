"""Findings on the worst case within the largest radius searched.

A perturbation within a smaller radius is within the largest as well, so each image counts with the most that was found at
any radius; ratios to noise and to the reference compare equal norms and are taken at the largest radius alone.

What a search finds is a lower bound of the worst that exists. The *largest found* value therefore bounds the worst case from
below and nothing bounds it from above. How large the found values typically are is another question, and has bounds: order
statistics for the median and for the 90 % quantile over patients (one value a patient, that of the worst image), Student's t
on logarithms for ratios of paired values. Those bounds are of *found* values: while a search is still rising they support no
PASS, and neither do they where the solver of an iterative method had not finished: that may be why it looks stable.

An image that is not finite under an admissible perturbation, be it the search's or Gaussian noise of the same norm, is
infinite damage and no missing value; a ratio that cannot be had leaves its finding without bounds. A witness is judged on its
own: that another search was blind makes the finding invalid, and the counterexample still stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from stabtest import statistics
from stabtest.findings.records import WorstCaseRow
from stabtest.findings.sizes import amount, size_of
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, bounds_text, largest, patients_text, percent

MOST_VIOLATION = 1e-4
"""Largest ``||e|| / radius - 1`` of an admissible witness."""

MEASURES: tuple[tuple[str, Callable[[WorstCaseRow], float | None], Callable[[str, float], str]], ...] = (
    (
        "relative_change",
        lambda row: row.relative_change,
        lambda method, value: f"the reconstruction by {method} changed by {percent(value)} of its norm",
    ),
    (
        "relative_error",
        lambda row: row.relative_error,
        lambda method, value: f"the error of {method} was {percent(value)} of the norm of the truth",
    ),
    (
        "gain",
        lambda row: row.gain,
        lambda method, value: f"the image by {method} changed {value:.3g} times as much as the measurement did",
    ),
    (
        "local_damage",
        lambda row: row.local_damage,
        lambda method, value: f"the largest local change by {method} was {percent(value)} of the peak of its image",
    ),
)
"""Key, value of a row, and words, of what is reported as the largest found."""


def summarise_worst_case(rows: Sequence[WorstCaseRow], context: Context) -> list[Finding]:
    """The ``worst_case.*`` statistics of each method."""
    if not rows:
        return []
    radius = max(row.radius for row in rows)
    found: list[Finding] = []
    for method in context.methods(rows):
        own = [row for row in rows if row.method == method]
        final = [row for row in own if row.radius == radius]
        found += _largest(method, own, radius, context) + _typical(method, own, final, context)
        found += _ratios(method, final, [row for row in rows if row.radius == radius], context)
    return found


def _admissible(row: WorstCaseRow) -> bool:
    """Whether the witness keeps to its set; a violation that is not a number does not."""
    return row.violation <= MOST_VIOLATION


def _valid(rows: Sequence[WorstCaseRow]) -> bool:
    return all(_admissible(row) and row.status != "no usable gradient" for row in rows)


def _caveat(rows: Sequence[WorstCaseRow]) -> str:
    """What stands against PASS."""
    said: list[str] = []
    rising = sum(row.status == "still rising" for row in rows)
    if rising:
        searches = f"{rising} of {len(rows)} searches {'was' if rising == 1 else 'were'} still rising"
        said.append(f"{searches}: the interval is of found values, and a larger budget would find more")
    solved = [(row, row.solver) for row in rows if row.solver is not None]
    stopped = [(row, solver) for row, solver in solved if not solver.finished(row.relative_change)]
    for method in dict.fromkeys(row.method for row, _ in stopped):
        own = [(row, solver) for row, solver in stopped if row.method == method]
        total = sum(row.method == method for row, _ in solved)
        off = max(max(solver.clean_distance, solver.distance) for _, solver in own)
        most = max(solver.longer_change for _, solver in own)
        said.append(
            f"the solver of {method} was not finished in {len(own)} of {total} searches: its images are up to {percent(off)} from "
            f"those of a run {own[0][1].longer} times as long, which changes by up to {percent(most)}"
        )
    return "; ".join(said)


def _stopped(row: WorstCaseRow) -> str:
    """What there is to say of the solver behind the worst image; nothing if it is none or was finished."""
    solver = row.solver
    if solver is None or solver.finished(row.relative_change):
        return ""
    return (
        f" Its solver was not finished there: run {solver.longer} times as long, its image changes by "
        f"{percent(solver.longer_change)} under the perturbations found."
    )


def _broken_by_noise(row: WorstCaseRow) -> bool:
    return not math.isfinite(row.noise_change_max)


def _most(row: WorstCaseRow, value: float | None) -> float | None:
    """A figure of a row, infinite where the image was not finite under the search's perturbation or under noise."""
    if value is None:
        return None
    return math.inf if math.isnan(value) or _broken_by_noise(row) else value


def _change(row: WorstCaseRow) -> float:
    change = _most(row, row.relative_change)
    return math.inf if change is None else change


def _largest(method: str, rows: list[WorstCaseRow], radius: float, context: Context) -> list[Finding]:
    """The worst image of all, with its witness; what a perturbation outside its set does, does not count."""
    found: list[Finding] = []
    size = _perturbation(rows[0], radius)
    valid = _valid([row for row in rows if row.radius == radius]) and all(map(_admissible, rows))
    fair = [row for row in rows if _admissible(row)]
    for name, of, words in MEASURES:
        values = [(value, row) for row in fair or rows if (value := _most(row, of(row))) is not None]
        value, interval, witness, n = None, None, None, len({context.patient(row.case) for _, row in values})
        sentence = f"Without a truth the error of {method} cannot be had."
        if values:
            # Of equal values that at the largest radius, which is the one with pictures.
            value, worst = max(values, key=lambda pair: (pair[0], pair[1].radius))
            interval = largest(value, n, level=context.level)
            witness = None if _broken_by_noise(worst) else worst.witness
            budget = f"largest found within the stated budget over {patients_text(n)}: {worst.case}"
            budget += "" if worst.radius == radius else f" at {amount(worst.radius, worst.unit)}"
            said = words(method, value) if value < math.inf else f"the image by {method} was not finite"
            said += " with Gaussian noise of that norm" if _broken_by_noise(worst) else ""
            sentence = f"Under {size} {said} ({budget})." + ("" if valid else " Not every search was valid.")
            sentence += _stopped(worst) if name == "relative_change" else ""
        found.append(
            context.finding(
                "worst_case",
                f"worst_case.{name}.max",
                method,
                value=value,
                interval=interval,
                n=n,
                valid=valid,
                witness=witness,
                sentence=sentence,
                counterexample=bool(fair),
            )
        )
    return found


def _perturbation(row: WorstCaseRow, radius: float) -> str:
    """What was admissible, in words."""
    words = f"a perturbation of {size_of(radius, row.unit, row.domain, row.norm)}"
    words += "" if row.region is None else f", of {row.region} only"
    return words + (", which leaves the measurement non-negative" if row.nonnegative else "")


def _typical(method: str, rows: list[WorstCaseRow], final: list[WorstCaseRow], context: Context) -> list[Finding]:
    """Median and 90 % quantile over patients of the found relative change."""
    values = context.per_patient(rows, _change, max)
    found: list[Finding] = []
    for name, p in (("median", 0.5), ("p90", 0.9)):
        interval = statistics.quantile_interval(values, p, level=context.level)
        value = statistics.median(values) if p == 0.5 else sorted(values)[min(len(values) - 1, int(p * len(values)))]
        words = "Half" if p == 0.5 else "90 %"
        need = statistics.least_cases(p, level=context.level)
        limit = f"; {need} patients are needed for an upper bound" if interval is None or interval.upper is None else ""
        found.append(
            context.finding(
                "worst_case",
                f"worst_case.relative_change.{name}",
                method,
                value=value,
                interval=interval,
                n=len(values),
                valid=_valid(final),
                sentence=f"{words} of {patients_text(len(values))} had a found change of {method} of at most {percent(value)} "
                f"{bounds_text(interval, percent)}{limit}.",
                caveat=_caveat(final),
            )
        )
    return found


def _ratios(method: str, own: list[WorstCaseRow], rows: Sequence[WorstCaseRow], context: Context) -> list[Finding]:
    """How much worse than noise of the same norm, and than the reference under the same search."""
    if not own:
        return []
    noise = [(row.case, _over(row.relative_change, row.noise_change_median)) for row in own]
    words = f"The perturbation found changes {method} more than Gaussian noise of the same norm does, by a factor of"
    found = [_ratio("worst_case.amplification_over_noise", method, noise, words, _valid(own), _caveat(own), context)]
    if context.reference is None or method == context.reference:
        return found
    theirs = [row for row in rows if row.method == context.reference]
    changes = {row.case: _change(row) for row in theirs}
    both = statistics.paired({row.case: _change(row) for row in own}, changes)
    if both:
        ratios = [(case, _over(a, b)) for case, a, b in both]
        words = f"Under the same search {method} changes, relative to {context.reference}, by a factor of"
        valid = _valid([*own, *theirs]) and context.healthy(context.reference, test="worst_case")
        statistic = "worst_case.relative_change.ratio_to_reference"
        found.append(_ratio(statistic, method, ratios, words, valid, _caveat([*own, *theirs]), context))
    return found


def _over(numerator: float, denominator: float) -> float:
    """A ratio; infinite over nothing, and NaN, unknown, where both are zero or infinite or one is NaN."""
    if math.isnan(numerator) or math.isnan(denominator) or (denominator == 0 and numerator == 0):
        return math.nan
    if denominator == 0:
        return math.inf
    return math.nan if math.isinf(denominator) else numerator / denominator


def _ratio(
    statistic: str, method: str, ratios: list[tuple[str, float]], words: str, valid: bool, caveat: str, context: Context
) -> Finding:
    """A geometric mean over patients; ratios that are zero, infinite or unknown open the interval instead of leaving it."""
    means = statistics.by_patient([(context.patient(case), ratio) for case, ratio in ratios], statistics.geometric_mean)
    known = [ratio for ratio in means if not math.isnan(ratio)]
    unknown = len(means) - len(known)
    # Measured, but no number: nothing known, or zero and infinite ratios together.
    value = statistics.geometric_mean(known) if known else math.nan
    interval = statistics.ratio_interval(means, level=context.level) if all(ratio > 0 for ratio in known) else None
    if interval is not None or all(0 < ratio < math.inf for ratio in means):
        bounds = bounds_text(interval, lambda end: f"{end:.3g}")
    else:
        bounds = "(no interval: ratios are zero, infinite or unknown)"
    shown = "unknown" if math.isnan(value) else "infinity" if value == math.inf else f"{value:.3g}"
    left = f"; unknown in {patients_text(unknown)}" if unknown else ""
    return context.finding(
        "worst_case",
        statistic,
        method,
        value=value,
        interval=interval,
        n=len(known),
        valid=valid,
        sentence=f"{words} {shown} (geometric mean over {patients_text(len(known))}{left}) {bounds}.",
        caveat=caveat,
    )
