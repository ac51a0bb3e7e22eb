"""From a graph of operations to a `Lattice`, where the network is of that kind.

Known: convolutions and transposed convolutions in two dimensions with stride 1 or 2, any kernel, dilation and groups, zero
padding; batch normalisation; elementwise activations with bounded slopes; maximum and average over blocks of 2 x 2;
nearest-neighbour up-sampling by 2; sums, differences, multiples, concatenation, zero padding and cropping. Whatever else occurs is
refused by name, and the other bounds remain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Signal
from stabtest.bounds.graph import Graph, Node
from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.builder import At, Builder, NotALatticeError
from stabtest.bounds.lattice.network import Blocks, Lattice, Maximum, Step
from stabtest.bounds.rules.norms import batch_slopes
from stabtest.bounds.slopes import slopes

_IDENTITIES = frozenset({"alias", "clone", "contiguous", "detach", "lift_fresh_copy"})
_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout"})
_BATCH_NORMS = ("batch_norm", "_native_batch_norm_legit_no_training")


def translate(graph: Graph) -> Lattice:
    """The network in translation-invariant form.

    Parameters
    ----------
    graph
        Of a network that maps one image ``(1, C, H, W)`` to one image.

    Raises
    ------
    NotALatticeError
        With the operation that does not fit.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1))
    >>> lattice = translate(trace(network, torch.zeros(1, 1, 8, 8)))
    >>> [variable.channels for variable in lattice.variables], lattice.torus
    ([1, 2], (9, 9))
    """
    if graph.problem is not None:
        raise NotALatticeError("network", expected="a graph", came=graph.problem)
    if len(graph.outputs) != 1:
        raise NotALatticeError("network", expected="one output", came=f"{len(graph.outputs)}")
    return _Translator(graph).translated()


class _Translator(Builder):
    """One method for each kind of operation."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.place: dict[int, int] = {}

    def translated(self) -> Lattice:
        """All nodes that the output depends on, in order of execution."""
        for index in self.graph.read:
            self.place[index] = self._step(self.graph.nodes[index])
        return self.finish(self.place[self.graph.outputs[0]])

    def _step(self, node: Node) -> int:
        if node.problem is not None:
            raise NotALatticeError(node.name, expected="a known operation", came=node.problem)
        if node.call is None:
            if node.item is not None:
                if node.item:
                    raise NotALatticeError(node.name, expected="the first output", came=f"output {node.item}")
                return self.place[node.operands[0]]
            if len(node.shape) != 4 or node.shape[0] != 1 or node.dtype.is_complex:
                raise NotALatticeError("input", expected="a real image (1, C, H, W)", came=f"{node.shape}, {node.dtype}")
            return self.variable("input", 0, node.shape[1], (node.shape[2], node.shape[3]))
        call, name = node.call, node.name
        places = [self.place[operand] for operand in node.operands]
        slope = slopes(call)
        if slope is not None:
            return self.sector(places[0], name, *slope)
        if call.operation in _IDENTITIES or (call.operation in _DROPOUTS and not call.get("train", True)):
            return places[0]
        operations: dict[str, Callable[[Call, str, list[int]], int]] = {
            "conv2d": self._convolution,
            "conv_transpose2d": self._transposed,
            **dict.fromkeys(_BATCH_NORMS, self._batch_norm),
            "max_pool2d": self._maximum,
            "max_pool2d_with_indices": self._maximum,
            "avg_pool2d": self._average,
            "upsample_nearest2d": self._nearest,
            **dict.fromkeys(("add", "sub", "subtract"), self._sum),
            **dict.fromkeys(("mul", "multiply", "div", "divide", "true_divide"), self._multiple),
            **dict.fromkeys(("neg", "negative"), lambda c, n, p: self.scaled(p[0], torch.tensor(-1.0, dtype=torch.float64))),
            **dict.fromkeys(("cat", "concat", "concatenate"), self._concatenation),
            **dict.fromkeys(("pad", "constant_pad_nd"), self._padding),
            "slice": self._crop,
        }
        if call.operation not in operations:
            raise NotALatticeError(name, expected="an operation that is translation-invariant", came=call.operation)
        return operations[call.operation](call, name, places)

    def _convolution(self, call: Call, name: str, places: list[int]) -> int:
        if not call.only("input"):
            raise NotALatticeError(name, expected="a constant kernel", came="one that depends on the input")
        kernel = symbols.dense_kernel(call["weight"], int(call["groups"]))
        stride, padding, dilation = (symbols.pair(call[key], name) for key in ("stride", "padding", "dilation"))
        source = places[0]
        if kernel.shape[2:] != (1, 1) or padding != (0, 0):
            source = self.inside(source, name)
        self.extend(self.steps[source].level, *padding)
        offsets = symbols.offsets(kernel, dilation, padding)
        return self.filtered(name, source, kernel, offsets, stride, call.output_shape)

    def _transposed(self, call: Call, name: str, places: list[int]) -> int:
        if not call.only("input"):
            raise NotALatticeError(name, expected="a constant kernel", came="one that depends on the input")
        kernel = symbols.dense_transposed(call["weight"], int(call["groups"]))
        stride, padding, dilation = (symbols.pair(call[key], name) for key in ("stride", "padding", "dilation"))
        source = self.inside(places[0], name)
        level = self.steps[source].level - (stride == (2, 2))
        self.extend(level, *padding)
        offsets = -symbols.offsets(kernel, dilation, padding)
        if stride == (1, 1):
            return self.filtered(name, source, kernel, offsets, stride, call.output_shape)
        exact = tuple(kernel.shape[2:]) == (2, 2) and padding == (0, 0) and dilation == (1, 1)
        return self.raised(name, source, kernel, offsets, stride, call.output_shape, inside=exact)

    def _batch_norm(self, call: Call, name: str, places: list[int]) -> int:
        scale = batch_slopes(call)
        if scale is None:
            raise NotALatticeError(name, expected="evaluation mode", came="batch normalisation in training mode")
        return self.scaled(places[0], scale)

    def _multiple(self, call: Call, name: str, places: list[int]) -> int:
        factor: Any = call["other"] if isinstance(call["self"], Signal) else call["self"]
        divides = call.operation in ("div", "divide", "true_divide")
        if len(places) != 1 or call.get("rounding_mode") is not None or (divides and not isinstance(call["self"], Signal)):
            raise NotALatticeError(name, expected="a constant factor", came=f"{call.operation} of signals")
        channels = self.steps[places[0]].channels
        factors = torch.as_tensor(factor, dtype=torch.float64)
        if factors.numel() != 1 and tuple(factors.shape) not in ((channels, 1, 1), (1, channels, 1, 1)):
            raise NotALatticeError(name, expected="one factor for each channel", came=f"shape {tuple(factors.shape)}")
        return self.scaled(places[0], 1 / factors if divides else factors)

    def _sum(self, call: Call, name: str, places: list[int]) -> int:
        if len(places) == 1:  # a shift
            if call.operation != "add" and not isinstance(call.get("self"), Signal):
                return self.scaled(places[0], torch.tensor(-1.0, dtype=torch.float64))
            return self.scaled(places[0], torch.tensor(1.0, dtype=torch.float64))
        weight = float(call.get("alpha", 1)) * (1.0 if call.operation == "add" else -1.0)
        one, other = (self.steps[place] for place in places)
        if (one.level, one.channels, one.size) != (other.level, other.channels, other.size):
            raise NotALatticeError(name, expected="operands of one shape", came=f"{one.size} and {other.size}")

        def evaluate(at: At, w: Tensor) -> Blocks:
            total = dict(at(places[0], w))
            for key, block in at(places[1], w).items():
                total[key] = total[key] + weight * block if key in total else weight * block
            return total

        return self.add(Step(one.level, one.channels, one.size, one.inside and other.inside, one.keys | other.keys, evaluate))

    def _concatenation(self, call: Call, name: str, places: list[int]) -> int:
        parts = [self.steps[place] for place in places]
        if call.get("dim", 0) not in (1, -3) or len(places) != len(call["tensors"]) or len({p.level for p in parts}) > 1:
            raise NotALatticeError(name, expected="channels of signals on one grid", came="another concatenation")
        channels = sum(part.channels for part in parts)

        def evaluate(at: At, w: Tensor) -> Blocks:
            joined: Blocks = {}
            row = 0
            for place, part in zip(places, parts, strict=True):
                for key, block in at(place, w).items():
                    if key not in joined:
                        joined[key] = block.new_zeros(len(w), channels, block.shape[2])
                    joined[key][:, row : row + part.channels] += block
                row += part.channels
            return joined

        keys = frozenset[tuple[int, int]]().union(*(part.keys for part in parts))
        return self.add(Step(parts[0].level, channels, parts[0].size, all(part.inside for part in parts), keys, evaluate))

    def _maximum(self, call: Call, name: str, places: list[int]) -> int:
        kernel, stride, padding, dilation = (
            symbols.pair(call[key] or call["kernel_size"], name) for key in ("kernel_size", "stride", "padding", "dilation")
        )
        place = self.inside(places[0], name)
        source = self.steps[place]
        blocks = kernel == stride == (2, 2) and padding == (0, 0) and dilation == (1, 1)
        if not blocks or source.size[0] % 2 or source.size[1] % 2:
            raise NotALatticeError(
                name, expected="the maximum over blocks of 2 x 2 of an even image", came=f"{kernel}, {source.size}"
            )
        if any(relation for _, relation in source.keys):
            raise NotALatticeError(name, expected="an activation between two changes of the grid", came="none")
        number = len(self.variables)
        found = self.variable(name, source.level + 1, source.channels, (source.size[0] // 2, source.size[1] // 2))
        self.maxima.append(Maximum(number, place))
        return found

    def _average(self, call: Call, name: str, places: list[int]) -> int:
        kernel, stride = (symbols.pair(call[key] or call["kernel_size"], name) for key in ("kernel_size", "stride"))
        padding = symbols.pair(call["padding"], name)
        if not kernel == stride == (2, 2) or padding != (0, 0) or call.get("divisor_override") is not None:
            raise NotALatticeError(name, expected="the average over blocks of 2 x 2", came=str(kernel))
        channels = self.steps[places[0]].channels
        weight = symbols.every_channel(torch.full((2, 2), 0.25, dtype=torch.float64), channels)
        source = self.inside(places[0], name)
        offsets = symbols.offsets(weight, (1, 1), (0, 0))
        return self.filtered(name, source, weight, offsets, (2, 2), call.output_shape)

    def _nearest(self, call: Call, name: str, places: list[int]) -> int:
        source = self.steps[self.inside(places[0], name)]
        if call.output_shape[2:] != (2 * source.size[0], 2 * source.size[1]):
            raise NotALatticeError(name, expected="twice the size", came=str(call.output_shape[2:]))
        weight = symbols.every_channel(torch.ones(2, 2, dtype=torch.float64), source.channels)
        place = self.inside(places[0], name)
        offsets = -symbols.offsets(weight, (1, 1), (0, 0))
        return self.raised(name, place, weight, offsets, (2, 2), call.output_shape, inside=True)

    def _padding(self, call: Call, name: str, places: list[int]) -> int:
        amounts = [int(amount) for amount in call["pad"]]
        before = (amounts[2] if len(amounts) > 2 else 0, amounts[0])
        zero = call.get("mode", "constant") == "constant" and not call.get("value")
        if not zero or len(amounts) > 4 or min(amounts) < 0:
            raise NotALatticeError(name, expected="zero padding", came=f"{call.get('mode', 'constant')} padding by {amounts}")
        place = self.inside(places[0], name)
        self.extend(self.steps[place].level, *before)
        size = (call.output_shape[2], call.output_shape[3])
        return self.moved(place, (-before[0], -before[1]), size, inside=True)

    def _crop(self, call: Call, name: str, places: list[int]) -> int:
        source = self.steps[places[0]]
        dim, start, step = int(call.get("dim", 0)), int(call.get("start") or 0), int(call.get("step", 1))
        axis = dim % 4 - 2
        if step != 1:
            raise NotALatticeError(name, expected="a crop", came=f"a slice with step {step}")
        if axis < 0:
            if call.output_shape[1] == source.channels:
                return places[0]
            raise NotALatticeError(name, expected="a crop of the image", came="a slice of channels")
        size = (call.output_shape[2], call.output_shape[3])
        if size == source.size:
            return places[0]
        start += source.size[axis] if start < 0 else 0
        return self.moved(places[0], (start, 0) if axis == 0 else (0, start), size, inside=False)
