r"""Elimination of a block of a Hermitian matrix, and its derivative.

    S = D - E* A^-1 E,        log det A,

for a batch of matrices ``[[A, E], [E*, D]]`` with positive definite ``A``. With ``X = A^-1 E`` the derivatives are

    d log det A = tr(A^-1 dA),        dS = dD - dE* X - X* dE + X* dA X,

which cost one inverse beside the factorisation; those of PyTorch's factorisation cost several times as much.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Elimination(torch.autograd.Function):
    """See the module."""

    @staticmethod
    def forward(ctx: Any, pivot: Tensor, side: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        factor, failed = torch.linalg.cholesky_ex(pivot)
        logs = 2 * factor.diagonal(dim1=1, dim2=2).real.double().log().sum(1) + torch.where(failed != 0, torch.nan, 0.0)
        half = torch.linalg.solve_triangular(factor, side, upper=False)
        ctx.save_for_backward(factor, half)
        return torch.baddbmm(rest, half.mH, half, alpha=-1), logs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        by_rest, by_logs = gradients
        factor, half = ctx.saved_tensors
        solved = torch.linalg.solve_triangular(factor.mH, half, upper=True)
        by_rest = (by_rest + by_rest.mH) / 2
        weighted = solved @ by_rest
        by_pivot = weighted @ solved.mH + by_logs[:, None, None].to(factor.dtype) * torch.cholesky_inverse(factor)
        return by_pivot, -2 * weighted, by_rest


def eliminate(pivot: Tensor, side: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Schur complement and log determinant.

    Parameters
    ----------
    pivot, side, rest
        ``A``, ``E``, ``D``: ``(B, n, n)``, ``(B, n, m)``, ``(B, m, m)``.

    Returns
    -------
    Tensor, Tensor
        ``S``, ``(B, m, m)``, and ``log det A``, ``(B,)``: NaN where ``A`` is not positive definite.

    Examples
    --------
    >>> one = torch.ones(1, 1, 1, dtype=torch.complex128)
    >>> rest, log = eliminate(2 * one, one, 3 * one)
    >>> rest.real.item(), round(log.item(), 4)
    (2.5, 0.6931)
    """
    rest, logs = _Elimination.apply(pivot, side, rest)
    return rest, logs
