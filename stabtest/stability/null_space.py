"""What of an image the scanner measured, and what it cannot have seen: ``x = A^+ A x + (x - A^+ A x)``.

``P_R = A^+ A`` is the orthogonal projection onto the range of ``A*``, the measured part, and ``P_N = I - P_R`` the one onto the null
space of ``A``. Data without noise determine ``P_R x`` and say nothing whatever about ``P_N x``.

- Where ``A^+`` is at hand (`EXACT`: ``A* `` of single-coil Fourier, block means, the identity) the split is exact.
- Otherwise (several coils, Radon) ``z = A^+ y`` is found by conjugate gradients on ``A* A z = A* y`` from ``z = 0``, with ``y = A x``
  for the split, in float64. The iterates stay in the range of ``A*`` and their distance to ``A^+ y`` and ``||A z - y||`` fall
  monotonically (Hestenes, Stiefel, *J. Res. Nat. Bur. Stand.* 49 (1952) 409-436), so that ``||x - z_k||`` is an *upper* bound of
  ``||P_N x||`` and ``||z_k||`` a lower one of ``||P_R x||``. The residual at which it stopped is always handed back: directions with tiny
  singular values, of which Radon has many, converge last and count as null space until then. `null_space_share` is
  the share of the norm alone, from fewer steps and at the precision of the image.

Of *noisy* data ``A^+`` amplifies the noise by up to ``1 / sigma_min``, without end where the singular values tend to zero (several coils, Radon).
With a ``weight`` the inverse is Tikhonov's, ``(A* A + weight I)^-1 A*``, which passes singular values well above ``sqrt(weight)`` and
drops those well below: the smooth counterpart of a truncated pseudo-inverse.

For what rests on the split: N. M. Gottschling, V. Antun, A. C. Hansen, B. Adcock, *The troublesome kernel*, SIAM Review 67 (2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import BlockMean, FineFourier, Fourier, Identity, LinearOperator
from stabtest.operators.solvers import conjugate_gradient

EXACT = (Fourier, FineFourier, Identity, BlockMean)
"""Operators whose `pseudo_inverse` is the Moore-Penrose inverse."""
ITERATIONS = 300
"""Of conjugate gradients at most, unless given."""
TOLERANCE = 1e-12
"""Relative residual of the normal equations at which they stop, unless given."""


@dataclass(frozen=True, eq=False)
class MinimumNorm:
    """The least-squares solution of minimum norm, ``A^+ y``.

    Parameters
    ----------
    image
        ``(B, *domain)``.
    residual
        ``||A* (A z - y)|| / ||A* y||`` of each image, ``(B,)``; 0 = exact.
    iterations
        Of conjugate gradients; 0 = closed form.
    """

    image: Tensor
    residual: Tensor
    iterations: int


@dataclass(frozen=True, eq=False)
class Split:
    """An image in two orthogonal parts.

    Parameters
    ----------
    measured, null
        ``P_R x`` and ``P_N x``, ``(B, *domain)``; their sum is the image.
    residual, iterations
        As in `MinimumNorm`.
    """

    measured: Tensor
    null: Tensor
    residual: Tensor
    iterations: int


@dataclass(frozen=True)
class NullSpaceShare:
    """The invisible part of an image.

    Parameters
    ----------
    share
        ``||P_N h|| / ||h||``, between 0 and 1; an upper bound where ``residual`` is not 0.
    residual
        Relative residual of the normal equations at which the projection stopped; 0 = exact.
    iterations
        Of conjugate gradients.
    """

    share: float
    residual: float
    iterations: int


def minimum_norm(
    operator: LinearOperator,
    measurement: Tensor,
    *,
    weight: float = 0.0,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> MinimumNorm:
    """``A^+ y``: exact where it has a closed form, otherwise by conjugate gradients in float64.

    Parameters
    ----------
    operator
        ``A``.
    measurement
        ``y``, ``(B, *operator.range.shape)``.
    weight
        Of Tikhonov's regularisation, unit of ``||A||^2``; unused where ``A^+`` has a closed form, whose singular values are all equal.
    iterations, tolerance
        Limits of conjugate gradients.

    Returns
    -------
    MinimumNorm
        At the precision of the measurement.

    Raises
    ------
    OperatorError
        If the measurement does not fit the operator, or the weight or the number of iterations is negative.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> A = Fourier(torch.ones(4, 4, dtype=torch.bool))
    >>> x = torch.ones(1, 1, 4, 4, dtype=torch.complex64)
    >>> bool(torch.allclose(minimum_norm(A, A(x)).image, x))
    True
    """
    y = operator.range.check(measurement, "measurement")
    if isinstance(operator, EXACT):
        size = tensors.norm(y.detach())
        return MinimumNorm(operator.pseudo_inverse(y), torch.zeros_like(size), 0)
    exact = y.to(operator.range.dtype(torch.float64))
    solution = conjugate_gradient(operator, operator.adjoint(exact), weight=weight, iterations=iterations, tol=tolerance)
    image = solution.x.to(operator.domain.dtype(tensors.real_dtype(y.dtype)))
    return MinimumNorm(image, solution.residual, solution.iterations)


def split(operator: LinearOperator, image: Tensor, *, iterations: int = ITERATIONS, tolerance: float = TOLERANCE) -> Split:
    """``P_R x`` and ``P_N x``.

    Parameters
    ----------
    operator
        ``A``.
    image
        ``x``, ``(B, *operator.domain.shape)``.
    iterations, tolerance
        Limits of conjugate gradients; unused where the split is exact.

    Returns
    -------
    Split
        At the precision of the image.

    Raises
    ------
    OperatorError
        If the image does not fit the operator, or the number of iterations is negative.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> mask = torch.zeros(8, 8, dtype=torch.bool)
    >>> mask[:, :4] = True
    >>> delta = torch.zeros(1, 1, 8, 8, dtype=torch.complex128)
    >>> delta[..., 4, 4] = 1
    >>> parts = split(Fourier(mask), delta)
    >>> [round(float(tensors.norm(part)) ** 2, 6) for part in (parts.measured, parts.null)], parts.iterations
    ([0.5, 0.5], 0)
    """
    exact = operator.domain.check(image, "image").to(operator.domain.dtype(torch.float64))
    found = minimum_norm(operator, operator.forward(exact), iterations=iterations, tolerance=tolerance)
    measured = found.image.to(image.dtype)
    return Split(measured, image - measured, found.residual, found.iterations)


def null_space_share(
    operator: LinearOperator, image: Tensor, *, iterations: int = 30, tolerance: float = 1e-3
) -> NullSpaceShare:
    """Share of one image that the operator does not see.

    Parameters
    ----------
    operator
        ``A``.
    image
        ``h``, shape ``(1, *operator.domain.shape)``, not zero.
    iterations, tolerance
        Limits of conjugate gradients.

    Returns
    -------
    NullSpaceShare
        Exact where the split is.

    Raises
    ------
    DataError
        If the image is zero.
    OperatorError
        If it does not fit the operator.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> mask = torch.zeros(8, 8, dtype=torch.bool)
    >>> mask[:, :4] = True
    >>> delta = torch.zeros(1, 1, 8, 8, dtype=torch.complex128)
    >>> delta[..., 4, 4] = 1
    >>> round(null_space_share(Fourier(mask), delta).share ** 2, 6)
    0.5
    """
    size = float(tensors.norm(image))
    if not size > 0:
        raise DataError("null-space share", expected="an image that is not zero", came="zeros")
    data = operator.forward(image)
    if isinstance(operator, EXACT):
        return NullSpaceShare(float(tensors.norm(image - operator.pseudo_inverse(data))) / size, 0.0, 0)
    seen = operator.adjoint(data)
    if not bool(tensors.norm(seen) > 0):
        return NullSpaceShare(1.0, 0.0, 0)
    solution = conjugate_gradient(operator, seen, iterations=iterations, tol=tolerance)
    share = float(tensors.norm(image - solution.x)) / size
    return NullSpaceShare(min(1.0, share), float(solution.residual), solution.iterations)
