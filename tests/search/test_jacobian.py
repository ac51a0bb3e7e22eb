"""Products with the Jacobian and its norm, against dense matrices and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Identity, Radon
from stabtest.search.constraints import MeasurementBall
from stabtest.search.jacobian import Linearisation, jacobian_norm
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem
from stabtest.search.starts import jacobian_starts


def test_products_equal_the_dense_jacobian():
    weight = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def function(x):
        return torch.tanh(x @ weight.T) + x[:, :1] ** 2

    x = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    J = Linearisation(function, x)
    dense = torch.autograd.functional.jacobian(function, x)[0, :, 0, :]
    v, u = torch.arange(4.0).double()[None], torch.arange(5.0).double()[None]
    torch.testing.assert_close(J.jvp(v)[0], dense @ v[0])
    torch.testing.assert_close(J.vjp(u)[0], dense.T @ u[0])


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_norm_of_a_linear_network_is_its_largest_singular_value(lab, fourier, domain):
    y = fourier.range.zeros(1, dtype=torch.float64)
    network = lab.ConjugateMixing(8, seed=3)
    exact = np.linalg.svd(lab.dense(network, fourier, y, domain=domain), compute_uv=False)[0]
    found = jacobian_norm(network, fourier, y, steps=400, domain=domain, generator=lab.seeded(1))
    assert found.sigma.item() == pytest.approx(exact, rel=1e-6)
    assert found.residual.item() < 1e-3
    assert found.agreement.item() < 1e-12


def test_norm_converges_from_below_and_the_vector_lives_on_the_samples(lab, fourier):
    y = fourier.range.zeros(1, dtype=torch.float64)
    network = lab.RandomComplexLinear(8, seed=3)
    sigmas = [jacobian_norm(network, fourier, y, steps=k, generator=lab.seeded(1)).sigma.item() for k in (1, 2, 4, 8, 16)]
    assert sigmas == sorted(sigmas)
    vector = jacobian_norm(network, fourier, y, steps=3).vector
    assert not vector[..., ~fourier.mask].any()
    assert tensors.norm(vector).item() == pytest.approx(1)


def test_products_agree_through_the_projector(lab):
    A = Radon(16, 12)
    y = A.forward(A.domain.randn(1, generator=lab.seeded(0), dtype=torch.float64))
    found = jacobian_norm(lab.SmallCNN(2, torch.float64), A, y, steps=20)
    assert found.agreement.item() < 1e-12


def test_small_ball_start_is_the_jacobian_direction(lab):
    """The first-order start of the search against the double-backward products."""
    A = Fourier(lab.some_mask(8))
    network = lab.SmallCNN(3, torch.float64)
    y = A.forward(A.domain.randn(1, generator=lab.seeded(0), dtype=torch.float64))
    with torch.no_grad():
        distance = DistanceToClean(network(y, A))
    problem = Problem(network, y, MeasurementBall(A, torch.full((1,), 1e-6).double()), distance)
    starts = jacobian_starts(
        problem, distance, Leader(y, planned=1), steps=120, floor=torch.zeros(1).double(), generator=lab.seeded(1)
    )
    exact = jacobian_norm(network, A, y, steps=120, generator=lab.seeded(1))
    direction = tensors.normalise(starts[0])
    sigma = tensors.norm(Linearisation(lambda v: network(v, A), y).jvp(direction)).item()
    assert sigma == pytest.approx(exact.sigma.item(), rel=1e-3)
    assert torch.equal(starts[0], -starts[1])


def test_disconnected_network_is_refused():
    with pytest.raises(SearchError, match="disconnected"):
        jacobian_norm(lambda y, A: y.detach(), Identity((2, 2)), torch.ones(1, 1, 2, 2))


def test_backward_that_cannot_be_differentiated_is_named():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return 2 * g

    with pytest.raises(SearchError, match="cannot be differentiated"):
        jacobian_norm(lambda y, A: Once.apply(y), Identity((2, 2)), torch.ones(1, 1, 2, 2))


def test_lanczos_is_never_behind_power_iteration_and_needs_fewer_products(lab, fourier):
    y = fourier.range.zeros(1, dtype=torch.float64)
    network = lab.ConjugateMixing(8, seed=3)
    matrix = lab.dense(network, fourier, y)
    exact = np.linalg.svd(matrix, compute_uv=False)[0]
    J = Linearisation(lambda e: network(y + fourier.restrict(e), fourier), y)
    start = fourier.restrict(tensors.randn(tuple(y.shape), dtype=y.dtype, generator=lab.seeded(1)))
    v, ratios = tensors.normalise(start), []
    for steps in range(1, 31):
        found = jacobian_norm(network, fourier, y, steps=steps, generator=lab.seeded(1)).sigma.item()
        power = tensors.norm(J.jvp(v)).item()
        assert found >= power * (1 - 1e-12)
        ratios.append((found / exact, power / exact))
        v = tensors.normalise(J.vjp(J.jvp(v)))
    first = [next(i for i, pair in enumerate(ratios) if pair[which] > 0.98) for which in (0, 1)]
    assert 2 * first[0] <= first[1]
