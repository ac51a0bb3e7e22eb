"""Commands that measure: ``demo``, ``check``, ``audit``, ``bound``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stabtest.cli.gate import Junit, Strict, Summary, clear, status_of, write_verdicts
from stabtest.cli.guard import WRONG, Debug, guarded
from stabtest.cli.options import ConfigFile, Device, Scheduler, Workers
from stabtest.cli.prepare import open_console, plan_from
from stabtest.errors import ConfigError

if TYPE_CHECKING:
    from stabtest.audit.units.plan import Plan
    from stabtest.findings import Document

BOUND_SECONDS = 300.0
"""Time that ``stabtest bound`` gives to bounds below the product of the layers."""


@guarded
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the reports go.")] = Path("stabtest-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="A smaller audit, of a few minutes.")] = False,
    workers: Workers = 2,
    debug: Debug = False,
) -> int:
    """Audit the shipped MRI and CT networks on simulated data. Writes a report of each."""
    from stabtest.audit import load_config, make_plan

    folder = Path(__file__).resolve().parents[1] / "audit" / "demo"
    status = 0
    for name in ("mri", "ct"):
        file = folder / (f"{name}-quick.toml" if quick else f"{name}.toml")
        plan = make_plan(load_config(file), command="stabtest demo" + (" --quick" if quick else ""))
        status = max(status, status_of(_audit(plan, out / name, workers)))
    return status


@guarded
def check(config: ConfigFile, device: Device = "cpu", debug: Debug = False) -> int:
    """Load network and data and run the gates. They are shapes, adjoint, gradient, determinism, accuracy; no search."""
    from stabtest.audit.conduct import one_thread
    from stabtest.audit.gates import run_gates
    from stabtest.cli.progress import naming
    from stabtest.cli.tables import print_gates
    from stabtest.report.numbers import many

    plan = plan_from(config, device=device, seed=None, command=f"stabtest check {config.name}")
    with one_thread(), naming(open_console()) as tell:
        gates = run_gates(plan, tell=tell)
    print_gates(gates, open_console())
    # A program has no gradient and is not expected to; of a network in PyTorch it is a mistake that should be mended.
    program = plan.config.network.command is not None
    failed = [
        f"{gate.name} of {gate.subject}" for gate in gates if not gate.passed and not (program and gate.name == "gradient")
    ]
    if program:
        typer.echo("A program has no gradient: its worst case is searched by queries alone.")
    if failed:
        typer.echo(f"stabtest: {many(len(failed), 'gate')} failed: {', '.join(failed)}", err=True)
        return WRONG
    typer.echo(f"Every{' other' if program else ''} gate holds. The audit has {len(plan.units)} units: stabtest audit {config}")
    return 0


@guarded
def audit(
    config: ConfigFile,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Results folder; default CONFIG-audit here.")] = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: Device = "cpu",
    seed: Annotated[int | None, typer.Option("--seed", min=0, metavar="S", help="Instead of the configuration's.")] = None,
    junit: Junit = None,
    summary: Summary = None,
    strict: Strict = False,
    debug: Debug = False,
) -> int:
    """Run an audit, or go on with one, and write the report."""
    out = out or Path(f"{config.stem}-audit")
    clear(junit, summary, read=(config, out / "report.json", out / "report.html"))
    command = f"stabtest audit {config.name}" + (f" --seed {seed}" if seed is not None else "")
    if scheduler is not None and workers:
        raise ConfigError(
            "--workers",
            expected="none beside --scheduler",
            came=str(workers),
            remedy="leave it out: the cluster has its own workers",
        )
    plan = plan_from(config, device=device, seed=seed, command=command, on_cluster=scheduler is not None)
    document = _audit(plan, out, workers, scheduler)
    write_verdicts(document, junit=junit, summary=summary)
    return status_of(document, strict=strict)


@guarded
def bound(
    config: ConfigFile,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", min=0, metavar="S", help="Time for bounds below the product; default [lipschitz] seconds, or 300."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Also write bound.json and layers.csv there, and what another run goes on from.",
        ),
    ] = None,
    device: Device = "cpu",
    debug: Debug = False,
) -> int:
    """Print the layer table and the brackets of Lipschitz constants."""
    from stabtest.audit.bound import lipschitz_section, write_section
    from stabtest.cli.progress import bounding
    from stabtest.cli.tables import print_bound

    plan = plan_from(config, device=device, seed=None, command="stabtest bound")
    given = plan.config.lipschitz.seconds or BOUND_SECONDS if seconds is None else seconds
    with bounding(open_console()) as progress:
        section = lipschitz_section(plan, seconds=given, folder=out, progress=progress)
    print_bound(section, open_console())
    if out is not None:
        typer.echo("\n".join(map(str, write_section(section, out))))
    return 0


def _audit(plan: Plan, out: Path, workers: int, scheduler: str | None = None) -> Document:
    """Run a plan with progress, write the report, print the summary."""
    from stabtest.audit import run
    from stabtest.cli.progress import shown
    from stabtest.cli.tables import print_summary
    from stabtest.report import write_report

    console = open_console()
    console.print(f"{plan.config.audit.title}: {len(plan.units)} units, results in {out}", highlight=False, soft_wrap=True)
    with shown(plan.units, console=console, workers=workers) as progress:
        result = run(plan, out, workers=workers, scheduler=scheduler, progress=progress, tell=progress.tell)
    paths = write_report(result.document, out)
    print_summary(result.document, console)
    typer.echo(f"{paths.html}\n{paths.json}")
    return result.document
