"""Images that have come to rest in a corner begin anew; where there are no corners nothing changes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from stabtest.operators import Fourier, Identity
from stabtest.search.ascent import ascend
from stabtest.search.constraints import ball
from stabtest.search.corners import at_rest, elsewhere, has_corners
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem
from stabtest.search.starts import random_start
from stabtest.search.worst_case import worst_case

N = 10


def linear(matrices):
    """One real matrix an image."""
    m = torch.from_numpy(np.asarray(matrices))

    def reconstruct(y, A):
        maps = m[: len(y)] if len(m) != 1 else m
        return (maps @ y.reshape(len(y), -1, 1)).reshape(len(y), 1, 1, -1)

    return reconstruct


def some_matrices(count, seed=0, rows=7):
    return np.random.default_rng(seed).normal(size=(count, rows, N))


def problem_of(matrices, norm="linf", radius=0.3):
    y = torch.zeros(len(matrices), 1, 1, N, dtype=torch.float64)
    K = ball("measurement", Identity((1, N)), torch.full((len(y),), radius, dtype=torch.float64), norm=norm)
    f = linear(matrices)
    return Problem(f, y, K, DistanceToClean(f(y, None)))


class Recorder(Leader):
    """Remembers the corners that it was offered."""

    def offer(self, v, evaluation):
        self.corners = [*getattr(self, "corners", []), tuple(v.sign().flatten().int().tolist())]
        return super().offer(v, evaluation)


def climb(*, anew, steps=40, seed=0):
    problem = problem_of(some_matrices(1, seed))
    leader = Recorder(problem.measurement, planned=steps)
    generator = torch.Generator().manual_seed(seed)
    start = random_start(problem, generator=generator)
    where = elsewhere(problem, generator=generator) if anew else None
    return leader, ascend(problem, start, leader, steps=steps, grow=False, elsewhere=where).best


@pytest.mark.parametrize("seed", range(4))
def test_a_path_that_has_come_to_rest_looks_elsewhere(seed):
    """The control, the same path without, spends most of its steps in one corner."""
    resting, value = climb(anew=False, seed=seed)
    leaving, better = climb(anew=True, seed=seed)
    most = max(resting.corners.count(corner) for corner in resting.corners)
    assert most > 20
    assert max(leaving.corners.count(corner) for corner in leaving.corners) < 20
    assert len(set(leaving.corners)) > 2 * len(set(resting.corners))
    assert (better >= value).all()
    assert leaving.evaluations == resting.evaluations == 40


def test_at_rest_is_a_corner_from_which_no_sample_gains():
    """Against the gains of all single samples, in NumPy; a sample without gradient does not keep an image going."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        v, g = np.sign(rng.normal(size=4)), rng.normal(size=4) * rng.integers(0, 2, size=4)
        gains = [g[i] * (-2 * v[i]) for i in range(4)]
        full = torch.from_numpy(np.sign(g))[None]
        assert at_rest(torch.from_numpy(v)[None], full, torch.from_numpy(g)[None]).item() == (max(gains) <= 0)


def test_inside_of_the_box_is_not_at_rest():
    g = torch.tensor([[1.0, -1.0]])
    assert not at_rest(torch.tensor([[1.0, 0.0]]), g.sign(), g).item()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_where_there_are_no_corners_nothing_is_drawn(norm):
    """The Euclidean ball, and the largest modulus of complex samples."""
    A = Identity((1, N)) if norm == "l2" else Fourier(torch.ones(1, N, dtype=torch.bool))
    y = A.range.zeros(1, dtype=torch.float64)
    K = ball("measurement", A, torch.ones(1, dtype=torch.float64), norm=norm)
    problem, generator = Problem(lambda y, A: y, y, K, DistanceToClean(y)), torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert not has_corners(problem)
    assert elsewhere(problem, generator=generator) is None
    assert torch.equal(generator.get_state(), before)


def test_a_search_in_which_nothing_comes_to_rest_is_as_before_bit_for_bit(monkeypatch):
    """A saturating map with many samples: every step changes some sign."""
    A = Identity((8, 8))
    y = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    settings = {"radius": 1.0, "unit": "absolute", "norm": "linf", "evaluations": 60, "check": False}
    calls = []

    def network(y, A):
        return torch.sin(7 * y + torch.cumsum(y, -1))

    def spied(problem, *, generator):
        corner = elsewhere(problem, generator=generator)
        return lambda step: calls.append(step) or corner(step)

    monkeypatch.setattr("stabtest.search.walk.elsewhere", spied)
    ours = worst_case(network, A, y, **settings)
    assert calls == []
    monkeypatch.setattr("stabtest.search.walk.elsewhere", lambda problem, *, generator: None)
    assert torch.equal(ours.perturbation, worst_case(network, A, y, **settings).perturbation)


def test_a_start_elsewhere_is_a_corner_known_by_its_step():
    problem = problem_of(some_matrices(3))
    one, two = (elsewhere(problem, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(one(5), one(5))
    assert not torch.equal(one(5), one(6))
    assert not torch.equal(one(5), two(5))
    assert torch.equal(one(5)[0], one(5)[2])
    assert (one(5).abs() == 0.3).all()


@pytest.mark.parametrize("parallel", [1, 4])
def test_an_image_finds_the_same_alone_and_in_a_batch_one_path_at_a_time_or_several(parallel):
    matrices = some_matrices(3, seed=2)
    settings = {"radius": 0.3, "unit": "absolute", "norm": "linf", "evaluations": 100, "restarts": 3, "check": False}
    A, y = Identity((1, N)), torch.zeros(3, 1, 1, N, dtype=torch.float64)
    m = torch.from_numpy(matrices)

    def alike(y, A):  # copies of the batch come one after the other
        return (m.repeat(len(y) // 3, 1, 1) @ y.reshape(len(y), -1, 1)).reshape(len(y), 1, 1, -1)

    batch = worst_case(alike, A, y, parallel=parallel, **settings)
    for k in range(3):
        alone = worst_case(linear(matrices[k : k + 1]), A, y[:1], **settings)
        torch.testing.assert_close(batch.perturbation[k], alone.perturbation[0])
        assert [round(value, 9) for _, value in batch.history[k]] == [round(value, 9) for _, value in alone.history[0]]


@pytest.mark.parametrize("rows", [7, 14, 20])
def test_default_budget_on_maps_with_many_maxima(rows, monkeypatch):
    """Sixteen maps each against all corners: in the mean within 2.5 % of the largest, where paths that stay at rest are not."""
    matrices = some_matrices(16, seed=5, rows=rows)
    corners = 0.3 * np.array(list(itertools.product([-1.0, 1.0], repeat=N)))
    exact = np.array([np.linalg.norm(corners @ m.T, axis=1).max() for m in matrices])

    def share():
        y = torch.zeros(16, 1, 1, N, dtype=torch.float64)
        options = {"radius": 0.3, "unit": "absolute", "norm": "linf", "check": False}
        return worst_case(linear(matrices), Identity((1, N)), y, **options).distance.numpy() / exact

    found = share()
    assert (found <= 1 + 1e-9).all()
    assert found.mean() >= 0.975
    monkeypatch.setattr("stabtest.search.walk.elsewhere", lambda problem, *, generator: None)
    assert share().mean() < 0.975
