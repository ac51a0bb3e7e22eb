"""Findings on the worst case, at the largest radius searched.

What a search finds is a lower bound of the worst that exists. The *largest found* value therefore bounds the worst case from
below and nothing bounds it from above. How large the found values typically are is another question, and has bounds: order
statistics for the median and for the 90 % quantile over patients (one value a patient, that of the worst image), Student's t
on logarithms for ratios of paired values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stabtest import statistics
from stabtest.findings.records import WorstCaseRow
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
    """The ``worst_case.*`` statistics of each method at the largest radius."""
    if not rows:
        return []
    radius = max(row.radius for row in rows)
    rows = [row for row in rows if row.radius == radius]
    found: list[Finding] = []
    for method in context.methods(rows):
        own = [row for row in rows if row.method == method]
        valid = all(row.violation <= MOST_VIOLATION and row.status != "no usable gradient" for row in own)
        found += _largest(method, own, valid, context) + _typical(method, own, valid, context)
        found += _ratios(method, own, rows, valid, context)
    return found


def _largest(method: str, rows: list[WorstCaseRow], valid: bool, context: Context) -> list[Finding]:
    """The worst image of all, with its witness."""
    found: list[Finding] = []
    size = f"a perturbation of {percent(rows[0].radius)} of the {rows[0].domain}'s norm"
    for name, of, words in MEASURES:
        values = [(value, row) for row in rows if (value := of(row)) is not None]
        value, interval, witness, n = None, None, None, len({context.patient(row.case) for _, row in values})
        sentence = f"Without a truth the error of {method} cannot be had."
        if values:
            value, worst = max(values, key=lambda pair: pair[0])
            interval, witness = largest(value, n, level=context.level), worst.witness
            budget = f"largest found within the stated budget over {patients_text(n)}: {worst.case}"
            sentence = f"Under {size} {words(method, value)} ({budget})." + ("" if valid else " The search was not valid.")
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
            )
        )
    return found


def _typical(method: str, rows: list[WorstCaseRow], valid: bool, context: Context) -> list[Finding]:
    """Median and 90 % quantile over patients of the found relative change."""
    values = context.per_patient(rows, lambda row: row.relative_change, max)
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
                valid=valid,
                sentence=f"{words} of {patients_text(len(values))} had a found change of {method} of at most {percent(value)} "
                f"{bounds_text(interval, percent)}{limit}.",
            )
        )
    return found


def _ratios(method: str, own: list[WorstCaseRow], rows: Sequence[WorstCaseRow], valid: bool, context: Context) -> list[Finding]:
    """How much worse than noise of the same norm, and than the reference under the same search."""
    found: list[Finding] = []
    noise = [(row.case, row.relative_change / row.noise_change_median) for row in own if row.noise_change_median > 0]
    if noise:
        words = f"The perturbation found changes {method} more than Gaussian noise of the same norm does, by a factor of"
        found.append(_ratio("worst_case.amplification_over_noise", method, noise, words, valid, context))
    reference = {row.case: row.relative_change for row in rows if row.method == context.reference and row.relative_change > 0}
    both = statistics.paired({row.case: row.relative_change for row in own}, reference)
    if method != context.reference and both:
        ratios = [(case, a / b) for case, a, b in both]
        words = f"Under the same search {method} changes, relative to {context.reference}, by a factor of"
        found.append(_ratio("worst_case.relative_change.ratio_to_reference", method, ratios, words, valid, context))
    return found


def _ratio(statistic: str, method: str, ratios: list[tuple[str, float]], words: str, valid: bool, context: Context) -> Finding:
    values = statistics.by_patient(
        [(context.patient(case), ratio) for case, ratio in ratios if ratio > 0], statistics.geometric_mean
    )
    value = statistics.geometric_mean(values) if values else None
    interval = statistics.ratio_interval(values, level=context.level)
    bounds = bounds_text(interval, lambda end: f"{end:.3g}")
    shown = "unknown" if value is None else f"{value:.3g}"
    return context.finding(
        "worst_case",
        statistic,
        method,
        value=value,
        interval=interval,
        n=len(values),
        valid=valid,
        sentence=f"{words} {shown} (geometric mean over {patients_text(len(values))}) {bounds}.",
    )
