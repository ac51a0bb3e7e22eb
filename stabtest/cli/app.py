"""The commands. What they need is imported when they run, so that ``stabtest --help`` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stabtest.cli.guard import FAILED, INCOMPLETE, WRONG, Debug, guarded
from stabtest.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from stabtest.audit.plan import Plan

app = typer.Typer(
    name="stabtest",
    help="Adversarial stability testing of MRI and CT reconstruction networks.",
    epilog="Exit status: 0 ran, nothing failed; 1 a criterion FAILED; 2 wrong use, configuration, network or data; "
    "3 ended before it was complete (the same command goes on).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A stabtest.toml ('stabtest init' writes one).")]
Workers = Annotated[int, typer.Option("--workers", min=0, metavar="N", help="Processes, one thread each; 0 or 1 = this one.")]
Device = Annotated[str, typer.Option("--device", metavar="D", help="Device of PyTorch: cpu, cuda, cuda:1.")]


Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers measure, such as tcp://10.0.0.1:8786."),
]

BOUND_SECONDS = 300.0
"""Time that ``stabtest bound`` gives to bounds below the product of the layers."""


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback(invoke_without_command=True)
def top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Adversarial stability testing of MRI and CT reconstruction networks."""
    if version:
        from stabtest import __version__

        typer.echo(f"stabtest {__version__}")
        raise typer.Exit


@app.command()
@guarded
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the reports go.")] = Path("stabtest-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="A smaller audit, in under a minute.")] = False,
    workers: Workers = 2,
    debug: Debug = False,
) -> int:
    """Audit the shipped MRI and the shipped CT network on simulated data and write both reports."""
    from stabtest.audit import load_config, make_plan

    folder = Path(__file__).resolve().parents[1] / "audit" / "demo"
    status = 0
    for name in ("mri", "ct"):
        file = folder / (f"{name}-quick.toml" if quick else f"{name}.toml")
        plan = make_plan(load_config(file), command="stabtest demo" + (" --quick" if quick else ""))
        status = max(status, _audit(plan, out / name, workers))
    return status


@app.command()
@guarded
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.")] = Path("stabtest.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    debug: Debug = False,
) -> int:
    """Write a stabtest.toml with every key commented."""
    from stabtest.audit import init_template
    from stabtest.audit.store import write_atomically

    if file.exists() and not force:
        raise ConfigError(str(file), expected="no file there", came="one", remedy="give another name, or --force")
    try:
        write_atomically(file, init_template().encode())
    except OSError as error:
        raise ConfigError(str(file), expected="a place that can be written", came=error.strerror or str(error)) from error
    typer.echo(f"{file} is written. Next: stabtest check {file}")
    return 0


@app.command()
@guarded
def schema(debug: Debug = False) -> int:
    """Print the JSON Schema of stabtest.toml, for editors that complete and check as one types."""
    import json

    from stabtest.audit import config_schema

    typer.echo(json.dumps(config_schema(), indent=1))
    return 0


@app.command()
@guarded
def check(config: ConfigFile, device: Device = "cpu", debug: Debug = False) -> int:
    """Load network and data and run the gates: shapes, adjoint, gradient, determinism, accuracy. No search."""
    from stabtest.audit.conduct import one_thread
    from stabtest.audit.gates import run_gates
    from stabtest.cli.tables import print_gates

    plan = _plan(config, device=device, seed=None, command=f"stabtest check {config.name}")
    with one_thread():
        gates = run_gates(plan)
    print_gates(gates, _console())
    failed = [f"{gate.name} of {gate.subject}" for gate in gates if not gate.passed]
    if failed:
        typer.echo(f"stabtest: {len(failed)} gate(s) failed: {', '.join(failed)}", err=True)
        return WRONG
    typer.echo(f"Every gate holds. The audit has {len(plan.units)} units: stabtest audit {config}")
    return 0


@app.command()
@guarded
def audit(
    config: ConfigFile,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Results folder; default CONFIG-audit here.")] = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: Device = "cpu",
    seed: Annotated[int | None, typer.Option("--seed", min=0, metavar="S", help="Instead of the configuration's.")] = None,
    debug: Debug = False,
) -> int:
    """Run an audit, or go on with one, and write report.json and report.html."""
    command = f"stabtest audit {config.name}" + (f" --seed {seed}" if seed is not None else "")
    if scheduler is not None and workers:
        raise ConfigError(
            "--workers",
            expected="none beside --scheduler",
            came=str(workers),
            remedy="leave it out: the cluster has its own workers",
        )
    plan = _plan(config, device=device, seed=seed, command=command, on_cluster=scheduler is not None)
    return _audit(plan, out or Path(f"{config.stem}-audit"), workers, scheduler)


