"""Networks that come as a file with their code in it: TorchScript, and programs of ``torch.export``.

Such a file is a program. Loading it runs what is in it with the user's rights, so that it is loaded only where the user says that the file is
trusted; the report records that, and the file's SHA-256. The kind is recognised by the content of the archive, not by its name.

**TorchScript** (``torch.jit.save``) is an ``nn.Module`` with gradients. A frozen one (``torch.jit.freeze``) has its weights as constants
and stays in the precision it was frozen in.

**Exported programs** (``torch.export.save``, usually ``.pt2``) have gradients too, unless the network disabled them itself while it was exported
(``torch.no_grad`` in its ``forward``). They have no evaluation mode to be put into: what was exported in training mode stays there, and is
refused. Their shapes are those they were exported with: a network exported with a batch of one image is called image by image; one exported for
another image size cannot be used, and says so.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from stabtest.errors import NetworkError
from stabtest.networks.archive import DAMAGED

Kind = Literal["torchscript", "export"]


def recognise_executable(path: str | Path) -> Kind | None:
    """What kind of program a file is; None where it is neither.

    Raises
    ------
    NetworkError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "any.name"
    ...     torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), str(path))
    ...     recognise_executable(path)
    'torchscript'
    """
    try:
        with zipfile.ZipFile(path) as archive:
            tails = {name.split("/", 1)[-1] for name in archive.namelist()}
    except DAMAGED:
        return None
    except OSError as error:
        raise NetworkError(
            f"{path}: cannot be read",
            expected="a file",
            came=error.strerror or str(error),
            remedy="check the path: relative ones start at the configuration",
        ) from error
    if any(tail.startswith("code/") for tail in tails):
        return "torchscript"
    if any(tail.startswith("models/") or "serialized_exported_program" in tail for tail in tails):
        return "export"
    return None


def load_executable(path: str | Path, *, trusted: bool) -> nn.Module:
    """Load a network with its code.

    Parameters
    ----------
    path
        A file by ``torch.jit.save`` or ``torch.export.save``.
    trusted
        Whether the user trusts it: loading runs it.

    Returns
    -------
    nn.Module
        In evaluation mode.

    Raises
    ------
    NetworkError
        If the file is missing, damaged or of another kind, is not trusted, or was exported in training mode.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "net.pt2"
    ...     torch.export.save(torch.export.export(nn.Conv2d(1, 1, 3, padding=1), (torch.zeros(1, 1, 8, 8),)), path)
    ...     load_executable(path, trusted=True)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 1, 8, 8])
    """
    path = Path(path)
    kind = recognise_executable(path)
    if kind is None:
        raise NetworkError(
            f"{path}: not a network with its code",
            expected="a file of torch.jit.save or torch.export.save",
            came="something else",
            remedy="weights alone need factory = and weights =",
        )
    if not trusted:
        raise NetworkError(
            f"{path}: refused, loading it runs the code in it",
            expected="trusted = true under [network]",
            came=f"a {'TorchScript' if kind == 'torchscript' else 'torch.export'} program that was not declared to be trusted",
            remedy="where you trust whoever made the file, set it; else save module.state_dict() and give the factory",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch, that it would rather have the other format
            if kind == "torchscript":
                return torch.jit.load(str(path), map_location="cpu").eval()
            return ExportedNetwork(torch.export.load(str(path)), path.name)
    except NetworkError:
        raise
    except Exception as error:
        raise NetworkError(
            f"{path}: cannot be loaded",
            expected=f"a program that PyTorch {torch.__version__} reads",
            came=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
            remedy="save it again with this version",
        ) from error


class ExportedNetwork(nn.Module):
    """A program of ``torch.export``, called in pieces of the batch that it was exported for.

    Parameters
    ----------
    program
        By ``torch.export``.
    name
        For messages.

    Raises
    ------
    NetworkError
        If it was exported in training mode.
    """

    def __init__(self, program: torch.export.ExportedProgram, name: str) -> None:
        super().__init__()
        training = _in_training(program)
        if training:
            raise NetworkError(
                f"{name}: exported in training mode",
                expected="a program exported after module.eval()",
                came=f"{training} in training mode",
                remedy="call eval(), then torch.export.export again: the mode of a program cannot be changed",
            )
        self.label, self.shapes = name, _shapes(program)
        self.program = program.module()

    def train(self, mode: bool = True) -> ExportedNetwork:
        """Nothing: an exported program stays in the mode that it was exported in."""
        self.training = False
        return self

    def forward(self, *inputs: Tensor) -> Tensor:
        """The program, with batches cut to the size that it takes.

        Raises
        ------
        NetworkError
            If an input has another shape than the program was exported for.
        """
        for given, shape in zip(inputs, self.shapes, strict=False):
            wrong = len(given.shape) != len(shape) or any(
                e is not None and e != g for e, g in zip(shape[1:], given.shape[1:], strict=True)
            )
            if wrong:
                raise NetworkError(
                    f"{self.label}: shape of the input",
                    expected=f"({', '.join('any' if n is None else str(n) for n in shape)}), the shape that it was exported for",
                    came=str(tuple(given.shape)),
                    remedy="audit at that size, or export again with dynamic_shapes",
                )
        batch = self.shapes[0][0] if self.shapes else None
        if batch is None or len(inputs[0]) == batch:
            return self.program(*inputs)
        if len(inputs[0]) % batch:
            raise NetworkError(
                f"{self.label}: batch",
                expected=f"a multiple of the {batch} images that it was exported for",
                came=str(len(inputs[0])),
                remedy="export with a batch of one image, or with a dynamic batch",
            )
        parts = zip(*(tensor.split(batch) for tensor in inputs), strict=True)
        return torch.cat([self.program(*part) for part in parts])


def _shapes(program: torch.export.ExportedProgram) -> list[tuple[int | None, ...]]:
    """Shape of each tensor that the user gives; None for an axis of any length."""
    wanted = set(program.graph_signature.user_inputs)
    found: list[tuple[int | None, ...]] = []
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder" and node.name in wanted and isinstance(value, Tensor):
            lengths = cast("tuple[object, ...]", tuple(value.shape))  # symbols where an axis has any length
            found.append(tuple(n if isinstance(n, int) else None for n in lengths))
    return found


def _in_training(program: torch.export.ExportedProgram) -> str:
    """A layer that is in training mode, or nothing."""
    for node in program.graph.nodes:
        called = str(node.target)
        arguments: tuple[Any, ...] = node.args
        if "dropout" in called and len(arguments) > 2 and arguments[2] is True and arguments[1]:
            return "dropout"
        if (
            ("batch_norm" in called or "instance_norm" in called)
            and len(arguments) > 5
            and arguments[5] is True
            and arguments[3] is not None
        ):
            return "batch normalisation"
    return ""
