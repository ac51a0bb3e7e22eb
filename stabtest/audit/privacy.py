"""What a report that others see does not show: the folders of the machine that an audit ran on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar, cast

from stabtest.audit.config import Config

Json = TypeVar("Json")


def public(value: Json) -> Json:
    """A JSON value in which every absolute path is its file name; relative ones and ``$NAME/...`` stay as they were written.

    Examples
    --------
    >>> public({"files": ["/home/someone/scan.h5", "$DATA/scan.h5", "data/scan.h5"], "size": 128})
    {'files': ['scan.h5', '$DATA/scan.h5', 'data/scan.h5'], 'size': 128}
    >>> public("python /home/someone/recon.py {measurements} {output}")
    'python recon.py {measurements} {output}'
    """
    if isinstance(value, dict):
        return cast("Json", {key: public(inner) for key, inner in cast("dict[str, object]", value).items()})
    if isinstance(value, list):
        return cast("Json", [public(inner) for inner in cast("list[object]", value)])
    if isinstance(value, str):
        if "{measurements}" in value:  # a command: each of its words
            return cast("Json", " ".join(word if "{" in word else public(word) for word in value.split(" ")))
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute() and kind(value).name:
                return cast("Json", kind(value).name)
    return value


def tail(name: str, others: Sequence[str]) -> str:
    """As few of the last parts of a path as tell it from the others.

    Examples
    --------
    >>> tail("/home/someone/a/scan.h5", ["/home/someone/a/scan.h5", "/home/someone/b/scan.h5"])
    'a/scan.h5'
    """
    parts = Path(name).relative_to(Path(name).anchor).parts
    for length in range(1, len(parts) + 1):
        last = parts[-length:]
        if sum(Path(other).parts[-length:] == last for other in others) == 1:
            return "/".join(last)
    return parts[-1]  # the same file twice


def without_folders(text: str, config: Config) -> str:
    """A message without the folders of the audited files, of the configuration and of the user.

    Examples
    --------
    >>> from stabtest.audit.config.file import parse_config
    >>> config = parse_config('network.zoo = "tv"', base_dir=Path("/home/someone/audit"))
    >>> without_folders("/home/someone/audit/scan.h5: damaged", config)
    'scan.h5: damaged'
    """
    named = [
        *config.data.files,
        config.operator.mask.file,
        config.operator.trajectory.file,
        config.operator.trajectory.density_file,
        config.operator.maps.file,
        config.network.weights,
        config.network.file,
    ]
    folders = {config.path(name).parent for name in named if name is not None}
    folders |= {config.base_dir, Path.cwd(), Path.home()}
    for folder in sorted(map(str, folders), key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder + "/", "").replace(folder + "\\", "")
    return text