@app.command()
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
    """Print the layer table, the upper bounds and the bracket of the Lipschitz constant."""
    from stabtest.audit.bound import lipschitz_section, write_section
    from stabtest.cli.progress import bounding
    from stabtest.cli.tables import print_bound

    plan = _plan(config, device=device, seed=None, command="stabtest bound")
    given = plan.config.lipschitz.seconds or BOUND_SECONDS if seconds is None else seconds
    with bounding(_console()) as progress:
        section = lipschitz_section(plan, seconds=given, folder=out, progress=progress)
    print_bound(section, _console())
    if out is not None:
        typer.echo("\n".join(map(str, write_section(section, out))))
    return 0


@app.command()
@guarded
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with a report.json.")],
    criteria: Annotated[
        Path | None, typer.Option("--criteria", metavar="FILE", help="A TOML file with other [[criterion]] tables.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Criteria that ship ('stabtest profiles' lists them).")
    ] = None,
    debug: Debug = False,
) -> int:
    """Render the report again from report.json, with other criteria if given."""
    from stabtest.audit.rejudge import rejudge, rejudge_by_profile
    from stabtest.cli.tables import print_summary
    from stabtest.report import load_document, write_report

    if criteria is not None and profile is not None:
        raise ConfigError(
            "stabtest report",
            expected="--criteria or --profile",
            came="both",
            remedy="a file of criteria can name a profile: [criteria] profile",
        )
    document = load_document(directory)
    if criteria is not None:
        document = rejudge(document, criteria)
    if profile is not None:
        document = rejudge_by_profile(document, profile)
    paths = write_report(document, directory)
    print_summary(document, _console())
    typer.echo(f"{paths.html}\n{paths.json}")
    if any(finding.verdict == "FAIL" for finding in document.findings):
        return FAILED
    return INCOMPLETE if document.failures else 0


@app.command()
@guarded
def profiles(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print the criteria of this one.")] = None,
    debug: Debug = False,
) -> int:
    """List the criteria that ship under a name, or print those of one with the reason for each limit."""
    from stabtest.audit import profiles as shelf

    if name is None:
        for each in shelf.profiles():
            typer.echo(f"{each.key}  {len(each.criteria)} criteria  {each.title}")
        return 0
    chosen = shelf.profile(name)
    typer.echo(f"{chosen.key}: {chosen.title}\nSource: {chosen.source}")
    for criterion in chosen.criteria:
        universal = ", universal" if criterion.universal else ""
        typer.echo(
            f"\n{criterion.id}\n  {criterion.statistic} {criterion.rule} {criterion.limit:g}{universal}\n  {criterion.rationale}"
        )
    return 0


@app.command()
@guarded
def compare(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR DIR...", help="Folders with a report.json.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the page goes.")] = Path("comparison.html"),
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Of the page.")] = "Audits side by side",
    same_protocol: Annotated[
        bool, typer.Option("--same-protocol", help="Refuse audits whose protocols differ, rather than marking what differs.")
    ] = False,
    debug: Debug = False,
) -> int:
    """Put several audits side by side in one page: statistics, curves, verdicts, and where their protocols differ."""
    from stabtest.cli.tables import print_comparison
    from stabtest.report.comparison import read_audits, require_one_protocol, write_comparison

    audits = read_audits(directories, page=out)
    if same_protocol:
        require_one_protocol(audits)
    file = write_comparison(audits, out, title=title)
    print_comparison(audits, _console())
    typer.echo(str(file))
    return 0


