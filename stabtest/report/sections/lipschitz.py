"""Section 12: Lipschitz brackets and the layer table, with where along the network the bound grows."""

from __future__ import annotations

import math

from stabtest.findings.document import Document, LipschitzSection
from stabtest.findings.records import Bracket, LayerRow
from stabtest.report import tables
from stabtest.report.blocks import Block, Bullets, Cell, Figure, FigureRow, Heading, Paragraph, Section, Table
from stabtest.report.brackets import BracketRow, draw_brackets
from stabtest.report.charts import Plot, Series, draw
from stabtest.report.numbers import many, number, setting

_TITLE = "Lipschitz bounds"


def lipschitz(document: Document) -> Section:
    """Brackets between what was found and what is guaranteed, and the layer table."""
    section = document.lipschitz
    if section is None or not (section.layers or section.brackets):
        absent = Paragraph("Not run: no Lipschitz bound was computed.", "absent")
        return Section(12, "lipschitz", _TITLE, (absent,), "not run")
    brackets = section.brackets
    rows = tuple(BracketRow(_of(b) + (f", {b.case}" if b.case else ""), b.lower, b.upper, b.upper_status) for b in brackets)
    drawing = draw_brackets(rows)
    note = f"{many(drawing.left_out, 'value')} not drawn: see the table." if drawing.left_out else None
    blocks: list[Block] = [
        Paragraph(
            "The constant lies between the largest gain found (marker up) and the smallest of the upper bounds (marker down). A wide "
            "bracket says that the bound is loose, not that the network is at its end.",
            "method",
        )
    ]
    if brackets:
        blocks.append(Figure("figure-brackets", "Brackets: found below, guaranteed above", drawing.svg, "brackets-table", note))
    body = tables.rows(
        tables.words(_of(b) for b in brackets),
        tables.words(b.case or "all" for b in brackets),
        tables.measured([b.lower for b in brackets]),
        tables.words(b.lower_source for b in brackets),
        tables.measured([b.upper for b in brackets], bound=True),
        tables.words(b.upper_status for b in brackets),
        tables.words(b.upper_source for b in brackets),
        tables.measured([tables.ratio(b.upper, b.lower) for b in brackets]),
        tables.words("; ".join(b.assumptions) for b in brackets),
    )
    heads = ("Of", "Case", "Found", "Source", "Bound", "Status", "Source of the bound", "Bound over found", "Assumptions")
    numeric = (False, False, True, False, True, False, False, True, False)
    blocks.append(Table("brackets-table", "Lipschitz brackets", heads, body, empty="No brackets.", numeric=numeric))
    blocks += _floors(section)
    if section.bounds:
        blocks.append(_bounds(section))
    if section.layers:
        blocks += [Heading("layers", "Where the growth happens"), *_layers(section.layers), *_normalised(section)]
    blocks.append(Bullets(tuple(section.notes), "No notes."))
    return Section(12, "lipschitz", _TITLE, tuple(blocks), "run")


def _of(bracket: Bracket) -> str:
    """What the constant is of, and up to which perturbation."""
    return bracket.name if bracket.radius is None else f"{bracket.name}, perturbations up to {setting(bracket.radius)}"


def _floors(section: LipschitzSection) -> list[Block]:
    """What no bound of these kinds can go below, where it was sought."""
    return [
        Paragraph(
            f"{bracket.name}{', ' + bracket.case if bracket.case else ''}: no bound that allows every pattern of activations can go below "
            f"{number(bracket.floor)}, the largest found for such a pattern. That pattern need not be reached by any image, so it is no lower "
            "bound of the constant: what lies between it and the bound is the method's, what lies below it cannot be decided this way."
        )
        for bracket in section.brackets
        if bracket.floor is not None
    ]


def _bounds(section: LipschitzSection) -> Table:
    """Every upper bound that was computed, and why others were not."""
    body = tables.rows(
        tables.words(b.name for b in section.bounds),
        tables.measured([b.upper for b in section.bounds], bound=True),
        tables.words(b.status for b in section.bounds),
        tables.measured([b.seconds for b in section.bounds], digits=2),
        tables.words(b.note for b in section.bounds),
    )
    heads = ("Method", "Bound", "Status", "Seconds", "Note")
    caption = "Upper bounds of the network alone: each is true, the smallest counts"
    return Table("bounds-table", caption, heads, body, numeric=(False, True, False, True, False))


def _normalised(section: LipschitzSection) -> list[Block]:
    items = tuple(
        f"With the constant of {row.layer} at most 1 (spectral normalisation) the product of the layers would be {number(row.product)}."
        for row in section.normalised
    )
    return [Bullets(items, "")] if items else []


def _layers(layers: list[LayerRow]) -> list[Block]:
    plot = Plot(
        "Cumulative bound along the network",
        "operation",
        "cumulative constant",
        (
            Series(
                "product of the constants so far", tuple(range(1, len(layers) + 1)), tuple(row.cumulative for row in layers), 1
            ),
        ),
        log_y=True,
    )
    drawing = draw(plot)
    note = f"{many(drawing.left_out, 'operation')} without a finite cumulative constant." if drawing.left_out else None
    body = tables.rows(
        tables.words(f"{index}. {row.name}" for index, row in enumerate(layers, start=1)),
        [tables.text(row.operation, code=True) for row in layers],
        tables.words(" × ".join(map(str, row.input_shape)) for row in layers),
        tables.words(" × ".join(map(str, row.output_shape)) for row in layers),
        tables.measured([row.constant for row in layers], bound=True),
        tables.words(row.status for row in layers),
        tables.words(row.method for row in layers),
        tables.measured([row.cumulative for row in layers], bound=True),
        _shares(layers),
    )
    heads = ("Layer", "Operation", "Input", "Output", "Constant", "Status", "Method", "Cumulative", "Share of the growth")
    numeric = (False, False, False, False, True, False, False, True, True)
    table = Table("layers-table", "Layer table", heads, body, folded=len(layers) > 40, numeric=numeric)
    return [FigureRow((Figure("figure-layers", plot.title, drawing.svg, "layers-table", note),)), table]


def _shares(layers: list[LayerRow]) -> list[Cell]:
    cells = tables.measured([row.log_share for row in layers], digits=2)
    largest = max((row.log_share for row in layers if row.log_share is not None and math.isfinite(row.log_share)), default=0.0)
    bars = [
        round(100 * (row.log_share / largest))
        if row.log_share is not None and math.isfinite(row.log_share) and row.log_share > 0 and largest > 1e-300
        else None
        for row in layers
    ]
    return [Cell(c.text, c.value, c.numeric, c.pad, c.point, bar=bar) for c, bar in zip(cells, bars)]
