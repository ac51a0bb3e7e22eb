"""Two searches of one problem made into one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stabtest.search.result import better_of, lowered_into
from stabtest.search.worst_case import worst_case


@pytest.fixture
def case(lab, fourier, measurement):
    return worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=4)


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
