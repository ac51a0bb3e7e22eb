"""Learned primal-dual: Landweber's iteration is a member of its class, any size and unit, gradients to the measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reconstructors.learned_primal_dual import LearnedPrimalDual
from stabtest.errors import NetworkError, OperatorError
from stabtest.networks import wrap
from stabtest.operators import Fourier, Radon
from stabtest.phantoms import ellipses


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture
def network() -> LearnedPrimalDual:
    torch.manual_seed(0)
    return LearnedPrimalDual(iterations=2, primal=3, dual=2, width=5).double().eval()


def dense(operator: Radon) -> np.ndarray:
    return operator.matrix.scipy_matrix().toarray()


@torch.no_grad()
def landweber(iterations: int, step: float) -> LearnedPrimalDual:
    """Weights by hand: ``h = K f2 - g`` and ``f - step K* h`` in both images; PReLU of slope 1 is the identity."""
    network = LearnedPrimalDual(iterations=iterations, primal=2, dual=1, width=1).double().eval()
    taps = {"dual": [[-1.0, 1.0, -1.0]], "primal": [[0.0, 0.0, -step]]}
    for kind, steps in (("dual", network.dual_steps), ("primal", network.primal_steps)):
        for each in steps:
            for parameter in each.parameters():
                parameter.zero_()
            first, slope, second, other, last = each
            slope.weight.fill_(1)
            other.weight.fill_(1)
            first.weight[0, :, 1, 1] = torch.tensor(taps[kind][0], dtype=torch.float64)
            second.weight[:, :, 1, 1] = last.weight[:, :, 1, 1] = 1
    return network


@pytest.mark.parametrize("iterations", [1, 4])
def test_landweber_is_a_member_of_the_class(iterations):
    """Against the dense matrix in NumPy, and the residual falls."""
    operator, step = Radon((9, 11), 7), 0.8
    matrix, norm = dense(operator), operator.norm_bound()
    y = operator(ellipses(16, seed=0)[None, :, :9, :11].double())
    x = operator.pseudo_inverse(y).flatten().numpy()
    data, residuals = y.flatten().numpy(), []
    for _ in range(iterations):
        residuals.append(np.linalg.norm(matrix @ x - data))
        x = x - step * matrix.T @ (matrix @ x - data) / norm**2
    found = landweber(iterations, step)(y, operator)
    np.testing.assert_allclose(found.detach().flatten().numpy(), x, rtol=1e-10, atol=1e-12)
    assert np.linalg.norm(matrix @ found.detach().flatten().numpy() - data) < residuals[-1]


def test_starts_from_the_direct_reconstruction(network, generator):
    operator = Radon(12, 8)
    y = operator.range.randn(2, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for step in network.primal_steps:
            step[-1].weight.zero_()
    torch.testing.assert_close(network(y, operator), operator.pseudo_inverse(y), rtol=0, atol=0)


@pytest.mark.parametrize("size", [(16, 16), (17, 20), (9, 31)])
@pytest.mark.parametrize("views", [5, 12])
def test_any_size_and_number_of_views_gives_real_images(network, generator, size, views):
    operator = Radon(size, views)
    y = operator.range.randn(3, generator=generator, dtype=torch.float64)
    assert network(y, operator).shape == (3, 1, *size)
    assert network(y, operator).dtype == torch.float64


def test_unit_of_length_does_not_matter(network, generator):
    """Line integrals in millimetres or centimetres are the same image: the operator is divided by its norm."""
    one, other = Radon(14, 9), Radon(14, 9, pixel_size=10.0)
    y = one.range.randn(1, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(network(10 * y, other), network(y, one), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(network(10 * y, one), network(y, one), rtol=1e-2)


def test_gradient_reaches_every_step_on_both_sides(network, generator):
    operator = Radon(12, 8)
    network(operator.range.randn(1, generator=generator, dtype=torch.float64), operator).square().sum().backward()
    for step in [*network.dual_steps, *network.primal_steps]:
        assert all(parameter.grad.abs().max() > 0 for parameter in step.parameters())


def test_images_of_a_batch_are_independent(network, generator):
    operator = Radon(12, 8)
    y = operator.range.randn(2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(network(y, operator)[1:], network(y[1:], operator))


def test_gradient_with_respect_to_the_measurement(network, generator):
    operator = Radon(5, 4)
    y = operator.range.randn(1, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: network(v, operator), (y,))


def test_runs_wrapped_with_the_scale_of_its_input(network, generator):
    operator = Radon(12, 8)
    y = operator.range.randn(2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(wrap(network, takes="measurements+operator")(y, operator), network(y, operator))
    scaled = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(scaled(1e3 * y, operator), 1e3 * scaled(y, operator), rtol=1e-9, atol=1e-9)


def test_autocast_lowers_the_convolutions_and_leaves_the_operator():
    torch.manual_seed(0)
    network, operator = LearnedPrimalDual(iterations=2, primal=3, dual=2, width=5), Radon(16, 9)
    y = operator(ellipses(16, seed=1)[None].repeat(2, 1, 1, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = network(y, operator)
    assert low.dtype == torch.float32
    assert (low - network(y, operator)).norm() < 0.02 * low.norm()


def test_mri_is_refused(network):
    operator = Fourier(torch.ones(8, 8, dtype=torch.bool))
    with pytest.raises(NetworkError, match=r"learned primal-dual.*real images.*Fourier"):
        network(operator.range.zeros(), operator)


def test_measurement_of_another_size_is_refused(network):
    with pytest.raises(OperatorError):
        network(Radon(16, 9).range.zeros(dtype=torch.float64), Radon(12, 9))


@pytest.mark.parametrize("setting", [{"iterations": 0}, {"primal": 1}, {"dual": 0}, {"width": 0}])
def test_too_small_a_setting_is_named(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        LearnedPrimalDual(**setting)
