"""The finding on repeatability: the largest change of the image where there should be none.

Double precision is another computation and not the same one again: what it changes is the method's own amplification of rounding, which is in the
report and not in this figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.noise_rows import RepeatabilityRow
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, largest, patients_text


def summarise_repeatability(rows: Sequence[RepeatabilityRow], context: Context) -> list[Finding]:
    """``repeatability.difference.max`` of each method."""
    found: list[Finding] = []
    for method in context.methods(rows):
        tried = [
            (row.difference, row)
            for row in rows
            if row.method == method and row.difference is not None and row.variation != "double precision"
        ]
        if not tried:
            continue
        value, worst = max(tried, key=lambda pair: pair[0])
        n = len({context.patient(row.case) for _, row in tried})
        interval = largest(value, n, level=context.level)
        what = ", ".join(sorted({row.variation for _, row in tried}))
        sentence = (
            f"The same measurement again changes the image of {method} by at most {value:.2g} of its norm ({worst.variation}), over "
            f"{patients_text(n)}; tried: {what}."
        )
        found.append(
            context.finding(
                "repeatability", "repeatability.difference.max", method, value=value, interval=interval, n=n, sentence=sentence
            )
        )
    return found
