"""Evaluations in chunks against evaluations of the whole batch; memory that runs out; the search in bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Radon
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.memory import Memory, out_of_memory
from stabtest.search.objectives import DistanceToClean, LocalDamage
from stabtest.search.precision import forward_in, joined_in
from stabtest.search.problem import GradientHealth, Problem
from stabtest.search.worst_case import worst_case


class Limited:
    """A network that a machine with memory for so many images can run; counts its calls."""

    def __init__(self, network, images: int, *, with_graph: int | None = None) -> None:
        self.network, self.images, self.with_graph = network, images, images if with_graph is None else with_graph
        self.calls: list[int] = []

    def __call__(self, y: Tensor, operator) -> Tensor:
        self.calls.append(len(y))
        if len(y) > (self.with_graph if torch.is_grad_enabled() else self.images):
            raise torch.OutOfMemoryError(f"CUDA out of memory: {len(y)} images")
        return self.network(y, operator)


def make(lab, network, *, kind=MeasurementBall, batch=5, objective=None, **settings):
    A = Fourier(lab.some_mask(8))
    y = A.forward(A.domain.randn(batch, generator=lab.seeded(5), dtype=torch.float64))
    objective = DistanceToClean(network(y, A)) if objective is None else objective(network(y, A))
    ball = kind(A, torch.linspace(0.5, 2, batch, dtype=torch.float64))
    return Problem(network, y, ball, objective, **settings)


def point(lab, problem, seed=1):
    return problem.constraint.maximise_linear(
        problem.constraint.space.randn(problem.batch, generator=lab.seeded(seed), dtype=torch.float64)
    )


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kind", [MeasurementBall, ImageBall])
def test_value_and_gradient_in_chunks_are_those_of_the_whole_batch(lab, kind, chunk):
    network = lab.SmallCNN(dtype=torch.float64)
    whole, parts = (make(lab, network, kind=kind, memory=Memory(size)) for size in (None, chunk))
    v = point(lab, whole)
    expected, came = whole.evaluate(v), parts.evaluate(v)
    torch.testing.assert_close(came.value, expected.value, rtol=1e-12, atol=0)
    torch.testing.assert_close(came.gradient, expected.gradient, rtol=1e-10, atol=1e-14)
    assert came.health.tolist() == [GradientHealth.USABLE] * 5


def test_an_objective_of_the_users_own_sees_the_whole_batch(lab):
    """Weights per image: an objective that was handed a chunk would fail or weigh wrongly."""
    weights = torch.arange(1, 6, dtype=torch.float64)

    def make_objective(clean):
        return lambda image: weights * (image - clean).abs().flatten(1).amax(1)

    network = lab.SmallCNN(dtype=torch.float64)
    whole, parts = (make(lab, network, objective=make_objective, memory=Memory(size)) for size in (None, 2))
    v = point(lab, whole)
    torch.testing.assert_close(parts.evaluate(v).gradient, whole.evaluate(v).gradient, rtol=1e-10, atol=1e-14)


def test_chunks_never_exceed_their_size_and_cost_one_forward_more(lab):
    network = Limited(lab.SmallCNN(dtype=torch.float64), 100)
    problem = make(lab, network, memory=Memory(2))
    network.calls.clear()
    problem.evaluate(point(lab, problem))
    assert network.calls == [2, 2, 1, 2, 2, 1]


def test_out_of_memory_halves_the_chunk_and_the_gradient_is_that_of_the_whole_batch(lab):
    plain = lab.SmallCNN(dtype=torch.float64)
    whole = make(lab, plain)
    v = point(lab, whole)
    limited = Problem(Limited(plain, 5, with_graph=2), whole.measurement, whole.constraint, whole.objective)
    torch.testing.assert_close(limited.evaluate(v).gradient, whole.evaluate(v).gradient, rtol=1e-10, atol=1e-14)
    assert limited.memory.chunk == 2
    assert whole.memory.chunk is None


def test_the_smaller_chunk_is_kept(lab):
    network = Limited(lab.SmallCNN(dtype=torch.float64), 5, with_graph=2)
    whole = make(lab, lab.SmallCNN(dtype=torch.float64))
    problem = Problem(network, whole.measurement, whole.constraint, whole.objective)
    v = point(lab, whole)
    problem.evaluate(v)
    network.calls.clear()
    problem.with_radius(problem.constraint.radius / 2).evaluate(v)
    assert network.calls == [2, 2, 1, 2, 2, 1]


def test_one_image_that_does_not_fit_ends_with_the_remedy(lab):
    whole = make(lab, lab.SmallCNN(dtype=torch.float64))
    network = Limited(lab.SmallCNN(dtype=torch.float64), 5, with_graph=0)
    problem = Problem(network, whole.measurement, whole.constraint, whole.objective)
    with pytest.raises(SearchError, match=r"one image does not fit.*checkpointing"):
        problem.evaluate(point(lab, whole))


def test_scoring_halves_as_well(lab):
    whole = make(lab, lab.SmallCNN(dtype=torch.float64))
    problem = Problem(Limited(whole.reconstructor, 2), whole.measurement, whole.constraint, whole.objective)
    v = point(lab, whole)
    torch.testing.assert_close(problem.score(v), whole.score(v), rtol=1e-12, atol=0)


def test_a_reconstruction_with_its_graph_goes_in_chunks_too(lab):
    plain = make(lab, lab.SmallCNN(dtype=torch.float64))
    network = Limited(plain.reconstructor, 5, with_graph=2)
    limited = Problem(network, plain.measurement, plain.constraint, plain.objective)
    slopes = []
    for problem in (plain, limited):
        e = point(lab, plain).requires_grad_(True)
        slopes.append(torch.autograd.grad(tensors.norm(problem.reconstruct(e)).sum(), e)[0])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-10, atol=1e-14)
    assert max(network.calls[1:]) == 2


def test_copies_that_fit_whole_need_no_second_pass(lab):
    network = Limited(lab.SmallCNN(dtype=torch.float64), 100)
    problem = make(lab, network, batch=2, memory=Memory(5)).repeated(4)
    network.calls.clear()
    problem.evaluate(point(lab, problem))
    assert network.calls == [4, 4]


@pytest.mark.parametrize("chunk", [None, 1, 2, 4, 5])
def test_copies_are_evaluated_each_by_the_objective_of_the_batch(lab, chunk):
    """The damage is relative to each image's own maximum, so the order of the images matters."""
    network = lab.SmallCNN(dtype=torch.float64)
    single = make(lab, network, batch=2, objective=LocalDamage)
    problem = make(lab, network, batch=2, objective=LocalDamage, memory=Memory(chunk)).repeated(3)
    points = [point(lab, single, seed) for seed in (1, 2, 3)]
    came = problem.evaluate(torch.cat(points))
    expected = [single.evaluate(v) for v in points]
    torch.testing.assert_close(came.value, torch.cat([one.value for one in expected]), rtol=1e-10, atol=0)
    torch.testing.assert_close(came.gradient, torch.cat([one.gradient for one in expected]), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda y, A: 2 * y.detach(), "disconnected"),
        (lambda y, A: torch.from_numpy(2 * y.numpy()), "disconnected"),
        (lambda y, A: torch.ones_like(y) + 0 * y, "zero"),
        (lambda y, A: y + 0 * torch.sqrt(y - y.detach()), "not finite"),
        (lambda y, A: 2 * y, "usable"),
    ],
)
def test_health_in_chunks_is_that_of_the_whole_batch(network, words):
    A = Radon(8, 5)
    y = A.forward(torch.ones(3, 1, 8, 8))
    objective = DistanceToClean(torch.zeros_like(y))
    v = 0.1 * torch.ones_like(y)
    for memory in (Memory(), Memory(2)):
        evaluation = Problem(network, y, MeasurementBall(A, torch.ones(3)), objective, memory=memory).evaluate(v)
        assert [GradientHealth(code).words for code in evaluation.health.tolist()] == [words] * 3
        assert torch.isfinite(evaluation.value).all()


