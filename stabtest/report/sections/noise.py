"""Section 11: error, bias and spread against noise or dose, with the worst case of the same norm on the same axes."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.findings.document import Document, NoiseSection
from stabtest.findings.noise_rows import NoiseRow
from stabtest.report import tables
from stabtest.report.blocks import Block, Figure, FigureRow, Paragraph, Section, Table
from stabtest.report.charts import Band, Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, setting

Key = tuple[str, float]
_TITLE = "Noise and dose"
_MOST = 5


def noise(document: Document) -> Section:
    """How the error grows with noise, and which part of it is bias."""
    section = document.noise
    if section is None or not section.rows:
        words: list[Block] = [Paragraph("Not run: the noise was not varied.", "absent")]
        if document.worst_case is not None and document.worst_case.rows:
            words.append(Paragraph("Gaussian noise of the same norm as each perturbation found is in section 8.", "note"))
        return Section(11, "noise", _TITLE, tuple(words), "not run")
    groups = _groups(document, section.rows)
    blocks: list[Block] = [
        Paragraph(section.description, "method"),
        Paragraph(
            "Bias is the error of the mean image over the draws, spread the variation around it. A method that smooths noise away pays in "
            "bias; one that follows the data pays in spread. Bias that grows with the noise is structure that is wrong or missing.",
            "method",
        ),
    ]
    if section.trained is not None:
        low, high = section.trained
        blocks.append(Paragraph(f"Levels of the training: {setting(low)} to {setting(high)}, as stated by the user.", "note"))
    blocks += [FigureRow(_figures(document, section, groups)), _summary(groups), _rows(document, section.rows)]
    return Section(11, "noise", _TITLE, tuple(blocks), "run")


def _groups(document: Document, rows: Sequence[NoiseRow]) -> dict[Key, list[NoiseRow]]:
    order = method_order(document, [row.method for row in rows])
    found: dict[Key, list[NoiseRow]] = {}
    for row in sorted(rows, key=lambda row: (order.index(row.method), row.level)):
        found.setdefault((row.method, row.level), []).append(row)
    return found


def _figures(document: Document, section: NoiseSection, groups: dict[Key, list[NoiseRow]]) -> tuple[Figure, ...]:
    levels = sorted({row.level for row in section.rows})
    log = len(levels) > 1 and levels[0] > 0 and levels[-1] / levels[0] >= 8
    methods = list(dict.fromkeys(method for method, _ in groups))[:_MOST]
    parts: list[Series] = []
    for method in methods:
        mine = [rows for key, rows in groups.items() if key[0] == method]
        x = tuple(rows[0].level for rows in mine)
        bias, spread = (
            (tuple(tables.median(getattr(row, name) for row in rows) for rows in mine)) for name in ("bias", "spread")
        )
        if any(value is not None for value in bias):
            parts.append(Series(f"{method}: bias", x, bias, tone(document, method)))
        parts.append(Series(f"{method}: spread", x, spread, tone(document, method), "none", dashed=True))
    trained = (
        f"; training from {setting(section.trained[0])} to {setting(section.trained[1])}" if section.trained is not None else ""
    )
    title = f"Bias and spread against the level of the noise, median over cases{trained}"
    shaded: tuple[Band, ...] = ()
    values = [value for series in parts for value in series.y if value is not None]
    if section.trained is not None and values:
        ends = (max(section.trained[0], levels[0]), min(section.trained[1], levels[-1]))
        if ends[0] < ends[1]:
            shaded = (Band("training", ends, (0.0, 0.0), (max(values), max(values)), 0),)
    made = [
        (
            "parts",
            Plot(
                title, "multiple of the scan's noise", "relative to the image", tuple(parts), shaded, log_x=log, from_zero=True
            ),
        )
    ]
    beside = _beside(document, groups, methods)
    if beside is not None:
        made.append(("worst", beside))
    figures: list[Figure] = []
    for name, plot in made:
        drawing = draw(plot)
        note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
        figures.append(Figure(f"figure-noise-{name}", plot.title, drawing.svg, "noise-summary", note))
    return tuple(figures)


def _beside(document: Document, groups: dict[Key, list[NoiseRow]], methods: list[str]) -> Plot | None:
    """Error under noise and under the worst perturbation found, against the norm of what was added."""
    section = document.worst_case
    usable = section is not None and section.domain == "measurement" and section.unit == "relative" and section.norm == "l2"
    lines: list[Series] = []
    for method in methods:
        mine = [rows for key, rows in groups.items() if key[0] == method]
        x = tuple(tables.median(row.relative_norm for row in rows) or 0.0 for rows in mine)
        y = tuple(tables.median(row.nrmse for row in rows) for rows in mine)
        if all(value is None for value in y):
            continue
        lines.append(Series(f"{method}: noise", x, y, tone(document, method), dashed=True))
        if usable and section is not None:
            radii = sorted({row.radius for row in section.rows if row.method == method})
            worst = tuple(
                tables.largest(row.relative_error for row in section.rows if row.method == method and row.radius == radius)
                for radius in radii
            )
            if any(value is not None for value in worst):
                lines.append(Series(f"{method}: worst found", tuple(radii), worst, tone(document, method), "up"))
    if not lines:
        return None
    points = [value for series in lines for value in series.x if value > 0]
    log = bool(points) and max(points) / min(points) >= 8
    title = "Error under noise (median) and under the worst perturbation found (largest), by the norm of what was added"
    return Plot(title, "‖added‖ / ‖measurement‖", "error ‖image − truth‖ / ‖truth‖", tuple(lines), log_x=log, from_zero=True)


def _summary(groups: dict[Key, list[NoiseRow]]) -> Table:
    keys = list(groups)
    counted = any(row.photons is not None for rows in groups.values() for row in rows)
    body = tables.rows(
        tables.words(key[0] for key in keys),
        tables.settings([key[1] for key in keys]),
        *([tables.measured([tables.median(r.photons for r in groups[k]) for k in keys])] if counted else []),
        tables.measured([tables.median(r.relative_norm for r in groups[k]) for k in keys]),
        tables.counts([len(groups[k]) for k in keys]),
        tables.measured([tables.median(r.nrmse for r in groups[k]) for k in keys]),
        tables.measured([tables.largest(r.nrmse_max for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.bias for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.spread for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.gain for r in groups[k]) for k in keys]),
    )
    photons = ("Photons",) if counted else ()
    measures = ("‖noise‖ / ‖y‖", "Cases", "NRMSE, median", "NRMSE, largest", "Bias", "Spread", "Gain of noise")
    heads = ("Method", "Level", *photons, *measures)
    note = "Medians over cases of means over draws. Gain: change of the image over the norm of the noise, from the measurement it was added to."
    numeric = (False, *[True] * (len(heads) - 1))
    return Table("noise-summary", "Error by level of noise", heads, body, note=note, numeric=numeric)


def _rows(document: Document, unsorted: Sequence[NoiseRow]) -> Table:
    order = method_order(document, [row.method for row in unsorted])
    rows = sorted(unsorted, key=lambda row: (order.index(row.method), row.case, row.level))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.settings([row.level for row in rows]),
        tables.measured([row.noise_std for row in rows]),
        tables.counts([row.draws for row in rows]),
        tables.measured([row.nrmse for row in rows]),
        tables.measured([row.bias for row in rows]),
        tables.measured([row.spread for row in rows]),
        tables.measured([row.gain for row in rows]),
    )
    heads = ("Method", "Case", "Level", "Noise of a sample", "Draws", "NRMSE", "Bias", "Spread", "Gain of noise")
    numeric = (False, False, *[True] * 7)
    return Table("noise-rows", "Noise, every case", heads, body, folded=len(rows) > 6, numeric=numeric)
