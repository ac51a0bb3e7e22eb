"""The whole search against problems whose worst case is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.operators.masks import cartesian_random
from stabtest.search.gaussian import gaussian_baseline
from stabtest.search.worst_case import worst_case


def exact_gain(lab, network, operator, y, domain):
    return np.linalg.svd(lab.dense(network, operator, y, domain=domain), compute_uv=False)[0]


@pytest.mark.parametrize("domain", ["measurement", "image"])
@pytest.mark.parametrize("kind", ["RandomComplexLinear", "ConjugateMixing"])
@pytest.mark.parametrize("seed", [1, 2])
def test_linear_network_gives_the_top_singular_value(lab, fourier, measurement, domain, kind, seed):
    """With the default budget; 100 evaluations leave less than 1e-4 (40: at worst 0.997 on the seeds 1 to 3)."""
    network = getattr(lab, kind)(8, seed=seed)
    exact = exact_gain(lab, network, fourier, measurement[:1].to(torch.complex128), domain)
    worst = worst_case(network, fourier, measurement, radius=0.1, domain=domain)
    assert (worst.distance / worst.radius / exact >= 0.9999).all()
    assert (worst.distance / worst.radius / exact <= 1 + 1e-5).all()


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_nearly_equal_singular_values_are_told_apart_by_a_larger_budget(lab, fourier, measurement, domain):
    """The second is 0.995 of the first: the hard case for any power method."""
    network = lab.ConjugateMixing(8, seed=4)
    matrix = lab.dense(network, fourier, measurement[:1].to(torch.complex128), domain=domain)
    exact, second = np.linalg.svd(matrix, compute_uv=False)[:2]
    assert 0.99 < second / exact < 1
    worst = worst_case(network, fourier, measurement[:1], radius=0.1, domain=domain, evaluations=200)
    assert 0.999 <= (worst.distance / worst.radius).item() / exact <= 1 + 1e-5


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_filtered_back_projection_gives_the_top_singular_value(lab, domain):
    A = Radon(12, 9)
    y = A.forward(A.domain.randn(1, generator=lab.seeded(0)))

    def fbp(y, A):
        return A.pseudo_inverse(y)

    exact = exact_gain(lab, fbp, A, y.double(), domain)
    worst = worst_case(fbp, A, y, radius=0.05, domain=domain, evaluations=40)
    assert (worst.distance / worst.radius / exact).item() == pytest.approx(1, abs=1e-3)


def test_zero_filled_multi_coil_gives_the_top_singular_value(lab):
    maps = tensors.randn((3, 8, 8), dtype=torch.complex64, generator=lab.seeded(2))
    A = MultiCoilFourier(lab.some_mask(8), maps)
    y = A.forward(A.domain.randn(1, generator=lab.seeded(0)))

    def adjoint(y, A):
        return A.adjoint(y)

    exact = exact_gain(lab, adjoint, A, y.to(torch.complex128), "measurement")
    worst = worst_case(adjoint, A, y, radius=0.05)
    assert (worst.gain / exact).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_linear_unet_gives_the_top_singular_value(lab, fourier, measurement, domain):
    """Convolution, stride, transposed convolution and a skip without activations: a U-Net that is a matrix."""
    generator = lab.seeded(3)
    down, up = (torch.randn(*shape, generator=generator, dtype=torch.float64) / 4 for shape in ((6, 2, 3, 3), (6, 2, 2, 2)))
    last = torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64) / 4

    def unet(y, A):
        x = A.pseudo_inverse(y)
        x = torch.cat([x.real, x.imag], 1)
        low = torch.nn.functional.conv2d(x, down.to(x.dtype), stride=2, padding=1)
        high = torch.nn.functional.conv_transpose2d(low, up.to(x.dtype), stride=2)
        out = torch.nn.functional.conv2d(torch.cat([x, high], 1), last.to(x.dtype), padding=1)
        return torch.complex(out[:, :1], out[:, 1:])

    exact = exact_gain(lab, unet, fourier, measurement[:1].to(torch.complex128), domain)
    worst = worst_case(unet, fourier, measurement, radius=0.1, domain=domain, evaluations=100)
    assert (worst.distance / worst.radius / exact >= 0.999).all()
    assert (worst.distance / worst.radius / exact <= 1 + 1e-5).all()


class Relu3(torch.nn.Module):
    """Two layers, eight kinks; three measured samples."""

    def __init__(self, seed):
        super().__init__()

        def draw(*shape):
            return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))

        self.inner, self.bias, self.outer = draw(8, 3), 0.3 * draw(8), draw(3, 8)

    def forward(self, y, operator):
        hidden = torch.relu(y.flatten(1) @ self.inner.to(y.dtype).T + self.bias.to(y.dtype))
        return (hidden @ self.outer.to(y.dtype).T).reshape(y.shape)


@pytest.mark.parametrize("seed", range(6))
def test_small_relu_network_against_a_dense_sampling_of_the_ball(seed):
    """Every region of a two-layer ReLU network in three dimensions is visited by the sampling."""
    A, y, radius = Identity((1, 3)), torch.full((1, 1, 1, 3), 0.2, dtype=torch.float64), 0.7
    network = Relu3(seed)
    count = 60_000
    k = torch.arange(count, dtype=torch.float64) + 0.5
    height, turn = 1 - 2 * k / count, math.pi * (1 + 5**0.5) * k
    width = (1 - height**2).sqrt()
    sphere = torch.stack([width * turn.cos(), width * turn.sin(), height], 1).reshape(-1, 1, 1, 3)
    exact = max(
        tensors.norm(network(y + radius * part * sphere, A) - network(y, A)).max().item()
        for part in (0.25, 0.5, 0.75, 0.9, 1.0)
    )
    worst = worst_case(network, A, y, radius=radius, unit="absolute", evaluations=200)
    assert worst.distance.item() / exact >= 0.999
    assert worst.distance.item() / exact <= 1.01  # the sampling's own spacing


@pytest.mark.parametrize("seed", range(4))
def test_two_dimensional_relu_network_against_every_angle(seed):
    A, radius = Identity((1, 3)), 0.5
    network = Relu3(seed + 20)
    angle = torch.arange(400_000, dtype=torch.float64) * (2 * math.pi / 400_000)
    circle = radius * torch.stack([angle.cos(), angle.sin(), 0 * angle], 1).reshape(-1, 1, 1, 3)
    y = torch.zeros(1, 1, 1, 3, dtype=torch.float64)

    def planar(y, A):
        return network(y * torch.tensor([1.0, 1.0, 0.0], dtype=y.dtype), A)

    exact = tensors.norm(planar(y + circle, A) - planar(y, A)).max().item()
    worst = worst_case(planar, A, y, radius=radius, unit="absolute", evaluations=100)
    assert worst.distance.item() / exact == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("eigenvalues", [(4.0, 2.0, 1.0, 0.5), (3.0, 1.0, -1.0, -4.0), (1.0, 0.9, -0.2, -0.5)])
def test_quadratic_map_on_the_sphere(eigenvalues):
    """f(y) = y' Q y at y = 0, where even the Jacobian vanishes: the worst case is R^2 max |eigenvalue|."""
    Q = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(7)))[0]
    Q = Q @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ Q.T

    def quadratic(y, A):
        v = y.flatten(1)
        return torch.einsum("bi,ij,bj->b", v, Q, v).reshape(-1, 1, 1, 1)

    y = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    worst = worst_case(quadratic, Identity((1, 4)), y, radius=0.5, unit="absolute", evaluations=40)
    assert worst.distance.item() == pytest.approx(0.25 * max(map(abs, eigenvalues)), rel=1e-3)
    assert worst.evaluations == 40  # the gradient passes for what it is, and no search without one follows


