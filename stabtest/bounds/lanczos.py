r"""Norm of a linear map that is known only by its products, with a probabilistic certificate.

Lanczos iteration on ``A^T A`` from a random start: its largest Ritz value ``xi_k`` after ``k`` products is a lower bound
of the largest eigenvalue ``lambda_1``. For a start drawn uniformly from the unit sphere of ``R^n`` and a symmetric
positive semidefinite matrix, *whatever its spectrum* (Kuczynski & Wozniakowski, *Estimating the largest eigenvalue by the
power and Lanczos algorithms with a random start*, SIAM J. Matrix Anal. Appl. 13(4), 1992, Theorem 4.2):

    P(xi_k < (1 - eps) lambda_1) <= 1.648 sqrt(n) exp(-sqrt(eps) (2 k - 1)).

Setting the right-hand side to the failure probability ``delta`` gives ``eps = (ln(1.648 sqrt(n) / delta) / (2 k -
1))^2``, and with probability at least ``1 - delta`` over the draw ``||A|| <= sqrt(xi_k / (1 - eps))``. Full
reorthogonalisation in float64 keeps the computed Ritz values those of the exact recurrence to rounding. Complex spaces
count two real dimensions for each entry. If the Krylov space is exhausted before ``k`` steps, its largest Ritz value is
``lambda_1`` with probability one.

Power iteration alone converges from below too, but slowly, and certifies nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import BoundsError

FAILURE = 1e-9
"""Customary probability that a probabilistic bound is not one."""


@dataclass(frozen=True)
class NormEstimate:
    """A norm between what was reached and what holds with probability ``1 - failure``.

    Parameters
    ----------
    lower
        Square root of the largest Ritz value: reached by a vector, hence a lower bound.
    upper
        The bound.
    failure
        Probability over the random start that ``upper`` is too small; 0 where it is exact.
    steps
        Products with ``A^T A`` spent.
    """

    lower: float
    upper: float
    failure: float
    steps: int


def certificate(ritz: float, *, size: int, steps: int, failure: float = FAILURE) -> float:
    """Upper bound of the largest eigenvalue from the largest Ritz value, by the theorem above.

    Parameters
    ----------
    ritz
        Largest Ritz value after ``steps`` steps from a uniform random start.
    size
        Real dimension ``n``.
    steps
        ``k``.
    failure
        ``delta``.

    Returns
    -------
    float
        ``ritz / (1 - eps)``; infinite where ``eps >= 1`` (too few steps).

    Examples
    --------
    >>> round(certificate(1.0, size=2 * 128**2, steps=60) ** 0.5, 4)
    1.0256
    """
    eps = (math.log(1.648 * math.sqrt(size) / failure) / (2 * steps - 1)) ** 2
    return ritz / (1 - eps) if eps < 1 else math.inf


def lanczos_norm(
    gram: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    *,
    is_complex: bool = False,
    generator: torch.Generator,
    steps: int = 60,
    failure: float = FAILURE,
) -> NormEstimate:
    """Norm of ``A`` from products with ``A^T A``.

    Parameters
    ----------
    gram
        ``x -> A^T A x`` on float64 (or complex128) tensors of ``shape``.
    shape
        Shape of ``x``.
    is_complex
        Whether ``x`` is complex.
    generator
        Draws the start.
    steps
        Lanczos steps; the excess of the bound falls like ``1 / steps^2``.
    failure
        ``delta`` of the certificate.

    Raises
    ------
    BoundsError
        If a product is not finite.

    Examples
    --------
    >>> weights = torch.linspace(0.0, 2.0, 500, dtype=torch.float64)
    >>> estimate = lanczos_norm(lambda x: weights**2 * x, (500,), generator=torch.Generator().manual_seed(0))
    >>> estimate.lower <= 2.0 <= estimate.upper < 2.05
    True
    """

    def product(v: Tensor) -> Tensor:
        x = torch.view_as_complex(v.reshape(*shape, 2)) if is_complex else v.reshape(shape)
        out = gram(x)
        out = torch.view_as_real(out) if out.is_complex() else out
        return out.detach().reshape(-1).to(torch.float64)

    size = math.prod(shape) * (2 if is_complex else 1)
    v = torch.randn(size, dtype=torch.float64, generator=generator)
    basis = [v / torch.linalg.vector_norm(v)]
    diagonal: list[float] = []
    beside: list[float] = []
    exhausted = False
    while len(diagonal) < steps and not exhausted:
        w = product(basis[-1])
        if not bool(torch.isfinite(w).all()):
            raise BoundsError("product of the linear map", expected="finite numbers", came="NaN or infinity")
        diagonal.append(float(w @ basis[-1]))
        stacked = torch.stack(basis)
        for _ in range(2):
            w = w - stacked.T @ (stacked @ w)
        rest = float(torch.linalg.vector_norm(w))
        exhausted = len(basis) >= size or rest <= 1e-13 * max(map(abs, [*diagonal, *beside]), default=0.0) or rest == 0.0
        beside.append(rest)
        if not exhausted:
            basis.append(w / rest)
    tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    off = torch.diag(torch.tensor(beside[:-1], dtype=torch.float64), 1)
    ritz = max(0.0, float(torch.linalg.eigvalsh(tridiagonal + off + off.T)[-1]))
    count = len(diagonal)
    bound = ritz if exhausted else certificate(ritz, size=size, steps=count, failure=failure)
    return NormEstimate(math.sqrt(ritz), math.sqrt(bound) * (1 + 1e-9), 0.0 if exhausted else failure, count)


def linear_map_norm(
    forward: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    *,
    is_complex: bool = False,
    generator: torch.Generator,
    steps: int = 60,
    failure: float = FAILURE,
) -> NormEstimate:
    """Norm of a differentiable linear (or affine) map, its adjoint taken by reverse-mode differentiation, in float64.

    Same arguments as `lanczos_norm`, with ``forward`` in place of ``gram``.

    Raises
    ------
    BoundsError
        If the map does not carry gradients, or is not finite.

    Examples
    --------
    >>> estimate = linear_map_norm(lambda x: torch.fft.fft2(x, norm="ortho"), (4, 4), is_complex=True,
    ...                            generator=torch.Generator().manual_seed(0))
    >>> round(estimate.upper, 6)
    1.0
    """
    dtype = torch.complex128 if is_complex else torch.float64
    zero = torch.zeros(shape, dtype=dtype)
    with torch.no_grad():
        offset = forward(zero)

    def gram(x: Tensor) -> Tensor:
        with torch.no_grad():
            image = forward(x) - offset
        point = zero.clone().requires_grad_(True)
        with torch.enable_grad():
            out = forward(point)
            if not out.requires_grad:
                raise BoundsError("linear map", expected="a differentiable map", came="an output without gradient")
            return torch.autograd.grad(out, point, grad_outputs=image)[0]

    return lanczos_norm(gram, shape, is_complex=is_complex, generator=generator, steps=steps, failure=failure)
