"""Total variation by the primal-dual hybrid gradient method (PDHG).

Solves, for every image of a batch,

    min_x  1/2 || A x / a - y / a ||^2  +  weight * || grad x ||_{2,1},         a >= ||A||,

with ``grad`` the forward differences with a zero last row or column and the pointwise 2-norm over both differences, of the
modulus for complex images (isotropic total variation). Dividing by ``a`` makes the weight relative to image values, whatever
the unit of the measurement; images should have a largest value near 1. The best weight still depends on noise,
undersampling and, in CT, on size and views (``||A||`` grows with the root of their product, the weight of one pixel in the
data does not grow with the size): it has to be chosen for each scan, on images other than the audited ones.

PDHG (Chambolle and Pock, *A first-order primal-dual algorithm for convex problems with applications to imaging*, JMIV 40, 2011,
algorithm 1 with theta = 1) on ``K = [A / a; grad]``, ``||K||^2 <= 1 + 8``, from ``x = A^+ y`` and ``p = q = 0``:

    p <- (p + s (A xb / a - y / a)) / (1 + s)             data
    q <- project_{|q| <= weight} (q + s grad xb)           total variation
    x+ <- x - t (A* p / a + grad* q),   xb <- 2 x+ - x,    s t (1 + 8) <= 1

(or its over-relaxed form ``z <- z + r (T(z) - z)``, ``0 < r < 2``, L. Condat, JOTA 158, 2013: the same solution, with
``r = 1.9`` in about half as many steps). Two ways to differentiate it:

- *unrolled*: a fixed number of steps is one differentiable function of ``y``, which is what the search differentiates;
- *implicit*: the steps are run to a tolerance and the derivative is that of the solution (`reconstructors.implicit`).

An unfinished solver is another method than its limit and can be more or less stable than it. How far it is from converged,
also at a perturbed measurement, is told by the residual of one more step and by a duality gap. For all ``p`` and
``|q| <= weight``, with ``F`` the functional, ``b = y / a``, ``r = A* p / a + grad* q`` and any minimiser ``x'``,

    F(x) - F(x') <= F(x) + ||p||^2 / 2 + <p, b> - <x, r> + ||r|| ||x - x'||

(the Lagrangian at ``x'`` bounds ``F(x')`` from below); `TotalVariation.gap` is the right-hand side with ``||x||`` for the
unknown ``||x - x'||``: a certificate for every minimiser within a relative distance of 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reconstructors.implicit import FixedPoint, Linearised, State, attach, iterate, size, warn_unsolved
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator

GRADIENT_NORM_SQUARED = 8.0
"""``||grad||^2 <= 8`` in two dimensions (Chambolle 2004)."""


def gradient(x: Tensor) -> Tensor:
    """Forward differences, ``(B, 1, H, W) -> (B, 2, H, W)``; zero in the last row (column)."""
    down = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    right = F.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1))
    return torch.cat([down, right], dim=1)


def gradient_adjoint(q: Tensor) -> Tensor:
    """Exact adjoint of `gradient` (minus the divergence), ``(B, 2, H, W) -> (B, 1, H, W)``."""
    down, right = q[:, :1, :-1, :], q[:, 1:, :, :-1]
    return F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1)) + F.pad(right, (1, 0)) - F.pad(right, (0, 1))


def _project_dual(q: Tensor, weight: float) -> Tensor:
    """Pointwise projection onto ``|q| <= weight``, where ``|q|`` joins both differences (and both parts of a complex number)."""
    squared = (q.real.square() + q.imag.square()) if q.is_complex() else q.square()
    size = squared.sum(1, keepdim=True).clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
    return q * (weight / size.clamp_min(weight))


@dataclass(frozen=True)
class TotalVariation:
    """Total-variation reconstruction, a callable ``(y, operator) -> image``.

    Parameters
    ----------
    weight
        Regularisation weight, relative to image values (see the module).
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

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> noisy = torch.tensor([[[[0.0, 0.1], [0.9, 1.0]]]])
    >>> TotalVariation(weight=10.0, iterations=300, step_ratio=1.0)(noisy, Identity((2, 2))).mean().round(decimals=3)
    tensor(0.5000)
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

    def __post_init__(self) -> None:
        if self.differentiate not in ("unrolled", "implicit"):
            raise ConfigError("tv: differentiate", expected="'unrolled' or 'implicit'", came=repr(self.differentiate))
        if not 0 < self.relaxation < 2:
            raise ConfigError("tv: relaxation", expected="a number between 0 and 2", came=str(self.relaxation))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``."""
        if self.differentiate == "unrolled":
            return self._unroll(y, operator)[0]
        solution = self.solve(y, operator)
        warn_unsolved("tv", solution, self.tolerance)
        if not (torch.is_grad_enabled() and y.requires_grad):
            return solution.state[0]
        return attach(solution.state[0], y, self.linearise(solution, y, operator))

    def solve(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """Run to the tolerance, without graph: state ``(x, p, q)``, residual and steps of each image."""
        with torch.no_grad():
            y, step = y.detach(), self._step(operator)
            start = self._start(y, operator)
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

    def longer(self, factor: int) -> TotalVariation:
        """The same method run ``factor`` times as long (unrolled), or to a tolerance ``factor`` times smaller."""
        if self.differentiate == "unrolled":
            return replace(self, iterations=factor * self.iterations)
        return replace(self, tolerance=self.tolerance / factor, limit=factor * self.limit)

    def _unroll(self, y: Tensor, operator: LinearOperator) -> State:
        state = self._start(y, operator)
        done = 0
        while done < self.iterations:
            steps = min(self.segment, self.iterations - done)
            last = done + steps == self.iterations
            if torch.is_grad_enabled() and y.requires_grad:
                state = checkpoint(self._steps, *state, y, operator, steps, last, use_reentrant=False)
            else:
                state = self._steps(*state, y, operator, steps, last)
            done += steps
        return state

    def _steps(
        self, x: Tensor, p: Tensor, q: Tensor, y: Tensor, operator: LinearOperator, steps: int, last: bool
    ) -> State:
        step, state = self._step(operator), (x, p, q)
        for k in range(steps):
            new = step(state, y)
            if self.relaxation != 1 and not (last and k == steps - 1):  # the last step ends on the constraint set
                new = tuple(a + self.relaxation * (b - a) for a, b in zip(state, new, strict=True))
            state = new
        return state

    def _start(self, y: Tensor, operator: LinearOperator) -> State:
        x = operator.pseudo_inverse(y)
        return (x, *self._duals(x, torch.zeros_like(y), torch.zeros_like(gradient(x)), y, operator, operator.norm_bound()))

    def _duals(
        self, xb: Tensor, p: Tensor, q: Tensor, y: Tensor, operator: LinearOperator, scale: float
    ) -> tuple[Tensor, Tensor]:
        _, s = self._sizes()
        p = (p + (s / scale) * (operator.forward(xb) - y)) / (1 + s)
        return p, _project_dual(q + s * gradient(xb), self.weight)

    def _step(self, operator: LinearOperator) -> Callable[[State, Tensor], State]:
        """One step ``T((x, p, q), y)``, the image first."""
        scale = operator.norm_bound()
        t, _ = self._sizes()

        def step(state: State, y: Tensor) -> State:
            x, p, q = state
            new = x - t * (operator.adjoint(p) / scale + gradient_adjoint(q))
            if self.nonnegative:
                new = new.clamp_min(0)
            return (new, *self._duals(2 * new - x, p, q, y, operator, scale))

        return step

    def _sizes(self) -> tuple[float, float]:
        both = 0.99 / (1 + GRADIENT_NORM_SQUARED) ** 0.5
        return both * self.step_ratio, both / self.step_ratio

    def _weights(self) -> tuple[float, float, float]:
        t, s = self._sizes()
        return 1 / t, 1 / s, 1 / s

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Certificate of how far the objective is above its minimum at most, relative to it, ``(B,)``; see the module."""
        with torch.no_grad():
            x, p, q = self.state(y, operator).state
            scale = operator.norm_bound()
            value = self.objective(x, y, operator)
            r = operator.adjoint(p) / scale + gradient_adjoint(q)
            excess = value + tensors.norm(p).square() / 2 + tensors.inner(p, y) / scale - tensors.inner(x, r)
            excess = excess + tensors.norm(r) * tensors.norm(x)
            return excess / value.clamp_min(torch.finfo(value.dtype).tiny)

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """The functional that is minimised, shape ``(B,)``."""
        residual = (operator.forward(x) - y) / operator.norm_bound()
        differences = gradient(x)
        lengths = (
            torch.linalg.vector_norm(torch.view_as_real(differences), dim=(1, -1))
            if x.is_complex()
            else differences.norm(dim=1)
        )
        return 0.5 * tensors.norm(residual) ** 2 + self.weight * lengths.flatten(1).sum(1)
