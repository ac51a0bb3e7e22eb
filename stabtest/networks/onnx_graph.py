"""An ONNX graph as a differentiable module: each node by the operation of PyTorch that does the same.

ONNX (Open Neural Network Exchange, opset 7 to 23) is a list of nodes with named operations; weights are initialisers. Here each node is one line of a
table, and floating-point initialisers are buffers, so that the module can be copied in float64. What the table does not have cannot be converted, and
neither can graphs with control flow. A conversion is worth nothing until it has been compared with the reference runtime: see
`stabtest.networks.onnx_file`, which does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stabtest.errors import NetworkError

if TYPE_CHECKING:
    from onnx import ModelProto

Arguments = Sequence[Any]
Attributes = dict[str, Any]
Operation = Callable[[Arguments, Attributes], Any]


@dataclass(frozen=True)
class Step:
    """One node: what it does, to which values, and what comes of it."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes


class OnnxGraph(nn.Module):
    """The graph of a model with one tensor in and one out.

    Parameters
    ----------
    model
        As `onnx.load` gives it.

    Raises
    ------
    NetworkError
        If a node has no counterpart here, or there is more than one input or output.
    """

    def __init__(self, model: ModelProto) -> None:
        super().__init__()
        from onnx import helper, numpy_helper

        graph = model.graph
        constants = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in constants]
        self.steps: list[Step] = []
        missing: set[str] = set()
        for node in graph.node:
            attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            if node.op_type == "Constant" and "value" in attributes:
                constants[node.output[0]] = torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy())
                continue
            if node.op_type not in OPERATIONS or node.domain not in ("", "ai.onnx"):
                missing.add(node.op_type)
            self.steps.append(Step(node.op_type, tuple(node.input), tuple(node.output), attributes))
        if missing:
            raise NetworkError("ONNX", expected="operations with a differentiable counterpart", came=", ".join(sorted(missing)))
        if len(inputs) != 1 or len(graph.output) != 1:
            raise NetworkError("ONNX", expected="one input and one output", came=f"{len(inputs)} and {len(graph.output)}")
        self.input, self.output = inputs[0], graph.output[0].name
        self.names: dict[str, str] = {}
        for index, (name, value) in enumerate(constants.items()):
            self.names[name] = f"constant{index}"
            self.register_buffer(self.names[name], value)

    def forward(self, x: Tensor) -> Tensor:
        """The output of the graph."""
        values: dict[str, Any] = {name: getattr(self, own) for name, own in self.names.items()}
        values[self.input] = x
        for step in self.steps:
            made = OPERATIONS[step.kind]([values[name] if name else None for name in step.inputs], step.attributes)
            values.update(zip(step.outputs, made if isinstance(made, tuple | list) else (made,)))
        return values[self.output]


def _ints(value: Any) -> list[int]:  # noqa: ANN401 - a tensor or a sequence
    return [int(entry) for entry in (value.tolist() if isinstance(value, Tensor) else value)]


def _given(arguments: Arguments, place: int, default: Any = None) -> Any:  # noqa: ANN401
    return arguments[place] if len(arguments) > place and arguments[place] is not None else default


def _padded(x: Tensor, attributes: Attributes, spatial: int, *, value: float = 0.0) -> Tensor:
    """Explicit padding, which ONNX allows to differ at the two ends of an axis."""
    _only(attributes, "auto_pad", (b"NOTSET", b"VALID"))
    pads = list(attributes.get("pads", [0] * 2 * spatial))
    turned = [pads[axis + side * spatial] for axis in reversed(range(spatial)) for side in (0, 1)]
    return F.pad(x, turned, value=value) if any(turned) else x


def _only(attributes: Attributes, name: str, allowed: tuple[Any, ...]) -> None:
    if name in attributes and attributes[name] not in allowed:
        raise NetworkError(f"ONNX: {name}", expected=f"one of {allowed}", came=str(attributes[name]))


def _conv(arguments: Arguments, attributes: Attributes) -> Tensor:
    x, weight = arguments[0], arguments[1]
    spatial = weight.ndim - 2
    run = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
    strides, dilations = attributes.get("strides", [1] * spatial), attributes.get("dilations", [1] * spatial)
    return run(
        _padded(x, attributes, spatial),
        weight,
        _given(arguments, 2),
        stride=tuple(strides),
        dilation=tuple(dilations),
        groups=attributes.get("group", 1),
    )


