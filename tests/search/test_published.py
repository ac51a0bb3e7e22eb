"""The published attacks: feasible, rising, and no stronger than the default on equal budgets."""

from __future__ import annotations

import pytest
import torch

from stabtest import tensors
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem
from stabtest.search.published import antun_2020, genzel_2022
from stabtest.search.worst_case import worst_case


@pytest.fixture(params=[MeasurementBall, ImageBall])
def problem(request, lab, fourier, measurement):
    network = lab.SmallCNN(1)
    with torch.no_grad():
        clean = network(measurement, fourier)
    return Problem(network, measurement, request.param(fourier, 0.1 * tensors.norm(measurement)), DistanceToClean(clean))


def attack(name, problem, lab, steps=60):
    leader = Leader(problem.constraint.space.zeros(problem.batch), planned=steps)
    if name == "antun":
        antun_2020(problem, leader, steps=steps, learning_rate=0.05, stop_at_radius=False, generator=lab.seeded(0))
    else:
        genzel_2022(problem, leader, steps=steps, learning_rate=0.05, generator=lab.seeded(0))
    return leader


@pytest.mark.parametrize("name", ["antun", "genzel"])
def test_witness_is_feasible_and_beats_a_random_point(problem, lab, name):
    leader = attack(name, problem, lab)
    assert (problem.constraint.violation(leader.variable) < 1e-6).all()
    random = problem.constraint.maximise_linear(problem.constraint.space.randn(2, generator=lab.seeded(9)))
    assert (leader.value > problem.score(random)).all()


@pytest.mark.parametrize("name", ["antun", "genzel"])
def test_default_is_at_least_as_strong_with_fewer_evaluations(problem, lab, fourier, measurement, name):
    leader = attack(name, problem, lab)
    domain = "image" if isinstance(problem.constraint, ImageBall) else "measurement"
    worst = worst_case(
        problem.reconstructor, fourier, measurement, radius=problem.constraint.radius, relative=False, domain=domain
    )
    assert worst.evaluations < leader.evaluations
    assert (worst.objective >= 0.999 * leader.value).all()


def test_momentum_ascent_stops_where_it_reaches_the_radius(problem, lab):
    leader = Leader(problem.constraint.space.zeros(2), planned=500)
    antun_2020(problem, leader, steps=500, learning_rate=0.05, generator=lab.seeded(0))
    assert leader.evaluations < 500
    assert (tensors.norm(leader.variable) <= problem.constraint.radius * (1 + 1e-5)).all()


def test_first_momentum_step_is_the_gradient_of_half_the_squared_distance(problem, lab):
    """Played by hand: v1 = v0 + eta d grad d."""
    seen, start = [], 1e-2
    watched = Problem(problem.reconstructor, problem.measurement, problem.constraint, problem.objective)
    leader = Leader(problem.constraint.space.zeros(2), planned=2)
    offer = leader.offer
    leader.offer = lambda v, evaluation: (seen.append((v, evaluation)), offer(v, evaluation))[1]
    antun_2020(watched, leader, steps=1, learning_rate=1e-3, penalty=0.5, start=start, generator=lab.seeded(0))
    (v0, first), (v1, _) = seen
    expected = v0 + 1e-3 * (tensors.scale(first.gradient, first.value) - 0.5 * v0)
    torch.testing.assert_close(v1, expected)


def test_projected_adam_is_adam_followed_by_the_projection(lab, fourier, measurement):
    """Against torch.optim.Adam, step by step, in float64."""
    y, network = measurement.to(torch.complex128), lab.SmallCNN(1, torch.float64)
    with torch.no_grad():
        distance = DistanceToClean(network(y, fourier))
    problem = Problem(network, y, MeasurementBall(fourier, 0.1 * tensors.norm(y)), distance)
    seen, leader = [], Leader(torch.zeros_like(y), planned=5)
    offer = leader.offer
    leader.offer = lambda v, evaluation: (seen.append(v), offer(v, evaluation))[1]
    genzel_2022(problem, leader, steps=4, learning_rate=0.01, generator=lab.seeded(0))
    real = torch.view_as_real(seen[0].clone()).requires_grad_(True)
    adam = torch.optim.Adam([real], lr=0.01, eps=1e-5)
    for expected in seen[1:]:
        adam.zero_grad()
        (-problem.objective(problem.reconstruct(torch.view_as_complex(real))).square().sum()).backward()
        adam.step()
        with torch.no_grad():
            real.copy_(torch.view_as_real(problem.constraint.project(torch.view_as_complex(real.detach().clone()))))
        torch.testing.assert_close(torch.view_as_complex(real.detach()), expected)
