"""The cascade: data fidelity by an independent formula, any size, the scale of its input, gradients to the measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reconstructors.cascade import Cascade
from stabtest.errors import NetworkError, OperatorError
from stabtest.networks import wrap
from stabtest.operators import Fourier, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, head


def scan(height: int, width: int) -> Fourier:
    return Fourier(masks.cartesian_gaussian((height, width), acceleration=3, centre_fraction=0.15, seed=1))


@pytest.fixture
def network() -> Cascade:
    torch.manual_seed(0)
    return Cascade(cascades=2, layers=3, width=6).double().eval()


@pytest.fixture
def measured(generator):
    operator = scan(20, 17)
    return operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64)), operator


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def numpy_fourier(x: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(x, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))


@pytest.mark.parametrize("size", [(16, 16), (17, 20), (9, 31)])
def test_any_size_gives_complex_images(network, generator, size):
    operator = scan(*size)
    y = operator.restrict(operator.range.randn(3, generator=generator, dtype=torch.float64))
    assert network(y, operator).shape == (3, 1, *size)
    assert network(y, operator).dtype == torch.complex128


def test_last_step_averages_samples_with_the_data_as_equation_7_says(network, measured):
    """Sample by sample in NumPy: ``(F z + v y) / (1 + v)`` where measured, ``F z`` elsewhere."""
    y, operator = measured
    single = Cascade(cascades=1, layers=3, width=6).double()
    start = operator.pseudo_inverse(y)
    correction = single.blocks[0](torch.cat([start.real, start.imag], dim=1)).detach()
    z = numpy_fourier((start + torch.complex(*correction.split(1, dim=1))).numpy())
    v = float(single.trust[0].detach().exp())
    expected = np.where(operator.mask.numpy(), (z + v * y.numpy()) / (1 + v), z)
    np.testing.assert_allclose(numpy_fourier(single(y, operator).detach().numpy()), expected, atol=1e-12)


@pytest.mark.parametrize("log_weight", [-2.0, 0.0, 6.0])
def test_measured_samples_are_respected_up_to_the_weight(network, measured, log_weight):
    """The residual on the measured samples falls as ``1 / (1 + v)`` of the last cascade; the other samples stay."""
    y, operator = measured
    kspaces = {}
    for value in (-40.0, log_weight):  # the first switches the last data step off
        with torch.no_grad():
            network.trust[-1] = value
        kspaces[value] = numpy_fourier(network(y, operator).detach().numpy())
    mask = np.broadcast_to(operator.mask.numpy(), y.shape)
    free, kept = kspaces[-40.0], kspaces[log_weight]
    residual = (free - y.numpy())[mask] / (1 + np.exp(log_weight))
    np.testing.assert_allclose((kept - y.numpy())[mask], residual, atol=1e-12)
    np.testing.assert_allclose(kept[~mask], free[~mask], atol=1e-12)
    assert np.abs(residual).max() > 1e-6


def test_scale_of_the_input_comes_back_when_wrapped(network, measured):
    y, operator = measured
    with torch.no_grad():  # without biases the network scales by itself
        network.blocks[0][0].bias.fill_(0.3)
    assert not torch.allclose(network(1e4 * y, operator), 1e4 * network(y, operator))
    network = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(network(1e4 * y, operator), 1e4 * network(y, operator), rtol=1e-9, atol=1e-9)


def test_measurement_of_zeros_stays_finite_with_its_gradient(network):
    operator = scan(12, 12)
    y = operator.range.zeros(dtype=torch.float64).requires_grad_()
    x = network(y, operator)
    assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()
    assert x.isfinite().all()


def test_images_of_a_batch_are_independent(network, measured):
    y, operator = measured
    torch.testing.assert_close(network(y, operator)[1:], network(y[1:], operator))


def test_gradient_with_respect_to_the_measurement(network):
    operator = scan(6, 7)
    y = operator(head(8, seed=0)[None, :, :6, :7].to(torch.complex128)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: torch.view_as_real(network(operator.restrict(v), operator)), (y,), atol=1e-5)


def test_several_coils_run(network, generator):
    operator = MultiCoilFourier(scan(16, 16).mask, coil_maps(16, 3, seed=0))
    y = operator.restrict(operator.range.randn(1, generator=generator, dtype=torch.float64))
    assert network(y, operator).shape == (1, 1, 16, 16)


def test_ct_is_refused(network):
    operator = Radon(16, 9)
    with pytest.raises(NetworkError, match=r"cascade.*complex images.*Radon"):
        network(operator.range.zeros(), operator)


def test_measurement_of_another_size_is_refused(network):
    with pytest.raises(OperatorError):
        network(scan(16, 16).range.zeros(dtype=torch.float64), scan(12, 16))
