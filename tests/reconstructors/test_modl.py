"""MoDL: the data step against a dense solve, both of its derivatives, any size and number of coils, the scale of its input."""

from __future__ import annotations

import pytest
import torch

from reconstructors.modl import Modl
from stabtest import tensors
from stabtest.errors import NetworkError
from stabtest.networks import wrap
from stabtest.networks.gradient import check_gradient
from stabtest.operators import Radon
from stabtest.phantoms import head
from tests.reconstructors.scans import scan


@pytest.fixture
def network() -> Modl:
    torch.manual_seed(0)
    return Modl(repetitions=2, layers=3, width=6, tolerance=1e-12).double().eval()


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


def test_one_repetition_minimises_the_functional_of_the_paper(generator):
    """With a dense matrix: ``min ||A x - y||^2 + w ||x - D(x_0)||^2``."""
    torch.manual_seed(0)
    network = Modl(repetitions=1, layers=3, width=6, tolerance=1e-12).double().eval()
    operator = scan(8, 9)
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64))
    units = torch.eye(72, dtype=torch.complex128).reshape(72, 1, 8, 9)
    matrix = operator.forward(units).flatten(1).T
    start = operator.pseudo_inverse(y)
    channels = network.denoiser(torch.cat([start.real, start.imag], dim=1)).detach()
    z = torch.complex(*channels.split(1, dim=1)).flatten()
    weight = network.log_weight.detach().exp()
    stacked = torch.cat([matrix, weight.sqrt() * torch.eye(72, dtype=torch.complex128)])
    expected = torch.linalg.lstsq(stacked, torch.cat([y.flatten(), weight.sqrt() * z])).solution
    torch.testing.assert_close(network(y, operator).detach().flatten(), expected, rtol=1e-8, atol=1e-9)
    assert (expected - z).norm() > 0.1 * z.norm()


def test_residual_on_the_data_falls_with_a_smaller_weight(network, measured):
    y, operator = measured
    residuals = []
    for value in (10.0, 0.0, -10.0):
        with torch.no_grad():
            network.log_weight.fill_(value)
            residuals.append(tensors.norm(operator(network(y, operator)) - y))
    assert (residuals[0] > residuals[1]).all()
    assert (residuals[1] > residuals[2]).all()


def test_the_same_denoiser_is_used_in_every_repetition():
    counts = {sum(p.numel() for p in Modl(repetitions=k).parameters()) for k in (1, 3, 10)}
    assert len(counts) == 1


def test_gradient_with_respect_to_the_measurement_and_the_weight(network):
    operator = scan(6, 7)
    y = operator(head(8, seed=0)[None, :, :6, :7].to(torch.complex128)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: torch.view_as_real(network(operator.restrict(v), operator)), (y,), atol=1e-5)

    def of_weight(log_weight):
        arguments = (y.detach(), operator)
        return torch.view_as_real(torch.func.functional_call(network, {"log_weight": log_weight}, arguments))

    assert torch.autograd.gradcheck(of_weight, (network.log_weight,), atol=1e-5)


def test_single_precision_reaches_its_tolerance_and_its_gradient_that_of_double(generator):
    torch.manual_seed(0)
    sharp, usual = Modl(width=6, tolerance=1e-12).double().eval(), Modl(width=6, tolerance=1e-5).eval()
    usual.load_state_dict(sharp.state_dict())
    operator = scan(24, 24)
    y = operator(head(24, seed=0)[None].to(torch.complex128)).requires_grad_()
    u = operator.domain.randn(generator=generator, dtype=torch.float64)
    exact = torch.autograd.grad(sharp(y, operator), y, u)[0]
    found = torch.autograd.grad(usual(y.to(torch.complex64), operator), y, u.to(torch.complex64))[0]
    assert (tensors.norm(found - exact) / tensors.norm(exact)).item() < 1e-3


def test_derivative_of_what_is_computed_is_as_near_as_the_tolerance(generator):
    """The gate of every audit; control: the tolerance of training is too coarse for it."""
    torch.manual_seed(0)
    operator = scan(24, 24)
    y = operator(head(24, seed=0)[None].to(torch.complex128))
    errors = []
    for training in (False, True):
        network = Modl(width=6, training_tolerance=1e-2).double().train(training)
        found = check_gradient(network, operator, y, generator=torch.Generator().manual_seed(0))
        errors.append(found.error)
    assert errors[0] < 1e-4
    assert errors[1] > 1e-3


def test_scale_of_the_input_comes_back_when_wrapped(network, measured):
    y, operator = measured
    with torch.no_grad():  # without biases the network scales by itself
        network.denoiser.noise[0].bias.fill_(0.3)
    assert not torch.allclose(network(1e4 * y, operator), 1e4 * network(y, operator))
    network = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(network(1e4 * y, operator), 1e4 * network(y, operator), rtol=1e-7, atol=1e-7)


def test_ct_is_refused(network):
    operator = Radon(16, 9)
    with pytest.raises(NetworkError, match=r"modl.*complex images.*Radon"):
        network(operator.range.zeros(), operator)
