"""The network as a graph of operations, by ``torch.export``, replayed on an example.

Export first with ``strict=False``, then with ``strict=True``, and keep the graph as it is exported: ``conv2d``,
``instance_norm``, ``pad`` and the Fourier transforms stay one node each. Only a graph that writes into its tensors is
made functional, with an *empty* table of decompositions (an assignment in place becomes a new tensor, so that no alias
can change a value behind the graph's back).

**Is the graph the network?** A tracer can bake a value that depends on the input into the graph as a constant: ``x.data``
does so under ``strict=True``, NumPy and ``.tolist()`` do so under ``torch.jit.trace`` and ``make_fx`` (never used here).
The bound of such a graph would be a false 0. Therefore the graph is run beside the network on fresh random inputs of
several sizes; where they disagree, the network is *unknown*.

What an exporter cannot follow (SciPy, a solver that ends by its residual, a table looked up by the input) is one operation where the
network calls it by `stabtest.operators.opaque.step`. Where a graph cannot be had otherwise, the maps of a forward model among the further
arguments are such operations too.

A node *depends on the input* if one of its arguments does; everything else (weights, masks, what is computed from them)
keeps its value. Random operations make the network unknown. Control flow that depends on data does not export.
"""

from __future__ import annotations

import io
import logging
import operator
import re
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_flatten

from stabtest.bounds.call import Call, Signal
from stabtest.operators import LinearOperator
from stabtest.operators.opaque import Opaque, OpaqueOperator, recording

_SHAPE_ONLY = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor"})
_UNINITIALISED = frozenset({"empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided", "empty_permuted"})
_DECIDED_BY_RULE = frozenset({"dropout", "feature_dropout", "alpha_dropout", "rrelu", "scaled_dot_product_attention"})
_AGREEMENT = 1e-4


