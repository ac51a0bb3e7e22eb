"""The searched worst lesion within section 9: figure, table, and pictures of what was found for the method under test."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.report import panels, tables
from stabtest.report.anchors import missed_panels
from stabtest.report.blocks import Block, Cell, Figure, FigureRow, Heading, Paragraph, Table
from stabtest.report.charts import Level, Marker, Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, number
from stabtest.report.text import shorten

HEADING = Heading("missed-lesion", "Missed lesions: the worst found by a search")
_ROLES = ("detail", "recovered", "with_detail")
_MOST = 4
ROUND = 1.02
"""An aspect up to this is shown as a disc: it has no angle."""


def missed_blocks(document: Document) -> list[Block]:
    """What lesion comes back least, of each method and case; nothing where it was not searched."""
    section = document.missed_lesion
    if section is None or not section.rows:
        return [HEADING, Paragraph("Not run: the lesion that comes back least was not searched.", "absent")]
    order = method_order(document, [row.method for row in section.rows])
    rows = sorted(section.rows, key=lambda row: (order.index(row.method), row.case))
    blocks: list[Block] = [
        HEADING,
        Paragraph(section.description, "method"),
        Paragraph(f"Budget: {section.budget}.", "method"),
        Paragraph(
            "Found within the stated budget: the least recovery is at most this. It says that there is such a lesion, not how often one occurs. Read "
            "it beside the recovery of the same lesion by the reference and by the direct linear reconstruction: what they show is in the "
            "data, and a method that does not show it has lost it.",
            "note",
        ),
        FigureRow((_figure(document, rows, order),)),
        _found(rows),
        _lesions(rows),
    ]
    for anchor, title, group in missed_panels(document):
        caption = f"{shorten(title, 140) or 'Worst lesion found'}; case {shorten(group.case, 80)}"
        mine = next(
            (row for row in rows if row.case == group.case and title.startswith(f"Worst found for {row.method}:")), None
        )

        def notes(method: str, mine: MissedLesionRow | None = mine) -> tuple[str, ...]:
            return _notes(mine, method)

        blocks.append(panels.panel(document, group, _ROLES, anchor=anchor, caption=caption, notes=notes))
    return blocks


def _notes(row: MissedLesionRow | None, method: str) -> tuple[str, ...]:
    if row is None:
        return ()
    if method == row.method:
        return (f"recovery {number(row.recovery)}", f"sham {number(row.sham_recovery)}")
    return (f"recovery {number(row.reference_recovery)}",) if method == row.reference else ()


def _figure(document: Document, rows: Sequence[MissedLesionRow], order: Sequence[str]) -> Figure:
    """The least of each case: after the coarse grid, and at the end."""
    cases = list(dict.fromkeys(row.case for row in rows))
    stages: tuple[tuple[str, str, float, Marker], ...] = (
        ("grid_recovery", "coarse grid alone", -0.05, "circle"),
        ("recovery", "after the search", 0.05, "square"),
    )
    lines: list[Series] = []
    for index, method in enumerate(order[:_MOST]):
        middle = 0.2 * (index - (min(len(order), _MOST) - 1) / 2)
        for name, words, shift, marker in stages:
            points = [
                (cases.index(row.case) + 1 + middle + shift, value)
                for row in rows
                if row.method == method and (value := getattr(row, name)) is not None
            ]
            if points:
                x, y = tuple(x for x, _ in points), tuple(y for _, y in points)
                lines.append(Series(f"{method}, {words}", x, y, tone(document, method), marker, line=False))
    plot = Plot(
        "Least contrast recovery of a lesion that the data carry, by case: on the coarse grid, and after the search",
        "number of the case, as in the table",
        "recovery",
        tuple(lines),
        levels=(Level("complete recovery", 1.0),),
        x_ticks=tuple(float(at + 1) for at in range(len(cases))) if len(cases) <= 12 else (),
    )
    drawing = draw(plot)
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    return Figure("figure-missed-lesion", plot.title, drawing.svg, "missed-lesion-rows", note)


def _found(rows: Sequence[MissedLesionRow]) -> Table:
    """How much came back."""
    names = sorted({row.reference for row in rows if row.reference})
    beside = [tables.measured([row.reference_recovery])[0] if row.reference else Cell("–", numeric=True) for row in rows]
    body = tables.rows(
        *_who(rows),
        tables.measured([row.recovery for row in rows]),
        beside,
        tables.measured([row.linear_recovery for row in rows]),
        tables.measured([row.sham_recovery for row in rows]),
        tables.words(_verdict(row) for row in rows),
        *(tables.measured([getattr(row, name) for row in rows]) for name in ("grid_recovery", "half_recovery")),
    )
    heads = (
        *_WHO,
        "Least recovery found",
        f"Same lesion, {names[0]}" if len(names) == 1 else "Same lesion, reference",
        "Same lesion, linear",
        "Sham recovery",
        "Identifiable",
        "Grid alone",
        "Half of the budget",
    )
    note = (
        "Least recovery found: measured again from scratch. Same lesion: what the reference and the direct linear reconstruction bring back of "
        "it. Grid alone, half of the budget: the least found by then. Every method is searched by itself, the reference too: its row has "
        "its own worst lesion."
    )
    return Table("missed-lesion-rows", "Least recovery found", heads, body, note=note, numeric=_numeric(heads))


def _lesions(rows: Sequence[MissedLesionRow]) -> Table:
    """Which lesions they are."""
    elongated = any(row.aspect is not None and row.aspect > ROUND for row in rows)
    form = (
        tables.measured([row.aspect for row in rows]),
        [tables.measured([row.degrees], digits=2)[0] if (row.aspect or 1) > ROUND else Cell("–", numeric=True) for row in rows],
    )
    body = tables.rows(
        *_who(rows),
        *(tables.measured([getattr(row, name) for row in rows]) for name in ("row", "column", "diameter_px", "contrast")),
        *(form if elongated else ()),
        *(tables.measured([getattr(row, name) for row in rows]) for name in ("data_detectability", "null_space_share")),
        tables.counts([row.evaluations for row in rows]),
        tables.words({"autograd": "gradient", "differences": "differences", "none": "–"}[row.gradient] for row in rows),
    )
    heads = (
        *_WHO,
        *("Row (px)", "Column (px)", "Diameter (px)", "Contrast"),
        *(("Long / wide", "Angle (°)") if elongated else ()),
        *("Detectability d′", "Null-space share", "Evaluations", "Followed"),
    )
    note = (
        "Place from the upper left pixel, from 0; diameter of the disc of equal area; contrast relative to the largest pixel, negative = dark; "
        "angle of the long axis from the rows. Followed: the method’s own gradient, or differences where that is missing or wrong."
    )
    return Table("missed-lesion-places", "The lesions that were found", heads, body, note=note, numeric=_numeric(heads))


_WHO = ("Method", "No.", "Case")


def _who(rows: Sequence[MissedLesionRow]) -> tuple[list[Cell], ...]:
    cases = list(dict.fromkeys(row.case for row in rows))
    return (
        tables.words(row.method for row in rows),
        tables.counts([cases.index(row.case) + 1 for row in rows]),
        tables.words(row.case for row in rows),
    )


def _numeric(heads: Sequence[str]) -> tuple[bool, ...]:
    return tuple(head not in ("Method", "Case", "Identifiable", "Followed") for head in heads)


def _verdict(row: MissedLesionRow) -> str:
    if row.recovery is None:
        return "none carried by the data"
    return "yes" if row.identifiable else "no"
