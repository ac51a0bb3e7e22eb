"""How strong the worst-case search is, beside the published attacks at equal numbers of gradients.

Every reconstructor of the zoo that has a training recipe, and total variation in MRI and CT, at three radii (relative to the norm of
the measurement; noise is at about 0.014 in the MRI problems and 0.065 in the CT ones), on phantoms that no training has seen. For each
method and setting the largest distance to the clean reconstruction found after 5, 10, 20, 50 and 100 gradient evaluations, from equal
starts; the published settings and the best of a grid of learning rates (``benchmarks/strength``).

    python benchmarks/search_strength.py --out runs/strength.jsonl --workers 2
    python benchmarks/search_strength.py --out runs/strength.jsonl --report

Results are appended to the file, and a second run does only what is missing. The report prints Markdown tables and whether the two goals are met;
the exit status is 1 where one is not (``--judge`` says whether on every image or in the mean).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from benchmarks.strength import jobs, methods, subjects, tables

RADII = (0.005, 0.02, 0.08)


def plan(options: argparse.Namespace) -> list[jobs.Job]:
    """Every job that is asked for, whether its result is there or not."""
    code = {setting.family: jobs.code_of(setting.family) for setting in methods.settings()}
    return [
        jobs.Job(
            network=name,
            size=subjects.size_of(name, options.size),
            radius=radius,
            images=chunk,
            family=setting.family,
            label=setting.label,
            budgets=tuple(options.budgets),
            code=code[setting.family],
        )
        for name in options.networks
        for radius in options.radii
        for chunk in chunks(options.images, options.batch)
        for setting in methods.settings()
        if not options.methods or setting.family in options.methods
    ]


def chunks(count: int, size: int) -> list[tuple[int, ...]]:
    """``0 ... count - 1`` in pieces.

    Examples
    --------
    >>> chunks(5, 2)
    [(0, 1), (2, 3), (4,)]
    """
    return [tuple(range(first, min(first + size, count))) for first in range(0, count, size)]


def start_worker() -> None:
    """One thread each: several fighting for the same cores are slower."""
    torch.set_num_threads(1)


def run(options: argparse.Namespace) -> int:
    """Do what is missing, and append it; returns the number of jobs done."""
    done = {row.address: row for row in jobs.read(options.out)}
    digests: dict[tuple[str, int], str] = {}
    todo: list[jobs.Job] = []
    for job in plan(options):
        key = (job.network, job.size)
        if key not in digests:
            digests[key] = subjects.load(job.network, job.size, (0,)).digest
        left = jobs.missing(job, done, digest=digests[key])
        if left is not None:
            todo.append(left)
    print(f"{len(todo)} jobs to do, {len(done)} results there", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    context = get_context("spawn")
    with (
        options.out.open("a", encoding="utf-8") as stream,
        ProcessPoolExecutor(options.workers, mp_context=context, initializer=start_worker) as pool,
    ):
        pending = {pool.submit(jobs.execute, job): job for job in todo}
        for count, future in enumerate(as_completed(pending), 1):
            job = pending[future]
            for row in future.result():
                stream.write(row.line() + "\n")
            stream.flush()
            minutes = (time.perf_counter() - begin) / 60
            print(f"{count}/{len(todo)} {minutes:.1f} min  {job.network} {job.radius:g} {job.family} {job.label}", flush=True)
    return len(todo)


def report(options: argparse.Namespace) -> int:
    """Print tables and judgements; 1 where a goal is missed."""
    rows = [
        row for row in jobs.latest(jobs.read(options.out)) if row.network in options.networks and row.radius in options.radii
    ]
    if not rows:
        print(f"{options.out}: no results", file=sys.stderr)
        return 2
    print(tables.tables(rows))
    verdicts = tables.judge(rows)
    print("\n".join(verdict.line() for verdict in verdicts))
    for verdict in verdicts:
        if verdict.failures and verdict.scope == options.judge:
            print(f"\n{verdict.goal}; where it is not met:\n" + "\n".join(f"  {failure}" for failure in verdict.failures))
    old = sorted({row.family for row in rows if row.code != jobs.code_of(row.family)})
    if old:
        print(f"\nfound by another version of the source than the present one: {', '.join(old)}")
    seconds = sum(row.seconds for row in rows)
    print(f"\n{sum(row.evaluations for row in rows)} evaluations of one image each, {seconds / 3600:.2f} hours of one core")
    return int(not all(verdict.met for verdict in verdicts if verdict.scope == options.judge))


def main() -> int:
    """Run, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    families = list(dict.fromkeys(setting.family for setting in methods.settings()))
    parser.add_argument("--out", type=Path, default=Path("runs/strength.jsonl"), help="record, appended to")
    parser.add_argument("--report", action="store_true", help="print what the record says, run nothing")
    parser.add_argument("--judge", choices=["image", "mean"], default="image", help="scope of the goals for the exit status")
    parser.add_argument("--networks", nargs="+", choices=subjects.names(), default=subjects.names())
    parser.add_argument("--methods", nargs="+", choices=families, help="families of methods; all if not given")
    parser.add_argument("--radii", nargs="+", type=float, default=list(RADII))
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--size", type=int, help="side in pixels, for networks that take any; that of training if not given")
    parser.add_argument("--budgets", nargs="+", type=int, default=list(methods.BUDGETS))
    parser.add_argument("--batch", type=int, default=10, help="images in one job")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.report:
        return report(options)
    torch.set_num_threads(1)
    run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
