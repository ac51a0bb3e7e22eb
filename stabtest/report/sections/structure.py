"""Section 9: details put into the object, and what came back of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stabtest.findings.document import Document
from stabtest.findings.records import StructureRow
from stabtest.report import panels, tables
from stabtest.report.anchors import structure_panels, was_run
from stabtest.report.blocks import Block, Cell, Figure, FigureRow, Heading, Paragraph, Section, Table
from stabtest.report.charts import Level, Marker, Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, number, setting
from stabtest.report.sections.detectability import detectability
from stabtest.report.sections.missed_lesion import missed_blocks
from stabtest.report.text import shorten

_ROLES = ("detail", "recovered", "with_detail", "clean")
_MOST_FIGURES = 12
_MARKERS: tuple[Marker, ...] = ("circle", "square", "up", "down")
Key = tuple[str, str, float, float]


def structure(document: Document) -> Section:
    """Contrast-detail curves, panels and the recovery table."""
    section, seen = document.structure, detectability(document)
    if section is None or not section.rows:
        absent = Paragraph("Not run: no details were put into the object.", "absent")
        state = "run" if was_run(document, "detectability") or was_run(document, "missed-lesion") else "not run"
        return Section(9, "structure", "Structural details", (absent, *missed_blocks(document), *seen), state)
    groups = groups_of(document, section.rows)
    blocks: list[Block] = [
        Paragraph(section.description, "method"),
        Paragraph(
            "Recovery 1: the detail came back with its full contrast; 0: nothing of it; negative: inverted. Details that the data "
            "do not carry (not identifiable) are listed, and left out of curves, medians and smallest values.",
            "note",
        ),
        FigureRow(_figures(document, groups)),
        *_by_shape(groups),
        _summary(groups),
    ]
    shown = structure_panels(document)
    if shown:
        blocks.append(Heading("structure-pictures", "Pictures"))
        total = len(panels.groups(document, "structure"))
        if total > len(shown):
            blocks.append(
                Paragraph(f"{len(shown)} of {total} details with pictures are shown, the first of each case in turn.", "note")
            )
    for anchor, title, group in shown:
        caption = f"{shorten(title, 100) or 'Detail'}, case {shorten(group.case, 80)}"

        def notes(method: str, group: panels.Group = group) -> tuple[str, ...]:
            return _notes(section.rows, method, group)

        blocks.append(panels.panel(document, group, _ROLES, anchor=anchor, caption=caption, notes=notes))
    blocks += [_rows(document, section.rows), *missed_blocks(document), *seen]
    return Section(9, "structure", "Structural details", tuple(blocks), "run")


def _notes(rows: Sequence[StructureRow], method: str, group: panels.Group) -> tuple[str, ...]:
    """The recovery that belongs to a panel, where its rows can be told from the name of the pictures."""
    mine = [row for row in rows if row.method == method and row.case == group.case and group.tag.startswith(_tag(row))]
    if len(mine) > 1:
        mine = [row for row in mine if group.tag.endswith("-".join(re.findall(r"\d+", row.site)))]
    if len(mine) != 1:
        return ()
    seen = () if mine[0].identifiable else ("not identifiable",)
    bars = (f"modulation {number(mine[0].modulation)}",) if mine[0].modulation is not None else ()
    return (f"recovery {number(mine[0].recovery)}", *bars, f"sham {number(mine[0].sham_recovery)}", *seen)


def _tag(row: StructureRow) -> str:
    """How the name of the pictures of a detail begins."""
    name = "" if row.detail == "lesion" else re.sub(r"[^A-Za-z0-9_.-]+", "-", row.detail).strip("-") + "-"
    return f"{name}d{row.diameter_px:g}-c{row.contrast:g}"


HEADS = ("Method", "Detail", "Size (px)", "Contrast")
NUMERIC = (False, False, True, True)


def names(keys: Sequence[Key]) -> tuple[list[Cell], ...]:
    """The first columns of a table with a row for each method and detail."""
    return (
        tables.words(key[0] for key in keys),
        tables.words(key[1] for key in keys),
        tables.settings([key[2] for key in keys]),
        tables.settings([key[3] for key in keys]),
    )


def groups_of(document: Document, rows: Sequence[StructureRow]) -> dict[Key, list[StructureRow]]:
    """The rows of each method, detail, size and contrast, in the order of the tables."""
    order = method_order(document, [row.method for row in rows])
    shapes = list(dict.fromkeys(row.detail for row in rows))
    found: dict[Key, list[StructureRow]] = {}
    for row in sorted(rows, key=lambda row: (order.index(row.method), shapes.index(row.detail), row.contrast, row.diameter_px)):
        found.setdefault((row.method, row.detail, row.diameter_px, row.contrast), []).append(row)
    return found


def _seen(rows: Sequence[StructureRow]) -> list[StructureRow]:
    return [row for row in rows if row.identifiable]


def _by_shape(groups: dict[Key, list[StructureRow]]) -> list[Table]:
    """All sizes and contrasts of a shape in one line; nothing where there is one shape only."""
    shapes: dict[tuple[str, str], list[StructureRow]] = {}
    for (method, detail, _, _), rows in groups.items():
        shapes.setdefault((method, detail), []).extend(rows)
    if len({detail for _, detail in shapes}) < 2:
        return []
    mine = list(shapes.values())
    bars = any(row.modulation is not None for rows in mine for row in rows)
    smallest = [tables.measured([tables.smallest(r.modulation for r in _seen(rows))])[0] for rows in mine]
    body = tables.rows(
        tables.words(method for method, _ in shapes),
        tables.words(detail for _, detail in shapes),
        tables.counts([len(rows) for rows in mine]),
        tables.counts([len(_seen(rows)) for rows in mine]),
        tables.measured([tables.median(r.recovery for r in _seen(rows)) for rows in mine]),
        tables.measured([tables.smallest(r.recovery for r in _seen(rows)) for rows in mine]),
        tables.measured([tables.median(r.local_recovery for r in _seen(rows)) for rows in mine]),
        *([_of_bars([detail for _, detail in shapes], smallest)] if bars else []),
        tables.measured([tables.largest(r.outside_energy for r in _seen(rows)) for rows in mine]),
    )
    heads = (
        "Method",
        "Detail",
        "Placed",
        "Identifiable",
        "Recovery, median",
        "Recovery, smallest",
        "Local recovery, median",
        *(("Modulation, smallest",) if bars else ()),
        "Energy outside, largest",
    )
    return [Table("structure-shapes", "By shape, over all sizes and contrasts", heads, body, numeric=_numeric(heads))]


def _of_bars(details: Sequence[str], cells: Sequence[Cell]) -> list[Cell]:
    """A dash for what is no line pairs."""
    return [
        cell if detail.startswith("line pairs") else Cell("–", numeric=True)
        for detail, cell in zip(details, cells, strict=True)
    ]


def _summary(groups: dict[Key, list[StructureRow]]) -> Table:
    keys = list(groups)
    bars = any(row.modulation is not None for rows in groups.values() for row in rows)
    body = tables.rows(
        *names(keys),
        tables.counts([len(groups[k]) for k in keys]),
        tables.counts([len(_seen(groups[k])) for k in keys]),
        tables.measured([tables.median(r.recovery for r in _seen(groups[k])) for k in keys]),
        tables.measured([tables.smallest(r.recovery for r in _seen(groups[k])) for k in keys]),
        tables.measured([tables.largest(r.recovery for r in _seen(groups[k])) for k in keys]),
        tables.measured([tables.median(r.local_recovery for r in _seen(groups[k])) for k in keys]),
        *([_modulations(groups, keys)] if bars else []),
        tables.measured([tables.median(r.sham_recovery for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.region_nrmse for r in _seen(groups[k])) for k in keys]),
        tables.measured([tables.median(r.data_detectability for r in groups[k]) for k in keys]),
    )
    heads = (
        *HEADS,
        "Placed",
        "Identifiable",
        "Recovery, median",
        "Recovery, smallest",
        "Recovery, largest",
        "Local recovery, median",
        *(("Modulation, median",) if bars else ()),
        "Sham, median",
        "Region NRMSE, median",
        "Detectability d′, median",
    )
    note = "Local recovery: contrast against the immediate surroundings, relative to that of the detail; a shift of the surroundings does not count."
    if bars:
        note += " Modulation, of line pairs: how far the bars stand out from the gaps between them, 1 as they should, 0 where they are a smear."
    return Table(
        "structure-summary", "Recovery of details", heads, body, folded=len(groups) > 24, note=note, numeric=_numeric(heads)
    )


def _modulations(groups: dict[Key, list[StructureRow]], keys: Sequence[Key]) -> list[Cell]:
    """Medians of line pairs; a dash for the other shapes."""
    cells = tables.measured([tables.median(r.modulation for r in _seen(groups[key])) for key in keys])
    return _of_bars([key[1] for key in keys], cells)


def _numeric(heads: Sequence[str]) -> tuple[bool, ...]:
    return tuple(head not in ("Method", "Case", "Detail", "Site", "Identifiable") for head in heads)


def _figures(document: Document, groups: dict[Key, list[StructureRow]]) -> tuple[Figure, ...]:
    contrasts = sorted({key[3] for key in groups})
    diameters = sorted({key[2] for key in groups})
    made: list[Figure] = []
    for detail in list(dict.fromkeys(key[1] for key in groups))[:_MOST_FIGURES]:
        lines: list[Series] = []
        for method in dict.fromkeys(key[0] for key in groups):
            for index, contrast in enumerate(contrasts[:4]):
                keys = [key for key in groups if key[0] == method and key[1] == detail and key[3] == contrast]
                if not keys:
                    continue
                medians = tuple(tables.median(r.recovery for r in _seen(groups[key])) for key in keys)
                label = f"{method}, contrast {setting(contrast)}"
                x = tuple(key[2] for key in keys)
                lines.append(Series(label, x, medians, tone(document, method), _MARKERS[index], dashed=index % 2 == 1))
        plot = Plot(
            f"{shorten(detail, 60).capitalize()}: contrast recovery against size, median over identifiable details",
            "size (px)",
            "recovery",
            tuple(lines[:10]),
            levels=(Level("complete recovery", 1.0),),
            x_ticks=tuple(diameters) if len(diameters) <= 8 else (),
        )
        drawing = draw(plot)
        note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
        made.append(Figure(f"figure-structure-{len(made)}", plot.title, drawing.svg, "structure-summary", note))
    return tuple(made)


def _rows(document: Document, unsorted: Sequence[StructureRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: order.index(row.method))
    in_mm = any(row.diameter_mm is not None for row in rows)
    bars = any(row.modulation is not None for row in rows)
    body = tables.rows(
        tables.words(r.method for r in rows),
        tables.words(r.case for r in rows),
        tables.words(r.detail for r in rows),
        tables.words(r.site for r in rows),
        tables.settings([r.diameter_px for r in rows]),
        tables.settings([r.contrast for r in rows]),
        *([tables.measured([r.diameter_mm for r in rows])] if in_mm else []),
        tables.measured([r.recovery for r in rows]),
        tables.measured([r.local_recovery for r in rows]),
        *([_of_bars([r.detail for r in rows], tables.measured([r.modulation for r in rows]))] if bars else []),
        tables.measured([r.sham_recovery for r in rows]),
        tables.measured([r.region_nrmse for r in rows]),
        tables.measured([r.outside_energy for r in rows]),
        tables.measured([r.data_detectability for r in rows]),
        tables.measured([r.null_space_share for r in rows]),
        tables.words("yes" if r.identifiable else "no" for r in rows),
    )
    heads = (
        "Method",
        "Case",
        "Detail",
        "Site",
        "Size (px)",
        "Contrast",
        *(("Size (mm)",) if in_mm else ()),
        "Recovery",
        "Local recovery",
        *(("Modulation",) if bars else ()),
        "Sham recovery",
        "Region NRMSE",
        "Energy outside",
        "Detectability d′",
        "Null-space share",
        "Identifiable",
    )
    return Table(
        "structure-rows", "Structural details, every detail", heads, body, folded=len(rows) > 6, numeric=_numeric(heads)
    )
