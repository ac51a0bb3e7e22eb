"""The variational network: its stage by SciPy, exact adjoints, the constraints of the paper, gradients, the scale of its input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from reconstructors.variational import VariationalNetwork, constrained
from stabtest import tensors
from stabtest.errors import NetworkError
from stabtest.networks import wrap
from stabtest.operators import Radon
from stabtest.phantoms import head
from tests.reconstructors.scans import scan


def bent(network: VariationalNetwork) -> VariationalNetwork:
    """With activations that are not linear."""
    with torch.no_grad():
        for stage in network.stages:
            stage.activation.values.add_(0.3 * torch.randn_like(stage.activation.values))
    return network


@pytest.fixture
def network() -> VariationalNetwork:
    torch.manual_seed(0)
    return bent(VariationalNetwork(stages=2, filters=4, size=5, knots=7).double().eval())


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture
def measured(generator):
    operator = scan(20, 17)
    return operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64)), operator


@pytest.mark.parametrize(("size", "coils"), [((16, 16), 4), ((17, 20), 1), ((9, 31), 2)])
def test_any_size_and_number_of_coils_gives_complex_images(network, generator, size, coils):
    operator = scan(*size, coils)
    y = operator.restrict(operator.range.randn(3, generator=generator, dtype=torch.float64))
    assert network(y, operator).shape == (3, 1, *size)
    assert network(y, operator).dtype == torch.complex128


def test_kernels_have_mean_zero_and_norm_at_most_one():
    kernels = constrained(torch.randn(6, 2, 5, 5, dtype=torch.float64) * torch.logspace(-3, 3, 6).reshape(-1, 1, 1, 1) + 1)
    torch.testing.assert_close(kernels.mean((2, 3)), torch.zeros(6, 2, dtype=torch.float64))
    assert (kernels.flatten(1).norm(dim=1) <= 1 + 1e-12).all()


def test_kernels_within_the_constraints_stay():
    kernels = constrained(torch.randn(6, 2, 5, 5, dtype=torch.float64))
    torch.testing.assert_close(constrained(0.9 * kernels), 0.9 * kernels)


def test_prior_is_the_sum_of_the_paper_filter_by_filter(network, generator):
    """SciPy's correlation, NumPy's interpolation, and the adjoint as a correlation with the turned kernel."""
    stage = network.stages[0]
    x = 0.1 * torch.randn(1, 2, 11, 9, dtype=torch.float64, generator=generator)
    kernels, values = constrained(stage.kernels).detach().numpy(), stage.activation.values.detach().numpy()
    knots = np.linspace(-150 / 255, 150 / 255, 7)
    expected = np.zeros((2, 11, 9))
    for kernel, value in zip(kernels, values, strict=True):
        response = sum(correlate2d(x[0, part].numpy(), kernel[part], mode="same") for part in range(2))
        assert np.abs(response).max() < 150 / 255
        activated = np.interp(response, knots, value)
        expected += np.stack([correlate2d(activated, kernel[part, ::-1, ::-1], mode="same") for part in range(2)]) / 4
    np.testing.assert_allclose(stage.prior(x)[0].detach().numpy(), expected, atol=1e-12)


def test_prior_is_a_gradient(network, generator):
    """Its Jacobian is symmetric, as that of every gradient: the filters on the way back are the exact adjoints."""
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64, generator=generator)
    jacobian = torch.autograd.functional.jacobian(network.stages[0].prior, x).reshape(40, 40)
    torch.testing.assert_close(jacobian, jacobian.T)
    assert (jacobian - jacobian.diag().diag()).abs().max() > 1e-2


def test_without_a_prior_it_is_gradient_descent_and_the_residual_falls(generator):
    torch.manual_seed(0)
    operator = scan(16, 16)
    y = operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64))
    residuals, x = [], operator.pseudo_inverse(y)
    for stages in (1, 2, 8):
        network = VariationalNetwork(stages=stages, filters=2, size=3).double()
        with torch.no_grad():
            for stage in network.stages:
                stage.activation.values.zero_()
        residuals.append(tensors.norm(operator(network(y, operator)) - y))
        if stages == 1:
            torch.testing.assert_close(network(y, operator), x - operator.adjoint(operator(x) - y))
    assert (residuals[0] > residuals[1]).all()
    assert (residuals[1] > residuals[2]).all()


def test_gradient_with_respect_to_the_measurement(network):
    operator = scan(6, 7)
    y = operator(head(8, seed=0)[None, :, :6, :7].to(torch.complex128)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: torch.view_as_real(network(operator.restrict(v), operator)), (y,), atol=1e-5)


def test_every_parameter_has_a_gradient(network, measured):
    y, operator = measured
    network(y, operator).abs().square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_scale_of_the_input_comes_back_when_wrapped(network, measured):
    y, operator = measured
    assert not torch.allclose(network(1e4 * y, operator), 1e4 * network(y, operator))
    network = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(network(1e4 * y, operator), 1e4 * network(y, operator), rtol=1e-7, atol=1e-7)


def test_ct_is_refused(network):
    operator = Radon(16, 9)
    with pytest.raises(NetworkError, match=r"variational network.*complex images.*Radon"):
        network(operator.range.zeros(), operator)


def test_kernels_of_even_size_are_refused():
    with pytest.raises(ValueError, match="odd"):
        VariationalNetwork(size=4)
