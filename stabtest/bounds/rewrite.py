"""A graph written anew, node by node: some operations replaced by others that do the same.

What is replaced must be equal for every input, so that a bound of the new graph is one of the old. Nodes that were read before and that
nobody reads any more are left out at the end; everything else keeps its order.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from stabtest.bounds.call import Call, Signal
from stabtest.bounds.graph import Graph, Node


class Draft:
    """The new graph while it is written, in the order of execution of the old one.

    Parameters
    ----------
    source
        The old graph.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> graph = trace(nn.Sequential(nn.ReLU(), nn.Flatten()), torch.ones(1, 2))
    >>> draft = Draft(graph)
    >>> draft.keep(0), draft.keep(1)
    (0, 1)
    >>> draft.stand_in(2, 1)  # flattening a vector does nothing
    >>> [node.name for node in draft.finished().nodes]
    ['input', '0']
    """

    def __init__(self, source: Graph) -> None:
        self.source = source
        self.nodes: list[Node] = []
        self.places: dict[int, int] = {}

    def keep(self, position: int) -> int:
        """Take a node over as it is, and answer its new place."""
        node = self.source.nodes[position]
        self.nodes.append(dataclasses.replace(node, operands=tuple(self.places[place] for place in node.operands)))
        self.places[position] = len(self.nodes) - 1
        return self.places[position]

    def stand_in(self, position: int, place: int) -> None:
        """Let the new node at ``place`` stand for an old one."""
        self.places[position] = place

    def add(self, name: str, target: Any, arguments: dict[str, Any]) -> int:  # noqa: ANN401 - an operation of PyTorch
        """A further operation; what depends on the input is given among the arguments as `At` a new place.

        Parameters
        ----------
        name
            For the layer table.
        target
            An overload with a schema, such as ``torch.ops.aten.sub.Tensor``.
        arguments
            All of them, by their names in the schema.

        Returns
        -------
        int
            Its place.
        """
        operands: list[int] = []

        def signal(value: Any) -> Any:  # noqa: ANN401
            if isinstance(value, At):
                operands.append(value.place)
                node = self.nodes[value.place]
                return Signal(node.shape, node.dtype)
            return [signal(item) for item in value] if isinstance(value, list) else value

        given = {argument.name: signal(arguments[argument.name]) for argument in target._schema.arguments}
        shape, dtype = _result(target, given)
        operation = target._schema.name.split("::")[-1]
        self.nodes.append(Node(name, Call(operation, target, given, shape), tuple(operands), shape, dtype, 1))
        return len(self.nodes) - 1

    def finished(self) -> Graph:
        """The new graph."""
        outputs = tuple(self.places[place] for place in self.source.outputs)
        whole = dataclasses.replace(self.source, nodes=tuple(self.nodes), outputs=outputs)
        read = set(self.source.read)
        idle_before = {self.places[place] for place in range(len(self.source.nodes)) if place not in read}
        order = sorted(idle_before.union(whole.read))
        moved = {place: index for index, place in enumerate(order)}
        nodes = [
            dataclasses.replace(self.nodes[place], operands=tuple(moved[operand] for operand in self.nodes[place].operands))
            for place in order
        ]
        ends = tuple(moved[place] for place in outputs)
        users = [sum(place in node.operands for node in nodes) + (place in ends) for place in range(len(nodes))]
        return dataclasses.replace(
            whole, nodes=tuple(dataclasses.replace(node, users=count) for node, count in zip(nodes, users)), outputs=ends
        )


@dataclasses.dataclass(frozen=True)
class At:
    """An argument that is the result of another node.

    Parameters
    ----------
    place
        Where that node stands in the new graph.
    """

    place: int


def _result(target: Any, arguments: dict[str, Any]) -> tuple[tuple[int, ...], torch.dtype]:  # noqa: ANN401
    """Shape and type, without computing anything."""

    def stand(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Signal):
            return torch.empty(value.shape, dtype=value.dtype, device="meta")
        if isinstance(value, torch.Tensor):
            return value.to("meta")
        return [stand(item) for item in value] if isinstance(value, list) else value

    out = target(**{name: stand(value) for name, value in arguments.items()})
    return tuple(out.shape), out.dtype