def _conv_transpose(arguments: Arguments, attributes: Attributes) -> Tensor:
    x, weight = arguments[0], arguments[1]
    spatial = weight.ndim - 2
    pads = attributes.get("pads", [0] * 2 * spatial)
    if pads[:spatial] != pads[spatial:] or "output_shape" in attributes:
        raise NetworkError("ONNX: ConvTranspose", expected="equal padding at both ends", came=str(pads))
    run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
    return run(
        x,
        weight,
        _given(arguments, 2),
        stride=tuple(attributes.get("strides", [1] * spatial)),
        padding=tuple(pads[:spatial]),
        output_padding=tuple(attributes.get("output_padding", [0] * spatial)),
        groups=attributes.get("group", 1),
        dilation=tuple(attributes.get("dilations", [1] * spatial)),
    )


def _pool(kind: str) -> Operation:
    def run(arguments: Arguments, attributes: Attributes) -> Tensor:
        (x,) = arguments
        kernel = list(attributes["kernel_shape"])
        strides = tuple(attributes.get("strides", [1] * len(kernel)))
        _only(attributes, "ceil_mode", (0,))
        _only(attributes, "dilations", ([1] * len(kernel),))
        if kind == "max":
            return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(kernel) - 1](
                _padded(x, attributes, len(kernel), value=-torch.inf), tuple(kernel), strides
            )
        if any(attributes.get("pads", [])) and not attributes.get("count_include_pad", 0):
            raise NetworkError(
                "ONNX: AveragePool", expected="no padding, or padding that is counted", came="padding that is not"
            )
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel) - 1]
        return pool(_padded(x, attributes, len(kernel)), tuple(kernel), strides)

    return run


def _batch_norm(arguments: Arguments, attributes: Attributes) -> Tensor:
    _only(attributes, "training_mode", (0,))
    x, gain, bias, mean, variance = arguments
    return F.batch_norm(x, mean, variance, gain, bias, training=False, eps=attributes.get("epsilon", 1e-5))


def _gemm(arguments: Arguments, attributes: Attributes) -> Tensor:
    a, b = arguments[0], arguments[1]
    a = a.T if attributes.get("transA", 0) else a
    b = b.T if attributes.get("transB", 0) else b
    product = attributes.get("alpha", 1.0) * (a @ b)
    offset = _given(arguments, 2)
    return product if offset is None else product + attributes.get("beta", 1.0) * offset


def _resize(arguments: Arguments, attributes: Attributes) -> Tensor:
    x, scales, sizes = arguments[0], _given(arguments, 2), _given(arguments, 3)
    mode = attributes.get("mode", b"nearest").decode()
    how = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    target = _ints(sizes)[2:] if sizes is not None else [int(n * s) for n, s in zip(x.shape[2:], scales.tolist()[2:])]
    if mode == "nearest":
        if any(new % old for new, old in zip(target, x.shape[2:])):
            raise NetworkError("ONNX: Resize", expected="whole multiples", came=f"{tuple(x.shape[2:])} to {target}")
        return F.interpolate(x, size=target, mode="nearest")
    if mode == "linear" and x.ndim == 4 and how in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return F.interpolate(x, size=target, mode="bilinear", align_corners=how == "align_corners")
    raise NetworkError("ONNX: Resize", expected="nearest or linear", came=f"{mode}, {how}")


def _slice(arguments: Arguments, attributes: Attributes) -> Tensor:
    x = arguments[0]
    starts, ends = _ints(_given(arguments, 1, attributes.get("starts"))), _ints(_given(arguments, 2, attributes.get("ends")))
    axes = _ints(_given(arguments, 3, attributes.get("axes", range(len(starts)))))
    steps = _ints(_given(arguments, 4, [1] * len(starts)))
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        if step < 1:
            raise NetworkError("ONNX: Slice", expected="steps from 1", came=str(step))
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def _pad(arguments: Arguments, attributes: Attributes) -> Tensor:
    x = arguments[0]
    pads = _ints(_given(arguments, 1, attributes.get("pads")))
    mode = attributes.get("mode", b"constant").decode()
    turned = [pads[axis + side * x.ndim] for axis in reversed(range(x.ndim)) for side in (0, 1)]
    if mode == "constant":
        return F.pad(x, turned, value=float(_given(arguments, 2, attributes.get("value", 0.0))))
    while turned[-2:] == [0, 0]:
        turned = turned[:-2]
    return F.pad(x, turned, mode={"reflect": "reflect", "edge": "replicate"}[mode])


