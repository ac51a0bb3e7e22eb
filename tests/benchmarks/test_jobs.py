"""The record: what is written is read again, what is missing is done, what other code found is not taken for this."""

from __future__ import annotations

import json

import pytest

from benchmarks.strength import jobs
from benchmarks.strength.jobs import Job, Row, code_of, latest, meaning, missing, read
from benchmarks.strength.methods import BUDGETS


def job(**changes):
    values = {"network": "net", "size": 16, "radius": 0.02, "images": (0, 1, 2), "family": "PGD", "label": "published"}
    return Job(**{**values, "budgets": BUDGETS, "code": "c", **changes})


def test_row_survives_the_file(row, tmp_path):
    path = tmp_path / "record.jsonl"
    rows = [row(), row("PGD", "s=1", image=4)]
    path.write_text("".join(r.line() + "\n" for r in rows))
    assert read(path) == rows


def test_no_file_is_no_rows(tmp_path):
    assert read(tmp_path / "none.jsonl") == []


def test_later_line_replaces_an_earlier_one(row, tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text("\n".join(r.line() for r in (row(best={5: 1.0}), row(image=1), row(best={5: 2.0}))))
    assert [(r.image, r.best.get(5)) for r in read(path)] == [(1, 0.5), (0, 2.0)]


def test_line_cut_off_at_the_end_is_left_out_and_elsewhere_an_error(row, tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text(row().line() + "\n" + row(image=1).line()[:40])
    assert read(path) == [row()]
    path.write_text(row(image=1).line()[:40] + "\n" + row().line())
    with pytest.raises(json.JSONDecodeError):
        read(path)


def test_only_the_images_that_are_missing_are_left_to_do(row):
    done = {r.address: r for r in (row("PGD", "published", image=k) for k in (0, 2))}
    assert missing(job(), done, digest="p") == job(images=(1,))
    assert missing(job(images=(0, 2)), done, digest="p") is None


@pytest.mark.parametrize("change", [{"problem": "other"}, {"code": "other"}, {"radius": 0.08}, {"size": 32}, {"label": "s=1"}])
def test_result_of_another_question_is_not_taken(row, change):
    found = row(**{"family": "PGD", "label": "published", **change})
    assert missing(job(images=(0,)), {found.address: found}, digest="p") == job(images=(0,))


def test_result_without_a_budget_asked_for_is_done_again(row):
    found = row("PGD", "published", best={5: 1.0})
    assert missing(job(images=(0,)), {found.address: found}, digest="p") is not None
    assert missing(job(images=(0,), budgets=(5,)), {found.address: found}, digest="p") is None


def test_latest_keeps_one_problem_and_one_source_for_each_method(row):
    rows = [
        row(code="old"),
        row("PGD", "published", problem="old"),
        row(image=1, code="new"),
        row("PGD", "published", image=1),
    ]
    assert latest(rows) == [rows[2], rows[3]]


def test_source_of_the_default_is_not_that_of_the_published(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "ROOT", tmp_path)
    folder = tmp_path / "stabtest" / "search" / "published"
    folder.mkdir(parents=True)
    own, other = folder.parent / "ascent.py", folder / "pgd.py"
    own.write_text("x = 1\n")
    other.write_text("y = 1\n")
    before = code_of("default"), code_of("PGD")
    own.write_text("x = 2\n")
    assert (code_of("default") != before[0], code_of("PGD") == before[1]) == (True, True)
    between = code_of("default")
    other.write_text("y = 2\n")
    assert (code_of("default") == between, code_of("PGD") != before[1]) == (True, True)


def test_meaning_sees_code_and_not_words():
    one = '"""Words."""\nclass A:\n    """More."""\n    x = 1  # and more\n'
    assert meaning(one) == meaning("class A:\n    x = 1\n")
    assert meaning(one) != meaning("class A:\n    x = 2\n")


def test_executing_a_job_gives_a_row_for_each_image(subject, monkeypatch):
    monkeypatch.setattr(jobs.subjects, "load", lambda name, size, images: subject)
    rows = jobs.execute(job(family="APGD", images=(0, 3), budgets=(2, 4)))
    assert [(r.image, set(r.best)) for r in rows] == [(0, {2, 4}), (3, {2, 4})]
    assert all(0 < r.best[2] <= 1.01 * r.best[4] < r.clean for r in rows)
    assert all(r.evaluations == 6 for r in rows)
    assert Row.parse(rows[0].line()) == rows[0]
