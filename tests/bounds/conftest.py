"""Ask a rule directly, without exporting a network, and the dense Jacobian of the same operation in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from stabtest.bounds.affine import action
from stabtest.bounds.call import Call, Signal
from stabtest.bounds.graph import Graph
from stabtest.bounds.rules import RULES


@dataclass(frozen=True)
class Operation:
    """An operation of PyTorch with tensors in place of its signals."""

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    signals: tuple[Tensor, ...]

    def run(self, *values: Tensor) -> Any:
        table = {id(signal): value for signal, value in zip(self.signals, values)}

        def put(value: Any) -> Any:
            if isinstance(value, Tensor):
                return table.get(id(value), value)
            return [put(item) for item in value] if isinstance(value, list) else value

        return self.target(*map(put, self.args), **{name: put(value) for name, value in self.kwargs.items()})

    def gain(self):
        names = {id(signal) for signal in self.signals}

        def mark(value: Any) -> Any:
            if isinstance(value, Tensor) and id(value) in names:
                return Signal(tuple(value.shape), value.dtype)
            return [mark(item) for item in value] if isinstance(value, list) else value

        out = self.run(*self.signals)
        first = out if isinstance(out, Tensor) else out[0]
        arguments = {}
        for index, argument in enumerate(self.target._schema.arguments):
            if not argument.kwarg_only and index < len(self.args):
                arguments[argument.name] = mark(self.args[index])
            elif argument.name in self.kwargs:
                arguments[argument.name] = mark(self.kwargs[argument.name])
            else:
                arguments[argument.name] = argument.default_value if argument.has_default_value() else None
        operation = self.target._schema.name.split("::")[-1]
        return RULES[operation](Call(operation, self.target, arguments, tuple(first.shape)))

    def dense_norm(self, outputs: int | None = None) -> float:
        """Largest singular value of the Jacobian with respect to all signals jointly, at their values."""
        flat = [torch.view_as_real(s).reshape(-1) if s.is_complex() else s.reshape(-1) for s in self.signals]

        def function(*parts: Tensor) -> Tensor:
            values = []
            for part, signal in zip(parts, self.signals):
                if signal.is_complex():
                    values.append(torch.view_as_complex(part.reshape(*signal.shape, 2)))
                else:
                    values.append(part.reshape(signal.shape))
            out = self.run(*values)
            outs = [out] if isinstance(out, Tensor) else list(out)[:outputs]
            return torch.cat([torch.view_as_real(o).reshape(-1) if o.is_complex() else o.reshape(-1) for o in outs])

        blocks = torch.autograd.functional.jacobian(function, tuple(flat))
        return float(torch.linalg.matrix_norm(torch.cat(blocks, 1), 2))


@pytest.fixture
def operation():
    """``operation(target, *args, signals=[...], **kwargs)``; by default the first argument is the signal."""

    def make(target: Any, *args: Any, signals: list[Tensor] | None = None, **kwargs: Any) -> Operation:
        return Operation(target, args, kwargs, tuple(signals) if signals is not None else (args[0],))

    return make


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture
def run_graph():
    """``run_graph(graph, x)``: the graph as a function, node by node in float64, its outputs in a list."""

    def run(graph: Graph, x: Tensor) -> list[Tensor]:
        values: list[Any] = []
        for node in graph.nodes:
            if node.call is not None:
                values.append(action(node.call)([values[place] for place in node.operands]))
            else:
                values.append(x if node.item is None else values[node.operands[0]][node.item])
        return [values[place] for place in graph.outputs]

    return run