def _reduce(run: Callable[..., Tensor]) -> Operation:
    def reduced(arguments: Arguments, attributes: Attributes) -> Tensor:
        axes = _given(arguments, 1, attributes.get("axes"))
        every = tuple(range(arguments[0].ndim))
        return run(arguments[0], dim=every if axes is None else tuple(_ints(axes)), keepdim=bool(attributes.get("keepdims", 1)))

    return reduced


def _split(arguments: Arguments, attributes: Attributes) -> tuple[Tensor, ...]:
    x, axis = arguments[0], attributes.get("axis", 0)
    sizes = _given(arguments, 1, attributes.get("split"))
    if sizes is None:
        return tuple(x.chunk(attributes["num_outputs"], axis))
    return tuple(x.split(_ints(sizes), axis))


def _reshape(arguments: Arguments, attributes: Attributes) -> Tensor:
    x, shape = arguments[0], _ints(arguments[1])
    zero_is_kept = not attributes.get("allowzero", 0)
    return x.reshape([x.shape[k] if n == 0 and zero_is_kept else n for k, n in enumerate(shape)])


def _unsqueeze(arguments: Arguments, attributes: Attributes) -> Tensor:
    x = arguments[0]
    for axis in sorted(_ints(_given(arguments, 1, attributes.get("axes")))):
        x = x.unsqueeze(axis)
    return x


def _squeeze(arguments: Arguments, attributes: Attributes) -> Tensor:
    axes = _given(arguments, 1, attributes.get("axes"))
    return arguments[0].squeeze() if axes is None else arguments[0].squeeze(tuple(_ints(axes)))


def _clip(arguments: Arguments, attributes: Attributes) -> Tensor:
    low, high = _given(arguments, 1, attributes.get("min")), _given(arguments, 2, attributes.get("max"))
    x = arguments[0]
    x = x if low is None else x.clamp_min(float(low))
    return x if high is None else x.clamp_max(float(high))


def _plain(run: Callable[..., Any]) -> Operation:
    return lambda arguments, attributes: run(*arguments)


OPERATIONS: dict[str, Operation] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "AveragePool": _pool("average"),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda arguments, attributes: torch.cat(list(arguments), attributes["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _plain(torch.div),
    "Dropout": lambda arguments, attributes: arguments[0],
    "Elu": lambda arguments, attributes: F.elu(arguments[0], attributes.get("alpha", 1.0)),
    "Exp": _plain(torch.exp),
    "Flatten": lambda arguments, attributes: arguments[0].flatten(attributes.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda arguments, attributes: arguments[0].mean(tuple(range(2, arguments[0].ndim)), keepdim=True),
    "Identity": lambda arguments, attributes: arguments[0],
    "InstanceNormalization": lambda arguments, attributes: F.instance_norm(
        arguments[0], weight=arguments[1], bias=arguments[2], eps=attributes.get("epsilon", 1e-5)
    ),
    "LeakyRelu": lambda arguments, attributes: F.leaky_relu(arguments[0], attributes.get("alpha", 0.01)),
    "Log": _plain(torch.log),
    "MatMul": _plain(torch.matmul),
    "Max": _plain(lambda *xs: xs[0] if len(xs) == 1 else torch.stack(torch.broadcast_tensors(*xs)).amax(0)),
    "MaxPool": _pool("max"),
    "Min": _plain(lambda *xs: xs[0] if len(xs) == 1 else torch.stack(torch.broadcast_tensors(*xs)).amin(0)),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Pad": _pad,
    "Pow": _plain(torch.pow),
    "PRelu": lambda arguments, attributes: torch.where(arguments[0] >= 0, arguments[0], arguments[1] * arguments[0]),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda arguments, attributes: torch.softmax(arguments[0], attributes.get("axis", -1)),
    "Softplus": _plain(F.softplus),
    "Split": _split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Sum": _plain(lambda *xs: sum(xs[1:], xs[0])),
    "Tanh": _plain(torch.tanh),
    "Transpose": lambda arguments, attributes: arguments[0].permute(
        *attributes.get("perm", reversed(range(arguments[0].ndim)))
    ),
    "Unsqueeze": _unsqueeze,
}
"""Attributes that a line does not read are refused by no one: the comparison with the runtime is what counts."""
