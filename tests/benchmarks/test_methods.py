"""Budgets are kept, starts are equal, rates are what they are said to be."""

from __future__ import annotations

import pytest
import torch

from benchmarks.strength import methods
from stabtest import tensors
from stabtest.search import Leader, published


@pytest.fixture(scope="module")
def radius(subject):
    return 0.05 * subject.norm


def test_labels_are_an_address():
    labels = [(setting.family, setting.label) for setting in methods.settings()]
    assert len(set(labels)) == len(labels)
    assert {family for family, label in labels if label == "published"} == {
        "Antun 2020",
        "Genzel 2022",
        "Darestani 2021",
        "PGD",
        "APGD",
    }


@pytest.mark.parametrize("budget", [1, 3, 5, 10, 20, 50])
def test_default_keeps_to_the_budget(subject, radius, budget):
    assert methods.default_search(subject, radius, evaluations=budget).evaluations <= budget


def test_method_that_overspends_is_refused(subject, radius):
    def greedy(problem, leader, *, steps, generator):
        for _ in range(steps + 2):
            published.pgd(problem, leader, steps=0, generator=generator)

    with pytest.raises(RuntimeError, match="evaluations"):
        methods._once(greedy)(subject, radius, (3,))


def test_witness_outside_of_the_ball_is_refused(subject, radius):
    def cheat(problem, leader, *, steps, generator):
        v = 2 * problem.constraint.maximise_linear(problem.constraint.space.randn(2, generator=generator))
        leader.offer(v, problem.evaluate(v))

    with pytest.raises(Exception, match="infeasible"):
        methods._once(cheat)(subject, radius, (3,))


def test_best_after_each_budget_is_that_of_a_run_of_this_length(subject, radius):
    """A method that does not know its budget: the beginning of a long run is a short one."""
    run = methods._once(published.genzel_2022, learning_rate=0.1)
    long, short = run(subject, radius, (3, 8)), run(subject, radius, (3,))
    assert long.best[3] == pytest.approx(short.best[3], rel=1e-6)


def test_a_rate_of_s_makes_the_first_step_s_radii_long(subject, radius):
    problem = methods.problem_of(subject, radius)
    for attack, rate, options in (
        (published.antun_2020, methods._antun_rate(0.3), {"penalty": 0.0, "start_norm": 1.0, "stop_at_radius": False}),
        (published.genzel_2022, methods._adam_rate(0.3), {"epsilon": 1e-20}),
    ):
        steps: list[torch.Tensor] = []
        free = methods.problem_of(subject, radius)
        project = type(free.constraint).project
        seen = Leader(problem.constraint.space.zeros(2), planned=2)

        class Watched(type(free.constraint)):
            def project(self, v):
                steps.append(v)  # noqa: B023
                return project(self, v)  # noqa: B023

        watched = methods.Problem(
            free.reconstructor, free.measurement, Watched(free.constraint.operator, free.constraint.radius), free.objective
        )
        attack(watched, seen, steps=1, learning_rate=rate(problem), generator=methods.seeded(), **options)
        start = methods.random_start(problem, generator=methods.seeded())
        length = tensors.norm(steps[-1] - start) / radius
        torch.testing.assert_close(length, torch.full_like(length, 0.3), rtol=0.02, atol=0)
