"""Content addresses: the same question has the same key, another question another one.

A unit of an audit is named by the SHA-256 (FIPS 180-4) of the canonical JSON of everything that its result depends on, the
code that measures included. That is what lets an audit resume without trusting dates or file names.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, lru_cache
from pathlib import Path

from stabtest.errors import DataError

_MEASURING = (
    "stabtest/audit",
    "stabtest/bounds",
    "stabtest/data",
    "stabtest/metrics.py",
    "stabtest/networks",
    "stabtest/operators",
    "stabtest/phantoms",
    "stabtest/search",
    "stabtest/stability",
    "stabtest/statistics.py",
    "stabtest/tensors.py",
    "reconstructors",
)
"""What a measured number depends on."""

_NOT_MEASURING = frozenset(
    (
        "stabtest/audit/document",
        "stabtest/audit/units/cluster.py",
        "stabtest/audit/units/engine.py",
        "stabtest/audit/units/multipliers.py",
        "stabtest/audit/units/plan.py",
        "stabtest/audit/units/store.py",
        "stabtest/audit/units/__init__.py",
        "stabtest/audit/cases/groups.py",
        "stabtest/audit/cases/separation.py",
        *(
            f"stabtest/audit/config/{name}.py"
            for name in ("__init__", "model", "file", "mistakes", "listing", "profiles", "template")
        ),
        *(f"stabtest/audit/{name}.py" for name in ("__init__", "bound", "conduct", "fingerprint", "gates", "privacy")),
    )
)
"""What lays out, stores, judges or describes, rooms and files: it can change without a new run. A file that is not named
here counts as measuring. What the configuration says reaches the key by its values."""


def digest(value: object) -> str:
    """SHA-256 of a JSON value; the order of keys does not matter.

    Examples
    --------
    >>> digest({"a": 1, "b": [2.0]}) == digest({"b": [2.0], "a": 1})
    True
    >>> digest({"a": 1}) == digest({"a": 2})
    False
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            str(path),
            expected="a readable file",
            came=error.strerror or str(error),
            remedy="check the path and who may read it",
        ) from error


def known_sha256(path: Path) -> str:
    """The same of a file that is asked for again and again, and read once as long as it does not change.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        stat = path.stat()
    except OSError:
        return file_sha256(path)  # which says what is wrong
    return _at_last_change(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _at_last_change(path: Path, size: int, modified: int) -> str:
    return file_sha256(path)


@cache
def code_sha256() -> str:
    """SHA-256 of the source that measures (operators, search, tests of stability, ...), and of the version of PyTorch.

    A result that other code computed is not resumed from.
    """
    import torch

    return digest([torch.__version__, source_sha256(Path(__file__).resolve().parents[2])])


def source_sha256(root: Path) -> str:
    """SHA-256 of the files that measure, names and bytes, in a folder that holds ``stabtest`` and ``reconstructors``.

    Parameters
    ----------
    root
        The checkout, or where the packages are installed.
    """
    total = hashlib.sha256()
    for name in _MEASURING:
        place = root / name
        for source in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            inside = source.relative_to(root).as_posix()
            if not _NOT_MEASURING & {inside, source.relative_to(root).parent.as_posix()}:
                total.update(inside.encode() + b"\0" + source.read_bytes() + b"\0")
    return total.hexdigest()
