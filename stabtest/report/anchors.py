"""Where on the page a finding's numbers and picture are, so that each verdict links to both."""

from __future__ import annotations

from collections.abc import Mapping

from stabtest.findings.document import Document
from stabtest.findings.records import WorstCaseRow
from stabtest.findings.verdicts import Finding
from stabtest.report import panels
from stabtest.report.panels import Group

SECTIONS = {
    "quality": "quality",
    "worst_case": "worst-case",
    "structure": "structure",
    "missed_lesion": "missed-lesion",
    "sampling": "sampling",
    "noise": "noise",
    "repeatability": "shift",
    "image_quality": "image-quality",
    "shift": "distribution-shift",
    "detectability": "detectability",
    "kernel": "kernel",
    "lipschitz": "lipschitz",
}
MOST_STRUCTURE_PANELS = 6
MOST_MISSED_PANELS = 4
MOST_SAMPLING_PANELS = 3
MOST_QUALITY_PANELS = 3
MOST_KERNEL_PANELS = 2


def section_of(finding: Finding) -> str | None:
    """Anchor of the section that holds a finding's numbers, by its test or the first word of its statistic."""
    for name in (finding.test, finding.statistic.partition(".")[0]):
        if name in SECTIONS:
            return SECTIONS[name]
    return None


def picture_of(document: Document, finding: Finding) -> str | None:
    """Anchor of the panel that shows a finding: that of its witness's case where it is shown, else the first of the section."""
    section = section_of(finding)
    if section is None or not was_run(document, section):
        return None
    shown = {
        "worst-case": worst_case_panels,
        "structure": structure_panels,
        "missed-lesion": missed_panels,
        "quality": quality_panels,
        "kernel": kernel_panels,
    }.get(section)
    if shown is not None:
        found = shown(document)
        row = witness_row(document, finding)
        for anchor, _, group in found:
            if row is not None and group.case == row.case:
                return anchor
        return found[0][0] if found else None
    if section == "sampling" and any(p.section == "sampling" and p.count is not None for p in document.pictures):
        return "panel-sampling-0"
    return None


def was_run(document: Document, section: str) -> bool:
    """Whether the document holds rows of the test of a section; without any the section shows nothing to link to."""
    if section == "quality":
        return bool(document.quality)
    if section == "image-quality":
        return document.image_quality is not None and bool(document.image_quality.transfer)
    if section == "missed-lesion":
        return document.missed_lesion is not None and bool(document.missed_lesion.rows)
    if section == "distribution-shift":
        return document.shift is not None and bool(document.shift.rows)
    if section == "detectability":
        return document.detectability is not None and bool(document.detectability.rows)
    if section == "kernel":
        return document.kernel is not None and bool(document.kernel.errors)
    if section == "lipschitz":
        return document.lipschitz is not None and bool(document.lipschitz.layers or document.lipschitz.brackets)
    part = {
        "worst-case": document.worst_case,
        "structure": document.structure,
        "sampling": document.sampling,
        "noise": document.noise,
        "shift": document.repeatability,
    }[section]
    return part is not None and bool(part.rows)


def witness_row(document: Document, finding: Finding) -> WorstCaseRow | None:
    """The row whose stored perturbation a finding names."""
    if finding.witness is None or document.worst_case is None:
        return None
    return next((row for row in document.worst_case.rows if row.witness == finding.witness), None)


def worst_case_panels(document: Document) -> list[tuple[str, str, Group]]:
    """(anchor, why it is shown, pictures) of the representative cases, by the damage to the method under test."""
    tested = {item.name for item in document.items if item.role == "under test"}
    rows = document.worst_case.rows if document.worst_case is not None else []
    damages: dict[tuple[str, float | None], float] = {}
    for row in rows:
        if row.method in tested and row.relative_change == row.relative_change:
            key = (row.case, row.radius)
            damages[key] = max(row.relative_change, damages.get(key, 0.0))
    chosen = panels.representative(
        panels.groups(document, "worst_case"), lambda group: damages.get((group.case, group.radius)), document.id
    )
    words = [why if why == "random case" else _rank(group, damages, why) for why, group in chosen]
    return [
        (f"panel-worst-case-{index}", why, group) for index, (why, (_, group)) in enumerate(zip(words, chosen, strict=True))
    ]


def _rank(group: Group, damages: Mapping[tuple[str, float | None], float], otherwise: str) -> str:
    """Where a case stands among all cases at its radius, not only among those with pictures."""
    own = damages.get((group.case, group.radius))
    every = [damage for (_, radius), damage in damages.items() if radius == group.radius]
    if own is None or len(every) < 2:
        return otherwise
    worse, equal = sum(damage > own for damage in every), every.count(own)
    if worse == 0:
        return "worst case"
    if worse + equal == len(every):
        return "mildest case"
    in_the_middle = worse <= len(every) // 2 < worse + equal
    return "median case" if in_the_middle else f"number {worse + 1} of {len(every)} by damage"


def structure_panels(document: Document) -> list[tuple[str, str, Group]]:
    """(anchor, detail, pictures) of the first details of each case in turn, one of each shape before a second one of any."""
    found = panels.groups(document, "structure")
    shapes = [(group.case, group.tag.rpartition("-c")[0].rpartition("d")[0]) for group in found]
    nth = [shapes[:index].count(shape) for index, shape in enumerate(shapes)]
    cases = [group.case for group in found]
    ordered = [found[i] for i in sorted(range(len(found)), key=lambda i: (cases.index(found[i].case), nth[i], i))]
    chosen = panels.in_turn(ordered, max(MOST_STRUCTURE_PANELS, len({shape for _, shape in shapes})))
    return [(f"panel-structure-{index}", group.title, group) for index, group in enumerate(chosen)]


def missed_panels(document: Document) -> list[tuple[str, str, Group]]:
    """(anchor, lesion, pictures): what was found for the method under test, the worst case first."""
    tested = [item.name for item in document.items if item.role == "under test"]
    rows = document.missed_lesion.rows if document.missed_lesion is not None else []
    least = {row.case: row.recovery for row in rows if row.method in tested and row.recovery is not None}
    found = [group for group in panels.groups(document, "missed_lesion") if any(_found_for(group, name) for name in tested)]
    found.sort(key=lambda group: least.get(group.case, float("inf")))
    return [(f"panel-missed-{index}", group.title, group) for index, group in enumerate(found[:MOST_MISSED_PANELS])]


def _found_for(group: Group, method: str) -> bool:
    """Whether a group shows the lesion that was found for a method: its own pictures stand first, those of the reference after."""
    return next((picture.method for picture in group.pictures if picture.method != panels.SHARED), None) == method


def quality_panels(document: Document) -> list[tuple[str, str, Group]]:
    """(anchor, "", pictures) of the first cases."""
    chosen = panels.in_turn(panels.groups(document, "quality"), MOST_QUALITY_PANELS)
    return [(f"panel-quality-{index}", "", group) for index, group in enumerate(chosen)]


def kernel_panels(document: Document) -> list[tuple[str, str, Group]]:
    """(anchor, "", pictures) of the null space in the first cases."""
    chosen = panels.in_turn(panels.groups(document, "kernel"), MOST_KERNEL_PANELS)
    return [(f"panel-kernel-{index}", "", group) for index, group in enumerate(chosen)]
