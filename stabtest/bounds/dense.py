"""Norms of matrices that are small enough to be held.

The largest singular value is the square root of the largest eigenvalue of the smaller Gram matrix, computed in float64.
LAPACK's eigenvalues of an ``n x n`` Hermitian matrix are within a modest multiple of ``n u`` times its norm (Golub & Van
Loan, *Matrix Computations*, 4th ed., sec. 8.1; ``u = 1.1e-16``), forming the Gram matrix costs as much again: every value
is raised by `ROUNDING`, far more than both. The error is relative to the *largest* eigenvalue, which is the one wanted,
so that squaring loses nothing here.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = 1 + 1e-9
"""Margin for rounding in float64, up to matrices of several thousand rows."""

LARGEST = 1536
"""Smaller side up to which a matrix is decomposed."""


def largest_singular_values(matrices: Tensor) -> Tensor:
    """Largest singular value of each matrix of a batch ``(P, m, n)`` in double precision, shape ``(P,)``, without margin."""
    if min(matrices.shape[-2:]) == 1:
        return torch.linalg.vector_norm(matrices, dim=(-2, -1))
    return torch.linalg.eigvalsh(smaller_gram(matrices))[..., -1].clamp_min(0).sqrt()


def smaller_gram(matrices: Tensor) -> Tensor:
    """``A A*`` or ``A* A``, whichever is smaller."""
    return matrices @ matrices.mH if matrices.shape[-2] <= matrices.shape[-1] else matrices.mH @ matrices


def matrix_norm(matrix: Tensor) -> tuple[float, str]:
    """Upper bound of the spectral norm of a matrix ``(m, n)``, and how it was had.

    Decomposed where the smaller side is at most `LARGEST`, else the smaller of the Frobenius norm and ``sqrt(||W||_1
    ||W||_inf)`` (Golub & Van Loan, sec. 2.3): true bounds, but loose.

    Examples
    --------
    >>> round(matrix_norm(torch.diag(torch.tensor([3.0, 2.0])))[0], 6)
    3.0
    """
    exact = matrix.detach().to("cpu", torch.complex128 if matrix.is_complex() else torch.float64)
    if exact.numel() == 0:
        return 0.0, "empty"
    if not bool(torch.isfinite(exact.abs()).all()):
        return float("inf"), "weights not finite"
    if min(exact.shape) <= LARGEST:
        return float(largest_singular_values(exact[None])[0]) * ROUNDING, "largest singular value, float64"
    size = exact.abs()
    frobenius = float(torch.linalg.vector_norm(size))
    schur = float((size.sum(0).max() * size.sum(1).max()).sqrt())
    return min(frobenius, schur) * ROUNDING, "min of Frobenius norm and sqrt(||W||_1 ||W||_inf)"
