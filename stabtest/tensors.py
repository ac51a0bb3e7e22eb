"""Per-image inner products and norms of batched tensors, real or complex.

Everywhere in the project a batch is a stack of independent problems: axis 0 is the batch, the rest is one vector. Complex
vectors are a real Hilbert space with ``<a, b> = Re sum conj(a) b``; that is the inner product with respect to which
PyTorch's gradients of real-valued functions are gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Real inner product of each image pair.

    Parameters
    ----------
    a, b
        Tensors of equal shape ``(B, ...)``, real or complex.

    Returns
    -------
    Tensor
        ``Re <a_i, b_i>``, shape ``(B,)``, real.

    Examples
    --------
    >>> inner(torch.tensor([[1 + 1j, 2j]]), torch.tensor([[1j, 1.0 + 0j]]))
    tensor([1.])
    """
    if a.is_complex() or b.is_complex():
        a = torch.view_as_real(a if a.is_complex() else torch.complex(a, torch.zeros_like(a)))
        b = torch.view_as_real(b if b.is_complex() else torch.complex(b, torch.zeros_like(b)))
    return (a.flatten(1) * b.flatten(1)).sum(1)


def norm(a: Tensor) -> Tensor:
    """Euclidean norm of each image, shape ``(B,)``.

    Examples
    --------
    >>> norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([5., 0.])
    """
    a = torch.view_as_real(a) if a.is_complex() else a  # PyTorch's own complex norm is over ten times slower
    return torch.linalg.vector_norm(a.flatten(1), dim=1)


def scale(a: Tensor, factor: Tensor) -> Tensor:
    """Multiply each image by its own factor.

    Parameters
    ----------
    a
        Shape ``(B, ...)``.
    factor
        Shape ``(B,)``.
    """
    return a * factor.reshape(-1, *([1] * (a.ndim - 1)))


def normalise(a: Tensor) -> Tensor:
    """Each image divided by its norm; an image of zeros stays zero."""
    size = norm(a)
    return scale(a, torch.where(size > 0, 1 / size.clamp_min(torch.finfo(size.dtype).tiny), torch.zeros_like(size)))


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """The real type of the same precision (``complex64 -> float32``)."""
    return torch.empty(0, dtype=dtype).real.dtype if dtype.is_complex else dtype


def complex_dtype(dtype: torch.dtype) -> torch.dtype:
    """The complex type of the same precision (``float32 -> complex64``)."""
    return torch.complex128 if dtype in (torch.float64, torch.complex128) else torch.complex64


def randn(
    shape: tuple[int, ...],
    *,
    dtype: torch.dtype,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal numbers drawn on the generator's device (so that a seed means the same on every device).

    Complex numbers have unit variance in total, half in each part.
    """
    return torch.randn(shape, dtype=dtype, generator=generator, device=generator.device).to(device)
