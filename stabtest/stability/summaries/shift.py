"""The findings on distribution shift: the shift under which a method becomes poorer beyond the linear reference.

For each shift and size `stabtest.stability.shift.statements` has two paired means over patients with bounds that all hold together: the
change of the NRMSE, and its excess over that of the linear reference. A method is poorer beyond the linear reference by

    d = min(change, excess)

whose bounds are the smaller ones of the two. The statistic is the largest ``d`` over the shifts, between the largest lower and the
largest upper bound; a lower bound above 0 is there exactly where a statement says "poorer beyond the linear reference".

Shifts that were named and the worst that a search found are two statistics. A search that finds little proves nothing, so nothing
bounds the second from above, and a limit on it can fail but never pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest.findings.records import Interval
from stabtest.findings.shift_rows import ShiftRow, ShiftStatement
from stabtest.findings.verdicts import Finding
from stabtest.stability.shift.measure import REFUSED
from stabtest.stability.shift.statements import statements
from stabtest.stability.summaries.context import Context, joint


def summarise_shift(rows: Sequence[ShiftRow], context: Context) -> list[Finding]:
    """``shift.poorer_beyond_linear`` of each method, and ``shift.searched.poorer_beyond_linear`` where a box was searched."""
    found: list[Finding] = []
    said = statements(rows, patients=context.patients, level=context.level)
    for method in context.methods(rows):
        mine = [row for row in rows if row.method == method]
        refused = {(row.shift, row.size) for row in mine if row.note is not None and row.note.startswith(REFUSED)}
        caveat = f"the method did not take what it was told under {len(refused)} of the shifts" if refused else ""
        for statistic, searched in (("shift.poorer_beyond_linear", False), ("shift.searched.poorer_beyond_linear", True)):
            own = [one for one in said if one.method == method and (one.family == "searched") == searched]
            if not own:
                continue
            bounds = joint([_smaller(one, searched) for one in own])
            worst = max(own, key=_order)
            found.append(
                context.finding(
                    "shift",
                    statistic,
                    method,
                    value=_largest([_beyond(one) for one in own]),
                    interval=bounds,
                    n=max(one.patients for one in own),
                    sentence=f"{method}: {worst.statement}",
                    caveat="" if searched else caveat,
                )
            )
    return found


def _beyond(statement: ShiftStatement) -> float:
    """``min(change, excess)``; NaN where one of them is."""
    if math.isnan(statement.change) or math.isnan(statement.excess):
        return math.nan
    return min(statement.change, statement.excess)


def _smaller(statement: ShiftStatement, searched: bool) -> Interval | None:
    """Bounds of ``min(change, excess)``: of a search none above."""
    change, excess = statement.interval, statement.excess_interval
    if change is None or excess is None or change.lower is None or excess.lower is None:
        return None
    upper = None if change.upper is None or excess.upper is None or searched else min(change.upper, excess.upper)
    return change.model_copy(update={"lower": min(change.lower, excess.lower), "upper": upper})


def _order(statement: ShiftStatement) -> tuple[float, float]:
    """The shift to quote: where the lower bound is highest if that is above 0, else where the mean is largest."""
    bounds, beyond = _smaller(statement, False), _beyond(statement)
    low = bounds.lower if bounds is not None and bounds.lower is not None else -math.inf
    beyond = math.inf if math.isnan(beyond) else beyond
    return (low, beyond) if low > 0 else (-math.inf, beyond)


def _largest(values: list[float]) -> float:
    """The largest; NaN where one is unknown and none is infinite."""
    if math.inf in values or not any(math.isnan(value) for value in values):
        return max(value for value in values if not math.isnan(value))
    return math.nan
