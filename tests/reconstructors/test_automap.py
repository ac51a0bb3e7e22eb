"""AUTOMAP: only the measured samples enter, one size and mask only, the scale of its input, gradients to the measurement."""

from __future__ import annotations

import pytest
import torch

from reconstructors.automap import Automap
from stabtest.errors import NetworkError
from stabtest.networks import wrap
from stabtest.operators import Fourier, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps

SIZE = 12


def build(**changes: float) -> Automap:
    torch.manual_seed(0)
    settings = {"size": SIZE, "acceleration": 3, "centre_fraction": 0.1, "seed": 0, "hidden": 30, "width": 4, **changes}
    return Automap(**settings).double().eval()


@pytest.fixture
def network() -> Automap:
    return build()


@pytest.fixture
def operator(network) -> Fourier:
    return Fourier(network.mask)


@pytest.fixture
def y(operator) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64))


def test_output_is_a_complex_image(network, operator, y):
    x = network(y, operator)
    assert x.shape == (2, 1, SIZE, SIZE)
    assert x.dtype == torch.complex128


def test_layers_have_the_stated_sizes(network, operator):
    samples = int(operator.mask.sum())
    assert samples == SIZE * SIZE / 3
    assert network.first.weight.shape == (30, 2 * samples)
    assert network.second.weight.shape == (2 * SIZE * SIZE, 30)


def test_samples_in_the_order_of_the_mask_through_the_dense_layers(network, operator, y):
    """The first two layers by matrix products on samples picked one by one."""
    places = [(i, j) for i in range(SIZE) for j in range(SIZE) if operator.mask[i, j]]
    picked = torch.stack([y[0, 0, i, j] for i, j in places])
    state = network.state_dict()
    hidden = torch.tanh(state["first.weight"] @ torch.cat([picked.real, picked.imag]) + state["first.bias"])
    maps = torch.tanh(state["second.weight"] @ hidden + state["second.bias"]).reshape(1, 2, SIZE, SIZE)
    expected = torch.complex(*network.convolutions(maps)[0])
    torch.testing.assert_close(network(y[:1], operator)[0, 0], expected)


def test_samples_beside_the_mask_are_not_looked_at(network, operator, y):
    beside = y + torch.where(operator.mask, 0.0, 7.0)
    torch.testing.assert_close(network(beside, operator), network(y, operator), rtol=0, atol=0)


def test_scale_of_the_input_comes_back_when_wrapped(network, operator, y):
    network = wrap(network, takes="measurements+operator", scale="max")
    torch.testing.assert_close(network(1e4 * y, operator), 1e4 * network(y, operator), rtol=1e-9, atol=1e-9)


def test_images_of_a_batch_are_independent(network, operator, y):
    torch.testing.assert_close(network(y, operator)[1:], network(y[1:], operator))


def test_gradient_with_respect_to_the_measurement(operator, y, network):
    v = y[:1].requires_grad_()
    assert torch.autograd.gradcheck(lambda v: torch.view_as_real(network(v, operator)), (v,), atol=1e-5)


def test_another_size_is_refused(network):
    other = Fourier(masks.cartesian_gaussian((16, 16), acceleration=3, centre_fraction=0.1, seed=0))
    with pytest.raises(NetworkError, match=r"another size.*12 x 12.*came 16 x 16.*Remedy"):
        network(other.range.zeros(dtype=torch.float64), other)


@pytest.mark.parametrize("change", [{"seed": 1}, {"acceleration": 2}])
def test_another_mask_is_refused(network, change):
    other = Fourier(build(**change).mask)
    with pytest.raises(NetworkError, match=r"another mask.*came other places.*Remedy"):
        network(other.range.zeros(dtype=torch.float64), other)


@pytest.mark.parametrize("kind", ["coils", "ct"])
def test_another_kind_of_scan_is_refused(network, kind):
    other = Radon(SIZE, 5) if kind == "ct" else MultiCoilFourier(network.mask, coil_maps(SIZE, 2, seed=0))
    with pytest.raises(NetworkError, match="another scan"):
        network(other.range.zeros(dtype=torch.float64), other)


def test_mask_is_kept_with_the_weights(network):
    other = build(seed=1)
    assert not torch.equal(other.mask, network.mask)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.mask, network.mask)
