"""Commands that run the reconstructors of a configuration without a search: ``replay``, ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stabtest.cli.guard import Debug, guarded
from stabtest.cli.options import ConfigFile, Device
from stabtest.cli.prepare import check_device, open_console


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
    """Put a stored witness into the methods of a configuration. These are its network and its reference method; no search."""
    from stabtest.audit import load_config
    from stabtest.audit.conduct import one_thread
    from stabtest.audit.subject import load_subjects
    from stabtest.cli.replay import print_replay, replay_file

    loaded = load_config(config)
    subjects = load_subjects(loaded, device=check_device(device))
    with one_thread():
        done = replay_file(witness, loaded, subjects, case=case, device=device, anyway=anyway)
    for each in done:
        print_replay(each, open_console())
        if not each.feasible:
            typer.echo(f"stabtest: {each.title}: the witness is infeasible, {each.violation:.3g}", err=True)
    return 0


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
    """Write truths and reconstructions for other programs. As MetaImage (.mhd, .raw); with --observers also images with and without lesions."""
    from stabtest.audit import load_config
    from stabtest.audit.conduct import one_thread
    from stabtest.audit.document.export import export_images
    from stabtest.audit.subject import load_subjects

    loaded = load_config(config)
    subjects = load_subjects(loaded, device=check_device(device))
    with one_thread():
        export_images(loaded, subjects, out, observers=observers, device=device, progress=typer.echo)
    return 0
