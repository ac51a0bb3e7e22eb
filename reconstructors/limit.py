r"""An iterative reconstruction with the derivative of its limit.

A solver that is stopped after ``N`` steps is one function of the measurement, ``f_N``, and a search can climb it along its own
derivative, through all steps (*unrolled*). The derivative of the limit leads elsewhere: to what damages the method that the
solver approximates, and only through it the stopped one. `LimitDerivative` has the *value* ``f_N(y)`` to the last
bit, and hands back the derivative of ``f_infinity`` at ``y`` (`reconstructors.implicit`), for which the iteration goes on from
where it was stopped. So a search can climb along either and be judged by the same value.

Literature: J. Bolte, E. Pauwels, S. Vaiter, *One-step differentiation of iterative algorithms*, NeurIPS 2023, for what the two
derivatives have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from reconstructors.implicit import FixedPoint, Linearised, State, attach
from stabtest.operators.base import LinearOperator

TOLERANCE = 1e-4
"""Residual to which the iteration goes on: a search needs a direction, not digits."""
ADJOINT_TOLERANCE = 0.1
"""Residual of the linear equation of the derivative."""


class Shipped(Protocol):
    """The solver as it is used."""

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """The image, ``(B, 1, H, W)``."""
        ...

    def state(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """Where it ends."""
        ...


class Solver(Protocol):
    """The same solver run to a tolerance."""

    def solve(self, y: Tensor, operator: LinearOperator, *, start: State | None = None) -> FixedPoint:
        """Run on from a state."""
        ...

    def linearise(self, solution: FixedPoint, y: Tensor, operator: LinearOperator) -> Linearised:
        """The derivative of the solution."""
        ...


@dataclass(frozen=True)
class LimitDerivative:
    """``f_N`` with the derivative of ``f_infinity``, a callable ``(y, operator) -> image``.

    Parameters
    ----------
    shipped
        ``f_N``: gives the value.
    solver
        The same method run to a tolerance: gives the derivative.

    Examples
    --------
    Denoising under a weight above all differences has the mean as its limit, whose gradient is flat; after three steps that of the
    unrolled solver is not:

    >>> from reconstructors.tv import TotalVariation
    >>> from stabtest.operators import Identity
    >>> tv = TotalVariation(weight=10.0, iterations=3, step_ratio=1.0)
    >>> unrolled, implicit = tv.differentiations().values()
    >>> y, A = torch.tensor([[[[0.0, 0.1], [0.9, 1.0]]]], requires_grad=True), Identity((2, 2))
    >>> bool((unrolled(y, A) == implicit(y, A)).all())
    True
    >>> slopes = [torch.autograd.grad(f(y, A)[..., 0, 0].sum(), y)[0].flatten() for f in (unrolled, implicit)]
    >>> [bool((slope - 0.25).abs().max() < 0.05) for slope in slopes]
    [False, True]
    """

    shipped: Shipped
    solver: Solver

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``."""
        if not (torch.is_grad_enabled() and y.requires_grad):
            return self.shipped(y, operator)
        with torch.no_grad():
            stopped = self.shipped.state(y.detach(), operator)
            solution = self.solver.solve(y.detach(), operator, start=stopped.state)
        return attach(stopped.state[0], y, self.solver.linearise(solution, y, operator))
