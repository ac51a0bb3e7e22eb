"""ItNet: its data step by independent formulae in MRI and CT, any size, gradients to the measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reconstructors.itnet import ItNet
from stabtest.errors import NetworkError, OperatorError
from stabtest.networks import wrap
from stabtest.operators import Fourier, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, ellipses


def scan(height: int, width: int) -> Fourier:
    return Fourier(masks.cartesian_gaussian((height, width), acceleration=3, centre_fraction=0.15, seed=1))


def network_for(operator, *, iterations: int = 2, **settings) -> ItNet:
    torch.manual_seed(0)
    channels = 2 if operator.domain.is_complex else 1
    return ItNet(channels=channels, iterations=iterations, width=4, depth=2, **settings).double().eval()


def measured(operator, batch: int = 2):
    generator = torch.Generator().manual_seed(5)
    return operator.restrict(operator.range.randn(batch, generator=generator, dtype=torch.float64))


@torch.no_grad()
def without_correction(network: ItNet) -> ItNet:
    network.unet.output.weight.zero_()
    return network


def numpy_fourier(x: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(x, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))


@pytest.mark.parametrize("size", [(16, 16), (17, 20), (9, 31)])
@pytest.mark.parametrize("kind", [scan, lambda *size: Radon(size, 9)], ids=["mri", "ct"])
def test_any_size_gives_images_of_the_kind_of_the_operator(size, kind):
    operator = kind(*size)
    image = network_for(operator)(measured(operator, 3), operator)
    assert image.shape == (3, 1, *size)
    assert image.dtype == (torch.complex128 if operator.domain.is_complex else torch.float64)


@pytest.mark.parametrize("step", [0.1, 0.7])
def test_mri_data_step_moves_the_measured_samples_towards_the_data(step):
    """Sample by sample in NumPy: ``(1 - l) F z + l y`` where measured, ``F z`` elsewhere."""
    operator = scan(20, 17)
    y, network = measured(operator), network_for(operator, iterations=1, step=step)
    start = operator.pseudo_inverse(y)
    z = network.unet(torch.cat([start.real, start.imag], dim=1)).detach()
    kspace = numpy_fourier(torch.complex(*z.split(1, dim=1)).numpy())
    step = network.steps.item()
    expected = np.where(operator.mask.numpy(), (1 - step) * kspace + step * y.numpy(), kspace)
    np.testing.assert_allclose(numpy_fourier(network(y, operator).detach().numpy()), expected, atol=1e-12)
    assert np.abs(expected - kspace).max() > 1e-3


@pytest.mark.parametrize("iterations", [1, 3])
def test_ct_data_steps_are_a_neumann_series_of_filtered_back_projection(iterations):
    """Without the U-Net ``x_K = sum_k (I - l B A)^k l B y + (I - l B A)^K B y`` with dense matrices; the residual falls."""
    operator, step = Radon((10, 10), 20), 0.4
    network = without_correction(network_for(operator, iterations=iterations, step=step))
    step = network.steps[0].item()
    y = operator(ellipses(10, seed=2)[None].double())
    matrix = operator.matrix.scipy_matrix().toarray()
    rows = torch.eye(matrix.shape[0], dtype=torch.float64).reshape(-1, *operator.range.shape)
    inverse = operator.pseudo_inverse(rows).flatten(1).numpy().T
    contraction = np.eye(100) - step * inverse @ matrix
    start = inverse @ y.flatten().numpy()
    expected = np.linalg.matrix_power(contraction, iterations) @ start
    for k in range(iterations):
        expected = expected + step * np.linalg.matrix_power(contraction, k) @ start
    found = network(y, operator).detach().flatten().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    data = y.flatten().numpy()
    assert np.linalg.norm(matrix @ found - data) < np.linalg.norm(matrix @ start - data)


def test_iterations_share_one_unet():
    few, many = (ItNet(channels=2, iterations=count, width=4, depth=2) for count in (1, 5))
    assert sum(p.numel() for p in many.parameters()) == sum(p.numel() for p in few.parameters()) + 4


@pytest.mark.parametrize("width", [16, 32])
def test_first_correction_of_random_weights_is_neither_nothing_nor_everything(width):
    """Features keep their size through the U-Net without normalisation: training starts from a correction of a few percent to its all."""
    torch.manual_seed(0)
    unet = ItNet(channels=1, width=width).unet
    x = ellipses(64, seed=0)[None]
    assert 0.01 < ((unet(x) - x).norm() / x.norm()).item() < 1


@pytest.mark.parametrize("operator", [scan(6, 7), Radon((6, 5), 4)], ids=["mri", "ct"])
def test_gradient_with_respect_to_the_measurement(operator):
    network, y = network_for(operator), measured(operator, 1).requires_grad_()

    def image(v):
        x = network(operator.restrict(v), operator)
        return torch.view_as_real(x) if x.is_complex() else x

    assert torch.autograd.gradcheck(image, (y,), atol=1e-5)


def test_images_of_a_batch_are_independent():
    operator = scan(12, 12)
    network, y = network_for(operator), measured(operator)
    torch.testing.assert_close(network(y, operator)[1:], network(y[1:], operator))


def test_measurement_of_zeros_stays_finite_with_its_gradient():
    operator = scan(12, 12)
    y = operator.range.zeros(dtype=torch.float64).requires_grad_()
    x = network_for(operator)(y, operator)
    assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()
    assert x.isfinite().all()


def test_scale_of_the_input_comes_back_when_wrapped():
    operator = scan(16, 16)
    network, y = network_for(operator), measured(operator)
    with torch.no_grad():  # without biases the network scales by itself
        network.unet.encoder[0][0].bias.fill_(0.3)
    assert not torch.allclose(network(1e4 * y, operator), 1e4 * network(y, operator))
    wrapped = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(wrapped(1e4 * y, operator), 1e4 * wrapped(y, operator), rtol=1e-9, atol=1e-9)


def test_several_coils_run():
    operator = MultiCoilFourier(scan(16, 16).mask, coil_maps(16, 3, seed=0))
    assert network_for(operator)(measured(operator, 1), operator).shape == (1, 1, 16, 16)


def test_other_kind_of_scan_is_refused():
    mri, ct = scan(16, 16), Radon(16, 9)
    with pytest.raises(NetworkError, match=r"ItNet with two channels.*complex images.*Radon"):
        network_for(mri)(measured(ct), ct)
    with pytest.raises(NetworkError, match=r"ItNet with one channel.*real images.*Fourier"):
        network_for(ct)(measured(mri), mri)


def test_measurement_of_another_size_is_refused():
    with pytest.raises(OperatorError):
        network_for(scan(12, 16))(measured(scan(16, 16)), scan(12, 16))


@pytest.mark.parametrize("setting", [{"channels": 3}, {"channels": 0}, {"iterations": 0}])
def test_wrong_settings_are_named(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        ItNet(**{"channels": 1, **setting})
