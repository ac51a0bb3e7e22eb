"""Whether an audit that is killed at random moments ends as one that was not.

A small audit is run once without disturbance, in one process. Then, in a fresh folder each time, it is started, killed by SIGKILL (the
main process, or one of its workers), perhaps killed again, and at last left alone. The moment is drawn: while the units
are measured (after a number of them and a delay of up to three times what one takes) or, in two fifths of the kills, before the first
or after the last, anywhere in half the duration of the undisturbed audit. It holds that

- every result that stands in the folder after a kill is whole (its checksum is right), and so is every report;
- what was finished is not measured again: the files of finished units are never replaced, and each run measures what was missing
  when it began and nothing else (a unit that its worker died on may be measured twice);
- the ``report.json`` at the end is that of the undisturbed audit, up to times, and so are the witnesses;
- nothing is left under temporary names.

    python -m benchmarks.kill [--kills 50] [--workers 1 2] [--seed 0]

The exit status is 1 where one of these fails. A run is a fork of this process, so that PyTorch is imported once. Needs ``/proc``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NETWORK = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.layer.weight.data = 0.01 * torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))

    def forward(self, image):
        return 0.98 * image + 0.1 * torch.tanh(self.layer(image))
"""
CONFIG = """
[audit]
title = "Killed"
[network]
factory = "net.py:Small"
channels = "real-imag"
scale = "max"
name = "small"
[operator]
size = 24
mask = {{ acceleration = 2.0, seed = 1 }}
[data]
count = {count}
noise = 0.1
[reference]
method = "zero-filled"
[worst_case]
radii = [0.02, 0.05]
evaluations = 12
noise_draws = 2
[structure]
enabled = false
[sampling]
fractions = [0.5, 1.0]
[noise]
levels = [1.0, 2.0]
draws = 2
[repeatability]
enabled = false
[lipschitz]
enabled = false
[[criterion]]
id = "C1"
statistic = "worst_case.relative_change.max"
rule = "at most"
limit = 0.001
universal = true
"""
TIMING = {"created", "cost", "criteria_frozen", "seconds"}
"""Fields of a report that differ from run to run by their nature."""


@dataclass
class Tally:
    """What was seen.

    Parameters
    ----------
    kills
        What was killed (``main`` or ``worker``) at which stage -> how often.
    audits, units
        Audits brought to their end, and units that they found finished after a kill.
    late
        Runs that had ended before the kill came.
    problems
        What did not hold.
    """

    kills: Counter[str] = field(default_factory=Counter)
    audits: int = 0
    units: int = 0
    late: int = 0
    problems: list[str] = field(default_factory=list)


def write_project(folder: Path, *, count: int) -> None:
    """The configuration and the network of the audit."""
    (folder / "net.py").write_text(NETWORK)
    (folder / "killed.toml").write_text(CONFIG.format(count=count))


def start(project: Path, out: Path, *, workers: int) -> int:
    """Begin the audit in a process of its own session; its number."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.setsid()
        os.chdir(project)
        log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from stabtest.cli import app

        app(["audit", "killed.toml", "--out", str(out), "--workers", str(workers)])
    except SystemExit as error:
        status = int(error.code or 0) if isinstance(error.code, int | None) else 70
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(status)


def processes(session: int) -> list[tuple[int, str]]:
    """Numbers and command lines of the live processes of a session."""
    found: list[tuple[int, str]] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                state, _, _, own = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(own) == session and state != "Z":
                    found.append((int(entry.name), (entry / "cmdline").read_text().replace("\0", " ")))
    return found


def running(session: int) -> bool:
    """Whether the main process of a run lives."""
    return any(pid == session for pid, _ in processes(session))


def ended(session: int, timeout: float) -> int | None:
    """Exit status of a run once none of its processes is left; None if some still are after ``timeout`` seconds."""
    until, status = time.monotonic() + timeout, None
    while time.monotonic() < until:
        if status is None:
            pid, raw = os.waitpid(session, os.WNOHANG)
            status = os.waitstatus_to_exitcode(raw) if pid else None
        if status is not None and not processes(session):
            return status
        time.sleep(0.01)
    return None


def kill_one(session: int, chance: random.Random) -> str:
    """SIGKILL the main process or, half of the time where it has some, one of its workers; which kind it was."""
    workers = [pid for pid, command in processes(session) if pid != session and "spawn_main" in command]
    kind = "worker" if workers and chance.random() < 0.5 else "main"
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(workers) if kind == "worker" else session, signal.SIGKILL)
    return kind


def snapshot(out: Path) -> dict[str, tuple[int, int, int]]:
    """Key of each finished unit -> which file it is: inode, time and size."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in (out / "units").glob("*.json"):
        stat = path.stat()
        found[path.stem] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return found


