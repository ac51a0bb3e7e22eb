"""Section 14: subgroups, each by itself; section 5: separation from the training."""

from __future__ import annotations

import statistics

import pytest

from stabtest.findings.document import Separation, SeparationCheck
from stabtest.report.blocks import Paragraph, Table
from stabtest.report.sections.protocol import data
from stabtest.report.sections.subgroups import subgroup_blocks
from tests.report.factory import full


@pytest.fixture
def grouped():
    """Four cases of three patients in two groups."""
    document = full()
    groups, patients = ("old", "young", "old", "young"), ("A", "B", "A", "C")
    cases = [
        case.model_copy(update={"group": group, "patient": patient})
        for case, group, patient in zip(document.data.cases, groups, patients, strict=True)
    ]
    return document.model_copy(update={"data": document.data.model_copy(update={"cases": cases})})


def table_of(document):
    return next(block for block in subgroup_blocks(document) if isinstance(block, Table))


def test_without_subgroups_nothing_is_claimed():
    blocks = subgroup_blocks(full())
    assert not any(isinstance(block, Table) for block in blocks)
    assert any(isinstance(block, Paragraph) and "nothing is claimed" in block.text for block in blocks)


def test_each_group_and_method_has_a_row_with_its_patients(grouped):
    rows = {(row[0].text, row[1].text): row for row in table_of(grouped).rows}
    methods = {row.method for row in grouped.quality}
    assert set(rows) == {(group, method) for group in ("old", "young") for method in methods}
    assert all(rows["old", method][2].text == "1" and rows["young", method][2].text == "2" for method in methods)


def test_a_patient_counts_once_however_many_images_it_has(grouped):
    """Patient A has two images in the group of the old: their mean is the group's."""
    method = grouped.quality[0].method
    names = {case.name for case in grouped.data.cases if case.group == "old"}
    values = [row.psnr for row in grouped.quality if row.method == method and row.case in names]
    row = next(row for row in table_of(grouped).rows if (row[0].text, row[1].text) == ("old", method))
    assert float(row[3].value) == pytest.approx(statistics.fmean(values))


def test_the_worst_case_of_a_group_is_at_the_largest_radius(grouped):
    method = grouped.worst_case.rows[0].method
    radius = max(row.radius for row in grouped.worst_case.rows)
    names = {case.name for case in grouped.data.cases if case.group == "young"}
    values = [
        row.relative_change
        for row in grouped.worst_case.rows
        if row.method == method and row.case in names and row.radius == radius
    ]
    row = next(row for row in table_of(grouped).rows if (row[0].text, row[1].text) == ("young", method))
    assert float(row[5].value) == pytest.approx(max(values))


def words_of(found):
    document = full()
    document = document.model_copy(update={"data": document.data.model_copy(update={"separation": found})})
    facts = data(document).blocks[0]
    return dict((name, cell.text) for name, cell in facts.rows)["Separation from training data"]


def test_section_five_tells_apart_what_was_not_checked_found_and_not_found():
    def check(shared):
        return SeparationCheck(what="files, by SHA-256", audited=4, training=9, shared=shared)

    assert "not checked" in words_of(Separation())
    assert "not checked" in words_of(Separation(checks=[SeparationCheck(what="none", audited=0, training=9, shared=[])]))
    assert "no overlap found" in words_of(Separation(checks=[check([])]))
    assert "NOT SEPARATE: 1" in words_of(Separation(checks=[check(["a.npy"])]))
