"""Section 14: each subgroup of the cases by itself.

A mean over all patients can hide that a network does poorly for some of them (scanner, age, body size: R. Larrazabal et al., PNAS 117 (2020)). Each
subgroup that the user names has its own row. Nothing is tested for a difference: with few patients in each none would be found, and the numbers of
patients stand beside the figures.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from stabtest.findings.document import Document
from stabtest.report import tables
from stabtest.report.blocks import Block, Heading, Paragraph, Table
from stabtest.report.methods import method_order


def subgroup_blocks(document: Document) -> tuple[Block, ...]:
    """The table of subgroups, or that there are none."""
    heading = Heading("subgroups", "Subgroups")
    groups: dict[str, list[str]] = {}
    for case in document.data.cases:
        if case.group is not None:
            groups.setdefault(case.group, []).append(case.name)
    if not groups:
        words = "No subgroups: the configuration names none ([data] groups), and nothing is claimed of any."
        return heading, Paragraph(words, "absent")
    methods = method_order(document, [row.method for row in document.quality])
    keys = [(group, method) for group in sorted(groups) for method in methods]
    patient = {case.name: case.patient for case in document.data.cases}

    def each(values: Iterable[tuple[str, str, float | None]]) -> list[list[float]]:
        """The values of each row of the table, one a patient: the mean over its images."""
        known = [(case, method, value) for case, method, value in values if value is not None]
        return [
            _by_patient((patient[case], value) for case, of, value in known if of == method and case in groups[group])
            for group, method in keys
        ]

    psnr = each((row.case, row.method, row.psnr) for row in document.quality)
    ends = document.worst_case.rows if document.worst_case is not None else []
    largest = max((row.radius for row in ends), default=None)
    change = each((row.case, row.method, row.relative_change) for row in ends if row.radius == largest)
    details = document.structure.rows if document.structure is not None else []
    recovery = each((row.case, row.method, row.recovery) for row in details if row.identifiable)
    numbers = [len({patient[case] for case in groups[group]}) for group, _ in keys]
    body = tables.rows(
        tables.words(group for group, _ in keys),
        tables.words(method for _, method in keys),
        tables.settings(numbers),
        tables.measured(_reduced(psnr, statistics.fmean)),
        tables.measured(_reduced(change, statistics.median)),
        tables.measured(_reduced(change, max)),
        tables.measured(_reduced(recovery, statistics.fmean)),
    )
    at = "" if largest is None else f" at radius {largest:g}"
    heads = (
        "Subgroup",
        "Method",
        "Patients",
        "PSNR (dB), mean",
        f"Worst case found{at}, median",
        f"Worst case found{at}, largest",
        "Recovery of details, mean",
    )
    note = "Each patient counts once, with the mean over its images. Differences between subgroups are shown and not tested."
    return heading, Table(
        "subgroups-table", "Subgroups", heads, body, note=note, numeric=(False, False, True, True, True, True, True)
    )


def has_groups(document: Document) -> bool:
    """Whether the configuration names any."""
    return any(case.group is not None for case in document.data.cases)


def _by_patient(values: Iterable[tuple[str, float]]) -> list[float]:
    found: dict[str, list[float]] = {}
    for patient, value in values:
        found.setdefault(patient, []).append(value)
    return [statistics.fmean(each) for each in found.values()]


def _reduced(rows: Sequence[Sequence[float]], reduce: Callable[[Sequence[float]], float]) -> list[float | None]:
    return [reduce(values) if values else None for values in rows]
