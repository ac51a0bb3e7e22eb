"""Balls: projection, support point, violation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Identity
from stabtest.search.constraints import ImageBall, MeasurementBall, ball

MASK = torch.rand(6, 5, generator=torch.Generator().manual_seed(3)) < 0.5


@st.composite
def sets_and_points(draw):
    """A ball over real or complex data, and two points anywhere about it."""
    operator = draw(st.sampled_from([Fourier(MASK), Identity((6, 5))]))
    kind = draw(st.sampled_from([MeasurementBall, ImageBall]))
    radius = torch.tensor([draw(st.floats(1e-3, 1e3)), draw(st.floats(1e-3, 1e3))], dtype=torch.float64)
    constraint = kind(operator, radius)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    spread = draw(st.sampled_from([0.01, 0.2, 1.0, 100.0]))
    points = [
        tensors.scale(constraint.space.randn(2, generator=generator, dtype=torch.float64), spread * radius) for _ in range(2)
    ]
    return constraint, *points


@settings(max_examples=60, deadline=None)
@given(sets_and_points())
def test_projection_is_feasible_and_idempotent(drawn):
    constraint, a, _ = drawn
    once = constraint.project(a)
    assert (constraint.violation(once) < 1e-12).all()
    torch.testing.assert_close(constraint.project(once), once, rtol=1e-12, atol=0)


@settings(max_examples=60, deadline=None)
@given(sets_and_points())
def test_projection_is_non_expansive(drawn):
    constraint, a, b = drawn
    moved = tensors.norm(constraint.project(a) - constraint.project(b))
    assert (moved <= tensors.norm(a - b) * (1 + 1e-12)).all()


@settings(max_examples=60, deadline=None)
@given(sets_and_points())
def test_projection_is_the_nearest_point(drawn):
    """Variational inequality: <a - Pa, w - Pa> <= 0 for every w of the set."""
    constraint, a, b = drawn
    near, other = constraint.project(a), constraint.project(b)
    slack = 1e-10 * tensors.norm(a - near) * constraint.radius
    assert (tensors.inner(a - near, other - near) <= slack).all()


@settings(max_examples=60, deadline=None)
@given(sets_and_points())
def test_support_point_beats_every_feasible_point(drawn):
    constraint, g, b = drawn
    best = constraint.maximise_linear(g)
    assert (constraint.violation(best) < 1e-12).all()
    assert (tensors.inner(g, best) >= tensors.inner(g, constraint.project(b)) * (1 - 1e-12)).all()


def test_support_point_of_zero_is_zero():
    constraint = MeasurementBall(Fourier(MASK), torch.ones(1))
    assert not constraint.maximise_linear(torch.zeros(1, 1, 6, 5, dtype=torch.complex64)).any()


def test_point_off_the_samples_is_a_violation():
    constraint = MeasurementBall(Fourier(MASK), torch.ones(1))
    e = (~MASK).to(torch.complex64)[None, None] * 1e-3
    assert constraint.violation(e).item() == pytest.approx(1e-3 * (~MASK).sum().sqrt().item(), rel=1e-5)


def test_image_ball_perturbs_through_the_operator():
    operator = Fourier(MASK)
    r = operator.domain.randn(1, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ImageBall(operator, torch.ones(1)).perturbation(r), operator.forward(r))


@pytest.mark.parametrize("radius", [torch.tensor(1.0), torch.tensor([0.0]), torch.tensor([-1.0]), torch.tensor([torch.nan])])
def test_bad_radius_is_refused(radius):
    with pytest.raises(SearchError, match="radius"):
        MeasurementBall(Identity((2, 2)), radius)


def test_unknown_domain_is_refused():
    with pytest.raises(SearchError, match="k-space"):
        ball("k-space", Identity((2, 2)), torch.ones(1))
