"""End-to-end VarNet: one cascade of k-space in NumPy, the data step, which scans it takes, gradients, the scale of its input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reconstructors.varnet import VarNet
from stabtest import tensors
from stabtest.errors import NetworkError
from stabtest.networks import wrap
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.phantoms import head
from tests.reconstructors.scans import scan


@pytest.fixture
def network() -> VarNet:
    torch.manual_seed(0)
    return VarNet(cascades=2, width=4, depth=1).double().eval()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture
def measured(generator):
    operator = scan(20, 17)
    return operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64)), operator


def transform(x: np.ndarray, *, inverse: bool = False) -> np.ndarray:
    one_way = np.fft.ifft2 if inverse else np.fft.fft2
    return np.fft.fftshift(one_way(np.fft.ifftshift(x, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))


@pytest.mark.parametrize(("size", "coils"), [((16, 16), 4), ((17, 20), 1), ((9, 31), 2)])
def test_any_size_and_number_of_coils_gives_complex_images(network, generator, size, coils):
    operator = scan(*size, coils)
    y = operator.restrict(operator.range.randn(3, generator=generator, dtype=torch.float64))
    assert network(y, operator).shape == (3, 1, *size)
    assert network(y, operator).dtype == torch.complex128


def test_two_cascades_are_the_formula_in_k_space(network, measured):
    """In NumPy, with the U-Net alone taken from the network."""
    y, operator = measured
    with torch.no_grad():
        network.trust.copy_(torch.tensor([0.7, 0.4], dtype=torch.float64))
    maps, mask, data = operator.sensitivities.numpy(), operator.mask.numpy(), y.numpy()

    def combined(k):
        return (maps.conj() * transform(k, inverse=True)).sum(1, keepdims=True) / (np.abs(maps) ** 2).sum(0)

    def projected(k):
        return transform(maps * combined(k))

    k = projected(data)
    for unet, trust in zip(network.refine, (0.7, 0.4), strict=True):
        channels = torch.from_numpy(np.concatenate([combined(k).real, combined(k).imag], axis=1))
        added = (unet(channels) - channels).detach().numpy()
        k = projected(k - trust * mask * (k - data)) + transform(maps * (added[:, :1] + 1j * added[:, 1:]))
    np.testing.assert_allclose(network(y, operator).detach().numpy(), combined(k), atol=1e-12)
    assert np.abs(k - data).max() > 1e-2


def test_without_refinement_it_is_gradient_descent_and_the_residual_falls(measured):
    y, operator = measured
    residuals = []
    for cascades in (1, 2, 8):
        network = VarNet(cascades=cascades, width=4, depth=1).double()
        with torch.no_grad():
            for unet in network.refine:
                unet.output.weight.zero_()
        x = network(y, operator)
        residuals.append(tensors.norm(operator(x) - y))
        if cascades == 1:
            start = operator.pseudo_inverse(y)
            torch.testing.assert_close(x, start - operator.adjoint(operator(start) - y), rtol=1e-6, atol=1e-7)
    assert (residuals[0] > residuals[1]).all()
    assert (residuals[1] > residuals[2]).all()


def test_residual_on_the_samples_falls_with_a_data_step_that_comes_after_the_refinement(generator):
    """Of three cascades only the first refines; what it put into measured samples the others take out by ``1 - n`` each.

    One coil, of whose image k-space can be had again.
    """
    operator = Fourier(scan(20, 17).mask)
    y = operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64))
    torch.manual_seed(0)
    network = VarNet(cascades=3, width=4, depth=1).double()
    residuals = {}
    for trust in (0.0, 0.5, 1.0):
        with torch.no_grad():
            network.trust.fill_(trust)
            for unet in network.refine[1:]:
                unet.output.weight.zero_()
            residuals[trust] = tensors.norm(operator(network(y, operator)) - y)
    torch.testing.assert_close(residuals[0.5], residuals[0.0] / 4, rtol=1e-6, atol=1e-9)
    assert (residuals[0.0] > 1e-2).all()
    assert (residuals[1.0] < 1e-6 * residuals[0.0]).all()


def test_maps_of_another_size_give_the_image_divided_by_it(network, generator):
    """The combination divides by the maps' power: ``y = A x`` is that of maps ``c s`` and the image ``x / c``."""
    operator = scan(16, 16)
    other = MultiCoilFourier(operator.mask, 4 * operator.sensitivities)
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64))
    torch.testing.assert_close(network(4 * y, other), network(y, operator), rtol=1e-6, atol=1e-7)


def test_gradient_with_respect_to_the_measurement(network):
    operator = scan(6, 7)
    y = operator(head(8, seed=0)[None, :, :6, :7].to(torch.complex128)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: torch.view_as_real(network(operator.restrict(v), operator)), (y,), atol=1e-5)


def test_every_parameter_has_a_gradient(measured):
    y, operator = measured
    torch.manual_seed(0)
    network = VarNet(cascades=2, width=4, depth=2).double()
    network(y, operator).abs().square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_scale_of_the_input_comes_back_when_wrapped(network, measured):
    y, operator = measured
    with torch.no_grad():  # without biases the network scales by itself
        network.refine[0].output.bias.fill_(0.3)
    assert not torch.allclose(network(1e4 * y, operator), 1e4 * network(y, operator))
    network = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(network(1e4 * y, operator), 1e4 * network(y, operator), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("operator", [Radon(16, 9), Identity((16, 16))])
def test_another_kind_of_scan_is_refused(network, operator):
    with pytest.raises(NetworkError, match=r"varnet.*Fourier or MultiCoilFourier.*(Radon|Identity)"):
        network(operator.range.zeros(), operator)
