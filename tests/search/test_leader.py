"""The best feasible iterate, and the word on convergence."""

from __future__ import annotations

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


def test_values_that_are_not_finite_never_lead():
    leader = run([1.0, torch.nan, torch.inf])
    assert leader.value.tolist() == [1.0]


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


def test_progress_hears_of_every_evaluation():
    heard = []
    leader = Leader(torch.zeros(1, 2), planned=3, progress=lambda done, planned: heard.append((done, planned)))
    for value in (1.0, 2.0, 3.0, 4.0):
        offer(leader, [value])
    assert heard == [(1, 3), (2, 3), (3, 3), (4, 4)]
