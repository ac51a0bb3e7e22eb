import numpy as np
import pytest
import torch

from stabtest.operators import Fourier, Identity, ifft2c
from stabtest.stability.cases import Case
from stabtest.stability.physics.flatness import bias_rows, flat_disc, uniformity_row
from stabtest.stability.physics.realisations import realisations


def case(size=48, *, kind=torch.float32, noise_std=None):
    image = torch.ones(1, 1, size, size, dtype=kind)
    operator = Fourier(torch.ones(size, size, dtype=torch.bool)) if kind.is_complex else Identity((size, size))
    y = operator.forward(image)
    return Case("a", "a", "other", operator, y, truth=image, truth_source="phantom", noise_std=noise_std)


def test_the_bias_covers_zero_for_a_perfect_method_as_often_as_stated():
    of = case(24, kind=torch.complex64, noise_std=0.1)
    covered = []
    for seed in range(2500):
        images = ifft2c(torch.cat(realisations(of, count=3, seed=seed).measurements))
        (row,) = bias_rows(images, of, of.truth, name="direct", sites=[(12, 11)], diameter=6, water=None)
        covered.append((row.interval.lower <= 0, row.interval.upper >= 0))
    assert np.mean(covered, 0) == pytest.approx(0.95, abs=0.02)


def test_a_bias_in_one_region_stays_there():
    of = case()
    image = of.truth.clone()
    image[..., :24, :] += 0.1
    rows = bias_rows(image, of, of.truth, name="a", sites=[(10, 20), (36, 20)], diameter=8, water=None)
    assert [row.bias for row in rows] == pytest.approx([0.1, 0], abs=1e-6)
    assert [row.truth for row in rows] == pytest.approx([1, 1])
    assert [row.site for row in rows] == ["(10, 20)", "(36, 20)"]


def test_the_disc_is_flat_round_and_in_the_middle():
    of = case()
    data, centre, diameter, level = flat_disc(of, of.operator.refine(2))
    y, x = np.mgrid[:48, :48]
    r = np.hypot(y - centre[0], x - centre[1])
    values = data[0, 0].numpy()
    assert values[r < diameter / 2 - 1] == pytest.approx(level)
    assert values[r > diameter / 2 + 1] == pytest.approx(0)
    assert values.sum() == pytest.approx(level * np.pi * diameter**2 / 4, rel=0.01)


def test_images_need_not_be_square():
    image = torch.ones(1, 1, 40, 56)
    of = Case("a", "a", "other", Identity((40, 56)), image, truth=image, truth_source="phantom", noise_std=0.01)
    row = uniformity_row(
        lambda y: y, of, of.operator.refine(2), realisations(of, count=4, seed=0), name="a", count=4, water=None
    )
    assert row.diameter_px == 30
    assert row.means == pytest.approx([0.5] * 5, abs=0.02)


def test_the_noise_is_averaged_over_realisations():
    of = case(noise_std=0.2)
    scans = realisations(of, count=64, seed=0)
    few, many = (
        uniformity_row(lambda y: y, of, of.operator.refine(2), scans, name="a", count=n, water=1.0).integral_uniformity
        for n in (1, 64)
    )
    assert few < many
    assert many > 0.85


def test_hounsfield_units_follow_the_value_of_water():
    of = case()
    shade = torch.linspace(1, 1.1, 48)
    row = uniformity_row(
        lambda y: y * shade, of, of.operator.refine(2), realisations(of, count=1, seed=0), name="a", count=1, water=0.5
    )
    assert row.centre_difference_hu == pytest.approx(1000 * row.centre_difference / 0.5)
    assert row.centre_difference > 0.01
