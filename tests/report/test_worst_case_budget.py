"""The end of the worst-case section says in words what stood in the way of a search."""

import json

import pytest

from stabtest.findings import Document
from stabtest.report import render
from stabtest.report.sections.worst_case_budget import blindness, roughness
from stabtest.report.wording import GRADIENTS


def rows_with(full, **changes):
    return [row.model_copy(update=changes) if row.method == "unet-mri" else row for row in full.worst_case.rows]


def test_searches_that_could_see_are_not_mentioned(full):
    assert blindness(rows_with(full, gradient="healthy", queries=0)) == []


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_fault_is_named_and_explained_once_for_each_method(full, name):
    (sentence,) = blindness(rows_with(full, status="no usable gradient", gradient=name, queries=400))
    assert sentence.startswith(f"unet-mri: 20 of 20 searches had no usable gradient. It was {name}: {GRADIENTS[name]}. ")
    assert "with 400 queries for each image and radius" in sentence


def test_a_rough_gradient_that_was_followed_is_explained_and_takes_nothing_back(full):
    rows = rows_with(full, gradient="rough", queries=400)
    assert blindness(rows) == []
    (sentence,) = roughness(rows)
    assert sentence.startswith(f"unet-mri: in 20 of 20 searches the gradient was rough: {GRADIENTS['rough']}. ")
    assert "400 queries for each image and radius" in sentence
    assert roughness(rows_with(full, gradient="healthy", queries=0)) == []


def test_that_no_search_followed_is_said(full):
    (sentence,) = blindness(rows_with(full, status="no usable gradient", gradient="wrong", queries=0))
    assert "No search without gradients followed" in sentence


def test_two_faults_are_two_sentences(full):
    rows = rows_with(full, status="no usable gradient", gradient="wrong", queries=400)
    rows[0] = rows[0].model_copy(update={"gradient": "masked", "queries": 200})
    assert [sentence.partition(" of ")[0] for sentence in blindness(rows)] == ["unet-mri: 1", "unet-mri: 19"]


def test_a_document_of_an_older_version_reads_as_before(full, pages):
    older = json.loads(full.model_dump_json())
    for row in older["worst_case"]["rows"]:
        for field in ("gradient", "queries", "differentiation", "solver"):
            row.pop(field, None)
    older["worst_case"]["rows"][0]["status"] = "no usable gradient"
    document = Document.model_validate_json(json.dumps(older))
    (record, *_) = pages.read(render(document)).records("worst-case-rows")
    assert record["Gradient"][0] == record["Of them without a gradient"][0] == "not available"
    assert blindness(document.worst_case.rows) == [
        "unet-mri: 1 of 20 searches had no usable gradient. No search without gradients followed: the values say little about the "
        "worst case."
    ]
