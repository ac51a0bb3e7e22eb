"""The bracket: what the worst perturbation of a size does, between what was found and what is guaranteed.

For the perturbation ``e`` that was found and the clean image ``f(y)``, a Lipschitz constant of at most ``U`` from measurement to image
gives

    ||f(y + e') - f(y)|| / ||f(y)|| <= U ||e|| / ||f(y)||    for every ||e'|| <= ||e||,

and ``||e|| / ||f(y)||`` is the relative change found over the gain found, both of which are in the document. A certified or probabilistic bound holds
for all measurements; one *on a ball* from the measurement of its own case, up to its radius. Where only some cases have a bound, all
markers are of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stabtest.findings.document import Document, WorstCaseSection
from stabtest.findings.records import Bracket, WorstCaseRow
from stabtest.findings.sizes import axis_of
from stabtest.report import tables
from stabtest.report.blocks import Figure, Table
from stabtest.report.charts import Band, Plot, Series, Whisker, draw
from stabtest.report.methods import tone, under_test
from stabtest.report.numbers import many
from stabtest.report.text import shorten

TABLE = "worst-case-bracket-table"


@dataclass(frozen=True)
class Step:
    """Everything at one radius, over the cases that are drawn."""

    radius: float
    cases: int
    found: float | None
    noise: float | None
    noise_most: float | None
    reference: float | None
    guaranteed: float | None
    status: str


def steps(document: Document, section: WorstCaseSection) -> tuple[list[Step], list[str]]:
    """The bracket at every radius, radii ascending, and the cases that are drawn."""
    tested = next(iter(under_test(document)), None)
    reference = next((item.name for item in document.items if item.role == "reference"), None)
    mine = [row for row in section.rows if row.method == tested]
    bounded = {row.case for row in mine if _guaranteed(document, section, row) is not None}
    cases = [case for case in dict.fromkeys(row.case for row in mine) if case in bounded or not bounded]
    made: list[Step] = []
    for radius in sorted({row.radius for row in mine if not math.isnan(row.radius)}):
        rows = [row for row in mine if row.radius == radius and row.case in cases]
        other = [r for r in section.rows if r.method == reference and r.radius == radius and r.case in cases]
        bounds = [_guaranteed(document, section, row) for row in rows]
        there = [bound for bound in bounds if bound is not None]
        whole = bool(rows) and len(there) == len(rows)
        made.append(
            Step(
                radius,
                len(rows),
                tables.largest(row.relative_change for row in rows),
                tables.median(row.noise_change_median for row in rows),
                tables.largest(row.noise_change_max for row in rows),
                tables.largest(row.relative_change for row in other),
                max(value for value, _ in there) if whole else None,
                ", ".join(dict.fromkeys(status for _, status in there)) if whole else "none",
            )
        )
    return made, cases


def bracket(document: Document, section: WorstCaseSection) -> tuple[Figure, Table] | None:
    """The plot and its table; ``None`` without rows of a method under test."""
    made, cases = steps(document, section)
    if not made:
        return None
    tested = under_test(document)[0]
    reference = next((item.name for item in document.items if item.role == "reference"), None)
    x = tuple(step.radius for step in made)
    own = tone(document, tested)
    lines = [Series(f"{tested}: found, at least this", x, tuple(step.found for step in made), own, "up")]
    if reference is not None:
        values = tuple(step.reference for step in made)
        lines.append(Series(f"{reference} (reference): found", x, values, tone(document, reference), "up", dashed=True))
    lines.append(Series("Gaussian noise of the same norm, median", x, tuple(step.noise for step in made), 4, "none"))
    noise = Band("Gaussian noise, median to largest", x, tuple(s.noise for s in made), tuple(s.noise_most for s in made), 4)
    guaranteed = tuple(step.guaranteed for step in made)
    whiskers: tuple[Whisker, ...] = ()
    if any(value is not None for value in guaranteed):
        lines.insert(0, Series(f"{tested}: guaranteed, at most this", x, guaranteed, own, "down", line=False))
        whiskers = (Whisker(x, tuple(step.found for step in made), guaranteed),)
    log = len(x) > 1 and x[0] > 0 and x[-1] / x[0] >= 8
    label = axis_of(section.unit, section.domain, section.norm)
    drawing = draw(
        Plot(
            "Bracket of the worst case",
            label,
            "relative change",
            tuple(lines),
            (noise,),
            (),
            log,
            True,
            True,
            x,
            whiskers=whiskers,
        )
    )
    note = f"{many(drawing.left_out, 'value')} without a place on these axes: see the table." if drawing.left_out else None
    return Figure("figure-bracket", _caption(made, cases, section, tested), drawing.svg, TABLE, note), _table(made, reference)


def _caption(made: Sequence[Step], cases: Sequence[str], section: WorstCaseSection, tested: str) -> str:
    words = "The true worst case lies between what was found (markers up) and what is guaranteed (markers down)"
    if all(step.guaranteed is None for step in made):
        return (
            "What was found is a lower bound of the true worst case; no finite guaranteed bound is there to close the bracket"
        )
    every = {row.case for row in section.rows if row.method == tested}
    if len(cases) < len(every):
        named = ", ".join(shorten(case, 30) for case in cases[:3]) + (", …" if len(cases) > 3 else "")
        words += f", of {len(cases)} of {many(len(every), 'case')}: {named}, for which a bound holds"
    if any("probabilistic" in step.status for step in made):
        words += ". The bound holds with high probability"
    return words


def _table(made: Sequence[Step], reference: str | None) -> Table:
    body = tables.rows(
        tables.settings([step.radius for step in made]),
        tables.counts([step.cases for step in made]),
        tables.measured([step.noise for step in made]),
        tables.measured([step.noise_most for step in made]),
        tables.measured([step.reference for step in made]),
        tables.measured([step.found for step in made]),
        tables.measured([step.guaranteed for step in made], bound=True),
        tables.words(step.status for step in made),
        tables.measured([tables.ratio(step.guaranteed, step.found) for step in made]),
    )
    heads = (
        "Radius",
        "Cases",
        "Noise, median",
        "Noise, largest",
        f"Reference {shorten(reference, 20)}, found" if reference else "Reference",
        "Found",
        "Guaranteed",
        "Status of the bound",
        "Guaranteed over found",
    )
    note = (
        "Relative change of the image; found and guaranteed are the largest over the cases. Guaranteed: for every perturbation of at most the "
        "norm of the one found."
    )
    numeric = (True, True, True, True, True, True, True, False, True)
    return Table(TABLE, "Bracket of the worst case, by radius", heads, body, note=note, numeric=numeric)


def _guaranteed(document: Document, section: WorstCaseSection, row: WorstCaseRow) -> tuple[float, str] | None:
    """The smallest guaranteed change in a case at a radius, with the status of the bound."""
    size = tables.ratio(row.relative_change, row.gain)  # ||e|| / ||f(y)||
    brackets = document.lipschitz.brackets if document.lipschitz is not None else []
    if size is None or not math.isfinite(size):
        return None
    found = [
        (each.upper * size, each.upper_status)
        for each in brackets
        if each.upper is not None and math.isfinite(each.upper * size) and _holds(each, section, row)
    ]
    return min(found, default=None)


def _holds(bound: Bracket, section: WorstCaseSection, row: WorstCaseRow) -> bool:
    """Whether a bound is from measurement to image and holds in a case at a radius."""
    if "measurement" not in bound.name.lower():
        return False
    if bound.upper_status != "on a ball":
        return bound.upper_status in ("certified", "probabilistic")
    relative = (section.unit, section.norm, section.domain) == ("relative", "l2", "measurement")
    reaches = bound.radius is None or (relative and row.radius <= bound.radius)
    return bound.case == row.case and reaches
