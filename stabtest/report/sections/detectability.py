"""In section 9: whether a lesion can still be told in the images that a method makes, by contrast and diameter."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.detectability_rows import DetectabilityRow, ThresholdRatioRow, ThresholdRow
from stabtest.findings.document import DetectabilitySection, Document
from stabtest.report import tables
from stabtest.report.blocks import Block, Figure, FigureRow, Heading, Paragraph, Table
from stabtest.report.charts import Level, Marker, Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, setting
from stabtest.report.verdict_words import interval

OBSERVERS = {"npw": "fixed template", "cho": "channelised Hotelling"}
_MARKERS: tuple[Marker, ...] = ("circle", "square", "up", "down")
_MOST = 5


def detectability(document: Document) -> tuple[Block, ...]:
    """Heading, curves and tables."""
    section, heading = document.detectability, Heading("detectability", "Detectability")
    if section is None or not section.rows:
        return heading, Paragraph("Not run: no observer looked for lesions in images of fresh noise.", "absent")
    blocks: list[Block] = [
        heading,
        Paragraph(section.description, "method"),
        Paragraph(
            "AUC: the share of pairs (one image with the lesion, one without) that the observer puts in the right order; 0.5 is guessing. "
            "Threshold: the contrast at which the AUC is 0.75; the lower, the better. No observer of any image does better than the ideal "
            "observer of the raw data, who is shown beside. Where nothing was put in (contrast 0) the AUC should be about 0.5.",
            "note",
        ),
        FigureRow(_figures(document, section)),
        _thresholds(document, section.thresholds),
    ]
    if section.ratios:
        blocks.append(_ratios(document, section.ratios))
    blocks.append(_rows(document, section.rows))
    return tuple(blocks)


def _figures(document: Document, section: DetectabilitySection) -> tuple[Figure, ...]:
    made: list[Figure] = []
    methods = method_order(document, [row.method for row in section.thresholds])[:_MOST]
    for observer in dict.fromkeys(row.observer for row in section.thresholds):
        of = [row for row in section.thresholds if row.observer == observer]
        diameters = sorted({row.diameter_px for row in of})
        lines: list[Series] = []
        for index, method in enumerate(methods):
            mine = [[row for row in of if row.method == method and row.diameter_px == d] for d in diameters]
            y = tuple(tables.median(row.threshold for row in rows) for rows in mine)
            lines.append(Series(method, tuple(diameters), y, tone(document, method), _MARKERS[index % 4]))
        ideal = tuple(tables.median(row.ideal_threshold for row in of if row.diameter_px == d) for d in diameters)
        lines.append(Series("ideal observer of the data", tuple(diameters), ideal, len(document.items), "none", dashed=True))
        made.append(
            _figure(made, f"Threshold contrast, {OBSERVERS[observer]}, median over cases", "diameter (px)", "contrast", lines)
        )
        made.append(_curves(document, section.rows, observer, methods, made))
    return tuple(made)


def _curves(
    document: Document, rows: Sequence[DetectabilityRow], observer: str, methods: Sequence[str], made: Sequence[Figure]
) -> Figure:
    """AUC against the ``d'`` that the data carry: one axis for lesions of every size."""
    lines: list[Series] = []
    for index, method in enumerate(methods):
        mine = sorted(
            (row for row in rows if row.method == method and row.observer == observer), key=lambda r: r.data_detectability
        )
        x = tuple(row.data_detectability for row in mine)
        y = tuple(row.auc for row in mine)
        lines.append(Series(method, x, y, tone(document, method), _MARKERS[index % 4], line=False))
    carried = sorted({(row.data_detectability, row.ideal_auc) for row in rows if row.observer == observer})
    lines.append(
        Series(
            "ideal observer of the data",
            tuple(x for x, _ in carried),
            tuple(y for _, y in carried),
            len(document.items),
            "none",
            dashed=True,
        )
    )
    title = f"AUC of every lesion, {OBSERVERS[observer]}"
    return _figure(
        made, title, "d′ of the ideal observer of the data", "AUC", lines, levels=(Level("threshold", 0.75),), zero=False
    )


