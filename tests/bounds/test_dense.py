import numpy as np
import pytest
import torch

from stabtest.bounds import dense


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (5, 9), (9, 5), (64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128])
def test_against_numpy(shape, dtype, rng):
    matrix = torch.randn(shape, generator=rng, dtype=dtype)
    exact = np.linalg.norm(matrix.numpy().astype(np.complex128), 2)
    value, _ = dense.matrix_norm(matrix)
    assert exact <= value <= exact * (1 + 1e-8)


def test_large_matrices_get_a_true_but_loose_bound(rng, monkeypatch):
    monkeypatch.setattr(dense, "LARGEST", 8)
    matrix = torch.randn(20, 30, generator=rng, dtype=torch.float64)
    value, method = dense.matrix_norm(matrix)
    assert value >= np.linalg.norm(matrix.numpy(), 2)
    assert "Frobenius" in method


def test_not_finite_weights_are_infinite():
    assert dense.matrix_norm(torch.full((2, 2), torch.inf))[0] == float("inf")
