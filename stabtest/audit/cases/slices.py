"""Which slice of which file each case is, and whose.

A file of k-space is a volume. ``[data] row`` takes one slice of each, ``slices`` several, ``every`` each so many-th. The cases are in the order
of the files, then of the slices. Slices of a volume are not independent: they are of one patient.
"""

from __future__ import annotations

import functools
from pathlib import Path

from stabtest.audit.config import Config
from stabtest.data.volumes import count_slices, volume_patients
from stabtest.errors import DataError


def file_slices(config: Config) -> tuple[tuple[int, int | None], ...]:
    r"""Number of the file and of the slice in it of each case; None where the file holds one.

    Parameters
    ----------
    config
        With files as data.

    Raises
    ------
    DataError
        If a file has to be looked into and cannot be read, or has no such slice.

    Examples
    --------
    >>> from stabtest.audit.config.file import parse_config
    >>> data = 'data = { kind = "kspace", files = ["a.h5", "b.h5"], slices = [3, 5] }'
    >>> file_slices(parse_config(f'network.zoo = "tv"\n{data}'))
    ((0, 3), (0, 5), (1, 3), (1, 5))
    """
    data = config.data
    if data.slices:
        return tuple((index, number) for index in range(len(data.files)) for number in data.slices)
    if data.every is None:
        return tuple((index, data.row) for index in range(len(data.files)))
    several = config.operator.kind == "multicoil"
    found: list[tuple[int, int | None]] = []
    for index, name in enumerate(data.files):
        path = config.path(name)
        found += [(index, number) for number in range(0, _count(path, several, _stamp(path)), data.every)]
    return tuple(found)


def patients(config: Config) -> tuple[str | None, ...]:
    """Whose each file of k-space is: as the configuration says, or numbered by the identities in the files; None where neither says.

    Parameters
    ----------
    config
        With k-space as data.
    """
    if config.data.patients:
        return config.data.patients
    paths = tuple(config.path(name) for name in config.data.files)
    return tuple(None if number is None else f"patient {number}" for number in _numbers(paths, tuple(map(_stamp, paths))))


def maps_files(config: Config) -> list[str]:
    """Files of given coil maps: one for all data, or one for each file of them."""
    section = config.operator.maps
    if config.operator.kind != "multicoil" or section.kind != "given" or section.file is None:
        return []
    if "{stem}" not in section.file:
        return [section.file]
    return [section.file.replace("{stem}", config.path(name).stem) for name in config.data.files]


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file does."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(
            str(path), expected="a file", came=error.strerror or str(error), remedy="relative paths start at the configuration"
        ) from error
    return stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=4096)
def _count(path: Path, several: bool, stamp: tuple[int, int]) -> int:
    return count_slices(path, coils=several)


@functools.lru_cache(maxsize=4)
def _numbers(paths: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> tuple[int | None, ...]:
    return tuple(volume_patients(paths))
