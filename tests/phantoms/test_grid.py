"""The numerical tools of the phantoms against independent oracles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from stabtest.phantoms import grid, shapes


def test_spline_basis_against_scipy():
    knots, points = 5, np.linspace(-0.99, 0.99, 40)
    step = 2 / knots
    breaks = -1 + step * np.arange(-3, knots + 4)
    oracle = BSpline(breaks, np.eye(knots + 3), 3)(points)
    assert np.abs(grid.spline_basis(points, knots) - oracle).max() < 1e-6


def test_smooth_field_has_about_unit_variance():
    fields = np.stack([grid.smooth_field(grid.rng(seed), 32, 8) for seed in range(200)])
    assert fields.std() == pytest.approx(1.0, abs=0.05)


def test_smooth_field_does_not_know_its_grid():
    coarse, fine = grid.smooth_field(grid.rng(1), 32, 4), grid.smooth_field(grid.rng(1), 96, 4)
    assert np.abs(fine[1::3, 1::3] - coarse).max() < 1e-5


def test_coverage_is_exact_for_an_edge_along_an_axis():
    points, pixel = grid.axis(16), 2 / 16
    for edge in (-0.31, 0.0, 0.07):
        exact = np.clip((edge - (points - pixel / 2)) / pixel, 0, 1)
        assert np.abs(grid.coverage(points - edge, pixel) - exact).max() < 1e-6


@pytest.mark.parametrize("half_width", [0.004, 0.05, 0.2])
def test_a_line_covers_its_width_however_thin(half_width):
    points, pixel = grid.axis(32), 2 / 32
    covered = grid.line_coverage(points - 0.113, half_width, pixel).sum() * pixel
    assert covered == pytest.approx(2 * half_width, rel=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, np.pi / 4])
def test_coverage_of_a_tilted_edge_is_within_five_hundredths(angle):
    points = (np.arange(64) + 0.5) / 64 - 0.5
    for offset in np.linspace(-0.7, 0.7, 15):
        exact = (np.cos(angle) * points + np.sin(angle) * points[:, None] < offset).mean()
        assert abs(float(grid.coverage(np.array(-offset), 1.0)) - exact) < 0.05


def test_block_mean():
    image = np.arange(36.0).reshape(6, 6)
    assert np.allclose(grid.block_mean(image, 3), [[7, 10], [25, 28]])
    assert grid.block_mean(image, 1) is image


@pytest.mark.parametrize(("size", "least", "factor"), [(256, 256, 1), (255, 256, 2), (32, 256, 8), (300, 256, 1)])
def test_oversampling_is_a_power_of_two(size, least, factor):
    assert grid.oversampling(size, least) == factor


def test_distance_to_a_circle_is_exact():
    x, y = np.meshgrid(np.linspace(-2, 2, 21), np.linspace(-2, 2, 21))
    distance = shapes.ellipse(x, y, (0.3, -0.2), (0.7, 0.7), 0.5)
    exact = np.hypot(x - 0.3, y + 0.2) - 0.7
    assert np.abs(distance - exact).max() < 1e-9


def test_taper_is_the_distance_to_its_ends_beyond_them():
    x, y = np.array([-1.0, 2.0, 0.5]), np.array([0.0, 0.0, 1.0])
    assert shapes.taper(x, y, (0.0, 0.0, 0.1), (1.0, 0.0, 0.3)) == pytest.approx([0.9, 0.7, 0.8])


def test_streams_of_a_seed_differ():
    assert grid.rng(1).random() != grid.rng(1, 2).random()
