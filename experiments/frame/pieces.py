"""Pieces of a result on disk, under names that say what they depend on: a run that was ended goes on from them.

A piece is a dictionary of arrays in one ``.npz`` file. Its key is the SHA-256 of the canonical JSON of its inputs, of the code that measures
(`stabtest.audit.fingerprint.code_sha256`) and of the file that the piece's function is in: another question, other weights or other code is another
piece, and another figure or claim is not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabtest.audit.fingerprint import code_sha256, digest, file_sha256

Arrays = dict[str, NDArray[Any]]


class Pieces:
    """Pieces in one folder; experiments that ask the same share them.

    Parameters
    ----------
    folder
        Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = 0

    def get(
        self,
        name: str,
        inputs: Mapping[str, Any],
        make: Callable[[], Mapping[str, Any]],
        *,
        sources: tuple[ModuleType, ...] = (),
    ) -> Arrays:
        """The piece of a name with these inputs, made by ``make`` where it is not there yet.

        Parameters
        ----------
        name
            For the file, and for the eye.
        inputs
            Everything that the piece depends on beside the code, as JSON values.
        make
            Its arrays.
        sources
            The modules that it depends on beside the library, where that is not the one it is written in.
        """
        code = [code_sha256(), *[file_sha256(Path(inspect.getfile(one))) for one in sources or (make,)]]
        path = self.folder / f"{name}-{digest([name, dict(inputs), code])[:16]}.npz"
        if not path.exists():
            print(f"  {name}", flush=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            arrays = {key: np.asarray(value) for key, value in make().items()}
            partial = path.with_suffix(".partial")
            with partial.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
            partial.replace(path)
            self.made += 1
        with np.load(path, allow_pickle=False) as kept:
            return {key: kept[key] for key in kept.files}
