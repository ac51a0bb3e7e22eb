"""Section 8: the worst case found, over a curve of radii, beside Gaussian noise, the reference method and the guaranteed bound."""

from __future__ import annotations

from stabtest.findings.document import Document, WorstCaseSection
from stabtest.findings.sizes import axis_of
from stabtest.report import panels, tables
from stabtest.report.anchors import worst_case_panels
from stabtest.report.blocks import Block, Facts, FigureRow, Heading, Paragraph, Section, Table
from stabtest.report.methods import method_order
from stabtest.report.numbers import many, number, setting
from stabtest.report.sections.worst_case_bracket import bracket
from stabtest.report.sections.worst_case_budget import budget
from stabtest.report.sections.worst_case_curves import Curve, curves, figures
from stabtest.report.sections.worst_case_solver import solvers
from stabtest.report.text import shorten

TITLE = "Worst case"
_ROLES = ("truth", "clean", "perturbed", "perturbation", "difference")


def worst_case(document: Document) -> Section:
    """Curves, panels of the representative cases, budget and convergence, and every row."""
    section = document.worst_case
    if section is None or not section.rows:
        absent = Paragraph("Not run: no search for worst-case perturbations was made.", "absent")
        return Section(8, "worst-case", TITLE, (absent,), "not run")
    found = curves(document, section)
    blocks: list[Block] = [
        Paragraph(
            "A search looks for the admissible perturbation that changes the image most. What it found is a lower bound of the "
            "true worst case (markers pointing up). Gaussian noise of the same norm, under the same method, shows what chance "
            "does; the reference method went through the same search with the same budget.",
            "method",
        ),
        Facts(
            (
                ("Perturbed", tables.text(_set(section))),
                ("Objective", tables.text(section.objective)),
                (
                    _capital(axis_of(section.unit, section.domain, section.norm)),
                    tables.text(", ".join(setting(radius) for radius in section.radii)),
                ),
                ("Budget", tables.text(section.budget)),
            )
        ),
        Heading("worst-case-curves", "Damage against radius"),
        *_curves(document, section, found),
        Heading("worst-case-pictures", "Pictures"),
    ]
    blocks += _panels(document, section)
    blocks += [
        Heading("budget", "Budget and convergence"),
        *budget(document, found),
        *solvers(section),
        _rows(document, section),
    ]
    return Section(8, "worst-case", TITLE, tuple(blocks), "run")


def _curves(document: Document, section: WorstCaseSection, found: list[Curve]) -> list[Block]:
    """The bracket first, then one plot a kind of damage, then their tables."""
    between = bracket(document, section)
    plots = figures(document, section, found)
    if between is None:
        return [FigureRow(plots), _by_radius(found)]
    return [FigureRow((between[0], *plots)), between[1], _by_radius(found)]


def _set(section: WorstCaseSection) -> str:
    """What may be perturbed, and how."""
    words = "the measurement" if section.domain == "measurement" else "the object, in the image domain"
    if section.norm == "linf":
        words += ", every " + ("sample" if section.domain == "measurement" else "pixel") + " by at most the radius"
    words += "" if section.region is None else f"; only {section.region}"
    return words + ("; the perturbed measurement stays non-negative" if section.nonnegative else "")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _by_radius(found: list[Curve]) -> Table:
    points = [point for curve in found for point in curve.points]
    body = tables.rows(
        tables.words(point.method for point in points),
        tables.settings([point.radius for point in points]),
        tables.counts([len(point.rows) for point in points]),
        tables.measured([tables.largest(r.relative_change for r in p.rows) for p in points]),
        tables.measured([tables.median(r.relative_change for r in p.rows) for p in points]),
        tables.measured([tables.median(r.noise_change_median for r in p.rows) for p in points]),
        tables.measured([tables.largest(r.noise_change_max for r in p.rows) for p in points]),
        tables.measured(
            [tables.median(tables.ratio(r.relative_change, r.noise_change_median) for r in p.rows) for p in points]
        ),
        tables.measured([tables.median(r.clean_error for r in p.rows) for p in points]),
        tables.measured([tables.largest(r.relative_error for r in p.rows) for p in points]),
        tables.measured([tables.largest(r.local_damage for r in p.rows) for p in points]),
        tables.measured([tables.largest(r.gain for r in p.rows) for p in points]),
    )
    heads = (
        "Method",
        "Radius",
        "Cases",
        "Change found, largest",
        "Change found, median",
        "Change by noise, median",
        "Change by noise, largest",
        "Found over noise, median",
        "Clean error, median",
        "Error found, largest",
        "Local damage, largest",
        "Gain found, largest",
    )
    note = "Largest and median are over cases. Change, error and damage are relative (see the glossary)."
    return Table("worst-case-by-radius", "Damage by method and radius", heads, body, note=note, numeric=(False, *[True] * 11))


