"""Where paths begin: on the sphere, the same way for every image, and up the gradient where there is one."""

from __future__ import annotations

import pytest
import torch

from stabtest import tensors
from stabtest.operators import Identity
from stabtest.search.constraints import MeasurementBall, ball
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean, DistanceToTruth
from stabtest.search.problem import Problem
from stabtest.search.starts import gradient_start, jacobian_starts, random_start, zero_of


@pytest.fixture(params=["measurement", "image"])
def problem(request, lab, fourier, measurement):
    network = lab.SmallCNN(1)
    with torch.no_grad():
        clean = network(measurement, fourier)
    return Problem(network, measurement, ball(request.param, fourier, torch.tensor([0.5, 2.0])), DistanceToClean(clean))


def test_random_starts_lie_on_the_sphere_in_one_direction_for_all_images(problem, lab):
    v = random_start(problem, generator=lab.seeded(0))
    torch.testing.assert_close(tensors.norm(v), problem.constraint.radius)
    assert (problem.constraint.violation(v) < 1e-6).all()
    torch.testing.assert_close(4 * v[0], v[1])


def test_random_starts_differ_from_draw_to_draw_and_repeat_with_the_seed(problem, lab):
    generator = lab.seeded(0)
    first, second = random_start(problem, generator=generator), random_start(problem, generator=generator)
    assert not torch.allclose(first, second, atol=0.1)
    assert torch.equal(first, random_start(problem, generator=lab.seeded(0)))


def test_zero_is_of_the_domain_and_precision_of_the_problem(problem):
    zero = zero_of(problem)
    assert zero.shape == (2, *problem.constraint.space.shape)
    assert zero.dtype == torch.complex64
    assert not zero.any()


def test_gradient_start_is_the_full_step_from_zero_for_images_that_have_a_gradient():
    """``||x + e - t||`` at 0 has the gradient ``(x - t)/||x - t||``; the second image is its truth and has none."""
    y = torch.tensor([[[[3.0, 4.0]]], [[[1.0, 1.0]]]])
    truth = torch.tensor([[[[0.0, 0.0]]], [[[1.0, 1.0]]]])
    constraint = MeasurementBall(Identity((1, 2)), torch.tensor([10.0, 10.0]))
    problem = Problem(lambda y, A: y, y, constraint, DistanceToTruth(truth))
    leader, otherwise = Leader(y, planned=1), torch.full_like(y, 0.25)
    start = gradient_start(problem, leader, otherwise=otherwise)
    torch.testing.assert_close(start[0], torch.tensor([[[6.0, 8.0]]]))
    assert torch.equal(start[1], otherwise[1])
    # Zero is a point of the set: it is offered, and its cost is counted.
    assert leader.evaluations == 1
    torch.testing.assert_close(leader.value, torch.tensor([5.0, 0.0]))


def test_jacobian_starts_are_the_top_singular_vector_and_its_opposite():
    gains = torch.tensor([1.0, 4.0, 2.0], dtype=torch.float64)
    y = torch.zeros(1, 1, 1, 3, dtype=torch.float64)
    constraint = MeasurementBall(Identity((1, 3)), torch.tensor([2.0], dtype=torch.float64))
    problem = Problem(lambda y, A: gains * torch.sin(y), y, constraint, DistanceToClean(y))
    leader, floor = Leader(y, planned=1), torch.tensor([1e-6], dtype=torch.float64)
    there, back = jacobian_starts(
        problem, problem.objective, leader, steps=20, floor=floor, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(there.abs().flatten(), torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64), atol=1e-6, rtol=0)
    assert torch.equal(back, -there)
    # Points of the small ball are no candidates: they are counted and not offered.
    assert leader.evaluations == 20
    assert leader.value.item() == -torch.inf