@dataclass(frozen=True)
class Node:
    """One operation whose result depends on the network's input.

    Parameters
    ----------
    name
        Place in the module tree, with the operation's name where it is not a module of its own.
    call
        The operation; ``None`` for the input itself and for picking one of several outputs.
    operands
        Positions in `Graph.nodes` of ``call.signals``, in the same order.
    shape, dtype
        Of the (first) output.
    users
        How many operations (or the output) read the result.
    item
        Which output of a node with several this one picks.
    problem
        Why nothing can be said about it, if so.
    """

    name: str
    call: Call | None
    operands: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype
    users: int
    item: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Graph:
    """The operations that depend on the input, in order of execution.

    Parameters
    ----------
    nodes
        ``nodes[0]`` is the input.
    outputs
        Positions of the outputs that depend on the input.
    problem
        Why there is no graph that can be trusted, if so; ``nodes`` is then empty.
    output_shape
        Shape of the first output.
    """

    nodes: tuple[Node, ...] = ()
    outputs: tuple[int, ...] = ()
    problem: str | None = None
    output_shape: tuple[int, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def read(self) -> list[int]:
        """Nodes that an output depends on, in order of execution, the input first; what nobody reads may be anything."""
        pending, found = list(self.outputs), {0}
        while pending:
            position = pending.pop()
            if position not in found:
                found.add(position)
                pending.extend(self.nodes[position].operands)
        return sorted(found)


def trace(
    module: nn.Module, example: Tensor, *, constants: Sequence[Any] = (), generator: torch.Generator | None = None
) -> Graph:
    """Graph of ``module(example, *constants)`` as a function of ``example``.

    Parameters
    ----------
    module
        The network, in ``eval`` mode if it has batch normalisation or dropout.
    example
        ``(B, ...)``, real or complex.
    constants
        Further positional arguments, held fixed; anything that ``forward`` takes, a forward model included.
    generator
        Draws the fresh inputs of the comparison.

    Returns
    -------
    Graph
        With ``problem`` set instead of nodes where the network cannot be exported or the graph does not do what the
        network does.

    Examples
    --------
    >>> graph = trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), torch.zeros(1, 1, 8, 8))
    >>> [node.name for node in graph.nodes]
    ['input', '0', '1']
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    network = _Closed(module, constants) if constants else module
    ways = [(network, False), (network, True)]
    if any(isinstance(value, LinearOperator) for value in constants):
        shown = [OpaqueOperator(value) if isinstance(value, LinearOperator) else value for value in constants]
        ways.append((_Closed(module, shown), False))
    problems: list[str] = []
    for exported, strict in ways:
        try:
            with _quiet(), torch.no_grad(), recording() as steps:
                program = torch.export.export(exported, (example,), strict=strict)
                _refuse_placeholders(program)
                if not _is_functional(program):
                    program = program.run_decompositions({})
                flat = _bind(program, example)
                _compare(program, network, example, generator)
                recorder = _Recorder(program.graph_module, program, steps.functions)
                recorder.run(*flat)
            return recorder.recorded()
        except Exception as error:  # the exporter raises anything; whatever it is, the network stays unknown
            problems.append(_first_line(error))
    return Graph(problem="could not be exported: " + "; ".join(dict.fromkeys(problems)))


@contextmanager
def _quiet() -> Generator[None]:
    """The exporter's warnings, logs and printed graphs go nowhere: what matters of them is in the exception."""
    logger = logging.getLogger("torch")
    disabled, level = logger.disabled, logger.level
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.disabled = True
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.disabled = disabled
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    place = [line for line in lines if line.startswith("File ") and "torch/" not in line]
    # Names of files and not their folders: the message goes into reports, and folders are those of somebody's machine.
    place = [re.sub(r'"[^"]*[/\\]([^"/\\]*)"', r'"\1"', line) for line in place]
    return " ".join([*(lines[:1] or [type(error).__name__]), *place[-1:]])[:400]


def _is_functional(program: torch.export.ExportedProgram) -> bool:
    """Whether every node is a plain operation that writes to none of its arguments."""
    for n in program.graph.nodes:
        if n.op == "call_function" and n.target is not operator.getitem:
            schema = getattr(n.target, "_schema", None)
            if schema is None or schema.is_mutable:
                return False
    return True


def _refuse_placeholders(program: torch.export.ExportedProgram) -> None:
    """A constant without storage is the tracer's stand-in for the input itself (``x.data``); working on it would crash the process."""
    for value in (*program.state_dict.values(), *program.constants.values()):
        if isinstance(value, FakeTensor):
            raise ValueError("a value that depends on the input (.data, NumPy) was taken for a constant by the exporter")


def _bind(program: torch.export.ExportedProgram, example: Tensor) -> list[Any]:
    """Values of the graph's placeholders: parameters, buffers, constants, then the example."""
    given = iter((example,))
    values: list[Any] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT:
            values.append(next(given))
        elif spec.target in program.state_dict:
            values.append(program.state_dict[spec.target])
        else:
            values.append(program.constants[str(spec.target)])
    return values


def _compare(
    program: torch.export.ExportedProgram,
    module: nn.Module,
    example: Tensor,
    generator: torch.Generator,
) -> None:
    """Run graph and network side by side on inputs that neither has seen."""
    size = float(example.abs().square().mean().sqrt()) or 1.0
    for factor in (1.0, 0.1, 10.0):
        fresh = factor * size * torch.randn(example.shape, dtype=example.dtype, generator=generator)
        fresh = fresh.to(example.device)
        by_graph = fx.Interpreter(program.graph_module).run(*_bind(program, fresh))
        by_module = module(fresh)
        expected: list[Any] = tree_flatten(by_module)[0]
        first = len(program.graph_signature.buffers_to_mutate)
        if first:
            raise ValueError("the network changes its own buffers: not a function of its input alone")
        for one, other in zip(by_graph, expected, strict=True):
            if not isinstance(other, Tensor):
                continue
            gap = float((one - other).abs().max()) if other.numel() else 0.0
            if not gap <= _AGREEMENT * float(other.abs().max()) + 1e-30:
                raise ValueError(
                    "the exported graph and the network disagree on a fresh input: it is random, or a value that "
                    "depends on the input (NumPy, .data, .item()) was taken for a constant"
                )


class _Closed(nn.Module):
    """A network with its further arguments held fixed: an exporter takes tensors and plain values only."""

    def __init__(self, inner: nn.Module, constants: Sequence[Any]) -> None:
        super().__init__()
        self._closed = inner
        self.constants = tuple(constants)

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401
        return self._closed(x, *self.constants)


class _Recorder(fx.Interpreter):
    """Runs the graph and writes down what depends on the input."""

    def __init__(self, module: fx.GraphModule, program: torch.export.ExportedProgram, steps: Sequence[Opaque]) -> None:
        super().__init__(module, garbage_collect_values=True)
        self._steps = steps
        user = list(program.graph_signature.user_inputs)
        self._input = user[0]
        self.nodes: list[Node] = []
        self.places: dict[fx.Node, int] = {}
        self.final: fx.Node | None = None
        self.output_shape: tuple[int, ...] = ()

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401
        """Execute one node and record it."""
        value = super().run_node(n)
        if n.op == "placeholder":
            if n.name == self._input:
                self._record(n, Node("input", None, (), tuple(value.shape), value.dtype, len(n.users)))
        elif n.op == "output":
            self.final = n
            first = next((item for item in value if isinstance(item, Tensor)), None)
            self.output_shape = tuple(first.shape) if first is not None else ()
        elif n.op == "call_function" and n.users:
            value = self._visit(n, value)
        return value

    def _record(self, n: fx.Node, node: Node) -> None:
        self.places[n] = len(self.nodes)
        self.nodes.append(node)

    def _visit(self, n: fx.Node, value: Any) -> Any:  # noqa: ANN401
        operands = [source for source in _sources(n) if source in self.places]
        target: Any = n.target
        opaque = self._steps[cast(int, n.args[2])] if target is torch.ops.stabtest.opaque.default else None
        operation = _operation(target) if opaque is None else opaque.name
        if operation in _UNINITIALISED:
            return value.fill_(float("nan")) if value.is_floating_point() or value.is_complex() else value
        if operation in _SHAPE_ONLY and all(source is n.args[0] for source in operands):
            return value
        tags = getattr(target, "tags", ())
        random = torch.Tag.nondeterministic_seeded in tags and operation not in _DECIDED_BY_RULE
        if not operands and not random:
            return value
        first = next((item for item in _flatten(value) if isinstance(item, Tensor)), None)
        shape = tuple(first.shape) if first is not None else ()
        dtype = first.dtype if first is not None else torch.float64
        positions = tuple(self.places[source] for source in operands)
        name = _name(n, operation if opaque is None else opaque.settings.get("map", operation))
        if target is operator.getitem and len(n.args) == 2 and isinstance(n.args[1], int):
            self._record(n, Node(name, None, positions, shape, dtype, len(n.users), item=n.args[1]))
        elif random:
            self._record(n, Node(name, None, positions, shape, dtype, len(n.users), problem=f"{operation}: random"))
        elif not hasattr(target, "_schema"):
            self._record(n, Node(name, None, positions, shape, dtype, len(n.users), problem=f"{operation}: no rule"))
        else:
            call = Call(operation, opaque or target, self._arguments(n) | (opaque.settings if opaque else {}), shape)
            self._record(n, Node(name, call, positions, shape, dtype, len(n.users)))
        return value

    def _arguments(self, n: fx.Node) -> dict[str, Any]:
        """Arguments by the schema's names, signals in place of what depends on the input."""

        def convert(value: Any) -> Any:  # noqa: ANN401
            if isinstance(value, fx.Node):
                if value in self.places:
                    node = self.nodes[self.places[value]]
                    return Signal(node.shape, node.dtype)
                return self.env[value]
            if isinstance(value, list | tuple):
                return [convert(item) for item in value]
            return value

        target: Callable[..., Any] = n.target  # pyright: ignore[reportAssignmentType]
        arguments: dict[str, Any] = {}
        for index, argument in enumerate(target._schema.arguments):  # pyright: ignore[reportFunctionMemberAccess]
            if not argument.kwarg_only and index < len(n.args):
                arguments[argument.name] = convert(n.args[index])
            elif argument.name in n.kwargs:
                arguments[argument.name] = convert(n.kwargs[argument.name])
            else:
                arguments[argument.name] = argument.default_value if argument.has_default_value() else None
        return arguments

    def recorded(self) -> Graph:
        """What was recorded."""
        assert self.final is not None
        outputs = tuple(self.places[source] for source in _sources(self.final) if source in self.places)
        return Graph(tuple(self.nodes), outputs, output_shape=self.output_shape)


def _sources(n: fx.Node) -> list[fx.Node]:
    """The nodes among the arguments, in the order of the schema, with repetitions."""
    found: list[fx.Node] = []

    def visit(value: Any) -> None:  # noqa: ANN401
        if isinstance(value, fx.Node):
            found.append(value)
        elif isinstance(value, list | tuple):
            for item in value:
                visit(item)

    for value in (*n.args, *n.kwargs.values()):
        visit(value)
    return found


def _flatten(value: Any) -> list[Any]:  # noqa: ANN401
    return list(value) if isinstance(value, list | tuple) else [value]


def _operation(target: Any) -> str:  # noqa: ANN401
    if hasattr(target, "_schema"):
        return target._schema.name.split("::")[-1]
    return getattr(target, "__name__", str(target))


def _name(n: fx.Node, operation: str) -> str:
    """Place in the module tree; the operation's name is added where the module holds more than that operation."""
    stack = n.meta.get("nn_module_stack") or {}
    path, kind = next(reversed(stack.values()), ("", ""))
    path = path.removeprefix("_closed").removeprefix(".")
    kind = kind if isinstance(kind, str) else getattr(kind, "__module__", "")
    if kind.startswith("torch.nn.modules") and "container" not in kind and path:
        return path
    return f"{path}.{operation}" if path else operation
