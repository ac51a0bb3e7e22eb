"""Whether the gradient of a network is the derivative of what it computes.

A search that climbs a wrong gradient finds nothing, and the network looks stable (Athalye, Carlini, Wagner, *Obfuscated
gradients give a false sense of security*, ICML 2018). For a random direction ``d`` and a step ``h`` let
``D = f(y + h d) - f(y - h d)`` and ``w = D / ||D||``. Then ``||D|| / 2h`` and ``<grad <f, w>(y), d>`` are the same number up to
``O(h^2)``. Choosing ``w`` along the change keeps the compared number far above rounding, even in float32 and at high
dimension, where the derivative along an arbitrary ``w`` would drown. The smallest error over two steps counts: the
larger one crosses kinks of ReLU, the smaller one meets rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from stabtest.errors import NetworkError
from stabtest.networks.protocol import Reconstructor
from stabtest.networks.wrap import WrappedNetwork
from stabtest.operators.base import LinearOperator
from stabtest.tensors import complex_dtype, inner, norm, normalise, scale

STEPS = {torch.float64: (1e-4, 1e-6), torch.float32: (3e-2, 3e-3)}
"""Step lengths relative to ``||y||``."""

LIMITS = {torch.float64: 1e-3, torch.float32: 5e-2}
"""Largest relative error that passes."""


@dataclass(frozen=True)
class GradientCheck:
    """What was found.

    Attributes
    ----------
    precision
        ``torch.float64`` where the method runs in it, else ``torch.float32``.
    sensitivity
        ``||grad|| ||y|| / ||f(y)||`` of ``<f, f(y)> / ||f(y)||``: zero if the gradient is; None if there is none.
    error
        Largest relative error over the directions; None if the gradient is missing or not finite, infinite where
        the output does not move although the gradient says so.
    problem
        Empty, or what is wrong with the gradient itself.
    """

    precision: torch.dtype
    sensitivity: float | None
    error: float | None
    problem: str


def check_gradient(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    y: Tensor,
    *,
    generator: torch.Generator,
    directions: int = 2,
) -> GradientCheck:
    """Compare a method's gradient with finite differences at one measurement.

    Parameters
    ----------
    reconstructor
        The method. A `WrappedNetwork` is copied in float64 for the check.
    operator
        The forward model.
    y
        Measurements ``(B, *range)``; the first is used.
    generator
        Draws the directions.
    directions
        Their number; each costs four forward and two backward passes.

    Returns
    -------
    GradientCheck

    Raises
    ------
    Exception
        Whatever the method raises in both precisions.
    """
    y = y[:1].detach()
    method, point, precision = _most_precise(reconstructor, operator, y)
    with torch.no_grad():
        clean = method(point, operator)
    try:
        gradient = _gradient(method, operator, point, normalise(clean))
    except (RuntimeError, NetworkError) as error:
        return GradientCheck(precision, None, None, str(error).splitlines()[0])
    if not bool(torch.isfinite(gradient).all()):
        return GradientCheck(precision, None, None, "it is not finite")
    sensitivity = float(norm(gradient) * norm(point) / norm(clean).clamp_min(torch.finfo(clean.real.dtype).tiny))
    errors = [_error(method, operator, point, precision, generator) for _ in range(directions)]
    return GradientCheck(precision, sensitivity, max(errors), "" if sensitivity > 0 else "it is zero everywhere")


def _most_precise(
    reconstructor: Reconstructor, operator: LinearOperator, y: Tensor
) -> tuple[Reconstructor, Tensor, torch.dtype]:
    """The method and the measurement in float64 if the method runs in it, else as they are."""
    double = y.to(complex_dtype(torch.float64) if y.is_complex() else torch.float64)
    try:
        method = reconstructor.in_double() if isinstance(reconstructor, WrappedNetwork) else reconstructor
        with torch.no_grad():
            if method(double, operator).dtype in (torch.float64, torch.complex128):
                return method, double, torch.float64
    except Exception:  # many networks fix their precision; the check in float32 then says what is wrong, if anything is
        return reconstructor, y, torch.float32
    return reconstructor, y, torch.float32


def _gradient(method: Reconstructor, operator: LinearOperator, y: Tensor, along: Tensor) -> Tensor:
    """Gradient of ``<f(y), along>``."""
    variable = y.clone().requires_grad_(True)
    with torch.enable_grad():
        output = method(variable, operator)
        if not output.requires_grad:
            raise NetworkError("the output does not depend on the input for autograd")
        (gradient,) = cast("tuple[Tensor | None]", torch.autograd.grad(inner(output, along).sum(), variable, allow_unused=True))
    if gradient is None:
        raise NetworkError("the output does not depend on the input for autograd")
    return gradient


def _error(
    method: Reconstructor, operator: LinearOperator, y: Tensor, precision: torch.dtype, generator: torch.Generator
) -> float:
    """Relative error along one random direction, the smallest over the steps."""
    noise = operator.range.randn(1, generator=generator, dtype=precision, device=y.device)
    d = scale(normalise(operator.restrict(noise)), norm(y))
    return min(_error_of_step(method, operator, y, d, h) for h in STEPS[precision])


def _error_of_step(method: Reconstructor, operator: LinearOperator, y: Tensor, d: Tensor, h: float) -> float:
    with torch.no_grad():
        change = method(y + h * d, operator) - method(y - h * d, operator)
    slope = float(norm(change)) / (2 * h)
    along = normalise(change) if slope > 0 else normalise(torch.ones_like(change))
    derivative = float(inner(_gradient(method, operator, y, along), d))
    size = max(abs(slope), abs(derivative))
    if slope == 0 or size == 0:
        return 0.0 if size == 0 else float("inf")
    return abs(slope - derivative) / size
