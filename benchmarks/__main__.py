"""``python -m benchmarks``: every benchmark in one command, its output kept, one line each at the end.

    python -m benchmarks --list                  what there is, and what each asks
    python -m benchmarks --quick                 a small form of each: that it runs, not what it measures
    python -m benchmarks --only startup kill     some of them, as in docs/benchmarks.md

Each command is run in a process of its own, one after the other, and what it prints goes to ``OUT/NAME.txt`` (``runs/benchmarks``) under a head with
the command, the version and the machine. A benchmark with goals ends with status 1 where one is missed; so does this. In full they take a day of a
processor, the searches and bounds most of it; several go on where they were.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RUNS = Path("runs")


@dataclass(frozen=True)
class Benchmark:
    """A module of this folder.

    Parameters
    ----------
    asks
        The question, in a line.
    full
        Arguments of each of its commands, as docs/benchmarks.md has them.
    quick
        Arguments of a form that ends within about a minute; None if it has none.
    """

    asks: str
    full: tuple[str, ...] = ("",)
    quick: str | None = None


STRENGTH = "--out runs/strength.jsonl"
BENCHMARKS: dict[str, Benchmark] = {
    "startup": Benchmark("How long does `stabtest --help` take?", quick="--repeats 3"),
    "operators": Benchmark(
        "How near to the exact are the forward models, and how long do they take, beside scikit-image?",
        quick="--sizes 32 --views 12 --repeats 1",
    ),
    "search_overhead": Benchmark(
        "What does a step of the search cost beside a forward and a backward pass?",
        ("--repeats 60",),
        "--repeats 3 --size 32 --limit 10",
    ),
    "search_growth": Benchmark(
        "What does it bring that the first path begins near zero?",
        ("", "--networks tv-mri --radii 0.08 --size 32", "--networks cascade-mri --radii 0.02 --images 4"),
        "--radii 0.02 --images 1 --size 32",
    ),
    "search_strength": Benchmark(
        "What does the search find beside the published attacks at equal numbers of gradients?",
        (
            f"{STRENGTH} --size 64 --images 10 --networks automap-mri cascade-mri dagan-mri fbpconvnet-ell50 unet-mri",
            f"{STRENGTH} --size 32 --images 10 --networks tv-mri",
            f"{STRENGTH} --networks automap-mri cascade-mri dagan-mri fbpconvnet-ell50 unet-mri tv-mri --report",
        ),
        "--out runs/quick/strength.jsonl --size 32 --images 1 --networks unet-mri --methods default --radii 0.02 --budgets 5 10 --workers 1",
    ),
    "search_known": Benchmark(
        "Does the search find worst cases that are known exactly?", quick="--networks 1 --maps 2 --seeds 1"
    ),
    "search_memory": Benchmark(
        "What does it cost to need less memory, and what is found then?",
        quick="--networks unet-mri --images 1 --batch 2 --evaluations 6 --radii 0.02 --repeats 1",
    ),
    "black_box": Benchmark(
        "What do searches without gradients find, beside one with?",
        quick="--queries 30 --images 1 --size 32 --radii 0.1 --networks mri",
    ),
    "bounds": Benchmark(
        "How tight are the bounds, and what do they take?",
        (
            '--out runs/bounds.jsonl --networks own-network "cascade-mri, block 1" cascade-mri automap-mri --seconds 200',
            "--out runs/bounds.jsonl --networks fbpconvnet-ell50 --seconds 400 --methods product semidefinite floor found",
            "--out runs/bounds.jsonl --networks lecture-unet --seconds 60 --methods product semidefinite",
            '--out runs/bounds.jsonl --networks "lecture-unet, 384" --methods product',
        ),
        "--out runs/quick/bounds.jsonl --networks own-network --methods product found --seconds 1",
    ),
    "bounds_soundness": Benchmark(
        "Does any bound ever fall below what a network does?",
        ("--graphs 348 --draws 20 --out runs/soundness.jsonl",),
        "--graphs 2 --draws 2 --out runs/quick/soundness.jsonl",
    ),
    "bounds_convolution": Benchmark("How far above the norm is the bound of a convolution?"),
    "stable_networks": Benchmark(
        "What does training for stability do to the worst case?",
        (
            "--without-tv --networks unet-mri unet-mri-jittered unet-mri-adversarial unet-mri-spectral",
            "--without-tv --images 2 --networks fbpconvnet-ell50 fbpconvnet-ell50-jittered",
        ),
        "--images 1 --radii 0.05 --evaluations 6 --networks unet-mri --without-tv",
    ),
    "scaling": Benchmark(
        "What does an audit of many slices cost beside the measuring?",
        ("--workers 1", "--workers 2 --slices 10 100", "--workers 1 2 --dask 2 --slices 20 --evaluations 3000"),
        "--workers 1 --slices 4",
    ),
    "kill": Benchmark(
        "Does an audit that is killed end as one that was not?",
        ("--kills 25 --workers 1", "--kills 25 --workers 2"),
        "--kills 1 --workers 1",
    ),
    "fuzz": Benchmark(
        "Does anything but the tool's own errors come out of a reader?", ("--minutes 60 --seed 200",), "--minutes 0.2"
    ),
}


def commands(name: str, *, quick: bool) -> list[list[str]]:
    """The commands of a benchmark, without the interpreter.

    Examples
    --------
    >>> commands("kill", quick=True)
    [['-m', 'benchmarks.kill', '--kills', '1', '--workers', '1']]
    """
    benchmark = BENCHMARKS[name]
    forms = benchmark.full if not quick else () if benchmark.quick is None else (benchmark.quick,)
    return [["-m", f"benchmarks.{name}", *shlex.split(form)] for form in forms]


def head(command: list[str]) -> str:
    """What a reader of the output must know: command, version, machine."""
    from stabtest import __version__

    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    return f"$ python {shlex.join(command)}\nstabtest {__version__}, {machine}\n\n"


def run(name: str, out: Path, *, quick: bool) -> tuple[int, float]:
    """Run a benchmark; the highest exit status of its commands, and the seconds that they took."""
    begun, status = time.perf_counter(), 0
    with (out / f"{name}.txt").open("w", encoding="utf-8") as record:
        for command in commands(name, quick=quick):
            record.write(head(command))
            record.flush()
            environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
            done = subprocess.run(
                [sys.executable, *command], stdout=record, stderr=subprocess.STDOUT, check=False, env=environment
            )
            record.write(f"\nexit status {done.returncode}\n\n")
            status = max(status, abs(done.returncode))
    return status, time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; the exit status is 1 where a benchmark did not end with 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks and keep their output.")
    parser.add_argument("--list", action="store_true", help="print what there is, run nothing")
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help="these; all if not given")
    parser.add_argument("--quick", action="store_true", help="a small form of each; its numbers mean nothing")
    parser.add_argument("--out", type=Path, default=RUNS / "benchmarks", help="where the output goes")
    given = parser.parse_args(arguments)
    chosen = given.only or list(BENCHMARKS)
    if given.list:
        for name in chosen:
            print(f"{name:20s} {BENCHMARKS[name].asks}")
            for command in commands(name, quick=given.quick):
                print(f"{'':20s}   python {shlex.join(command)}")
        return 0
    out = given.out / "quick" if given.quick else given.out
    out.mkdir(parents=True, exist_ok=True)
    worst = 0
    for name in chosen:
        if not commands(name, quick=given.quick):
            print(f"{name:20s} has no quick form")
            continue
        status, seconds = run(name, out, quick=given.quick)
        worst = max(worst, status)
        print(
            f"{name:20s} {'ended well' if status == 0 else f'exit status {status}':16s} {seconds:8.1f} s  {out / name}.txt",
            flush=True,
        )
    return int(worst != 0)


if __name__ == "__main__":
    sys.exit(main())
