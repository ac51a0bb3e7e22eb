"""Conjugate gradients for the regularised normal equations ``(A* A + lambda I) x = b``.

The step of data consistency in unrolled networks and of iterative SENSE (Pruessmann et al., MRM 46, 2001). Each image of
a batch is its own problem with its own step sizes (Hestenes & Stiefel, 1952); an image that has converged stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator
from stabtest.tensors import inner, norm, scale


@dataclass(frozen=True)
class Solution:
    """Result of `conjugate_gradient`.

    Attributes
    ----------
    x
        The solution, ``(B, *domain.shape)``.
    residual
        ``||b - (A* A + lambda I) x|| / ||b||`` of each image, shape ``(B,)``, computed anew from ``x``; 0 where ``b = 0``.
    iterations
        Iterations taken.
    """

    x: Tensor
    residual: Tensor
    iterations: int


def conjugate_gradient(
    operator: LinearOperator,
    b: Tensor,
    *,
    weight: float = 0.0,
    start: Tensor | None = None,
    iterations: int = 30,
    tol: float = 1e-6,
) -> Solution:
    """Solve ``(A* A + weight I) x = b``.

    Parameters
    ----------
    operator
        ``A``.
    b
        Right-hand side in the domain, ``(B, *domain.shape)``; ``A* y`` for least squares.
    weight
        ``lambda >= 0``.
    start
        First iterate; zero by default.
    iterations
        At most so many.
    tol
        Stop when every relative residual is at most this.

    Returns
    -------
    Solution
        Differentiable through the iterations. Whether ``tol`` was reached is to be read from the stated residual.

    Raises
    ------
    OperatorError
        If ``b`` or ``start`` does not fit, the weight is negative or ``iterations`` is.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> solution = conjugate_gradient(Identity((2, 2)), torch.ones(1, 1, 2, 2), weight=1.0)
    >>> solution.x.unique(), solution.iterations
    (tensor([0.5000]), 1)
    """
    operator.domain.check(b, "right-hand side")
    if not weight >= 0 or iterations < 0:
        raise OperatorError(
            "conjugate_gradient", expected="weight >= 0, iterations >= 0", came=f"weight={weight}, iterations={iterations}"
        )

    def normal(x: Tensor) -> Tensor:
        image = operator.adjoint(operator.forward(x))
        return image + weight * x if weight else image

    x = torch.zeros_like(b) if start is None else operator.domain.check(start, "start")
    r = b if start is None else b - normal(x)
    d, energy = r, inner(r, r)
    target = (tol * norm(b.detach())).square()
    done = 0
    while done < iterations and bool((energy > target).any()):
        image = normal(d)
        curvature = inner(d, image)
        # A converged image takes a step of zero; a division by zero curvature would spread NaN to it.
        active = (energy > target) & (curvature > 0)
        step = torch.where(active, energy / torch.where(active, curvature, 1.0), 0.0)
        x, r = x + scale(d, step), r - scale(image, step)
        new = inner(r, r)
        d = r + scale(d, torch.where(active, new / torch.where(active, energy, 1.0), 0.0))
        energy, done = new, done + 1
        if not bool(active.any()):
            break
    size = norm(b)
    residual = norm(b - normal(x)) / torch.where(size > 0, size, 1.0)
    return Solution(x, residual.detach(), done)