def half_written(out: Path) -> list[str]:
    """Results and reports that are not whole, and, where ``out`` is finished, files under temporary names."""
    from stabtest.audit.units.store import Store
    from stabtest.report import load_document

    store, bad = Store(out / "units"), list[str]()
    for path in (out / "units").glob("*.json"):
        if store.get(path.stem, pictures=True) is None:
            bad.append(f"{path.name} is not whole")
    if (out / "report.json").exists():
        try:
            load_document(out)
        except Exception as error:
            bad.append(f"report.json: {error}")
    return bad


def stripped(value: Any) -> Any:
    """A JSON value without the fields of `TIMING`."""
    if isinstance(value, dict):
        return {key: stripped(entry) for key, entry in value.items() if key not in TIMING}
    return [stripped(entry) for entry in value] if isinstance(value, list) else value


def outcome(out: Path) -> tuple[Any, dict[str, bytes]]:
    """The report up to times, and the witnesses."""
    return (
        stripped(json.loads((out / "report.json").read_text())),
        {path.name: path.read_bytes() for path in sorted((out / "witnesses").glob("*"))},
    )


def lines(out: Path) -> tuple[list[str], list[str]]:
    """Labels of the units that the last run found, and that it measured."""
    log = out.with_suffix(".log")
    text = log.read_text(errors="replace") if log.exists() else ""  # it may be in the middle of a character
    seen = re.findall(r"^\[\d+/\d+\] (.+): (found|[\d.]+ s)(?:, .*)?$", text, re.M)
    return [label for label, how in seen if how == "found"], [label for label, how in seen if how != "found"]


class Trial:
    """One audit in a folder of its own, killed and resumed.

    Parameters
    ----------
    project, out
        Where the configuration is, and where the results go.
    workers
        Number of processes.
    tally
        Grows.
    """

    def __init__(self, project: Path, out: Path, *, workers: int, tally: Tally) -> None:
        self.project, self.out, self.workers, self.tally = project, out, workers, tally
        self.finished: dict[str, tuple[int, int, int]] = {}

    def killed_after(self, units: int, seconds: float, chance: random.Random) -> None:
        """Start or resume, and kill some time after a number of units; wait for what is left."""
        session = start(self.project, self.out, workers=self.workers)
        while running(session) and units > 0 and sum(map(len, lines(self.out))) < units:
            time.sleep(0.002)
        time.sleep(seconds)
        alive = running(session)
        stage = self.stage()
        kind = kill_one(session, chance) if alive else ""
        # An audit of which a worker was killed goes on to its end.
        if ended(session, 60.0 if kind == "main" else 1800.0) is None:
            self.problem(f"{kind} killed after {units} units and {seconds:.2f} s: processes were left")
        if alive:
            self.tally.kills[f"{kind}, {stage}"] += 1
        else:
            self.tally.late += 1
        self.look()

    def stage(self) -> str:
        """How far it is."""
        if (self.out / "report.json").exists():
            return "report there"
        return "measuring" if any((self.out / "units").glob("*.json")) else "before the first result"

    def look(self) -> None:
        """What must hold at any moment."""
        now = snapshot(self.out)
        for key, file in self.finished.items():
            if now.get(key) != file:
                self.problem(f"unit {key[:8]} was finished and has been written again, or is gone")
        for text in half_written(self.out):
            self.problem(text)
        self.finished = now

    def left_alone(self, expected: tuple[Any, dict[str, bytes]] | None) -> None:
        """Resume to the end and compare."""
        before = len(self.finished)
        session = start(self.project, self.out, workers=self.workers)
        status = ended(session, 1800.0)
        self.look()
        found, measured = lines(self.out)
        if status != 1:  # the criterion fails
            self.problem(f"exit status {status}: {self.out.with_suffix('.log').read_text()[-500:]}")
            return
        if len(found) != before or len(measured) != len(self.finished) - before:
            self.problem(f"{before} units were there: {len(found)} found, {len(measured)} measured, {len(self.finished)} now")
        parts = [path.name for path in self.out.rglob("*.part")]
        if parts:
            self.problem(f"left under temporary names: {', '.join(parts)}")
        if expected is not None and outcome(self.out) != expected:
            self.problem("another report or other witnesses than without a kill")
        self.tally.audits += 1
        self.tally.units += before

    def problem(self, text: str) -> None:
        """Note what does not hold."""
        self.tally.problems.append(f"{self.out.name}: {text}")


