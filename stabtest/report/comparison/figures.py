"""Curves of several audits on one pair of axes, and accuracy beside damage.

Radii of different sets cannot be compared: audits share a plot only where modality, domain, unit, norm, region and objective of the worst-case
search agree. Where there are several such groups, or more audits than a plot can hold, all plots of a kind have the same scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stabtest.findings.document import WorstCaseSection
from stabtest.findings.sizes import axis_of
from stabtest.report import tables
from stabtest.report.blocks import Figure, Table
from stabtest.report.brackets import BracketRow, draw_brackets
from stabtest.report.charts import Plot, Series, draw
from stabtest.report.comparison.audits import Audit
from stabtest.report.numbers import many, setting
from stabtest.report.sections.worst_case_curves import Point, curves

TABLE = "damage-table"
_MOST = 6
"""Audits in one plot: as many as there are colours."""


@dataclass(frozen=True)
class Group:
    """Audits whose radii mean the same."""

    label: str
    axis: str
    audits: tuple[tuple[int, Audit, WorstCaseSection], ...]
    """(place among all audits, audit, its worst cases)."""


def groups(audits: Sequence[Audit]) -> list[Group]:
    """The audits with a worst-case search, by what their radii are radii of; at most `_MOST` in each."""
    found: dict[tuple[str, ...], list[tuple[int, Audit, WorstCaseSection]]] = {}
    for place, audit in enumerate(audits):
        part = audit.document.worst_case
        if part is not None and part.rows:
            extra = (part.region or "everywhere", "non-negative" if part.nonnegative else "any sign")
            key = (audit.document.modality, part.domain, part.unit, part.norm, *extra, part.objective)
            found.setdefault(key, []).append((place, audit, part))
    made: list[Group] = []
    for key, members in found.items():
        words = {"mri": "MRI", "ct": "CT", "other": "other modality"}[key[0]]
        words += "" if key[4] == "everywhere" else f", {key[4]}"
        part = members[0][2]
        label = axis_of(part.unit, part.domain, part.norm)
        made += [Group(words, label, tuple(members[start : start + _MOST])) for start in range(0, len(members), _MOST)]
    return made


def points(group: Group) -> list[tuple[int, Audit, str, Point]]:
    """(place, audit, role, rows of one radius) of the item under test and the reference of every audit of a group."""
    found: list[tuple[int, Audit, str, Point]] = []
    for place, audit, section in group.audits:
        roles = {audit.tested: "under test", audit.reference: "reference"}
        for curve in curves(audit.document, section):
            if curve.method in roles:
                found += [(place, audit, roles[curve.method], point) for point in curve.points]
    return found


def figures(audits: Sequence[Audit]) -> tuple[Figure, ...]:
    """Change against radius and change against clean error for every group, and the brackets of all."""
    found = groups(audits)
    every = [(group, points(group)) for group in found]
    change = [_change(group, there) for group, there in every]
    beside = [_beside(group, there) for group, there in every]
    drawn = [_figure(plot, f"change-{index}") for index, plot in enumerate(_same_scales(change))]
    drawn += [_figure(plot, f"accuracy-{index}") for index, plot in enumerate(_same_scales(beside))]
    return tuple(drawn)


def brackets(audits: Sequence[Audit]) -> Figure | None:
    """The largest bracket from measurement to image of every audit that has one."""
    rows: list[BracketRow] = []
    for audit in audits:
        part = audit.document.lipschitz
        found = [b for b in part.brackets if "measurement" in b.name.lower()] if part is not None else []
        if found:
            top = max(found, key=lambda bracket: bracket.lower)
            rows.append(BracketRow(f"{audit.name}, {top.upper_status}", top.lower, top.upper, top.upper_status))
    if not rows:
        return None
    drawing = draw_brackets(tuple(rows))
    caption = "Gain from measurement to image: found from below, bounded from above, with the status of the bound"
    note = f"{many(drawing.left_out, 'value')} not drawn." if drawing.left_out else None
    return Figure("figure-brackets", caption, drawing.svg, "comparison-table", note)


def damage_table(audits: Sequence[Audit]) -> Table:
    """The numbers of the plots."""
    every = [entry for group in groups(audits) for entry in points(group)]
    rows = [point.rows for *_, point in every]
    body = tables.rows(
        tables.words(audit.name for _, audit, _, _ in every),
        tables.words(point.method for *_, point in every),
        tables.words(role for _, _, role, _ in every),
        tables.settings([point.radius for *_, point in every]),
        tables.counts([len(there) for there in rows]),
        tables.measured([tables.median(row.clean_error for row in there) for there in rows]),
        tables.measured([tables.median(row.relative_change for row in there) for there in rows]),
        tables.measured([tables.largest(row.relative_change for row in there) for there in rows]),
        tables.measured([tables.median(row.noise_change_median for row in there) for there in rows]),
        tables.measured([tables.largest(row.local_damage for row in there) for there in rows]),
        tables.measured([tables.largest(row.gain for row in there) for there in rows]),
    )
    heads = (
        "Audit",
        "Method",
        "Role",
        "Radius",
        "Cases",
        "Clean error, median",
        "Change found, median",
        "Change found, largest",
        "Change by noise, median",
        "Local damage, largest",
        "Gain found, largest",
    )
    return Table(
        TABLE,
        "Worst case of every audit, by radius",
        heads,
        body,
        folded=len(body) > 24,
        empty="No audit searched for worst cases.",
        note="Median and largest are over the cases of one audit. A radius means what the axis of its plot says.",
        numeric=(False, False, False, *[True] * 8),
    )


def _change(group: Group, there: Sequence[tuple[int, Audit, str, Point]]) -> Plot:
    lines: list[Series] = []
    for place, audit, _ in group.audits:
        for role in ("under test", "reference"):
            own = [point for at, _, as_what, point in there if at == place and as_what == role]
            x = tuple(point.radius for point in own)
            y = tuple(tables.largest(row.relative_change for row in point.rows) for point in own)
            name = audit.name if role == "under test" else f"{audit.reference}, reference of {audit.name}"
            if own:
                lines.append(Series(f"{name}: found", x, y, place, "up", dashed=role == "reference"))
    radii = [x for line in lines for x in line.x]
    log = min(radii) > 0 and max(radii) / min(radii) >= 8
    title = f"{group.label}: change of the image, largest found over cases"
    ticks = tuple(sorted(set(radii))) if len(set(radii)) <= 8 else ()
    return Plot(title, group.axis, "relative change", tuple(lines), log_x=log, log_y=True, x_ticks=ticks)


def _beside(group: Group, there: Sequence[tuple[int, Audit, str, Point]]) -> Plot:
    radius = _common_radius(there)
    dots: list[Series] = []
    for place, audit, role, point in there:
        if point.radius != radius:
            continue
        x = tables.median(row.clean_error for row in point.rows)
        y = tables.median(row.relative_change for row in point.rows)
        name = audit.name if role == "under test" else f"{audit.reference}, reference of {audit.name}"
        if x is not None:
            dots.append(Series(name, (x,), (y,), place, "circle", dashed=role == "reference", line=False))
    at = "no radius that all have" if radius is None else f"radius {setting(radius)}"
    title = f"{group.label}: change found beside the error on the clean measurement, medians over cases, {at}"
    return Plot(title, "relative error without perturbation", "relative change", tuple(dots), log_x=True, log_y=True)


def _common_radius(there: Sequence[tuple[int, Audit, str, Point]]) -> float | None:
    """The largest radius that every audit has."""
    radii = [{point.radius for at, *_, point in there if at == place} for place in {at for at, *_ in there}]
    shared = set.intersection(*radii) if radii else set[float]()
    return max(shared, default=None)


def _same_scales(plots: Sequence[Plot]) -> list[Plot]:
    """The plots with room for everything that is drawn in any of them, and logarithmic where one is."""
    if len(plots) < 2:
        return list(plots)
    xs = tuple(x for plot in plots for line in plot.series for x in line.x)
    ys = tuple(y for plot in plots for line in plot.series for y in line.y if y is not None)
    log = any(plot.log_x for plot in plots)
    ticks = tuple(sorted(set(xs))) if all(plot.x_ticks for plot in plots) else ()
    return [
        Plot(p.title, p.x_label, p.y_label, p.series, log_x=log, log_y=True, x_ticks=ticks, also_x=xs, also_y=ys) for p in plots
    ]


def _figure(plot: Plot, anchor: str) -> Figure:
    drawing = draw(plot)
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    return Figure(f"figure-{anchor}", plot.title, drawing.svg, TABLE, note)
