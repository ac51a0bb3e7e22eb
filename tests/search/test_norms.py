"""What a norm decides: corners of a box, moduli of complex samples, arcs and flips."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest import tensors
from stabtest.operators import Identity
from stabtest.search.constraints import MeasurementBall


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def box(n: int, *, is_complex: bool = False, radius: float = 1.0, floor=None) -> MeasurementBall:
    radii = torch.tensor([radius], dtype=torch.float64)
    return MeasurementBall(Identity((1, n), is_complex=is_complex), radii, norm="linf", floor=floor)


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=25, deadline=None)
def test_furthest_point_of_a_box_is_its_best_corner(seed, floored):
    g = torch.randn(1, 1, 1, 5, generator=seeded(seed), dtype=torch.float64)
    floor = -2 * torch.rand(1, 1, 5, generator=seeded(seed + 1), dtype=torch.float64) if floored else None
    low = np.full(5, -1.5) if floor is None else np.maximum(floor[0, 0].numpy(), -1.5)
    corners = itertools.product(*zip(low, np.full(5, 1.5), strict=True))
    best = max(float(np.dot(g[0, 0, 0].numpy(), corner)) for corner in corners)
    found = box(5, radius=1.5, floor=floor).maximise_linear(g)
    assert tensors.inner(g, found).item() == pytest.approx(best, rel=1e-12)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_projection_onto_a_box_is_numpys_clip(seed):
    v = 2 * torch.randn(1, 1, 1, 9, generator=seeded(seed), dtype=torch.float64)
    floor = -torch.rand(1, 1, 9, generator=seeded(seed + 1), dtype=torch.float64)
    found = box(9, floor=floor).project(v)
    np.testing.assert_array_equal(found.numpy(), np.clip(v.numpy(), np.maximum(floor.numpy(), -1), 1))


def test_projection_of_complex_samples_keeps_their_phase():
    v = torch.tensor([[[[3 + 4j, 0.3 - 0.4j, -2j]]]], dtype=torch.complex128)
    expected = torch.tensor([[[[0.6 + 0.8j, 0.3 - 0.4j, -1j]]]], dtype=torch.complex128)
    torch.testing.assert_close(box(3, is_complex=True).project(v), expected)


def test_modulus_and_not_the_parts_of_a_complex_sample_is_bounded():
    """Control: (0.9, 0.9) is in the square of both parts and outside of the disc."""
    v = torch.tensor([[[[0.9 + 0.9j]]]], dtype=torch.complex128)
    assert box(1, is_complex=True).violation(v).item() == pytest.approx(0.9 * math.sqrt(2) - 1)


@pytest.mark.parametrize("is_complex", [False, True])
def test_size_is_the_norm_of_the_radius(is_complex):
    for norm, order in (("l2", 2), ("linf", math.inf)):
        ball = MeasurementBall(Identity((3, 4), is_complex=is_complex), torch.ones(2), norm=norm)
        v = ball.space.randn(2, generator=seeded(0))
        expected = np.linalg.norm(np.abs(v.numpy()).reshape(2, -1), ord=order, axis=1)
        np.testing.assert_allclose(ball.size(v).numpy(), expected, rtol=1e-6)


@given(st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_euclidean_way_is_the_projected_gradient_step_onto_the_sphere(t, seed):
    ball = MeasurementBall(Identity((3, 4)), torch.tensor([2.0], dtype=torch.float64))
    g, b = (ball.space.randn(1, generator=seeded(seed + k), dtype=torch.float64) for k in (0, 1))
    here = ball.maximise_linear(b)
    way = ball.towards(here, ball.maximise_linear(g), torch.tensor([t], dtype=torch.float64), g)
    step = here + t / (1 - t) * 2 * g / g.norm()
    torch.testing.assert_close(way, 2 * step / step.norm())


def test_way_between_opposite_points_goes_all_the_way():
    ball = MeasurementBall(Identity((1, 2)), torch.ones(1))
    here = torch.tensor([[[[1.0, 0.0]]]])
    assert torch.equal(ball.towards(here, -here, torch.tensor([0.5]), -here), -here)


@given(st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_real_samples_go_over_in_the_order_of_their_gain(t, seed):
    ball = box(15)
    g, b = (ball.space.randn(1, generator=seeded(seed + k), dtype=torch.float64) for k in (0, 1))
    here, full = ball.maximise_linear(b), ball.maximise_linear(g)
    way = ball.towards(here, full, torch.tensor([t], dtype=torch.float64), g)
    differ, gone = here != full, (way == full) & (here != full)
    assert int(gone.sum()) == math.ceil(t * int(differ.sum()))
    assert torch.equal(way[~gone], here[~gone])
    gain = g * (full - here)
    if gone.any() and (differ & ~gone).any():
        assert gain[gone].min() >= gain[differ & ~gone].max()


def test_samples_that_differ_by_rounding_only_do_not_use_up_the_way():
    ball = box(10)
    g = torch.arange(1, 11, dtype=torch.float64).reshape(1, 1, 1, 10)
    here = ball.maximise_linear(g) * (1 - 1e-9)
    here[..., 0] = -1
    way = ball.towards(here, ball.maximise_linear(g), torch.tensor([0.1], dtype=torch.float64), g)
    assert way[0, 0, 0, 0] == 1


@given(st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_complex_samples_turn_each_on_its_own_circle(t, seed):
    ball = box(15, is_complex=True)
    g, b = (ball.space.randn(1, generator=seeded(seed + k), dtype=torch.float64) for k in (0, 1))
    here, full = ball.maximise_linear(b), ball.maximise_linear(g)
    way = ball.towards(here, full, torch.tensor([t], dtype=torch.float64), g)
    torch.testing.assert_close(way.abs(), torch.ones_like(way.abs()))
    turn, whole = (way / here).angle(), (full / here).angle()
    assert (turn * whole >= -1e-12).all()
    assert (turn.abs() <= whole.abs() + 1e-12).all()
