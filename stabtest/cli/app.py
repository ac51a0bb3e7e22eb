"""The program ``stabtest``: its commands, in the order of its help.

A command is a function in a module of its kind that imports what it needs when it runs, so that ``stabtest --help`` is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from stabtest.cli.measure import audit, bound, check, demo
from stabtest.cli.pages import compare, report
from stabtest.cli.reconstruct import export, replay
from stabtest.cli.shelf import init, profiles, schema, zoo

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

for command in (demo, init, schema, check, audit, bound, report, profiles, compare, replay, export, zoo):
    app.command()(command)


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
