"""How a budget becomes paths: all of it, a fresh start first, the last word with the best."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabtest.search.paths import STEPS, plan

BUDGETS = st.integers(1, 2000)


@given(BUDGETS, st.none() | st.integers(0, 60))
def test_the_whole_budget_is_given_out_and_no_path_is_empty(evaluations, fresh):
    legs = plan(evaluations, fresh=fresh)
    assert sum(leg.steps for leg in legs) == evaluations
    assert min(leg.steps for leg in legs) >= 1


@given(BUDGETS, st.none() | st.integers(0, 60))
def test_paths_are_of_equal_length_to_within_one_step(evaluations, fresh):
    steps = [leg.steps for leg in plan(evaluations, fresh=fresh)]
    assert max(steps) - min(steps) <= 1


@given(BUDGETS)
def test_a_path_gets_about_twenty_steps(evaluations):
    steps = [leg.steps for leg in plan(evaluations)]
    assert all(2 * STEPS / 3 - 1 <= each < 1.5 * STEPS for each in steps) or len(steps) == 1
    assert len(steps) > 1 or evaluations < 1.5 * STEPS


@given(BUDGETS)
def test_begins_afresh_ends_with_the_best_and_takes_turns(evaluations):
    kinds = [leg.kind for leg in plan(evaluations)]
    assert kinds[0] == "fresh"
    assert len(kinds) == 1 or kinds[-1] == "again"
    assert kinds.count("fresh") - kinds.count("again") in (0, 1)
    assert not any(kinds[k : k + 3] == ["again"] * 3 for k in range(len(kinds)))


@given(BUDGETS, st.integers(1, 60))
def test_as_many_fresh_starts_as_were_asked_for(evaluations, fresh):
    """Where the budget has a step for each."""
    kinds = [leg.kind for leg in plan(evaluations, fresh=fresh)]
    assert kinds.count("fresh") == min(fresh, evaluations)


@given(BUDGETS)
def test_without_fresh_starts_everything_goes_on_from_the_best(evaluations):
    assert {leg.kind for leg in plan(evaluations, fresh=0)} == {"again"}


@pytest.mark.parametrize(("evaluations", "fresh"), [(74, 1), (100, 2), (300, 3)])
def test_the_first_path_is_fresh_however_few_are(evaluations, fresh):
    legs = plan(evaluations, fresh=fresh)
    assert legs[0].kind == "fresh"
    assert sum(leg.kind == "fresh" for leg in legs) == fresh
    assert sum(leg.steps for leg in legs) == evaluations
