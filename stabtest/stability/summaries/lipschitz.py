"""Findings on Lipschitz constants: what was found below, what is guaranteed above.

No sampling is involved, so the "interval" is a bracket: the lower end is the largest gain that was reached, the upper end
the largest of the bounds. Its level is 1, or that of the audit where a bound holds with a probability only (its failure
probability, far below 5 %, is in the bracket's assumptions).

A bound "on a ball" holds from the measurement of its own case to any other and says nothing about the measurement of another
patient. It is in the sentence, never an upper end: a claim about the method cannot rest on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest.findings.records import Bracket, Interval
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context


def summarise_lipschitz(rows: Sequence[Bracket], method: str, context: Context) -> list[Finding]:
    """``lipschitz.<name>`` for each name of a bracket, spaces as underscores; the value is the largest gain found."""
    found: list[Finding] = []
    for name in dict.fromkeys(row.name for row in rows):
        own = [row for row in rows if row.name == name]
        lower = max(row.lower for row in own)
        uppers = [row.upper for row in own if row.upper is not None]
        statuses = sorted({row.upper_status for row in own})
        # The largest of bounds that hold for every measurement (perhaps computed at several) is one, too.
        everywhere = len(uppers) == len(own) and "on a ball" not in statuses
        upper = max(uppers) if everywhere else None
        level = context.level if "probabilistic" in statuses else 1.0
        above = "no upper bound is known"
        if upper is not None:
            above = f"more than {upper:.3g} is excluded under the listed assumptions" if upper < math.inf else "no bound exists"
        elif len(uppers) == len(own):
            where = ", ".join(dict.fromkeys(row.case for row in own if row.case is not None)) or "the measured case"
            above = f"more than {max(uppers):.3g} is excluded from the measurement of {where}, nothing elsewhere"
        found.append(
            context.finding(
                "lipschitz",
                f"lipschitz.{name.replace(' ', '_')}",
                method,
                value=lower,
                interval=Interval(lower=lower, upper=upper, level=level, method=f"bracket, above: {', '.join(statuses)}"),
                n=len({context.patient(row.case) for row in own if row.case is not None}),
                sentence=f"{method}, {name}: a gain of {lower:.3g} was found; {above}.",
            )
        )
    return found
