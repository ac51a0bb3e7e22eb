"""Linear operations without a formula here: Lanczos iteration with a probabilistic certificate (`stabtest.bounds.lanczos`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain, Signal, gain, unknown
from stabtest.bounds.lanczos import linear_map_norm

STEPS = 60


def probabilistic(call: Call) -> Gain:
    """Norm of an operation that is linear in its one signal, 60 Lanczos steps from a fixed seed."""
    signals = call.signals
    if len(signals) != 1:
        return unknown("several operands depend on the input")
    signal = signals[0]
    double = _double(call)

    def forward(x: Tensor) -> Tensor:
        with torch.enable_grad():
            return _call(double, x)

    estimate = linear_map_norm(
        forward,
        signal.shape,
        is_complex=signal.dtype.is_complex,
        generator=torch.Generator().manual_seed(0),
        steps=STEPS,
    )
    status = "probabilistic" if estimate.failure else "certified"
    return gain(estimate.upper, f"Lanczos, {estimate.steps} steps", status=status, failure=estimate.failure)


def _double(call: Call) -> Call:
    def convert(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            return value.detach().to(torch.complex128 if value.is_complex() else torch.float64)
        return [convert(item) for item in value] if isinstance(value, list | tuple) else value

    return Call(
        call.operation, call.target, {name: convert(value) for name, value in call.arguments.items()}, call.output_shape
    )


def _call(call: Call, x: Tensor) -> Tensor:
    def put(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Signal):
            return x
        return [put(item) for item in value] if isinstance(value, list) else value

    schema = call.target._schema  # pyright: ignore[reportFunctionMemberAccess]
    arguments = {argument.name: put(call.arguments[argument.name]) for argument in schema.arguments}
    positional = [arguments[argument.name] for argument in schema.arguments if not argument.kwarg_only]
    named = {argument.name: arguments[argument.name] for argument in schema.arguments if argument.kwarg_only}
    return call.target(*positional, **named)


RULES: dict[str, Callable[[Call], Gain]] = dict.fromkeys(
    ("einsum", "cumsum", "col2im", "avg_pool3d", "adaptive_avg_pool3d", "upsample_trilinear3d", "tensordot", "trace", "kron"),
    probabilistic,
)
"""Operation name -> rule."""
