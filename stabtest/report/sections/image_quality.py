"""Part of section 7: resolution by contrast, noise power, bias and uniformity, as a medical physicist measures them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest.findings.document import Document, ImageQualitySection
from stabtest.findings.physics_rows import NoisePowerRow, TransferRow
from stabtest.report import tables
from stabtest.report.blocks import Block, Figure, FigureRow, Heading, Paragraph
from stabtest.report.charts import Band, Level, Plot, Series, draw
from stabtest.report.methods import method_order, tone, under_test
from stabtest.report.numbers import many, number, setting
from stabtest.report.sections import image_quality_tables as rows_of

_HEADING = Heading("image-quality", "Resolution, noise, uniformity and bias")
_BY_CONSTRUCTION = (
    "Total variation and other denoisers resolve less at low contrast by construction: they keep strong edges and smooth weak ones. A network "
    "may do the same, and then no one number stands for its sharpness: a faint lesion is judged by the curve of its own contrast. The curve is "
    "1 at frequency 0 whatever came back; the part of the edge's height that did is the step, in the table."
)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_COLOURS = (3, 5, 4, 0)
"""Of the contrasts: first those that the usual three methods do not have, so that one is not taken for the other."""
_MOST_METHODS, _MOST_CONTRASTS = 5, 4


def image_quality(document: Document) -> list[Block]:
    """Heading and blocks; the heading is there when the test was not run, too."""
    section = document.image_quality
    if section is None or not section.transfer:
        return [
            _HEADING,
            Paragraph("Not run: resolution by contrast, noise power, uniformity and bias were not measured.", "absent"),
        ]
    blocks: list[Block] = [
        _HEADING,
        Paragraph(section.description, "method"),
        Paragraph(_BY_CONSTRUCTION, "method"),
        *(Paragraph(text, "note") for text in _remarks(section)),
        FigureRow((*_curves(document, section), *_noise(document, section))),
        rows_of.resolution(document, section.transfer),
        *rows_of.statements(document, section.statements),
    ]
    if section.noise_power:
        blocks.append(rows_of.noise_power(document, section.noise_power))
    if section.bias:
        blocks.append(rows_of.bias(document, section.bias))
    if section.uniformity:
        blocks.append(rows_of.uniformity(document, section.uniformity))
    blocks.append(rows_of.every_curve(document, section.transfer))
    return blocks


def _remarks(section: ImageQualitySection) -> list[str]:
    found: list[str] = []
    ratios = {row.noise_ratio for row in section.transfer}
    more = sorted(ratio for ratio in ratios if ratio is not None and ratio != 1)
    if more:
        found.append(
            f"Noise was added to scans that hold noise already: the methods saw {number(more[-1])} times the noise of the scan, and may "
            "smooth more than they do on the scan itself."
        )
    if None in ratios:
        found.append(
            "Where the level of the noise is not known, or zero, there is one scan: no noise power, and intervals over places only."
        )
    if any(row.quantity == "along the local phase" for row in section.transfer):
        found.append("Complex images are measured along the local phase of the object, where noise keeps mean zero.")
    if magnitude := sorted({row.method for row in section.transfer if row.quantity == "magnitude"}):
        found.append(f"Magnitudes, with the raised mean of their noise: {', '.join(magnitude)}.")
    return found


def _curves(document: Document, section: ImageQualitySection) -> list[Figure]:
    """For each method under test its curves by contrast, with those of the reference dashed."""
    named = method_order(document, [row.method for row in section.transfer])
    tested = [name for name in under_test(document) if name in named] or named[:1]
    reference = next((item.name for item in document.items if item.role == "reference" and item.name in named), None)
    contrasts = sorted({row.contrast for row in section.transfer}, key=lambda value: (-abs(value), value))[:_MOST_CONTRASTS]
    figures: list[Figure] = []
    for index, method in enumerate(tested[:_MOST_METHODS]):
        lines: list[Series] = []
        unfit = 0
        for name in (method, reference):
            if name is None or (name == method and lines):
                continue
            for colour, contrast in zip(_COLOURS, contrasts):
                own = [row for row in section.transfer if row.method == name and row.contrast == contrast]
                fit = [row for row in own if row.reliable and row.transfer]
                unfit += len(own) - len(fit)
                if fit:
                    x, y = _median(fit)
                    lines.append(Series(f"{name}, contrast {setting(contrast)}", x, y, colour, "none", dashed=name != method))
        title = f"Task transfer function of {method} by contrast, median over cases"
        plot = Plot(title, "cycles per pixel", "task transfer function", tuple(lines), levels=(Level("one half: f50", 0.5),))
        drawing = draw(plot)
        notes = [f"{many(unfit, 'curve')} not drawn: the gate failed."] if unfit else []
        if drawing.left_out:
            notes.append(f"{many(drawing.left_out, 'value')} without a place on these axes.")
        figures.append(Figure(f"figure-ttf-{index}", title, drawing.svg, "ttf-summary", " ".join(notes) or None))
    return figures


def _median(rows: Sequence[TransferRow]) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """The curve of the median over cases at each frequency."""
    at: dict[float, list[float]] = {}
    for row in rows:
        for frequency, value in zip(row.frequencies, row.transfer):
            at.setdefault(frequency, []).append(value)
    x = sorted(frequency for frequency in at if math.isfinite(frequency))
    return tuple(x), tuple(tables.median(at[frequency]) for frequency in x)


def _noise(document: Document, section: ImageQualitySection) -> list[Figure]:
    """Radial noise power by method: mean over cases, with the mean of their standard errors.

    That mean is no less than the standard error of the mean curve, whether or not the cases share their noise.
    """
    methods = method_order(document, [row.method for row in section.noise_power])[:_MOST_METHODS]
    means = {name: _mean([row for row in section.noise_power if row.method == name]) for name in methods}
    if not means:
        return []
    unit, words = _unit([value for _, y, _ in means.values() for value in y])
    lines: list[Series] = []
    bands: list[Band] = []
    for method, (x, y, error) in means.items():
        colour = tone(document, method)
        lines.append(Series(method, x, tuple(p / unit for p in y), colour))
        low, high = (tuple((p + sign * e) / unit for p, e in zip(y, error)) for sign in (-1, 1))
        bands.append(Band("", x, low, high, colour))
    title = "Noise power spectrum, mean over cases; band: one standard error to either side"
    drawing = draw(Plot(title, "cycles per pixel", words, tuple(lines), tuple(bands)))
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    return [Figure("figure-nps", title, drawing.svg, "nps-rows", note)]


def _unit(values: Sequence[float]) -> tuple[float, str]:
    """A power of ten in which the largest value lies between 1 and 10, and the label of the axis: long ticks have no room."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    if abs(power) < 2 or abs(power) > 300:
        return 1.0, "value² pixel²"
    return float(f"1e{power}"), f"10{str(power).translate(_RAISED)} value² pixel²"


def _mean(rows: Sequence[NoisePowerRow]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    at: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        for frequency, power, error in zip(row.frequencies, row.power, row.standard_error):
            at.setdefault(frequency, []).append((power, error))
    x = sorted(frequency for frequency in at if math.isfinite(frequency))
    y, error = (tuple(sum(pair[part] for pair in at[frequency]) / len(at[frequency]) for frequency in x) for part in (0, 1))
    return tuple(x), y, error
