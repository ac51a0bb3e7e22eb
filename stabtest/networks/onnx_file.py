"""Networks in ONNX files: differentiable where that agrees with the reference runtime, by the runtime alone where not.

The file is read by `onnx` and run by `onnxruntime` (the extra ``onnx``). A conversion to PyTorch (`stabtest.networks.onnx_graph`) is compared
with the runtime on random inputs, and taken only if both agree; else the runtime is the network, there is no gradient, and the worst case is
searched by queries alone. An ONNX graph is a list of known operations: unlike the formats of `stabtest.networks.executable` it brings no code of
its own, and operators that would need a library are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from stabtest.errors import NetworkError
from stabtest.networks.onnx_graph import OnnxGraph

if TYPE_CHECKING:
    from onnx import ModelProto

AGREEMENT = 1e-4
"""Largest difference of conversion and runtime, over the largest output."""
_FREE = 32
"""Length of an axis that may have any, in the comparison."""


def is_onnx(path: str | Path) -> bool:
    """Whether a file looks like an ONNX model: its first field is the version of the format, a small number."""
    with Path(path).open("rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[0] == 0x08 and 0 < head[1] < 0x40


def load_onnx(path: str | Path) -> OnnxNetwork:
    """Read a network from an ONNX file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    NetworkError
        If the packages are not installed, or the file is damaged, has more than one input or output, or operators of its own.
    """
    path = Path(path)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise NetworkError(
            f"{path}: ONNX",
            expected="the packages onnx and onnxruntime",
            came=f"no {error.name}",
            remedy="pip install 'stabtest[onnx]'",
        ) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # protobuf, checker and runtime each raise their own
        message = str(error).strip().splitlines()
        raise NetworkError(
            f"{path}: cannot be loaded",
            expected="an ONNX model of standard operators",
            came=f"{type(error).__name__}: {message[0][:200] if message else ''}",
            remedy="copy it again, or export it again without operators of your own",
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise NetworkError(
            f"{path}",
            expected="one input and one output",
            came=f"{len(inputs)} and {len(outputs)}",
            remedy="export a module that takes one tensor and returns the image alone",
        )
    return OnnxNetwork(model, session, path.name)


class OnnxNetwork(nn.Module):
    """A network of an ONNX file.

    Parameters
    ----------
    model, session
        As `onnx` and `onnxruntime` give them.
    name
        For messages.

    Attributes
    ----------
    problem
        Why there is no gradient; empty where there is one.
    """

    def __init__(self, model: ModelProto, session: Any, name: str) -> None:  # noqa: ANN401 - onnxruntime has no types
        super().__init__()
        self.label = name
        given = session.get_inputs()[0]
        self.input, self.shape = str(given.name), tuple(n if isinstance(n, int) and n > 0 else None for n in given.shape)
        self.in_float64 = "double" in str(given.type)
        self._sessions = [session]  # in a list: a session cannot be copied, and a copy in float64 does not need it
        self.graph: OnnxGraph | None = None
        self.problem = self._convert(model)

    def forward(self, x: Tensor) -> Tensor:
        """The network on ``(B, C, H, W)``.

        Raises
        ------
        NetworkError
            If the input has another shape than the model takes, or the runtime fails.
        """
        wrong = x.ndim != len(self.shape) or any(
            e is not None and e != g for e, g in zip(self.shape[1:], x.shape[1:], strict=True)
        )
        if wrong:
            raise NetworkError(
                f"{self.label}: shape of the input",
                expected=f"({', '.join('any' if n is None else str(n) for n in self.shape)}), the shape that it was exported for",
                came=str(tuple(x.shape)),
                remedy="audit at that size, or export again with dynamic axes",
            )
        batch = self.shape[0]
        if batch is None or len(x) == batch:
            return self._run(x)
        if len(x) % batch:
            raise NetworkError(f"{self.label}: batch", expected=f"a multiple of {batch} images", came=str(len(x)))
        return torch.cat([self._run(part) for part in x.split(batch)])

    def __deepcopy__(self, memo: dict[int, object]) -> OnnxNetwork:
        """A copy that shares the runtime's session."""
        copy = cast(OnnxNetwork, self.__class__.__new__(self.__class__))
        nn.Module.__init__(copy)
        for name in ("label", "input", "shape", "in_float64", "_sessions", "problem"):
            setattr(copy, name, getattr(self, name))
        import copy as copies

        copy.graph = copies.deepcopy(self.graph, memo)
        copy.training = self.training
        return copy

    def _run(self, x: Tensor) -> Tensor:
        return self.by_runtime(x) if self.graph is None else self.graph(x)

    def by_runtime(self, x: Tensor) -> Tensor:
        """What the reference runtime computes, in its own precision and without a gradient."""
        array = x.detach().cpu().numpy().astype(np.float64 if self.in_float64 else np.float32)
        try:
            (made,) = self._sessions[0].run(None, {self.input: array})
        except Exception as error:
            message = str(error).strip().splitlines()
            raise NetworkError(
                f"{self.label}: onnxruntime fails", came=message[0][:200] if message else type(error).__name__
            ) from error
        return torch.from_numpy(np.asarray(made)).to(device=x.device, dtype=x.dtype)

    def _convert(self, model: ModelProto) -> str:
        """Take the conversion if it agrees with the runtime, and say why not where it does not."""
        shape = [1 if axis == 0 and n is None else n or _FREE for axis, n in enumerate(self.shape)]
        generator = torch.Generator().manual_seed(0)
        try:
            graph = OnnxGraph(model).eval()
            for scale in (1.0, 0.05):
                x = scale * torch.randn(shape, generator=generator, dtype=torch.float64 if self.in_float64 else torch.float32)
                expected, found = self.by_runtime(x), graph(x)
                if expected.shape != found.shape:
                    return f"the conversion gives {tuple(found.shape)}, the runtime {tuple(expected.shape)}"
                if not bool((expected - found).abs().max() <= AGREEMENT * expected.abs().max()):
                    return "the conversion does not agree with the runtime"
        except Exception as error:  # whatever it is, the runtime is there
            return f"it cannot be converted: {error}"
        self.graph = graph
        return ""
