"""What an operator must show before anything is built on it: an exact adjoint, and its norm.

**Dot test.** For random ``x`` and ``y``, ``|<A x, y> - <x, A* y>|`` must be rounding. White noise ``y`` alone
is nearly orthogonal to the range of a smoothing ``A``, and a wrong adjoint hides there; so ``y = A x' + w``, with ``w`` white
noise of the norm of ``A x'``. Dividing by ``<A x, y>`` itself, which is near zero by chance, gives false alarms; the division
is by ``max(||A x|| ||y||, ||x|| ||A* y||)``, a lower bound of ``||A|| ||x|| ||y||`` that needs no operator norm.

**Operator norm.** Golub-Kahan-Lanczos bidiagonalisation with full reorthogonalisation (Golub & Van Loan, *Matrix
Computations*, section 10.4). Every Ritz value is a lower bound of ``||A||``: the method converges *from below* and its
result is an estimate, not a guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator
from stabtest.tensors import inner, norm, normalise, scale


def dot_test(
    operator: LinearOperator,
    *,
    generator: torch.Generator,
    batch: int = 2,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> float:
    """Largest normalised adjoint error of a batch of random pairs.

    Parameters
    ----------
    operator
        The operator under test.
    generator
        Draws the pairs.
    batch
        Number of pairs.
    dtype
        Precision, ``torch.float32`` or ``torch.float64``.
    device
        Where to compute.

    Returns
    -------
    float
        ``max |<A x, y> - <x, A* y>| / max(||A x|| ||y||, ||x|| ||A* y||)``, unit-free. Exact adjoints stay below 1e-6
        in float32 and 1e-12 in float64; ``nan`` if the operator returns something that is not finite.

    Raises
    ------
    OperatorError
        If the operator returns another shape than its spaces declare.

    Examples
    --------
    >>> from stabtest.operators import Radon
    >>> dot_test(Radon(9, 7), generator=torch.Generator().manual_seed(0)) < 1e-12
    True
    """
    x = operator.domain.randn(batch, generator=generator, dtype=dtype, device=device)
    other = operator.domain.randn(batch, generator=generator, dtype=dtype, device=device)
    noise = operator.range.randn(batch, generator=generator, dtype=dtype, device=device)
    with torch.no_grad():
        image = operator.range.check(operator.forward(x), "A x")
        signal = operator.range.check(operator.forward(other), "A x")
        y = signal + scale(normalise(noise), norm(signal))
        back = operator.domain.check(operator.adjoint(y), "A* y")
    # Summed in float64: the test is of the operator, not of its own sums.
    x, y, image, back = (_double(t) for t in (x, y, image, back))
    size = torch.maximum(norm(image) * norm(y), norm(x) * norm(back))
    error = (inner(image, y) - inner(x, back)).abs()
    return float(torch.where(size > 0, error / size.clamp_min(torch.finfo(size.dtype).tiny), error).max())


@dataclass(frozen=True)
class NormEstimate:
    """Operator norm from below.

    Attributes
    ----------
    value
        Largest Ritz value, ``<= ||A||`` up to rounding.
    residual
        ``||A* u - value v||`` of its unit singular vectors (``A v = value u`` holds exactly): some singular value of ``A`` lies
        within this distance of ``value``.
    steps
        Lanczos steps taken, one product with ``A`` and one with ``A*`` each.
    vector
        The right singular vector, ``(1, *domain.shape)``, norm 1.
    """

    value: float
    residual: float
    steps: int
    vector: Tensor


def operator_norm(
    operator: LinearOperator,
    *,
    generator: torch.Generator,
    steps: int = 60,
    tol: float = 1e-6,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> NormEstimate:
    """Estimate ``||A||`` from below by Golub-Kahan-Lanczos.

    Parameters
    ----------
    operator
        Any linear operator.
    generator
        Draws the start.
    steps
        At most so many.
    tol
        Stop when the residual is at most ``tol * value``; the error of the value is then of the order ``tol^2``
        relative to the gap of the singular values.
    dtype
        Precision.
    device
        Where to compute.

    Returns
    -------
    NormEstimate

    Raises
    ------
    OperatorError
        If ``steps`` is not positive, or a product is not finite.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> round(operator_norm(Identity((4, 4)), generator=torch.Generator().manual_seed(0)).value, 12)
    1.0
    """
    if steps < 1:
        raise OperatorError("operator_norm: steps", expected="a positive integer", came=str(steps))
    v = normalise(operator.domain.randn(1, generator=generator, dtype=dtype, device=device))
    right, left = [v], list[Tensor]()
    diagonal, above = list[float](), list[float]()
    value, residual, vector = 0.0, 0.0, v
    with torch.no_grad():
        for step in range(1, steps + 1):
            u = _orthogonal(operator.forward(right[-1]), left)
            diagonal.append(_size(u))
            # An exhausted space (A maps v to nothing new) ends the recursion; its Ritz values are then exact.
            left.append(normalise(u))
            w = _orthogonal(operator.adjoint(left[-1]), right)
            beta = _size(w)
            bidiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
            if above:
                bidiagonal += torch.diag(torch.tensor(above, dtype=torch.float64), 1)
            p, s, qt = torch.linalg.svd(bidiagonal)
            value, residual = float(s[0]), beta * abs(float(p[-1, 0]))
            if residual <= tol * value or step == steps or beta == 0:
                basis = torch.cat(right).flatten(1)
                vector = (qt[0].to(basis) @ basis).reshape(v.shape)
                return NormEstimate(value, residual, step, normalise(vector))
            above.append(beta)
            right.append(normalise(w))
    raise AssertionError("unreachable: the last step returns")


def _orthogonal(w: Tensor, basis: list[Tensor]) -> Tensor:
    """Take out the components along a basis, twice (once is not enough in floating point)."""
    if basis:
        q = torch.cat(basis).flatten(1)
        for _ in range(2):
            coefficients = (
                (torch.view_as_real(q).flatten(1) @ torch.view_as_real(w).flatten()) if w.is_complex() else q @ w.flatten()
            )
            w = w - (coefficients.to(q.dtype) @ q).reshape(w.shape)
    return w


def _size(w: Tensor) -> float:
    size = float(norm(w))
    if size != size or size == float("inf"):
        raise OperatorError("operator_norm: a product is not finite", expected="finite numbers", came=str(size))
    return size


def _double(t: Tensor) -> Tensor:
    return t.to(torch.complex128 if t.is_complex() else torch.float64)