def test_a_true_error_is_not_taken_for_memory(lab):
    problem = make(lab, lab.SmallCNN(dtype=torch.float64), memory=Memory(2))

    def broken(y, operator):
        raise RuntimeError("weights of layer 3 do not fit")

    with pytest.raises(RuntimeError, match="layer 3"):
        Problem(broken, problem.measurement, problem.constraint, problem.objective, memory=Memory(2)).evaluate(
            point(lab, problem)
        )


def test_what_pytorch_says_when_the_machine_has_no_memory_left_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))


def test_chunk_must_be_positive():
    with pytest.raises(SearchError, match="chunk"):
        Memory(0)


def test_search_on_a_machine_that_is_too_small_finds_the_same_and_says_so(lab, fourier):
    y = fourier.forward(fourier.domain.randn(5, generator=lab.seeded(2)))
    network = lab.SmallCNN()
    free = worst_case(network, fourier, y, radius=0.1, evaluations=12)
    tight = worst_case(Limited(network, 4, with_graph=2), fourier, y, radius=0.1, evaluations=12)
    assert (free.chunk, tight.chunk) == (None, 2)
    assert tight.evaluations == free.evaluations == 12
    torch.testing.assert_close(tight.objective, free.objective, rtol=1e-3, atol=0)


def test_chunked_search_asked_for(lab, fourier, measurement):
    worst = worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, evaluations=4, chunk=1)
    assert worst.chunk == 1


