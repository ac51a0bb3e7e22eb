"""Complex images as real channels inside a network that takes complex measurements, and the size that these are divided by.

The division is left to `stabtest.networks.wrap` (``scale = "max"``), so that a bound can be had of the network without it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.errors import NetworkError
from stabtest.operators.base import LinearOperator


def split(x: Tensor) -> Tensor:
    """Complex ``(B, 1, H, W)`` to real ``(B, 2, H, W)``: real part, imaginary part.

    Examples
    --------
    >>> split(torch.tensor([[[[1 + 2j]]]])).flatten()
    tensor([1., 2.])
    """
    return torch.cat([x.real, x.imag], dim=1)


def join(channels: Tensor, *, like: Tensor) -> Tensor:
    """Real ``(B, 2, H, W)`` to complex ``(B, 1, H, W)`` in the precision of ``like`` (autocast may have lowered it).

    Examples
    --------
    >>> join(torch.tensor([[[[1.0]], [[2.0]]]]), like=torch.zeros(1, dtype=torch.complex128)).flatten()
    tensor([1.+2.j], dtype=torch.complex128)
    """
    real, imaginary = channels.to(like.real.dtype).chunk(2, dim=1)
    return torch.complex(real, imaginary)


def largest(x: Tensor) -> Tensor:
    """Largest modulus of each image, ``(B, 1, 1, 1)``; 1 for an image of zeros, which so stays zero instead of becoming NaN.

    Examples
    --------
    >>> largest(torch.tensor([[[[3 + 4j, 1j]]], [[[0j, 0j]]]])).flatten()
    tensor([5., 1.])
    """
    size = x.abs().flatten(1).amax(1).reshape(-1, 1, 1, 1)
    return torch.where(size > 0, size, torch.ones_like(size))


def require_complex_images(operator: LinearOperator, network: str) -> None:
    """Raise `NetworkError` unless the operator measures complex images.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> require_complex_images(Identity((2, 2)), "cascade")
    Traceback (most recent call last):
    stabtest.errors.NetworkError: cascade: wrong kind of scan: expected an operator on complex images (MRI); came Identity, on real ones.
    """
    if not operator.domain.is_complex:
        raise NetworkError(
            f"{network}: wrong kind of scan",
            expected="an operator on complex images (MRI)",
            came=f"{type(operator).__name__}, on real ones",
        )


def require_real_images(operator: LinearOperator, network: str) -> None:
    """Raise `NetworkError` unless the operator measures real images.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> require_real_images(Fourier(torch.ones(2, 2, dtype=torch.bool)), "learned primal-dual")
    Traceback (most recent call last):
    stabtest.errors.NetworkError: learned primal-dual: wrong kind of scan: expected an operator on real images (CT); came Fourier, on complex ones.
    """
    if operator.domain.is_complex:
        raise NetworkError(
            f"{network}: wrong kind of scan",
            expected="an operator on real images (CT)",
            came=f"{type(operator).__name__}, on complex ones",
        )
