"""The enumeration against closed forms, dense sampling and many ascents, none of which shares code with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.known.relu_regions import Relu, exact_worst_case, random_relu, regions, stationary

Y = np.full(3, 0.2)
NETWORKS = [(0, (3, 8, 3), 1.0), (1, (3, 5, 5, 3), 3.0), (2, (3, 4, 2), 0.3)]


def ball_points(n, count, radius):
    """Half of them on the sphere, half inside."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(count, n))
    u *= radius / np.linalg.norm(u, axis=1, keepdims=True)
    u[::2] *= rng.random((len(u[::2]), 1)) ** (1 / n)
    return u


def shifted_relu(n):
    """``relu(y)`` at ``y = -1/2``: only what moves a sample by more than a half is seen."""
    return Relu((np.eye(n), np.eye(n)), (np.zeros(n), np.zeros(n))), np.full(n, -0.5)


@pytest.mark.parametrize(("radius", "count"), [(1.0, 8), (0.8, 7), (0.6, 4), (0.4, 1)])
def test_number_of_regions_of_shifted_units(radius, count):
    """``k`` units can be on together where ``k`` halves fit into the radius: ``sqrt(k) / 2``."""
    network, y = shifted_relu(3)
    assert exact_worst_case(network, y, radius) == (pytest.approx(max(0.0, radius - 0.5), abs=1e-12), count)


def test_without_kinks_it_is_the_singular_value():
    """A large bias keeps every unit on."""
    rng = np.random.default_rng(3)
    inner, outer = rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
    network = Relu((inner, outer), (np.full(5, 100.0), np.zeros(3)))
    damage, count = exact_worst_case(network, np.zeros(4), 0.7)
    assert count == 1
    assert damage == pytest.approx(0.7 * np.linalg.svd(outer @ inner, compute_uv=False)[0], rel=1e-12)


def test_a_ridge_inside_of_the_ball_is_found():
    """``max(0, 1 - |y_1|)`` seen from ``(-3, 0)``: nothing on the sphere of radius 4.5 but where the line ``y_1 = 0`` meets it."""
    hat = Relu((np.array([[1.0, 0.0]] * 3), np.array([[1.0, -2.0, 1.0]])), (np.array([1.0, 0.0, -1.0]), np.zeros(1)))
    for radius, damage in ((4.5, 1.0), (3.0, 1.0), (2.5, 0.5), (1.5, 0.0)):
        assert exact_worst_case(hat, np.array([-3.0, 0.0]), radius) == (pytest.approx(damage, abs=1e-12), min(4, int(radius)))


@pytest.mark.parametrize(("seed", "widths", "radius"), NETWORKS)
def test_no_sample_of_the_ball_is_above_it_and_the_best_is_near(seed, widths, radius):
    network, e = random_relu(seed, widths), ball_points(3, 200_000, radius)
    sampled = np.linalg.norm(network(Y + e) - network(Y), axis=1).max()
    exact, _ = exact_worst_case(network, Y, radius)
    assert sampled <= exact * (1 + 1e-12)
    assert sampled >= 0.995 * exact


@pytest.mark.parametrize(("seed", "widths", "radius"), NETWORKS)
def test_every_region_that_a_sample_falls_into_is_listed(seed, widths, radius):
    network = random_relu(seed, widths)
    listed = {region.signs for region in regions(network, Y, radius)}
    seen = set(map(tuple, network.signs(Y + ball_points(3, 100_000, radius)).tolist()))
    assert seen <= listed
    assert len(listed) <= 1.25 * len(seen)  # some are too small to be hit


@pytest.mark.parametrize(("seed", "widths", "radius"), NETWORKS)
def test_the_affine_map_of_a_region_is_the_network_on_it(seed, widths, radius):
    network = random_relu(seed, widths)
    by_signs = {region.signs: region for region in regions(network, Y, radius)}
    for e in ball_points(3, 200, radius):
        region, u = by_signs[tuple(network.signs(Y + e).tolist())], e / radius
        assert (region.G @ u >= region.h - 1e-12).all()
        np.testing.assert_allclose(region.M @ u + region.d, network(Y + e) - network(Y), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_many_small_steps_from_everywhere_arrive_at_it(seed):
    """Projected gradient steps of falling length from 400 points in four dimensions: none above it, the best there."""
    widths, radius, y = (4, 6, 3), 1.0, np.full(4, 0.2)
    network = random_relu(seed, widths)
    exact, _ = exact_worst_case(network, y, radius)
    e, best = ball_points(4, 400, radius), 0.0
    for k in range(600):
        on = (y + e) @ network.weights[0].T + network.biases[0] > 0
        change = network(y + e) - network(y)
        best = max(best, np.linalg.norm(change, axis=1).max())
        slope = ((change @ network.weights[1]) * on) @ network.weights[0]
        e = e + 0.2 * 0.98**k * slope / np.linalg.norm(slope, axis=1, keepdims=True).clip(1e-12)
        e /= np.linalg.norm(e, axis=1, keepdims=True).clip(radius) / radius
    assert exact * (1 - 1e-4) <= best <= exact * (1 + 1e-12)


def test_control_home_region_alone_is_less():
    """An enumeration that stops at the region of the clean measurement falls short: the kinks matter."""
    network = random_relu(0, (3, 8, 3))
    home = next(region for region in regions(network, Y, 1.0) if region.signs == tuple(network.signs(Y).tolist()))
    alone = Relu((network.weights[1] * np.array(home.signs[:8]) @ network.weights[0],), (np.zeros(3),))
    assert np.linalg.svd(alone.weights[0], compute_uv=False)[0] < 0.95 * exact_worst_case(network, Y, 1.0)[0]


def test_stationary_points_of_a_circle_are_those_of_a_fine_grid():
    rng = np.random.default_rng(4)
    for shift in (1.0, 0.1, 0.0):
        Q, q, r = rng.normal(size=(2, 2)), shift * rng.normal(size=2), 0.7
        Q = Q @ Q.T
        angle = np.linspace(0, 2 * math.pi, 100_001)
        t = r * np.stack([np.cos(angle), np.sin(angle)], 1)
        value = np.einsum("ki,ij,kj->k", t, Q, t) + 2 * t @ q
        found = stationary(Q, q, r)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), r)
        ours = np.einsum("ki,ij,kj->k", found, Q, found) + 2 * found @ q
        peaks = value[1:-1][(value[1:-1] > value[:-2]) & (value[1:-1] > value[2:])]
        for peak in peaks:
            assert np.abs(ours - peak).min() < 1e-7