def _figure(
    made: Sequence[Figure],
    title: str,
    across: str,
    up: str,
    lines: Sequence[Series],
    *,
    levels: tuple[Level, ...] = (),
    zero: bool = True,
) -> Figure:
    drawing = draw(Plot(title, across, up, tuple(lines), levels=levels, from_zero=zero))
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    table = "detectability-thresholds" if across.startswith("diameter") else "detectability-rows"
    return Figure(f"figure-detectability-{len(made)}", title, drawing.svg, table, note)


def _thresholds(document: Document, unsorted: Sequence[ThresholdRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case, row.observer, row.diameter_px))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.words(OBSERVERS[row.observer] for row in rows),
        tables.settings([row.diameter_px for row in rows]),
        tables.measured([row.threshold for row in rows]),
        tables.words(interval(row.interval) for row in rows),
        tables.measured([row.ideal_threshold for row in rows]),
        tables.measured([tables.ratio(row.threshold, row.ideal_threshold) for row in rows]),
        tables.measured([row.misfit for row in rows]),
    )
    heads = (
        "Method",
        "Case",
        "Observer",
        "Diameter (px)",
        "Threshold contrast",
        "Interval",
        "Ideal observer’s",
        "Over ideal",
        "Misfit",
    )
    note = (
        "Contrast relative to the largest pixel. None: the threshold lies outside of the contrasts measured, or the AUCs follow no curve "
        "(misfit, about 1 where they do, above 10). Intervals are over noise."
    )
    numeric = (False, False, False, True, True, False, True, True, True)
    return Table(
        "detectability-thresholds", "Threshold contrasts", heads, body, folded=len(rows) > 24, note=note, numeric=numeric
    )


def _ratios(document: Document, unsorted: Sequence[ThresholdRatioRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.observer, row.diameter_px))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.reference for row in rows),
        tables.words(OBSERVERS[row.observer] for row in rows),
        tables.settings([row.diameter_px for row in rows]),
        tables.measured([row.ratio for row in rows]),
        tables.words(interval(row.interval) for row in rows),
        tables.words(row.interval.method if row.interval is not None else "" for row in rows),
        tables.counts([row.patients for row in rows]),
    )
    heads = ("Method", "Reference", "Observer", "Diameter (px)", "Ratio of thresholds", "Interval", "Bounds", "Patients")
    note = f"Above 1: the method needs more contrast. Only where both have a threshold. Each interval stands alone at {_level(rows)}."
    numeric = (False, False, False, True, True, False, False, True)
    return Table("detectability-ratios", "Contrast needed, over that of the reference", heads, body, note=note, numeric=numeric)


def _level(rows: Sequence[ThresholdRatioRow]) -> str:
    levels = {row.interval.level for row in rows if row.interval is not None}
    return ", ".join(f"{setting(100 * level)} %" for level in sorted(levels)) or "its level"


def _rows(document: Document, unsorted: Sequence[DetectabilityRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case, row.observer, row.diameter_px, row.contrast))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.words(OBSERVERS[row.observer] for row in rows),
        tables.words(row.site for row in rows),
        tables.settings([row.diameter_px for row in rows]),
        tables.measured([row.contrast for row in rows]),
        tables.measured([row.auc for row in rows]),
        tables.words(interval(row.auc_interval) for row in rows),
        tables.measured([row.detectability for row in rows]),
        tables.words(interval(row.detectability_interval) for row in rows),
        tables.measured([row.data_detectability for row in rows]),
        tables.measured([row.ideal_auc for row in rows]),
        tables.words("sham" if not row.contrast else "yes" if row.carried else "no" for row in rows),
    )
    heads = (
        "Method",
        "Case",
        "Observer",
        "Site",
        "Diameter (px)",
        "Contrast",
        "AUC",
        "Interval",
        "d′ of the observer",
        "Interval of d′",
        "d′ of the data",
        "Ideal AUC",
        "Carried",
    )
    note = "Carried: the ideal observer of the data reaches an AUC of 0.75. Sham: nothing was put in, and d′ and AUC are of false alarms."
    numeric = (False, False, False, False, True, True, True, False, True, False, True, True, False)
    return Table(
        "detectability-rows", "Detectability, every lesion", heads, body, folded=len(rows) > 6, note=note, numeric=numeric
    )
