"""The ball with a floor against exact answers: every set of held samples tried, and SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from stabtest.operators import Identity
from stabtest.search.constraints import MeasurementBall
from stabtest.search.floors import curve_point, floor_like

NUMBERS = st.sampled_from([-3.0, -1.0, -0.2, 0.0, 0.1, 1.0, 2.0]) | st.floats(-3, 3).map(lambda x: round(x, 3))


@st.composite
def small_problems(draw):
    """A direction or point, a floor and a radius, of at most five samples."""
    n = draw(st.integers(1, 5))
    v = np.array(draw(st.lists(NUMBERS, min_size=n, max_size=n)))
    floor = -np.abs(np.array(draw(st.lists(NUMBERS, min_size=n, max_size=n))))
    return v, floor, draw(st.sampled_from([0.1, 0.7, 1.0, 2.5, 20.0]))


def candidates(v, floor, radius, *, capped):
    """All feasible points with some samples on the floor and the others along ``v`` (as far as the norm allows, or to ``v``)."""
    for held in itertools.product([False, True], repeat=len(v)):
        held = np.array(held)
        e = np.where(held, floor, 0.0)
        room, free = radius**2 - (e**2).sum(), np.where(held, 0.0, v)
        if room < 0:
            continue
        longest = np.sqrt(room) / np.linalg.norm(free) if free.any() else 0.0
        e = e + free * (min(1.0, longest) if capped else longest)
        if (e >= floor - 1e-12).all() and np.linalg.norm(e) <= radius * (1 + 1e-12):
            yield e


def solve(v, floor, radius, longest=None, dtype=torch.float64):
    v, floor = (torch.tensor(x, dtype=dtype)[None] for x in (v, floor))
    return curve_point(v, torch.tensor([radius], dtype=dtype), floor, longest=longest)[0].numpy()


@settings(max_examples=80, deadline=None)
@given(small_problems())
def test_furthest_point_is_the_best_of_all_sets_of_held_samples(drawn):
    v, floor, radius = drawn
    best = max(v @ e for e in candidates(v, floor, radius, capped=False))
    assert v @ solve(v, floor, radius) == pytest.approx(best, rel=1e-10, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(small_problems())
def test_projection_is_the_nearest_of_all_sets_of_held_samples(drawn):
    v, floor, radius = drawn
    nearest = min(candidates(v, floor, radius, capped=True), key=lambda e: np.linalg.norm(v - e))
    np.testing.assert_allclose(solve(v, floor, radius, longest=1.0), nearest, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_both_agree_with_scipy(seed):
    """SLSQP knows nothing of the curve; one problem of each kind a seed, twelve samples."""
    random = np.random.default_rng(seed)
    v, floor, radius = random.normal(size=12), -random.uniform(0, 0.5, 12), random.uniform(0.3, 3)
    ball = {"type": "ineq", "fun": lambda e: radius**2 - e @ e, "jac": lambda e: -2 * e}
    options = {"bounds": [(low, None) for low in floor], "constraints": [ball], "options": {"ftol": 1e-14, "maxiter": 500}}
    furthest = minimize(lambda e: -v @ e, np.zeros(12), jac=lambda e: -v, method="SLSQP", **options)
    assert v @ solve(v, floor, radius) == pytest.approx(-furthest.fun, rel=1e-6)
    nearest = minimize(lambda e: (e - v) @ (e - v) / 2, np.zeros(12), jac=lambda e: e - v, method="SLSQP", **options)
    np.testing.assert_allclose(solve(v, floor, radius, longest=1.0), nearest.x, atol=1e-5)


def test_cutting_the_plain_answer_off_at_the_floor_is_not_enough():
    """Control: the norm that the floor takes from one sample goes to the others."""
    v, floor = np.array([-4.0, 3.0]), np.array([-0.1, -0.1])
    naive = np.maximum(floor, v / 5)
    assert v @ naive < 0.9 * (v @ solve(v, floor, 1.0))


def test_a_norm_that_cannot_be_spent_is_left():
    np.testing.assert_array_equal(solve([-1.0, 0.0, -2.0], [-0.5, -0.5, -0.25], 10.0), [-0.5, 0.0, -0.25])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("decades", [3, 30])
def test_floors_over_many_orders_of_magnitude(dtype, decades):
    """Each Newton step lets few samples reach their floor; the answer must spend the norm and keep to every floor."""
    n = 400
    v = -torch.logspace(0, -decades, n, dtype=dtype)[None]
    floor = v * torch.logspace(-2, decades + 2, n, dtype=dtype)
    radius = floor.double().norm(dim=1).to(dtype) * 0.9
    e = curve_point(v, radius, floor)
    assert (e >= floor).all()
    assert e.double().norm().item() == pytest.approx(radius.item(), rel=1e-6)
    held, ratio = e == floor, e.double() / v.double()
    assert held.any()
    assert not held.all()
    free = ratio[~held]  # one multiplier for all free samples, and none of the held ones would go less far
    torch.testing.assert_close(free, free[:1].expand_as(free), rtol=1e-5, atol=0)
    assert (ratio[held] <= free[0] * (1 + 1e-5)).all()


def test_without_a_floor_it_is_the_plain_ball():
    v = torch.randn(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    radius, floor = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64), torch.full((1, 20), -torch.inf, dtype=torch.float64)
    plain = MeasurementBall(Identity((1, 20)), radius)
    shaped = v[:, None, None]
    torch.testing.assert_close(curve_point(v, radius, floor), plain.maximise_linear(shaped)[:, 0, 0])
    torch.testing.assert_close(curve_point(v, radius, floor, longest=1.0), plain.project(shaped)[:, 0, 0])


def test_extreme_directions_neither_overflow_nor_lose_the_norm():
    floor = torch.full((1, 4), -0.1, dtype=torch.float64)
    for v in ([-1.0, 1e-300, 0.0, 0.0], [-1e300, 1e-5, 0.0, -1e-300], [0.0, 0.0, 0.0, 0.0], [-1e-310, 0.0, 0.0, 0.0]):
        e = curve_point(torch.tensor([v], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64), floor)
        assert torch.isfinite(e).all()
        assert e.norm().item() <= 2 * (1 + 1e-12)
        assert (e >= floor).all()


@given(st.floats(-1e6, 0.0))
@settings(deadline=None)
def test_floor_is_rounded_upwards(value):
    floor = torch.tensor([value], dtype=torch.float64)
    near = floor_like(floor, torch.zeros(1))
    assert near.dtype == torch.float32
    assert floor.item() <= near.item() <= 0
    assert abs(near.item() - value) <= 1.3e-7 * abs(value) + 1e-44


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_photon_counts_stay_non_negative(norm):
    """The use it is for: y + e >= 0 in single precision, to the bit, however large the radius."""
    counts = torch.poisson(torch.full((2, 1, 8, 8), 3.0), generator=torch.Generator().manual_seed(1))
    ball = MeasurementBall(Identity((8, 8)), torch.tensor([1.0, 30.0]), norm=norm, floor=-counts)
    for seed in range(20):
        g = torch.randn(counts.shape, generator=torch.Generator().manual_seed(seed))
        full, here = ball.maximise_linear(g), ball.maximise_linear(-g)
        way = ball.towards(here, full, torch.tensor([0.3, 0.7]), g)
        for e in (full, here, way, ball.project(100 * g)):
            assert (counts + e >= 0).all()
            assert (ball.violation(e) < 1e-6).all()
