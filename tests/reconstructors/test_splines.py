"""Uniform splines: NumPy's interpolation, linear beyond the ends, derivatives, the steepest slope, and the same as the form by bends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reconstructors.splines import LinearSpline, UniformSpline
from stabtest.errors import ConfigError


@pytest.fixture
def spline() -> UniformSpline:
    torch.manual_seed(3)
    spline = UniformSpline(3, knots=9, reach=2.0).double()
    with torch.no_grad():
        spline.values.copy_(torch.randn(3, 9))
    return spline


@pytest.fixture
def points() -> torch.Tensor:
    return torch.linspace(-5, 5, 2 * 3 * 7 * 5, dtype=torch.float64).reshape(2, 3, 7, 5).flip(0)


def test_values_are_those_of_linear_interpolation(spline, points):
    knots = np.linspace(-2, 2, 9)
    values = spline.values.detach().numpy()
    for channel in range(3):
        u = points[:, channel].numpy()
        expected = np.interp(u, knots, values[channel])
        expected += np.where(u > 2, (u - 2) * (values[channel, -1] - values[channel, -2]) / 0.5, 0)
        expected += np.where(u < -2, (u + 2) * (values[channel, 1] - values[channel, 0]) / 0.5, 0)
        np.testing.assert_allclose(spline(points)[:, channel].detach().numpy(), expected, atol=1e-12)


def test_it_is_the_spline_with_the_same_bends(spline, points):
    other = LinearSpline(3, knots=tuple(np.linspace(-2, 2, 9)[1:-1])).double()
    slopes = spline.values.detach().diff(dim=1) / 0.5
    with torch.no_grad():
        other.slope.copy_(slopes[:, 0])
        other.bends.copy_(slopes.diff(dim=1))
        other.level.copy_(spline.values[:, 0] + 2 * slopes[:, 0])
    rows = points.movedim(1, -1).reshape(-1, 3)
    torch.testing.assert_close(spline(points).movedim(1, -1).reshape(-1, 3), other(rows))
    torch.testing.assert_close(spline.steepest(), other.steepest())


def test_it_starts_as_the_identity(points):
    torch.testing.assert_close(UniformSpline(3, knots=31, reach=0.6).double()(points), points, rtol=1e-6, atol=1e-6)


def test_derivatives_in_input_and_values(spline, points):
    u = points.clone().requires_grad_()

    def of(u, values):
        return torch.func.functional_call(spline, {"values": values}, (u,))

    assert torch.autograd.gradcheck(of, (u, spline.values))
    assert torch.autograd.gradgradcheck(of, (u, spline.values))


def test_steepest_slope_is_reached_and_not_exceeded(spline):
    u = torch.linspace(-4, 4, 4001, dtype=torch.float64).repeat(1, 3, 1, 1)
    slopes = (spline(u).diff(dim=-1) / u.diff(dim=-1)).abs().amax((0, 2, 3))
    assert (slopes <= spline.steepest() * (1 + 1e-9)).all()
    assert (slopes >= spline.steepest() * (1 - 1e-9)).all()


def test_a_lowered_precision_of_the_input_is_not_that_of_the_output(spline):
    assert spline(torch.zeros(1, 3, 2, 2, dtype=torch.bfloat16)).dtype == torch.float64


@pytest.mark.parametrize("settings", [{"knots": 1}, {"reach": 0.0}])
def test_a_grid_that_is_none_is_refused(settings):
    with pytest.raises(ConfigError, match="uniform spline"):
        UniformSpline(1, **settings)