def trials(folder: Path, *, kills: int, workers: int, seed: int, count: int = 2) -> Tally:
    """Kill audits until ``kills`` kills have happened.

    Parameters
    ----------
    folder
        Empty; everything happens there.
    kills
        How many.
    workers
        Processes of each audit.
    seed
        Of the moments.
    count
        Phantoms of the audit.
    """
    import stabtest.audit
    import stabtest.cli.tables
    import stabtest.report  # noqa: F401 - imported before the forks

    folder.mkdir(parents=True, exist_ok=True)
    write_project(folder, count=count)
    tally, chance = Tally(), random.Random(seed)
    undisturbed = Trial(folder, folder / "undisturbed", workers=1, tally=tally)
    begin = time.monotonic()
    undisturbed.left_alone(None)
    duration = time.monotonic() - begin
    if tally.problems:
        return tally
    expected, units, number = outcome(undisturbed.out), len(undisturbed.finished), 0
    tally = Tally()
    while sum(tally.kills.values()) < kills and tally.late < 10 * kills:
        number += 1
        trial = Trial(folder, folder / f"killed-{number}", workers=workers, tally=tally)
        again = True
        while again and sum(tally.kills.values()) < kills:
            after = chance.choice([0, units, *(chance.randrange(1, units) for _ in range(3))])
            edge = after in (0, units)
            trial.killed_after(after, chance.uniform(0, duration / 2 if edge else 3 * duration / units), chance)
            again = chance.random() < 0.5
        trial.left_alone(expected)
        print(f"audit {number}: {sum(tally.kills.values())} kills, {len(tally.problems)} problems so far", flush=True)
    return tally


def main() -> int:
    """Print the tally; exit status 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="in all")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    problems: list[str] = []
    shares = [arguments.kills // len(arguments.workers)] * len(arguments.workers)
    shares[0] += arguments.kills - sum(shares)
    for workers, kills in zip(arguments.workers, shares, strict=True):
        with tempfile.TemporaryDirectory(prefix="stabtest-kill-") as folder:
            tally = trials(Path(folder), kills=kills, workers=workers, seed=arguments.seed)
        print(f"workers {workers}: {sum(tally.kills.values())} kills of {tally.audits} audits, {tally.late} came too late")
        for kind, number in sorted(tally.kills.items()):
            print(f"  {kind}: {number}")
        print(f"  {tally.units} units were found finished; {len(tally.problems)} problems", flush=True)
        print("".join(f"  {text}\n" for text in tally.problems), end="", flush=True)
        problems += tally.problems
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
