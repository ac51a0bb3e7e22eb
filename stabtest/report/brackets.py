"""The bracket plot: Lipschitz constants between what was found and what is guaranteed, on one logarithmic axis.

Each bracket is a row: a marker that points up at the gain found (the constant is at least this), one that points down at the
bound (the constant is at most this), and a bar between them. A bound that is infinite or unknown is an open bar that runs to
the end of the axis, with the word beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from stabtest.report.charts import Drawing
from stabtest.report.numbers import number, setting
from stabtest.report.text import shorten
from stabtest.report.ticks import axis, drawable

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 580, 14, 110, 26, 42
MOST_ROWS = 16


@dataclass(frozen=True)
class BracketRow:
    """One bracket: its name, the gain found and the bound (``None`` = unknown)."""

    label: str
    lower: float
    upper: float | None
    status: str


def draw_brackets(rows: tuple[BracketRow, ...]) -> Drawing:
    """Draw at most `MOST_ROWS` brackets.

    Examples
    --------
    >>> drawing = draw_brackets((BracketRow("network", 3.2, math.inf, "infinite"),))
    >>> "no finite bound" in drawing.svg, drawing.left_out
    (True, 0)
    """
    shown = rows[:MOST_ROWS]
    ends = [value for row in shown for value in (row.lower, row.upper) if value is not None]
    across = axis(ends, log=True, most=6)
    right = _WIDTH - _RIGHT
    height = _TOP + len(shown) * _ROW + 40

    def x(value: float) -> float:
        return _LEFT + across.place(value) * (right - _LEFT)

    bottom = _TOP + len(shown) * _ROW
    parts: list[Markup] = []
    for value in across.ticks:
        at = f"{x(value):.1f}"
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(at, at, _TOP - 8, bottom))
        text = setting(value).replace("1 × 10", "10")
        parts.append(Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(at, bottom + 14, text))
    left_out = len(rows) - len(shown)
    for index, row in enumerate(shown):
        y = _TOP + index * _ROW + 26
        parts.append(Markup('<text class="label" x="{}" y="{}">{}</text>').format(_LEFT, y - 14, shorten(row.label, 70)))
        low = x(row.lower) if drawable(row.lower, log=True) else None
        high = x(row.upper) if row.upper is not None and drawable(row.upper, log=True) else None
        left_out += low is None
        start = _LEFT if low is None else low
        end = right if high is None else high
        kind = "bracket open" if high is None else "bracket"
        parts.append(Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(kind, start, end, y, y))
        if low is not None:
            parts.append(_triangle(low, y, -1, "tone0"))
        word = number(row.upper, bound=True) if row.upper is not None else "unknown"
        if high is not None:
            parts.append(_triangle(high, y, 1, "tone1"))
        elif row.upper is None or math.isinf(row.upper):
            word = "unknown" if row.upper is None else "no finite bound"
        parts.append(Markup('<text class="tick" x="{:.1f}" y="{}" dy="0.33em">{}</text>').format(end + 9, y, word))
    parts.append(
        Markup('<text class="label" x="{}" y="{}" text-anchor="middle">Lipschitz constant (l2), log scale</text>').format(
            (_LEFT + right) / 2, bottom + 32
        )
    )
    parts.append(_triangle(_LEFT + 6, 8, -1, "tone0"))
    parts.append(Markup('<text class="tick" x="{}" y="8" dy="0.33em">found: at least this</text>').format(_LEFT + 16))
    parts.append(_triangle(_LEFT + 166, 8, 1, "tone1"))
    parts.append(Markup('<text class="tick" x="{}" y="8" dy="0.33em">bound: at most this</text>').format(_LEFT + 176))
    svg = Markup('<svg class="chart wide" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH,
        height,
        f"Brackets of {len(shown)} Lipschitz constants on a logarithmic axis. The numbers are in the table.",
        Markup("").join(parts),
    )
    return Drawing(svg, left_out)


def _triangle(x: float, y: float, direction: int, tone: str) -> Markup:
    tip = 5.4 * direction
    path = f"M{x:.1f} {y + tip:.1f}L{x + 5:.1f} {y - tip * 0.6:.1f}L{x - 5:.1f} {y - tip * 0.6:.1f}Z"
    return Markup('<g class="{}"><path class="mark" d="{}"/></g>').format(tone, path)
