"""Commands that print or write what ships: ``init``, ``schema``, ``profiles``, ``zoo``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from stabtest.cli.guard import Debug, guarded
from stabtest.errors import ConfigError


@guarded
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.")] = Path("stabtest.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    debug: Debug = False,
) -> int:
    """Write a stabtest.toml with every key commented."""
    from stabtest.audit import init_template
    from stabtest.audit.units.store import write_atomically

    if file.exists() and not force:
        raise ConfigError(str(file), expected="no file there", came="one", remedy="give another name, or --force")
    try:
        write_atomically(file, init_template().encode())
    except OSError as error:
        raise ConfigError(str(file), expected="a place that can be written", came=error.strerror or str(error)) from error
    typer.echo(f"{file} is written. Next: stabtest check {file}")
    return 0


@guarded
def schema(debug: Debug = False) -> int:
    """Print the JSON Schema of stabtest.toml. Editors complete and check by it as one types."""
    import json

    from stabtest.audit import config_schema

    typer.echo(json.dumps(config_schema(), indent=1))
    return 0


@guarded
def profiles(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print the criteria of this one.")] = None,
    debug: Debug = False,
) -> int:
    """List the criteria that ship, or print those of one name. With the reason for each limit."""
    from stabtest.audit.config import profiles as shelf

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


@guarded
def zoo(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print the card of this one.")] = None,
    debug: Debug = False,
) -> int:
    """List the built-in reconstructors, or print the card of one."""
    import reconstructors

    if name is None:
        from stabtest.cli.tables import zoo_line

        names = reconstructors.names()
        width = max(map(len, names))
        typer.echo(f"{'NAME':{width}s} {'SIZE':>5s} {'PARAMETERS':>11s} {'PSNR (TV), DB':>14s}  WHAT")
        for each in names:
            typer.echo(zoo_line(each, _card(each), width=width))
        return 0
    reconstructors.load(name)  # names the nearest where there is none
    card = _card(name)
    for key, value in _entries(card):
        if key != "loss_curve":
            typer.echo(f"{key}: {value}")
    lines = configuration_of(name, card)
    if lines:
        typer.echo("\nTo audit it on the scan that it was trained for, as stabtest.toml:\n\n" + "\n".join(lines))
    return 0


def configuration_of(name: str, card: dict[str, Any]) -> list[str]:
    r"""The lines of a configuration with the scan of a model card; none where the card does not say it in full.

    Examples
    --------
    >>> card = {"operator": {"kind": "radon", "angles": 50}, "size": 128, "noise_level": 0.02, "training": {"data": "9 chest phantoms"}}
    >>> print("\n".join(configuration_of("net", card)))
    [network]
    zoo = "net"
    [operator]
    kind = "radon"
    size = 128
    angles = 50
    [data]
    phantom = "chest"
    noise = 0.02
    """
    scan = dict(card.get("operator", {}))
    phantom = re.match(r"\d+ (\w+) phantoms", str(card.get("training", {}).get("data")))
    if scan.get("kind") not in ("fourier", "radon", "identity") or phantom is None:
        return []
    kind, mask = scan.pop("kind"), scan.pop("mask", None)
    operator = [f'kind = "{kind}"', f"size = {card['size']}"]
    if mask is None:
        operator += [f"{key} = {value}" for key, value in scan.items()]
    else:
        operator += [f'mask.kind = "{mask}"', *(f"mask.{key} = {value}" for key, value in scan.items())]
    data = [f'phantom = "{phantom[1]}"', f"noise = {card['noise_level']}"]
    return ["[network]", f'zoo = "{name}"', "[operator]", *operator, "[data]", *data]


def _entries(card: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Entry by entry, those of tables as ``table.key``, as the report prints a card."""
    for key, value in card.items():
        if isinstance(value, dict):
            yield from _entries(cast("dict[str, Any]", value), f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _card(name: str) -> dict[str, Any]:
    from reconstructors import zoo as shelf

    classical = shelf.HERE / "cards" / f"{name}.json"
    return shelf.read_card(name) if classical.exists() else shelf.load(name).card
