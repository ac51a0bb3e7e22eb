"""From exceptions to exit statuses: what a user caused is one message on stderr, never a traceback."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Annotated, ParamSpec

import typer

from stabtest.errors import IncompleteError, StabtestError

FAILED, WRONG, INCOMPLETE, DEFECT = 1, 2, 3, 70
"""Exit statuses; 70 is EX_SOFTWARE of sysexits.h."""

P = ParamSpec("P")
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
"""Option of every command."""


def guarded(command: Callable[P, int]) -> Callable[P, None]:
    """A command that returns its exit status, with every exception turned into one.

    Parameters
    ----------
    command
        Has a keyword argument ``debug``.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _terminate_as_interrupt()
        try:
            status = command(*args, **kwargs)
        except IncompleteError as error:
            if kwargs.get("debug"):
                traceback.print_exc()
            typer.echo(f"stabtest: {error}", err=True)
            status = INCOMPLETE
        except StabtestError as error:
            if kwargs.get("debug"):
                traceback.print_exc()
            typer.echo(f"stabtest: {error}", err=True)
            status = WRONG
        except KeyboardInterrupt:
            typer.echo(f"stabtest: interrupted; {_kept(command.__name__, kwargs)}", err=True)
            status = INCOMPLETE
        except BrokenPipeError:
            # Whoever read the output has stopped ('| head'); the interpreter must not try to flush into it again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = INCOMPLETE
        except Exception:
            traceback.print_exc()
            typer.echo("stabtest: this is a defect of the tool; please report it with the lines above", err=True)
            status = DEFECT
        raise typer.Exit(status)

    run.__annotations__["return"] = None
    return run


def _kept(command: str, options: Mapping[str, object]) -> str:
    """What an interruption leaves behind: only these commands store pieces that the next run finds."""
    if command in ("audit", "demo") or (command == "bound" and options.get("out") is not None):
        return "what is done is kept, the same command goes on from there"
    return "the same command begins again"


def _terminate_as_interrupt() -> None:
    """A polite end by a scheduler (SIGTERM) is an interruption too."""
    if threading.current_thread() is threading.main_thread() and sys.platform != "win32":
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
