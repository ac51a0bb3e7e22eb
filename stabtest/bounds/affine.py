"""Which operations are affine in what depends on the input, and how they act on differences of it.

An affine operation ``h(u) = A u + c`` sends a difference ``u - u'`` to ``A (u - u')``, with ``c`` gone. ``A du = h(du) -
h(0)`` for every operation of the list; where the shift is known (the bias of a convolution, of a matrix product, of a batch
normalisation) it is left out instead. Several operands are taken jointly: ``add``, ``cat`` and the like are affine in the tuple
of them, a matrix product in one of its factors as long as the other is a constant.

All in float64: constants are converted, and changes between floating types of the network are the identity here (its rounding
is left out of account). Operations that keep the values are replaced by the identity where PyTorch's own would cut the gradient
(``detach``) or depend on strides (``view``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Signal
from stabtest.bounds.rules.norms import batch_slopes
from stabtest.errors import BoundsError

Action: TypeAlias = Callable[[Sequence[Tensor]], Any]
"""From the operands that depend on the input to the output (a tuple where the operation has several)."""

# fmt: off
_IDENTITIES = frozenset({
    "clone", "contiguous", "alias", "detach", "lift_fresh_copy", "positive", "resolve_conj", "resolve_neg", "to", "_to_copy",
    "dropout", "feature_dropout", "alpha_dropout",
})
_VIEWS = frozenset({"view", "_unsafe_view", "reshape"})
_ONE = frozenset({
    "permute", "transpose", "t", "squeeze", "unsqueeze", "flatten", "unflatten", "ravel", "expand", "broadcast_to", "repeat",
    "tile", "slice", "select", "narrow", "split", "split_with_sizes", "tensor_split", "chunk", "unbind", "flip", "fliplr",
    "flipud", "roll", "rot90", "movedim", "moveaxis", "swapaxes", "swapdims", "pixel_shuffle", "pixel_unshuffle",
    "channel_shuffle", "im2col", "col2im", "unfold", "constant_pad_nd", "pad", "reflection_pad1d", "reflection_pad2d",
    "reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d", "index", "index_select", "gather",
    "take_along_dim", "tril", "triu", "diagonal", "fft_fftshift", "fft_ifftshift", "repeat_interleave", "hsplit", "vsplit",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
    "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d", "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "view_as_real", "view_as_complex", "conj", "_conj", "conj_physical", "_conj_physical", "real", "imag",
    "neg", "negative", "sum", "mean", "cumsum", "trace", "masked_fill", "linear_operator", "resolvent",
    *(f"fft_{kind}{suffix}" for kind in ("fft", "ifft", "rfft", "irfft") for suffix in ("", "2", "n")),
})
_ALL = frozenset({
    "add", "sub", "subtract", "rsub", "cat", "concat", "concatenate", "stack", "hstack", "vstack", "slice_scatter",
    "select_scatter", "diagonal_scatter", "complex", "copy",
})
_PRODUCTS = frozenset({"mul", "multiply", "matmul", "mm", "bmm", "mv", "dot", "einsum", "tensordot", "kron"})
_PRODUCTS_AND_SHIFT = frozenset({"addmm", "baddbmm", "addmv", "addbmm"})
_SHAPE_OF_OTHER = frozenset({"expand_as", "view_as", "reshape_as"})
_WITH_BIAS = frozenset({
    "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear",
})
_BATCH_NORMS = frozenset({"batch_norm", "_native_batch_norm_legit_no_training", "instance_norm"})
# fmt: on


def is_affine(call: Call) -> bool:
    """Whether the operation is affine in all of its operands that depend on the input, jointly.

    Examples
    --------
    >>> u, v = Signal((1, 2), torch.float32), Signal((1, 2), torch.float32)
    >>> def add(a, b):
    ...     return Call("add", torch.ops.aten.add.Tensor, {"self": a, "other": b, "alpha": 1}, (1, 2))
    >>> def mul(a, b):
    ...     return Call("mul", torch.ops.aten.mul.Tensor, {"self": a, "other": b}, (1, 2))
    >>> is_affine(add(u, v)), is_affine(mul(u, torch.ones(2))), is_affine(mul(u, v))
    (True, True, False)
    """
    name, signals = call.operation, call.signals
    if not signals or not all(signal.dtype.is_floating_point or signal.dtype.is_complex for signal in signals):
        return False
    if name in _BATCH_NORMS:
        own_statistics = name == "instance_norm" and bool(call.get("use_input_stats", True))
        return call.only("input") and not own_statistics and batch_slopes(call) is not None
    if name in _IDENTITIES:
        return len(signals) == 1 and not call.get("train", False) and _keeps_numbers(call, signals[0])
    single = call.only("self") or call.only("input")
    if name in _VIEWS:
        return single and "dtype" not in call.arguments
    if name in _ONE:
        return single and _keeps_numbers(call, signals[0])
    if name in _WITH_BIAS:
        return call.only("input")
    if name in _PRODUCTS:
        return len(signals) == 1
    if name in ("div", "divide", "true_divide"):
        return call.only("self") and call.get("rounding_mode") is None
    if name in _PRODUCTS_AND_SHIFT:
        factors = [value for key, value in call.arguments.items() if key in ("mat1", "mat2", "batch1", "batch2", "mat", "vec")]
        return sum(isinstance(value, Signal) for value in factors) <= 1
    if name == "where":
        return not isinstance(call["condition"], Signal)
    return name in _ALL or name in _SHAPE_OF_OTHER


def _keeps_numbers(call: Call, signal: Signal) -> bool:
    """No conversion to whole numbers, and none that drops an imaginary part."""
    dtype = call.get("dtype")
    if isinstance(call.get("other"), Tensor | Signal):
        return False
    return not isinstance(dtype, torch.dtype) or dtype.is_complex or (dtype.is_floating_point and not signal.dtype.is_complex)


def action(call: Call) -> Action:
    """The operation itself in float64, shifts included.

    Parameters
    ----------
    call
        Any operation, affine or not.
    """
    return _action(double(call))


def difference_action(call: Call) -> Action:
    """How an affine operation acts on differences: linear, and differentiable.

    Parameters
    ----------
    call
        An operation that `is_affine`.

    Raises
    ------
    BoundsError
        If it is not.

    Examples
    --------
    >>> u = Signal((1, 2), torch.float32)
    >>> call = Call("add", torch.ops.aten.add.Tensor, {"self": u, "other": torch.ones(2), "alpha": 1}, (1, 2))
    >>> difference_action(call)([torch.tensor([[3.0, 4.0]], dtype=torch.float64)])
    tensor([[3., 4.]], dtype=torch.float64)
    """
    if not is_affine(call):
        raise BoundsError("linear replay", expected="an affine operation", came=call.operation)
    if call.operation in _BATCH_NORMS:
        return _scaling_of_channels(call)
    exact = double(call)
    if call.operation in _WITH_BIAS:
        return _action(dataclasses.replace(exact, arguments={**exact.arguments, "bias": None}))
    if call.operation in _PRODUCTS_AND_SHIFT and isinstance(exact["self"], Tensor):
        return _action(dataclasses.replace(exact, arguments={**exact.arguments, "self": torch.zeros_like(exact["self"])}))
    run = _action(exact)
    with torch.no_grad():
        at_zero = run([zeros(signal) for signal in call.signals])
    if not any(bool((part != 0).any()) for part in parts(at_zero)):
        return run

    def shifted(operands: Sequence[Tensor]) -> Any:  # noqa: ANN401
        out = run(operands)
        if isinstance(out, Tensor):
            return out - at_zero
        return tuple(one - other for one, other in zip(out, at_zero))

    return shifted


def parts(value: Any) -> tuple[Tensor, ...]:  # noqa: ANN401
    """Outputs of an operation with one or several."""
    return (value,) if isinstance(value, Tensor) else tuple(value)


def zeros(signal: Signal) -> Tensor:
    """Zeros of the shape, in double precision."""
    return torch.zeros(signal.shape, dtype=torch.complex128 if signal.dtype.is_complex else torch.float64)


def double(call: Call) -> Call:
    """The same operation with constants, and types asked for, in double precision."""

    def convert(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            return value.detach().to("cpu", torch.complex128 if value.is_complex() else torch.float64)
        if isinstance(value, Tensor):
            return value.detach().to("cpu")
        if isinstance(value, torch.dtype):
            return torch.complex128 if value.is_complex else torch.float64 if value.is_floating_point else value
        return [convert(item) for item in value] if isinstance(value, list | tuple) else value

    return Call(call.operation, call.target, {key: convert(value) for key, value in call.arguments.items()}, call.output_shape)


def _action(call: Call) -> Action:
    name = call.operation
    if name in _IDENTITIES:
        dtype = call.get("dtype")
        # Among floating types nothing is converted; whole numbers are what an index has to be.
        kept = not isinstance(dtype, torch.dtype) or dtype.is_floating_point
        return (lambda u: u[0]) if kept else (lambda u: u[0].to(dtype))
    if name in _VIEWS and "dtype" not in call.arguments:
        return lambda u: u[0].reshape(call.output_shape)
    if name in _SHAPE_OF_OTHER and isinstance(call["self"], Signal):
        return lambda u: u[0].expand(call.output_shape) if name == "expand_as" else u[0].reshape(call.output_shape)
    if name == "view_as_complex":
        return lambda u: torch.view_as_complex(u[0].contiguous())
    schema = call.target._schema.arguments  # pyright: ignore[reportFunctionMemberAccess]

    def put(value: Any, operands: Iterator[Tensor]) -> Any:  # noqa: ANN401
        if isinstance(value, Signal):
            return next(operands)
        return [put(item, operands) for item in value] if isinstance(value, list | tuple) else value

    def run(operands: Sequence[Tensor]) -> Any:  # noqa: ANN401
        given = iter(operands)
        filled = {key: put(value, given) for key, value in call.arguments.items()}
        positional = [filled[argument.name] for argument in schema if not argument.kwarg_only]
        return call.target(*positional, **{argument.name: filled[argument.name] for argument in schema if argument.kwarg_only})

    return run


def _scaling_of_channels(call: Call) -> Action:
    slopes = batch_slopes(call)
    assert slopes is not None
    axes = len(call.signals[0].shape) - 2
    factor = slopes.reshape(-1, *([1] * axes))
    if call.operation == "_native_batch_norm_legit_no_training":
        return lambda u: (u[0] * factor,)
    return lambda u: u[0] * factor
