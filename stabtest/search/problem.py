r"""One search problem, and the only place where the network is called.

An evaluation at a variable ``v`` of the constraint set is

    value  phi(f(y + e(v)))  and  gradient  e'(v)* J(y + e)* phi'        (one forward, one backward)

of all images of the batch at once. Images are independent problems, so the gradient of the sum of their objectives is the stack
of their gradients. The value comes with the gradient: nothing is evaluated twice, and nothing for logging only.

A search is blind where the gradient is missing: PyTorch then answers zero, NaN or nothing at all, and an ascent that
believed it would call the network stable. Each evaluation therefore says for each image which of four it met
(`GradientHealth`): usable, zero, not finite, or disconnected from the measurement (`detach`, `torch.no_grad`, NumPy, rounding).
Obfuscated gradients as a false sign of robustness: A. Athalye, N. Carlini, D. Wagner, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Ball
from stabtest.search.objectives import Objective

Reconstructor = Callable[[Tensor, LinearOperator], Tensor]
"""Any reconstruction method: measurement ``(B, *range)`` and operator to image ``(B, 1, H, W)``."""


class GradientHealth(IntEnum):
    """What the gradient of one image was."""

    USABLE = 0
    ZERO = 1
    NOT_FINITE = 2
    DISCONNECTED = 3

    @property
    def words(self) -> str:
        """For reports: ``"usable"``, ``"zero"``, ``"not finite"``, ``"disconnected"``."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Evaluation:
    """Objective and gradient at one variable, per image.

    Attributes
    ----------
    value
        ``(B,)``, not finite where the network's output is not.
    gradient
        Shape of the variable; zero where it is not usable.
    health
        `GradientHealth` of each image as integers, ``(B,)``.
    """

    value: Tensor
    gradient: Tensor
    health: Tensor


@dataclass(frozen=True)
class Problem:
    """Maximise ``objective(reconstructor(y + e))`` over a constraint set.

    Parameters
    ----------
    reconstructor
        ``f``, a callable ``(y, operator) -> image``.
    measurement
        ``y``, shape ``(B, *range)``, real or complex.
    constraint
        The set of admissible variables; it knows the operator.
    objective
        Image to one number each, ``(B,)``.
    """

    reconstructor: Reconstructor
    measurement: Tensor
    constraint: Ball
    objective: Objective

    @property
    def batch(self) -> int:
        """Number of images."""
        return self.measurement.shape[0]

    def with_radius(self, radius: Tensor) -> Problem:
        """The same problem on balls of other radii, shape ``(B,)``."""
        return replace(self, constraint=self.constraint.with_radius(radius))

    def with_objective(self, objective: Objective) -> Problem:
        """The same problem with another objective."""
        return replace(self, objective=objective)

    def reconstruct(self, e: Tensor) -> Tensor:
        """``f(y + e)`` for a measurement-domain perturbation, differentiable, ``(B, 1, H, W)``."""
        return self.reconstructor(self.measurement + e, self.constraint.operator)

    def score(self, v: Tensor) -> Tensor:
        """Objective without gradient, ``(B,)``: one forward."""
        with torch.no_grad():
            return self._objective(self.reconstruct(self.constraint.perturbation(v)))

    def evaluate(self, v: Tensor) -> Evaluation:
        """Objective, gradient and its health: one forward and one backward."""
        v = v.detach().requires_grad_(True)
        with torch.enable_grad():
            try:
                value = self._objective(self.reconstruct(self.constraint.perturbation(v)))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:
                # NumPy inside a network refuses tensors that require a gradient. If the network runs without, it is
                # disconnected; if it fails then too, the second error is the true one.
                value = self.score(v.detach())
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value.sum(), v, allow_unused=True)
        value = value.detach()
        if gradient is None:
            health = torch.full_like(value, GradientHealth.DISCONNECTED, dtype=torch.int8)
            return Evaluation(value, torch.zeros_like(v, requires_grad=False), health)
        # What is not measured cannot be ascended along: a gradient that vanishes on the samples counts as zero.
        gradient = self.constraint.admissible(gradient)
        size = tensors.norm(gradient)
        finite = torch.isfinite(size) & torch.isfinite(value)
        health = torch.where(
            finite, torch.where(size > 0, GradientHealth.USABLE, GradientHealth.ZERO), GradientHealth.NOT_FINITE
        )
        if not bool(finite.all()):
            gradient = torch.where(finite.reshape(-1, *([1] * (v.ndim - 1))), gradient, torch.zeros_like(gradient))
        return Evaluation(value, gradient, health.to(torch.int8))

    def _objective(self, reconstruction: Tensor) -> Tensor:
        value = self.objective(reconstruction)
        if value.shape != (self.batch,) or value.is_complex():
            raise SearchError(
                "objective: wrong result",
                expected=f"one real number per image, shape ({self.batch},)",
                came=f"{tuple(value.shape)}, {value.dtype}",
                remedy="return a tensor of shape (B,)",
            )
        return value
