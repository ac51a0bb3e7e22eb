"""Findings on the null space: what is shown there that is not in the object, and how dearly details are recovered from it.

``kernel.hallucinated.median`` is the median over patients of the norm of the null-space hallucination map relative to the image; a method that
leaves the null space blank has 0. ``kernel.hallucinated.difference_to_reference`` is its mean paired difference to the reference's, with Student's
t: sparse regularisation fills the null space, too. ``kernel.transfer_bound.max`` is the largest lower bound of the local Lipschitz constant
that a search found from details that the data barely tell apart; nothing bounds it from above, and every one of them is a counterexample to a smaller
claim.
"""

from __future__ import annotations

from collections.abc import Sequence

from stabtest import statistics
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow
from stabtest.findings.records import Interval
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, bounds_text, largest, patients_text, percent


def summarise_kernel(
    errors: Sequence[KernelErrorRow], transfers: Sequence[KernelTransferRow], context: Context
) -> list[Finding]:
    """The three findings of each method, as far as there are rows for them."""
    found: list[Finding] = []
    reference = context.reference
    base = {row.case: row.hallucinated_null for row in errors if row.method == reference}
    for method in context.methods(errors):
        mine = [row for row in errors if row.method == method]
        values = context.per_patient(mine, lambda row: row.hallucinated_null)
        interval = statistics.quantile_interval(values, level=context.level)
        middle = statistics.median(values)
        sentence = (
            f"What {method} shows in the null space and the object does not have is {percent(middle)} of the image in the median over "
            f"{patients_text(len(values))} {bounds_text(interval, percent)}."
        )
        found.append(_finding("hallucinated.median", method, middle, interval, len(values), sentence, context))
        if reference is not None and method != reference:
            found += _difference(method, reference, mine, base, context)
    for method in context.methods(transfers):
        found.append(_bound(method, [row for row in transfers if row.method == method], context))
    return found


def _difference(
    method: str, reference: str, rows: Sequence[KernelErrorRow], base: dict[str, float], context: Context
) -> list[Finding]:
    pairs = statistics.paired({row.case: row.hallucinated_null for row in rows}, base)
    if not pairs:
        return []
    values = statistics.by_patient([(context.patient(case), one - other) for case, one, other in pairs], statistics.mean)
    value, interval = statistics.mean(values), statistics.mean_interval(values, level=context.level)
    sentence = (
        f"Of what the object does not have, {method} shows {percent(abs(value))} of the image {'more' if value >= 0 else 'less'} in the null space "
        f"than {reference}, over {patients_text(len(values))} {bounds_text(interval, percent)}."
    )
    healthy = context.healthy(reference, test="kernel")
    return [
        _finding("hallucinated.difference_to_reference", method, value, interval, len(values), sentence, context, valid=healthy)
    ]


def _bound(method: str, rows: Sequence[KernelTransferRow], context: Context) -> Finding:
    worst = max(rows, key=lambda row: row.bound)
    patients = len({context.patient(row.case) for row in rows})
    proved = sum(row.kernel_aware is False for row in rows)
    words = (
        f"the null space is proved to be filled as a function of the data in {proved} of {len(rows)} searches"
        if proved
        else f"no more than a method can have that leaves the null space alone, in any of {len(rows)} searches"
    )
    bounded = f"{worst.bound:.3g}" if worst.bound > 0 else "nothing (no positive bound)"
    sentence = f"From details that the data barely tell apart, the largest lower bound of the gain of {method} that was found is {bounded}; {words}."
    value = max(worst.bound, 0.0)
    caveat = "a search ended without a usable gradient" if any(row.status == "no usable gradient" for row in rows) else ""
    return context.finding(
        "kernel",
        "kernel.transfer_bound.max",
        method,
        value=value,
        interval=largest(value, patients, level=context.level),
        n=patients,
        sentence=sentence,
        counterexample=value > 0,
        caveat=caveat,
    )


def _finding(
    name: str,
    method: str,
    value: float,
    interval: Interval | None,
    n: int,
    sentence: str,
    context: Context,
    *,
    valid: bool = True,
) -> Finding:
    return context.finding(
        "kernel", f"kernel.{name}", method, value=value, interval=interval, n=n, sentence=sentence, valid=valid
    )
