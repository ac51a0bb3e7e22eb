"""Content addresses: the same question has the same key, another question another one.

A unit of an audit is named by the SHA-256 (FIPS 180-4) of the canonical JSON of everything that its result depends on, the
code that measures included. That is what lets an audit resume without trusting dates or file names.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from stabtest.errors import DataError

_MEASURING = (
    "stabtest/audit/simulate.py",
    "stabtest/audit/subject.py",
    "stabtest/audit/laboratory.py",
    "stabtest/metrics.py",
    "stabtest/statistics.py",
    "stabtest/tensors.py",
    "stabtest/bounds",
    "stabtest/data",
    "stabtest/networks",
    "stabtest/operators",
    "stabtest/phantoms",
    "stabtest/search",
    "stabtest/stability",
    "reconstructors",
)
"""What a measured number depends on. Assembling, reporting and the command line can change without a new run."""


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
        raise DataError(str(path), expected="a readable file", came=error.strerror or str(error)) from error


@cache
def code_sha256() -> str:
    """SHA-256 of the source that measures (operators, search, tests of stability, ...), and of the version of PyTorch.

    A result that other code computed is not resumed from.
    """
    import torch

    root = Path(__file__).resolve().parents[2]
    total = hashlib.sha256(torch.__version__.encode())
    for name in _MEASURING:
        place = root / name
        for source in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            total.update(str(source.relative_to(root)).encode() + b"\0" + source.read_bytes() + b"\0")
    return total.hexdigest()
