"""Commands that read a ``report.json`` and nothing else: ``report``, ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stabtest.cli.gate import Junit, Strict, Summary, clear, status_of, write_verdicts
from stabtest.cli.guard import Debug, guarded
from stabtest.cli.prepare import open_console
from stabtest.errors import ConfigError


@guarded
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with a report.json.")],
    criteria: Annotated[
        Path | None, typer.Option("--criteria", metavar="FILE", help="A TOML file with other [[criterion]] tables.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Criteria that ship ('stabtest profiles' lists them).")
    ] = None,
    junit: Junit = None,
    summary: Summary = None,
    strict: Strict = False,
    debug: Debug = False,
) -> int:
    """Render the report again, with other criteria if given. It is made from report.json alone."""
    from stabtest.audit.document.rejudge import rejudge, rejudge_by_profile
    from stabtest.cli.tables import print_summary
    from stabtest.report import load_document, write_report

    if criteria is not None and profile is not None:
        raise ConfigError(
            "stabtest report",
            expected="--criteria or --profile",
            came="both",
            remedy="a file of criteria can name a profile: [criteria] profile",
        )
    clear(junit, summary, read=(criteria, directory / "report.json", directory / "report.html"))
    document = load_document(directory)
    if criteria is not None:
        document = rejudge(document, criteria)
    if profile is not None:
        document = rejudge_by_profile(document, profile)
    paths = write_report(document, directory)
    print_summary(document, open_console())
    typer.echo(f"{paths.html}\n{paths.json}")
    write_verdicts(document, junit=junit, summary=summary)
    return status_of(document, strict=strict)


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
    """Put several audits side by side in one page. It has statistics, curves, verdicts, and where their protocols differ."""
    from stabtest.cli.tables import print_comparison
    from stabtest.report.comparison import read_audits, require_one_protocol, write_comparison

    audits = read_audits(directories, page=out)
    if same_protocol:
        require_one_protocol(audits)
    file = write_comparison(audits, out, title=title)
    print_comparison(audits, open_console())
    typer.echo(str(file))
    return 0
