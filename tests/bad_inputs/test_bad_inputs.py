"""Every bad input of ``cases.toml``: exit status 2, one message with culprit, expectation and remedy, nothing written."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stabtest.cli import app
from tests.bad_inputs.project import write_project

CASES = tomllib.loads((Path(__file__).parent / "cases.toml").read_text(encoding="utf-8"))["case"]
MESSAGE = re.compile(
    r"\Astabtest: (?P<culprit>.+?): expected (?P<expected>.+); came (?P<came>.+)\. Remedy: (?P<remedy>.+)\.\n\Z", re.S
)


def listing(folder):
    """Files and their contents; what Python compiles beside the user's code is not of the tool."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


def run(folder, case, monkeypatch, command="audit"):
    monkeypatch.chdir(folder)
    write_project(folder, case)
    before = listing(folder)
    result = CliRunner().invoke(app, [command, "tiny.toml", *case.get("options", [])])
    return result, listing(folder) == before


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case['area']}: {case['name']}") for case in CASES])
def test_a_bad_input_is_status_2_with_one_message_and_nothing_written(case, tmp_path, monkeypatch):
    if "needs" in case and importlib.util.find_spec(case["needs"]) is None:
        pytest.skip(f"{case['needs']} is not installed")
    result, untouched = run(tmp_path, case, monkeypatch)
    assert result.exit_code == 2, result.output
    assert untouched
    assert "Traceback" not in result.output
    found = MESSAGE.match(result.stderr)
    assert found, result.stderr
    for part in ("culprit", "expected", "came", "remedy"):
        assert [word for word in case.get(part, []) if word not in found[part]] == [], f"{part} in {result.stderr}"


def test_the_table_says_of_each_case_what_its_message_has_to_say():
    names = [(case["area"], case["name"]) for case in CASES]
    assert len(set(names)) == len(names) >= 40
    assert {case["area"] for case in CASES} == {"config", "weights", "network", "data", "operator"}
    assert [case["name"] for case in CASES if not (case["culprit"] and case["expected"] and case["remedy"])] == []


def test_the_project_is_good_until_it_is_spoilt(tmp_path, monkeypatch):
    """Control: without a case the same project passes."""
    result, untouched = run(tmp_path, {}, monkeypatch, command="check")
    assert result.exit_code == 0, result.output
    assert untouched


@pytest.mark.parametrize("area", ["config", "weights", "network", "data", "operator"])
def test_check_says_what_audit_says(area, tmp_path, monkeypatch):
    case = next(case for case in CASES if case["area"] == area)
    said = [run(tmp_path, case, monkeypatch, command)[0].stderr for command in ("check", "audit")]
    assert said[0] == said[1] != ""
