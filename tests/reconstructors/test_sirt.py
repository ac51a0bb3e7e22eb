"""SIRT: its filter in the singular vectors of the weighted matrix, its limit, its norm without estimate, non-negativity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from reconstructors.sirt import Sirt, inverse_sums
from stabtest import tensors
from stabtest.errors import ConfigError, NetworkError
from stabtest.operators import Fourier, Identity, Radon
from stabtest.phantoms import ellipses

OPERATOR = Radon(8, 7)
SUM = 1e-6


@pytest.fixture
def y() -> torch.Tensor:
    return OPERATOR.range.randn(generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def weighted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``R^1/2 A C^1/2`` and both weights from a dense matrix."""
    matrix = OPERATOR.forward(torch.eye(64, dtype=torch.float64).reshape(64, 1, 8, 8)).flatten(1).T.numpy()
    rows, columns = matrix.sum(1), matrix.sum(0)
    r = np.where(rows > SUM * rows.max(), 1 / np.maximum(rows, 1e-300), 0)
    c = np.where(columns > SUM * columns.max(), 1 / np.maximum(columns, 1e-300), 0)
    return np.sqrt(r)[:, None] * matrix * np.sqrt(c), r, c


@pytest.mark.parametrize(("steps", "relaxation"), [(1, 1.0), (25, 1.0), (25, 1.8)])
def test_singular_values_come_in_by_the_stated_filter(y, steps, relaxation):
    matrix, r, c = weighted()
    left, s, right = np.linalg.svd(matrix, full_matrices=False)
    kept = s > 1e-10
    taken = np.where(kept, (1 - (1 - relaxation * s**2) ** steps) / np.where(kept, s, 1), 0)
    expected = np.sqrt(c) * (right.T @ (taken * (left.T @ (np.sqrt(r) * y.flatten().numpy()))))
    ours = Sirt(iterations=steps, relaxation=relaxation)(y, OPERATOR).flatten().numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-10)


def test_norm_of_the_weighted_matrix_is_one():
    matrix, _, _ = weighted()
    assert np.linalg.norm(matrix, 2) == pytest.approx(1, abs=1e-9)


def test_weighted_residual_never_grows(y):
    rows, _ = inverse_sums(OPERATOR, like=y)
    residuals = [
        tensors.norm(rows.sqrt() * (y - OPERATOR.forward(Sirt(iterations=k, relaxation=1.9)(y, OPERATOR)))).item()
        for k in (1, 2, 3, 5, 10, 50)
    ]
    assert all(b <= a for a, b in pairwise(residuals))


def test_without_the_weights_the_same_step_diverges(y):
    """Control: it is the row and column sums that bound the step."""
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    for _ in range(50):
        x = x + OPERATOR.adjoint(y - OPERATOR.forward(x))
    assert x.abs().max() > 1e6


def test_gradient_is_the_transpose(y):
    method, u = Sirt(iterations=9), torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    variable = y.clone().requires_grad_()
    pulled = torch.autograd.grad(method(variable, OPERATOR), variable, u)[0]
    torch.testing.assert_close(tensors.inner(pulled, y), tensors.inner(u, method(y, OPERATOR)))


def test_better_than_filtered_back_projection_from_few_views_until_the_noise_comes_in():
    operator = Radon(48, 20)
    truth = torch.cat([ellipses(48, seed=seed)[None] for seed in range(3)])
    y = operator(truth)
    y = y + 0.02 * y.abs().max() * operator.range.randn(3, generator=torch.Generator().manual_seed(0))
    errors = [tensors.norm(Sirt(iterations=k)(y, operator) - truth) for k in (50, 1000)]
    assert (errors[0] < tensors.norm(operator.pseudo_inverse(y) - truth)).all()
    assert (errors[1] > errors[0]).all()


def test_nonnegative_where_asked(y):
    assert Sirt(iterations=20)(y, OPERATOR).min() < 0
    assert Sirt(iterations=20, nonnegative=True)(y, OPERATOR).min() >= 0


def test_an_image_itself_is_given_back():
    x = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Sirt(iterations=3)(x, Identity((3, 4))), x)


def test_scans_with_negative_entries_are_refused():
    operator = Fourier(torch.ones(8, 8, dtype=torch.bool))
    with pytest.raises(NetworkError, match="sirt: wrong kind of scan"):
        Sirt()(operator.range.zeros(), operator)


@pytest.mark.parametrize(("settings", "match"), [({"iterations": 0}, "at least 1"), ({"relaxation": 2.0}, "between 0 and 2")])
def test_settings_that_are_none_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        Sirt(**settings)
