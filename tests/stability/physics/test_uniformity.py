import math

import numpy as np
import pytest
import torch

from stabtest.errors import DataError
from stabtest.stability.physics.uniformity import bias, hounsfield, round_region, uniformity

CENTRE, RADIUS, SIZE = (47.5, 47.5), 40.0, 96


def grid():
    y, x = np.mgrid[:SIZE, :SIZE] - 47.5
    return y, x


def measured(values):
    return uniformity(torch.from_numpy(np.asarray(values, dtype=np.float64))[None, None], centre=CENTRE, radius=RADIUS)


def test_a_flat_image_is_uniform():
    found = measured(np.full((SIZE, SIZE), 3.0))
    assert found.means == pytest.approx((3,) * 5)
    assert (found.centre_difference, found.uniformity_index, found.integral_uniformity) == pytest.approx((0, 0, 1))


def test_cupping_is_measured():
    """``1 + a r^2``: the mean over a disc of radius q at distance p is ``1 + a (p^2 + q^2 / 2)``."""
    y, x = grid()
    a = 1e-4
    found = measured(1 + a * (x**2 + y**2))
    q = RADIUS * 0.113
    p = RADIUS - 3 * q
    assert found.centre_difference == pytest.approx(a * p**2, rel=0.03)
    assert found.uniformity_index == pytest.approx(a * p**2 / (1 + a * q**2 / 2), rel=0.03)


def test_the_integral_uniformity_of_a_slope():
    """The small region reaches ``+/- inner``: ``(high - low) / (high + low)`` is the slope times that, over the middle."""
    _, x = grid()
    found = measured(10 + 0.05 * x)
    inner = RADIUS * math.sqrt(0.7) - RADIUS * 0.0595
    assert found.integral_uniformity == pytest.approx(1 - 0.05 * inner / 10, abs=0.003)


def test_the_sign_of_the_index_is_kept():
    _, x = grid()
    darker = 5 - 1.0 * (x > 15)
    found = measured(darker)
    assert found.uniformity_index == pytest.approx(-0.2)
    assert found.centre_difference == pytest.approx(1)
    assert found.means == pytest.approx((5, 5, 4, 5, 5))  # centre, top, right, bottom, left


def test_a_dark_spot_between_the_regions_is_seen_by_the_integral_uniformity_alone():
    """Control: the five regions alone would pass it."""
    y, x = grid()
    spot = np.hypot(y - 13, x - 13) < 4
    found = measured(1 - 0.5 * spot)
    assert found.centre_difference == 0
    assert found.integral_uniformity < 0.7


def test_values_that_are_not_positive_have_no_integral_uniformity():
    assert math.isnan(measured(np.full((SIZE, SIZE), -1.0)).integral_uniformity)
    assert math.isnan(measured(np.zeros((SIZE, SIZE))).uniformity_index)


def test_bias_is_the_mean_error_of_each_region():
    generator = torch.Generator().manual_seed(0)
    images, truth = (torch.rand(n, 1, 20, 20, generator=generator) for n in (3, 1))
    regions = [round_region((20, 20), (6, 7), 3), round_region((20, 20), (13, 12), 4)]
    found = bias(images, truth, regions)
    for i in range(3):
        for k, region in enumerate(regions):
            error = (images[i, 0] - truth[0, 0]).numpy()[region.numpy()]
            assert found[i, k].item() == pytest.approx(error.astype(np.float64).mean(), abs=1e-6)


def test_a_round_region_has_the_area_of_a_disc():
    assert int(round_region((64, 64), (31.5, 31.5), 20).sum()) == pytest.approx(math.pi * 400, rel=0.01)


def test_hounsfield_units():
    water, tissue, other = 0.0195, 0.0205, 0.0200
    difference = 1000 * (tissue / water - 1) - 1000 * (other / water - 1)
    assert hounsfield(tissue - other, water=water) == pytest.approx(difference)
    with pytest.raises(DataError, match="water"):
        hounsfield(1.0, water=0)


@pytest.mark.parametrize(
    ("image", "centre", "radius"),
    [
        (torch.ones(1, 1, 64, 64), (31.5, 31.5), 40),
        (torch.ones(1, 1, 64, 64), (31.5, 31.5), 6),
        (torch.ones(1, 1, 64, 64), (20, 31.5), 25),
        (torch.ones(1, 1, 64, 64) + 0j, (31.5, 31.5), 20),
        (torch.ones(2, 1, 64, 64), (31.5, 31.5), 20),
    ],
)
def test_what_cannot_be_measured_is_refused(image, centre, radius):
    with pytest.raises(DataError, match="uniformity"):
        uniformity(image, centre=centre, radius=radius)


def test_bias_needs_regions_and_real_images():
    image = torch.ones(1, 1, 8, 8)
    inside = torch.ones(8, 8, dtype=torch.bool)
    for images, regions in ((image + 0j, [inside]), (image, []), (image, [~inside])):
        with pytest.raises(DataError, match="bias"):
            bias(images, image, regions)
