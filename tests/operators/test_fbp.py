"""Filtered back-projection: scale, windows, uneven angles."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import Radon
from stabtest.operators.fbp import Window, angular_weights, ramp

WINDOWS = get_args(Window)


def disc(n, radius=0.7, oversampling=4):
    t = (torch.arange(n * oversampling, dtype=torch.float64) + 0.5) / (n * oversampling) * 2 - 1
    fine = (t[:, None] ** 2 + t[None] ** 2 < radius**2).double()[None, None]
    return torch.nn.functional.avg_pool2d(fine, oversampling)


def interior(n, radius=0.55):
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1
    return t[:, None] ** 2 + t[None] ** 2 < radius**2


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "options",
    [{}, {"pixel_size": 0.3}, {"detector_spacing": 0.5}, {"detector_spacing": 1.5}, {"centre_offset": 3.4}],
    ids=["plain", "pixels", "fine bins", "coarse bins", "offset"],
)
def test_disc_of_one_comes_back_as_one(window, options):
    A = Radon(48, 60, **options)
    x = disc(48)
    image = A.fbp(A(x), window=window)[0, 0]
    assert abs(float(image[interior(48)].mean()) - 1) < 0.02
    assert abs(float(image.mean() - x.mean())) < 0.02
    assert float((image - x[0, 0]).square().mean().sqrt()) < 0.2


@pytest.mark.parametrize("n", [47, 64])
def test_default_is_the_plain_ramp_and_the_most_accurate_on_clean_data(n):
    A, x = Radon(n, 90), disc(n)
    y = A(x)
    assert torch.equal(A.pseudo_inverse(y), A.fbp(y, window="ram-lak"))
    errors = [float((A.fbp(y, window=w) - x).square().mean()) for w in WINDOWS]
    assert errors == sorted(errors)


def test_windows_lower_noise_in_their_order(generator):
    A = Radon(32, 40)
    noise = A.range.randn(4, generator=generator)
    sizes = [float(A.fbp(noise, window=w).norm()) for w in WINDOWS]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("spacing", [1.0, 0.4])
def test_ramp_is_the_absolute_frequency_without_offset(spacing):
    response = ramp(256, spacing, "ram-lak")
    frequency = torch.arange(response.numel(), dtype=torch.float64) / (2 * (response.numel() - 1) * spacing)
    assert torch.allclose(response, frequency, atol=2e-3 / spacing)
    assert 0 < float(response[0]) < 1e-3 / spacing


def test_weights_are_the_gaps_between_views():
    weights = angular_weights([0.0, 10.0, 40.0, 90.0]) * 180 / math.pi
    torch.testing.assert_close(weights, torch.tensor([50.0, 20.0, 40.0, 70.0], dtype=torch.float64))


def test_weights_do_not_depend_on_order_turns_or_repeats():
    angles = [3.0, 50.0, 100.0, 140.0]
    order = [2, 0, 3, 1]
    torch.testing.assert_close(angular_weights(angles)[order], angular_weights([angles[i] + 180 * i for i in order]))
    assert math.isclose(float(angular_weights(angles + angles).sum()), math.pi)
    assert math.isclose(float(angular_weights([7.0]).sum()), math.pi)


def test_missing_wedge_is_not_attributed_to_its_borders():
    weights = angular_weights([float(a) for a in range(0, 120, 2)])
    assert math.isclose(float(weights.max()), math.radians(2))


@pytest.mark.parametrize("angles", ["golden", "random", "full turn"])
def test_uneven_views_keep_the_scale(angles, generator):
    degrees = {
        "golden": [i * 111.246118 for i in range(60)],
        "random": (torch.rand(120, generator=generator) * 180).tolist(),
        "full turn": [i * 3.0 for i in range(120)],
    }[angles]
    A, x = Radon(48, degrees), disc(48)
    assert abs(float(A.fbp(A(x))[0, 0][interior(48)].mean()) - 1) < 0.02


def test_unknown_window_is_named():
    A = Radon(8, 4)
    with pytest.raises(OperatorError, match="blackman"):
        A.fbp(A.range.zeros(1), window="blackman")
