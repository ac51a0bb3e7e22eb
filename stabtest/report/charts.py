"""Line plots as inline SVG with real text.

A plot is data (`Plot`: series, bands, levels), `draw` makes the SVG. Colours, dashes and text sizes are classes of the style
sheet, so that one drawing serves the light, the dark and the printed page; methods differ in marker and dash as well as in
colour (Okabe and Ito's palette, distinguishable without red-green vision). A marker that points up is something found, which
can only lie higher in truth; one that points down is something guaranteed, which can only lie lower.

Values that have no place on an axis (missing, infinite, not a number, not positive on a logarithmic axis) are not drawn; how
many were left out is returned, to be said beside the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from stabtest.report.numbers import setting
from stabtest.report.text import shorten
from stabtest.report.ticks import Axis, axis, drawable

Marker = Literal["up", "down", "circle", "square", "none"]
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 380, 52, 16, 10, 190
_LEGEND_LINE = 16


@dataclass(frozen=True)
class Series:
    """A line through points; a point whose x or y is not drawable breaks it."""

    label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    tone: int = 0
    marker: Marker = "circle"
    dashed: bool = False
    line: bool = True


@dataclass(frozen=True)
class Band:
    """A shaded range over x; without a label it has no entry in the legend."""

    label: str
    x: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    tone: int = 0


@dataclass(frozen=True)
class Whisker:
    """Upright bars from a lower to an upper end, at each x where both are there; without an entry in the legend."""

    x: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True)
class Level:
    """A horizontal line: a limit."""

    label: str
    y: float


@dataclass(frozen=True)
class Plot:
    """A plot before it is drawn."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    bands: tuple[Band, ...] = ()
    levels: tuple[Level, ...] = ()
    log_x: bool = False
    log_y: bool = False
    from_zero: bool = True
    x_ticks: tuple[float, ...] = ()
    also_x: tuple[float, ...] = ()
    also_y: tuple[float, ...] = ()
    """Values that the axes have room for although nothing is drawn there: plots with the same ones have the same scales."""
    whiskers: tuple[Whisker, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """The SVG, and how many values had no place in it."""

    svg: Markup
    left_out: int


def draw(plot: Plot) -> Drawing:
    """Draw a plot.

    Examples
    --------
    >>> drawing = draw(Plot("Change", "radius", "change", (Series("net", (0.01, 0.02, 0.04), (0.1, None, 0.3)),)))
    >>> drawing.left_out, "<script>" in draw(Plot("<script>", "x", "y", ())).svg
    (1, False)
    """
    xs = [*plot.also_x, *(x for line in plot.series for x in line.x), *(x for band in plot.bands for x in band.x)]
    ys = [*plot.also_y, *(y for line in plot.series for y in line.y), *(level.y for level in plot.levels)]
    ys += [y for band in plot.bands for y in (*band.low, *band.high)]
    across = axis(xs, log=plot.log_x, at=plot.x_ticks, most=6, tight=True)
    up = axis([y for y in ys if y is not None], log=plot.log_y, from_zero=plot.from_zero, most=6)
    frame = _Frame(across, up)
    parts = [_axes(frame, plot)]
    parts += [_band(frame, band) for band in plot.bands]
    parts += [_whisker(frame, each) for each in plot.whiskers]
    parts += [_level(frame, level) for level in plot.levels]
    parts += [_series(frame, line) for line in plot.series]
    legend, height = _legend(plot)
    left_out = sum(not frame.fits(x, y) for line in plot.series for x, y in zip(line.x, line.y))
    svg = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        _WIDTH, height, _spoken(plot), Markup("").join(parts), legend
    )
    return Drawing(svg, left_out)


@dataclass(frozen=True)
class _Frame:
    across: Axis
    up: Axis

    def fits(self, x: float, y: float | None) -> bool:
        return drawable(x, log=self.across.log) and drawable(y, log=self.up.log)

    def at(self, x: float, y: float) -> tuple[str, str]:
        return self.x(x), self.y(y)

    def x(self, value: float) -> str:
        return f"{_LEFT + self.across.place(value) * (_WIDTH - _LEFT - _RIGHT):.1f}"

    def y(self, value: float) -> str:
        return f"{_TOP + (1 - self.up.place(value)) * _HEIGHT:.1f}"


def _spoken(plot: Plot) -> str:
    names = ", ".join(shorten(line.label, 60) for line in plot.series[:8])
    return f"{plot.title}. {plot.y_label} against {plot.x_label}. Lines: {names or 'none'}. The numbers are in the table."


def _axes(frame: _Frame, plot: Plot) -> Markup:
    right, bottom = _WIDTH - _RIGHT, _TOP + _HEIGHT
    parts = [Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(_LEFT, _TOP, right - _LEFT, _HEIGHT)]
    for value in frame.up.ticks:
        y = frame.y(value)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, right, y, y))
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" dy="0.33em" text-anchor="end">{}</text>').format(
                _LEFT - 5, y, _tick(value)
            )
        )
    for value in frame.across.ticks:
        x = frame.x(value)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, bottom, bottom + 4))
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(x, bottom + 16, _tick(value))
        )
    middle = (_LEFT + right) / 2
    parts.append(
        Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            middle, bottom + 33, plot.x_label + (", log scale" if plot.log_x else "")
        )
    )
    parts.append(
        Markup('<text class="label" transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
            _TOP + _HEIGHT / 2, plot.y_label + (", log scale" if plot.log_y else "")
        )
    )
    return Markup("").join(parts)


