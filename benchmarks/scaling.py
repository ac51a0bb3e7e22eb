"""What an audit of many slices costs beside the measuring: speed-up by workers, overhead of a unit, memory against slices.

The same plan (a small network and its baseline on phantoms of 16 x 16 pixels) is run as ``stabtest audit`` in a process of its own: in one
process, in several, and on a Dask cluster of this machine. Of each run are told

- the wall time, and the speed-up over one process (start of the processes included: each imports PyTorch);
- the processor time of a unit: of all processes, beyond that of the same audit with the fewest slices, divided by the further units.
  Storing, planning, joining and rendering are in it, and so is the measuring, which is next to nothing here (one reconstruction of
  a tiny image by a network that does nothing): an upper bound of the overhead;
- the largest resident set of the main process, and of any other that it started (no less than the main one's at its start).

    python -m benchmarks.scaling [--slices 10 100 1000] [--workers 1 2] [--dask 0] [--evaluations 0]

Runs on a machine under other load say little about wall times; memory and processor time hardly suffer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

NETWORK = """
from torch import nn

class Same(nn.Module):
    def forward(self, image):
        return 0.98 * image
"""
CONFIG = """
[audit]
title = "Many slices"
[network]
factory = "net.py:Same"
channels = "real-imag"
name = "same"
[operator]
size = 16
mask = {{ acceleration = 2.0 }}
[data]
count = {count}
noise = 0.1
[reference]
method = "zero-filled"
[worst_case]
enabled = {search}
radii = [0.05]
evaluations = {evaluations}
noise_draws = 2
[structure]
enabled = false
[sampling]
enabled = false
[noise]
enabled = false
[repeatability]
enabled = false
[lipschitz]
enabled = false
"""


@dataclass(frozen=True)
class Ran:
    """What a run cost.

    Parameters
    ----------
    units
        How many were measured.
    wall, processor
        Seconds; the latter of all processes.
    main, others
        Largest resident set of the main process and of any other, in MiB.
    """

    units: int
    wall: float
    processor: float
    main: float
    others: float


def run(folder: Path, count: int, *, workers: int, scheduler: str | None, evaluations: int) -> Ran:
    """One audit in a process of its own."""
    folder.mkdir(parents=True)
    (folder / "net.py").write_text(NETWORK)
    (folder / "many.toml").write_text(
        CONFIG.format(count=count, search=str(evaluations > 0).lower(), evaluations=evaluations or 1)
    )
    command = ["audit", "many.toml", "--out", "out"]
    command += ["--scheduler", scheduler] if scheduler else ["--workers", str(workers)]
    read, write = os.pipe()
    begin = time.monotonic()
    os.set_inheritable(write, True)
    pid = os.fork()
    if not pid:
        os.close(read)
        _child(folder, command, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read()
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"the audit of {count} slices ended with status {os.waitstatus_to_exitcode(status)}: see {folder}/log")
    own = json.loads(said)
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return Ran(
        units=report["cost"]["units"],
        wall=time.monotonic() - begin,
        processor=usage.ru_utime + usage.ru_stime,
        main=own["main"] / 1024,
        others=own["others"] / 1024,
    )


def _child(folder: Path, command: list[str], write: int) -> None:
    """The audit; tells the largest resident sets and ends."""
    status = 70
    try:
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        # A process begins with the resident set of the one that it was forked from: begin anew.
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.scaling", "--run", str(write), *command])
    finally:
        os._exit(status)


def _inside(write: int, command: list[str]) -> None:
    import resource

    from stabtest.cli import app

    status = 0
    try:
        app(command)
    except SystemExit as error:
        status = int(error.code or 0)
    sizes = {
        "main": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "others": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    }
    os.write(write, json.dumps(sizes).encode())
    sys.exit(status)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dask", type=int, default=0, help="workers of a Dask cluster of this machine")
    parser.add_argument(
        "--evaluations", type=int, default=0, help="of a worst-case search: as long units as wanted; 0 = no search"
    )
    arguments = parser.parse_args()
    where = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{Path(__file__).resolve().parents[1]}{os.pathsep}{where}".rstrip(os.pathsep)
    print(
        f"{'WHERE':12s} {'SLICES':>6s} {'UNITS':>6s} {'WALL, S':>8s} {'SPEED-UP':>8s} {'MS/UNIT':>8s} {'MAIN, MIB':>9s} {'OTHER':>6s}"
    )
    alone: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="stabtest-scaling-") as folder:
        ways: list[tuple[str, int, str | None]] = [(f"{n} process{'es' if n > 1 else ''}", n, None) for n in arguments.workers]
        cluster = None
        if arguments.dask:
            from distributed import LocalCluster

            cluster = LocalCluster(n_workers=arguments.dask, threads_per_worker=1, dashboard_address=None)
            ways.append((f"{arguments.dask} on Dask", 0, cluster.scheduler_address))
        for name, workers, scheduler in ways:
            first: Ran | None = None
            for count in arguments.slices:
                ran = run(
                    Path(folder) / f"{name}-{count}",
                    count,
                    workers=workers,
                    scheduler=scheduler,
                    evaluations=arguments.evaluations,
                )
                alone.setdefault(count, ran.wall)
                first = first or ran
                further = ran.units - first.units
                overhead = (
                    f"{1000 * (ran.processor - first.processor) / further:8.1f}" if further and not scheduler else f"{'':8s}"
                )
                times = f"{ran.wall:8.1f} {alone[count] / ran.wall:8.2f} {overhead}"
                print(f"{name:12s} {count:6d} {ran.units:6d} {times} {ran.main:9.0f} {ran.others:6.0f}", flush=True)
        if cluster is not None:
            cluster.close()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        os.environ["COLUMNS"] = "200"
        _inside(int(sys.argv[2]), sys.argv[3:])
    sys.exit(main())
