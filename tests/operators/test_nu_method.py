"""The direct image of an operator without a formula: linear, and on its way to least squares."""

import numpy as np
import torch

from stabtest.operators import MatrixMap, OwnOperator
from stabtest.operators.nu_method import least_squares

SHAPE = (6, 5)
M = np.random.default_rng(0).standard_normal((40, 30))


def images(n, seed=0):
    return torch.randn(n, 1, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_direct_image_is_linear_and_tends_to_least_squares():
    A = OwnOperator(MatrixMap(M, SHAPE), SHAPE, layout="batch")
    y, z = A(images(1)) + 1, A(images(1, seed=2))
    torch.testing.assert_close(A.pseudo_inverse(y + 3 * z), A.pseudo_inverse(y) + 3 * A.pseudo_inverse(z))
    exact = np.linalg.lstsq(M, y[0].numpy(), rcond=None)[0]
    np.testing.assert_allclose(least_squares(A, y, steps=1500).flatten(), exact, rtol=1e-4, atol=1e-4)


def test_the_residual_of_the_direct_image_falls_as_the_theory_says():
    """``||A x_k - y|| <= c k^-2`` for consistent data of a smooth image (nu = 1), where Landweber steps fall like ``1 / k``."""
    values = 1 / np.arange(1, 31) ** 2
    operator = OwnOperator(MatrixMap(np.diag(values), SHAPE), SHAPE, layout="batch")
    y = operator(operator.adjoint(operator(images(1))))
    errors = [float((operator(least_squares(operator, y, steps=n)) - y).norm() / y.norm()) for n in (10, 20, 40)]
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3
