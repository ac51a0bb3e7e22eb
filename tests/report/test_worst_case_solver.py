"""The part of the worst-case section on iterative methods: who is in it, what is said, and that the table is the document."""

import pytest

from stabtest.findings.records import SolverRow
from stabtest.report import render
from stabtest.report.sections.worst_case_solver import solvers


def solver(row, *, distance=0.05, share=1.2):
    return SolverRow(
        iterations=60,
        longer=10,
        clean_distance=distance / 2,
        distance=distance,
        clean_gap=0.1,
        gap=0.2,
        clean_residual=0.001,
        residual=0.002,
        longer_change=share * row.relative_change,
    )


def document(full, **figures):
    rows = [
        row.model_copy(
            update={"solver": solver(row, **figures), "differentiation": "implicit" if row.radius == 0.1 else "unrolled"}
        )
        if row.method == "TV"
        else row
        for row in full.worst_case.rows
    ]
    return full.model_copy(update={"worst_case": full.worst_case.model_copy(update={"rows": rows})})


@pytest.fixture(scope="module")
def early(full):
    return document(full)


@pytest.fixture(scope="module")
def page_of(pages):
    return lambda document: pages.read(render(document))


def test_the_table_equals_the_document(early, page_of):
    records = {float(r["Radius"][1]): r for r in page_of(early).records("solver-table")}
    rows = [row for row in early.worst_case.rows if row.method == "TV"]
    assert set(records) == {row.radius for row in rows}
    for radius, record in records.items():
        own = [row for row in rows if row.radius == radius]
        assert float(record["Change found"][1]) == max(row.relative_change for row in own)
        assert float(record["Change of the longer run"][1]) == max(row.solver.longer_change for row in own)
        assert float(record["Distance, perturbed"][1]) == 0.05
        assert int(record["Steps"][1]) == 60
        assert record["Found along (cases)"][0] == ("implicit 4" if radius == 0.1 else "unrolled 4")


def test_that_a_solver_was_not_finished_is_said(early, page_of):
    text = page_of(early).text
    assert "TV: stopped after 60 steps, the solver was not finished in 20 of 20 searches." in text


def test_of_a_finished_solver_nothing_is_said_but_the_table(full, page_of):
    page = page_of(document(full, distance=1e-6, share=1.0))
    assert "not finished in" not in page.text
    assert {record["Not finished, cases"][0] for record in page.records("solver-table")} == {"0"}


def test_without_an_iterative_method_there_is_no_such_part(full, page):
    assert solvers(full.worst_case) == []
    assert "Iterative methods" not in page.text


def test_the_rows_say_along_which_derivative(early, page_of):
    found = {(r["Method"][0], r["Found along"][0]) for r in page_of(early).records("worst-case-rows")}
    assert found == {("unet-mri", "–"), ("zero-filled", "–"), ("TV", "unrolled"), ("TV", "implicit")}
