"""Paths climbed together against the same paths one after the other."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.errors import SearchError
from stabtest.operators import Fourier, Radon
from stabtest.search.batching import ascend_together, rising, together
from stabtest.search.constraints import MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.paths import Leg, plan
from stabtest.search.problem import Problem
from stabtest.search.starts import random_start
from stabtest.search.worst_case import worst_case


class Bumpy(torch.nn.Module):
    """Smooth, with many maxima; float64, so that the order of sums hardly matters."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.randn(size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
        self.batches: list[int] = []

    def forward(self, y, operator):
        self.batches.append(len(y))
        x = operator.pseudo_inverse(y)
        return torch.tanh(3 * torch.sin(self.matrix @ x)) + x


@pytest.fixture
def scene(lab):
    A = Radon(8, 6)
    return Bumpy(8), A, A.forward(torch.rand(3, 1, 8, 8, generator=lab.seeded(3), dtype=torch.float64))


def assert_same(a, b):
    torch.testing.assert_close(a.perturbation, b.perturbation, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(a.objective, b.objective, rtol=1e-9, atol=0)
    assert (a.evaluations, a.status) == (b.evaluations, b.status)
    assert torch.equal(a.health, b.health)
    for mine, theirs in zip(a.history, b.history, strict=True):
        assert [count for count, _ in mine] == [count for count, _ in theirs]
        assert [value for _, value in mine] == pytest.approx([value for _, value in theirs], rel=1e-9)
    assert [(end.evaluations, end.fresh) for end in a.paths] == [(end.evaluations, end.fresh) for end in b.paths]
    for mine, theirs in zip(a.paths, b.paths, strict=True):
        torch.testing.assert_close(mine.value, theirs.value, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "settings", [{}, {"restarts": 4}, {"evaluations": 50}, {"norm": "linf"}, {"nonnegative": True}, {"chunk": 4}]
)
@pytest.mark.parametrize("parallel", [2, 9])
def test_search_with_parallel_paths_is_the_sequential_one(scene, settings, parallel):
    network, A, y = scene
    settings = {"evaluations": 40, "radius": 0.2, **settings}
    assert_same(worst_case(network, A, y, parallel=parallel, **settings), worst_case(network, A, y, parallel=1, **settings))


@pytest.mark.parametrize("objective", ["truth", "local", lambda image: torch.arange(1, 4) * image.abs().amax((1, 2, 3))])
def test_any_objective(scene, lab, objective):
    network, A, y = scene
    truth = torch.rand(3, 1, 8, 8, generator=lab.seeded(9), dtype=torch.float64)
    settings = {"radius": 0.2, "objective": objective, "truth": truth, "evaluations": 40, "restarts": 4}
    assert_same(worst_case(network, A, y, parallel=4, **settings), worst_case(network, A, y, parallel=1, **settings))


def test_a_start_and_radii_per_image(scene):
    network, A, y = scene
    radius = torch.tensor([0.1, 0.2, 0.4])
    start = worst_case(network, A, y, radius=radius, evaluations=4).variable
    settings = {"radius": radius, "start": start, "restarts": 3, "evaluations": 32}
    assert_same(worst_case(network, A, y, parallel=3, **settings), worst_case(network, A, y, **settings))


def test_the_network_sees_the_paths_in_one_batch(scene):
    network, A, y = scene
    worst_case(network, A, y, radius=0.2, evaluations=40, restarts=2, parallel=2, check=False)
    assert network.batches == [3] + [6] * 20 + [3]


def test_on_a_cpu_paths_are_climbed_one_after_the_other(scene):
    network, A, y = scene
    worst_case(network, A, y, radius=0.2, evaluations=40, restarts=2, check=False)
    assert set(network.batches) == {3}


def test_where_the_image_breaks_down_both_find_infinite_damage(scene):
    network, A, y = scene

    def fragile(given, operator):
        """The logarithm of a number that some perturbations make negative."""
        x, times = network(given, operator), len(given) // 3
        moved = (x - network(y, operator).repeat(times, 1, 1, 1)).mean((1, 2, 3), keepdim=True).abs()
        return x + 0 * torch.log(torch.tensor([0.3, 9.0, 9.0]).repeat(times).reshape(-1, 1, 1, 1) - moved)

    settings = {"radius": 0.5, "evaluations": 24, "restarts": 3}
    one, three = (worst_case(fragile, A, y, parallel=parallel, **settings) for parallel in (1, 3))
    assert torch.isinf(one.objective).tolist() == [True, False, False]
    assert_same(three, one)


def test_a_network_without_gradient_costs_what_it_costs_in_sequence(scene):
    _, A, y = scene
    settings = {"radius": 0.2, "evaluations": 30, "restarts": 3}

    def cut(given, operator):
        return operator.pseudo_inverse(given).detach()

    one, three = (worst_case(cut, A, y, parallel=parallel, **settings) for parallel in (1, 3))
    assert_same(three, one)
    assert one.status == ["no usable gradient"] * 3


def test_early_stop_climbs_nothing_ahead_and_ends_where_a_whole_batch_ends(scene):
    network, A, y = scene
    settings = {"radius": 1e-3, "evaluations": 200, "stop_early": True}
    assert_same(worst_case(network, A, y, parallel=2, **settings), worst_case(network, A, y, parallel=1, **settings))


def test_progress_rises_and_ends_at_the_budget(scene):
    network, A, y = scene
    told = []
    worst_case(
        network, A, y, radius=0.2, evaluations=100, parallel=8, progress=lambda done, planned: told.append((done, planned))
    )
    done = [count for count, _ in told]
    assert done == sorted(set(done))
    assert told[-1] == (100, 100)
    assert done[0] == 3  # three paths at once: it is told while they climb


def test_parallel_must_be_positive(scene):
    network, A, y = scene
    with pytest.raises(SearchError, match="parallel"):
        worst_case(network, A, y, radius=0.2, parallel=0)


def test_best_of_the_copies_is_kept_per_image(scene, lab):
    """Against the plain maximum over three searches from the three starts."""
    network, A, y = scene
    ball = MeasurementBall(A, torch.ones(3, dtype=torch.float64))
    problem = Problem(network, y, ball, DistanceToClean(network(y, A)))
    generator = lab.seeded(0)
    starts = [random_start(problem, generator=generator) for _ in range(3)]
    leader = Leader(y, planned=30)
    ends = [tape.play(leader).best for tape in ascend_together(problem, starts, steps=10)]
    torch.testing.assert_close(leader.value, torch.stack(ends).amax(0))
    torch.testing.assert_close(problem.score(leader.variable), leader.value, rtol=1e-9, atol=0)
    assert leader.evaluations == 30
    assert len({end.argmax().item() for end in torch.stack(ends).T}) > 1  # control: not one path leads everywhere


@given(st.integers(1, 300), st.none() | st.integers(1, 8), st.integers(1, 6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_batches_hold_fresh_paths_of_one_length(evaluations, fresh, parallel, in_a_row):
    legs = list(itertools.dropwhile(lambda leg: leg.kind == "again", plan(evaluations, fresh=fresh)))
    count = together(legs, parallel=parallel, in_a_row=in_a_row)
    taken = [leg for leg in legs if leg.kind == "fresh"][:count]
    assert 1 <= len(taken) == count <= parallel
    assert len({leg.steps for leg in taken}) == 1
    if in_a_row:
        assert legs[:count] == taken


def test_paths_of_another_length_wait():
    legs = [Leg("fresh", 12), Leg("fresh", 12), Leg("fresh", 13)]
    assert together(legs, parallel=3, in_a_row=False) == 2


def test_rising_leaves_out_what_was_told():
    told = []
    report = rising(lambda done, planned: told.append(done))
    assert report is not None
    for done in (1, 2, 4, 1, 2, 3, 4, 5):
        report(done, 5)
    assert told == [1, 2, 4, 5]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_all_fresh_paths_go_in_one_batch(lab):
    A = Fourier(lab.some_mask(16))
    y = A.forward(A.domain.randn(2, generator=lab.seeded(1))).cuda()
    network, sizes = lab.SmallCNN().cuda(), set()

    def counted(given, operator):
        sizes.add(len(given))
        return network(given, operator)

    together_, single = worst_case(counted, A, y, radius=0.1), worst_case(counted, A, y, radius=0.1, parallel=1)
    assert sizes == {2, 4}
    torch.testing.assert_close(together_.objective, single.objective, rtol=1e-2, atol=0)
