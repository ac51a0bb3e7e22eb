"""What holds for every published attack: the set is never left, the budget is kept, the start is the given one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import OperatorError
from stabtest.operators import Fourier, Radon
from stabtest.search import published
from stabtest.search.constraints import ImageBall, MeasurementBall, ball
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem
from stabtest.search.worst_case import worst_case

ATTACKS = {
    "antun": lambda *a, **k: published.antun_2020(*a, learning_rate=0.05, penalty=0.0, stop_at_radius=False, **k),
    "antun as published": published.antun_2020,
    "genzel": lambda *a, **k: published.genzel_2022(*a, learning_rate=0.05, **k),
    "genzel as published": published.genzel_2022,
    "darestani": lambda *a, **k: published.darestani_2021(*a, learning_rate=0.05, **k),
    "darestani as published": published.darestani_2021,
    "pgd": published.pgd,
    "apgd": published.apgd,
}
TUNED = ["antun", "genzel", "darestani", "pgd", "apgd"]


@pytest.fixture(params=[MeasurementBall, ImageBall])
def problem(request, lab, fourier, measurement):
    network = lab.SmallCNN(1)
    with torch.no_grad():
        clean = network(measurement, fourier)
    return Problem(network, measurement, request.param(fourier, 0.1 * tensors.norm(measurement)), DistanceToClean(clean))


def test_every_published_name_is_tested():
    assert {name.split("_")[0] for name in published.__all__} == {name.split()[0] for name in ATTACKS}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_offered_point_is_feasible(problem, lab, toy, name):
    leader = toy.Recorder(problem)
    ATTACKS[name](problem, leader, steps=30, generator=lab.seeded(0))
    assert max(problem.constraint.violation(v).max().item() for v in leader.points) < 1e-6


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["linf", "region", "floor"])
def test_other_sets_are_kept_as_well(lab, toy, name, kind):
    A = Radon(8, 6) if kind == "floor" else Fourier(lab.some_mask(8))
    y = A(A.domain.randn(2, generator=lab.seeded(5)).abs().to(A.domain.dtype()))
    region = torch.zeros(A.range.shape, dtype=torch.bool)
    region[..., 2:6] = True
    options = {
        "linf": {"norm": "linf"},
        "region": {"region": region},
        "floor": {"floor": (-y).clamp_max(0)} if kind == "floor" else {},
    }[kind]
    constraint = ball("measurement", A, (0.02 if kind == "linf" else 0.2) * tensors.norm(y), **options)
    network = lab.SmallCNN(1)
    with torch.no_grad():
        clean = network(y, A)
    problem = Problem(network, y, constraint, DistanceToClean(clean))
    leader = toy.Recorder(problem)
    ATTACKS[name](problem, leader, steps=12, generator=lab.seeded(0))
    assert max(constraint.violation(v).max().item() for v in leader.points) < 1e-6
    assert (leader.value > 0).all()


@pytest.mark.parametrize("name", TUNED)
def test_witness_beats_a_random_point(problem, lab, toy, name):
    leader = toy.Recorder(problem)
    ATTACKS[name](problem, leader, steps=60, generator=lab.seeded(0))
    random = problem.constraint.maximise_linear(problem.constraint.space.randn(2, generator=lab.seeded(9)))
    assert (leader.value > problem.score(random)).all()


@pytest.mark.parametrize("name", TUNED)
def test_default_is_at_least_as_strong_with_fewer_evaluations(problem, lab, fourier, toy, name):
    leader = toy.Recorder(problem)
    ATTACKS[name](problem, leader, steps=60, generator=lab.seeded(0))
    worst = worst_case(
        problem.reconstructor,
        fourier,
        problem.measurement,
        radius=problem.constraint.radius,
        unit="absolute",
        evaluations=40,
        domain="image" if isinstance(problem.constraint, ImageBall) else "measurement",
    )
    assert worst.evaluations < leader.evaluations
    assert (worst.objective >= 0.999 * leader.value).all()


@pytest.mark.parametrize("name", TUNED)
def test_steps_are_the_budget(problem, lab, toy, name):
    leader = toy.Recorder(problem)
    ATTACKS[name](problem, leader, steps=9, generator=lab.seeded(0))
    assert leader.evaluations == 10


@pytest.mark.parametrize("name", ATTACKS)
def test_no_steps_score_the_start(problem, lab, toy, name):
    leader = toy.Recorder(problem)
    start = problem.constraint.maximise_linear(problem.constraint.space.randn(2, generator=lab.seeded(3)))
    ATTACKS[name](problem, leader, steps=0, generator=lab.seeded(0), start=start)
    torch.testing.assert_close(leader.points[0], start)
    torch.testing.assert_close(leader.value, problem.score(start))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_start_outside_is_projected_and_the_generator_left_alone(problem, lab, toy, name):
    generator = lab.seeded(0)
    before = generator.get_state()
    leader = toy.Recorder(problem)
    start = 3 * problem.constraint.maximise_linear(problem.constraint.space.randn(2, generator=lab.seeded(3)))
    ATTACKS[name](problem, leader, steps=1, generator=generator, start=start)
    torch.testing.assert_close(leader.points[0], problem.constraint.project(start))
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_start_of_another_shape_is_refused(problem, lab, toy, name):
    with pytest.raises(OperatorError, match="start"):
        ATTACKS[name](problem, toy.Recorder(problem), steps=1, generator=lab.seeded(0), start=torch.zeros(2, 1, 3, 3))


@pytest.mark.parametrize("name", ATTACKS)
def test_without_a_start_all_begin_in_the_same_direction(problem, lab, toy, name):
    leader = toy.Recorder(problem)
    ATTACKS[name](problem, leader, steps=1, generator=lab.seeded(4))
    expected = problem.constraint.maximise_linear(
        problem.constraint.space.randn(1, generator=lab.seeded(4)).expand(2, *leader.points[0].shape[1:])
    )
    torch.testing.assert_close(tensors.normalise(leader.points[0]), tensors.normalise(expected))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_batch_is_a_stack_of_independent_problems(toy, lab, name):
    """In float64: images alone walk the same way as together."""
    bent = toy.Bent(bend=0.5)
    together = toy.Recorder(bent.problem(0.7))
    ATTACKS[name](bent.problem(0.7), together, steps=25, generator=lab.seeded(0), start=0.05 * toy.start)
    for image in range(2):
        both = bent.problem(0.7)
        alone = Problem(
            bent,
            both.measurement[image : image + 1],
            both.constraint.take(torch.tensor([image])),
            DistanceToClean(both.objective.clean[image : image + 1]),
        )
        leader = toy.Recorder(alone)
        ATTACKS[name](alone, leader, steps=25, generator=lab.seeded(0), start=0.05 * toy.start[image : image + 1])
        np.testing.assert_allclose(leader.value.numpy(), together.value[image : image + 1].numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["antun", "pgd", "apgd"])
def test_linear_problem_is_solved_by_the_methods_that_follow_the_gradient(toy, lab, name):
    """The optimum is ``R`` times the largest singular value, from NumPy's SVD."""
    bent = toy.Bent(bend=0.0)
    leader = toy.Recorder(bent.problem(0.7))
    options = {"step_size": 1.0} if name == "pgd" else {}  # the published step stops short of it
    ATTACKS[name](bent.problem(0.7), leader, steps=300, generator=lab.seeded(0), start=toy.start, **options)
    exact = 0.7 * np.linalg.svd(bent.m, compute_uv=False)[0]
    np.testing.assert_allclose(leader.value.numpy(), exact, rtol=1e-3)
    assert (leader.value <= exact * (1 + 1e-12)).all()
