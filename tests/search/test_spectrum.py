"""Leading singular triplets against the dense SVD, for linear and for nonlinear reconstructions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Identity, Radon
from stabtest.search.jacobian import Linearisation, jacobian_norm
from stabtest.search.spectrum import jacobian_spectrum


def dense_jacobian(network, operator, y) -> np.ndarray:
    """``J P`` as a real matrix, row by row of the output with first derivatives only."""

    def parts(e):
        e = torch.view_as_complex(e) if operator.range.is_complex else e
        out = network(y + operator.restrict(e), operator)
        return torch.view_as_real(out) if out.is_complex() else out

    zero = torch.view_as_real(torch.zeros_like(y)) if operator.range.is_complex else torch.zeros_like(y)
    jacobian = torch.autograd.functional.jacobian(parts, zero)
    return jacobian.reshape(parts(zero).numel(), -1).numpy()


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_linear_network_has_the_singular_values_of_its_matrix(lab, fourier, domain):
    y = fourier.range.zeros(1, dtype=torch.float64)
    network = lab.ConjugateMixing(8, seed=3)
    exact = np.linalg.svd(lab.dense(network, fourier, y, domain=domain), compute_uv=False)
    found = jacobian_spectrum(network, fourier, y, k=5, steps=60, domain=domain)
    np.testing.assert_allclose(found.sigmas[0].numpy(), exact[:5], rtol=1e-4)
    assert found.agreement.item() < 1e-12


@pytest.mark.parametrize("kind", ["fourier", "radon"])
def test_nonlinear_network_has_the_singular_values_of_its_dense_jacobian(lab, kind):
    operator = Fourier(lab.some_mask(8)) if kind == "fourier" else Radon(8, 6)
    network = lab.SmallCNN(3, torch.float64)
    y = operator.forward(operator.domain.randn(1, generator=lab.seeded(0), dtype=torch.float64))
    exact = np.linalg.svd(dense_jacobian(network, operator, y), compute_uv=False)
    found = jacobian_spectrum(network, operator, y, k=4, steps=100)
    np.testing.assert_allclose(found.sigmas[0].numpy(), exact[:4], rtol=1e-8)
    assert found.residuals.max() < 1e-6


def test_vectors_and_images_are_singular_triplets(lab):
    A = Radon(12, 8)
    network = lab.SmallCNN(2, torch.float64)
    y = A.forward(A.domain.randn(2, generator=lab.seeded(0), dtype=torch.float64))
    found = jacobian_spectrum(network, A, y, k=3, steps=60)
    J = Linearisation(lambda v: network(v, A), y)
    for i in range(3):
        image = J.jvp(found.vectors[:, i])
        torch.testing.assert_close(image, tensors.scale(found.images[:, i], found.sigmas[:, i]))
        for j in range(3):
            expected = torch.full((2,), float(i == j), dtype=torch.float64)
            torch.testing.assert_close(tensors.inner(found.vectors[:, i], found.vectors[:, j]), expected, atol=1e-8, rtol=0)
            torch.testing.assert_close(tensors.inner(found.images[:, i], found.images[:, j]), expected, atol=1e-4, rtol=0)


def test_complex_linear_values_come_twice_and_one_start_sees_one(lab, fourier):
    network = lab.RandomComplexLinear(8, seed=0)
    y = fourier.range.zeros(1, dtype=torch.float64)
    exact = np.linalg.svd(lab.dense(network, fourier, y), compute_uv=False)
    assert exact[0] == pytest.approx(exact[1])
    both = jacobian_spectrum(network, fourier, y, k=4, steps=80).sigmas[0]
    one = jacobian_spectrum(network, fourier, y, k=2, steps=14, block=1).sigmas[0]
    np.testing.assert_allclose(both.numpy(), exact[:4], rtol=1e-6)
    np.testing.assert_allclose(one.numpy(), exact[[0, 2]], rtol=1e-2)


def test_residual_tells_what_is_not_converged(lab, fourier):
    """Control: some singular value lies within the residual, and few steps leave a large one."""
    y = fourier.range.zeros(1, dtype=torch.float64)
    network = lab.ConjugateMixing(8, seed=3)
    exact = np.linalg.svd(lab.dense(network, fourier, y), compute_uv=False)
    few = jacobian_spectrum(network, fourier, y, k=4, steps=8)
    assert few.residuals.max() > 0.05
    for sigma, residual in zip(few.sigmas[0].tolist(), few.residuals[0].tolist(), strict=True):
        assert np.abs(exact**2 - sigma**2).min() <= sigma**2 * residual * (1 + 1e-9)


def test_largest_value_is_the_norm_and_an_image_does_not_depend_on_its_batch(lab, fourier, measurement):
    network = lab.SmallCNN(1)
    both = jacobian_spectrum(network, fourier, measurement, k=2, steps=30)
    alone = jacobian_spectrum(network, fourier, measurement[1:], k=2, steps=30)
    torch.testing.assert_close(both.sigmas[1:], alone.sigmas, rtol=1e-4, atol=0)
    norm = jacobian_norm(network, fourier, measurement, steps=30)
    torch.testing.assert_close(both.sigmas[:, 0], norm.sigma, rtol=1e-3, atol=0)


def test_products_that_do_not_belong_together_are_noticed(lab):
    """Control: a backward that is not the forward's adjoint shows in the agreement."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return Skewed.apply(g)

    class Skewed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, g):
            return 2 * g

        @staticmethod
        def backward(ctx, g):
            return 2 * g.flip(-1) + g

    y = torch.randn(1, 1, 4, 4, generator=lab.seeded(0))
    assert jacobian_spectrum(lambda v, A: Wrong.apply(v), Identity((4, 4)), y, k=1, steps=8).agreement.item() > 1e-3


def test_fewer_dimensions_than_asked_give_zeros():
    y = torch.ones(1, 1, 1, 2)
    found = jacobian_spectrum(lambda v, A: v * torch.tensor([2.0, 1.0]), Identity((1, 2)), y, k=3, steps=5)
    torch.testing.assert_close(found.sigmas, torch.tensor([[2.0, 1.0, 0.0]]))


@pytest.mark.parametrize("settings", [{"k": 0}, {"block": 0}, {"k": 5, "steps": 4}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(SearchError, match="Jacobian spectrum"):
        jacobian_spectrum(lambda y, A: y, Identity((2, 2)), torch.ones(1, 1, 2, 2), **settings)
