"""The user's own forward model, from the factory or the matrix that the configuration names.

It is made and checked once in a process: probing it, its dot test and its norm take products that may be slow. What it depends on
(configuration, files) is the key, so that nothing stale is used.
"""

from __future__ import annotations

import inspect
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from stabtest.audit.config import Config
from stabtest.audit.fingerprint import file_sha256
from stabtest.errors import DataError, OperatorError
from stabtest.networks import load_object
from stabtest.operators import Layout, LinearOperator, MatrixMap, OwnOperator, examine


def own_operator(config: Config) -> LinearOperator:
    """The forward model of ``[operator] kind = "own"``, probed and checked.

    Raises
    ------
    StabtestError
        If it cannot be loaded or called, is not linear, or its adjoint is not one.
    """
    section = config.operator
    return _made(
        section.factory,
        json.dumps(section.arguments, sort_keys=True, default=str),
        None if section.matrix is None else str(config.path(section.matrix)),
        section.size,
        section.complex,
        section.layout,
        str(config.base_dir),
        json.dumps(own_files(config), sort_keys=True),
    )


def own_files(config: Config) -> dict[str, str]:
    """The files that the operator is made from, as the configuration names them, with their SHA-256; of an installed module its own file.

    Raises
    ------
    DataError
        If one cannot be read.
    """
    section = config.operator
    if section.kind != "own":
        return {}
    if section.matrix is not None:
        return {section.matrix: file_sha256(config.path(section.matrix))}
    named = str(section.factory).rpartition(":")[0]
    for candidate in (named, named.replace(".", "/") + ".py"):
        if candidate.endswith(".py") and config.path(candidate).is_file():
            return {candidate: file_sha256(config.path(candidate))}
    return {}


@lru_cache(maxsize=4)
def _made(
    factory: str | None,
    arguments: str,
    matrix: str | None,
    size: int,
    is_complex: bool,
    layout: Layout | None,
    base_dir: str,
    files: str,
) -> LinearOperator:
    shape = (size, size)
    if matrix is not None:
        name = Path(matrix).name
        made = MatrixMap(read_matrix(Path(matrix)), shape)
        return OwnOperator(made, shape, is_complex=is_complex, layout="batch", name=f"matrix {name}, {made.entries} entries")
    assert factory is not None
    given: dict[str, Any] = json.loads(arguments)
    thing = load_object(factory, arguments=given, base_dir=base_dir, instances=True, table="operator")
    if not isinstance(thing, LinearOperator):
        return OwnOperator(thing, shape, is_complex=is_complex, layout=layout, name=_name(thing, factory))
    if thing.domain.shape != (1, *shape) or thing.domain.is_complex != is_complex:
        kinds = ("real", "complex")
        raise OperatorError(
            f"[operator] factory = {factory!r}",
            expected=f"an operator of {kinds[is_complex]} images {shape}",
            came=f"one of {kinds[thing.domain.is_complex]} images {thing.domain.shape[1:]}",
            remedy="set [operator] size and complex",
        )
    examine(thing, generator=torch.Generator().manual_seed(0), name=type(thing).__name__)
    return thing


def _name(thing: object, factory: str) -> str:
    """The name of its class; of a pair of functions, that of the factory."""
    kind = type(thing)
    return factory.rpartition(":")[2] if kind.__module__ == "builtins" or inspect.isfunction(thing) else kind.__name__


def read_matrix(path: Path) -> Any:  # noqa: ANN401 - dense or one of SciPy's sparse types
    """A matrix from a file: ``.npy``, or ``.npz`` of one array or of `scipy.sparse.save_npz`. No code in it is run.

    Raises
    ------
    DataError
        If it is none.
    """
    expected = "a matrix in npy, or in npz of one array or of scipy.sparse.save_npz"
    try:
        with path.open("rb") as stream:
            is_zip = stream.read(2) == b"PK"
        if not is_zip:
            found = np.load(path, allow_pickle=False)
        else:
            with np.load(path, allow_pickle=False) as stored:
                names = list(stored.files)
                found = stored[names[0]] if len(names) == 1 else None
            if found is None:
                if "format" not in names:
                    raise DataError(
                        str(path),
                        expected=expected,
                        came=f"{len(names)} arrays: {', '.join(names[:6])}",
                        remedy="save one of them by numpy.save, or a sparse one by scipy.sparse.save_npz",
                    )
                found = sparse.load_npz(path)
                full_check: Any = getattr(found, "check_format", None)  # of the compressed formats
                if full_check is not None:
                    full_check(full_check=True)  # an index beyond the image would be read from somewhere in memory
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib, tokenize and SciPy each raise their own
        raise DataError(
            str(path),
            expected=expected,
            came=str(error).split("\n")[0] or type(error).__name__,
            remedy="save the matrix again by numpy.save or scipy.sparse.save_npz",
        ) from error
    return found
