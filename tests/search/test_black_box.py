"""The search without gradients: known answers, its budget, its seed, its sets, and controls that find clearly less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import OperatorError, SearchError
from stabtest.operators import Fourier, Identity, Radon
from stabtest.search.bases import pixel
from stabtest.search.black_box import black_box, continue_without_gradient, without_gradient
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean, DistanceToTruth
from stabtest.search.problem import Problem
from stabtest.search.score_attacks import nes_2018, spsa_2018
from stabtest.search.worst_case import worst_case


class Counted:
    """A reconstruction that says how often it was called, and refuses to be differentiated."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, y: Tensor, operator) -> Tensor:
        assert not y.requires_grad
        self.calls += 1
        return self.function(y, operator)


def search(problem, queries, *, seed=0, method=black_box, **options):
    like = torch.zeros_like(problem.constraint.maximise_linear(problem.constraint.space.zeros(problem.batch)))
    leader = Leader(like, planned=queries)
    method(problem, leader, queries=queries, generator=torch.Generator().manual_seed(seed), **options)
    return leader


def linear(operator, matrix, *, domain=MeasurementBall, radius=0.3, batch=1, **sets):
    """A dense matrix in place of a network, for real or complex measurements, in NumPy."""
    m = matrix.numpy()

    def program(y: Tensor, A) -> Tensor:
        return torch.from_numpy((y.numpy().reshape(len(y), -1) @ m.T).astype(y.numpy().dtype)).reshape(
            len(y), 1, *A.domain.shape[-2:]
        )

    y = operator.restrict(operator.range.randn(batch, generator=torch.Generator().manual_seed(3)))
    constraint = domain(operator, torch.full((batch,), radius), **sets)
    return Problem(Counted(program), y, constraint, DistanceToClean(program(y, operator)))


def random_matrix(size, seed=0, *, is_complex=False):
    dtype = torch.complex64 if is_complex else torch.float32
    return tensors.randn((size, size), dtype=dtype, generator=torch.Generator().manual_seed(seed))


def noise(problem, leader, *, queries, generator):
    """Control: random feasible points."""
    for _ in range(queries):
        v = problem.constraint.maximise_linear(problem.constraint.space.randn(problem.batch, generator=generator))
        leader.offer(v, without_gradient(problem.score(v), v))


def test_linear_map_with_a_full_basis_reaches_the_singular_value():
    """36 dimensions, 60 queries, nothing known of the map: 99 % of the largest singular value, by NumPy; noise finds far less."""
    matrix = random_matrix(36)
    problem = linear(Identity((6, 6)), matrix)
    exact = 0.3 * np.linalg.svd(matrix.double().numpy(), compute_uv=False)[0]
    found = search(problem, 60, basis=pixel, surrogate=None)
    assert 0.99 * exact <= found.value.item() <= exact * (1 + 1e-4)
    assert search(problem, 60, method=noise).value.item() < 0.8 * exact


@pytest.mark.parametrize("domain", [MeasurementBall, ImageBall])
def test_complex_linear_map_of_undersampled_measurements(lab, domain):
    """Known by the dense matrix of the map from the variable, real-linear, in float64."""
    operator = Fourier(lab.some_mask(6))
    matrix = random_matrix(36, is_complex=True)
    problem = linear(operator, matrix, domain=domain)
    wide = matrix.to(torch.complex128)
    J = lab.dense(
        lambda y, A: (y.flatten(1) @ wide.T).reshape(y.shape),
        operator,
        torch.zeros(1, 1, 6, 6, dtype=torch.complex128),
        domain="measurement" if domain is MeasurementBall else "image",
    )
    exact = 0.3 * np.linalg.svd(J, compute_uv=False)[0]
    assert 0.99 * exact <= search(problem, 120).value.item() <= exact * (1 + 1e-4)


