"""A reconstruction that nobody can open: a program that reads a file and writes one.

For each image, what the network takes (`stabtest.networks.wrap`) is written to a file, the command is run, and what it wrote is read:

    command = "recon --in {measurements} --out {output}"

No shell runs it: the command is split as a shell would, and the two names stand for files in a temporary folder that is removed afterwards.
Arrays go without the batch axis, ``(C, ...)`` as the scan has it: ``(1, H, W)`` for a single coil, ``(coils, H, W)``, ``(1, angles, bins)``.
The output is an image ``(H, W)`` or ``(C, H, W)``. Formats:

- ``npy``: NumPy arrays, complex or real.
- ``hdf5``: the array is the dataset ``measurements``; with ``takes = "measurements+operator"`` the description of the scan is in the
  attributes of the file, and ``mask`` is a dataset where the scan has one. The output is the dataset ``image``, or the only one.

There is no gradient: such a method is searched by queries alone (`stabtest.search.black_box`), each of them a run of the program.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import NetworkError
from stabtest.operators.base import LinearOperator

Format = Literal["npy", "hdf5"]
_ENDING: Mapping[Format, str] = {"npy": ".npy", "hdf5": ".h5"}
_SAID = 400
"""Characters of a program's complaint that are shown."""


@dataclass(frozen=True)
class Program:
    """A command as a network: tensors in, a tensor out, image by image.

    Parameters
    ----------
    command
        With ``{measurements}`` and ``{output}`` in it.
    format
        Of both files.
    timeout
        Seconds for one image; None = as long as it takes.
    folder
        Where it runs: relative names in the command start there.

    Raises
    ------
    NetworkError
        If the command does not name both files or cannot be split.

    Examples
    --------
    >>> halve = "import sys, numpy as n; n.save(sys.argv[2], n.load(sys.argv[1]) / 2)"
    >>> program = Program(f"python -c '{halve}' {{measurements}} {{output}}")
    >>> program(torch.ones(2, 1, 2, 2)).unique()
    tensor([0.5000])
    """

    command: str
    format: Format = "npy"
    timeout: float | None = None
    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        missing = [name for name in ("{measurements}", "{output}") if name not in self.command]
        if missing:
            raise NetworkError(
                "[network] command",
                expected="{measurements} and {output} in it",
                came=f"no {' and no '.join(missing)}: {self.command!r}",
                remedy="name both: recon {measurements} {output}",
            )
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise NetworkError(
                "[network] command",
                expected="words and closed quotes",
                came=f"{self.command!r} ({error})",
                remedy="close the quote, or write a backslash before a quote that is meant as a character",
            ) from error

    def __call__(self, given: Tensor, operator: LinearOperator | None = None) -> Tensor:
        """Run it on each image of a batch.

        Parameters
        ----------
        given
            ``(B, C, ...)``.
        operator
            For the description of the scan.

        Returns
        -------
        Tensor
            ``(B, C', H, W)``, in the precision of what was given.

        Raises
        ------
        NetworkError
            If the program cannot be started, fails, takes too long, or writes no image of numbers.
        """
        arrays = given.detach().cpu().resolve_conj().numpy()
        images = [torch.from_numpy(self.run(array, operator)) for array in arrays]
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) > 1:
            raise NetworkError(
                self._named,
                expected="images of one shape",
                came=", ".join(map(str, sorted(shapes))),
                remedy="write every image at the size of the scan",
            )
        made = torch.stack(images)
        double = given.dtype in (torch.float64, torch.complex128)
        real, whole = (torch.float64, torch.complex128) if double else (torch.float32, torch.complex64)
        return made.to(device=given.device, dtype=whole if made.is_complex() else real)

    def run(self, array: NDArray[Any], operator: LinearOperator | None = None) -> NDArray[Any]:
        """One image, ``(C, ...)`` to ``(C', H, W)``; parameters and errors as of the call."""
        with tempfile.TemporaryDirectory(prefix="stabtest-") as folder:
            places = {name: Path(folder) / f"{name}{_ENDING[self.format]}" for name in ("measurements", "output")}
            self._write(places["measurements"], array, operator)
            words = [self._filled(word, places) for word in shlex.split(self.command)]
            try:
                done = subprocess.run(words, capture_output=True, cwd=self.folder, timeout=self.timeout, check=False)
            except subprocess.TimeoutExpired as error:
                raise NetworkError(
                    self._named, expected=f"an image within {self.timeout:g} s", came="none", remedy="raise [network] timeout"
                ) from error
            except OSError as error:
                raise NetworkError(
                    self._named,
                    expected="a program that can be started",
                    came=f"{words[0]!r}: {error.strerror or error}",
                    remedy="give its whole path, one relative to the configuration, or a program on PATH",
                ) from error
            said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
            if done.returncode:
                raise NetworkError(
                    self._named,
                    expected="exit status 0",
                    came=f"{done.returncode}; it says: {said[-_SAID:] or 'nothing'}",
                    remedy=f"run it by hand on a file of your own, in {self.folder}",
                )
            return self._read(places["output"])

    @property
    def _named(self) -> str:
        return f"program {shlex.split(self.command)[0]!r}"

    def _filled(self, word: str, places: Mapping[str, Path]) -> str:
        for name, path in places.items():
            word = word.replace(f"{{{name}}}", os.fspath(path))
        return word

    def _write(self, path: Path, array: NDArray[Any], operator: LinearOperator | None) -> None:
        if self.format == "npy":
            np.save(path, array)
            return
        import h5py

        with h5py.File(path, "w") as file:
            file.create_dataset("measurements", data=array)
            for key, value in (operator.describe() if operator is not None else {}).items():
                file.attrs[key] = value
            mask = getattr(operator, "mask", None)
            if isinstance(mask, Tensor):
                file.create_dataset("mask", data=mask.cpu().numpy())

    def _read(self, path: Path) -> NDArray[Any]:
        try:
            array = np.load(path, allow_pickle=False) if self.format == "npy" else _dataset(path)
        except FileNotFoundError as error:
            raise NetworkError(
                self._named,
                expected=f"a file at {{output}} ({self.format})",
                came="none was written",
                remedy="write the image to the very path that {output} stands for",
            ) from error
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise NetworkError(
                self._named,
                expected=f"an array ({self.format}) at {{output}}",
                came=str(error).split("\n")[0].split(". ")[0],
                remedy="write numbers by numpy.save, or as HDF5 with format = 'hdf5'",
            ) from error
        if array.dtype.kind not in "fciu" or array.ndim not in (2, 3) or not array.size:
            raise NetworkError(
                self._named,
                expected="numbers, (H, W) or (C, H, W)",
                came=f"{array.dtype}, {array.shape}",
                remedy="write one image of the size of the scan",
            )
        return np.ascontiguousarray(array[None] if array.ndim == 2 else array)


def _dataset(path: Path) -> NDArray[Any]:
    """``image``, or the only dataset of a file."""
    import h5py

    with h5py.File(path, "r") as file:
        names = [name for name, value in file.items() if isinstance(value, h5py.Dataset)]
        if "image" not in names and len(names) != 1:
            raise KeyError(f"datasets {', '.join(names) or 'none'}: expected one named image")
        return cast("NDArray[Any]", cast(h5py.Dataset, file["image" if "image" in names else names[0]])[()])