@pytest.mark.parametrize("domain", ["measurement", "image"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_witness_is_feasible_measurable_and_reproduces_its_damage(lab, fourier, domain, dtype):
    y = fourier.forward(fourier.domain.randn(3, generator=lab.seeded(5), dtype=dtype))
    network = lab.SmallCNN(0, dtype)
    worst = worst_case(network, fourier, y, radius=0.1, domain=domain, evaluations=8)
    v = worst.variable.to(torch.complex128)
    assert (tensors.norm(v) <= worst.radius.double() * (1 + 1e-6)).all()
    assert (worst.violation <= 1e-6).all()
    assert not worst.perturbation[..., ~fourier.mask].any()
    with torch.no_grad():
        change = network(y + worst.perturbation, fourier) - network(y, fourier)
    torch.testing.assert_close(tensors.norm(change), worst.distance)
    torch.testing.assert_close(worst.gain, worst.distance / tensors.norm(worst.perturbation))


def test_relative_radius_is_of_the_measurement_or_of_the_truth(lab, fourier, measurement):
    truth = 3 * fourier.pseudo_inverse(measurement)
    arguments = dict(radius=0.1, evaluations=2)
    in_data = worst_case(lab.SmallCNN(), fourier, measurement, **arguments)
    in_image = worst_case(lab.SmallCNN(), fourier, measurement, domain="image", **arguments)
    with_truth = worst_case(lab.SmallCNN(), fourier, measurement, domain="image", truth=truth, **arguments)
    torch.testing.assert_close(in_data.radius, 0.1 * tensors.norm(measurement))
    torch.testing.assert_close(in_image.radius, 0.1 * tensors.norm(fourier.pseudo_inverse(measurement)))
    torch.testing.assert_close(with_truth.radius, 0.1 * tensors.norm(truth))


@pytest.mark.parametrize("evaluations", [8, 45])
def test_batch_equals_single(lab, fourier, evaluations):
    """In float64. Over 45 evaluations rounding grows, so the perturbations agree to fewer digits than the damage."""
    y = fourier.forward(fourier.domain.randn(3, generator=lab.seeded(5), dtype=torch.float64))
    network = lab.SmallCNN(1, torch.float64)
    batch = worst_case(network, fourier, y, radius=torch.tensor([0.05, 0.1, 0.2]), evaluations=evaluations)
    for i, radius in enumerate((0.05, 0.1, 0.2)):
        single = worst_case(network, fourier, y[i : i + 1], radius=radius, evaluations=evaluations)
        torch.testing.assert_close(batch.objective[i], single.objective[0], rtol=1e-6, atol=0)
        torch.testing.assert_close(batch.perturbation[i], single.perturbation[0], rtol=1e-6, atol=1e-9)
        assert batch.status[i] == single.status[0]


def test_same_seed_same_witness_bit_for_bit(lab, fourier, measurement):
    a, b, other = (
        worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, evaluations=30, generator=lab.seeded(seed))
        for seed in (3, 3, 4)
    )
    assert torch.equal(a.perturbation, b.perturbation)
    assert a.history == b.history
    assert a.spread == b.spread or all(math.isnan(x) for x in a.spread + b.spread)
    assert not torch.equal(a.perturbation, other.perturbation)


def test_stronger_than_gaussian_noise_of_the_same_norm(lab, fourier, measurement):
    network = lab.SmallCNN(2)
    worst = worst_case(network, fourier, measurement, radius=0.1, evaluations=12)
    noise = gaussian_baseline(network, fourier, measurement, radius=0.1, draws=50)
    assert (worst.relative_change > 1.05 * noise.amax(0)).all()


def test_distance_to_the_truth_hurts_more_by_its_own_measure(lab, fourier, measurement):
    truth = fourier.pseudo_inverse(measurement) + 0.3
    network = lab.SmallCNN(2)
    arguments = dict(radius=0.3, truth=truth, evaluations=40)
    to_truth = worst_case(network, fourier, measurement, objective="truth", **arguments)
    to_clean = worst_case(network, fourier, measurement, objective="clean", **arguments)
    assert to_truth.relative_error is not None
    assert (to_truth.relative_error >= to_clean.relative_error * (1 - 1e-3)).all()
    assert (to_truth.relative_error > to_truth.clean_error).all()
    torch.testing.assert_close(to_truth.objective, to_truth.relative_error * tensors.norm(truth))


def test_users_own_objective(lab, fourier, measurement):
    """The damage at one pixel: linear, so that its worst case is known."""

    def pixel(x):
        return x[:, 0, 3, 4].real

    worst = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, radius=0.1, objective=pixel, evaluations=10)
    clean = fourier.pseudo_inverse(measurement)[:, 0, 3, 4].real
    reach = math.sqrt(fourier.mask.float().mean().item())  # norm of that row of F* M
    torch.testing.assert_close(worst.objective, clean + worst.radius * reach, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("restarts", [0, None])
@pytest.mark.parametrize("evaluations", [1, 2, 9])
def test_warm_start_is_used_and_never_loses(lab, fourier, measurement, restarts, evaluations):
    """The witness of an earlier search, of whatever norm, is the first point that is looked at."""
    network = lab.SmallCNN(4)
    cold = worst_case(network, fourier, measurement, radius=0.2, evaluations=40)
    for factor in (0.01, 1.0, 5.0):
        warm = worst_case(
            network,
            fourier,
            measurement,
            radius=0.2,
            evaluations=evaluations,
            restarts=restarts,
            start=cold.variable * factor,
        )
        assert (warm.objective >= cold.objective * (1 - 1e-5)).all()
        assert warm.evaluations == evaluations


@pytest.mark.parametrize("kind", ["norm", "region", "nonnegative"])
def test_warm_start_of_another_set_is_brought_to_this_one(lab, kind):
    A = Radon(8, 6)
    y = A(A.domain.randn(2, generator=lab.seeded(5)).abs())
    region = torch.zeros(A.range.shape, dtype=torch.bool)
    region[..., 2:6] = True
    options = {"norm": {"norm": "linf"}, "region": {"region": region}, "nonnegative": {"nonnegative": True}}[kind]
    warm = worst_case(lab.SmallCNN(), A, y, radius=0.1, evaluations=2, restarts=0, start=-10 * y, **options)
    assert (warm.violation <= 1e-6).all()
    assert (warm.objective > 0).all()


def test_magnitude_network_is_held_against_magnitudes(fourier, measurement):
    truth = fourier.pseudo_inverse(measurement)
    worst = worst_case(lambda y, A: A.pseudo_inverse(y).abs(), fourier, measurement, radius=0.1, truth=truth, evaluations=3)
    assert worst.clean_error is not None
    assert (worst.clean_error < 1e-5).all()


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (lambda y, A: torch.ones_like(y) + 0 * y, "zero"),
        (lambda y, A: A.pseudo_inverse(y.detach()), "disconnected"),
        (lambda y, A: torch.from_numpy(A.pseudo_inverse(y).numpy()), "disconnected"),
        (lambda y, A: y + 0 * torch.sqrt((y - y.detach()).abs()), "not finite"),
        (lambda y, A: torch.complex(torch.round(y.real), y.imag.detach()), "zero"),
    ],
)
def test_network_without_a_usable_gradient_is_not_called_stable(fourier, measurement, network, word):
    worst = worst_case(network, fourier, measurement, radius=0.1, evaluations=30, queries=5)
    assert worst.status == ["no usable gradient"] * 2
    assert worst.gradient_words == [word] * 2
    assert worst.gradient_healthy == [False] * 2
    assert (worst.violation <= 1e-6).all()