def test_where_the_surrogate_is_right_few_queries_are_enough():
    """The operator's pseudo-inverse itself is searched: 16 x 16 pixels, a tenth as many queries as dimensions."""
    operator = Radon(16, 20)
    y = operator.forward(operator.domain.randn(1, generator=torch.Generator().manual_seed(1)))
    ball = MeasurementBall(operator, torch.tensor([0.1]))
    problem = Problem(Counted(lambda y, A: A.pseudo_inverse(y)), y, ball, DistanceToClean(operator.pseudo_inverse(y)))
    columns = operator.pseudo_inverse(torch.eye(y[0].numel()).reshape(-1, *y.shape[1:])).flatten(1)
    exact = 0.1 * np.linalg.svd(columns.double().numpy(), compute_uv=False)[0]
    dimensions = y[0].numel()
    assert search(problem, dimensions // 10).value.item() > 0.97 * exact
    assert search(problem, dimensions // 10, basis=pixel, surrogate=None).value.item() < 0.9 * exact


def quantised(lab):
    """A network whose output is one of 64 grey values: argmax of a distance, without any gradient."""
    network = lab.SmallCNN(3)
    levels = torch.linspace(-4, 4, 400)

    def reconstruct(y, operator):
        image = network(y, operator)
        return levels[(-(image[..., None] - levels).abs()).argmax(-1)]

    return network, reconstruct


def test_network_quantised_by_argmax_against_the_gradient_search_of_the_smooth_one(lab):
    operator = Radon(12, 12)
    y = operator.forward(operator.domain.randn(1, generator=lab.seeded(5)).abs())
    smooth, coarse = quantised(lab)
    with torch.no_grad():
        clean = coarse(y, operator)
    white = worst_case(smooth, operator, y, radius=0.2)
    problem = Problem(Counted(coarse), y, MeasurementBall(operator, 0.2 * tensors.norm(y)), DistanceToClean(clean))
    found = search(problem, 200)
    assert found.value.item() > 0.9 * white.objective.item()
    assert search(problem, 200, method=noise).value.item() < 0.7 * found.value.item()


@pytest.mark.parametrize("queries", [2, 3, 17, 60])
@pytest.mark.parametrize("method", [black_box, nes_2018, spsa_2018])
def test_the_budget_is_spent_and_never_exceeded(method, queries):
    problem = linear(Identity((4, 4)), random_matrix(16))
    leader = search(problem, queries, method=method)
    assert problem.reconstructor.calls == leader.evaluations == queries


@pytest.mark.parametrize("method", [black_box, nes_2018, spsa_2018])
def test_the_seed_decides(method):
    problem = linear(Identity((6, 6)), random_matrix(36))
    first, again, other = (search(problem, 40, method=method, seed=s).variable for s in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("method", [black_box, nes_2018])
def test_an_image_does_not_depend_on_its_batch(lab, method):
    """Image 1 of 3 alone: the same witness, though the others have other radii and rise at other queries."""
    operator, network = Fourier(lab.some_mask(8)), lab.SmallCNN(2, torch.float64)
    y = operator.forward(operator.domain.randn(3, generator=lab.seeded(5), dtype=torch.float64))
    radius = torch.tensor([0.01, 0.3, 2.0], dtype=torch.float64)
    with torch.no_grad():
        clean = network(y, operator)

    def found(images):
        leader = Leader(torch.zeros_like(y[images]), planned=30)
        ball = MeasurementBall(operator, radius[images])
        problem = Problem(network, y[images], ball, DistanceToClean(clean[images]))
        method(problem, leader, queries=30, generator=lab.seeded(0))
        return leader.variable

    together = found([0, 1, 2])
    for image in range(3):
        torch.testing.assert_close(found([image])[0], together[image], rtol=1e-6, atol=1e-9)


SETS = {
    "linf": {"norm": "linf"},
    "region": {"region": torch.arange(64).reshape(8, 8) % 3 == 0},
    "linf in a region": {"norm": "linf", "region": torch.arange(64).reshape(8, 8) % 3 == 0},
    "floor": {"floor": -0.02 * torch.ones(1, 8, 8)},
}


# On 21 samples random corners of a cube come near the best corner, and random points of a sphere near its best point.
@pytest.mark.parametrize(("name", "more"), [("linf", 1.05), ("region", 1.1), ("linf in a region", 1.0), ("floor", 1.1)])
def test_every_query_is_feasible_in_every_set_and_the_search_beats_noise(name, more):
    problem = linear(Identity((8, 8)), random_matrix(64), radius=0.1, **SETS[name])
    worst = []

    class Watched(Leader):
        def offer(self, v, evaluation):
            worst.append(problem.constraint.violation(v).max().item())
            return super().offer(v, evaluation)

    leader = Watched(problem.constraint.space.zeros(1), planned=150)
    black_box(problem, leader, queries=150, generator=torch.Generator().manual_seed(0))
    assert len(worst) == 150
    assert max(worst) < 1e-6
    assert leader.value.item() > more * search(problem, 150, method=noise).value.item()


def test_largest_norm_against_all_corners():
    """8 samples: the exact optimum by enumeration of the 256 corners of the cube."""
    matrix = random_matrix(8, seed=2)
    problem = linear(Identity((2, 4)), matrix, radius=0.1, norm="linf")
    corners = np.array(np.meshgrid(*[[-0.1, 0.1]] * 8)).reshape(8, -1)
    exact = np.linalg.norm(matrix.numpy() @ corners, axis=0).max()
    assert search(problem, 60).value.item() > 0.9 * exact


def test_an_objective_that_pytorch_cannot_differentiate():
    """Its value takes the place of the image; the true worst case by SVD."""
    matrix = random_matrix(16)
    problem = linear(Identity((4, 4)), matrix)
    clean = problem.objective.clean.numpy()

    def in_numpy(image: Tensor) -> Tensor:
        return torch.from_numpy(np.linalg.norm((image.detach().numpy() - clean).reshape(len(clean), -1), axis=1))

    exact = 0.3 * np.linalg.svd(matrix.numpy(), compute_uv=False)[0]
    blind = search(problem.with_objective(in_numpy), 150)
    assert blind.value.item() > 0.97 * exact


def test_distance_to_the_truth_as_objective():
    """||M (y + e) - x|| over the ball, M invertible: the exact optimum from the secular equation is above, noise is below."""
    matrix = random_matrix(16)
    problem = linear(Identity((4, 4)), matrix)
    truth = problem.objective.clean + torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(8))
    problem = problem.with_objective(DistanceToTruth(truth))
    white = worst_case(
        lambda y, A: (y.flatten(1) @ matrix.T).reshape(y.shape),
        problem.constraint.operator,
        problem.measurement,
        radius=0.3,
        unit="absolute",
        objective="truth",
        truth=truth,
    )
    assert search(problem, 60).value.item() > 0.99 * white.objective.item()


def test_a_start_from_another_network_is_used():
    """The worst case itself as a start: found after two queries."""
    matrix = random_matrix(64)
    problem = linear(Identity((8, 8)), matrix)
    _, sigma, right = np.linalg.svd(matrix.numpy())
    start = torch.from_numpy(right[:1]).reshape(1, 1, 8, 8)
    assert search(problem, 2, starts=[start]).value.item() == pytest.approx(0.3 * sigma[0], rel=1e-4)
    assert search(problem, 2).value.item() < 0.25 * sigma[0]


def test_a_start_of_zeros_is_left():
    problem = linear(Identity((4, 4)), random_matrix(16))
    exact = 0.3 * np.linalg.svd(random_matrix(16).numpy(), compute_uv=False)[0]
    assert search(problem, 60, starts=[torch.zeros(1, 1, 4, 4)]).value.item() > 0.95 * exact


def test_a_search_by_gradients_is_continued_from_where_it_stood():
    """Image 0 has the worst case already and keeps it, image 1 has nothing; all queries are counted on the same leader."""
    matrix = random_matrix(16)
    problem = linear(Identity((4, 4)), matrix, batch=2)
    _, sigma, right = np.linalg.svd(matrix.numpy())
    leader = Leader(torch.zeros(2, 1, 4, 4), planned=61)
    known = torch.zeros(2, 1, 4, 4)
    known[0] = 0.3 * torch.from_numpy(right[0]).reshape(1, 4, 4)
    leader.offer(known, without_gradient(problem.score(known), known))
    leader.variable[1] = 0
    continue_without_gradient(problem, leader, queries=60, generator=torch.Generator().manual_seed(0))
    assert leader.evaluations == 61
    assert leader.value.tolist() == pytest.approx([0.3 * sigma[0]] * 2, rel=0.05)
    assert abs(leader.value[0].item() - 0.3 * sigma[0]) < 1e-4


def test_a_surrogate_that_resembles_the_box_carries_over():
    """The box is 0.8 of the surrogate plus something else; against the operator's pseudo-inverse, which tells nothing here."""
    known = random_matrix(144)
    problem = linear(Identity((12, 12)), 0.8 * known + 0.2 * random_matrix(144, seed=9))

    def resembling(y: Tensor, A) -> Tensor:
        return (y.flatten(1) @ known.T).reshape(y.shape)

    helped, plain = search(problem, 20, surrogate=resembling).value, search(problem, 20).value
    assert helped.item() > 1.15 * plain.item()


def test_little_memory_is_enough_to_go_on():
    matrix = random_matrix(36)
    problem = linear(Identity((6, 6)), matrix)
    exact = 0.3 * np.linalg.svd(matrix.numpy(), compute_uv=False)[0]
    assert search(problem, 300, memory=12).value.item() > 0.95 * exact


def test_an_image_that_breaks_is_the_worst_and_disturbs_no_other():
    """The network overflows for image 0 once the first sample passes a threshold; image 1 goes on."""
    gains = torch.linspace(1, 3, 16).reshape(4, 4)

    def breaking(y: Tensor, A) -> Tensor:
        image = gains * y
        image[0] = torch.where(image[0].norm() > 1e-3, torch.nan, image[0])
        return image

    y = torch.zeros(2, 1, 4, 4)
    problem = Problem(breaking, y, MeasurementBall(Identity((4, 4)), torch.tensor([1.0, 1.0])), DistanceToClean(y))
    found = search(problem, 60)
    assert found.value[0] == torch.inf
    assert torch.isfinite(found.variable).all()
    assert found.value[1].item() == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("wrong", [{"queries": 1}, {"queries": 10, "memory": 1}])
def test_a_budget_that_is_none_is_refused(wrong):
    problem = linear(Identity((4, 4)), random_matrix(16))
    with pytest.raises(SearchError, match="black box: budget"):
        black_box(problem, Leader(problem.measurement, planned=1), generator=torch.Generator(), **wrong)


def test_a_start_of_another_shape_is_refused():
    problem = linear(Identity((4, 4)), random_matrix(16))
    with pytest.raises(OperatorError, match="start"):
        search(problem, 10, starts=[torch.ones(1, 1, 2, 2)])


def test_more_than_score_attacks_on_equal_queries(lab):
    """A small network at 16 x 16: NES and SPSA as published find clearly less, and more than one draw of noise."""
    operator, network = Fourier(lab.some_mask(16)), lab.SmallCNN(1)
    y = operator.forward(operator.domain.randn(1, generator=lab.seeded(5)))
    with torch.no_grad():
        clean = network(y, operator)
    problem = Problem(network, y, MeasurementBall(operator, 0.1 * tensors.norm(y)), DistanceToClean(clean))
    ours, random = search(problem, 200).value, search(problem, 1, method=noise).value
    for method in (nes_2018, spsa_2018):
        theirs = search(problem, 200, method=method).value
        assert (random < theirs).all()
        assert (theirs < 0.9 * ours).all()
