"""The files of a configuration, written out: folders and patterns become the names in them."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stabtest.audit.config.model import Config
from stabtest.errors import ConfigError


def with_every_file(config: Config, name: str) -> Config:
    """The configuration with its folders and patterns of files written out, in the order of their names.

    Parameters
    ----------
    config
        With the folder that relative names start at.
    name
        Of the file, for messages.

    Raises
    ------
    ConfigError
        If nothing matches a pattern, or the patients or groups are not as many as the files.
    """
    data, training = config.data, config.training
    found = _written_out(config, data.files, f"{name}: [data] files")
    trained = _written_out(config, training.files, f"{name}: [training] files")
    _as_many(f"{name}: [data] patients", data.patients, len(found), otherwise="every file is its own")
    if data.kind == "phantom":
        _as_many(f"{name}: [data] groups", data.groups, data.count, otherwise="there are none", what="phantoms")
    else:
        _as_many(f"{name}: [data] groups", data.groups, len(found), otherwise="there are none")
    changed: dict[str, Any] = {}
    if found != data.files:
        changed["data"] = data.model_copy(update={"files": found})
    if trained != training.files:
        changed["training"] = training.model_copy(update={"files": trained})
    return config.model_copy(update=changed).at(config.base_dir) if changed else config


def _written_out(config: Config, entries: Sequence[str], key: str) -> tuple[str, ...]:
    found: list[str] = []
    for entry in entries:
        path = config.path(entry)
        if any(character in entry for character in "*?["):
            matches = sorted(match for match in map(Path, glob.glob(str(path), recursive=True)) if match.is_file())
        elif _is_folder(path):
            matches = sorted(match for match in path.iterdir() if match.is_file() and not match.name.startswith("."))
        else:
            found.append(entry)  # whether it is there is told when the data are read
            continue
        if not matches:
            raise ConfigError(
                key, expected=f"files that match {entry!r}", came="none", remedy=f"relative names start at {config.base_dir}"
            )
        inside = not Path(os.path.expandvars(entry)).is_absolute()
        found += [os.path.relpath(match, config.base_dir) if inside else str(match) for match in matches]
    return tuple(found)


def _as_many(key: str, names: Sequence[str], count: int, *, otherwise: str, what: str = "files") -> None:
    if names and len(names) != count:
        word = key.rsplit(" ", 1)[1]
        raise ConfigError(
            key,
            expected=f"as many {word} as {what}, {count}",
            came=str(len(names)),
            remedy=f"name the {word[:-1]} of each, or leave {word} out: then {otherwise}",
        )


def _is_folder(path: Path) -> bool:
    """Whether it is one; a name that no file system can have is none, which is told when the data are read."""
    try:
        return path.is_dir()
    except OSError:
        return False
