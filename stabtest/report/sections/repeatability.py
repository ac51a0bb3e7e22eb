"""Section 14: distribution shift, subgroups, repeatability."""

from __future__ import annotations

from stabtest.findings.document import Document
from stabtest.report import tables
from stabtest.report.blocks import Block, Heading, Paragraph, Section, Table
from stabtest.report.methods import method_order
from stabtest.report.sections.shift import shift_blocks
from stabtest.report.sections.subgroups import has_groups, subgroup_blocks

_TITLE = "Shift, subgroups, repeatability"


def shift(document: Document) -> Section:
    """Object and scan not quite as they should be; the same measurement again under conditions that should not matter."""
    shifted = shift_blocks(document)
    groups = subgroup_blocks(document)
    section = document.repeatability
    state = "run" if has_groups(document) or (document.shift is not None and document.shift.rows) else "not run"
    heading = Heading("repeatability", "Repeatability")
    if section is None or not section.rows:
        words = Paragraph("Not run: repeatability was not tried.", "absent")
        return Section(14, "shift", _TITLE, (*shifted, *groups, heading, words), state)
    order = method_order(document, [row.method for row in section.rows])
    rows = sorted(section.rows, key=lambda row: order.index(row.method))
    body = tables.rows(
        tables.words(row.method for row in rows),
        tables.words(row.case for row in rows),
        tables.words(row.variation for row in rows),
        tables.measured([row.difference for row in rows], digits=2),
        tables.measured([row.largest for row in rows], digits=2),
        tables.words(row.note for row in rows),
    )
    heads = ("Method", "Case", "What was varied", "Change of the image", "Largest pixel", "Note")
    note = (
        "Change: relative to the norm of the image. Largest pixel: relative to the largest pixel. Rounding in single precision gives "
        "some 1e-7 to 1e-5."
    )
    blocks: list[Block] = [
        *shifted,
        *groups,
        heading,
        Paragraph(
            "One measurement is reconstructed again under conditions that should not matter: the same call, other measurements beside it in a "
            "batch, another seed of the random numbers, another number of threads, double precision, another device.",
            "method",
        ),
        Table("repeatability-rows", "Repeatability", heads, body, note=note, numeric=(False, False, False, True, True, False)),
    ]
    return Section(14, "shift", _TITLE, tuple(blocks), "run")