def test_blind_image_does_not_disturb_its_neighbour(lab, fourier, measurement):
    network, keep = lab.SmallCNN(1), torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    both = worst_case(lambda y, A: network(y, A) * keep, fourier, measurement, radius=0.1, evaluations=40, queries=5)
    alone = worst_case(network, fourier, measurement[:1], radius=0.1, evaluations=40)
    assert both.status[1] == "no usable gradient"
    assert both.status[0] == alone.status[0]
    assert (both.queries, alone.queries) == ((0, 5), ())
    assert both.gradient_names == ["healthy", "zero"]
    torch.testing.assert_close(both.relative_change[0], alone.relative_change[0], rtol=1e-4, atol=0)


def test_network_that_breaks_under_perturbation_is_flagged(fourier, measurement):
    """NaN output at admissible points: the worst there is, and never healthy."""

    def fragile(y, A):
        x = A.pseudo_inverse(y)
        change = tensors.norm(y - measurement)
        return torch.where((change > 0.5 * 0.1 * tensors.norm(measurement)).reshape(-1, 1, 1, 1), x * torch.nan, x)

    worst = worst_case(fragile, fourier, measurement, radius=0.1, evaluations=4)
    assert worst.gradient_healthy == [False, False]
    assert torch.isinf(worst.distance).all()


