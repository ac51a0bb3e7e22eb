"""Section 10: fewer and more samples than the network was trained for."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document, SamplingSection
from stabtest.findings.records import PatternRow, SamplingRow
from stabtest.report import panels, tables
from stabtest.report.anchors import MOST_SAMPLING_PANELS
from stabtest.report.blocks import Block, Figure, FigureRow, Heading, Paragraph, Section, Table
from stabtest.report.charts import Band, Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, setting
from stabtest.report.verdict_words import interval

Key = tuple[str, int]


def sampling(document: Document) -> Section:
    """Error against the amount of data, and whether more samples gave a poorer image."""
    section = document.sampling
    if section is None or not section.rows:
        absent = Paragraph("Not run: the sampling was not varied.", "absent")
        return Section(10, "sampling", "Fewer and more samples", (absent,), "not run")
    groups = _groups(document, section.rows)
    blocks: list[Block] = [Paragraph(section.description, "method")]
    if section.trained_fraction is not None:
        blocks.append(
            Paragraph(
                f"“Trained” is what the configuration measures, the fraction {setting(section.trained_fraction)}; where the model card says "
                "otherwise, it stands under deviations.",
                "note",
            )
        )
    blocks += [
        FigureRow(_figures(document, section, groups)),
        _summary(section, groups),
        _statements(section),
        *_patterns(document, section),
    ]
    for role, what in (("clean", "Reconstructions"), ("difference", "Errors")):
        shown = panels.counted_panels(
            document,
            "sampling",
            role,
            anchor="panel-sampling" if role == "clean" else "panel-sampling-error",
            caption=f"{what} by number of {section.axis}",
            most=MOST_SAMPLING_PANELS,
        )
        if shown and role == "clean":
            blocks.append(Heading("sampling-pictures", "Pictures"))
        blocks += shown
    blocks.append(_rows(document, section.rows))
    return Section(10, "sampling", "Fewer and more samples", tuple(blocks), "run")


def _groups(document: Document, rows: Sequence[SamplingRow]) -> dict[Key, list[SamplingRow]]:
    order = method_order(document, [row.method for row in rows])
    found: dict[Key, list[SamplingRow]] = {}
    for row in sorted(rows, key=lambda row: (order.index(row.method), row.count)):
        found.setdefault((row.method, row.count), []).append(row)
    return found


def _figures(document: Document, section: SamplingSection, groups: dict[Key, list[SamplingRow]]) -> tuple[Figure, ...]:
    made: list[Figure] = []
    for name, label in (("nrmse", "NRMSE"), ("psnr", "PSNR (dB)")):
        lines: list[Series] = []
        bands: list[Band] = []
        for method in list(dict.fromkeys(key[0] for key in groups))[:5]:
            mine = [rows for key, rows in groups.items() if key[0] == method]
            x = tuple(rows[0].fraction for rows in mine)
            values = [[getattr(row, name) for row in rows] for rows in mine]
            lines.append(Series(method, x, tuple(tables.median(v) for v in values), tone(document, method)))
            if any(len(v) > 1 for v in values):
                low, high = tuple(tables.smallest(v) for v in values), tuple(tables.largest(v) for v in values)
                bands.append(Band("", x, low, high, tone(document, method)))
        trained = {row.fraction for row in section.rows if row.trained}
        at = (
            f"; trained at {', '.join(setting(float(f'{value:.3g}')) for value in sorted(trained))}"
            if 0 < len(trained) < 4
            else ""
        )
        plot = Plot(
            f"{label} against the amount of data, median and range over cases{at}",
            "sampling fraction" if section.axis == "k-space samples" else f"{section.axis}, relative to training",
            label,
            tuple(lines),
            tuple(bands),
            from_zero=name == "nrmse",
        )
        drawing = draw(plot)
        note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
        made.append(Figure(f"figure-sampling-{name}", plot.title, drawing.svg, "sampling-summary", note))
    return tuple(made)


def _summary(section: SamplingSection, groups: dict[Key, list[SamplingRow]]) -> Table:
    keys = list(groups)
    body = tables.rows(
        tables.words(key[0] for key in keys),
        tables.counts([key[1] for key in keys]),
        tables.measured([tables.median(r.fraction for r in groups[k]) for k in keys]),
        tables.words("yes" if any(r.trained for r in groups[k]) else "no" for k in keys),
        tables.counts([len(groups[k]) for k in keys]),
        tables.measured([tables.median(r.nrmse for r in groups[k]) for k in keys]),
        tables.measured([tables.largest(r.nrmse for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.psnr for r in groups[k]) for k in keys]),
        tables.measured([tables.smallest(r.psnr for r in groups[k]) for k in keys]),
    )
    heads = (
        "Method",
        section.axis if section.axis == "k-space samples" else section.axis.capitalize(),
        "Fraction",
        "Trained",
        "Cases",
        "NRMSE, median",
        "NRMSE, largest",
        "PSNR (dB), median",
        "PSNR (dB), smallest",
    )
    numeric = (False, True, True, False, *[True] * 5)
    return Table("sampling-summary", "Error by amount of data", heads, body, numeric=numeric)


def _statements(section: SamplingSection) -> Table:
    found = section.statements
    body = tables.rows(
        tables.words(s.method for s in found),
        tables.measured([s.from_fraction for s in found]),
        tables.measured([s.to_fraction for s in found]),
        tables.measured([s.change for s in found]),
        tables.words(interval(s.interval) for s in found),
        tables.words(s.statement for s in found),
    )
    heads = ("Method", "From fraction", "To fraction", "Change of NRMSE", "Interval", "Statement")
    note = "Change: mean paired change over patients; positive where more samples gave a poorer image."
    return Table(
        "sampling-statements",
        "More samples: better or poorer",
        heads,
        body,
        note=note,
        empty="No statement was made.",
        numeric=(False, True, True, True, False, False),
    )


def _patterns(document: Document, section: SamplingSection) -> list[Block]:
    """As many samples elsewhere; nothing where that was not tried."""
    if not section.patterns:
        return []
    order = method_order(document, [row.method for row in section.patterns])
    groups: dict[tuple[str, str], list[PatternRow]] = {}
    for row in sorted(section.patterns, key=lambda row: order.index(row.method)):
        groups.setdefault((row.method, row.pattern), []).append(row)
    mine = list(groups.values())
    body = tables.rows(
        tables.words(method for method, _ in groups),
        tables.words(pattern.replace("_", " ") for _, pattern in groups),
        tables.measured([tables.median(row.fraction for row in rows) for rows in mine]),
        tables.counts([len(rows) for rows in mine]),
        *(
            tables.measured([tables.median(getattr(row, name) for row in rows) for rows in mine])
            for name in ("nrmse", "change", "psnr")
        ),
        tables.measured([tables.largest(row.change for row in rows) for rows in mine]),
    )
    heads = (
        "Method",
        "Pattern",
        "Fraction",
        "Cases",
        "NRMSE, median",
        "Change, median",
        "PSNR (dB), median",
        "Change, largest",
    )
    note = (
        "About as many samples as the network was trained with, in another pattern; the same object and level of noise. Change: of the NRMSE from "
        "the trained pattern, positive = poorer. A pattern can be harder for every method: read a line beside those of the other methods."
    )
    numeric = (False, False, *[True] * 6)
    return [Table("sampling-patterns", "Other patterns at the same fraction", heads, body, note=note, numeric=numeric)]


def _rows(document: Document, unsorted: Sequence[SamplingRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case, row.count))
    body = tables.rows(
        tables.words(r.method for r in rows),
        tables.words(r.case for r in rows),
        tables.counts([r.count for r in rows]),
        tables.measured([r.fraction for r in rows]),
        tables.words("yes" if r.trained else "no" for r in rows),
        tables.measured([r.nrmse for r in rows]),
        tables.measured([r.psnr for r in rows]),
    )
    heads = ("Method", "Case", "Count", "Fraction", "Trained", "NRMSE", "PSNR (dB)")
    numeric = (False, False, True, True, False, True, True)
    return Table("sampling-rows", "Sampling, every case", heads, body, folded=len(rows) > 6, numeric=numeric)
