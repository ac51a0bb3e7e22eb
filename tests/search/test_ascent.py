"""The method itself: the power iteration where it is one, more than it where there are many maxima; refinement never loses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stabtest import tensors
from stabtest.operators import Fourier, Identity, Radon
from stabtest.search.ascent import COLD, HEAT, REHEAT, ascend, refine, share, weight
from stabtest.search.constraints import MeasurementBall, ball
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem


class Watched(Leader):
    """Keeps every point that it was offered."""

    def __init__(self, problem):
        y = problem.measurement
        real = tensors.real_dtype(y.dtype)
        super().__init__(problem.constraint.space.zeros(problem.batch, dtype=real), planned=1)
        self.points, self.values = [], []

    def offer(self, v, evaluation):
        self.points.append(v)
        self.values.append(evaluation.value)
        return super().offer(v, evaluation)


class Rugged:
    """Three layers of ReLU with strong biases: many maxima, some half as high as others."""

    def __init__(self, seed, size=16, width=32, depth=3):
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape):
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        sizes = [size] + [width] * depth
        self.layers = [((2 / n) ** 0.5 * draw(width, n), 0.5 * draw(width)) for n in sizes[:-1]]
        self.last = draw(size, width) / width**0.5

    def __call__(self, y, operator):
        x = y.flatten(1)
        for matrix, bias in self.layers:
            x = torch.relu(x @ matrix.T + bias)
        return (x @ self.last.T).reshape(y.shape)

    def problem(self, seed, *, batch, radius=4.0):
        y = torch.randn(1, 1, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).expand(batch, 1, 1, 16)
        radii = torch.full((batch,), radius, dtype=torch.float64)
        return Problem(self, y, MeasurementBall(Identity((1, 16)), radii), DistanceToClean(self(y, None)))


def dense_problem(matrix, *, radius=1.0):
    """``y -> M y`` in float64, at ``y = 0``."""
    m, size = torch.from_numpy(matrix), matrix.shape[1]
    y = torch.zeros(1, 1, 1, size, dtype=torch.float64)
    constraint = MeasurementBall(Identity((1, size)), torch.tensor([radius], dtype=torch.float64))
    return Problem(lambda y, A: (y.flatten(1) @ m.T).reshape(y.shape), y, constraint, DistanceToClean(y))


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
    return problem.constraint.maximise_linear(
        problem.constraint.space.randn(problem.batch, generator=lab.seeded(seed), dtype=problem.constraint.radius.dtype)
    )


@given(st.integers(1, 400), st.floats(0.1, 2), st.floats(0, 0.9))
def test_weight_starts_hot_never_rises_and_never_falls_to_nothing(steps, heat, hold):
    weights = [weight(k, steps, heat=heat, hold=hold) for k in range(steps)]
    assert weights[0] == heat
    assert all(a >= b >= COLD for a, b in itertools.pairwise(weights))
    held = [k for k in range(steps) if k <= hold * steps * (1 - 1e-9)]
    np.testing.assert_allclose([weights[k] for k in held], heat)


def test_weight_goes_from_reflection_to_averaging():
    weights = [weight(k, 20) for k in range(20)]
    assert weights[:6] == [2.0] * 6
    assert np.allclose(np.diff(weights[5:]), -2 / 15)
    assert min(weights) < 1 < max(weights)
    assert weights[-1] < 0.2


def test_a_path_that_goes_on_cools_from_less_and_at_once():
    assert weight(0, 20, heat=REHEAT, hold=0.0) == REHEAT < HEAT
    assert weight(1, 20, heat=REHEAT, hold=0.0) < REHEAT


def test_the_path_is_the_relaxed_power_iteration_of_the_dense_matrix():
    """Step by step against NumPy: ``a <- a + w (R g / |g| - a)``, ``v = R a / |a|``, looked at on spheres that grow to the full one."""
    matrix = np.random.default_rng(1).normal(size=(6, 6))
    problem = dense_problem(matrix, radius=0.7)
    leader = Watched(problem)
    v = np.array([0.7, 0, 0, 0, 0, 0])
    ascend(problem, torch.from_numpy(v).reshape(1, 1, 1, 6), leader, steps=16)
    a = np.zeros(6)
    for k, point in enumerate(leader.points):
        np.testing.assert_allclose(point.numpy().ravel(), min(1.0, (k + 1) / 8) * v, rtol=1e-9, atol=1e-12)
        g = matrix.T @ matrix @ v
        w = max(0.05, min(2.0, 2 * (1 - k / 16) / 0.75))
        a = a + w * (0.7 * g / np.linalg.norm(g) - a)
        v = 0.7 * a / np.linalg.norm(a)
    assert len(leader.points) == 16


def test_ascent_is_monotone_where_the_network_is_linear_and_the_weight_is_one(linear, lab):
    leader = Watched(linear)
    steps = 12
    ascend(linear, start_of(linear, lab), leader, steps=steps, heat=1.0, hold=1 - 1 / steps)
    values = [value.item() for value in leader.values]
    assert all(b >= a * (1 - 1e-12) for a, b in itertools.pairwise(values))


def test_reflection_separates_nearly_equal_singular_values_faster_than_the_power_method():
    """What repeats is weighed away: after 20 steps at a ratio of 0.98 much less of the second vector is left."""
    matrix = np.diag([1.0] + [0.98] * 49)
    problem = dense_problem(matrix)
    start = torch.full((1, 1, 1, 50), 50**-0.5, dtype=torch.float64)
    share = {}
    for name, options in {"relaxed": {}, "power": dict(heat=1.0, hold=0.95)}.items():
        leader = Watched(problem)
        ascend(problem, start, leader, steps=20, grow=False, **options)
        share[name] = 1 - leader.variable[..., 0].item() ** 2
    assert share["relaxed"] < 0.05 < 0.5 < share["power"]


class Saturating:
    """Damage that rises to its largest value inside the ball and falls beyond: far from convex."""

    def __init__(self, width=1.0):
        self.matrix = torch.randn(16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        self.width = width

    def __call__(self, y, operator):
        x = y @ self.matrix
        return torch.sin(x / self.width)

    def problem(self, *, radius=2.0, batch=8):
        y = torch.zeros(batch, 1, 1, 16, dtype=torch.float64)
        return Problem(
            self, y, MeasurementBall(Identity((1, 16)), torch.full((batch,), radius, dtype=torch.float64)), DistanceToClean(y)
        )


def test_a_linear_network_needs_no_caution(linear, lab):
    found = ascend(linear, start_of(linear, lab), Watched(linear), steps=20)
    assert (found.caution == 1.0).all()


def test_where_reflection_overshoots_caution_finds_more(monkeypatch):
    problem = Saturating().problem()
    generator = torch.Generator().manual_seed(0)
    start = problem.constraint.maximise_linear(torch.randn(8, 1, 1, 16, dtype=torch.float64, generator=generator))
    with_caution = ascend(problem, start, Watched(problem), steps=20)
    monkeypatch.setattr("stabtest.search.ascent.CAUTION", 1.0)
    without = ascend(problem, start, Watched(problem), steps=20)
    assert (with_caution.caution < 1.0).all()
    assert (without.caution == 1.0).all()
    assert with_caution.best.mean() > 1.01 * without.best.mean()


def test_a_path_takes_over_the_caution_it_is_given(bent, lab):
    start = start_of(bent, lab)
    careful = torch.full((len(start),), 0.25, dtype=torch.float64)
    leader, gentle = Watched(bent), Watched(bent)
    ascend(bent, start, leader, steps=3, caution=careful)
    ascend(bent, start, gentle, steps=3, heat=0.25 * HEAT)
    for mine, other in zip(leader.points, gentle.points, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_value_handed_back_is_the_largest_on_this_path_alone(bent, lab):
    leader = Watched(bent)
    first = ascend(bent, start_of(bent, lab), leader, steps=5).best
    assert torch.equal(first, torch.stack(leader.values).amax(0))
    second = ascend(bent, start_of(bent, lab, 1), leader, steps=2).best
    assert torch.equal(second, torch.stack(leader.values[5:]).amax(0))
    assert torch.equal(leader.value, torch.maximum(first, second))


def test_a_path_finds_the_kink_that_full_steps_jump_over():
    """A ridge: between two slopes the maximum is at the kink, where iterates go to and fro by the weight.

    To 0.4 % in sixty steps: the last weights of linear cooling are not smaller. (The damping before it came to 0.1 %.)
    """
    A, y = Identity((1, 2)), torch.zeros(1, 1, 1, 2, dtype=torch.float64)

    def roof(y, operator):
        return torch.minimum(2 * y[..., :1] + y[..., 1:], y[..., :1] + 2 * y[..., 1:]).clamp_min(0)

    problem = Problem(roof, y, MeasurementBall(A, torch.ones(1).double()), lambda x: x.flatten(1).sum(1))
    start = torch.tensor([[[[0.9, 0.1]]]], dtype=torch.float64)
    full, relaxed = Leader(y, planned=60), Leader(y, planned=60)
    ascend(problem, start, full, steps=60, heat=1.0, hold=1 - 1 / 60)
    ascend(problem, start, relaxed, steps=60)
    assert full.value.item() == pytest.approx((2 * 1 + 1 * 2) / 5**0.5, rel=1e-6)  # at either corner, for ever
    assert 0.995 < relaxed.value.item() / (3 / 2**0.5) <= 1 + 1e-12


def test_relaxed_steps_beat_the_power_method_where_there_are_many_maxima(monkeypatch):
    """The idea of the module. Six networks, sixteen starts each, twenty steps; by 12 % when it was written."""
    found = {"relaxed": [], "power": [], "averaging only": []}
    options = {"relaxed": {}, "power": dict(heat=1.0, hold=0.95), "averaging only": dict(heat=1.0, hold=0.0)}
    for seed in range(6):
        problem = Rugged(seed).problem(100 + seed, batch=16)
        start = problem.constraint.maximise_linear(
            torch.randn(16, 1, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        )
        ends = {}
        for name, words in options.items():
            with monkeypatch.context() as patch:
                if name != "relaxed":
                    patch.setattr(
                        "stabtest.search.ascent.CAUTION", 1.0
                    )  # caution is no part of the two that it is compared with
                ends[name] = ascend(problem, start, Watched(problem), steps=20, **words).best
        best = torch.stack(list(ends.values())).amax()
        for name, values in ends.items():
            found[name].append((values / best).mean().item())
    means = {name: np.mean(values) for name, values in found.items()}
    assert means["relaxed"] > 1.08 * means["power"]
    assert means["relaxed"] > 1.04 * means["averaging only"]


@pytest.mark.parametrize("kind", ["ball", "largest norm", "region", "floor", "image", "image, largest norm"])
def test_every_point_that_is_offered_is_feasible(lab, kind):
    A = Radon(8, 6) if kind == "floor" else Fourier(lab.some_mask(8))
    y = A(A.domain.randn(2, generator=lab.seeded(5)).abs().to(A.domain.dtype()))
    region = torch.zeros(A.range.shape, dtype=torch.bool)
    region[..., 2:6] = True
    options = {"region": {"region": region}, "floor": {"floor": (-y).clamp_max(0) if kind == "floor" else None}}.get(kind, {})
    options |= {"norm": "linf"} if "largest" in kind else {}
    size = (0.02 if "largest" in kind else 0.3) * tensors.norm(y)
    constraint = ball("image" if "image" in kind else "measurement", A, size, **options)
    network = lab.SmallCNN(1)
    with torch.no_grad():
        problem = Problem(network, y, constraint, DistanceToClean(network(y, A)))
    leader = Watched(problem)
    ascend(problem, start_of(problem, lab), leader, steps=10)
    refine(problem, leader, steps=4)
    assert len(leader.points) > 10
    assert max(constraint.violation(v).max().item() for v in leader.points) < 1e-6
    assert (leader.value > leader.values[0]).all()


def test_images_are_independent_to_the_last_digits():
    """In float64, where a rounding of the matrix product has nothing to tip over."""
    problem = Rugged(0).problem(3, batch=3)
    start = problem.constraint.maximise_linear(
        torch.randn(3, 1, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    )
    together = Watched(problem)
    ascend(problem, start, together, steps=12)
    for image in range(3):
        alone = Rugged(0).problem(3, batch=1)
        leader = Watched(alone)
        ascend(alone, start[image : image + 1], leader, steps=12)
        torch.testing.assert_close(leader.value[0], together.value[image], rtol=1e-10, atol=0)
        torch.testing.assert_close(leader.variable[0], together.variable[image], rtol=1e-7, atol=1e-9)


def test_blind_network_is_left_early(lab, bent):
    blind = Problem(lambda y, A: torch.ones_like(y), bent.measurement, bent.constraint, bent.objective)
    leader = Leader(bent.measurement, planned=1)
    ascend(blind, start_of(bent, lab), leader, steps=50)
    assert leader.evaluations == 2  # once near zero, where the path begins, and once at the full radius


def test_a_path_whose_image_has_no_gradient_near_zero_goes_to_the_full_radius(lab):
    """Alive beyond half of the radius only: a path that grew with closed eyes would end where it began."""
    problem = dense_problem(np.eye(4), radius=1.0)
    awake = Problem(
        lambda y, A: torch.relu(y - 0.5), problem.measurement, problem.constraint, DistanceToClean(problem.measurement)
    )
    start = torch.full((1, 1, 1, 4), 0.5, dtype=torch.float64) + torch.tensor([0.2, 0, 0, 0], dtype=torch.float64)
    leader = Leader(problem.measurement, planned=16)
    ascend(awake, awake.constraint.maximise_linear(start), leader, steps=16)
    assert leader.value.item() == pytest.approx(0.5, rel=1e-3)  # all of the radius in one sample


@pytest.mark.parametrize("grow", [True, False])
def test_every_point_of_a_path_is_in_the_set(lab, bent, grow):
    leader = Watched(bent)
    ascend(bent, start_of(bent, lab), leader, steps=20, grow=grow)
    sizes = torch.stack([tensors.norm(point) / bent.constraint.radius for point in leader.points])
    expected = torch.tensor([share(k, 20) if grow else 1.0 for k in range(20)], dtype=sizes.dtype)
    torch.testing.assert_close(sizes, expected[:, None].expand_as(sizes), rtol=1e-6, atol=0)


def test_growth_begins_no_smaller_than_rounding_leaves_visible(lab):
    """The measurement is a million times the perturbation: in single precision a small share of that is lost."""
    A, y = Identity((1, 4)), torch.full((1, 1, 1, 4), 1e4)
    problem = Problem(lambda y, A: y, y, MeasurementBall(A, torch.tensor([1.0])), DistanceToClean(y))
    leader = Watched(problem)
    ascend(problem, start_of(problem, lab), leader, steps=20)
    visible = 100 * torch.finfo(torch.float32).eps * 2e4
    assert tensors.norm(leader.points[0]).item() == pytest.approx(visible, rel=1e-4)


def test_image_without_gradient_stays_where_it_began(lab, bent):
    keep = torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    half = Problem(lambda y, A: bent.reconstructor(y, A) * keep, bent.measurement, bent.constraint, bent.objective)
    v, leader = start_of(bent, lab), Watched(bent)
    ascend(half, v, leader, steps=4)
    assert all(torch.equal(point[1], v[1]) for point in leader.points)
    assert not torch.equal(leader.points[-1][0], v[0])


def test_an_image_that_loses_its_gradient_goes_back_to_its_last_full_step_and_on_from_there(lab, bent):
    calls, gradients = iter(range(100)), []

    def flickering(y, A):
        broken = next(calls) in (3, 4)
        return bent.reconstructor(y, A) * torch.tensor([1.0, 0.0 if broken else 1.0]).reshape(2, 1, 1, 1)

    problem, leader = Problem(flickering, bent.measurement, bent.constraint, bent.objective), Watched(bent)
    leader.offer = lambda v, evaluation: (gradients.append(evaluation.gradient), Watched.offer(leader, v, evaluation))[1]
    ascend(problem, start_of(bent, lab), leader, steps=8)
    second = [point[1] for point in leader.points]
    last_full_step = bent.constraint.maximise_linear(gradients[2])[1]
    torch.testing.assert_close(second[4], last_full_step)
    torch.testing.assert_close(second[5], last_full_step)
    assert not torch.equal(second[5], second[6])
    assert not torch.equal(leader.points[3][0], leader.points[4][0])


def test_a_path_at_a_fixed_point_of_the_power_method_spends_its_budget():
    """``2 c - 2 c = 0`` is no direction and no missing gradient."""
    problem = dense_problem(2 * np.eye(4))
    leader = Leader(problem.measurement, planned=1)
    ascend(problem, torch.tensor([[[[1.0, 0, 0, 0]]]], dtype=torch.float64), leader, steps=9)
    assert leader.evaluations == 9
    assert leader.value.item() == pytest.approx(2)


def test_nan_on_the_way_is_infinite_damage_for_its_image_only(lab, bent):
    def fragile(y, A):
        x = bent.reconstructor(y, A)
        return x + torch.tensor([0.0, torch.nan]).reshape(2, 1, 1, 1)

    leader = Watched(bent)
    ascend(Problem(fragile, bent.measurement, bent.constraint, bent.objective), start_of(bent, lab), leader, steps=3)
    assert leader.value[1] == torch.inf
    assert torch.isfinite(leader.value[0])


def test_refinement_never_loses_and_stops_at_a_maximum(lab, linear):
    leader = Leader(linear.measurement, planned=1)
    ascend(linear, start_of(linear, lab), leader, steps=3)
    before = leader.value.clone()
    refine(linear, leader, steps=400)
    spent = leader.evaluations
    assert (leader.value >= before).all()
    refine(linear, leader, steps=400)
    assert leader.evaluations - spent < 20


def test_refinement_raises_what_a_short_ascent_left(lab, bent):
    leader = Leader(bent.measurement, planned=1)
    ascend(bent, start_of(bent, lab), leader, steps=2)
    before = leader.value.clone()
    refine(bent, leader, steps=10)
    assert (leader.value > before * 1.001).all()
