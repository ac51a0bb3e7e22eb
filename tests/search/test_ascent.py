"""The method itself: monotone on convex problems, the leading paths survive, refinement never loses."""

from __future__ import annotations

import itertools

import pytest
import torch

from stabtest import tensors
from stabtest.operators import Identity
from stabtest.search.ascent import SHRINK, Path, ascend, race, race_cost, refine
from stabtest.search.constraints import MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem


def values_along(leader):
    return torch.tensor([value for _, value in leader.history(torch.ones(1))[0]])


@pytest.fixture
def linear(lab, fourier):
    y = fourier.range.zeros(1, dtype=torch.float64)
    network = lab.ConjugateMixing(8, seed=4)
    return Problem(network, y, MeasurementBall(fourier, torch.ones(1).double()), DistanceToClean(y))


@pytest.fixture
def bent(lab, fourier):
    y = fourier.forward(fourier.domain.randn(2, generator=lab.seeded(5)))
    network = lab.SmallCNN(1)
    with torch.no_grad():
        clean = network(y, fourier)
    return Problem(network, y, MeasurementBall(fourier, 0.5 * tensors.norm(y)), DistanceToClean(clean))


def start_of(problem, lab, seed=0):
    return problem.constraint.maximise_linear(problem.constraint.space.randn(problem.batch, generator=lab.seeded(seed)))


def test_ascent_is_monotone_where_the_network_is_linear(lab, linear):
    leader, v = Leader(linear.measurement, planned=1), start_of(linear, lab).to(torch.complex128)
    path, values = Path.at(v), []
    for _ in range(12):
        values.append(linear.score(path.iterate).item())
        path = ascend(linear, path, leader, steps=1)
    assert all(b >= a for a, b in itertools.pairwise(values))


def test_weight_shrinks_at_each_failure_of_its_own_image_only(lab, bent):
    """Played values: image 0 rises throughout, image 1 fails twice."""
    values = iter([[1.0, 3.0], [2.0, 2.0], [3.0, 4.0], [4.0, 1.0]])
    played = Problem(
        bent.reconstructor,
        bent.measurement,
        bent.constraint,
        lambda x: 1e-6 * x.abs().sum((1, 2, 3)) + torch.tensor(next(values)),
    )
    path = ascend(played, Path.at(start_of(bent, lab)), Leader(bent.measurement, planned=4), steps=4)
    torch.testing.assert_close(path.weight, torch.tensor([1.0, SHRINK**2]))


def test_shrinking_weights_find_more_than_full_steps_where_the_network_bends():
    """A ridge that the full step jumps over: between two slopes the maximum is at the kink."""
    A, y = Identity((1, 2)), torch.zeros(1, 1, 1, 2, dtype=torch.float64)

    def roof(y, operator):
        return torch.minimum(2 * y[..., :1] + y[..., 1:], y[..., :1] + 2 * y[..., 1:]).clamp_min(0)

    problem = Problem(roof, y, MeasurementBall(A, torch.ones(1).double()), lambda x: x.flatten(1).sum(1))
    leader = Leader(y, planned=60)
    ascend(problem, Path.at(torch.tensor([[[[0.9, 0.1]]]], dtype=torch.float64)), leader, steps=60)
    full_step = (2 * 1 + 1 * 2) / 5**0.5  # value at either corner, between which undamped steps alternate for ever
    assert leader.value.item() > 1.1 * full_step
    assert leader.value.item() == pytest.approx(3 / 2**0.5, rel=1e-3)


def test_every_iterate_is_feasible(lab, bent):
    seen = []
    watched = Problem(bent.reconstructor, bent.measurement, bent.constraint, bent.objective)
    leader = Leader(bent.measurement, planned=1)
    original = leader.offer
    leader.offer = lambda v, evaluation: (seen.append(v), original(v, evaluation))[1]
    ascend(watched, Path.at(start_of(bent, lab)), leader, steps=6)
    refine(watched, leader, steps=6)
    assert len(seen) >= 7
    assert all((bent.constraint.violation(v) < 1e-6).all() for v in seen)


def test_an_ascent_cut_in_two_is_the_same_ascent(lab, bent):
    v = start_of(bent, lab)
    whole, parts = Leader(v, planned=1), Leader(v, planned=1)
    end = ascend(bent, Path.at(v), whole, steps=6)
    end_of_parts = ascend(bent, ascend(bent, Path.at(v), parts, steps=2), parts, steps=4)
    assert torch.equal(end.iterate, end_of_parts.iterate)
    assert torch.equal(whole.value, parts.value)


def test_race_spends_what_it_says(lab, bent):
    leader = Leader(bent.measurement, planned=1)
    race(bent, [start_of(bent, lab, seed) for seed in range(5)], leader, steps=8)
    assert leader.evaluations == race_cost(5, 8)


def test_race_keeps_for_each_image_the_start_that_leads(lab):
    """Two basins per image, entered by two starts; which is deeper differs between the images."""
    operator, y = Identity((1, 2)), torch.zeros(2, 1, 1, 2)
    height = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).reshape(2, 1, 1, 2)
    # relu separates the basins: an ascent that starts at one axis never sees the other.
    problem = Problem(
        lambda y, A: height * torch.relu(y - 0.5),
        y,
        MeasurementBall(operator, torch.ones(2)),
        DistanceToClean(torch.zeros_like(y)),
    )
    axes = [torch.tensor([1.0, 0.0]).expand(2, 1, 1, 2), torch.tensor([0.0, 1.0]).expand(2, 1, 1, 2)]
    leader = Leader(y, planned=1)
    race(problem, axes, leader, steps=8)
    torch.testing.assert_close(leader.value, torch.tensor([1.5, 1.5]))


def test_refinement_never_loses_and_stops_at_a_maximum(lab, linear):
    leader = Leader(linear.measurement, planned=1)
    ascend(linear, Path.at(start_of(linear, lab).to(torch.complex128)), leader, steps=3)
    before = leader.value.clone()
    refine(linear, leader, steps=400)
    spent = leader.evaluations
    assert (leader.value >= before).all()
    refine(linear, leader, steps=400)
    assert leader.evaluations - spent < 20


def test_refinement_raises_what_a_short_ascent_left(lab, bent):
    leader = Leader(bent.measurement, planned=1)
    ascend(bent, Path.at(start_of(bent, lab)), leader, steps=2)
    before = leader.value.clone()
    refine(bent, leader, steps=10)
    assert (leader.value > before * 1.001).all()


def test_blind_network_is_left_early(lab, bent):
    blind = Problem(lambda y, A: torch.ones_like(y), bent.measurement, bent.constraint, bent.objective)
    leader = Leader(bent.measurement, planned=1)
    ascend(blind, Path.at(start_of(bent, lab)), leader, steps=50)
    assert leader.evaluations == 1


def test_image_without_gradient_stays_where_it_began(lab, bent):
    keep = torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    half = Problem(lambda y, A: bent.reconstructor(y, A) * keep, bent.measurement, bent.constraint, bent.objective)
    v, leader = start_of(bent, lab), Leader(bent.measurement, planned=1)
    path = ascend(half, Path.at(v), leader, steps=4)
    assert torch.equal(path.iterate[1], v[1])
    assert not torch.equal(path.iterate[0], v[0])
