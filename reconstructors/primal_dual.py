r"""Convex reconstruction by the primal-dual hybrid gradient method (PDHG), for any penalty that a linear map makes simple.

Solves, for every image of a batch, with a bounded linear ``L`` and a penalty ``R`` that is the support function of a simple convex
set ``C`` (``R(z) = max_{q in C} <q, z>``: a weighted sum of moduli),

    min_x  F(x) = 1/2 || A x / a - y / a ||^2  +  R(L x),         a >= ||A||.

PDHG (A. Chambolle, T. Pock, *A first-order primal-dual algorithm for convex problems with applications to imaging*, JMIV 40,
2011, algorithm 1 with theta = 1) on ``K = [A / a; L]``, ``||K||^2 <= 1 + ||L||^2``, from ``x = A^+ y`` and ``p = q = 0``:

    p <- (p + s (A xb / a - y / a)) / (1 + s)             data
    q <- project_C (q + s L xb)                            penalty
    x+ <- x - t (A* p / a + L* q),   xb <- 2 x+ - x,       s t (1 + ||L||^2) <= 1

(or its over-relaxed form ``z <- z + r (T(z) - z)``, ``0 < r < 2``, L. Condat, JOTA 158, 2013: the same solution, with
``r = 1.9`` in about half as many steps). Two ways to differentiate it:

- *unrolled*: a fixed number of steps is one differentiable function of ``y``, which is what the search differentiates;
- *implicit*: the steps are run to a tolerance and the derivative is that of the solution (`reconstructors.implicit`).

An unfinished solver is another method than its limit and can be more or less stable than it. How far it is from converged,
also at a perturbed measurement, is told by the residual of one more step and by a duality gap. For all ``p``, all ``q`` in
``C``, with ``b = y / a``, ``r = A* p / a + L* q`` and any minimiser ``x'``,

    F(x) - F(x') <= F(x) + ||p||^2 / 2 + <p, b> - <x, r> + ||r|| ||x - x'||

(the Lagrangian at ``x'`` bounds ``F(x')`` from below); `PrimalDual.gap` is the right-hand side with ``||x||`` for the
unknown ``||x - x'||``: a certificate for every minimiser within a relative distance of 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reconstructors.convergence import Convergence, convergence
from reconstructors.implicit import FixedPoint, Linearised, State, attach, iterate, size, warn_unsolved
from reconstructors.limit import ADJOINT_TOLERANCE, TOLERANCE, LimitDerivative
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator


@dataclass(frozen=True)
class PrimalDual(ABC):
    """A reconstruction by PDHG, a callable ``(y, operator) -> image``; a subclass says what ``L`` and ``C`` are.

    Parameters
    ----------
    weight
        Regularisation weight, relative to image values.
    iterations
        PDHG steps where ``differentiate`` is ``"unrolled"``.
    step_ratio
        ``sqrt(t / s)``: images change by about 1 and dual variables by about ``weight``, so it is large.
    nonnegative
        Restrict real images to values >= 0 (attenuation); refused for complex images.
    segment
        Steps between checkpoints of the gradient; memory of a gradient grows with ``iterations / segment + segment``.
    differentiate
        ``"unrolled"``: ``iterations`` steps, differentiated as they are. ``"implicit"``: as many steps as the tolerance takes,
        over-relaxed by 1.9, differentiated at the solution in constant memory.
    relaxation
        ``r`` of the unrolled steps.
    tolerance
        Implicit: relative residual of one more step at which an image is taken as solved. On 64 x 64 scans 1e-6 was a relative
        distance of about 2e-5 to the limit. Single precision does not reach much less.
    limit
        Implicit: most steps; an image that is not solved then is named in a `RuntimeWarning`.
    adjoint_tolerance, adjoint_limit
        The same for the linear equation of the derivative. A search needs a direction, not digits.

    Raises
    ------
    ConfigError
        If a setting is not one.
    """

    weight: float
    iterations: int = 300
    step_ratio: float = 10.0
    nonnegative: bool = False
    segment: int = 20
    differentiate: Literal["unrolled", "implicit"] = "unrolled"
    relaxation: float = 1.0
    tolerance: float = 1e-6
    limit: int = 20_000
    adjoint_tolerance: float = 1e-3
    adjoint_limit: int = 2_000

    name: ClassVar[str]
    norm_squared: ClassVar[float]
    """Upper bound of ``||L||^2``."""

    @abstractmethod
    def analyse(self, x: Tensor) -> Tensor:
        """``L x``: image ``(B, 1, H, W)`` to ``(B, C, H, W)``."""

    @abstractmethod
    def analysis_adjoint(self, q: Tensor) -> Tensor:
        """``L* q``, exact: ``(B, C, H, W)`` to ``(B, 1, H, W)``."""

    @abstractmethod
    def project(self, q: Tensor) -> Tensor:
        """Projection onto ``C``, shape of ``q``."""

    @abstractmethod
    def penalty(self, x: Tensor) -> Tensor:
        """``R(L x)``, shape ``(B,)``."""

    def __post_init__(self) -> None:
        if self.differentiate not in ("unrolled", "implicit"):
            raise ConfigError(f"{self.name}: differentiate", expected="'unrolled' or 'implicit'", came=repr(self.differentiate))
        if not 0 < self.relaxation < 2:
            raise ConfigError(f"{self.name}: relaxation", expected="a number between 0 and 2", came=str(self.relaxation))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``."""
        if self.differentiate == "unrolled":
            return self._unroll(y, operator)[0]
        solution = self.solve(y, operator)
        warn_unsolved(self.name, solution, self.tolerance)
        if not (torch.is_grad_enabled() and y.requires_grad):
            return solution.state[0]
        return attach(solution.state[0], y, self.linearise(solution, y, operator))

    def solve(self, y: Tensor, operator: LinearOperator, *, start: State | None = None) -> FixedPoint:
        """Run to the tolerance, without graph, on from ``start`` if given: state ``(x, p, q)``, residual, steps of each image."""
        with torch.no_grad():
            y, step = y.detach(), self._step(operator)
            start = self._start(y, operator) if start is None else start
            options = {"tolerance": self.tolerance, "limit": self.limit}
            return iterate(lambda z: step(z, y), start, weights=self._weights(), **options)

    def linearise(self, solution: FixedPoint, y: Tensor, operator: LinearOperator) -> Linearised:
        """The derivative of the solution: products with ``J`` and ``J*`` and their residuals."""
        return Linearised(
            self._step(operator),
            solution.state,
            y,
            weights=self._weights(),
            tolerance=self.adjoint_tolerance,
            limit=self.adjoint_limit,
        )

    def state(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """Where this method ends at ``y``, in either mode: ``(x, p, q)`` and the relative residual of one more step."""
        with torch.no_grad():
            if self.differentiate == "implicit":
                return self.solve(y, operator)
            z = self._unroll(y, operator)
            new = self._step(operator)(z, y)
            change = tuple(a - b for a, b in zip(new, z, strict=True))
            whole = size(new, self._weights())
            residual = size(change, self._weights()) / whole.clamp_min(torch.finfo(whole.dtype).tiny)
            return FixedPoint(z, residual, torch.full_like(residual, self.iterations, dtype=torch.int64))

    def longer(self, factor: int) -> Self:
        """The same method run ``factor`` times as long (unrolled), or to a tolerance ``factor`` times smaller."""
        if self.differentiate == "unrolled":
            return replace(self, iterations=factor * self.iterations)
        return replace(self, tolerance=self.tolerance / factor, limit=factor * self.limit)

    def differentiations(self) -> Mapping[str, Callable[[Tensor, LinearOperator], Tensor]]:
        """The ways in which it can be differentiated, all of the same value; the first is its own.

        ``"unrolled"``: through its steps; ``"implicit"``: at its limit (`reconstructors.limit`).
        """
        if self.differentiate == "implicit":
            return {"implicit": self}
        solver = replace(self, differentiate="implicit", tolerance=TOLERANCE, adjoint_tolerance=ADJOINT_TOLERANCE)
        return {"unrolled": self, "implicit": LimitDerivative(self, solver)}

    def convergence(self, y: Tensor, operator: LinearOperator, *, factor: int = 10) -> Convergence:
        """How far from finished it is at a measurement (`reconstructors.convergence`)."""
        return convergence(self, y, operator, factor=factor)

    def _unroll(self, y: Tensor, operator: LinearOperator) -> State:
        state = self._start(y, operator)
        done = 0
        while done < self.iterations:
            steps = min(self.segment, self.iterations - done)
            last = done + steps == self.iterations
            if torch.is_grad_enabled() and y.requires_grad:
                state = checkpoint(self._steps, state, y, operator, steps, last, use_reentrant=False)
            else:
                state = self._steps(state, y, operator, steps, last)
            done += steps
        return state

    def _steps(self, state: State, y: Tensor, operator: LinearOperator, steps: int, last: bool) -> State:
        step = self._step(operator)
        for k in range(steps):
            new = step(state, y)
            if self.relaxation != 1 and not (last and k == steps - 1):  # the last step ends on the constraint set
                new = tuple(a + self.relaxation * (b - a) for a, b in zip(state, new, strict=True))
            state = new
        return state

    def _start(self, y: Tensor, operator: LinearOperator) -> State:
        x = operator.pseudo_inverse(y)
        return (x, *self._duals(x, torch.zeros_like(y), torch.zeros_like(self.analyse(x)), y, operator, operator.norm_bound()))

    def _duals(
        self, xb: Tensor, p: Tensor, q: Tensor, y: Tensor, operator: LinearOperator, scale: float
    ) -> tuple[Tensor, Tensor]:
        _, s = self._sizes()
        p = (p + (s / scale) * (operator.forward(xb) - y)) / (1 + s)
        return p, self.project(q + s * self.analyse(xb))

    def _step(self, operator: LinearOperator) -> Callable[[State, Tensor], State]:
        """One step ``T((x, p, q), y)``, the image first."""
        scale = operator.norm_bound()
        t, _ = self._sizes()

        def step(state: State, y: Tensor) -> State:
            x, p, q = state
            new = x - t * (operator.adjoint(p) / scale + self.analysis_adjoint(q))
            if self.nonnegative:
                new = new.clamp_min(0)
            return (new, *self._duals(2 * new - x, p, q, y, operator, scale))

        return step

    def _sizes(self) -> tuple[float, float]:
        both = 0.99 / (1 + self.norm_squared) ** 0.5
        return both * self.step_ratio, both / self.step_ratio

    def _weights(self) -> tuple[float, ...]:
        t, s = self._sizes()
        return 1 / t, 1 / s, 1 / s

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Certificate of how far the objective is above its minimum at most, relative to it, ``(B,)``; see the module."""
        with torch.no_grad():
            x, p, q = self.state(y, operator).state
            scale = operator.norm_bound()
            value = self.objective(x, y, operator)
            r = operator.adjoint(p) / scale + self.analysis_adjoint(q)
            excess = value + tensors.norm(p).square() / 2 + tensors.inner(p, y) / scale - tensors.inner(x, r)
            excess = excess + tensors.norm(r) * tensors.norm(x)
            return excess / value.clamp_min(torch.finfo(value.dtype).tiny)

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """The functional that is minimised, shape ``(B,)``."""
        residual = (operator.forward(x) - y) / operator.norm_bound()
        return 0.5 * tensors.norm(residual) ** 2 + self.penalty(x)
