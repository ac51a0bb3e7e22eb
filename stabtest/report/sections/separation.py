"""Section 5: whether the cases were kept apart from those that the network was trained on."""

from __future__ import annotations

from stabtest.findings.document import Separation
from stabtest.report import tables
from stabtest.report.blocks import Block, Cell, Paragraph, Table
from stabtest.report.numbers import count

NAMED = 10
"""So many shared cases are named; the document holds all."""


def separation_facts(found: Separation | None) -> tuple[tuple[str, Cell], ...]:
    """The lines of the table of facts: what was compared and what the user says."""
    if found is None:
        return (
            ("Separation from training data", tables.text("not recorded in this document; see the notes and the model card")),
        )
    shared = sum(len(check.shared) for check in found.checks)
    if not any(check.audited for check in found.checks):
        state = "not checked: the configuration does not say what the network was trained on in a way that can be compared ([training])"
    elif shared:
        state = f"NOT SEPARATE: {count(shared)} found in the training too"
    else:
        state = "no overlap found by the comparisons below"
    return (
        ("Separation from training data", tables.text(state)),
        ("Split, as the user states it", tables.text(found.statement or "not stated")),
    )


def separation_blocks(found: Separation | None) -> tuple[Block, ...]:
    """The comparisons, and what they cannot see."""
    if found is None or not found.checks:
        return ()
    checks = found.checks
    body = tables.rows(
        tables.words(check.what for check in checks),
        tables.settings([check.audited for check in checks]),
        tables.settings([check.training for check in checks]),
        tables.settings([len(check.shared) for check in checks]),
        tables.words(_names(check.shared) for check in checks),
    )
    heads = ("Compared", "In this audit", "In the training", "In both", "Which")
    return (
        Table("separation-table", "Separation from the training", heads, body, numeric=(False, True, True, True, False)),
        Paragraph(
            "Files are the same when their bytes are; the same image in another file, another slice of the same patient under another name and "
            "data that the list of the training leaves out are not seen. A case that was in the training makes the findings of the network INVALID.",
            "method",
        ),
    )


def _names(shared: list[str]) -> str:
    more = f" and {count(len(shared) - NAMED)} more" if len(shared) > NAMED else ""
    return ", ".join(shared[:NAMED]) + more if shared else "none"