def _tick(value: float) -> str:
    """A tick's label, short enough for the margin: powers of ten from 10^4 on and below 10^-3."""
    size = abs(value)
    if size and not 1e-3 <= size < 1e4:
        mantissa, power = f"{value:.3e}".split("e")
        mantissa = f"{float(mantissa):g}"
        lead = {"1": "", "-1": "−"}.get(mantissa, mantissa.replace("-", "−") + " × ")
        return f"{lead}10{str(int(power)).translate(_RAISED)}"
    return setting(float(f"{value:.6g}"))


def _series(frame: _Frame, line: Series) -> Markup:
    runs: list[list[tuple[str, str]]] = [[]]
    for x, y in zip(line.x, line.y):
        if y is not None and frame.fits(x, y):
            runs[-1].append(frame.at(x, y))
        elif runs[-1]:
            runs.append([])
    parts: list[Markup] = []
    for run in runs:
        if line.line and len(run) > 1:
            points = " ".join(f"{x},{y}" for x, y in run)
            parts.append(Markup('<polyline class="line{}" points="{}"/>').format(" dash" if line.dashed else "", points))
        if line.line and len(run) == 1 and line.marker == "none":
            parts.append(_alone(line, *map(float, run[0])))
        parts += [_marker(line.marker, float(x), float(y), hollow=line.dashed) for x, y in run]
    return Markup('<g class="tone{}">{}</g>').format(line.tone % 6, Markup("").join(parts))


def _alone(line: Series, x: float, y: float) -> Markup:
    """A short stroke for a point of a line that has no marker and no neighbour."""
    kind = "line dash" if line.dashed else "line"
    return Markup('<polyline class="{}" points="{:.1f},{:.1f} {:.1f},{:.1f}"/>').format(kind, x - 9, y, x + 9, y)


def _whisker(frame: _Frame, each: Whisker) -> Markup:
    parts = [
        Markup('<line class="bracket" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            frame.x(x), frame.x(x), frame.y(low), frame.y(high)
        )
        for x, low, high in zip(each.x, each.low, each.high)
        if low is not None and high is not None and frame.fits(x, low) and frame.fits(x, high)
    ]
    return Markup("").join(parts)


def _marker(marker: Marker, x: float, y: float, *, hollow: bool) -> Markup:
    kind = "mark hollow" if hollow else "mark"
    if marker == "none":
        return Markup("")
    if marker == "circle":
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.2"/>').format(kind, x, y)
    if marker == "square":
        return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="5.6" height="5.6"/>').format(kind, x - 2.8, y - 2.8)
    tip = -4.6 if marker == "up" else 4.6
    path = f"M{x:.1f} {y + tip:.1f}L{x + 4.2:.1f} {y - tip * 0.6:.1f}L{x - 4.2:.1f} {y - tip * 0.6:.1f}Z"
    return Markup('<path class="{}" d="{}"/>').format(kind, path)


def _band(frame: _Frame, band: Band) -> Markup:
    there = [
        (x, low, high)
        for x, low, high in zip(band.x, band.low, band.high)
        if low is not None and high is not None and frame.fits(x, low) and frame.fits(x, high)
    ]
    if len(there) == 1:  # as wide as a marker, where there is nothing to run to
        ((x, low, high),) = there
        left, top, bottom = float(frame.x(x)) - 5, float(frame.y(high)), float(frame.y(low))
        return Markup('<rect class="band tone{}" x="{:.1f}" y="{:.1f}" width="10" height="{:.1f}"/>').format(
            band.tone % 6, left, top, max(bottom - top, 1.0)
        )
    if not there:
        return Markup("")
    edge = [frame.at(x, high) for x, _, high in there] + [frame.at(x, low) for x, low, _ in reversed(there)]
    return Markup('<polygon class="band tone{}" points="{}"/>').format(band.tone % 6, " ".join(f"{x},{y}" for x, y in edge))


def _level(frame: _Frame, level: Level) -> Markup:
    if not drawable(level.y, log=frame.up.log):
        return Markup("")
    y = frame.y(level.y)
    return Markup('<line class="limit" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _WIDTH - _RIGHT, y, y)


def _legend(plot: Plot) -> tuple[Markup, float]:
    top = _TOP + _HEIGHT + 50
    parts: list[Markup] = []
    entries: Sequence[Series | Band | Level] = [entry for entry in (*plot.series, *plot.bands, *plot.levels) if entry.label]
    for index, entry in enumerate(entries):
        y = top + index * _LEGEND_LINE
        parts.append(_swatch(entry, y))
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" dy="0.33em">{}</text>').format(_LEFT + 30, y, shorten(entry.label, 52))
        )
    return Markup('<g class="legend">{}</g>').format(Markup("").join(parts)), top + len(entries) * _LEGEND_LINE - 4


def _swatch(entry: Series | Band | Level, y: float) -> Markup:
    if isinstance(entry, Level):
        return Markup('<line class="limit" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _LEFT + 24, y, y)
    if isinstance(entry, Band):
        return Markup('<rect class="band tone{}" x="{}" y="{}" width="24" height="10"/>').format(entry.tone % 6, _LEFT, y - 5)
    line = Markup("")
    if entry.line:
        kind = "line dash" if entry.dashed else "line"
        line = Markup('<polyline class="{}" points="{},{} {},{}"/>').format(kind, _LEFT, y, _LEFT + 24, y)
    marker = _marker(entry.marker, _LEFT + 12, y, hollow=entry.dashed)
    return Markup('<g class="tone{}">{}{}</g>').format(entry.tone % 6, line, marker)
