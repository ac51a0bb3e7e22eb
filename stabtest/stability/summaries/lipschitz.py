"""Findings on Lipschitz constants: what was found below, what is guaranteed above.

No sampling is involved, so the "interval" is a bracket and its level is 1: the lower end is the largest gain that was found,
the upper end the smallest certified bound. An upper bound that is only probabilistic, or holds only on a ball, is left out
of it.
"""

from __future__ import annotations

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
        certified = [row.upper for row in own if row.upper is not None and row.upper_status in ("certified", "infinite")]
        # A bound that holds for one case only does not bound another case; the largest covers them all.
        upper = max(certified) if len(certified) == len(own) else None
        above = (
            "no upper bound is known" if upper is None else f"no more than {upper:.3g} is possible under the listed assumptions"
        )
        found.append(
            context.finding(
                "lipschitz",
                f"lipschitz.{name.replace(' ', '_')}",
                method,
                value=lower,
                interval=Interval(lower=lower, upper=upper, level=1.0, method="bracket: found below, bounded above"),
                n=len({context.patient(row.case) for row in own if row.case is not None}),
                sentence=f"{method}, {name}: a gain of {lower:.3g} was found; {above}.",
            )
        )
    return found