@pytest.mark.parametrize("evaluations", [1, 2, 7, 20, 60])
@pytest.mark.parametrize("case", ["default", "from zero", "warm start", "more starts", "warm start, more starts"])
def test_the_budget_is_spent_and_never_exceeded(fourier, measurement, lab, evaluations, case):
    calls = []

    def network(y, A):
        calls.append(torch.is_grad_enabled())
        x = A.pseudo_inverse(y)
        return x + torch.tanh(x.real)

    options = {
        "default": {},
        "from zero": dict(objective="truth", truth=fourier.pseudo_inverse(measurement) + 1),
        "warm start": dict(start=measurement),
        "more starts": dict(restarts=5),
        "warm start, more starts": dict(start=measurement, restarts=5),
    }[case]
    worst = worst_case(network, fourier, measurement, radius=0.1, evaluations=evaluations, check=False, **options)
    assert worst.evaluations == evaluations
    # Beside the evaluations: one for the clean image and one for the re-scored witness, both without gradient.
    assert len(calls) == evaluations + 2
    assert calls.count(False) == 2
    assert worst.paths[-1].evaluations == evaluations


@pytest.mark.parametrize("evaluations", [1, 2, 7, 20, 60])
def test_a_search_that_may_stop_early_exceeds_its_budget_neither(lab, fourier, measurement, evaluations):
    worst = worst_case(lab.SmallCNN(1), fourier, measurement, radius=0.1, evaluations=evaluations, stop_early=True)
    assert 1 <= worst.evaluations <= evaluations


