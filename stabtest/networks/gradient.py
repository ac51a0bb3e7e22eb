"""Whether the gradient of a network is the derivative of what it computes.

A search that climbs a wrong gradient finds nothing, and the network looks stable (Athalye, Carlini, Wagner, *Obfuscated
gradients give a false sense of security*, ICML 2018). With the central difference
``D = (f(y + h d) - f(y - h d)) / 2h`` along a random ``d`` and ``J`` the Jacobian as autograd has it, ``||D - J d|| / ||D||`` must be
small. A search uses ``J^T``, so that is what is tested: for standard normal ``w``, ``E (<D, w> - <d, J^T w>)^2 = ||D - J d||^2``, and a
few draws of ``w`` estimate the norm of the whole difference from backward passes alone. (A single ``w`` along ``D`` lets a
detached branch pass whose part of the output is small or across.) The smallest error of a few steps counts: the longest
crosses kinks of ReLU, the shortest meets rounding.

The two are compared at a measurement with a little noise: the background of a noise-free simulation lies exactly on the
kink of a modulus, or of a ReLU without bias, where no derivative is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.networks.protocol import Reconstructor
from stabtest.networks.wrap import WrappedNetwork
from stabtest.operators.base import LinearOperator
from stabtest.tensors import complex_dtype, inner, norm, normalise, randn, scale

STEPS = {torch.float64: (1e-4, 1e-6, 1e-9), torch.float32: (1e-2, 2e-3, 4e-4)}
"""Step lengths relative to ``||y||``. A step ``h`` takes a share of about ``h`` of the ReLUs across their kink, which leaves an error of
about ``sqrt(h)`` in ``D``: hence the very short step in float64, where rounding still leaves six digits."""

LIMITS = {torch.float64: 1e-3, torch.float32: 5e-2}
"""Largest relative error that passes."""

DRAWS = 4
"""Backward passes for one direction."""

NOISE = 0.05
"""Noise added before the comparison, relative to ``||y||``."""


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
    directions: int = 1,
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
        Their number; each costs six forward passes and `DRAWS` backward ones.

    Returns
    -------
    GradientCheck

    Raises
    ------
    Exception
        Whatever the method raises in both precisions.
    """
    method, point, precision = _most_precise(reconstructor, operator, y[:1].detach())
    output, variable = _tracked(method, operator, point)
    if not output.requires_grad:
        return GradientCheck(precision, None, None, "for autograd the output does not depend on the input")
    try:
        gradient = _pull(output, variable, normalise(output.detach()))
    except RuntimeError as error:
        return GradientCheck(precision, None, None, str(error).splitlines()[0])
    if not bool(torch.isfinite(gradient).all()):
        return GradientCheck(precision, None, None, "it is not finite")
    size = float(norm(output.detach()))
    sensitivity = float(norm(gradient) * norm(point)) / size if size > 0 else 0.0
    if sensitivity == 0:
        return GradientCheck(precision, sensitivity, None, "it is zero everywhere")
    point = point + NOISE * _direction(operator, point, precision, generator)
    output, variable = _tracked(method, operator, point)
    errors = list[float]()
    for _ in range(directions):
        d = _direction(operator, point, precision, generator)
        weights = [_standard_normal(output, generator) for _ in range(DRAWS)]
        slopes = [inner(_pull(output, variable, w), d) for w in weights]
        errors.append(min(_error(_difference(method, operator, point, d, h), weights, slopes) for h in STEPS[precision]))
    return GradientCheck(precision, sensitivity, max(errors), "")


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


def _tracked(method: Reconstructor, operator: LinearOperator, y: Tensor) -> tuple[Tensor, Tensor]:
    """Output and input with the graph between them."""
    variable = y.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        return method(variable, operator), variable


def _pull(output: Tensor, variable: Tensor, w: Tensor) -> Tensor:
    """``J^T w``; zero where autograd sees no way from the input to the output."""
    along = inner(output, w).sum()
    return torch.autograd.grad(along, variable, retain_graph=True, allow_unused=True, materialize_grads=True)[0]


def _direction(operator: LinearOperator, y: Tensor, precision: torch.dtype, generator: torch.Generator) -> Tensor:
    """Random, measurable, as large as ``y``."""
    noise = operator.range.randn(1, generator=generator, dtype=precision, device=y.device)
    return scale(normalise(operator.restrict(noise)), norm(y))


def _standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers with variance 1 in every real degree of freedom."""
    w = randn(tuple(like.shape), dtype=like.dtype, generator=generator, device=like.device)
    return w * math.sqrt(2) if w.is_complex() else w


def _difference(method: Reconstructor, operator: LinearOperator, y: Tensor, d: Tensor, h: float) -> Tensor:
    with torch.no_grad():
        return (method(y + h * d, operator) - method(y - h * d, operator)) / (2 * h)


def _error(difference: Tensor, weights: list[Tensor], slopes: list[Tensor]) -> float:
    """Estimated ``||D - J d|| / ||D||``."""
    squares = [float(inner(difference, w) - slope) ** 2 for w, slope in zip(weights, slopes, strict=True)]
    error, size = math.sqrt(sum(squares) / len(squares)), float(norm(difference))
    return error / size if size > 0 else (0.0 if error == 0 else float("inf"))
