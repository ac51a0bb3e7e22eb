"""Is the method poorer under a shift? A statement about the mean over patients, with bounds that all hold together.

For every shift and size there are two paired means, one value a patient: the change ``NRMSE(with) - NRMSE(without)``, and the
*excess*, that change less the change of the direct linear reconstruction on the same case. Both get one-sided Student's t
bounds, with Bonferroni's correction over all of one method (two for each shift and size), as in
`stabtest.stability.sampling.statements`.

| Outcome | Where |
|---|---|
| poorer beyond the linear reference | the lower bounds of the change *and* of the excess are above 0 |
| poorer | the lower bound of the change is above 0: the scan became harder, or the method is no worse than a linear one |
| better | the upper bound of the change is below 0 |
| no change shown | neither |
| no interval | one patient, or a figure that is not finite |

Both are asked for because either alone misleads: a shift can make the scan harder for every method, and a method with a large
error anyway can gain less than the linear one by an easier object.

The worst that a search found is never below the error without shift, since that is a point of the box: a lower bound of its
change above 0 says nothing. So of a search "poorer" alone is never said; its outcome rests on the excess over a search of
the linear reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from stabtest import statistics
from stabtest.findings.records import Interval
from stabtest.findings.shift_rows import ShiftRow, ShiftStatement

Outcome = Literal["poorer beyond the linear reference", "poorer", "better", "no change shown", "no interval"]
Key = tuple[str, str, float | None, str]
"""Family, shift, size, unit."""


def statements(
    rows: Iterable[ShiftRow], *, patients: Mapping[str, str] | None = None, level: float = statistics.LEVEL
) -> list[ShiftStatement]:
    """Paired statements for every method, shift and size; rows without figures are left out.

    Parameters
    ----------
    rows
        Rows of any methods and cases.
    patients
        Case name to patient; a case that is not in it is its own patient.
    level
        One-sided simultaneous level of the bounds of one method.

    Returns
    -------
    list of ShiftStatement
        In the order in which methods and shifts first appear.

    Examples
    --------
    >>> def row(case, nrmse):
    ...     fixed = {"method": "net", "family": "object", "shift": "rotation", "size": 5.0, "unit": "degrees"}
    ...     linear = {"linear_nrmse_without": 0.2, "linear_nrmse": 0.2, "linear_change": 0.0}
    ...     change = {"nrmse_without": 0.1, "nrmse": nrmse, "change": nrmse - 0.1}
    ...     return ShiftRow(case=case, defect=None, linear_defect=None, **fixed, **linear, **change)
    >>> (found,) = statements([row("a", 0.15), row("b", 0.152), row("c", 0.151)])
    >>> found.outcome, round(found.change, 3), round(found.interval.lower, 4)
    ('poorer beyond the linear reference', 0.051, 0.0485)
    """
    groups: dict[str, dict[Key, list[ShiftRow]]] = {}
    for row in rows:
        if row.change is not None and row.linear_change is not None:
            groups.setdefault(row.method, {}).setdefault((row.family, row.shift, row.size, row.unit), []).append(row)
    return [
        _statement(method, group, patients or {}, level, 2 * len(by_key))
        for method, by_key in groups.items()
        for group in by_key.values()
    ]


def _statement(
    method: str, rows: Sequence[ShiftRow], patients: Mapping[str, str], level: float, comparisons: int
) -> ShiftStatement:
    first = rows[0]
    pairs = [(patients.get(row.case, row.case), row.change or 0.0, row.linear_change or 0.0) for row in rows]
    changes = statistics.by_patient([(patient, change) for patient, change, _ in pairs], statistics.mean)
    excesses = statistics.by_patient([(patient, change - linear) for patient, change, linear in pairs], statistics.mean)
    interval, beyond = (
        statistics.simultaneous(statistics.mean_interval, values, comparisons, level=level) for values in (changes, excesses)
    )
    change, excess = statistics.mean(changes), statistics.mean(excesses)
    outcome = _outcome(interval, beyond, first.family == "searched")
    return ShiftStatement(
        method=method,
        family=first.family,
        shift=first.shift,
        size=first.size,
        unit=first.unit,
        patients=len(changes),
        change=change,
        interval=interval,
        excess=excess,
        excess_interval=beyond,
        outcome=outcome,
        statement=_sentence(first, outcome, change, interval, excess, beyond, len(changes)),
    )


def _outcome(interval: Interval | None, beyond: Interval | None, searched: bool) -> Outcome:
    if interval is None or beyond is None or interval.lower is None or interval.upper is None or beyond.lower is None:
        return "no interval"
    if interval.lower > 0 and beyond.lower > 0:
        return "poorer beyond the linear reference"
    if searched:
        return "no change shown"
    if interval.lower > 0:
        return "poorer"
    return "better" if interval.upper < 0 else "no change shown"


def _sentence(
    row: ShiftRow, outcome: Outcome, change: float, interval: Interval | None, excess: float, beyond: Interval | None, n: int
) -> str:
    where = _where(row)
    moved = f"NRMSE {'rose' if change > 0 else 'fell'} by {abs(change):.3g}" if change else "NRMSE did not change"
    if outcome == "no interval" or interval is None or beyond is None:
        if not math.isfinite(change):
            return f"{where}: NRMSE is not finite in one patient or more; no interval can be had."
        if n < 2:
            return f"{where}: {moved} in one patient; no interval can be had."
        return f"{where}: {moved}; no interval can be had."
    figures = f"{moved} {_bounds(interval, n)}"
    linear = f"less the change of the linear reference {excess:+.3g} {_bounds(beyond, n)}"
    heads = {
        "poorer beyond the linear reference": "Poorer, and beyond the linear reference",
        "poorer": "Poorer, not shown to be beyond the linear reference",
        "better": "Better",
        "no change shown": "Not shown to be beyond the linear reference" if row.family == "searched" else "No change shown",
    }
    return f"{heads[outcome]}. {where}: {figures}; {linear}."


def _where(row: ShiftRow) -> str:
    if row.family == "searched":
        return f"Worst found within {row.shift}"
    return f"{row.shift.replace('_', ' ').capitalize()} of {_amount(row.size, row.unit)}"


def _amount(size: float | None, unit: str) -> str:
    if size is None:
        return "unknown size"
    return f"{100 * size:g} %" if unit in ("relative", "share") else f"{size:g} {unit}"


def _bounds(interval: Interval, n: int) -> str:
    return f"({interval.level * 100:.0f} % bounds {interval.lower:.3g} to {interval.upper:.3g}, {n} patients)"
