"""The tables of resolution by contrast, noise power, bias and uniformity. A curve whose gate failed stays in them, and is marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from stabtest.findings.document import Document
from stabtest.findings.physics_rows import BiasRow, ContrastStatement, NoisePowerRow, TransferRow, UniformityRow
from stabtest.report import tables
from stabtest.report.blocks import Cell, Table
from stabtest.report.methods import method_order
from stabtest.report.numbers import count
from stabtest.report.verdict_words import interval

Row = TypeVar("Row", TransferRow, NoisePowerRow, BiasRow, UniformityRow)
_MANY = 8
_BEYOND = "> 0.5"


def resolution(document: Document, rows: Sequence[TransferRow]) -> Table:
    """By method and contrast, over cases; f50 and f10 of the curves that passed the gate."""
    groups: dict[tuple[str, float], list[TransferRow]] = {}
    for row in _ordered(document, rows):
        groups.setdefault((row.method, row.contrast), []).append(row)
    keys, members = list(groups), list(groups.values())
    fit = [[row for row in group if row.reliable] for group in members]
    body = tables.rows(
        tables.words(method for method, _ in keys),
        tables.settings([contrast for _, contrast in keys]),
        _frequencies([tables.median(row.f50 for row in group) for group in fit]),
        _frequencies([tables.median(row.f10 for row in group) for group in fit]),
        tables.measured([tables.median(row.step for row in group) for group in members]),
        tables.measured([tables.smallest(row.step for row in group) for group in members]),
        tables.words(f"{count(len(good))} of {count(len(group))}" for good, group in zip(fit, members)),
    )
    heads = ("Method", "Contrast", "f50, median", "f10, median", "Step, median", "Step, smallest", "Gate held in")
    note = (
        "f50, f10: where the curve falls to a half and to a tenth, cycles per pixel, over the cases whose curve passed the gate; > 0.5: not "
        "up to the Nyquist frequency. Step: part of the edge's height that came back, over all cases."
    )
    return Table("ttf-summary", "Resolution by contrast", heads, body, note=note, numeric=(False, *[True] * 5, False))


def every_curve(document: Document, unsorted: Sequence[TransferRow]) -> Table:
    """Each curve with its interval and its gate."""
    rows = _ordered(document, unsorted)
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.settings([row.contrast for row in rows]),
        _frequencies([row.f50 for row in rows]),
        tables.words(interval(row.f50_interval) for row in rows),
        _frequencies([row.f10 for row in rows]),
        tables.measured([row.step for row in rows]),
        tables.measured([row.edge_cnr for row in rows]),
        tables.measured([row.data_detectability for row in rows]),
        tables.words("held" if row.reliable else "failed: not to be relied on" for row in rows),
    )
    heads = (
        "Method",
        "Case",
        "Contrast",
        "f50",
        "Interval of f50",
        "f10",
        "Step",
        "Edge over noise",
        "Detectability d′",
        "Gate",
    )
    note = (
        "Interval: over draws of noise (or places) in this object, not over patients. Edge over noise: height of the edge that came back over "
        "the noise of the averaged change."
    )
    numeric = (False, False, True, True, False, *[True] * 4, False)
    caption = "Resolution, every case"
    return Table("ttf-rows", caption, heads, body, folded=len(rows) > _MANY, note=note, numeric=numeric)


def statements(document: Document, found: Sequence[ContrastStatement]) -> list[Table]:
    """Those over patients, and those of single cases."""
    order = method_order(document, [row.method for row in found])
    ordered = sorted(found, key=lambda row: order.index(row.method))
    over, single = ([row for row in ordered if (row.case is None) == flag] for flag in (True, False))
    made = [_statements("contrast-statements", "Does it resolve less at low contrast? Over patients", over)] if over else []
    if single or not over:
        caption = "Does it resolve less at low contrast? Every case"
        folded = bool(over) and len(single) > _MANY // 2
        made.append(_statements("contrast-statements-cases", caption, single, folded=folded))
    return made


def _statements(anchor: str, caption: str, found: Sequence[ContrastStatement], *, folded: bool = False) -> Table:
    body = tables.rows(
        tables.words(row.method for row in found),
        tables.words("all" if row.case is None else row.case for row in found),
        tables.settings([row.high_contrast for row in found]),
        tables.settings([row.low_contrast for row in found]),
        tables.measured([row.fall for row in found]),
        tables.words(interval(row.interval) for row in found),
        tables.words(row.statement for row in found),
    )
    heads = ("Method", "Case", "From contrast", "To contrast", "Fall of f50", "Interval", "Statement")
    over = bool(found) and all(row.case is None for row in found)
    missing = " A contrast that is not listed could be compared in one patient or none: see every case." if over else ""
    note = (
        "Fall: 1 − f50 (lower contrast) / f50 (higher contrast). Bounds hold for all contrasts of a method together. f50 beyond the Nyquist "
        "frequency counts as 0.5, which makes a fall look smaller." + missing
    )
    numeric = (False, False, True, True, True, False, False)
    empty = "One contrast: nothing to compare."
    return Table(anchor, caption, heads, body, folded=folded, note=note, empty=empty, numeric=numeric)


def noise_power(document: Document, unsorted: Sequence[NoisePowerRow]) -> Table:
    """Standard deviation, peak and mean frequency of the noise."""
    rows = _ordered(document, unsorted)
    columns = [
        ("Method", tables.words(row.method for row in rows)),
        ("Case", tables.words(row.case for row in rows)),
        ("Standard deviation", tables.measured([row.noise_std for row in rows])),
        *_hounsfield("Standard deviation (HU)", [row.noise_std_hu for row in rows]),
        ("Mean frequency", tables.measured([row.mean_frequency for row in rows])),
        ("Peak frequency", tables.measured([row.peak_frequency for row in rows])),
        ("Draws of noise", tables.counts([row.realisations for row in rows])),
        (
            "Regions (pixels)",
            tables.words(f"{count(row.regions)} ({count(row.side_px)} × {count(row.side_px)})" for row in rows),
        ),
    ]
    note = (
        "In flat regions, unit of the image; frequencies in cycles per pixel. A low mean frequency is noise in blotches. What a method "
        "invents the same way in every draw is no noise but bias."
    )
    return _table(
        "nps-rows", "Noise power", columns, note, folded=len(rows) > 2 * _MANY, words=("Method", "Case", "Regions (pixels)")
    )


def bias(document: Document, unsorted: Sequence[BiasRow]) -> Table:
    """Mean error in flat regions of the object."""
    rows = _ordered(document, unsorted)
    columns = [
        ("Method", tables.words(row.method for row in rows)),
        ("Case", tables.words(row.case for row in rows)),
        ("Region at", tables.words(row.site for row in rows)),
        ("Truth", tables.measured([row.truth for row in rows])),
        ("Bias", tables.measured([row.bias for row in rows])),
        ("Interval of bias", tables.words(interval(row.interval) for row in rows)),
        ("Bias over largest pixel", tables.measured([row.bias_relative for row in rows])),
        *_hounsfield("Bias (HU)", [row.bias_hu for row in rows]),
        ("Draws of noise", tables.counts([row.realisations for row in rows])),
    ]
    note = "Mean of image minus truth over a flat region of the object, unit of the image; positive = too bright. Interval: over draws of noise."
    kept = ("Method", "Case", "Region at", "Interval of bias")
    return _table("bias-rows", "Bias in flat regions", columns, note, folded=len(rows) > 2 * _MANY, words=kept)


def uniformity(document: Document, unsorted: Sequence[UniformityRow]) -> Table:
    """Uniformity of a flat disc."""
    rows = _ordered(document, unsorted)
    columns = [
        ("Method", tables.words(row.method for row in rows)),
        ("Case", tables.words(row.case for row in rows)),
        ("Value of the disc", tables.measured([row.level for row in rows])),
        ("Bias", tables.measured([row.bias for row in rows])),
        ("Centre to edge", tables.measured([row.centre_difference for row in rows])),
        *_hounsfield("Centre to edge (HU)", [row.centre_difference_hu for row in rows]),
        ("Uniformity index", tables.measured([row.uniformity_index for row in rows])),
        ("Integral uniformity", tables.measured([row.integral_uniformity for row in rows])),
        ("Draws of noise", tables.counts([row.realisations for row in rows])),
    ]
    note = (
        "A uniform disc alone, scanned as the case is; mean image over draws of noise. Centre to edge: largest difference between the centre "
        "and four regions near the edge. Integral uniformity: 1 = uniform. A network trained on anatomy has never seen such an object: this is "
        "about phantoms, the bias above about patients."
    )
    caption = "Uniformity of a flat object"
    return _table("uniformity-rows", caption, columns, note, folded=len(rows) > 2 * _MANY, words=("Method", "Case"))


def _table(
    anchor: str, caption: str, columns: Sequence[tuple[str, list[Cell]]], note: str, *, folded: bool, words: tuple[str, ...]
) -> Table:
    heads = tuple(head for head, _ in columns)
    body = tables.rows(*(cells for _, cells in columns))
    return Table(anchor, caption, heads, body, folded=folded, note=note, numeric=tuple(head not in words for head in heads))


def _hounsfield(head: str, values: Sequence[float | None]) -> list[tuple[str, list[Cell]]]:
    """A column of Hounsfield units, where the value of water was given."""
    return [(head, tables.measured(values))] if any(value is not None for value in values) else []


def _frequencies(values: Sequence[float | None]) -> list[Cell]:
    """A column of f50 or f10, where an infinity means beyond the Nyquist frequency."""
    cells = tables.measured(values)
    return [replace(cell, text=_BEYOND) if value == math.inf else cell for cell, value in zip(cells, values)]


def _ordered(document: Document, rows: Sequence[Row]) -> list[Row]:
    order = method_order(document, [row.method for row in rows])
    return sorted(rows, key=lambda row: (order.index(row.method), row.case, -abs(getattr(row, "contrast", 0.0))))
