r"""Leading eigenvectors of a symmetric map by band Lanczos with full reorthogonalisation.

From ``b`` orthonormal starts the basis grows by one vector a product: ``w = G v_i`` less its part in the basis,
normalised, is appended (the band Lanczos process of A. Ruhe, *Implementation aspects of band Lanczos algorithms*, Math. Comp.
33, 1979; with ``b = 1`` the Lanczos process). After ``m`` products the Rayleigh-Ritz vectors of ``V_m* G V_m`` are the best
approximations in the Krylov space, never worse than ``m / b`` steps of power iteration from the same starts and usually far
better (Y. Saad, *Numerical Methods for Large Eigenvalue Problems*, chapter 6). Orthogonalising twice against the whole basis
costs ``m`` vectors of memory and keeps ghosts of converged eigenvalues away (B. Parlett, *The Symmetric Eigenvalue Problem*,
section 13).

Up to rounding, which in a long run brings in further copies, ``b`` starts see an eigenvalue at most ``b`` times, whatever
its multiplicity. That matters for complex vectors, taken as real ones of twice the dimension: a complex-linear map has every
singular value twice, with ``v`` and ``i v``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stabtest import tensors


def leading(gram: Callable[[Tensor], Tensor], starts: list[Tensor], *, count: int, products: int) -> list[Tensor]:
    """Approximate eigenvectors of the largest eigenvalues, each image on its own.

    Parameters
    ----------
    gram
        ``v -> G v`` on ``(B, ...)``, symmetric and positive semidefinite in the real inner product.
    starts
        ``b`` tensors ``(B, ...)``, the same space.
    count
        How many to return.
    products
        Times to apply ``G``; fewer are spent once the Krylov space of every image is exhausted.

    Returns
    -------
    list of Tensor
        ``count`` orthonormal tensors ``(B, ...)``, largest Ritz value first; zero where the Krylov space has no more
        dimensions.

    Examples
    --------
    >>> weights = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    >>> top, second = leading(lambda v: weights * v, [torch.ones(1, 4)], count=2, products=4)
    >>> top.abs().round(decimals=3), second.abs().round(decimals=3)
    (tensor([[1., 0., 0., 0.]]), tensor([[0., 1., 0., 0.]]))
    """
    like = starts[0]
    first = _flat(like)
    basis = first.new_zeros(first.shape[0], 0, first.shape[1])
    for start in starts:
        basis = torch.cat([basis, _next(_flat(start), basis)[:, None]], 1)
    band: list[Tensor] = []
    spent = 0
    while len(band) < basis.shape[1] and spent < products:
        v = basis[:, len(band)]
        if bool((v != 0).any()):
            w, spent = _flat(gram(_shaped(v, like))), spent + 1
            band.append((basis[:, : len(band) + 1] @ w[..., None])[..., 0])
            basis = torch.cat([basis, _next(w, basis)[:, None]], 1)
        else:  # exhausted from this start; there may be others
            band.append(v.new_zeros(len(v), len(band) + 1))
    size = len(band)
    projected = torch.zeros(len(like), size, size, dtype=torch.float64, device=like.device)
    for i, column in enumerate(band):
        projected[:, : i + 1, i] = projected[:, i, : i + 1] = column.double()
    ritz = torch.linalg.eigh(projected).eigenvectors.flip(-1).to(basis.dtype)
    vectors = ritz.mT @ basis[:, :size]
    found = [tensors.normalise(_shaped(vectors[:, j], like)) for j in range(min(count, size))]
    return found + [torch.zeros_like(like) for _ in range(count - len(found))]


def _next(w: Tensor, basis: Tensor) -> Tensor:
    """``w`` less its part in the basis, normalised; zero where rounding is all that is left."""
    whole = torch.linalg.vector_norm(w, dim=1, keepdim=True)
    for _ in range(2):
        w = w - ((basis @ w[..., None]).mT @ basis)[:, 0]
    rest = torch.linalg.vector_norm(w, dim=1, keepdim=True)
    alive = rest > 100 * torch.finfo(w.dtype).eps * whole
    return torch.where(alive, w / torch.where(alive, rest, 1.0), 0.0)


def _flat(v: Tensor) -> Tensor:
    """``(B, ...)`` as real vectors ``(B, n)``."""
    return (torch.view_as_real(v) if v.is_complex() else v).flatten(1)


def _shaped(v: Tensor, like: Tensor) -> Tensor:
    """Inverse of `_flat`."""
    if like.is_complex():
        return torch.view_as_complex(v.reshape(*like.shape, 2).contiguous())
    return v.reshape(like.shape)