def _panels(document: Document, section: WorstCaseSection) -> list[Block]:
    shown = worst_case_panels(document)
    if not shown:
        return [Paragraph("The document holds no pictures of this test.", "absent")]
    cases = len({row.case for row in section.rows})
    chosen = (
        f"the document holds pictures of {len(shown)} at the largest radius, which are shown, the most damaged first: the worst, the median and one "
        "drawn by the hash of the audit, or as many of them as there are."
    )
    if any(why == "random case" for _, why, _ in shown):
        chosen = (
            "those with pictures at the largest radius are ranked by the damage to the item under test, and the worst, the median "
            "and a random one are shown (drawn by the hash of the document's id)."
        )
    blocks: list[Block] = [Paragraph(f"Of {many(cases, 'case')}, {chosen} Windows are the same for all methods.", "note")]
    for anchor, why, group in shown:

        def notes(method: str, group: panels.Group = group) -> tuple[str, ...]:
            return _notes(section, method, group)

        at = f", radius {setting(group.radius)}" if group.radius is not None else ""
        caption = f"{why.capitalize()}: {shorten(group.case, 80)}{at}"
        blocks.append(panels.panel(document, group, _ROLES, anchor=anchor, caption=caption, notes=notes))
    return blocks


def _notes(section: WorstCaseSection, method: str, group: panels.Group) -> tuple[str, ...]:
    for row in section.rows:
        if row.method == method and row.case == group.case and row.radius == group.radius:
            lines = [f"change {number(row.relative_change)}", f"by noise {number(row.noise_change_median)}"]
            if row.relative_error is not None:
                lines += [f"error {number(row.relative_error)}", f"clean error {number(row.clean_error)}"]
            return tuple(lines)
    return ()


def _rows(document: Document, section: WorstCaseSection) -> Table:
    order = method_order(document, [row.method for row in section.rows])
    rows = sorted(section.rows, key=lambda row: order.index(row.method))
    body = tables.rows(
        tables.words(r.method for r in rows),
        tables.words(r.case for r in rows),
        tables.settings([r.radius for r in rows]),
        tables.measured([r.radius_absolute for r in rows]),
        tables.measured([r.relative_change for r in rows]),
        tables.measured([r.noise_change_median for r in rows]),
        tables.measured([r.noise_change_max for r in rows]),
        tables.counts([r.noise_draws for r in rows]),
        tables.measured([r.clean_error for r in rows]),
        tables.measured([r.relative_error for r in rows]),
        tables.measured([r.local_damage for r in rows]),
        tables.measured([r.gain for r in rows]),
        tables.measured([r.violation for r in rows]),
        tables.counts([r.evaluations for r in rows]),
        tables.counts([r.queries for r in rows]),
        tables.words(r.status for r in rows),
        tables.words(r.gradient or "not available" for r in rows),
        tables.words(r.differentiation or "–" for r in rows),
        tables.measured([r.spread for r in rows]),
        [tables.text(r.witness or "not stored", code=r.witness is not None) for r in rows],
    )
    heads = (
        "Method",
        "Case",
        "Radius",
        "Radius, absolute",
        "Change found",
        "Change by noise, median",
        "Change by noise, largest",
        "Noise draws",
        "Clean error",
        "Error found",
        "Local damage",
        "Gain",
        "Violation",
        "Evaluations",
        "Of them without a gradient",
        "Search",
        "Gradient",
        "Found along",
        "Spread",
        "Witness",
    )
    return Table(
        "worst-case-rows",
        "Worst case, every case and radius",
        heads,
        body,
        folded=len(rows) > 6,
        numeric=(False, False, *[True] * 13, False, False, False, True, False),
    )
