"""The whole search against problems whose worst case is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.search.baseline import gaussian_baseline
from stabtest.search.worst_case import worst_case


def exact_gain(lab, network, operator, y, domain):
    return np.linalg.svd(lab.dense(network, operator, y, domain=domain), compute_uv=False)[0]


@pytest.mark.parametrize("domain", ["measurement", "image"])
@pytest.mark.parametrize("kind", ["RandomComplexLinear", "ConjugateMixing"])
def test_linear_network_gives_the_top_singular_value(lab, fourier, measurement, domain, kind):
    network = getattr(lab, kind)(8, seed=1)
    exact = exact_gain(lab, network, fourier, measurement[:1].to(torch.complex128), domain)
    worst = worst_case(network, fourier, measurement, radius=0.1, domain=domain, steps=60)
    assert (worst.distance / worst.radius / exact >= 0.999).all()
    assert (worst.distance / worst.radius / exact <= 1 + 1e-5).all()


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_filtered_back_projection_gives_the_top_singular_value(lab, domain):
    A = Radon(12, 9)
    y = A.forward(A.domain.randn(1, generator=lab.seeded(0)))

    def fbp(y, A):
        return A.pseudo_inverse(y)

    exact = exact_gain(lab, fbp, A, y.double(), domain)
    worst = worst_case(fbp, A, y, radius=0.05, domain=domain, steps=40)
    assert (worst.distance / worst.radius / exact).item() == pytest.approx(1, abs=1e-3)


def test_zero_filled_multi_coil_gives_the_top_singular_value(lab):
    maps = tensors.randn((3, 8, 8), dtype=torch.complex64, generator=lab.seeded(2))
    A = MultiCoilFourier(lab.some_mask(8), maps)
    y = A.forward(A.domain.randn(1, generator=lab.seeded(0)))

    def adjoint(y, A):
        return A.adjoint(y)

    exact = exact_gain(lab, adjoint, A, y.to(torch.complex128), "measurement")
    worst = worst_case(adjoint, A, y, radius=0.05, steps=60)
    assert (worst.gain / exact).item() == pytest.approx(1, abs=1e-3)


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
    worst = worst_case(network, A, y, radius=radius, relative=False, steps=40, restarts=6)
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
    worst = worst_case(planar, A, y, radius=radius, relative=False, steps=40, restarts=4)
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
    worst = worst_case(quadratic, Identity((1, 4)), y, radius=0.5, relative=False, steps=80, restarts=6)
    assert worst.distance.item() == pytest.approx(0.25 * max(map(abs, eigenvalues)), rel=1e-3)


@pytest.mark.parametrize("domain", ["measurement", "image"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_witness_is_feasible_measurable_and_reproduces_its_damage(lab, fourier, domain, dtype):
    y = fourier.forward(fourier.domain.randn(3, generator=lab.seeded(5), dtype=dtype))
    network = lab.SmallCNN(0, dtype)
    worst = worst_case(network, fourier, y, radius=0.1, domain=domain, steps=8)
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
    arguments = dict(radius=0.1, steps=2, restarts=0)
    in_data = worst_case(lab.SmallCNN(), fourier, measurement, **arguments)
    in_image = worst_case(lab.SmallCNN(), fourier, measurement, domain="image", **arguments)
    with_truth = worst_case(lab.SmallCNN(), fourier, measurement, domain="image", truth=truth, **arguments)
    torch.testing.assert_close(in_data.radius, 0.1 * tensors.norm(measurement))
    torch.testing.assert_close(in_image.radius, 0.1 * tensors.norm(fourier.pseudo_inverse(measurement)))
    torch.testing.assert_close(with_truth.radius, 0.1 * tensors.norm(truth))


def test_batch_equals_single(lab, fourier):
    y = fourier.forward(fourier.domain.randn(3, generator=lab.seeded(5), dtype=torch.float64))
    network = lab.SmallCNN(1, torch.float64)
    batch = worst_case(network, fourier, y, radius=torch.tensor([0.05, 0.1, 0.2]), steps=8)
    for i, radius in enumerate((0.05, 0.1, 0.2)):
        single = worst_case(network, fourier, y[i : i + 1], radius=radius, steps=8)
        torch.testing.assert_close(batch.perturbation[i], single.perturbation[0], rtol=1e-6, atol=1e-9)
        assert batch.status[i] == single.status[0]


def test_same_seed_same_witness_bit_for_bit(lab, fourier, measurement):
    a, b = (worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=6, generator=lab.seeded(3)) for _ in range(2))
    assert torch.equal(a.perturbation, b.perturbation)
    assert a.history == b.history


def test_stronger_than_gaussian_noise_of_the_same_norm(lab, fourier, measurement):
    network = lab.SmallCNN(2)
    worst = worst_case(network, fourier, measurement, radius=0.1, steps=10)
    noise = gaussian_baseline(network, fourier, measurement, radius=0.1, draws=50)
    assert (worst.relative_change > 1.05 * noise.amax(0)).all()


def test_distance_to_the_truth_hurts_more_by_its_own_measure(lab, fourier, measurement):
    truth = fourier.pseudo_inverse(measurement) + 0.3
    network = lab.SmallCNN(2)
    arguments = dict(radius=0.3, truth=truth, steps=20, restarts=2)
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

    worst = worst_case(lambda y, A: A.pseudo_inverse(y), fourier, measurement, radius=0.1, objective=pixel, steps=10)
    clean = fourier.pseudo_inverse(measurement)[:, 0, 3, 4].real
    reach = math.sqrt(fourier.mask.float().mean().item())  # norm of that row of F* M
    torch.testing.assert_close(worst.objective, clean + worst.radius * reach, rtol=1e-4, atol=1e-4)


def test_warm_start_is_used(lab, fourier, measurement):
    network = lab.SmallCNN(4)
    cold = worst_case(network, fourier, measurement, radius=0.2, steps=30)
    warm = worst_case(
        network, fourier, measurement, radius=0.2, steps=1, restarts=0, jacobian_steps=0, start=cold.variable * 0.01
    )
    assert (warm.objective >= cold.objective * (1 - 1e-5)).all()


def test_magnitude_network_is_held_against_magnitudes(fourier, measurement):
    truth = fourier.pseudo_inverse(measurement)
    worst = worst_case(lambda y, A: A.pseudo_inverse(y).abs(), fourier, measurement, radius=0.1, truth=truth, steps=3)
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
    worst = worst_case(network, fourier, measurement, radius=0.1, steps=8)
    assert worst.status == ["no usable gradient"] * 2
    assert worst.gradient_words == [word] * 2
    assert worst.gradient_healthy == [False] * 2
    assert (worst.violation <= 1e-6).all()


def test_blind_image_does_not_disturb_its_neighbour(lab, fourier, measurement):
    network, keep = lab.SmallCNN(1), torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    both = worst_case(lambda y, A: network(y, A) * keep, fourier, measurement, radius=0.1, steps=8)
    alone = worst_case(network, fourier, measurement[:1], radius=0.1, steps=8)
    assert both.status[1] == "no usable gradient"
    assert both.status[0] == alone.status[0]
    torch.testing.assert_close(both.relative_change[0], alone.relative_change[0], rtol=1e-4, atol=0)


def test_network_that_breaks_under_perturbation_is_flagged(fourier, measurement):
    """NaN output at admissible points: the worst there is, and never healthy."""

    def fragile(y, A):
        x = A.pseudo_inverse(y)
        change = tensors.norm(y - measurement)
        return torch.where((change > 0.5 * 0.1 * tensors.norm(measurement)).reshape(-1, 1, 1, 1), x * torch.nan, x)

    worst = worst_case(fragile, fourier, measurement, radius=0.1, steps=4)
    assert worst.gradient_healthy == [False, False]
    assert torch.isinf(worst.distance).all()


def test_evaluations_are_all_calls_of_the_network(lab, fourier, measurement):
    calls, inner = [], lab.SmallCNN()

    def network(y, A):
        calls.append(torch.is_grad_enabled())
        return inner(y, A)

    worst = worst_case(network, fourier, measurement, radius=0.1, steps=8)
    # Beside the evaluations: one for the clean image and one for the re-scored witness, both without gradient.
    assert len(calls) == worst.evaluations + 2
    assert calls.count(False) == 2


def test_progress_ends_within_its_plan(lab, fourier, measurement):
    heard = []
    worst_case(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=8, progress=lambda *now: heard.append(now))
    assert [done for done, _ in heard] == list(range(1, len(heard) + 1))
    assert len({planned for _, planned in heard}) == 1
    assert heard[-1][0] <= heard[-1][1]


def test_weights_gather_no_gradient(lab, fourier, measurement):
    network = lab.SmallCNN()
    worst_case(network, fourier, measurement, radius=0.1, steps=2)
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
        dict(radius=0.1, steps=0),
        dict(radius=0.1, restarts=0, jacobian_steps=0),
        dict(radius=0.1, objective="truth"),
        dict(radius=0.1, objective="ssim"),
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
    worst = worst_case(lambda y, A: A.pseudo_inverse(y), A, y, radius=0.1, steps=3)
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
