"""The plots of the worst case against radius: found, Gaussian noise, reference method, guaranteed.

Found values are the largest over cases; noise is drawn as a dashed line (median over cases and draws) with a band up to the
largest draw. The plot of the gain carries the guaranteed bound of the Lipschitz section where there is one from measurement
to image, because both have the same unit there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stabtest.findings.document import Document, WorstCaseSection
from stabtest.findings.records import WorstCaseRow
from stabtest.findings.sizes import axis_of
from stabtest.report import tables
from stabtest.report.blocks import Figure
from stabtest.report.charts import Band, Level, Plot, Series, draw
from stabtest.report.methods import method_order, tone
from stabtest.report.numbers import many, setting

_MAXIMISED = {"clean": "relative change", "truth": "‖f(y+e) − x‖/‖f(y)‖", "local": "local damage", "ssim": "1 − SSIM"}
"""What the record of a search is of, by the objective of its row."""
_MOST = 4
"""Methods drawn in one plot."""


@dataclass(frozen=True)
class Point:
    """All cases of one method at one radius."""

    method: str
    radius: float
    rows: tuple[WorstCaseRow, ...]


@dataclass(frozen=True)
class Curve:
    """One method over the radii."""

    method: str
    points: tuple[Point, ...]


def curves(document: Document, section: WorstCaseSection) -> list[Curve]:
    """The rows of a section by method and radius, radii ascending."""
    found: list[Curve] = []
    for method in method_order(document, [row.method for row in section.rows]):
        groups: dict[str, list[WorstCaseRow]] = {}
        for row in section.rows:
            if row.method == method:
                groups.setdefault(repr(row.radius), []).append(row)
        points = [Point(method, rows[0].radius, tuple(rows)) for rows in groups.values()]
        found.append(Curve(method, tuple(sorted(points, key=lambda point: (math.isnan(point.radius), point.radius)))))
    return found


def figures(document: Document, section: WorstCaseSection, found: list[Curve]) -> tuple[Figure, ...]:
    """The plots of the section."""
    radii = sorted({point.radius for curve in found for point in curve.points})
    log = len(radii) > 1 and radii[0] > 0 and radii[-1] / radii[0] >= 8
    label = axis_of(section.unit, section.domain, section.norm)
    made = [_change(document, found, label, log), _error(document, found, label, log), _local(document, found, label, log)]
    made.append(_gain(document, section, found, label, log))
    return tuple(_figure(plot, anchor, "worst-case-by-radius") for anchor, plot in made if plot is not None)


def history(document: Document, found: list[Curve]) -> Figure | None:
    """The search's progress at the largest radius, for the case where each method ended worst."""
    _, plot = _history(document, found)
    return None if plot is None else _figure(plot, "history", "budget-table")


def _figure(plot: Plot, anchor: str, table: str) -> Figure:
    drawing = draw(plot)
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    return Figure(f"figure-{anchor}", plot.title, drawing.svg, table, note)


def _ticks(found: list[Curve]) -> tuple[float, ...]:
    radii = sorted({point.radius for curve in found for point in curve.points})
    return tuple(radii) if len(radii) <= 8 else ()


def _change(document: Document, found: list[Curve], label: str, log: bool) -> tuple[str, Plot]:
    lines: list[Series] = []
    bands: list[Band] = []
    for curve in found[:_MOST]:
        x = tuple(point.radius for point in curve.points)
        colour = tone(document, curve.method)
        largest = tuple(tables.largest(r.relative_change for r in p.rows) for p in curve.points)
        noise = tuple(tables.median(r.noise_change_median for r in p.rows) for p in curve.points)
        most = tuple(tables.largest(r.noise_change_max for r in p.rows) for p in curve.points)
        lines.append(Series(f"{curve.method}: found", x, largest, colour, "up"))
        lines.append(Series(f"{curve.method}: Gaussian noise, median to largest", x, noise, colour, "none", dashed=True))
        bands.append(Band("", x, noise, most, colour))
    title = "Change of the image: largest found over cases, beside Gaussian noise of the same norm"
    levels = _limits(document, "worst_case.relative_change.max")
    return "change", Plot(title, label, "relative change", tuple(lines), tuple(bands), levels, log, True, x_ticks=_ticks(found))


def _error(document: Document, found: list[Curve], label: str, log: bool) -> tuple[str, Plot | None]:
    lines: list[Series] = []
    for curve in found[:_MOST]:
        x = tuple(point.radius for point in curve.points)
        colour = tone(document, curve.method)
        largest = tuple(tables.largest(r.relative_error for r in p.rows) for p in curve.points)
        clean = tuple(tables.largest(r.clean_error for r in p.rows) for p in curve.points)
        if any(value is not None for value in largest):
            lines.append(Series(f"{curve.method}: found", x, largest, colour, "up"))
            lines.append(Series(f"{curve.method}: clean", x, clean, colour, "none", dashed=True))
    if not lines:
        return "error", None
    title = "Error against the truth: largest over cases, found and clean"
    return "error", Plot(title, label, "relative error", tuple(lines), log_x=log, x_ticks=_ticks(found))


