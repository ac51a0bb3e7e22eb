"""What commands do first: a plan from the configuration, a device that is there, a console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stabtest.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from stabtest.audit.units.plan import Plan


def plan_from(config: Path, *, device: str, seed: int | None, command: str, on_cluster: bool = False) -> Plan:
    """The plan; of an audit on a cluster the device is the workers', and this machine need not have it."""
    from stabtest.audit import load_config, make_plan

    loaded = load_config(config)
    if on_cluster:
        return make_plan(loaded, device=name_device(device), here="cpu", seed=seed, command=command)
    return make_plan(loaded, device=check_device(device), seed=seed, command=command)


def check_device(device: str) -> str:
    """A device that is there."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        came = str(error).strip().split("\n")[0]
        raise ConfigError(f"--device {device}", expected="a device of this machine", came=came, remedy="use cpu") from error
    return device


def name_device(device: str) -> str:
    """A device that PyTorch knows, whether it is there or not."""
    import torch

    try:
        torch.device(device)
    except RuntimeError as error:
        raise ConfigError(
            f"--device {device}", expected="a device of PyTorch", came="a word that it does not know", remedy="use cpu or cuda"
        ) from error
    return device


def open_console() -> Console:
    """Where tables go; they are not squeezed where the output is a file."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)
