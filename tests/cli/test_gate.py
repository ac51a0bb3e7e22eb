"""``--junit``, ``--summary`` and ``--strict``: written from report.json alone, and in step with the exit status."""

import json
from xml.dom import minidom

import pytest
from typer.testing import CliRunner

from stabtest.cli.app import app
from stabtest.report import write_report
from tests.cli.judged import document


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("made", "plain", "strict"),
    [
        (document(0.05), 0, 0),
        (document(0.5), 1, 1),
        (document(0.05, failures=[7]), 3, 3),
        (document(0.5, failures=[7]), 1, 1),
        (document(0.1, spread=0.05), 0, 0),
        (document(0.05, valid=False), 0, 1),
        (document(None), 0, 1),
    ],
    ids=["PASS", "FAIL", "unit failed", "FAIL, unit failed", "INCONCLUSIVE", "INVALID", "NOT RUN"],
)
def test_strict_is_red_exactly_where_the_xml_is(tmp_path, made, plain, strict):
    write_report(made, tmp_path)
    assert call("report", tmp_path).exit_code == plain
    assert call("report", tmp_path, "--strict", "--junit", tmp_path / "junit.xml").exit_code == strict
    suite = minidom.parse(str(tmp_path / "junit.xml")).getElementsByTagName("testsuite")[0]
    assert (int(suite.getAttribute("failures")) + int(suite.getAttribute("errors")) > 0) == (strict != 0)


def test_both_files_come_from_the_json_alone(tmp_path):
    write_report(document(0.5), tmp_path)
    text = (tmp_path / "report.json").read_text()
    (tmp_path / "report.json").write_text(text.replace("An audit", "Another title"))
    call("report", tmp_path, "--junit", tmp_path / "ci" / "j.xml", "--summary", tmp_path / "ci" / "s.md")
    assert "Another title" in (tmp_path / "ci" / "j.xml").read_text(encoding="utf-8")
    assert "## Another title" in (tmp_path / "ci" / "s.md").read_text(encoding="utf-8")


def test_a_run_that_ends_early_leaves_no_verdicts_of_another(tmp_path):
    write_report(document(0.05), tmp_path)
    files = ("--junit", tmp_path / "j.xml", "--summary", tmp_path / "s.md")
    assert call("report", tmp_path, *files).exit_code == 0
    (tmp_path / "report.json").write_text("{")
    assert call("report", tmp_path, *files).exit_code == 2
    assert not (tmp_path / "j.xml").exists()
    assert not (tmp_path / "s.md").exists()


@pytest.mark.parametrize("option", ["--junit", "--summary"])
def test_what_is_read_is_not_overwritten(tmp_path, option):
    write_report(document(0.05), tmp_path)
    before = (tmp_path / "report.json").read_text()
    result = call("report", tmp_path, option, tmp_path / "report.json")
    assert result.exit_code == 2
    assert option in result.stderr
    assert (tmp_path / "report.json").read_text() == before
    assert json.loads(before)["title"] == "An audit"


def test_an_audit_refuses_a_place_that_cannot_be_written_before_it_begins(tmp_path):
    (tmp_path / "taken").write_text("")
    result = call("audit", tmp_path / "none.toml", "--junit", tmp_path / "taken" / "j.xml")
    assert result.exit_code == 2
    assert "--junit" in result.stderr


def test_one_file_cannot_be_both(tmp_path):
    write_report(document(0.05), tmp_path)
    assert call("report", tmp_path, "--junit", tmp_path / "x", "--summary", tmp_path / "x").exit_code == 2
