"""Two searches of one problem made into one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from stabtest.search.leader import PathEnd
from stabtest.search.result import better_of, lowered_into
from stabtest.search.worst_case import worst_case


@pytest.fixture
def case(lab, fourier, measurement):
    return worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, evaluations=8)


def raised(case, factors):
    return replace(
        case,
        objective=case.objective * torch.tensor(factors),
        perturbation=-case.perturbation,
        status=["converged", "converged"],
        history=[[(1, rows[-1][1] * factor)] for rows, factor in zip(case.history, factors, strict=True)],
        evaluations=7,
    )


def test_each_image_takes_the_search_that_found_more(case):
    both = better_of(case, raised(case, [0.5, 2.0]))
    assert torch.equal(both.perturbation[0], case.perturbation[0])
    assert torch.equal(both.perturbation[1], -case.perturbation[1])
    assert both.evaluations == case.evaluations + 7


def test_record_never_falls_and_counts_on(case):
    rows = better_of(case, raised(case, [0.5, 2.0])).history[0]
    assert [value for _, value in rows] == sorted(value for _, value in rows)
    assert rows[-1][0] == case.evaluations + 1


def test_first_search_that_was_beaten_had_not_converged(case):
    first = replace(case, status=["converged", "converged"])
    assert better_of(first, raised(case, [1.005, 1.05])).status == ["converged", "still rising"]


def test_witness_of_a_smaller_radius_keeps_the_larger_radius_and_costs_nothing(case):
    larger = replace(raised(case, [0.5, 0.5]), radius=2 * case.radius)
    taken = lowered_into(case, larger)
    assert torch.equal(taken.perturbation, case.perturbation)
    assert torch.equal(taken.radius, larger.radius)
    assert taken.evaluations == larger.evaluations
    assert not taken.violation.any()


def paths(*ends, fresh=True):
    return tuple(PathEnd(count, torch.tensor(values), fresh) for count, values in ends)


def test_paths_count_on_and_cost_nothing_where_a_witness_was_taken_over(case):
    first = replace(case, paths=paths((4, [1.0, 1.0]), (8, [1.0, 2.0])))
    both = better_of(first, replace(raised(case, [0.5, 2.0]), paths=paths((7, [3.0, 3.0]), fresh=False)))
    assert [(path.evaluations, path.fresh) for path in both.paths] == [(4, True), (8, True), (15, False)]
    assert lowered_into(first, replace(first, radius=2 * first.radius)).paths == first.paths


def test_spread_is_relative_to_the_best_fresh_path(case):
    fresh = paths((4, [1.0, -3.0]), (8, [2.0, -2.0]), (12, [1.5, -4.0]))
    again = paths((16, [9.0, 9.0]), fresh=False)
    assert replace(case, paths=fresh + again).spread == pytest.approx([0.5, 1.0])


def test_spread_is_not_known_from_one_fresh_path_and_nothing_where_damage_is_infinite(case):
    alone = paths((4, [1.0, 1.0])) + paths((8, [2.0, 2.0]), fresh=False)
    assert all(math.isnan(spread) for spread in replace(case, paths=alone).spread)
    assert replace(case, paths=paths((4, [torch.inf, 1.0]), (8, [1.0, 1.0]))).spread == [0.0, 0.0]


def test_spread_of_objectives_that_are_zero_is_zero(case):
    """A blind network: both paths end at no damage, which is no distance apart."""
    assert replace(case, paths=paths((4, [0.0, 1.0]), (8, [0.0, 1.0]))).spread == [0.0, 0.0]


def test_queries_of_two_searches_add_up_image_by_image(case):
    first, second = replace(case, queries=(0, 40)), replace(case, queries=(5, 10))
    assert better_of(first, second).queries == (5, 50)
    assert better_of(first, case).queries == better_of(case, first).queries == (0, 40)


def test_witness_that_is_taken_over_brings_no_queries(case):
    assert lowered_into(replace(case, queries=(5, 5)), replace(case, queries=(1, 2))).queries == (1, 2)