def _local(document: Document, found: list[Curve], label: str, log: bool) -> tuple[str, Plot]:
    lines = tuple(
        Series(
            f"{curve.method}: found",
            tuple(point.radius for point in curve.points),
            tuple(tables.largest(r.local_damage for r in p.rows) for p in curve.points),
            tone(document, curve.method),
            "up",
        )
        for curve in found[:_MOST]
    )
    title = "Damage in one place: largest smoothed change over cases"
    return "local", Plot(title, label, "local damage", lines, log_x=log, x_ticks=_ticks(found))


def _gain(document: Document, section: WorstCaseSection, found: list[Curve], label: str, log: bool) -> tuple[str, Plot]:
    lines: list[Series] = []
    for curve in found[:_MOST]:
        x = tuple(point.radius for point in curve.points)
        largest = tuple(tables.largest(r.gain for r in p.rows) for p in curve.points)
        noise = tuple(tables.median(_noise_gain(r) for r in p.rows) for p in curve.points)
        colour = tone(document, curve.method)
        lines.append(Series(f"{curve.method}: found", x, largest, colour, "up"))
        lines.append(Series(f"{curve.method}: Gaussian noise, median", x, noise, colour, "none", dashed=True))
    guaranteed = _guaranteed(document, section)
    if guaranteed is not None and found:
        x = tuple(point.radius for point in found[0].points)
        lines.append(Series(guaranteed[0], x, tuple(guaranteed[1] for _ in x), 5, "down"))
    title = "Gain ‖f(y+e) − f(y)‖/‖e‖: found from below, guaranteed from above"
    if guaranteed is None:
        without = "no finite guaranteed bound for every measurement"
        if _on_a_ball(document):
            without = "bounds on a ball hold around one measurement each and are not drawn: see section 12"
        title = f"Gain ‖f(y+e) − f(y)‖/‖e‖: found from below ({without})"
    return "gain", Plot(title, label, "gain", tuple(lines), log_x=log, log_y=True, x_ticks=_ticks(found))


def _noise_gain(row: WorstCaseRow) -> float | None:
    """Gain under noise of the same norm: the norms of noise and witness agree, so gains are as the changes."""
    share = tables.ratio(row.noise_change_median, row.relative_change)
    return None if share is None else share * row.gain


def _guaranteed(document: Document, section: WorstCaseSection) -> tuple[str, float] | None:
    """The largest finite bound from measurement to image, and how it is to be called."""
    if document.lipschitz is None:
        return None
    whole = [bracket for bracket in document.lipschitz.brackets if "measurement" in bracket.name.lower()]
    finite = [
        b for b in whole if b.upper is not None and math.isfinite(b.upper) and b.upper_status in ("certified", "probabilistic")
    ]
    if not finite or len(finite) < len(whole):
        return None
    top = max(finite, key=lambda bracket: bracket.upper or 0.0)
    word = "guaranteed bound" if top.upper_status == "certified" else "bound with high probability"
    return f"{top.name}: {word}", top.upper or math.inf


def _on_a_ball(document: Document) -> bool:
    """Whether there is a finite bound that holds from the measurement of its own case only."""
    brackets = document.lipschitz.brackets if document.lipschitz is not None else []
    return any(
        b.upper_status == "on a ball" and b.upper is not None and math.isfinite(b.upper)
        for b in brackets
        if "measurement" in b.name.lower()
    )


def _history(document: Document, found: list[Curve]) -> tuple[str, Plot | None]:
    lines: list[Series] = []
    what = "objective"
    for curve in found[:_MOST]:
        last = curve.points[-1]
        rows = [row for row in last.rows if row.history]
        if not rows:
            continue
        worst = max(rows, key=lambda row: -math.inf if math.isnan(row.relative_change) else row.relative_change)
        what = _MAXIMISED.get(worst.objective, what)
        x, y = zip(*worst.history)
        lines.append(
            Series(
                f"{curve.method}, radius {setting(last.radius)}",
                x,
                y,
                tone(document, curve.method),
                "circle" if len(x) < 25 else "none",
            )
        )
    if not lines:
        return "history", None
    title = "Search: best value so far in the worst case, at the largest radius"
    return "history", Plot(title, "evaluations of the method", what, tuple(lines))


def _limits(document: Document, statistic: str) -> tuple[Level, ...]:
    return tuple(
        Level(f"limit {criterion.id}: {criterion.rule} {setting(criterion.limit)}", criterion.limit)
        for criterion in document.criteria
        if criterion.statistic == statistic
    )[:2]
