"""Measurement to image: brackets hold against gains that are reached, and say what they rest on."""

import math

import pytest
import torch
from torch import nn

from stabtest import networks
from stabtest.bounds.end_to_end import Factor, end_to_end, pseudo_inverse_norm
from stabtest.bounds.lipschitz import lipschitz
from stabtest.errors import BoundsError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon


def seed(number=0):
    return torch.Generator().manual_seed(number)


@pytest.fixture(scope="module")
def fourier():
    return Fourier(torch.rand(10, 10, generator=seed()) < 0.5)


@pytest.fixture(scope="module")
def radon():
    return Radon(12, 9)


def model(channels):
    torch.manual_seed(channels)
    layers = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, channels, 3, padding=1))
    return layers.double().eval().requires_grad_(False)


def largest_gain(f, operator, y, count=60):
    best = 0.0
    generator = seed(5)
    with torch.no_grad():
        clean = f(y, operator)
        for index in range(count):
            e = operator.range.randn(generator=generator, dtype=torch.float64) * 10.0 ** (index % 4 - 2)
            if index % 2:
                e = operator(operator.domain.randn(generator=generator, dtype=torch.float64)) * 10.0 ** (index % 4 - 2)
            best = max(best, float((f(y + e, operator) - clean).norm() / e.norm()))
    return best


def bracket_of(f, operator, y, channels, **options):
    height, width = operator.domain.shape[-2:]
    bound = lipschitz(f.module, torch.zeros(1, channels, height, width, dtype=torch.float64), jacobian_steps=0)
    return end_to_end(f, operator, y, bound, **options), bound


@pytest.mark.parametrize("scale", ["none", "max"])
def test_mri_gains_are_within(fourier, scale):
    f = networks.wrap(model(2), channels="real-imag", scale=scale)
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    bracket, bound = bracket_of(f, fourier, y, 2, case="a")
    assert largest_gain(f, fourier, y) <= bracket.upper
    assert bracket.name == "measurement to image"
    if scale == "none":
        assert bracket.upper == pytest.approx(bound.upper)
        assert bracket.upper_status == "certified"
    else:
        assert bracket.upper > bound.upper
        assert bracket.upper_status == "on a ball"
        assert any("any other" in words for words in bracket.assumptions)


@pytest.mark.parametrize("scale", ["none", "max", "standardise"])
def test_ct_gains_are_within(radon, scale):
    f = networks.wrap(model(1), scale=scale)
    y = radon(radon.domain.randn(generator=seed(1), dtype=torch.float64).abs())
    bracket, _ = bracket_of(f, radon, y, 1)
    assert largest_gain(f, radon, y) <= bracket.upper
    assert any("probability" in words for words in bracket.assumptions)


def test_magnitude_networks(fourier):
    f = networks.wrap(model(1), channels="magnitude", scale="max")
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    bracket, _ = bracket_of(f, fourier, y, 1)
    assert largest_gain(f, fourier, y) <= bracket.upper


def test_networks_that_take_measurements():
    operator = Identity((10, 10))
    f = networks.wrap(model(1), takes="measurements", scale="max")
    y = operator.range.randn(generator=seed(2), dtype=torch.float64)
    bracket, _ = bracket_of(f, operator, y, 1)
    assert largest_gain(f, operator, y) <= bracket.upper


def test_standardisation_of_two_channels_is_unknown(fourier):
    f = networks.wrap(model(2), channels="real-imag", scale="standardise")
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    bracket, _ = bracket_of(f, fourier, y, 2)
    assert (bracket.upper, bracket.upper_status) == (None, "unknown")


def test_other_reconstructors_are_unknown_and_keep_their_lower_bound(fourier):
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    bound = lipschitz(nn.ReLU(), torch.zeros(1, 1, 10, 10), jacobian_steps=0)
    bracket = end_to_end(lambda y, A: A.pseudo_inverse(y), fourier, y, bound, lower=1.0, lower_source="Jacobian")
    assert (bracket.upper, bracket.upper_status, bracket.lower, bracket.lower_source) == (None, "unknown", 1.0, "Jacobian")


def test_an_unknown_network_is_unknown_end_to_end(fourier):
    class Square(nn.Module):
        def forward(self, x):
            return x * x

    f = networks.wrap(Square(), channels="real-imag")
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    bracket, _ = bracket_of(f, fourier, y, 2)
    assert bracket.upper is None


def test_a_zero_image_is_unknown_under_the_maximum(fourier):
    f = networks.wrap(model(2), channels="real-imag", scale="max")
    bracket, _ = bracket_of(f, fourier, fourier.range.zeros(dtype=torch.float64), 2)
    assert bracket.upper is None
    assert "jumps" in bracket.upper_source


def test_condition_number_is_stated(fourier):
    f = networks.wrap(model(2), channels="real-imag")
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    bracket, bound = bracket_of(f, fourier, y, 2)
    expected = bound.upper * float(y.norm()) / float(f(y, fourier).norm())
    assert f"{expected:.4g}" in bracket.assumptions[-1]


def test_a_lower_bound_above_stops(fourier):
    f = networks.wrap(model(2), channels="real-imag")
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    with pytest.raises(BoundsError, match="above the upper"):
        bracket_of(f, fourier, y, 2, lower=1e9, lower_source="a mistake")


def test_a_bound_for_another_input_is_refused(fourier):
    f = networks.wrap(model(2), channels="real-imag")
    y = fourier(fourier.domain.randn(generator=seed(1), dtype=torch.float64))
    with pytest.raises(BoundsError, match="inputs of shape"):
        end_to_end(f, fourier, y, lipschitz(f.module, torch.zeros(1, 2, 8, 8, dtype=torch.float64), jacobian_steps=0))


def dense_norm(operator):
    size = math.prod(operator.range.shape)
    shape = (size, *operator.range.shape)
    dtype = torch.complex128 if operator.range.is_complex else torch.float64
    out = operator.pseudo_inverse(torch.eye(size, dtype=dtype).reshape(shape))
    return float(torch.linalg.matrix_norm(out.reshape(size, -1), 2))


def test_norm_of_filtered_back_projection(radon):
    exact = dense_norm(radon)
    factor = pseudo_inverse_norm(radon, generator=seed())
    assert exact * (1 - 1e-9) <= factor.value <= exact * 1.03


def test_norm_of_the_coil_combined_image():
    maps = torch.randn(3, 6, 5, generator=seed(), dtype=torch.complex128)
    operator = MultiCoilFourier(torch.rand(6, 5, generator=seed(1)) < 0.6, maps)
    exact = dense_norm(operator)
    factor = pseudo_inverse_norm(operator, generator=seed())
    assert exact * (1 - 1e-9) <= factor.value <= exact * 1.03


def test_norm_of_zero_filling_is_one(fourier):
    assert pseudo_inverse_norm(fourier, generator=seed()).value == 1.0 == pytest.approx(dense_norm(fourier))


def test_a_known_norm_is_used_again(radon):
    f = networks.wrap(model(1))
    y = radon(radon.domain.randn(generator=seed(1), dtype=torch.float64))
    bracket, bound = bracket_of(f, radon, y, 1, direct=Factor(2.0, "known"))
    assert bracket.upper == pytest.approx(2 * bound.upper)


def test_a_measurement_without_batch_axis_is_refused(fourier):
    f = networks.wrap(model(2), channels="real-imag")
    bound = lipschitz(f.module, torch.zeros(1, 2, 10, 10, dtype=torch.float64), jacobian_steps=0)
    with pytest.raises(BoundsError, match="measurement"):
        end_to_end(f, fourier, torch.zeros(10, 10, dtype=torch.complex128), bound)
