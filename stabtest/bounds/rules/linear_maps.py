"""Linear operations without a formula here: Lanczos iteration with a probabilistic certificate (`stabtest.bounds.lanczos`).

Among them the maps of a forward model that the exporter cannot follow (`stabtest.operators.opaque`). The inverse ``(N + w)^-1`` of a
self-adjoint ``N >= 0`` has the norm ``1 / w`` at most; what a solver leaves unsolved is left out of account.
"""

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


def resolvent(call: Call) -> Gain:
    """``(N + w)^-1`` with a weight that does not depend on the input."""
    if not call.only("input"):
        return unknown("the weight depends on the input")
    weight = float(call["constants"][0].detach())
    return gain(1 / weight, "(N + w)^-1, N >= 0: 1 / w, solved exactly") if weight > 0 else unknown("no positive weight")


_BY_LANCZOS = (
    "einsum",
    "cumsum",
    "col2im",
    "avg_pool3d",
    "adaptive_avg_pool3d",
    "upsample_trilinear3d",
    "tensordot",
    "trace",
    "kron",
    "linear_operator",
)
RULES: dict[str, Callable[[Call], Gain]] = {**dict.fromkeys(_BY_LANCZOS, probabilistic), "resolvent": resolvent}
"""Operation name -> rule."""
