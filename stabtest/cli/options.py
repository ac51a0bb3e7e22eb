"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A stabtest.toml ('stabtest init' writes one).")]
Workers = Annotated[int, typer.Option("--workers", min=0, metavar="N", help="Processes, one thread each; 0 or 1 = this one.")]
Device = Annotated[str, typer.Option("--device", metavar="D", help="Device of PyTorch: cpu, cuda, cuda:1.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers measure, such as tcp://10.0.0.1:8786."),
]
