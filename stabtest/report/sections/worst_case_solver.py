"""Section 8 for iterative methods: whether the solver was finished where it was attacked, and along which derivative it was.

A solver that stops early is another method than its limit, and may look stable because it has not arrived. The table stands beside the
budget because it answers the same question: how far to trust a small number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stabtest.findings.document import WorstCaseSection
from stabtest.findings.records import UNFINISHED, SolverRow, WorstCaseRow
from stabtest.report import tables
from stabtest.report.blocks import Block, Heading, Paragraph, Table
from stabtest.report.numbers import count, many, number


@dataclass(frozen=True)
class _Group:
    """The rows of one iterative method at one radius."""

    method: str
    radius: float
    rows: tuple[tuple[WorstCaseRow, SolverRow], ...]

    @property
    def stopped(self) -> list[tuple[WorstCaseRow, SolverRow]]:
        return [(row, solver) for row, solver in self.rows if not solver.finished(row.relative_change)]


def solvers(section: WorstCaseSection) -> list[Block]:
    """Heading, what is meant, what was found, table; nothing where no method is iterative."""
    groups = _groups(section.rows)
    if not groups:
        return []
    blocks: list[Block] = [
        Heading("solver", "Iterative methods: was the solver finished?"),
        Paragraph(
            "An iterative method is stopped after a number of steps. Stopped early it is smoother than what it converges to, and can "
            "look stable for that reason alone. So it was run longer, at the clean measurement and under the perturbations that were "
            "found, and compared with itself. Where a method can be differentiated in several ways (unrolled: through the steps that it "
            "takes; implicit: at their limit), it was searched along each, and the perturbation that does more to the method as it is "
            "used was kept.",
            "method",
        ),
    ]
    for method in dict.fromkeys(group.method for group in groups):
        sentence = _unfinished(method, [group for group in groups if group.method == method])
        blocks += [Paragraph(sentence, "alert")] if sentence else []
    return [*blocks, _table(groups)]


def _groups(rows: Sequence[WorstCaseRow]) -> list[_Group]:
    found: dict[tuple[str, str], list[tuple[WorstCaseRow, SolverRow]]] = {}
    for row in rows:
        if row.solver is not None:
            found.setdefault((row.method, repr(row.radius)), []).append((row, row.solver))
    groups = [_Group(own[0][0].method, own[0][0].radius, tuple(own)) for own in found.values()]
    methods = list(dict.fromkeys(group.method for group in groups))
    return sorted(groups, key=lambda group: (methods.index(group.method), group.radius))


def _unfinished(method: str, groups: Sequence[_Group]) -> str:
    """What to make of a solver that had not finished; empty where it had."""
    stopped = [pair for group in groups for pair in group.stopped]
    if not stopped:
        return ""
    total = many(sum(len(group.rows) for group in groups), "search", "searches")
    solver = stopped[0][1]
    off = max(max(s.clean_distance, s.distance) for _, s in stopped)
    row, worst = max(stopped, key=lambda pair: pair[1].longer_change / max(pair[0].relative_change, 1e-30))
    return (
        f"{method}: stopped after {count(solver.iterations)} steps, the solver was not finished in {count(len(stopped))} of {total}. Its "
        f"images differ by up to {number(off)} (relative) from those of a run {solver.longer} times as long. Where the two differ most "
        f"under the perturbations found, the longer run changes by {number(worst.longer_change)} and the method as it is used by "
        f"{number(row.relative_change)}. How stable this method looks depends on where it was stopped: raise its iterations for a "
        "firmer comparison."
    )


def _table(groups: Sequence[_Group]) -> Table:
    body = tables.rows(
        tables.words(group.method for group in groups),
        tables.settings([group.radius for group in groups]),
        tables.counts([len(group.rows) for group in groups]),
        tables.words(_ways(group) for group in groups),
        tables.counts([max(s.iterations for _, s in group.rows) for group in groups]),
        tables.counts([len(group.stopped) for group in groups]),
        tables.measured([tables.largest(r.relative_change for r, _ in group.rows) for group in groups]),
        tables.measured([tables.largest(s.longer_change for _, s in group.rows) for group in groups]),
        tables.measured([tables.largest(s.clean_distance for _, s in group.rows) for group in groups]),
        tables.measured([tables.largest(s.distance for _, s in group.rows) for group in groups]),
        tables.measured([tables.largest(s.clean_gap for _, s in group.rows) for group in groups]),
        tables.measured([tables.largest(s.gap for _, s in group.rows) for group in groups]),
        tables.measured([tables.largest(s.residual for _, s in group.rows) for group in groups]),
    )
    heads = (
        "Method",
        "Radius",
        "Cases",
        "Found along (cases)",
        "Steps",
        "Not finished, cases",
        "Change found",
        "Change of the longer run",
        "Distance, clean",
        "Distance, perturbed",
        "Gap, clean",
        "Gap, perturbed",
        "Last step, perturbed",
    )
    longer = groups[0].rows[0][1].longer
    note = (
        f"Largest over cases. Change of the longer run: of the same method run {longer} times as long, under the worst of the "
        "perturbations found; it was not itself searched, so its worst case may be larger. Distance: between the two images, relative. "
        "Gap: bound of how far the objective that the method minimises is above its minimum, relative. Last step: relative length of "
        "one more step. Not finished: the distances, clean and perturbed together, exceed "
        f"{round(100 * UNFINISHED)} % of the change found, or the two changes differ by more than that."
    )
    numeric = (False, True, True, False, *[True] * 9)
    return Table("solver-table", "Iterative methods: distance from finished", heads, body, note=note, numeric=numeric)


def _ways(group: _Group) -> str:
    """``unrolled 3, implicit 1``."""
    found = Counter(row.differentiation for row, _ in group.rows if row.differentiation)
    return ", ".join(f"{way} {count(number)}" for way, number in found.most_common()) or "–"
