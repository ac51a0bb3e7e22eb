"""Distribution shift within section 14: statements, every shift beside the linear reconstruction, the searched worst one."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document, ShiftSection
from stabtest.findings.shift_rows import ShiftRow, ShiftStatement
from stabtest.report import tables
from stabtest.report.blocks import Block, Bullets, Cell, Figure, FigureRow, Heading, Paragraph, Table
from stabtest.report.charts import Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, number
from stabtest.report.verdict_words import interval

Shift = tuple[str, str, float | None, str]
"""Family, name, size, unit."""
HEADING = Heading("distribution-shift", "Distribution shift")
NOISE_ALONE = 1.1
"""A misfit above this is said to be more than noise."""
BEYOND = "poorer beyond the linear reference"
_MOST = 4
_MOST_NAMES = 6
_APART = 0.16


def shift_blocks(document: Document) -> list[Block]:
    """What the object and the scan may not be, and what the methods make of it."""
    section = document.shift
    if section is None or not section.rows:
        return [HEADING, Paragraph("Not run: neither object nor scan was changed.", "absent")]
    named = [row for row in section.rows if row.family != "searched"]
    numbers = {key: index for index, key in enumerate(dict.fromkeys(_key(row) for row in named), 1)}
    blocks: list[Block] = [
        HEADING,
        Paragraph(section.description, "method"),
        Paragraph(
            "The change of the NRMSE under a shift is paired: the same object and noise with and without. The same shift is put before the direct "
            "linear reconstruction, and only what exceeds its change (the excess) belongs to the method. A method that is poorer under a shift "
            "that it was never trained for has a limit of use.",
            "method",
        ),
        *_misfit(section),
    ]
    measured = {row.family for row in named if row.change is not None}
    figures = [_figure(document, family, named, numbers) for family in ("object", "scan") if family in measured]
    if figures:
        blocks.append(FigureRow(tuple(figures)))
    blocks += _in_short(document, section.statements)
    blocks.append(_statements(document, section.statements, numbers))
    if named:
        blocks.append(_summary(document, named, numbers))
        blocks += _not_measured(document, named)
    searched = [row for row in section.rows if row.family == "searched"]
    if searched:
        blocks.append(_searched(document, searched))
    return blocks


def _key(row: ShiftRow | ShiftStatement) -> Shift:
    return (row.family, row.shift, row.size, row.unit)


def _misfit(section: ShiftSection) -> list[Block]:
    """What the pixels of the truth could not represent, where the object was changed on them."""
    most = tables.largest(row.misfit for row in section.rows if not row.finer and row.family != "scan")
    if most is None or not most > NOISE_ALONE:
        return []
    words = (
        f"The truth leaves up to {number(most)} times as much of the measurement unexplained as noise would: its pixels cannot represent it, and "
        "it stays where it was when the object moves. Changes under a rotation, translation or zoom hold this error too."
    )
    return [Paragraph(words, "note")]


def _in_short(document: Document, found: Sequence[ShiftStatement]) -> list[Block]:
    """A sentence for each method: under how many shifts it is poorer, and under which beyond the linear reference."""
    lines: list[str] = []
    for method in method_order(document, [one.method for one in found]):
        named = [one for one in found if one.method == method and one.family != "searched"]
        beyond = [_name(_key(one)) for one in named if one.outcome == BEYOND]
        which = f" ({'; '.join(beyond[:_MOST_NAMES])}{'; …' if len(beyond) > _MOST_NAMES else ''})" if beyond else ""
        poorer = sum(one.outcome == "poorer" for one in named)
        none = sum(one.outcome == "no interval" for one in named)
        parts = (
            [f"{BEYOND} under {len(beyond)} of {many(len(named), 'shift')}{which}", f"poorer under {poorer} more"]
            if named
            else []
        )
        parts += [f"no interval for {none}"] if none else []
        parts += [
            f"worst small shift found: {one.outcome}" for one in found if one.method == method and one.family == "searched"
        ]
        lines.append(f"{method}: {', '.join(parts)}.")
    return [Bullets(tuple(lines), "")] if lines else []


def _figure(document: Document, family: str, every_row: Sequence[ShiftRow], every: dict[Shift, int]) -> Figure:
    rows = [row for row in every_row if row.family == family]
    numbers = {key: at for key, at in every.items() if key[0] == family}
    baselines = {item.name for item in document.items if item.role == "baseline"}  # the linear reconstruction again
    order = method_order(document, [row.method for row in rows])
    shown = [method for method in order if method not in baselines][:_MOST] or order[:1]
    lines: list[tuple[str, int, list[float | None]]] = [
        (method, tone(document, method), [_median(rows, key, "change", method) for key in numbers]) for method in shown
    ]
    beside = min((tone(document, name) for name in baselines), default=len(document.items))
    lines.append(("direct linear reconstruction", beside, [_median(rows, key, "linear_change", shown[0]) for key in numbers]))
    middle = (len(lines) - 1) / 2
    # A shift that could not be measured has no figure to leave out; the list under the table says why.
    there = [[(at, value) for at, value in zip(numbers.values(), values) if value is not None] for _, _, values in lines]
    series = tuple(
        Series(
            label,
            tuple(at + _APART * (index - middle) for at, _ in points),
            tuple(value for _, value in points),
            colour,
            "circle" if index == 0 else "square",
            dashed=index == len(lines) - 1,
            line=False,
        )
        for index, ((label, colour, _), points) in enumerate(zip(lines, there, strict=True))
    )
    plot = Plot(
        f"Change of the NRMSE by shift of the {family} and its size, median over cases; above 0 the image became poorer",
        "number of the shift, as in the tables",
        "change of NRMSE",
        series,
        x_ticks=tuple(float(at) for at in numbers.values()),
    )
    drawing = draw(plot)
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    return Figure(f"figure-shift-{family}", plot.title, drawing.svg, "shift-summary", note)


def _median(rows: Sequence[ShiftRow], key: Shift, name: str, method: str) -> float | None:
    return tables.median(getattr(row, name) for row in rows if row.method == method and _key(row) == key)


def _statements(document: Document, unsorted: Sequence[ShiftStatement], numbers: dict[Shift, int]) -> Table:
    order = method_order(document, [one.method for one in unsorted])
    found = sorted(unsorted, key=lambda one: (order.index(one.method), numbers.get(_key(one), len(numbers) + 1)))
    body = tables.rows(
        tables.words(one.method for one in found),
        [tables.counts([numbers[_key(one)]])[0] if _key(one) in numbers else Cell("–", numeric=True) for one in found],
        _names(found),
        tables.words(one.outcome for one in found),
        tables.measured([one.change for one in found]),
        tables.words(interval(one.interval) for one in found),
        tables.measured([one.excess for one in found]),
        tables.words(interval(one.excess_interval) for one in found),
        tables.counts([one.patients for one in found]),
    )
    heads = ("Method", "No.", "Shift", "Outcome", "Change of NRMSE", "Interval", "Excess", "Interval of the excess", "Patients")
    note = (
        "Means over patients with simultaneous bounds over all shifts of a method. “Poorer beyond the linear reference”: the lower bounds of the "
        "change and of the excess are above 0. The worst found is never below the error without shift, so its outcome rests on the excess."
    )
    return Table(
        "shift-statements",
        "Poorer under a shift?",
        heads,
        body,
        folded=len(found) > 24,
        note=note,
        empty="No statement was made: there is no truth.",
        numeric=(False, True, False, False, True, False, True, False, True),
    )


def _names(found: Sequence[ShiftRow | ShiftStatement]) -> list[Cell]:
    return tables.words(_name(_key(one)) for one in found)


def _name(key: Shift) -> str:
    family, shift, size, unit = key
    if family == "searched":
        return "worst found"
    words = shift.replace("_", " ")
    if size is None:
        return words
    sign = "+" if size > 0 and unit == "relative" else ""
    amount = f"{sign}{100 * size:g}\xa0%" if unit in ("relative", "share") else f"{size:g}\xa0{unit}"
    return f"{words}, {amount.replace('-', '−')}"


def _summary(document: Document, rows: Sequence[ShiftRow], numbers: dict[Shift, int]) -> Table:
    order = method_order(document, [row.method for row in rows])
    groups: dict[tuple[str, Shift], list[ShiftRow]] = {}
    for row in sorted(rows, key=lambda row: (order.index(row.method), numbers[_key(row)])):
        groups.setdefault((row.method, _key(row)), []).append(row)
    mine = list(groups.values())
    body = tables.rows(
        tables.words(method for method, _ in groups),
        tables.counts([numbers[key] for _, key in groups]),
        tables.words(_name(key) for _, key in groups),
        tables.counts([sum(row.note is None for row in one) for one in mine]),
        *(
            tables.measured([tables.median(getattr(row, name) for row in one) for one in mine])
            for name in ("nrmse", "change", "linear_change")
        ),
        tables.measured([tables.median(_excess(row) for row in one) for one in mine]),
        *(
            tables.measured([tables.median(getattr(row, name) for row in one) for one in mine])
            for name in ("defect", "linear_defect", "resampling_change", "misfit")
        ),
    )
    figures = ("NRMSE", "Change", "Linear’s change", "Excess", "Defect", "Linear’s defect", "Resampling alone", "Misfit")
    heads = ("Method", "No.", "Shift", "Cases", *figures)
    note = (
        "Medians over cases. NRMSE: under the shift. Defect: change of the image beyond the shift itself, relative to the image. Resampling "
        "alone: change for the object moved there and back again. Misfit: unexplained part of the measurement over the noise."
    )
    numeric = (False, True, False, *[True] * 9)
    return Table("shift-summary", "Every shift", heads, body, folded=len(groups) > 24, note=note, numeric=numeric)


def _not_measured(document: Document, rows: Sequence[ShiftRow]) -> list[Block]:
    """Which shifts have no figures, of which methods, and why."""
    order = method_order(document, [row.method for row in rows])
    why: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: order.index(row.method)):
        if row.note:
            why.setdefault((_name(_key(row)), row.note), []).append(row.method)
    lines = [f"Not measured: {name} ({', '.join(dict.fromkeys(methods))}): {note}." for (name, note), methods in why.items()]
    return [Bullets(tuple(lines), "")] if lines else []


def _excess(row: ShiftRow) -> float | None:
    return None if row.change is None or row.linear_change is None else row.change - row.linear_change


_PARAMETERS = {
    "degrees": "Rotation (degrees)",
    "rows": "Rows (pixels)",
    "columns": "Columns (pixels)",
    "intensity": "Intensity",
}


def _searched(document: Document, unsorted: Sequence[ShiftRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case))
    names = [name for name in _PARAMETERS if any(name in row.parameters for row in rows)]
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        *(
            tables.measured([getattr(row, name) for row in rows])
            for name in ("nrmse_without", "nrmse", "change", "linear_change")
        ),
        tables.measured([_excess(row) for row in rows]),
        *(tables.measured([row.parameters.get(name) for row in rows]) for name in names),
        tables.counts([row.evaluations for row in rows]),
        tables.words(row.gradient or "" for row in rows),
    )
    figures = ("NRMSE without", "Worst found", "Change", "Linear’s change", "Excess")
    places = tuple(_PARAMETERS[name] for name in names)
    heads = ("Method", "Case", *figures, *places, "Evaluations", "Followed")
    note = (
        "Found within the stated budget: the worst of the box is at least this. Linear’s change is the worst of a search of its own. Followed: "
        "the method’s own gradient (autograd), or differences where that is missing or wrong."
    )
    numeric = (False, False, *[True] * (len(heads) - 3), False)
    return Table("shift-searched", "Worst small shift found", heads, body, folded=len(rows) > 12, note=note, numeric=numeric)
