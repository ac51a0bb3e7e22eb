"""Which software, machine and files an audit rests on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

from stabtest import __version__
from stabtest.audit.cases.own_operator import own_files
from stabtest.audit.cases.slices import maps_files
from stabtest.audit.cases.trajectory import trajectory_files
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import file_sha256
from stabtest.audit.privacy import public, tail
from stabtest.findings.document import Tool

_PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "pandas", "h5py", "safetensors", "pydantic")


def tool(device: str) -> Tool:
    """The software and the machine."""
    return Tool(
        version=__version__,
        commit=_commit(),
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in _PACKAGES},
        platform=f"{platform.system()} {platform.machine()}",
        device=_device_name(device),
        threads=torch.get_num_threads(),
    )


def _device_name(device: str) -> str:
    """What the device is; of a cluster's GPU, that it is one."""
    if not device.startswith("cuda"):
        return device
    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else f"{device} of a cluster"


def _commit() -> str | None:
    """The commit of a checkout; an installed wheel has none."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        ran = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip() or None


def input_files(config: Config) -> dict[str, str]:
    """Every file that the configuration names, with its SHA-256."""
    names = [*config.data.files, *maps_files(config), *own_files(config), *trajectory_files(config)]
    names += [name for name in (config.operator.mask.file, config.network.weights, config.network.file) if name is not None]
    return {_shown(name, names): file_sha256(config.path(name)) for name in names}


def _shown(name: str, names: list[str]) -> str:
    """A path without folders of the machine, and still another one than those of other files."""
    shown = [public(each) for each in names]
    return public(name) if shown.count(public(name)) == 1 else tail(name, names)
