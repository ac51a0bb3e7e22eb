"""The witness from scratch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.errors import SearchError
from stabtest.operators import Identity
from stabtest.search.constraints import MeasurementBall
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem
from stabtest.search.verify import shrink, verify


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 1000), st.sampled_from([torch.float32, torch.float64]))
def test_support_points_end_strictly_feasible_in_double_precision(radius, seed, dtype):
    operator = Identity((9, 7))
    constraint = MeasurementBall(operator, torch.tensor([radius], dtype=dtype))
    v = constraint.maximise_linear(operator.range.randn(1, generator=torch.Generator().manual_seed(seed), dtype=dtype))
    kept = shrink(constraint, v)
    assert constraint.violation(kept).item() == 0
    torch.testing.assert_close(kept, v, rtol=1e-5, atol=0)


def test_feasible_witness_is_left_bit_for_bit():
    constraint = MeasurementBall(Identity((2, 2)), torch.tensor([1.0]))
    v = torch.full((1, 1, 2, 2), 0.25)
    assert torch.equal(shrink(constraint, v), v)


def test_witness_far_outside_is_refused():
    constraint = MeasurementBall(Identity((2, 2)), torch.tensor([1.0]))
    with pytest.raises(SearchError, match="infeasible"):
        shrink(constraint, torch.full((1, 1, 2, 2), 0.51))


def test_damage_is_scored_by_a_fresh_forward():
    operator, y = Identity((2, 2)), torch.ones(1, 1, 2, 2)
    problem = Problem(lambda y, A: 3 * y, y, MeasurementBall(operator, torch.tensor([1.0])), DistanceToClean(3 * y))
    found = verify(problem, torch.full((1, 1, 2, 2), 0.5))
    assert found.value.item() == pytest.approx(3.0)
    assert torch.equal(found.perturbed, torch.full((1, 1, 2, 2), 4.5))
    assert found.violation.dtype == torch.float64


def test_an_image_that_is_not_finite_is_infinite_damage():
    operator, y = Identity((2, 2)), torch.ones(1, 1, 2, 2)
    problem = Problem(lambda y, A: y * torch.nan, y, MeasurementBall(operator, torch.tensor([1.0])), DistanceToClean(y))
    found = verify(problem, torch.full((1, 1, 2, 2), 0.5))
    assert found.value.item() == torch.inf
    assert found.violation.item() <= 1e-6
