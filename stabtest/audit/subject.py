"""The methods of an audit: the one under test, the reference beside it, and the direct linear reconstruction as baseline.

The reference goes through the same tests with the same budget, because a number without another to stand beside says little: an
unstable network and a hard problem look alike. The baseline shows what the data alone give.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import reconstructors
from stabtest import networks
from stabtest.audit.config import Config
from stabtest.audit.config.settings import NetworkSection
from stabtest.audit.fingerprint import digest, file_sha256
from stabtest.audit.privacy import public
from stabtest.errors import AuditError, ConfigError
from stabtest.findings.document import Item
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Method, Modality, Reconstruct, Role

TV_ITERATIONS = 300
TV_WEIGHTS: dict[Modality, float] = {"mri": 8e-3, "ct": 1.3e-3, "other": 5e-2}
WEIGHTS: dict[str, dict[Modality, float]] = {
    "tv": TV_WEIGHTS,
    "tgv": {"mri": 8e-3, "ct": 1e-3, "other": 5e-2},
    "wavelet": {"mri": 4e-3, "ct": 1.5e-3, "other": 5e-2},
}
"""Regularisation weights relative to image values, chosen on the phantoms of this project (`experiments.training`; total generalised variation in MRI
within 0.01 dB of its best). Those for denoising were chosen for none but total variation."""

TRAJECTORY_WEIGHTS = {"tv": 4e-4, "tgv": 4e-4, "wavelet": 3e-4}
"""The same along a trajectory, whose norm is several times that of a Cartesian scan since it measures the middle of k-space again and again: near
the best of a few on one head phantom of 128 pixels, 50 spokes, one coil, 1 % noise."""

OWN_WEIGHT = 2e-3
"""The same for an operator of the user's own, of which nothing is known but its norm; suited to no particular noise."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A method with what the report says about it and what its results depend on.

    Parameters
    ----------
    method
        What reconstructs.
    item
        For the report.
    fingerprint
        SHA-256 of everything that determines the method: source, arguments, weights, adaptation.
    module
        The network, or None for a classical method.
    """

    method: Method
    item: Item
    fingerprint: str
    module: nn.Module | None = None

    @property
    def role(self) -> Role:
        """Its part in the audit."""
        return self.method.role


def load_subjects(config: Config, *, device: str = "cpu") -> tuple[Subject, ...]:
    """The method under test, then the reference (if any), then the baseline.

    Parameters
    ----------
    config
        What to audit.
    device
        Where networks compute.

    Raises
    ------
    NetworkError
        If the network cannot be loaded.
    ConfigError
        If the zoo has no such reconstructor, what it has is none, or two methods have the same name.
    """
    subjects = [_under_test(config, device)]
    if config.reference.method != "none":
        subjects.append(load_reference(config))
    direct = {"mri": "zero-filled", "ct": "fbp", "other": "direct"}[config.modality]
    baseline = "gridding" if config.operator.has_trajectory else direct
    if baseline not in {subject.method.name for subject in subjects} and config.network.zoo != baseline:
        subjects.append(_classical(baseline, "baseline", _direct, {}, DIRECT))
    seen = [subject.method.name for subject in subjects]
    if len(set(seen)) < len(seen):
        raise ConfigError(
            "[network] name", expected="a name of its own", came=f"{seen[0]!r}, that of another method", remedy="set name"
        )
    return tuple(subjects)


DIRECT = "Direct linear reconstruction: what the data alone give."
"""Of the pseudo-inverse of an operator, whatever it is called there."""


def _direct(y: Tensor, operator: LinearOperator) -> Tensor:
    return operator.pseudo_inverse(y)


def _under_test(config: Config, device: str) -> Subject:
    section = config.network
    if section.zoo is None:
        return _own_network(config, device) if section.factory is not None else _closed(config, device)
    entry = reconstructors.load(section.zoo)
    if entry.module is None:
        assert entry.make is not None
        chosen = _regularised(config, section.zoo)
        method = entry.make(**chosen)
        settings = chosen or _own_settings(method)
        return _classical(section.label, "under test", method, settings, str(entry.card["description"]))
    if not entry.card.get("reconstructs", True):
        raise ConfigError(
            f"[network] zoo = {section.zoo!r}",
            expected="a reconstructor",
            came="a network that makes no image of a measurement",
            remedy="stabtest.bounds.lipschitz bounds it",
        )
    options = {"takes": entry.takes, "channels": entry.channels, "scale": entry.scale}
    item = Item(
        name=section.label,
        role="under test",
        description=str(entry.card.get("description", "")),
        settings=options,
        parameters=_parameters(entry.module),
        weights_file=entry.weights.name if entry.weights else None,
        weights_sha256=file_sha256(entry.weights) if entry.weights else None,
        card=entry.card,
        intended_use=config.audit.intended_use or None,
    )
    return _network(section, entry.module, options, item, device, {"zoo": section.zoo})


def _own_network(config: Config, device: str) -> Subject:
    section = config.network
    assert section.factory is not None
    module = networks.load_factory(section.factory, arguments=section.arguments, base_dir=config.base_dir)
    sha256 = None
    if section.weights is not None:
        sha256 = networks.load_weights(module, config.path(section.weights)).sha256
    options = {"takes": section.takes, "channels": section.channels, "scale": section.scale}
    item = Item(
        name=section.label,
        role="under test",
        description=_first_line(module) or f"The user's network {public(section.factory)}.",
        settings=public({"factory": section.factory, "arguments": section.arguments, **options}),
        parameters=_parameters(module),
        weights_file=public(section.weights),
        weights_sha256=sha256,
        intended_use=config.audit.intended_use or None,
    )
    return _network(section, module, options, item, device, {"factory": section.factory, "source": _source(config, module)})


def _closed(config: Config, device: str) -> Subject:
    """A network with its code in a file, or a program."""
    section = config.network
    options = {"takes": section.takes, "channels": section.channels, "scale": section.scale}
    if section.file is not None:
        path = config.path(section.file)
        sha256, settings = networks.sha256(path), {"file": section.file, "trusted": section.trusted}
        if networks.is_onnx(path):
            module: networks.Network = networks.load_onnx(path)
            description = "The user's network in an ONNX file, converted; its images agree with those of onnxruntime."
            if module.problem:
                description = f"The user's network in an ONNX file, run by onnxruntime without a gradient: {module.problem}."
        else:
            module = networks.load_executable(path, trusted=section.trusted)
            description = "The user's network with its code in a file, which the user declared to be trusted."
    else:
        assert section.command is not None
        module = networks.Program(
            section.command, format=section.format, timeout=section.timeout, folder=Path(config.base_dir).resolve()
        )
        sha256, settings = _program_sha256(config), {"command": section.command, "format": section.format}
        description = "The user's program, run for each image; no gradient can be had."
    item = Item(
        name=section.label,
        role="under test",
        description=description,
        settings=public({**settings, **options}),
        parameters=_parameters(module),
        weights_file=public(section.file),
        weights_sha256=sha256,
        intended_use=config.audit.intended_use or None,
    )
    return _network(section, module, options, item, device, {**settings, "sha256": sha256})


def _program_sha256(config: Config) -> str | None:
    """Of the files that the command names: another program is another method. None where it names none that is there."""
    words = shlex.split(str(config.network.command))
    found = [config.path(word) for word in words if "{" not in word and os.path.isfile(config.path(word))]
    program = shutil.which(words[0]) if words else None
    files = sorted({*map(Path, filter(None, [program])), *found})
    return digest([file_sha256(path) for path in files]) if files else None


def _network(
    section: NetworkSection,
    module: networks.Network,
    options: dict[str, str],
    item: Item,
    device: str,
    origin: dict[str, Any],
) -> Subject:
    own = module.to(device) if isinstance(module, nn.Module) else None
    wrapped = networks.wrap(own or module, **options)  # pyright: ignore[reportArgumentType]
    fingerprint = digest([section.label, options, origin, section.arguments, _state_sha256(own) if own else None])
    return Subject(Method(section.label, "under test", wrapped), item, fingerprint, own)


def load_reference(config: Config) -> Subject:
    """The classical method beside the one under test.

    Parameters
    ----------
    config
        With another ``[reference] method`` than ``"none"``.
    """
    name = config.reference.method
    if name == "gridding":
        return _classical(name, "reference", _direct, {}, DIRECT)
    entry = reconstructors.load(name)
    assert entry.make is not None
    method = entry.make(**_regularised(config, name))
    return _classical(name, "reference", method, _own_settings(method), str(entry.card["description"]))


def _regularised(config: Config, name: str) -> dict[str, Any]:
    """Weight and iterations of a method that has them."""
    if name not in WEIGHTS:
        return {}
    section = config.reference
    return {
        "weight": default_weight(config, name) if section.weight is None else section.weight,
        "iterations": TV_ITERATIONS if section.iterations is None else section.iterations,
    }


def default_weight(config: Config, name: str) -> float:
    """Regularisation weight of a method where none is given."""
    if config.operator.has_trajectory:
        return TRAJECTORY_WEIGHTS[name]
    return OWN_WEIGHT if config.operator.kind == "own" else WEIGHTS[name][config.modality]


def _own_settings(method: Reconstruct) -> dict[str, Any]:
    """Settings that a method has by itself, for the report; none of a plain function."""
    if not dataclasses.is_dataclass(method):
        return {}
    return {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}


def _classical(name: str, role: Role, reconstruct: Reconstruct, settings: dict[str, Any], description: str) -> Subject:
    item = Item(name=name, role=role, description=description, settings=settings)
    return Subject(Method(name, role, reconstruct), item, digest([name, settings]))


def _parameters(module: object) -> int | None:
    return sum(p.numel() for p in module.parameters()) if isinstance(module, nn.Module) else None


def _state_sha256(module: nn.Module) -> str:
    """Hash of all parameters and buffers, whatever file they came from."""
    total = hashlib.sha256()
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            total.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
            total.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _source(config: Config, module: object) -> dict[str, str]:
    """Hashes of the files that the user's code is in: the factory's and that of the network's class."""
    files: set[Path] = set()
    named = str(config.network.factory).rpartition(":")[0]
    for candidate in (named, named.replace(".", "/") + ".py"):
        if candidate.endswith(".py") and config.path(candidate).is_file():
            files.add(config.path(candidate))
    try:
        own = inspect.getsourcefile(type(module))
    except TypeError:
        own = None
    if own is not None and Path(own).is_file():
        files.add(Path(own))
    return {path.name: file_sha256(path) for path in sorted(files)}


def _first_line(module: object) -> str:
    """First line of the docstring of the user's own class; not that of a class of PyTorch."""
    kind = type(module)
    return (kind.__doc__ or "").strip().split("\n")[0] if not kind.__module__.startswith("torch.") else ""


def check_same(subjects: tuple[Subject, ...], fingerprints: dict[str, str]) -> None:
    """Refuse to measure a network that is not the planned one.

    Raises
    ------
    AuditError
        If a factory made another network this time (random weights without a seed).
    """
    for subject in subjects:
        if fingerprints[subject.method.name] != subject.fingerprint:
            raise AuditError(
                f"network {subject.method.name}",
                expected="the same network each time that it is loaded",
                came="other weights than when the audit was planned",
                remedy="give a weights file, or seed the factory",
            )
