"""Section 13: what appeared outside of the details that were put in, and what was made up where the scanner sees nothing."""

from __future__ import annotations

from stabtest.findings.document import Document
from stabtest.report import tables
from stabtest.report.anchors import was_run
from stabtest.report.blocks import Paragraph, Section, Table
from stabtest.report.sections.kernel import kernel
from stabtest.report.sections.structure import HEADS, NUMERIC, groups_of, names


def null_space(document: Document) -> Section:
    """What the scanner cannot see, and what was made up."""
    title = "Null space and hallucination"
    section, blind = document.structure, kernel(document)
    if section is None or not section.rows:
        absent = Paragraph("No structural details (section 9), whose part in the null space would stand here.", "absent")
        return Section(13, "null-space", title, (absent, *blind), "run" if was_run(document, "kernel") else "not run")
    groups = groups_of(document, section.rows)
    keys = list(groups)
    body = tables.rows(
        *names(keys),
        tables.measured([tables.median(r.null_space_share for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.outside_energy for r in groups[k]) for k in keys]),
        tables.measured([tables.largest(r.outside_energy for r in groups[k]) for k in keys]),
        tables.measured([tables.median(r.sham_recovery for r in groups[k]) for k in keys]),
    )
    heads = (
        *HEADS,
        "Null-space share, median",
        "Energy outside, median",
        "Energy outside, largest",
        "Sham recovery, median",
    )
    note = "Energy outside: energy of the change outside the region of the detail, over the energy of the detail."
    table = Table("null-space-table", "Null space and hallucination", heads, body, note=note, numeric=NUMERIC[:4] + (True,) * 4)
    about = Paragraph(
        "What appears outside the detail was not in the object. The null-space share is the part of the detail that the measurement "
        "does not contain; whatever a method shows of it comes from its training or its prior.",
        "method",
    )
    return Section(13, "null-space", title, (about, table, *blind), "run")
