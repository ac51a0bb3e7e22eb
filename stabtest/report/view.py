"""Document -> page: the sections in their fixed order and numbering.

The order follows that of a non-clinical bench test report (objective, sample, method, criteria, results, deviations,
conclusions); a section keeps its number whether or not its test was run, and says which.
"""

from __future__ import annotations

from stabtest.findings.document import Document
from stabtest.report.blocks import Page, Section
from stabtest.report.numbers import many
from stabtest.report.sections import (
    back,
    front,
    item,
    lipschitz,
    noise,
    null_space,
    protocol,
    quality,
    repeatability,
    sampling,
    structure,
    worst_case,
)
from stabtest.report.wording import STATEMENT

_SECTIONS = (
    front.control,
    front.summary,
    item.items,
    protocol.hazards,
    protocol.criteria,
    protocol.data,
    protocol.forward_model,
    quality.quality,
    worst_case.worst_case,
    structure.structure,
    sampling.sampling,
    noise.noise,
    lipschitz.lipschitz,
    null_space.null_space,
    repeatability.shift,
    back.deviations,
    back.limitations,
    protocol.conclusions,
    back.reproduction,
    back.closing,
)


def build(document: Document) -> Page:
    """The view model of a document."""
    sections: tuple[Section, ...] = tuple(make(document) for make in _SECTIONS)
    tested = ", ".join(item.name for item in document.items if item.role == "under test") or "none named"
    modality = {"mri": "MRI", "ct": "CT", "other": "other"}[document.modality]
    cases = document.data.cases
    lines = (
        ("Item under test", tested),
        ("Modality", modality),
        (
            "Images",
            f"{len(cases)} from {many(len({case.patient for case in cases}), 'patient or object', 'patients or objects')}",
        ),
        ("Created", document.created),
        ("Document", document.id),
    )
    if document.deviations:
        lines = (*lines, ("Deviations", f"{many(len(document.deviations), 'entry', 'entries')} in section 15"))
    status = "Draft" if document.draft else "Final"
    return Page(document.title.strip() or "Untitled audit", STATEMENT, status, lines, sections)
