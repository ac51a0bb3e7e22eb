"""The end of section 8: what the search spent, whether it had settled, and whether it could see at all.

A search that follows a gradient which is missing or false finds nothing, and the network looks stable. What the gradient was found
to be is therefore said in words, for each method and name, with what was done instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stabtest.findings.document import Document
from stabtest.findings.records import WorstCaseRow
from stabtest.report import tables
from stabtest.report.blocks import Block, FigureRow, Paragraph, Table
from stabtest.report.numbers import count, many
from stabtest.report.sections.worst_case_curves import Curve, Point, history
from stabtest.report.wording import GRADIENTS


def budget(document: Document, found: list[Curve]) -> list[Block]:
    """Alerts, the record of the search, and the table."""
    points = [point for curve in found for point in curve.points]
    states = [Counter(row.status for row in point.rows) for point in points]
    body = tables.rows(
        tables.words(point.method for point in points),
        tables.settings([point.radius for point in points]),
        tables.counts([sum(r.evaluations for r in point.rows) for point in points]),
        tables.counts([max(r.evaluations for r in point.rows) for point in points]),
        tables.counts([_queries(point) for point in points]),
        tables.counts([state["converged"] for state in states]),
        tables.counts([state["still rising"] for state in states]),
        tables.counts([state["no usable gradient"] for state in states]),
        tables.measured([tables.largest(r.spread for r in point.rows) for point in points]),
        tables.measured([tables.largest(r.violation for r in point.rows) for point in points]),
    )
    heads = (
        "Method",
        "Radius",
        "Evaluations, all cases",
        "Most for one case",
        "Without a gradient, all cases",
        "Converged",
        "Still rising",
        "No usable gradient",
        "Largest spread",
        "Largest violation",
    )
    rising = sum(state["still rising"] for state in states)
    section_rows = [row for point in points for row in point.rows]
    blocks: list[Block] = []
    if rising:
        blocks.append(
            Paragraph(
                f"{many(rising, 'search', 'searches')} still rising when the budget ended: a larger budget may find more.",
                "alert",
            )
        )
    blocks += [Paragraph(sentence, "alert") for sentence in (*blindness(section_rows), *roughness(section_rows))]
    drawn = history(document, found)
    blocks += [FigureRow((drawn,))] if drawn is not None else []
    note = (
        "Converged: the paths in the second half of the evaluations raised the best value by at most 1 %; a search of one path cannot "
        "say that. Spread: how far the paths from starts of their own ended apart, relative to the best of them; large where there "
        "are many maxima, not available with fewer than two. Without a gradient: queries of the search that follows where the gradient "
        "cannot be used. Violation: how far the stored perturbation is outside of its set, "
        "recomputed in double precision."
    )
    blocks.append(Table("budget-table", "Budget and convergence", heads, body, note=note, numeric=(False, *[True] * 9)))
    return blocks


def _queries(point: Point) -> int | None:
    """Queries without a gradient, all cases; ``None`` where an older version wrote the document."""
    asked = [row.queries for row in point.rows if row.queries is not None]
    return sum(asked) if asked else None


def blindness(rows: Sequence[WorstCaseRow]) -> list[str]:
    """One sentence for each method and fault of its gradient, in the order of the rows; nothing where all searches could see."""
    blind: dict[tuple[str, str], list[WorstCaseRow]] = {}
    for row in rows:
        if row.status == "no usable gradient":
            blind.setdefault((row.method, row.gradient or ""), []).append(row)
    return [_blind(method, name, group, rows) for (method, name), group in blind.items()]


def roughness(rows: Sequence[WorstCaseRow]) -> list[str]:
    """One sentence for each method some of whose gradients were rough and were followed all the same."""
    found: dict[str, list[WorstCaseRow]] = {}
    for row in rows:
        if row.gradient == "rough" and row.status != "no usable gradient":
            found.setdefault(row.method, []).append(row)
    sentences: list[str] = []
    for method, group in found.items():
        total = many(sum(row.method == method for row in rows), "search", "searches")
        sentences.append(
            f"{method}: in {count(len(group))} of {total} the gradient was rough: {GRADIENTS['rough']}. The searches along it were "
            f"followed by searches without gradients ({_spent(group)}); the larger of what both found stands."
        )
    return sentences


def _blind(method: str, name: str, group: Sequence[WorstCaseRow], rows: Sequence[WorstCaseRow]) -> str:
    total = many(sum(row.method == method for row in rows), "search", "searches")
    which = f"{method}: {count(len(group))} of {total} had no usable gradient"
    if name in GRADIENTS:
        which += f". It was {name}: {GRADIENTS[name]}"
    if not any(row.queries for row in group):
        return f"{which}. No search without gradients followed: the values say little about the worst case."
    return (
        f"{which}. A search without gradients followed, with {_spent(group)}, each one reconstruction. What it "
        "found is real, but it sees less than a search with gradients: a small value here is no sign of stability."
    )


def _spent(group: Sequence[WorstCaseRow]) -> str:
    asked = [row.queries or 0 for row in group]
    spent = count(min(asked)) if min(asked) == max(asked) else f"{count(min(asked))} to {count(max(asked))}"
    return f"{spent} queries for each image and radius"