@app.command()
@guarded
def replay(
    witness: Annotated[Path, typer.Argument(metavar="WITNESS", help="A saved witness, such as DIR/witnesses/NAME.npz.")],
    config: ConfigFile,
    case: Annotated[
        str | None, typer.Option("--case", metavar="NAME", help="On which case; default that of the witness.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also on another measurement than it was found on.")] = False,
    device: Device = "cpu",
    debug: Debug = False,
) -> int:
    """Put a stored witness into the network of a configuration and its reference method. No search."""
    from stabtest.audit import load_config
    from stabtest.audit.conduct import one_thread
    from stabtest.audit.subject import load_subjects
    from stabtest.cli.replay import print_replay, replay_file

    loaded = load_config(config)
    subjects = load_subjects(loaded, device=_check_device(device))
    with one_thread():
        done = replay_file(witness, loaded, subjects, case=case, device=device, anyway=anyway)
    for each in done:
        print_replay(each, _console())
        if not each.feasible:
            typer.echo(f"stabtest: {each.title}: the witness is infeasible, {each.violation:.3g}", err=True)
    return 0


@app.command()
@guarded
def export(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the images go.")] = Path("stabtest-images"),
    observers: Annotated[
        bool, typer.Option("--observers", help="Also what the observers of [detectability] look at, with their scores.")
    ] = False,
    device: Device = "cpu",
    debug: Debug = False,
) -> int:
    """Write truths and reconstructions, and images with and without lesions, as MetaImage (.mhd, .raw) for other programs."""
    from stabtest.audit import load_config
    from stabtest.audit.conduct import one_thread
    from stabtest.audit.export import export_images
    from stabtest.audit.subject import load_subjects

    loaded = load_config(config)
    subjects = load_subjects(loaded, device=_check_device(device))
    with one_thread():
        export_images(loaded, subjects, out, observers=observers, device=device, progress=typer.echo)
    return 0


@app.command()
@guarded
def zoo(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print the card of this one.")] = None,
    debug: Debug = False,
) -> int:
    """List the built-in reconstructors, or print the card of one."""
    import reconstructors

    if name is None:
        from stabtest.cli.tables import zoo_line

        typer.echo(f"{'NAME':22s} {'SIZE':>5s} {'PARAMETERS':>11s} {'PSNR (TV), DB':>14s}  WHAT")
        for each in reconstructors.names():
            typer.echo(zoo_line(each, _card(each)))
        return 0
    reconstructors.load(name)  # names the nearest where there is none
    for key, value in _card(name).items():
        if key != "loss_curve":
            typer.echo(f"{key}: {value}")
    return 0


def _card(name: str) -> dict[str, Any]:
    from reconstructors import zoo as shelf

    classical = shelf.HERE / "cards" / f"{name}.json"
    return shelf.read_card(name) if classical.exists() else shelf.load(name).card


def _plan(config: Path, *, device: str, seed: int | None, command: str, on_cluster: bool = False) -> Plan:
    """The plan; of an audit on a cluster the device is the workers', and this machine need not have it."""
    from stabtest.audit import load_config, make_plan

    loaded = load_config(config)
    if on_cluster:
        return make_plan(loaded, device=_name_device(device), here="cpu", seed=seed, command=command)
    return make_plan(loaded, device=_check_device(device), seed=seed, command=command)


def _name_device(device: str) -> str:
    """A device that PyTorch knows, whether it is there or not."""
    import torch

    try:
        torch.device(device)
    except RuntimeError as error:
        raise ConfigError(
            f"--device {device}", expected="a device of PyTorch", came="a word that it does not know", remedy="use cpu or cuda"
        ) from error
    return device


def _check_device(device: str) -> str:
    """A device that is there."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        came = str(error).strip().split("\n")[0]
        raise ConfigError(f"--device {device}", expected="a device of this machine", came=came, remedy="use cpu") from error
    return device


def _audit(plan: Plan, out: Path, workers: int, scheduler: str | None = None) -> int:
    """Run a plan with progress, write the report, print the summary."""
    from stabtest.audit import run
    from stabtest.cli.progress import shown
    from stabtest.cli.tables import print_summary
    from stabtest.report import write_report

    console = _console()
    console.print(f"{plan.config.audit.title}: {len(plan.units)} units, results in {out}", highlight=False, soft_wrap=True)
    with shown(plan.units, console=console, workers=workers) as progress:
        result = run(plan, out, workers=workers, scheduler=scheduler, progress=progress)
    paths = write_report(result.document, out)
    print_summary(result.document, console)
    typer.echo(f"{paths.html}\n{paths.json}")
    if result.failed:
        return FAILED
    return 0 if result.complete else INCOMPLETE


def _console() -> Console:
    from rich.console import Console

    console = Console()
    # Tables are not squeezed where the output is a file.
    return console if console.is_terminal else Console(width=160)
