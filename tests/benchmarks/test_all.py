"""``python -m benchmarks``: every module is listed, every documented command is one of its own, output and status are kept."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks import __main__ as everything
from benchmarks import startup
from benchmarks.__main__ import BENCHMARKS, Benchmark, commands, main

ROOT = Path(__file__).parents[2]
DOCUMENTED = re.findall(
    r"^python (?:-m benchmarks\.|benchmarks/)(\w+)(?:\.py)?(.*)$", (ROOT / "docs" / "benchmarks.md").read_text("utf-8"), re.M
)


def test_every_benchmark_is_listed():
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__main__", "__init__"}
    assert files == set(BENCHMARKS)


@pytest.mark.parametrize(("name", "rest"), DOCUMENTED)
def test_what_the_page_shows_is_what_is_run(name, rest):
    assert shlex.split(rest) in [command[2:] for command in commands(name, quick=False)]


def test_the_page_shows_commands():
    """Control."""
    assert len(DOCUMENTED) >= 10


def test_every_quick_option_exists():
    for name in BENCHMARKS:
        source = (ROOT / "benchmarks" / f"{name}.py").read_text("utf-8")
        for command in commands(name, quick=True):
            assert [word for word in command if word.startswith("--") and f'"{word}"' not in source] == []


def test_list_runs_nothing(tmp_path, capsys):
    assert main(["--list", "--out", str(tmp_path / "none")]) == 0
    assert not (tmp_path / "none").exists()
    listed = capsys.readouterr().out
    assert [name for name in BENCHMARKS if name not in listed] == []


def test_output_and_status_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(everything, "commands", lambda name, quick: [["-c", "print('measured'); raise SystemExit(3)"]])
    assert main(["--only", "kill", "--out", str(tmp_path)]) == 1
    text = (tmp_path / "kill.txt").read_text("utf-8")
    assert text.startswith("$ python -c ")
    assert "measured" in text
    assert "exit status 3" in text


def test_what_has_no_quick_form_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(everything.BENCHMARKS, "kill", Benchmark("?"))
    assert main(["--only", "kill", "--quick", "--out", str(tmp_path)]) == 0
    assert "no quick form" in capsys.readouterr().out


def test_startup_is_measured_and_nothing_heavy_is_imported(capsys):
    assert startup.main(["--repeats", "1", "--limit", "5"]) == 0
    assert "heavy modules imported: none" in capsys.readouterr().out


def test_a_heavy_import_is_seen(monkeypatch):
    """Control: the same check, of a module that is imported."""
    monkeypatch.setattr(startup, "IMPORTED", "print('torch')")
    assert startup.main(["--repeats", "1", "--limit", "5"]) == 1
