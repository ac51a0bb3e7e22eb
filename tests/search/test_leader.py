"""The best feasible iterate, and the word on convergence."""

from __future__ import annotations

import pytest
import torch

from stabtest.search.leader import Leader
from stabtest.search.problem import Evaluation, GradientHealth


def offer(leader, values, v=None, health=GradientHealth.USABLE):
    values = torch.tensor(values)
    v = torch.zeros(len(values), 2) if v is None else v
    return leader.offer(v, Evaluation(values, v + 10, torch.full((len(values),), health, dtype=torch.int8)))


def run(values):
    leader = Leader(torch.zeros(1, 2), planned=len(values))
    for value in values:
        offer(leader, [value])
    return leader


def test_each_image_keeps_its_own_best_with_its_gradient():
    leader = Leader(torch.zeros(2, 2), planned=2)
    offer(leader, [1.0, 5.0], torch.full((2, 2), 1.0))
    assert offer(leader, [2.0, 4.0], torch.full((2, 2), 2.0)).tolist() == [True, False]
    assert leader.value.tolist() == [2.0, 5.0]
    assert leader.variable.tolist() == [[2.0, 2.0], [1.0, 1.0]]
    assert leader.gradient.tolist() == [[12.0, 12.0], [11.0, 11.0]]


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_an_image_that_is_not_finite_leads_and_is_never_overtaken(broken):
    leader = Leader(torch.zeros(1, 2), planned=3)
    for k, value in enumerate((1.0, broken, 1e30)):
        offer(leader, [value], torch.full((1, 2), float(k)), GradientHealth.NOT_FINITE)
    assert leader.value.tolist() == [torch.inf]
    assert leader.variable.tolist() == [[1.0, 1.0]]
    assert leader.status() == ["converged"]


def test_a_point_that_is_not_finite_itself_never_leads():
    leader = run([1.0])
    offer(leader, [torch.nan], torch.full((1, 2), torch.nan))
    assert leader.value.tolist() == [1.0]


def test_images_that_broke_off_the_record_leave_the_search_open():
    leader = run([1.0, 1.0, 1.0])
    assert leader.status() == ["converged"]
    leader.count(Evaluation(torch.tensor([torch.nan]), torch.zeros(1, 2), torch.tensor([0], dtype=torch.int8)))
    assert leader.status() == ["still rising"]


def test_rise_in_the_second_half_is_still_rising():
    assert run([1.0, 1.0, 1.0, 1.02]).status() == ["still rising"]


def test_flat_second_half_is_converged():
    assert run([0.5, 1.0, 1.0, 1.005]).status() == ["converged"]


def test_rule_holds_for_negative_objectives():
    assert run([-2.0, -1.0, -1.0, -0.999]).status() == ["converged"]
    assert run([-2.0, -1.0, -1.0, -0.9]).status() == ["still rising"]


def test_no_usable_gradient_is_said_although_a_value_was_found():
    leader = Leader(torch.zeros(1, 2), planned=3)
    for value in (1.0, 2.0, 2.0):
        offer(leader, [value], health=GradientHealth.ZERO)
    assert leader.status() == ["no usable gradient"]
    assert leader.health().tolist() == [GradientHealth.ZERO]


def test_history_lists_the_rises_in_units():
    assert run([1.0, 0.5, 2.0, 2.0]).history(torch.tensor([2.0])) == [[(1, 0.5), (3, 1.0), (4, 1.0)]]


def run_paths(*paths, fresh=True):
    """A search whose paths take the values given."""
    leader = Leader(torch.zeros(1, 2), planned=sum(map(len, paths)))
    for values in paths:
        for value in values:
            offer(leader, [value])
        leader.end_path(torch.tensor([max(values)]), fresh=fresh)
    return leader


def test_one_path_never_converges_although_it_was_flat():
    leader = run_paths([1.0] * 8)
    assert leader.status() == ["still rising"]
    assert not leader.settled()


def test_two_equal_paths_converge():
    leader = run_paths([0.2, 1.0, 0.5, 0.4], [0.3, 1.0, 0.5, 1.0])
    assert leader.status() == ["converged"]
    assert leader.settled()


def test_a_second_path_that_found_more_by_more_than_the_tolerance_is_still_rising():
    assert run_paths([0.5, 1.0], [0.5, 1.02]).status() == ["still rising"]
    assert run_paths([0.5, 1.0], [0.5, 1.009]).status() == ["converged"]


def test_only_paths_that_ended_within_the_first_half_count_for_it():
    """The path that found the best ended after the half, although it had found it before."""
    assert run_paths([0.5, 0.5], [1.0, 1.0, 1.0], [0.9]).status() == ["still rising"]
    assert run_paths([1.0, 1.0], [0.5, 0.5, 0.5, 0.5]).status() == ["converged"]
    assert run_paths([1.0, 1.0, 1.0], [1.0, 1.0]).status() == ["still rising"]  # none ended in it


def test_a_search_settles_when_its_last_image_does():
    leader = Leader(torch.zeros(2, 2), planned=8)
    for path in ([[1.0, 1.0]], [[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]):
        offer(leader, path[0])
        leader.end_path(torch.tensor(path[0]))
        assert leader.settled() == (leader.evaluations == 4)


def test_paths_are_kept_in_order_with_nan_as_infinite_damage():
    leader = run_paths([1.0, 2.0], [0.5])
    leader.end_path(torch.tensor([torch.nan]), fresh=False)
    ends = leader.paths()
    assert [(path.evaluations, path.value.item(), path.fresh) for path in ends] == [
        (2, 2.0, True),
        (3, 0.5, True),
        (3, torch.inf, False),
    ]


def test_progress_hears_of_every_evaluation():
    heard = []
    leader = Leader(torch.zeros(1, 2), planned=3, progress=lambda done, planned: heard.append((done, planned)))
    for value in (1.0, 2.0, 3.0, 4.0):
        offer(leader, [value])
    assert heard == [(1, 3), (2, 3), (3, 3), (4, 4)]