def test_a_search_stops_early_where_nothing_is_to_be_gained(measurement, fourier):
    """An isometry: every direction does the same damage."""
    arguments = dict(radius=0.1, evaluations=200)
    whole = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, **arguments)
    early = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, stop_early=True, **arguments)
    assert whole.evaluations == 200
    assert early.evaluations <= 60
    assert early.status == ["converged", "converged"]
    torch.testing.assert_close(early.objective, whole.objective)


class Stairs:
    """Plays a damage that grows by a tenth with every evaluation: there is always more to be found."""

    def __init__(self):
        self.calls = 0

    def __call__(self, y, A):
        self.calls += 1
        return y * 1.1**self.calls


def test_a_search_that_still_rises_does_not_stop_early():
    A, y = Identity((2, 2)), torch.ones(1, 1, 2, 2)
    worst = worst_case(Stairs(), A, y, radius=0.1, evaluations=100, stop_early=True, check=False)
    assert worst.evaluations == 100
    assert worst.status == ["still rising"]


def test_one_image_that_rises_keeps_the_whole_batch_going():
    A, y, calls = Identity((2, 2)), torch.ones(2, 1, 2, 2), iter(range(1000))

    def network(y, A):
        return y * torch.tensor([1.0, 1.1 ** next(calls)]).reshape(2, 1, 1, 1)

    worst = worst_case(network, A, y, radius=0.1, evaluations=100, stop_early=True, check=False)
    assert worst.evaluations == 100
    assert worst.status == ["converged", "still rising"]


def test_one_path_never_says_that_it_has_converged(lab, fourier, measurement):
    worst = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, radius=0.1, evaluations=20)
    assert len(worst.paths) == 1
    assert worst.status == ["still rising"] * 2


def test_two_equal_paths_say_that_it_has(lab, fourier, measurement):
    worst = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, radius=0.1, evaluations=40)
    assert [(path.evaluations, path.fresh) for path in worst.paths] == [(20, True), (40, False)]
    assert worst.status == ["converged"] * 2


def two_hills(y, A):
    """Along the first axis a hill of 3, along the second one of 2, and a gap of no change between them."""
    heights = torch.tensor([3.0, 2.0]).reshape(1, 1, 1, 2).to(y)
    return heights * torch.relu(y - 0.8)


def test_spread_is_how_far_independent_paths_end_apart(lab, fourier, measurement):
    """Of the fresh paths alone, relative to the best of them."""
    rugged = worst_case(lab.SmallCNN(1), fourier, measurement, radius=1.0, evaluations=100)
    ends = np.stack([path.value.numpy() for path in rugged.paths if path.fresh])
    assert len(ends) == 3
    np.testing.assert_allclose(rugged.spread, 1 - ends.min(0) / ends.max(0), rtol=1e-4, atol=1e-6)
    smooth = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, radius=0.1, evaluations=60)
    assert smooth.spread == pytest.approx([0, 0], abs=1e-5)
    alone = worst_case(lab.SmallCNN(1), fourier, measurement, radius=0.1, evaluations=20)
    assert all(math.isnan(spread) for spread in alone.spread)


