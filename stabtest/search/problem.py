r"""One search problem, and the only place where the network is called.

An evaluation at a variable ``v`` of the constraint set is

    value  phi(f(y + e(v)))  and  gradient  e'(v)* J(y + e)* phi'        (one forward, one backward)

of all images of the batch at once. Images are independent problems, so the gradient of the sum of their objectives is the stack
of their gradients. The value comes with the gradient: nothing is evaluated twice, and nothing for logging only. Where the batch
does not fit into memory it is taken in chunks (`stabtest.search.memory`).

A search is blind where the gradient is missing: PyTorch then answers zero, NaN or nothing at all, and an ascent that
believed it would call the network stable. Each evaluation therefore says for each image which of four it met
(`GradientHealth`): usable, zero, not finite, or disconnected from the measurement (`detach`, `torch.no_grad`, NumPy, rounding).
Obfuscated gradients as a false sign of robustness: A. Athalye, N. Carlini, D. Wagner, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Ball
from stabtest.search.memory import Memory, out_of_memory
from stabtest.search.objectives import Objective
from stabtest.search.precision import Precision, forward_in, joined_in, widened

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
    copies
        How many times the batch of the objective is repeated, one copy after the other (`repeated`).
    precision
        Of the network in `evaluate` (`stabtest.search.precision`); `score` and `reconstruct` run it as it is.
    memory
        How many images are evaluated at once.
    """

    reconstructor: Reconstructor
    measurement: Tensor
    constraint: Ball
    objective: Objective
    copies: int = field(default=1, kw_only=True)
    precision: Precision = field(default="float32", kw_only=True)
    memory: Memory = field(default_factory=Memory, kw_only=True, compare=False)

    @property
    def batch(self) -> int:
        """Number of images, all copies together."""
        return self.measurement.shape[0]

    def with_radius(self, radius: Tensor) -> Problem:
        """The same problem on balls of other radii, shape ``(B,)``."""
        return replace(self, constraint=self.constraint.with_radius(radius))

    def with_objective(self, objective: Objective) -> Problem:
        """The same problem with another objective."""
        return replace(self, objective=objective)

    def repeated(self, copies: int) -> Problem:
        """So many copies of the problem in one batch, one after the other: ``(copies * B, ...)``.

        The objective still sees ``B`` images at a time, those it was made for.
        """
        images = torch.arange(self.batch, device=self.measurement.device).repeat(copies)
        return replace(
            self,
            measurement=self.measurement[images],
            constraint=self.constraint.take(images),
            copies=self.copies * copies,
        )

    def reconstruct(self, e: Tensor) -> Tensor:
        """``f(y + e)`` for a measurement-domain perturbation, ``(B, 1, H, W)``; differentiable unless gradients are switched off."""
        y, operator = self.measurement + e, self.constraint.operator
        if not torch.is_grad_enabled():
            return reconstruct_within(self.memory, self.reconstructor, operator, y)

        def run(chunk: int) -> Tensor:
            if chunk >= len(y):
                return self.reconstructor(y, operator)
            # The graph of the whole batch does not fit: each chunk runs again when the backward pass comes to it.
            return torch.cat([recompute(self.reconstructor, part, operator, use_reentrant=False) for part in y.split(chunk)])

        return self.memory.attempt(run, self.batch)

    def score(self, v: Tensor) -> Tensor:
        """Objective without gradient, ``(B,)``: one forward."""
        with torch.no_grad():
            return self._objective(self.reconstruct(self.constraint.perturbation(v)))

    def evaluate(self, v: Tensor) -> Evaluation:
        """Objective, gradient and its health: one forward and one backward, and a second forward where the batch goes in chunks."""
        v = v.detach()
        value, gradient, connected = self.memory.attempt(lambda chunk: self._differentiate(v, chunk), self.batch)
        # What is not measured cannot be ascended along: a gradient that vanishes on the samples counts as zero.
        gradient = self.constraint.admissible(gradient)
        size = tensors.norm(gradient)
        finite = torch.isfinite(size) & torch.isfinite(value)
        health = torch.where(
            finite, torch.where(size > 0, GradientHealth.USABLE, GradientHealth.ZERO), GradientHealth.NOT_FINITE
        )
        health = torch.where(connected, health, GradientHealth.DISCONNECTED)
        if not bool(finite.all()):
            gradient = torch.where(finite.reshape(-1, *([1] * (v.ndim - 1))), gradient, torch.zeros_like(gradient))
        return Evaluation(value, gradient, health.to(torch.int8))

    def _differentiate(self, v: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
        """Value, gradient, and whether there was one, per image; at most ``chunk`` images with a graph at any time."""
        size = self.batch // self.copies
        differentiate = self._at_once if chunk >= size else self._two_passes
        images = max(1, chunk // size) * size  # whole copies, which the objective takes without a second pass
        parts = [differentiate(part, y, chunk) for part, y in zip(v.split(images), self.measurement.split(images), strict=True)]
        if len(parts) == 1:
            return parts[0]
        value, gradient, connected = (torch.cat(part) for part in zip(*parts, strict=True))
        return value, gradient, connected

    def _at_once(self, v: Tensor, y: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
        v = v.detach().requires_grad_(True)
        with torch.enable_grad(), joined_in(self.precision):
            try:
                value = self._objective(self._image(y + self.constraint.perturbation(v)))
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                # NumPy inside a network refuses tensors that require a gradient. If the network runs without, it is
                # disconnected; if it fails then too, the second error is the true one.
                with torch.no_grad():
                    value = self._objective(self._image(y + self.constraint.perturbation(v.detach())))
            gradient = _pull(value.sum(), v) if value.requires_grad else None
        found = torch.full(value.shape, gradient is not None, device=value.device)
        return value.detach(), torch.zeros_like(v, requires_grad=False) if gradient is None else gradient, found

    def _two_passes(self, v: Tensor, y: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor]:
        v = v.detach().requires_grad_(True)
        with torch.enable_grad(), joined_in(self.precision):
            e = self.constraint.perturbation(v)
            given = (y + e).detach().split(chunk)
            with torch.no_grad():
                image = torch.cat([self._image(part) for part in given])
            image.requires_grad_(True)
            value = self._objective(image)
            slope = _pull(value.sum(), image) if value.requires_grad else None
            pieces = [None] * len(given) if slope is None else map(self._pull_back, given, slope.split(chunk))
            parts = [
                (torch.zeros_like(at), False) if piece is None else (piece, True)
                for at, piece in zip(given, pieces, strict=True)
            ]
            gradient = _pull(e, v, torch.cat([part for part, _ in parts]))
        found = torch.cat([torch.full((len(part),), ok, device=value.device) for part, ok in parts])
        if gradient is None:
            return value.detach(), torch.zeros_like(v, requires_grad=False), torch.zeros_like(found)
        return value.detach(), gradient, found

    def _pull_back(self, given: Tensor, slope: Tensor) -> Tensor | None:
        """``J* u`` at a measurement, or nothing where the network is disconnected from it."""
        given = given.requires_grad_(True)
        try:
            image = self._image(given)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            return None  # it ran without a graph: NumPy inside
        return _pull(image, given, slope) if image.requires_grad else None

    def _image(self, given: Tensor) -> Tensor:
        """The reconstruction in the precision of the search, handed to the objective in single precision."""
        with forward_in(self.precision, given.device):
            image = self.reconstructor(given, self.constraint.operator)
        return image if self.precision == "float32" else widened(image)

    def _objective(self, reconstruction: Tensor) -> Tensor:
        size = self.batch // self.copies
        if self.copies == 1 or len(reconstruction) == size:
            return self._checked(self.objective(reconstruction), size)
        return torch.cat([self._checked(self.objective(part), size) for part in reconstruction.split(size)])

    def _checked(self, value: Tensor, images: int) -> Tensor:
        if value.shape != (images,) or value.is_complex():
            raise SearchError(
                "objective: wrong result",
                expected=f"one real number per image, shape ({images},)",
                came=f"{tuple(value.shape)}, {value.dtype}",
                remedy="return a tensor of shape (B,)",
            )
        return value


def reconstruct_within(memory: Memory, reconstructor: Reconstructor, operator: LinearOperator, y: Tensor) -> Tensor:
    """``f(y)`` without gradient, in chunks where the batch does not fit, ``(B, 1, H, W)``."""
    with torch.no_grad():
        return memory.attempt(
            lambda chunk: (
                reconstructor(y, operator)
                if chunk >= len(y)
                else torch.cat([reconstructor(part, operator) for part in y.split(chunk)])
            ),
            len(y),
        )


def _pull(output: Tensor, at: Tensor, slope: Tensor | None = None) -> Tensor | None:
    """``J* u`` of a graph, with ``u = 1`` for a number; None where it does not lead to ``at``."""
    (gradient,) = torch.autograd.grad(output, at, slope, allow_unused=True)
    return gradient
