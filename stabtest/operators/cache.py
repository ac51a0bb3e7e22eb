"""Disk cache of system matrices.

Content-keyed: the name of a file is a hash of everything that determines the matrix, so nothing is ever
stale. A file appears under its name only when complete (temporary file beside it, then `os.replace`), so that
two writers, or one that is killed, do no harm. What cannot be read back whole (truncated, damaged, other
version) is built again and replaced. A folder that cannot be written to only costs time.

The folder is ``$STABTEST_CACHE``, or ``stabtest`` under the platform's cache folder (``$XDG_CACHE_HOME``,
``~/.cache``, ``~/Library/Caches``, ``%LOCALAPPDATA%``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

FORMAT = 1
"""Raised when the content of the files or the meaning of the keys changes."""

SIZE_LIMIT = 4 * 2**30
"""Bytes; beyond, the files that were used longest ago are removed."""


def cache_folder() -> Path:
    """Where the cache is; the folder need not exist."""
    if chosen := os.environ.get("STABTEST_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return base.expanduser() / "stabtest"


def cached_matrix(key: str, build: Callable[[], sparse.csr_array]) -> sparse.csr_array:
    """The matrix of ``key``, read from the cache or built and stored there.

    Parameters
    ----------
    key
        Everything that determines the matrix, as text.
    build
        Makes the matrix; called when the cache has no whole copy.

    Returns
    -------
    csr_array
        Equal to ``build()``.
    """
    name = hashlib.sha256(f"{FORMAT} {key}".encode()).hexdigest()[:32]
    try:
        path = cache_folder() / f"matrix-{name}.npz"
    except RuntimeError:  # no home folder
        return build()
    matrix = _read(path)
    if matrix is None:
        matrix = build()
        _write(path, matrix)
    return matrix


def _read(path: Path) -> sparse.csr_array | None:
    """The matrix of a file, None if there is no whole one."""
    try:
        # Reading each member to its end checks its CRC, so that damage inside the numbers is seen as well.
        with np.load(path, allow_pickle=False) as stored:
            data, indices, indptr, shape = (stored[k] for k in ("data", "indices", "indptr", "shape"))
        matrix = sparse.csr_array((data, indices, indptr), shape=(int(shape[0]), int(shape[1])))
        matrix.check_format(full_check=True)
    except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError):
        return None
    matrix.has_sorted_indices = True
    with contextlib.suppress(OSError):
        os.utime(path)  # marks it as used, for `_prune`
    return matrix


def _write(path: Path, matrix: sparse.csr_array) -> None:
    """Store a matrix whole or not at all; a folder or disk that does not take it is no error."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            np.savez(
                file,
                data=matrix.data,
                indices=matrix.indices,
                indptr=matrix.indptr,
                shape=np.array(matrix.shape),
            )
        os.replace(temporary, path)
        temporary = None
        _prune(path.parent, keep=path)
    except OSError:
        pass
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _prune(folder: Path, *, keep: Path) -> None:
    """Remove the matrices used longest ago until the folder is within `SIZE_LIMIT`."""
    files = [(path, path.stat()) for path in folder.glob("matrix-*.npz")]
    excess = sum(stat.st_size for _, stat in files) - SIZE_LIMIT
    for path, stat in sorted(files, key=lambda item: item[1].st_mtime):
        if excess <= 0:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            excess -= stat.st_size
