r"""Linear replay: the network between its kinks, as a map of differences with its activation pattern as an argument.

Cut the graph at its nonlinear nodes. For two inputs ``x, x'`` with difference ``dx``, every affine node maps differences linearly
(`stabtest.bounds.affine`). An elementwise activation with slopes in ``[a, b]`` (`stabtest.bounds.slopes`) multiplies the
difference of each entry by *some* number in ``[a, b]``, and the maximum over a window gives *some* average of the differences in
it, with weights in the simplex:

    max u - max u' = sum_k w_k (u_k - u'_k),   w_k >= 0,   sum_k w_k = 1,

since the maximum is convex and its subgradients are such weights (mean-value theorem, R. T. Rockafellar, *Convex analysis*,
sec. 24). Collecting these numbers, the *gates* ``D``, the difference of the outputs is ``J_D dx``, linear in ``dx`` and in each
gate tensor separately (multilinear). Hence

    sup ||f(x) - f(x')|| / ||x - x'||  <=  max_D ||J_D||    over all D in the sets above,

with equality only if the maximising pattern is one that inputs reach. At a point where ``f`` is differentiable ``J_D`` with the
gates found there (`LinearReplay.pattern`) is its Jacobian. The same representation underlies M. Fazlyab et al., *Efficient and
accurate estimation of Lipschitz constants for deep neural networks*, NeurIPS 2019, and P. L. Combettes and J.-C. Pesquet,
*Lipschitz certificates for layered network structures driven by averaged activation operators*, SIAM J. Math. Data Sci. 2(2), 2020.

Max-pooling with windows that do not overlap (kernel = stride, no padding) in one to three dimensions. Any other nonlinear
operation (normalisation by the input's own statistics, attention, products of two signals, overlapping maxima) is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from stabtest.bounds.affine import Action, action, difference_action, is_affine
from stabtest.bounds.call import Call
from stabtest.bounds.graph import Graph, Node
from stabtest.bounds.slopes import slopes
from stabtest.errors import BoundsError


@dataclass(frozen=True)
class Gate:
    """A nonlinear node.

    Parameters
    ----------
    position
        In `Graph.nodes`.
    name
        Place in the module tree.
    low, high
        Slopes ``[a, b]``; 0 and 1 for a maximum.
    shape
        Of the gate tensor: that of the activation; of a maximum, that of its output with an axis of ``n`` weights, one for
        each entry of the window, after it.
    window
        Sides of the window; empty for an activation.
    """

    position: int
    name: str
    low: float
    high: float
    shape: tuple[int, ...]
    window: tuple[int, ...] = ()


Remainder: TypeAlias = Callable[[int, Gate, Tensor], Tensor]
"""See `LinearReplay.with_remainders`."""


@dataclass(frozen=True)
class LinearReplay:
    """The graph as a map ``dx, gates -> J_D dx``; made by `linear_replay`.

    Parameters
    ----------
    graph
        From `stabtest.bounds.graph.trace`.
    gates
        Its nonlinear nodes in order of execution, those that no output depends on left out.
    actions
        For each node how it acts on differences; ``None`` for the input, picked outputs and gates.
    """

    graph: Graph
    gates: tuple[Gate, ...]
    actions: tuple[Action | None, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of ``dx``, the batch axis of 1 included."""
        return self.graph.nodes[0].shape

    @property
    def is_complex(self) -> bool:
        """Whether ``dx`` is complex."""
        return self.graph.nodes[0].dtype.is_complex

    def __call__(self, dx: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """``J_D dx`` as one real vector: all outputs jointly, complex entries as pairs.

        Parameters
        ----------
        dx
            ``(1, ...)`` float64 or complex128.
        gates
            One tensor for each of `gates`, of its shape or broadcastable to it.
        """
        values = self.propagate({0: dx}, self.graph.outputs, gates)
        return torch.cat([real_vector(value, self.graph.nodes[place]) for value, place in zip(values, self.graph.outputs)])

    def propagate(
        self, starts: Mapping[int, Tensor], wanted: Sequence[int], gates: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        """Differences at nodes, from differences put in at the outputs of other nodes.

        Parameters
        ----------
        starts
            Node -> what is added to the difference of its output, for the input (0) the difference itself; all else starts at 0.
        wanted
            Nodes.
        gates
            As in `__call__`; one that is not met is not read.

        Returns
        -------
        tuple
            ``None`` where no start reaches the node.
        """
        return self._propagate(starts, wanted, gates, None)

    def with_remainders(self, dx: Tensor, gates: Sequence[Tensor], remainder: Remainder) -> Tensor:
        """As `__call__`, with something added to what leaves each gate, as a function of what enters it.

        Parameters
        ----------
        dx, gates
            As in `__call__`.
        remainder
            ``(index of the gate, the gate, the difference that enters it) -> what is added to the difference that leaves it``.
        """
        values = self._propagate({0: dx}, self.graph.outputs, gates, remainder)
        return torch.cat([real_vector(value, self.graph.nodes[place]) for value, place in zip(values, self.graph.outputs)])

    def _propagate(
        self, starts: Mapping[int, Tensor], wanted: Sequence[int], gates: Sequence[Tensor], remainder: Remainder | None
    ) -> tuple[Tensor | None, ...]:
        gate_of = {gate.position: index for index, gate in enumerate(self.gates)}
        values: dict[int, Any] = {}
        for position in self._between(starts, wanted):
            node = self.graph.nodes[position]
            operands: list[Any] = [values.get(place) for place in node.operands]
            added = starts.get(position)
            if all(operand is None for operand in operands):
                if added is not None:
                    values[position] = _plus(None, added, node)
                continue
            index, act = gate_of.get(position), self.actions[position]
            if node.item is not None:
                values[position] = operands[0][node.item]
            elif index is not None:
                values[position] = _through(self.gates[index], node, operands[0], gates[index])
                if remainder is not None:
                    values[position] = _plus(values[position], remainder(index, self.gates[index], operands[0]), node)
            elif act is not None:
                sources = [self.graph.nodes[place] for place in node.operands]
                values[position] = act([_zeros(s) if v is None else v for s, v in zip(sources, operands)])
            if added is not None:
                values[position] = _plus(values[position], added, node)
        return tuple(values.get(place) for place in wanted)

    def pattern(self, x: Tensor) -> list[Tensor]:
        """The gates at an input: slopes of the activations there, the first largest entry of each window.

        Parameters
        ----------
        x
            ``(1, ...)``; converted to double precision.
        """
        gate_of = {gate.position: gate for gate in self.gates}
        values: dict[int, Any] = {0: x.detach().to("cpu", torch.complex128 if self.is_complex else torch.float64)}
        found: list[Tensor] = []
        for position in self.graph.read[1:]:
            node = self.graph.nodes[position]
            operands = [values[place] for place in node.operands]
            if node.item is not None:
                values[position] = operands[0][node.item]
                continue
            assert node.call is not None
            act, gate = action(node.call), gate_of.get(position)
            if gate is not None and gate.window:
                largest = windows(operands[0], gate.window).argmax(-1)
                found.append(torch.nn.functional.one_hot(largest, math.prod(gate.window)).to(torch.float64))
            elif gate is not None:
                point = operands[0].detach().clone().requires_grad_(True)
                with torch.enable_grad():
                    (slope,) = torch.autograd.grad(act([point]).sum(), point)
                found.append(slope.clamp(gate.low, gate.high))
            with torch.no_grad():
                values[position] = act(operands)
        return found

    def _between(self, starts: Mapping[int, Tensor], wanted: Sequence[int]) -> list[int]:
        """Nodes on the way, in order of execution."""
        first = min(starts, default=len(self.graph.nodes))
        pending, needed = list(wanted), set[int]()
        while pending:
            position = pending.pop()
            if position not in needed and position >= first:
                needed.add(position)
                pending.extend(self.graph.nodes[position].operands)
        return sorted(needed)


def linear_replay(graph: Graph) -> LinearReplay:
    """Split a graph at its activations and maxima.

    Parameters
    ----------
    graph
        From `stabtest.bounds.graph.trace` of one image.

    Raises
    ------
    BoundsError
        Where the network has no graph, or an operation is neither affine nor a gate; the message names it.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> _ = nn.init.eye_(network[0].weight)
    >>> replay = linear_replay(trace(network, torch.zeros(1, 2)))
    >>> dx, gate = torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    >>> replay(dx, [gate])
    tensor([3., 0.], dtype=torch.float64)
    """
    if graph.problem is not None:
        raise BoundsError("linear replay", expected="a network with a graph", came=graph.problem)
    if not graph.outputs:
        raise BoundsError("linear replay", expected="an output that depends on the input", came="a constant")
    gates: list[Gate] = []
    actions: list[Action | None] = []
    read = set(graph.read)
    for position, node in enumerate(graph.nodes):
        if position not in read:
            actions.append(None)
            continue
        gate = _gate(position, node)
        if gate is not None:
            gates.append(gate)
        if node.call is None or gate is not None:
            if node.problem is not None or (node.item and _is_maximum(graph.nodes[node.operands[0]].call)):
                raise _refused(node, node.problem or "places of maxima")
            actions.append(None)
        elif node.problem is not None or not is_affine(node.call):
            raise _refused(node, node.problem or node.call.operation)
        else:
            actions.append(difference_action(node.call))
    return LinearReplay(graph, tuple(gates), tuple(actions))


def windows(u: Tensor, window: Sequence[int]) -> Tensor:
    """Entries of windows that do not overlap, along a new last axis: ``(.., H, W) -> (.., H // k, W // l, k l)``.

    Examples
    --------
    >>> windows(torch.arange(4.0).reshape(1, 1, 2, 2), (2, 2))
    tensor([[[[[0., 1., 2., 3.]]]]])
    """
    axes = len(window)
    lead, sizes = u.shape[:-axes], u.shape[-axes:]
    for axis, (size, side) in enumerate(zip(sizes, window)):
        u = u.narrow(axis - axes, 0, size // side * side)
    u = u.reshape(*lead, *(part for size, side in zip(sizes, window) for part in (size // side, side)))
    start = len(lead)
    order = [*range(start), *(start + 2 * axis for axis in range(axes)), *(start + 2 * axis + 1 for axis in range(axes))]
    return u.permute(order).flatten(-axes)


def real_vector(value: Tensor | None, node: Node) -> Tensor:
    """A difference as a real vector; zeros where nothing reaches the node."""
    value = _zeros(node) if value is None else value
    return (torch.view_as_real(value) if value.is_complex() else value).reshape(-1)


def _gate(position: int, node: Node) -> Gate | None:
    call = node.call
    if call is None or node.problem is not None:
        return None
    sector = slopes(call)
    if sector is not None:
        return Gate(position, node.name, *sector, node.shape)
    if not _is_maximum(call) or not call.only("self"):
        return None
    axes = int(call.operation.removesuffix("_with_indices")[-2])
    kernel, stride, padding, dilation = (_numbers(call[key], axes) for key in ("kernel_size", "stride", "padding", "dilation"))
    if (stride or kernel) != kernel or any(padding) or set(dilation) != {1} or call["ceil_mode"]:
        raise _refused(node, f"{call.operation} with windows that overlap or are padded")
    return Gate(position, node.name, 0.0, 1.0, (*node.shape, math.prod(kernel)), tuple(kernel))


def _is_maximum(call: Call | None) -> bool:
    return call is not None and call.operation.removesuffix("_with_indices") in ("max_pool1d", "max_pool2d", "max_pool3d")


def _numbers(value: Any, axes: int) -> list[int]:  # noqa: ANN401
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def _refused(node: Node, operation: str) -> BoundsError:
    return BoundsError(
        "linear replay",
        expected="affine operations, activations with bounded slopes and maxima over disjoint windows",
        came=f"{operation} ({node.name}), which is not piecewise linear in this sense",
    )


def _through(gate: Gate, node: Node, du: Tensor, weights: Tensor) -> Any:  # noqa: ANN401
    if not gate.window:
        return weights * du
    pooled = (windows(du, gate.window) * weights).sum(-1)
    assert node.call is not None
    return (pooled,) if node.call.operation.endswith("_with_indices") else pooled


def _plus(value: Any, added: Tensor, node: Node) -> Any:  # noqa: ANN401
    """Added to the (first) output."""
    several = node.call is not None and node.call.operation.endswith("_with_indices")
    total = added if value is None else (value[0] if several else value) + added
    return (total,) if several else total


def _zeros(node: Node) -> Tensor:
    return torch.zeros(node.shape, dtype=torch.complex128 if node.dtype.is_complex else torch.float64)