def test_a_warm_start_in_a_lesser_maximum_does_not_keep_the_search_there():
    """Two hills; the search is given the lower one, and has fresh starts to find the other."""
    A, y = Identity((1, 2)), torch.zeros(1, 1, 1, 2)
    lower = torch.tensor([[[[0.0, 1.0]]]])
    only = worst_case(two_hills, A, y, radius=1.0, unit="absolute", evaluations=60, restarts=0, start=lower, check=False)
    found = worst_case(two_hills, A, y, radius=1.0, unit="absolute", evaluations=200, restarts=8, start=lower, queries=0)
    assert only.objective.item() == pytest.approx(0.4, rel=1e-4)
    assert found.objective.item() == pytest.approx(0.6, rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_small_linear_map_in_the_largest_norm_against_all_corners(seed, norm):
    """A convex function is largest at a corner of the cube: 2^10 of them. And in the Euclidean ball by the SVD.

    Among corners there are many maxima; a path that has come to rest in one goes on from another (`stabtest.search.corners`).
    """
    matrix = np.random.default_rng(seed).normal(size=(7, 10))
    m, y = torch.from_numpy(matrix), torch.zeros(1, 1, 1, 10, dtype=torch.float64)
    corners = np.array(list(itertools.product([-0.3, 0.3], repeat=10)))
    exact = np.linalg.norm(corners @ matrix.T, axis=1).max()
    if norm == "l2":
        exact = 0.3 * np.linalg.svd(matrix, compute_uv=False)[0]
    worst = worst_case(
        lambda y, A: (y.flatten(1) @ m.T).reshape(-1, 1, 1, 7),
        Identity((1, 10)),
        y,
        radius=0.3,
        unit="absolute",
        norm=norm,
        evaluations=100,
    )
    assert 0.999 <= worst.distance.item() / exact <= 1 + 1e-9
    assert worst.gradient is not None
    assert worst.gradient.health == ("healthy",)  # at a measurement of zeros too


def test_a_region_of_the_samples_gives_the_singular_value_of_its_columns(lab, fourier, measurement):
    network = lab.ConjugateMixing(8, seed=1)
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[:, 3:6] = True
    matrix = lab.dense(network, fourier, measurement[:1].to(torch.complex128))
    columns = np.tile(region.flatten().numpy(), 2)
    exact = np.linalg.svd(matrix[:, columns], compute_uv=False)[0]
    radius = 0.3
    worst = worst_case(network, fourier, measurement, radius=radius, unit="absolute", region=region)
    np.testing.assert_allclose((worst.distance / radius / exact).numpy(), 1, atol=1e-3)
    assert not worst.perturbation[..., ~region].any()
    assert not worst.perturbation[..., ~fourier.mask].any()


def test_a_region_of_the_image_gives_the_singular_value_of_its_columns(lab, fourier, measurement):
    network = lab.ConjugateMixing(8, seed=1)
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[2:5, 1:4] = True
    matrix = lab.dense(network, fourier, measurement[:1].to(torch.complex128), domain="image")
    exact = np.linalg.svd(matrix[:, np.tile(region.flatten().numpy(), 2)], compute_uv=False)[0]
    worst = worst_case(network, fourier, measurement, radius=0.3, unit="absolute", domain="image", region=region)
    np.testing.assert_allclose((worst.distance / 0.3 / exact).numpy(), 1, atol=1e-3)
    assert worst.image_perturbation is not None
    assert not worst.image_perturbation[..., ~region].any()


@pytest.mark.parametrize("nonnegative", [False, True])
def test_samples_that_may_not_become_negative_against_the_closed_form(nonnegative):
    """``max -<w, y + e>`` over ``||e|| <= 1``: ``e = -w/||w||``, or, with ``e >= -y``, as far as the samples go."""
    w, y = np.array([5.0, 3.0, 1.0]), np.array([0.0, 0.2, 9.0])
    expected = -w / np.linalg.norm(w)
    if nonnegative:
        expected = np.array([0, -0.2, -np.sqrt(1 - 0.2**2)])
    worst = worst_case(
        lambda y, A: torch.from_numpy(w) * y,
        Identity((1, 3)),
        torch.from_numpy(y).reshape(1, 1, 1, 3),
        radius=1.0,
        unit="absolute",
        objective=lambda image: -image.sum((1, 2, 3)),
        nonnegative=nonnegative,
        evaluations=20,
    )
    np.testing.assert_allclose(worst.perturbation.numpy().ravel(), expected, atol=1e-6)
    assert worst.objective.item() == pytest.approx(-w @ (y + expected))


def test_progress_ends_within_its_plan(lab, fourier, measurement):
    heard = []
    worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, evaluations=25, progress=lambda *now: heard.append(now))
    assert heard == [(k, 25) for k in range(1, 26)]


