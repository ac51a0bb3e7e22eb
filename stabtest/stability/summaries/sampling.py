"""The finding on the number of samples: the largest paired rise of NRMSE when samples are added.

The comparisons of one method carry simultaneous bounds (`stabtest.stability.sampling.statements`), so the largest of their
lower ends bounds the largest true change from below and the largest of their upper ends bounds it from above. A comparison
without an interval leaves the upper side open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest.findings.records import SamplingRow, SamplingStatement
from stabtest.findings.verdicts import Finding
from stabtest.stability.sampling import statements
from stabtest.stability.summaries.context import Context, joint


def summarise_sampling(rows: Sequence[SamplingRow], context: Context) -> list[Finding]:
    """``sampling.more_is_poorer`` of each method: the largest mean paired change of NRMSE, positive = poorer."""
    found: list[Finding] = []
    said = statements(rows, patients=context.patients, level=context.level)
    for method in context.methods(rows):
        own = [statement for statement in said if statement.method == method]
        if not own:
            continue
        worst = max(own, key=_order)
        n = len({context.patient(row.case) for row in rows if row.method == method})
        found.append(
            context.finding(
                "sampling",
                "sampling.more_is_poorer",
                method,
                value=_largest([statement.change for statement in own]),
                interval=joint([statement.interval for statement in own]),
                n=n,
                sentence=f"{method}: {worst.statement}",
            )
        )
    return found


def _order(statement: SamplingStatement) -> tuple[float, float]:
    """The comparison to quote: where the lower bound is highest, else where the change is largest."""
    interval = statement.interval
    low = interval.lower if interval is not None and interval.lower is not None else float("-inf")
    change = float("inf") if math.isnan(statement.change) else statement.change
    return (low, change) if low > 0 else (float("-inf"), change)


def _largest(changes: list[float]) -> float:
    """The largest change; NaN where one is unknown and none is infinite."""
    if math.inf in changes or not any(math.isnan(change) for change in changes):
        return max(change for change in changes if not math.isnan(change))
    return math.nan
