r"""A direct image where no formula inverts the operator: the nu-method (nu = 1) for least squares, from zero.

    x_k = x_{k-1} + mu_k (x_{k-1} - x_{k-2}) + omega_k A* (y - A x_{k-1}) / a^2,        a >= ||A||,
    mu_k = (k-1)(2k-3)(2k+1) / ((k+1)(2k+3)(2k-1)),     omega_k = 4 k (2k+1) / ((k+1)(2k+3)),     mu_1 = 0

(H. Brakhage 1987; Engl, Hanke, Neubauer, *Regularization of Inverse Problems*, 1996, section 6.3). It converges about as fast as conjugate gradients
on ill-posed problems, and unlike them it is *linear* in ``y`` for every number of steps: its gain is a number and not a function of the data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.operators.base import LinearOperator

DIRECT_STEPS = 20
"""Steps of a direct image."""


def least_squares(operator: LinearOperator, y: Tensor, *, steps: int) -> Tensor:
    """Steps of the nu-method (nu = 1) for ``min ||A x - y||``, from zero; linear in ``y``.

    Parameters
    ----------
    operator
        With a `norm_bound`.
    y
        ``(B, *range.shape)``.
    steps
        How many.

    Returns
    -------
    Tensor
        ``(B, *domain.shape)``.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> least_squares(Identity((1, 2)), torch.ones(1, 1, 1, 2), steps=20).round(decimals=2)
    tensor([[[[1., 1.]]]])
    """
    size = operator.norm_bound() ** 2
    before = x = torch.zeros_like(operator.adjoint(y))
    if size == 0:
        return x
    for k in range(1, steps + 1):
        mu = (k - 1) * (2 * k - 3) * (2 * k + 1) / ((k + 1) * (2 * k + 3) * (2 * k - 1))
        omega = 4 * (2 * k + 1) * k / ((k + 1) * (2 * k + 3))
        residual = y - operator.forward(x) if k > 1 else y
        x, before = x + mu * (x - before) + (omega / size) * operator.adjoint(residual), x
    return x
