"""How long ``stabtest --help`` takes, and what it imports.

The processor time (user and system) of whole processes, interpreter included, since other load on the machine would otherwise decide; beside it
that of ``python -c pass``, which nothing can go below. The least and the median are printed. The exit status is 1 where the median is above the
limit, or where anything heavy was imported.

    python -m benchmarks.startup [--repeats 15] [--limit 0.5]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence

HELP = "import sys; sys.argv = ['stabtest', '--help']; from stabtest.cli import main; main()"
HEAVY = ("torch", "numpy", "scipy", "pandas", "matplotlib", "pydantic", "h5py", "skimage", "jinja2")
IMPORTED = f"""
import sys
from typer.testing import CliRunner
from stabtest.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""


def seconds(code: str) -> float:
    """Processor time of a process that runs some code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, times: Sequence[float]) -> str:
    """A line of the table."""
    return f"{name:20s} {min(times):8.3f} {statistics.median(times):8.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Start-up time of the command line.")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--limit", type=float, default=0.5, help="seconds of processor time, median")
    given = parser.parse_args(arguments)
    times: dict[str, list[float]] = {"python -c pass": [], "stabtest --help": []}
    for _ in range(given.repeats):
        times["python -c pass"].append(seconds("pass"))
        times["stabtest --help"].append(seconds(HELP))
    print(f"{'processor seconds':20s} {'least':>8s} {'median':>8s}   ({given.repeats} repeats)")
    for name, each in times.items():
        print(row(name, each))
    heavy = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True).stdout.split()
    print(f"heavy modules imported: {', '.join(heavy) or 'none'}")
    return int(bool(heavy) or statistics.median(times["stabtest --help"]) > given.limit)


if __name__ == "__main__":
    sys.exit(main())
