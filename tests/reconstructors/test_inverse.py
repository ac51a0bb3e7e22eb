"""The inverse against dense matrices, its two derivatives against differences and against autograd through the solver's steps."""

from __future__ import annotations

import pytest
import torch

from reconstructors.inverse import inverse
from stabtest.operators import MultiCoilFourier, masks
from stabtest.operators.solvers import conjugate_gradient
from stabtest.phantoms import coil_maps


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


@pytest.fixture
def matrix(generator) -> torch.Tensor:
    root = torch.randn(5, 5, dtype=torch.complex128, generator=generator)
    return root @ root.mH


def by_matrix(matrix, b, weight):
    solve = torch.linalg.solve
    eye = torch.eye(5, dtype=torch.complex128)
    return inverse(b, weight, lambda right, w: solve(matrix + w.detach() * eye, right.T).T)


def test_first_and_second_derivatives_agree_with_differences(matrix, generator):
    b = torch.randn(3, 5, dtype=torch.complex128, generator=generator).requires_grad_()
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def real(b, weight):
        return torch.view_as_real(by_matrix(matrix, b, weight))

    assert torch.autograd.gradcheck(real, (b, weight))
    assert torch.autograd.gradgradcheck(real, (b, weight))


def test_a_solver_with_another_weight_is_noticed(matrix, generator):
    """Control: the check above fails where value and derivative do not belong together."""
    b = torch.randn(1, 5, dtype=torch.complex128, generator=generator)
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    solve, eye = torch.linalg.solve, torch.eye(5, dtype=torch.complex128)

    def wrong(weight):
        return torch.view_as_real(inverse(b, weight, lambda right, w: solve(matrix + 2 * w.detach() * eye, right.T).T))

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(wrong, (weight,))


def test_derivative_is_that_through_the_steps_of_a_finished_solver(generator):
    """The graph of conjugate gradients, run to rounding, against one more solve."""
    operator = MultiCoilFourier(
        masks.cartesian_random((8, 8), acceleration=2, centre_fraction=0.2, seed=0),
        coil_maps(8, 3, seed=0).to(torch.complex128),
    )
    b, u = (operator.domain.randn(2, generator=generator, dtype=torch.float64) for _ in range(2))
    b.requires_grad_()
    weight = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)

    def solve(right, _=None):
        return conjugate_gradient(operator, right, weight=0.1, iterations=200, tol=1e-13).x

    implicit = torch.autograd.grad(inverse(b, weight, solve), (b, weight), u)
    torch.testing.assert_close(implicit[0], torch.autograd.grad(solve(b), b, u)[0], rtol=1e-8, atol=1e-9)
    higher, lower = (
        conjugate_gradient(operator, b.detach(), weight=0.1 + s, iterations=200, tol=1e-13).x for s in (1e-4, -1e-4)
    )
    difference = ((higher - lower) / 2e-4 * u.conj()).real.sum()
    assert implicit[1].item() == pytest.approx(difference.item(), rel=1e-5)
