"""One perturbation for many images, against problems whose optimum is known."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators import Fourier, Identity, Radon
from stabtest.search.many import Many, aggregated
from stabtest.search.universal import universal
from stabtest.search.worst_case import worst_case


class Switch(torch.nn.Module):
    """Another linear map for each image, told by the first pixel, which takes no part: ``f(y) = y0-th matrix times y``."""

    def __init__(self, matrices):
        super().__init__()
        self.matrices = matrices

    def forward(self, y, operator):
        flat = y.flatten(1)
        index = flat[:, 0].detach().round().abs().long()
        out = torch.einsum("bij,bj->bi", self.matrices[index].to(y.dtype), flat)
        return out.reshape(y.shape)


def switch(images, pixels, seed, *, diagonal=False):
    """Network, measurements, and the Jacobians in NumPy."""
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.randn(images, pixels, pixels, generator=generator, dtype=torch.float64)
    if diagonal:
        matrices = torch.diag_embed(matrices.diagonal(dim1=1, dim2=2))
    matrices[:, :, 0] = 0  # the label does nothing
    y = torch.randn(images, 1, 1, pixels, generator=generator, dtype=torch.float64)
    y[:, 0, 0, 0] = torch.arange(images, dtype=torch.float64)
    network = Switch(matrices)
    sizes = tensors.norm(network(y, None)).numpy()
    return network, y, [matrix.numpy() / size for matrix, size in zip(matrices, sizes)]


R = 0.01


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_squares_of_linear_maps_is_the_eigenvector_of_a_sum(seed):
    network, y, jacobians = switch(5, 12, seed)
    found = universal(network, Identity((1, 12)), y, radius=R, relative=False, aggregate="rms", steps=60, chunk=2)
    values, vectors = np.linalg.eigh(sum(J.T @ J for J in jacobians) / len(jacobians))
    assert found.value / (R * np.sqrt(values[-1])) == pytest.approx(1, abs=1e-3)
    assert abs(found.perturbation.numpy().ravel() @ vectors[:, -1]) / R >= 0.99


@pytest.mark.parametrize("domain", ["measurement", "image"])
def test_complex_and_masked_against_dense_matrices(lab, fourier, measurement, domain):
    """One real-linear map, different images: the norms of the images decide the weights, the direction is the singular vector."""
    network = lab.ConjugateMixing(8, seed=1)
    exact = np.linalg.svd(lab.dense(network, fourier, measurement[:1].to(torch.complex128), domain=domain), compute_uv=False)[0]
    sizes = tensors.norm(network(measurement, fourier)).numpy()
    found = universal(network, fourier, measurement, radius=R, relative=False, domain=domain, aggregate="rms", steps=80)
    assert found.value == pytest.approx(R * exact * np.sqrt(np.mean(sizes**-2.0)), rel=1e-3)
    assert found.violation <= 1e-6
    expected = fourier.forward(found.variable) if domain == "image" else found.variable
    assert torch.equal(found.perturbation, expected)
    assert torch.equal(fourier.restrict(found.perturbation), found.perturbation)


def test_filtered_back_projection_of_several_sinograms(lab):
    A = Radon(12, 9)
    y = A.forward(A.domain.randn(3, generator=lab.seeded(0)))

    def fbp(y, A):
        return A.pseudo_inverse(y)

    exact = np.linalg.svd(lab.dense(fbp, A, y[:1].double()), compute_uv=False)[0]
    sizes = tensors.norm(fbp(y, A)).numpy()
    found = universal(fbp, A, y, radius=R, relative=False, steps=40)
    assert found.value == pytest.approx(R * exact * np.mean(1 / sizes), rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_minimum_of_diagonal_maps_is_a_linear_program(seed):
    """With ``q = e^2`` on the simplex, ``phi_i^2 = (D_i^2) q``: the largest minimum is an LP."""
    network, y, jacobians = switch(3, 10, seed, diagonal=True)
    squares = np.array([np.diag(J) ** 2 for J in jacobians])
    images, pixels = squares.shape
    program = linprog(
        np.r_[np.zeros(pixels), -1],
        A_ub=np.c_[-squares, np.ones(images)],
        b_ub=np.zeros(images),
        A_eq=[np.r_[np.ones(pixels), 0]],
        b_eq=[1],
    )
    exact = R * np.sqrt(-program.fun)
    found = universal(network, Identity((1, pixels)), y, radius=R, relative=False, aggregate="minimum", steps=40)
    assert found.value <= exact * (1 + 1e-6)
    assert found.value >= 0.9 * exact
    by_mean = universal(network, Identity((1, pixels)), y, radius=R, relative=False, steps=40)
    # By the mean alone, the least of the images may be far behind; never ahead.
    assert found.value >= by_mean.relative_change.min().item() * 0.999
    if seed == 0:
        assert found.value > by_mean.relative_change.min().item() * 1.05


def test_a_quantile_is_higher_than_what_the_mean_leaves_it(lab):
    network, y, _ = switch(8, 12, 6)
    common = dict(radius=R, relative=False, steps=40)
    by_mean = universal(network, Identity((1, 12)), y, **common)
    for share in (0.25, 0.5):
        found = universal(network, Identity((1, 12)), y, aggregate=share, **common)
        assert found.value >= 1.1 * aggregated(by_mean.relative_change, share).item()
        assert (found.relative_change >= found.value).double().mean() >= 1 - share


def test_one_image_is_the_worst_case(lab, fourier, measurement):
    network = lab.SmallCNN()
    found = universal(network, fourier, measurement[:1], radius=0.1, steps=24)
    worst = worst_case(network, fourier, measurement[:1], radius=0.1)
    assert found.value == pytest.approx(worst.relative_change.item(), rel=0.02)
    assert found.radius == pytest.approx(worst.radius.item(), rel=1e-6)


def test_no_more_than_the_worst_case_of_each_and_more_than_noise(lab, fourier, measurement):
    network = lab.SmallCNN(1)
    found = universal(network, fourier, measurement, radius=0.1, steps=16)
    own = worst_case(network, fourier, measurement, radius=torch.tensor([found.radius] * 2), unit="absolute")
    assert (found.relative_change <= own.relative_change * 1.001).all()
    assert found.value > found.noise.mean(1).max()
    assert found.noise.shape == (8, 2)


def test_the_size_of_the_chunks_does_not_matter(lab, fourier):
    y = fourier.forward(fourier.domain.randn(3, generator=lab.seeded(5)))
    mixing = lab.ConjugateMixing(8, seed=2)

    def network(y, A):
        return torch.sgn(x := mixing(y, A)) * x.abs().sqrt()  # bends

    for aggregate in ("mean", 0.5):
        found = [
            universal(
                network,
                fourier,
                y.to(torch.complex128),
                radius=0.1,
                steps=2,
                restarts=0,
                jacobian_steps=1,
                chunk=chunk,
                aggregate=aggregate,
            )
            for chunk in (1, 2, 3)
        ]
        for other in found[1:]:
            torch.testing.assert_close(other.perturbation, found[0].perturbation, rtol=1e-6, atol=1e-9)


def test_memory_is_that_of_a_chunk(lab, fourier):
    seen, inner = [], lab.SmallCNN()

    def network(y, A):
        seen.append(len(y))
        return inner(y, A)

    y = fourier.forward(fourier.domain.randn(7, generator=lab.seeded(5)))
    universal(network, fourier, y[:5], radius=0.1, steps=2, chunk=2, held_out=y[5:], aggregate="minimum")
    assert max(seen) == 2


def test_the_same_seed_gives_the_same_perturbation_bit_for_bit(lab, fourier, measurement):
    first, second, other = (
        universal(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=3, generator=lab.seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.perturbation, second.perturbation)
    assert torch.equal(first.noise, second.noise)
    assert not torch.equal(first.perturbation, other.perturbation)


def test_held_out_images_are_measured_and_take_no_part(lab, fourier):
    y = fourier.forward(fourier.domain.randn(5, generator=lab.seeded(5)))
    network = lab.SmallCNN()
    alone = universal(network, fourier, y[:3], radius=0.1, steps=4)
    found = universal(network, fourier, y[:3], radius=0.1, steps=4, held_out=y[3:])
    assert torch.equal(found.perturbation, alone.perturbation)
    clean, moved = network(y[3:], fourier).detach(), network(y[3:] + found.perturbation, fourier).detach()
    expected = np.linalg.norm((moved - clean).numpy().reshape(2, -1), axis=1) / np.linalg.norm(
        clean.numpy().reshape(2, -1), axis=1
    )
    np.testing.assert_allclose(found.held_out_change.numpy(), expected, rtol=1e-5)
    assert found.held_out_value == pytest.approx(expected.mean(), rel=1e-5)
    assert found.held_out_noise.shape == (8, 2)
    assert alone.held_out_change is None


def test_what_does_not_generalise_is_shown():
    """Control: maps that share nothing. What is found on two images does nothing to a third."""
    matrices = torch.zeros(3, 7, 7)
    for image in range(3):
        for pixel in (1 + 2 * image, 2 + 2 * image):
            matrices[image, pixel, pixel] = 1.0
    y = torch.ones(3, 1, 1, 7)
    y[:, 0, 0, 0] = torch.arange(3.0)
    found = universal(Switch(matrices), Identity((1, 7)), y[:2], radius=R, relative=False, held_out=y[2:])
    assert found.value > 0
    assert found.held_out_value < 1e-3 * found.value
    assert found.held_out_noise.mean() > found.held_out_value


@pytest.mark.parametrize("again", [0, 1])
def test_a_held_out_image_that_was_searched_on_is_refused(lab, fourier, measurement, again):
    with pytest.raises(SearchError, match="held_out"):
        universal(lab.SmallCNN(), fourier, measurement, radius=0.1, held_out=measurement[again : again + 1])


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_region_and_norm_are_kept(lab, fourier, measurement, norm):
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[:4] = True
    found = universal(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=4, norm=norm, region=region)
    assert not found.perturbation[..., 4:, :].any()
    size = found.perturbation.abs().max() if norm == "linf" else tensors.norm(found.perturbation)
    assert float(size) <= found.radius * (1 + 1e-6)
    assert float(size) >= found.radius * 0.999


def test_relative_radius_is_that_of_the_mean_norm(lab, fourier, measurement):
    found = universal(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=2)
    assert found.radius == pytest.approx(0.1 * np.linalg.norm(measurement.numpy().reshape(2, -1), axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize("aggregate", ["mean", "rms", "minimum", 0.4])
def test_aggregates_against_numpy(aggregate):
    changes = np.random.default_rng(0).random(11)
    expected = {"mean": changes.mean(), "rms": np.sqrt((changes**2).mean()), "minimum": changes.min(), 0.4: np.sort(changes)[4]}
    assert aggregated(torch.from_numpy(changes), aggregate).item() == pytest.approx(expected[aggregate])


@pytest.mark.parametrize("aggregate", ["mean", "rms"])
def test_the_gradient_is_that_of_the_aggregate(lab, fourier, measurement, aggregate):
    """Oracle: a central difference in float64."""
    from stabtest.search.constraints import ball

    y = measurement.to(torch.complex128)
    K = ball("measurement", fourier, torch.tensor([1.0], dtype=torch.float64))
    many = Many.of(lab.SmallCNN(dtype=torch.float64), K, y, aggregate, 1)
    v, d = (K.maximise_linear(fourier.range.randn(1, generator=lab.seeded(s), dtype=torch.float64)) for s in (1, 2))
    evaluation = many.evaluate(v)
    h = 1e-6
    difference = (many.evaluate(v + h * d).value - many.evaluate(v - h * d).value) / (2 * h)
    assert tensors.inner(evaluation.gradient, d).item() == pytest.approx(difference.item(), rel=1e-5)


def test_a_network_without_gradient_is_said_so(lab, fourier, measurement):
    found = universal(lambda y, A: A.pseudo_inverse(y.detach()), fourier, measurement, radius=0.1, steps=2)
    assert found.status == "no usable gradient"


def test_one_blind_image_does_not_blind_the_others(lab, fourier, measurement):
    network = lab.SmallCNN()

    def half(y, A):
        return network(y, A) * torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)

    found = universal(half, fourier, measurement, radius=0.1, steps=4)
    assert found.status != "no usable gradient"
    assert found.relative_change[1] == 0
    assert found.relative_change[0] > 0


def test_an_image_that_breaks_is_infinite_damage():
    y = torch.ones(2, 1, 4, 4)
    found = universal(lambda y, A: 0.5 * y + 0 * torch.log(y[:, :, 1:2, 1:2] - 0.99), Identity((4, 4)), y * 1.0, radius=0.1)
    assert found.value == torch.inf
    assert found.violation <= 1e-6


def test_a_network_that_is_not_finite_on_clean_data_is_refused(fourier, measurement):
    with pytest.raises(NetworkError, match="finite"):
        universal(lambda y, A: y * torch.nan, fourier, measurement, radius=0.1)


def test_progress_ends_at_its_plan(lab, fourier, measurement):
    heard = []
    universal(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=8, progress=lambda *now: heard.append(now))
    assert heard[-1][0] == heard[-1][1] == len(heard)


def test_a_start_is_used(lab, fourier, measurement):
    long = universal(lab.SmallCNN(), fourier, measurement, radius=0.1, steps=30)
    warm = universal(
        lab.SmallCNN(), fourier, measurement, radius=0.1, steps=1, restarts=0, jacobian_steps=0, start=long.variable
    )
    assert warm.value >= long.value * (1 - 1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(radius=-1.0),
        dict(radius=float("nan")),
        dict(aggregate="median"),
        dict(aggregate=1.5),
        dict(aggregate=0),
        dict(steps=0),
        dict(chunk=0),
        dict(draws=0),
        dict(restarts=0, jacobian_steps=0),
        dict(domain="k-space"),
        dict(held_out=torch.zeros(0, 1, 8, 8, dtype=torch.complex64)),
    ],
)
def test_wrong_set_up_is_refused(lab, fourier, measurement, arguments):
    with pytest.raises(SearchError):
        universal(lab.SmallCNN(), fourier, measurement, **{"radius": 0.1, **arguments})


def test_measurements_of_zeros_are_refused(lab, fourier):
    with pytest.raises(SearchError, match="zeros"):
        universal(lab.SmallCNN(), fourier, fourier.range.zeros(2), radius=0.1)
    one = Fourier(torch.ones(8, 8, dtype=torch.bool))
    assert universal(lambda y, A: y + 1, one, one.range.zeros(2), radius=0.1, relative=False, steps=1).value > 0