def test_weights_gather_no_gradient(lab, fourier, measurement):
    network = lab.SmallCNN()
    worst_case(network, fourier, measurement, radius=0.1, evaluations=2)
    assert all(weight.grad is None for weight in network.parameters())


def test_measurement_of_zeros_is_refused(lab, fourier):
    with pytest.raises(SearchError, match="zeros"):
        worst_case(lab.SmallCNN(), fourier, fourier.range.zeros(1), radius=0.1)


def test_network_with_nan_on_clean_data_is_refused(fourier, measurement):
    with pytest.raises(NetworkError, match="finite"):
        worst_case(lambda y, A: y * torch.nan, fourier, measurement, radius=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(radius=-0.1),
        dict(radius=torch.ones(3)),
        dict(radius=0.1, evaluations=0),
        dict(radius=0.1, restarts=0),
        dict(radius=0.1, restarts=-1),
        dict(radius=0.1, objective="truth"),
        dict(radius=0.1, objective="psnr"),
        dict(radius=0.1, steps=20),
        dict(radius=0.1, relative=False),
        dict(radius=0.1, unit="percent"),
        dict(radius=2, unit="noise"),
        dict(radius=0.1, norm="l1"),
        dict(radius=0.1, nonnegative=True),
        dict(radius=0.1, domain="k-space"),
    ],
)
def test_wrong_set_up_is_refused(lab, fourier, measurement, arguments):
    with pytest.raises(SearchError):
        worst_case(lab.SmallCNN(), fourier, measurement, **arguments)


def test_odd_mask_and_one_sample():
    mask = torch.zeros(5, 7, dtype=torch.bool)
    mask[2, 3] = True
    A = Fourier(mask)
    y = A.forward(torch.ones(1, 1, 5, 7, dtype=torch.complex64))
    worst = worst_case(lambda y, A: A.pseudo_inverse(y), A, y, radius=0.1, evaluations=3)
    assert worst.gain.item() == pytest.approx(1, rel=1e-5)


def cliff(y, A):
    """Half the image, and NaN as soon as one pixel falls below 0.999; finite for smaller perturbations."""
    return 0.5 * y + 0 * torch.log(y[:, :, 3:4, 3:4] - 0.999)


@pytest.mark.parametrize("objective", ["clean", "truth"])
def test_nan_under_an_admissible_perturbation_is_the_worst_case(objective):
    A, y = Identity((8, 8)), torch.ones(2, 1, 8, 8)
    worst = worst_case(cliff, A, y, radius=0.05, truth=0.9 * y, objective=objective)
    for figure in (worst.objective, worst.distance, worst.relative_change, worst.gain, worst.relative_error):
        assert torch.isinf(figure).all()
    assert (worst.violation <= 1e-6).all()
    assert not torch.isfinite(cliff(y + worst.perturbation, A)).flatten(1).all(1).any()
    assert worst.status == ["converged", "converged"]


def test_a_network_that_stays_finite_in_the_ball_has_finite_damage():
    """The control: the same network in a ball too small to reach the cliff."""
    A, y = Identity((8, 8)), torch.ones(1, 1, 8, 8)
    worst = worst_case(cliff, A, y, radius=1e-4)
    assert worst.gain.item() == pytest.approx(0.5, rel=1e-4)


def test_nan_that_a_fresh_look_does_not_find_leaves_the_search_open():
    """A network that breaks in one call of many: nothing to show, and nothing to rely on."""
    calls = iter(range(1000))
    A, y = Identity((4, 4)), torch.ones(1, 1, 4, 4)
    worst = worst_case(lambda y, A: 2 * y * (torch.nan if next(calls) == 10 else 1), A, y, radius=0.1)
    assert torch.isfinite(worst.relative_change).all()
    assert worst.status == ["still rising"]


