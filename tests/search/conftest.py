"""Small reconstruction problems with known answers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from stabtest import tensors
from stabtest.operators import Fourier
from stabtest.operators.base import LinearOperator


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_mask(size: int, seed: int = 0, fraction: float = 0.4) -> Tensor:
    return torch.rand(size, size, generator=seeded(seed)) < fraction


def dense(function, operator: LinearOperator, y: Tensor, *, domain: str = "measurement") -> np.ndarray:
    """The matrix of a real-linear map from perturbations to images, column by column, in float64.

    Complex spaces are taken as real ones of twice the dimension; the columns of what is not measured are zero.
    """
    space = operator.range if domain == "measurement" else operator.domain
    basis = torch.eye(int(np.prod(space.shape)), dtype=torch.complex128 if space.is_complex else torch.float64)
    if space.is_complex:
        basis = torch.cat([basis, 1j * basis])
    inputs = basis.reshape(-1, *space.shape)
    e = operator.restrict(inputs) if domain == "measurement" else operator.forward(inputs)
    y64 = y.to(e.dtype)
    out = function(y64 + e, operator) - function(y64.expand_as(e), operator)
    flat = out.flatten(1)
    return (torch.view_as_real(flat).flatten(1) if flat.is_complex() else flat).numpy().T


class RandomComplexLinear:
    """A dense complex matrix in place of a network; linear over the complex numbers."""

    def __init__(self, size: int, seed: int) -> None:
        n = size * size
        self.matrix = tensors.randn((n, n), dtype=torch.complex128, generator=seeded(seed))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        return (y.flatten(1) @ self.matrix.to(y.dtype).T).reshape(y.shape)


class ConjugateMixing(RandomComplexLinear):
    """``M y + N conj(y)``: real-linear only, as networks on two channels are."""

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        other = self.matrix.flip(0).to(y.dtype)
        return super().__call__(y, operator) + (y.conj().flatten(1) @ other.T).reshape(y.shape)


class SmallCNN(torch.nn.Module):
    """Two-channel convolutions on the zero-filled image, with ReLU; random weights, no training needed."""

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(2, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 3, padding=1)
            ).to(dtype)

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        x = operator.pseudo_inverse(y)
        if not x.is_complex():
            return x + self.layers(torch.cat([x, -x], 1))[:, :1]
        out = self.layers(torch.cat([x.real, x.imag], 1))
        return x + torch.complex(out[:, :1], out[:, 1:])


@pytest.fixture
def fourier() -> Fourier:
    return Fourier(some_mask(8))


@pytest.fixture
def measurement(fourier: Fourier) -> Tensor:
    return fourier.forward(fourier.domain.randn(2, generator=seeded(5)))


@pytest.fixture
def lab() -> SimpleNamespace:
    """The helpers of this file, for tests that build their own problem."""
    return SimpleNamespace(
        seeded=seeded,
        some_mask=some_mask,
        dense=dense,
        RandomComplexLinear=RandomComplexLinear,
        ConjugateMixing=ConjugateMixing,
        SmallCNN=SmallCNN,
    )
