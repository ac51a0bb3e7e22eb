"""The two attacks by projected Adam, against PyTorch's own Adam and against the published settings."""

from __future__ import annotations

import pytest
import torch

from stabtest import tensors
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem
from stabtest.search.published import darestani_2021, genzel_2022


def complex_problem(lab, fourier, measurement):
    y, network = measurement.to(torch.complex128), lab.SmallCNN(1, torch.float64)
    with torch.no_grad():
        distance = DistanceToClean(network(y, fourier))
    return Problem(network, y, MeasurementBall(fourier, 0.1 * tensors.norm(y)), distance)


@pytest.mark.parametrize(
    ("attack", "epsilon", "loss"),
    [
        (genzel_2022, 1e-5, lambda problem, image: problem.objective(image).square().sum()),
        (darestani_2021, 1e-8, lambda problem, image: (image - problem.objective.clean).abs().square().mean((1, 2, 3)).sum()),
    ],
)
def test_every_step_is_torch_adam_followed_by_the_projection(lab, toy, fourier, measurement, attack, epsilon, loss):
    problem = complex_problem(lab, fourier, measurement)
    leader = toy.Recorder(problem)
    attack(problem, leader, steps=8, learning_rate=0.01, generator=lab.seeded(0))
    real = torch.view_as_real(leader.points[0].clone()).requires_grad_(True)
    adam = torch.optim.Adam([real], lr=0.01, eps=epsilon)
    for expected in leader.points[1:]:
        adam.zero_grad()
        (-loss(problem, problem.reconstruct(torch.view_as_complex(real)))).backward()
        adam.step()
        with torch.no_grad():
            real.copy_(torch.view_as_real(problem.constraint.project(torch.view_as_complex(real.detach().clone()))))
        torch.testing.assert_close(torch.view_as_complex(real.detach()), expected, rtol=1e-6, atol=1e-9)


def test_genzel_starts_on_the_sphere_as_after_its_first_projection(lab, toy, fourier, measurement):
    problem = complex_problem(lab, fourier, measurement)
    leader = toy.Recorder(problem)
    genzel_2022(problem, leader, steps=0, generator=lab.seeded(0))
    torch.testing.assert_close(tensors.norm(leader.points[0]), problem.constraint.radius)


@pytest.mark.parametrize("kind", [MeasurementBall, ImageBall])
def test_darestani_starts_at_a_ten_thousandth_of_the_data(lab, toy, fourier, measurement, kind):
    problem = complex_problem(lab, fourier, measurement)
    problem = Problem(problem.reconstructor, problem.measurement, kind(fourier, problem.constraint.radius), problem.objective)
    leader = toy.Recorder(problem)
    darestani_2021(problem, leader, steps=0, generator=lab.seeded(0))
    whole = measurement if kind is MeasurementBall else fourier.pseudo_inverse(measurement)
    torch.testing.assert_close(tensors.norm(leader.points[0]).float(), 1e-4 * tensors.norm(whole))


def test_darestani_starts_inside_a_set_smaller_than_that(lab, toy, fourier, measurement):
    problem = complex_problem(lab, fourier, measurement)
    problem = problem.with_radius(1e-6 * problem.constraint.radius)
    leader = toy.Recorder(problem)
    darestani_2021(problem, leader, steps=0, generator=lab.seeded(0))
    torch.testing.assert_close(tensors.norm(leader.points[0]), problem.constraint.radius)


def test_published_settings_are_the_defaults():
    assert {k: genzel_2022.__kwdefaults__[k] for k in ("learning_rate", "epsilon")} == {"learning_rate": 5.0, "epsilon": 1e-5}
    darestani = {k: darestani_2021.__kwdefaults__[k] for k in ("learning_rate", "epsilon", "start_norm")}
    assert darestani == {"learning_rate": 0.01, "epsilon": 1e-8, "start_norm": 1e-4}