def straight_through(y, A):
    """Rounds, and says that it does not."""
    x = A.pseudo_inverse(y).real
    return x + (torch.round(8 * x) / 8 - x).detach() * 3 + 2 * (x.roll(1, -1) - x).detach()


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (lambda y, A: torch.from_numpy(A.pseudo_inverse(y).numpy()), "disconnected"),
        (straight_through, "wrong"),
        (lambda y, A: torch.nn.functional.dropout(A.pseudo_inverse(y).real, 0.3, training=True), "stochastic"),
    ],
)
def test_a_gradient_that_misleads_is_named_and_the_search_goes_on_without(fourier, measurement, network, name):
    settings = {"radius": 0.1, "evaluations": 20}
    worst = worst_case(network, fourier, measurement, **settings)
    assert worst.gradient is not None
    assert worst.gradient.health == (name,) * 2
    assert worst.status == ["no usable gradient"] * 2
    assert worst.gradient_names == [name] * 2
    assert worst.evaluations > 20
    assert worst.queries == (200, 200)
    without = worst_case(network, fourier, measurement, queries=0, **settings)
    assert without.evaluations <= 20
    assert without.queries == ()
    assert without.status == ["no usable gradient"] * 2


@pytest.mark.parametrize("queries", [None, 0])
def test_a_rough_gradient_is_followed_and_a_black_box_search_comes_after(queries):
    """Kinks far closer together than the steps."""

    def wavy(y, A):
        x = A.pseudo_inverse(y).real
        return x + 2 * 5e-5 * (torch.remainder(x / 5e-5, 1.0) - 0.5).abs()

    operator = Fourier(cartesian_random((32, 32), acceleration=2, seed=0))
    y = operator.forward(operator.domain.randn(2, generator=torch.Generator().manual_seed(0)))
    worst = worst_case(wavy, operator, y, radius=0.1, evaluations=20, queries=queries)
    assert worst.gradient is not None
    assert worst.gradient.health == ("rough",) * 2
    assert worst.gradient_names == ["rough"] * 2
    assert "no usable gradient" not in worst.status
    assert worst.queries == ((200, 200) if queries is None else ())
    without = worst_case(wavy, operator, y, radius=0.1, evaluations=20, queries=0)
    assert bool((worst.distance >= without.distance * (1 - 1e-6)).all())


def test_without_a_gradient_the_black_box_search_finds_what_there_is(fourier, measurement):
    """A linear map in NumPy: its worst case is known from the same map with a gradient."""

    def gained(x):
        return x + torch.cumsum(x, -1) / 4

    known = worst_case(lambda y, A: gained(A.pseudo_inverse(y)), fourier, measurement, radius=0.1, evaluations=60)
    blind = worst_case(lambda y, A: gained(A.pseudo_inverse(y)).detach(), fourier, measurement, radius=0.1, evaluations=40)
    none = worst_case(lambda y, A: gained(A.pseudo_inverse(y)).detach(), fourier, measurement, radius=0.1, queries=0)
    assert known.status == ["converged"] * 2
    assert (blind.distance > 0.98 * known.distance).all()
    assert (none.distance < 0.8 * known.distance).all()
    assert (blind.violation < 1e-6).all()


def test_a_gradient_that_was_not_examined_is_named_by_what_the_search_met(fourier, measurement):
    settings = {"radius": 0.1, "evaluations": 6, "check": False, "queries": 5}
    cut = worst_case(lambda y, A: A.pseudo_inverse(y.detach()), fourier, measurement, **settings)
    sound = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, **settings)
    assert cut.gradient_names == ["disconnected"] * 2
    assert sound.gradient_names == [None] * 2


@pytest.mark.parametrize("seed", range(4))
def test_a_start_without_a_gradient_leaves_its_budget_to_others(seed):
    """Alive on a small cap of the circle only: most starts see nothing at all."""
    A, y = Identity((1, 2)), torch.zeros(1, 1, 1, 2)

    def awake_on_a_cap(y, A):
        return torch.relu(y[..., :1] - 0.9).expand(-1, 1, 1, 2)

    generator = torch.Generator().manual_seed(seed)
    worst = worst_case(
        awake_on_a_cap, A, y, radius=1.0, unit="absolute", check=False, queries=0, generator=generator
    )  # the cap is a seventh of the circle
    assert worst.objective.item() == pytest.approx(0.1 * math.sqrt(2), rel=1e-4)


def test_a_network_that_is_dead_everywhere_ends_soon():
    A, y = Identity((1, 2)), torch.zeros(1, 1, 1, 2)
    worst = worst_case(
        lambda y, A: torch.relu(y - 5), A, y, radius=1.0, unit="absolute", evaluations=200, check=False, queries=0
    )
    assert worst.objective.item() == 0
    assert worst.evaluations < 200
    assert worst.status == ["no usable gradient"]
