"""Audits that are killed, and disks that are full: nothing is lost, nothing half-written, the same report in the end."""

import errno
import json
import sys
from collections import Counter

import pytest
from typer.testing import CliRunner

from benchmarks.kill import Tally, Trial, half_written, snapshot, stripped, trials, write_project
from stabtest.audit import conduct
from stabtest.audit.units import store as stores
from stabtest.cli import app

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


@pytest.mark.parametrize(("workers", "kills"), [(1, 3), (2, 1)])
def test_a_killed_audit_ends_as_one_that_was_not(workers, kills, tmp_path):
    """SIGKILL at random moments; the 50 kills of docs/benchmarks.md are ``python -m benchmarks.kill``."""
    tally = trials(tmp_path, kills=kills, workers=workers, seed=workers, count=1)
    assert tally.problems == []
    assert sum(tally.kills.values()) == kills


def test_a_result_that_is_written_again_is_noticed(tmp_path):
    """Control of the check that nothing is computed twice."""
    (tmp_path / "out" / "units").mkdir(parents=True)
    path = tmp_path / "out" / "units" / "a.json"
    path.write_text("{}")
    trial = Trial(tmp_path, tmp_path / "out", workers=1, tally=Tally(Counter()))
    trial.finished = snapshot(tmp_path / "out")
    path.unlink()
    path.write_text("{ }")
    trial.look()
    assert [text.rpartition(": ")[2] for text in trial.tally.problems] == [
        "unit a was finished and has been written again, or is gone",
        "a.json is not whole",
    ]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_full_disk_is_status_3_and_the_same_command_goes_on(workers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, count=1)
    command = ["audit", "killed.toml", "--out", "out"]
    if workers == "2":
        _full_in_workers(tmp_path, monkeypatch)
    else:
        write_atomically, room = stores.write_atomically, iter([True] * 6)
        for module in (stores, conduct):
            monkeypatch.setattr(module, "write_atomically", lambda *a: write_atomically(*a) if next(room, False) else _refuse())
    result = CliRunner().invoke(app, [*command, "--workers", workers])
    assert result.exit_code == 3, result.output
    assert "No space left on device" in result.stderr
    assert "the same command" in result.stderr
    kept = snapshot(tmp_path / "out")
    assert half_written(tmp_path / "out") == []
    assert list((tmp_path / "out").rglob("*.part")) == []
    assert not (tmp_path / "out" / "report.json").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, command).exit_code == 1  # the criterion fails
    assert {key: snapshot(tmp_path / "out")[key] for key in kept} == kept
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["cost"]["resumed_units"] == len(kept)


def _refuse():
    raise OSError(errno.ENOSPC, "No space left on device")


def _full_in_workers(folder, monkeypatch):
    """A module that worker processes import at their start, and that lets each write one result."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(
        "import errno, os\n"
        "fsync, left = os.fsync, [2]\n"
        "def refuse(descriptor):\n"
        "    left[0] -= 1\n"
        "    if left[0] < 0:\n"
        "        raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    return fsync(descriptor)\n"
        "os.fsync = refuse\n"
    )
    monkeypatch.setenv("PYTHONPATH", ":".join([str(folder / "site"), *filter(None, sys.path)]))


def test_times_are_taken_off_at_any_depth():
    assert stripped({"created": 1, "a": [{"seconds": 2, "b": 3}], "cost": {}}) == {"a": [{"b": 3}]}