class Wide(torch.nn.Module):
    """Convolutions wide enough that bfloat16 sums matter, with a complex output joined inside of the network."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(2, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 2, 3, padding=1)
            )
        self.seen: list[torch.dtype] = []

    def forward(self, y: Tensor, operator) -> Tensor:
        x = operator.pseudo_inverse(y)
        out = self.layers(torch.cat([x.real, x.imag], 1))
        self.seen.append(out.dtype)
        image = torch.complex(out[:, :1], out[:, 1:])
        return x + torch.fft.ifft2(torch.fft.fft2(image))


@pytest.fixture
def wide_problem(lab):
    A = Fourier(lab.some_mask(16))
    return Wide().requires_grad_(False), A, A.forward(A.domain.randn(2, generator=lab.seeded(1)))


def test_bfloat16_search_is_within_one_per_cent_and_its_witness_is_scored_in_float32(wide_problem):
    network, A, y = wide_problem
    exact = worst_case(network, A, y, radius=0.1, evaluations=20)
    network.seen.clear()
    coarse = worst_case(network, A, y, radius=0.1, evaluations=20, precision="bfloat16")
    assert network.seen[0] == network.seen[-1] == torch.float32  # the clean image and the witness
    assert network.seen.count(torch.bfloat16) >= 20
    assert (coarse.objective >= 0.99 * exact.objective).all()
    again = tensors.norm(network(y + coarse.perturbation, A) - network(y, A))
    torch.testing.assert_close(coarse.objective, again, rtol=1e-6, atol=0)


@pytest.mark.parametrize("chunk", [None, 1])
def test_bfloat16_gradient_points_where_the_float32_gradient_points(wide_problem, lab, chunk):
    network, A, y = wide_problem
    ball, objective = MeasurementBall(A, torch.ones(2)), DistanceToClean(network(y, A))
    v = ball.maximise_linear(A.range.randn(2, generator=lab.seeded(4)))
    fine = Problem(network, y, ball, objective).evaluate(v).gradient
    coarse = Problem(network, y, ball, objective, precision="bfloat16", memory=Memory(chunk)).evaluate(v).gradient
    assert coarse.dtype == fine.dtype
    cosine = tensors.inner(tensors.normalise(fine), tensors.normalise(coarse))
    assert (cosine > 0.999).all()
    assert not torch.equal(fine, coarse)  # control: it did run in bfloat16


def test_without_the_help_complex_parts_in_bfloat16_are_refused():
    """Control: should PyTorch learn to join them, the mode can go."""
    half = torch.ones(2, 2, dtype=torch.bfloat16)
    with pytest.raises(RuntimeError), forward_in("bfloat16", torch.device("cpu")):
        torch.complex(half, half)
    with joined_in("bfloat16"), forward_in("bfloat16", torch.device("cpu")):
        assert torch.complex(half, half).dtype == torch.complex64
        assert torch.polar(abs=half, angle=half).dtype == torch.complex64
        assert torch.fft.fft(half).dtype == torch.complex64


def test_tomography_projects_in_float32(lab):
    A = Radon(16, 9)
    y = A.forward(torch.rand(2, 1, 16, 16, generator=lab.seeded(2)))
    network = lab.SmallCNN()
    fine, coarse = (worst_case(network, A, y, radius=0.1, evaluations=8, precision=p) for p in ("float32", "bfloat16"))
    torch.testing.assert_close(coarse.objective, fine.objective, rtol=1e-2, atol=0)


def test_unknown_precision_is_refused(lab, fourier, measurement):
    with pytest.raises(SearchError, match="precision"):
        worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, precision="float16")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_that_runs_out_is_divided(lab):
    A = Fourier(lab.some_mask(64))
    y = A.forward(A.domain.randn(8, generator=lab.seeded(1))).cuda()
    network = lab.SmallCNN().cuda()
    free = worst_case(network, A, y, radius=0.1, evaluations=6)
    used = torch.cuda.memory_allocated()
    limit = (used + 10 * 2**20) / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(limit)
    try:
        tight = worst_case(network, A, y, radius=0.1, evaluations=6)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert tight.chunk is not None
    torch.testing.assert_close(tight.objective, free.objective, rtol=1e-2, atol=0)
