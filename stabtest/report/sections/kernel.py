"""In section 13: what a method shows where the scanner sees nothing, and what recovering it costs."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document, KernelSection
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow
from stabtest.report import panels, tables
from stabtest.report.anchors import kernel_panels
from stabtest.report.blocks import Block, Figure, FigureRow, Heading, Paragraph, Table
from stabtest.report.charts import Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, number
from stabtest.report.text import shorten

_ROLES = ("truth", "clean", "hallucination", "missing")


def kernel(document: Document) -> tuple[Block, ...]:
    """Heading, curves, pictures and tables."""
    section, heading = document.kernel, Heading("kernel", "Where the scanner sees nothing")
    if section is None or not section.errors:
        return heading, Paragraph("Not run: errors were not split into what is measured and what is not.", "absent")
    blocks: list[Block] = [
        heading,
        Paragraph(section.description, "method"),
        Paragraph(
            "Null error: the part of the error that no data contradict. Hallucinated: what is shown in the null space and the object does not "
            "have; missing: what the object has there and is not shown. A method that leaves the null space blank hallucinates nothing there, "
            "and misses all of it. Recovery: how much of the object’s part there was guessed, 1 = all of it.",
            "note",
        ),
        _errors(document, section.errors),
    ]
    shown = kernel_panels(document)
    for anchor, _, group in shown:

        def notes(method: str, group: panels.Group = group) -> tuple[str, ...]:
            rows = [row for row in section.errors if row.method == method and row.case == group.case]
            return tuple(f"hallucinated {number(row.hallucinated_null)}" for row in rows) if len(rows) == 1 else ()

        caption = f"Null space: what is shown and not there, what is there and not shown; case {shorten(group.case, 80)}"
        blocks.append(panels.panel(document, group, _ROLES, anchor=anchor, caption=caption, notes=notes))
    if section.transfers:
        blocks += [
            Paragraph(
                "Detail transfer: a method that recovers two images which the data barely tell apart must react that strongly. The bound is what the "
                "search found, a longer one may find more. Ceiling: the most that a method can have which leaves the null space alone. Above "
                "it, the null space is filled as a function of the data; whether rightly or wrongly is told by recovery and hallucination.",
                "note",
            ),
            FigureRow((_figure(document, section),)),
            _transfers(document, section.transfers),
        ]
    if section.sfrc:
        blocks.append(_sfrc(document, section))
    elif section.sfrc_note:
        blocks.append(Paragraph(section.sfrc_note, "note"))
    return tuple(blocks)


def _errors(document: Document, unsorted: Sequence[KernelErrorRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        *(tables.measured([getattr(row, name) for row in rows]) for name in _ERRORS),
    )
    numeric = (False, False, *[True] * len(_ERRORS))
    floor, residual = number(rows[0].hallucination_floor), number(max(row.projection_residual for row in rows))
    note = (
        "Relative to the norm of the true image; data and noise relative to that of the measurement. Consistency well below the noise: the "
        "method follows the noise; well above: it contradicts the data. "
        f"Shown: above {floor} of the largest pixel. Projections to a residual of {residual}; 0 = exact."
    )
    heads = ("Method", "Case", *_ERRORS.values())
    return Table(
        "kernel-errors",
        "Errors inside and outside of the null space",
        heads,
        body,
        folded=len(rows) > 12,
        note=note,
        numeric=numeric,
    )


_ERRORS = {
    "measured_error": "Measured error",
    "null_error": "Null error",
    "truth_null": "Object’s part there",
    "null_recovery": "Recovery",
    "hallucinated_null": "Hallucinated",
    "missing_null": "Missing",
    "hallucinated_measured": "Moved in the measured part",
    "data_consistency": "Consistency",
    "noise_level": "Noise",
}


def _figure(document: Document, section: KernelSection) -> Figure:
    lines: list[Series] = []
    for method in method_order(document, [row.method for row in section.transfers])[:6]:
        mine = [row for row in section.transfers if row.method == method and row.bound > 0]
        x, y = tuple(row.ceiling for row in mine), tuple(row.bound for row in mine)
        lines.append(Series(method, x, y, tone(document, method), "up", line=False))
    ends = [value for row in section.transfers for value in (row.ceiling, row.bound) if value > 0]
    if ends:
        both = (min(ends), max(ends))
        lines.append(Series("bound = ceiling", both, both, len(document.items), "none", dashed=True))
    title = "Lower bound of the gain that was found, over the ceiling of methods that leave the null space alone"
    plot = Plot(title, "ceiling", "bound found", tuple(lines), log_x=True, log_y=True, from_zero=False)
    drawing = draw(plot)
    nothing = sum(row.bound <= 0 for row in section.transfers)
    notes = [f"{many(nothing, 'search', 'searches')} found no positive bound." if nothing else ""]
    notes += [f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else ""]
    return Figure("figure-kernel-0", title, drawing.svg, "kernel-transfers", " ".join(filter(None, notes)) or None)


def _transfers(document: Document, unsorted: Sequence[KernelTransferRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case, row.family, row.base))
    aware = {True: "no", False: "yes", None: "not decided"}
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.words(f"{row.family}, {_BASES[row.base]}" for row in rows),
        tables.measured([row.bound for row in rows]),
        tables.measured([row.ceiling for row in rows]),
        tables.words(aware[row.kernel_aware] for row in rows),
        tables.measured([row.gain for row in rows]),
        tables.measured([row.image_distance for row in rows]),
        tables.measured([row.data_detectability for row in rows]),
        tables.measured([row.null_space_share for row in rows]),
        tables.measured([row.absent for row in rows]),
        tables.measured([row.present for row in rows]),
        tables.counts([row.evaluations for row in rows]),
        tables.words(row.status for row in rows),
    )
    heads = (
        "Method",
        "Case",
        "Detail",
        "Bound found",
        "Ceiling",
        "Above it",
        "Gain",
        "‖h‖ / ‖x‖",
        "d′ of the data",
        "Null-space share",
        "Shown without",
        "Shown with",
        "Evaluations",
        "Search",
    )
    note = (
        "Detail: any change (free) or a bump (bump), added to the truth, or to the method’s own image. Shown without, with: how much of the "
        "detail the method shows where it is not there, and where it is; a detail in the null space is shown alike."
    )
    numeric = (False, False, False, True, True, False, *[True] * 7, False)
    return Table("kernel-transfers", "Detail transfer", heads, body, folded=len(rows) > 8, note=note, numeric=numeric)


_BASES = {"truth": "on the truth", "reconstruction": "on its own image"}


def _sfrc(document: Document, section: KernelSection) -> Table:
    order = method_order(document, [row.method for row in section.sfrc])
    rows = sorted(section.sfrc, key=lambda row: (order.index(row.method), row.case))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.counts([row.patches for row in rows]),
        tables.counts([row.flagged for row in rows]),
        tables.measured([row.lowest_cutoff for row in rows]),
        tables.measured([row.lowest_recovery for row in rows]),
        tables.measured([row.highest_recovery for row in rows]),
        tables.settings([row.threshold for row in rows]),
        tables.settings([row.least_cutoff for row in rows]),
    )
    heads = (
        "Method",
        "Case",
        "Patches",
        "Flagged",
        "Lowest cutoff",
        "Lowest recovery",
        "Highest recovery",
        "Threshold",
        "Least cutoff",
    )
    note = (
        "Scanning Fourier ring correlation with the truth, patch by patch, with its sign. Threshold and least cutoff are the user’s. Cutoffs are "
        "shares of the Nyquist frequency. Recovery: contrast of a patch over that of the truth; the correlation is blind to fading."
    )
    numeric = (False, False, *[True] * 7)
    return Table(
        "kernel-sfrc", "Agreement of patches with the truth", heads, body, folded=len(rows) > 12, note=note, numeric=numeric
    )
