"""What normalisation does to a Lipschitz constant: random networks and pairs never above; the control without the terms fails."""

import math

import pytest
import torch
from torch import nn

from stabtest.bounds.lipschitz import lipschitz
from stabtest.bounds.scaling import maximum_at, maximum_everywhere, standardised
from stabtest.errors import BoundsError
from stabtest.networks.scaling import Standardisation, max_modulus


def network(seed, channels=1):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, channels, 3, padding=1)).double()
    with torch.no_grad():
        model[0].bias.mul_(5)
        model[2].bias.mul_(5)
    return model.eval().requires_grad_(False)


def by_maximum(model, x):
    size = max_modulus(x)
    return size * model(x / size)


def by_statistics(model, x):
    statistics = Standardisation.of(x)
    return statistics.undo(model(statistics.apply(x)))


def pairs(seed, count=60):
    generator = torch.Generator().manual_seed(seed)
    for index in range(count):
        x = torch.randn(1, 1, 6, 6, generator=generator, dtype=torch.float64) + 2 * (index % 3)
        e = torch.randn(1, 1, 6, 6, generator=generator, dtype=torch.float64)
        if index % 2:
            e = torch.zeros_like(e)
            e.view(-1)[int(x.abs().argmax())] = 1.0  # moves the maximum itself
        yield x, x + 10.0 ** (index % 4 - 3) * e


def gain(function, model, x, other):
    return float((function(model, other) - function(model, x)).norm() / (other - x).norm())


@pytest.mark.parametrize("seed", range(6))
def test_maximum_from_one_measurement_to_any_other(seed):
    model = network(seed)
    upper = lipschitz(model, torch.zeros(1, 1, 6, 6, dtype=torch.float64), jacobian_steps=0).upper
    for x, other in pairs(seed):
        u = x / max_modulus(x)
        bound = maximum_at(
            upper, image_norm=1.0, scale_norm=1.0, scaled_input=float(u.norm()), scaled_output=float(model(u).norm())
        )
        assert gain(by_maximum, model, x, other) <= bound


@pytest.mark.parametrize("seed", range(6))
def test_maximum_everywhere_is_above_that_at_one_measurement(seed):
    model = network(seed)
    result = lipschitz(model, torch.zeros(1, 1, 6, 6, dtype=torch.float64), jacobian_steps=0)
    everywhere = maximum_everywhere(result.upper, image_norm=1.0, pixels=36, output_at_zero=result.output_at_zero)
    for x, other in pairs(seed):
        assert gain(by_maximum, model, x, other) <= everywhere


def test_the_constant_of_the_network_alone_is_not_enough():
    """Control: with a large bias the gain through the scale exceeds the network's own constant."""
    model = network(0)
    with torch.no_grad():
        model[2].bias.fill_(50.0)
    upper = lipschitz(model, torch.zeros(1, 1, 6, 6, dtype=torch.float64), jacobian_steps=0).upper
    assert max(gain(by_maximum, model, x, other) for x, other in pairs(0)) > upper
    assert max(gain(by_statistics, model, x, other) for x, other in pairs(0)) > upper


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bias", [0.0, 30.0])
def test_standardisation_for_all_pairs(seed, bias):
    model = network(seed)
    with torch.no_grad():
        model[2].bias.fill_(bias)
    result = lipschitz(model, torch.zeros(1, 1, 6, 6, dtype=torch.float64), jacobian_steps=0)
    bound = standardised(result.upper, image_norm=1.0, pixels=36, output_at_zero=result.output_at_zero)
    for x, other in pairs(seed):
        assert gain(by_statistics, model, x, other) <= bound


def test_standardisation_is_within_a_small_factor_for_a_large_offset():
    """With a large constant output the bound is about o / k, and a perturbation along the image reaches that."""
    model = network(1)
    with torch.no_grad():
        model[2].bias.fill_(1000.0)
    result = lipschitz(model, torch.zeros(1, 1, 6, 6, dtype=torch.float64), jacobian_steps=0)
    bound = standardised(result.upper, image_norm=1.0, pixels=36, output_at_zero=result.output_at_zero)
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    reached = gain(by_statistics, model, x, x + 1e-4 * (x - x.mean()))
    assert reached <= bound <= 1.1 * reached


def test_a_single_pixel_has_no_deviation():
    with pytest.raises(BoundsError, match="pixels"):
        standardised(1.0, image_norm=1.0, pixels=1, output_at_zero=0.0)


def test_formulas():
    assert standardised(0.0, image_norm=3.0, pixels=5, output_at_zero=0.0) == 3.0
    assert maximum_everywhere(2.0, image_norm=0.5, pixels=9, output_at_zero=1.0) == pytest.approx(0.5 * (2 * 7 + 1))
    assert math.isinf(maximum_at(math.inf, image_norm=1, scale_norm=1, scaled_input=1, scaled_output=1))
