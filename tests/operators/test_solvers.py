"""Conjugate gradients against dense solutions."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import Fourier, MultiCoilFourier, Radon, cartesian_random, conjugate_gradient

MAPS = torch.randn(3, 6, 8, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))


def test_solution_is_that_of_the_dense_system(generator):
    A = Radon(7, 9)
    matrix = torch.from_numpy(A.matrix.scipy_matrix().toarray())
    b = A.domain.randn(3, generator=generator, dtype=torch.float64)
    solution = conjugate_gradient(A, b, weight=0.5, iterations=200, tol=1e-12)
    dense = torch.linalg.solve(matrix.T @ matrix + 0.5 * torch.eye(49, dtype=torch.float64), b.flatten(1).T).T
    torch.testing.assert_close(solution.x.flatten(1), dense)
    assert bool((solution.residual <= 1e-11).all())


def test_masked_fourier_needs_two_steps(generator):
    """Two eigenvalues, two iterations, and a closed form."""
    A = Fourier(cartesian_random((8, 10), acceleration=2))
    b = A.domain.randn(2, generator=generator, dtype=torch.float64)
    solution = conjugate_gradient(A, b, weight=0.1, tol=1e-10)
    seen = A.adjoint(A(b))
    torch.testing.assert_close(solution.x, seen / 1.1 + (b - seen) / 0.1)
    assert solution.iterations == 2


def test_stated_residual_is_true_when_it_did_not_converge(generator):
    A = MultiCoilFourier(cartesian_random((6, 8), acceleration=2), MAPS)
    b = A.domain.randn(2, generator=generator, dtype=torch.float64)
    solution = conjugate_gradient(A, b, weight=0.01, iterations=3)
    defect = b - A.adjoint(A(solution.x)) - 0.01 * solution.x
    torch.testing.assert_close(solution.residual, defect.flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1))
    assert bool((solution.residual > 1e-4).all())


def test_image_of_zeros_and_converged_images_stay_finite(generator):
    A = Radon(6, 5)
    b = A.domain.randn(3, generator=generator, dtype=torch.float64)
    b[1] = 0
    alone = conjugate_gradient(A, b[:1], weight=1.0, tol=1e-10)
    together = conjugate_gradient(A, b, weight=1.0, tol=1e-10)
    assert bool(together.x.isfinite().all())
    assert not bool(together.x[1].any())
    torch.testing.assert_close(together.x[:1], alone.x)


def test_start_at_the_solution_takes_no_step(generator):
    A = Radon(6, 5)
    b = A.domain.randn(1, generator=generator, dtype=torch.float64)
    x = conjugate_gradient(A, b, weight=1.0, tol=1e-12, iterations=100).x
    assert conjugate_gradient(A, b, weight=1.0, start=x).iterations == 0


def test_gradient_runs_through_the_iterations(generator):
    A = Radon(4, 3)
    b = A.domain.randn(1, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: conjugate_gradient(A, t, weight=1.0, iterations=40, tol=1e-14).x, b, atol=1e-6)


def test_wrong_arguments_are_refused():
    A = Radon(4, 3)
    with pytest.raises(OperatorError, match="weight"):
        conjugate_gradient(A, A.domain.zeros(1), weight=-1.0)
    with pytest.raises(OperatorError, match="right-hand side"):
        conjugate_gradient(A, A.range.zeros(1))
