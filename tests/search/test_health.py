"""Gradients that are known to be broken in one way each are called by that name; healthy ones are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest import networks, phantoms, tensors
from stabtest.operators import Fourier, Identity, Radon, fft2c, ifft2c
from stabtest.operators.masks import cartesian_gaussian
from stabtest.search.constraints import ImageBall, MeasurementBall, ball
from stabtest.search.health import REMEDIES, GradientReport, examine
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, LocalDamage, RegionDamage
from stabtest.search.problem import Problem
from stabtest.search.similarity import StructuralDissimilarity


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def scan(size=24, images=2, dtype=torch.float32):
    """A noisy head and its scan."""
    A = Fourier(cartesian_gaussian((size, size), acceleration=3, centre_fraction=0.1, seed=0))
    truth = torch.stack([phantoms.make("head", size, seed=5 + k) for k in range(images)]).reshape(images, 1, size, size)
    y = A(truth.to(tensors.complex_dtype(dtype)))
    return A, y + 0.01 * A.restrict(A.range.randn(images, generator=seeded(1), dtype=dtype))


def report_on(network, A, y, *, radius=0.05, domain="measurement", objective=DistanceToClean, seed=0) -> GradientReport:
    with torch.no_grad():
        clean = network(y, A)
    size = tensors.norm(y if domain == "measurement" else A.pseudo_inverse(y))
    return examine(Problem(network, y, ball(domain, A, radius * size), objective(clean)), generator=seeded(seed))


class CNN(torch.nn.Module):
    """Convolutions with ReLU, and what may stand between them."""

    def __init__(self, *between, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(2, 8, 3, padding=1), *between, torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 3, padding=1)
            ).requires_grad_(False)

    def forward(self, y, A):
        x = A.pseudo_inverse(y)
        out = self.layers(torch.cat([x.real, x.imag], 1))
        return x + torch.complex(out[:, :1], out[:, 1:])


def quantised(image, levels):
    return torch.complex(torch.round(image.real * levels), torch.round(image.imag * levels)) / levels


def straight_through(y, A):
    x = A.pseudo_inverse(y)
    return x + (quantised(x, 16) - x).detach()


def through_numpy(y, A):
    return torch.from_numpy(np.ascontiguousarray(A.pseudo_inverse(y).numpy() * 2))


def nearest_level(y, A):
    """The classes of a segmentation: ``argmax`` over the nearness to five grey levels."""
    x = A.pseudo_inverse(y).abs()
    levels = torch.linspace(0, 1, 5)
    return levels[(-(x - levels.reshape(1, 5, 1, 1)).abs()).argmax(1, keepdim=True)]


def root_at_zero(y, A):
    """The modulus as a root of squares, outside of the field of view too: there the slope of the root is infinite, times zero."""
    x = A.pseudo_inverse(y)
    x = x * (torch.arange(x.shape[-1]) > 3)
    return torch.sqrt(x.real**2 + x.imag**2)


def band(shape):
    """The inner columns of k-space."""
    keep = torch.zeros(shape, dtype=torch.bool)
    keep[..., shape[-1] // 2 - 3 : shape[-1] // 2 + 3] = True
    return keep


def band_detached(y, A):
    return A.pseudo_inverse(torch.where(band(y.shape), y.detach(), y))


def band_detached_inside(y, A):
    """The same behind two Fourier transforms, whose rounding leaves 1e-8 of a gradient in the band."""
    k = fft2c(A.pseudo_inverse(y))
    return torch.relu(ifft2c(torch.where(band(k.shape), k.detach(), k)).abs() - 0.01)


def half_detached(y, A):
    x = A.pseudo_inverse(y)
    return x + 0.5 * x.detach()


class Clipped(torch.autograd.Function):
    """The identity with the gradient clipped, as a hook against explosions does."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return torch.view_as_complex(torch.view_as_real(g).clamp(-1e-3, 1e-3))


BROKEN = {
    "detach": (lambda y, A: A.pseudo_inverse(y).detach(), "disconnected"),
    "numpy": (through_numpy, "disconnected"),
    "argmax": (nearest_level, "disconnected"),
    "round": (lambda y, A: quantised(A.pseudo_inverse(y), 64), "disconnected"),
    "sign": (lambda y, A: torch.sign(A.pseudo_inverse(y).real), "disconnected"),
    "constant": (lambda y, A: torch.ones_like(y) + 0 * y, "zero"),
    "constant without graph": (lambda y, A: torch.ones_like(y), "disconnected"),
    "straight-through": (straight_through, "wrong"),
    "branch detached": (half_detached, "wrong"),
    "clipped": (lambda y, A: Clipped.apply(A.pseudo_inverse(y)), "wrong"),
    "dropout": (CNN(torch.nn.Dropout(0.1)).train(), "stochastic"),
    "batch norm": (CNN(torch.nn.BatchNorm2d(8)).train(), "stochastic"),
    "noise": (lambda y, A: A.pseudo_inverse(y + 0.01 * torch.randn(y.shape)), "stochastic"),
    "root at zero": (root_at_zero, "not finite"),
    "log of nothing": (lambda y, A: torch.log(torch.relu(A.pseudo_inverse(y).real)), "not finite"),
    "band detached": (band_detached, "masked"),
    "band detached inside": (band_detached_inside, "masked"),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_gradient_is_called_by_its_name(name, seed):
    network, word = BROKEN[name]
    if name == "log of nothing":  # its clean image is not finite either
        A, y = scan()
        problem = Problem(
            network, y, ball("measurement", A, 0.05 * tensors.norm(y)), DistanceToClean(torch.zeros(2, 1, 24, 24))
        )
        assert examine(problem, generator=seeded(seed)).health == (word, word)
        return
    found = report_on(network, *scan(), seed=seed)
    assert found.health == (word, word)
    assert not found.healthy
    assert REMEDIES[word] in found.advice()


def test_batch_norm_is_noticed_with_a_single_image():
    found = report_on(CNN(torch.nn.BatchNorm2d(8)).train(), *scan(images=1))
    assert found.health == ("stochastic",)


@pytest.mark.parametrize("layer", [torch.nn.Dropout(0.5), torch.nn.BatchNorm2d(8)])
def test_the_same_network_in_evaluation_mode_is_healthy(layer):
    assert report_on(CNN(layer).eval(), *scan()).healthy


def test_a_detached_band_is_masked_in_the_image_domain_too():
    """There every direction touches all samples, and the blind spot is looked for among them just the same."""
    assert report_on(band_detached, *scan(), domain="image").health == ("masked", "masked")


def test_the_share_that_is_not_seen_is_reported():
    A, y = scan()
    expected = (A.mask & band(A.mask.shape)).sum() / A.mask.sum()
    found = report_on(band_detached, A, y)
    torch.testing.assert_close(found.unseen, expected.expand(2))


def test_views_without_gradient_are_masked():
    A = Radon(16, 12)
    y = A(torch.rand(1, 1, 16, 16, generator=seeded(0)))

    def network(y, A):
        views = torch.arange(y.shape[-2])[:, None] < 3
        return A.pseudo_inverse(torch.where(views, y.detach(), y))

    assert report_on(network, A, y).health == ("masked",)


def test_a_band_that_is_not_used_is_not_masked():
    """Control: no gradient there, and rightly."""
    found = report_on(lambda y, A: A.pseudo_inverse(torch.where(band(y.shape), 0, y)), *scan())
    assert found.healthy
    assert bool((found.unseen > 0).all())


def soft(y, A):
    x = A.pseudo_inverse(y)
    size = x.abs()
    return x * torch.relu(size - 0.1) / size.clamp_min(1e-12)


def soft_samples(y, A):
    """Seven eighths of the samples are below the threshold: no gradient, and kinks on all sides."""
    size = y.abs()
    return A.pseudo_inverse(y * torch.relu(size - 0.02 * size.amax((-2, -1), keepdim=True)) / size.clamp_min(1e-12))


def total_variation(y, A):
    from reconstructors.tv import TotalVariation

    return TotalVariation(4e-3, iterations=8)(y, A)


HEALTHY = {
    "linear": lambda y, A: A.pseudo_inverse(y),
    "relu": CNN(seed=3),
    "soft": soft,
    "soft samples": soft_samples,
    "magnitude": lambda y, A: A.pseudo_inverse(y).abs(),
    "tv": total_variation,
}


@pytest.mark.parametrize("radius", [1e-5, 0.05])
@pytest.mark.parametrize("domain", ["measurement", "image"])
@pytest.mark.parametrize("name", HEALTHY)
def test_no_false_alarm_in_single_precision(name, domain, radius):
    A, y = scan(size=16)
    for seed, objective in enumerate((DistanceToClean, LocalDamage, StructuralDissimilarity)):
        found = report_on(HEALTHY[name], A, y, domain=domain, radius=radius, objective=objective, seed=seed)
        assert found.healthy, (seed, found)


@pytest.mark.parametrize("seed", range(2))
def test_the_shipped_network_is_healthy(seed):
    from reconstructors import zoo

    entry = zoo.load("unet-mri")
    assert entry.module is not None
    network = networks.wrap(entry.module, takes="pseudo_inverse", channels="real-imag", scale="max")
    found = report_on(network, *scan(size=48, images=1), seed=seed)
    assert found.healthy, found
    assert (found.evaluations, found.backwards) == (10, 6)


def test_the_passes_are_counted():
    calls, A, y = [], *scan()

    def network(y, A):
        calls.append(len(y))
        return A.pseudo_inverse(y)

    clean = network(y, A)
    calls.clear()
    found = examine(Problem(network, y, ball("measurement", A, 0.1 * tensors.norm(y)), DistanceToClean(clean)))
    assert found.evaluations == sum(calls) / len(y) == 10


def test_every_point_is_in_the_set():
    A, y = scan()
    seen = []

    def network(y, A):
        seen.append(y.detach())
        return A.pseudo_inverse(y)

    constraint = MeasurementBall(A, 0.1 * tensors.norm(y))
    examine(Problem(network, y, constraint, DistanceToClean(A.pseudo_inverse(y))))
    assert len(seen) > 8
    for point in seen:
        assert bool((constraint.violation(point[:2] - y) < 1e-6).all())


def test_the_error_of_a_detached_share_is_estimated():
    """``f = x + s x`` with the second term detached: ``D = (1 + s) d``, ``J d = d``, and the climb is ``1 + s``."""
    A, y = scan(dtype=torch.float64)
    found = report_on(half_detached, A, y)
    assert bool(((found.error > 0.4 / 3) & (found.error < 2 / 3)).all())
    torch.testing.assert_close(found.climb, torch.full_like(found.climb, 1.5), rtol=1e-3, atol=0)


def test_an_objective_without_gradient_is_noticed_too():
    A, y = scan()
    clean = A.pseudo_inverse(y)

    def pixels_that_changed(image):
        return ((image - clean).abs() > 1e-3).float().sum((1, 2, 3))

    problem = Problem(lambda y, A: A.pseudo_inverse(y), y, MeasurementBall(A, 0.1 * tensors.norm(y)), pixels_that_changed)
    assert examine(problem).health == ("disconnected", "disconnected")


def test_an_objective_with_a_false_gradient_is_wrong():
    A, y = scan()
    clean = A.pseudo_inverse(y)

    def partly(image):
        return tensors.norm(image - clean) + tensors.norm(image - clean).detach()

    problem = Problem(lambda y, A: A.pseudo_inverse(y), y, MeasurementBall(A, 0.1 * tensors.norm(y)), partly)
    assert examine(problem).health == ("wrong", "wrong")


def test_an_objective_that_looks_elsewhere_is_zero():
    A = Identity((8, 8))
    y = torch.rand(1, 1, 8, 8, generator=seeded(0))
    left, right = torch.arange(8) < 4, (torch.arange(8) >= 4).expand(1, 1, 8, 8)
    problem = Problem(lambda y, A: y * left, y, MeasurementBall(A, torch.ones(1)), RegionDamage(y * left, right))
    assert examine(problem).health == ("zero",)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_region_of_the_set_is_kept(norm):
    """What may not be perturbed need not have a gradient."""
    A, y = scan()
    outside = ~band(A.mask.shape)
    radius = torch.full((2,), 0.1)
    constraint = ball("measurement", A, radius, norm=norm, region=outside)
    assert examine(Problem(band_detached, y, constraint, DistanceToClean(A.pseudo_inverse(y)))).healthy
    inside = ball("measurement", A, radius, norm=norm, region=~outside)
    assert set(examine(Problem(band_detached, y, inside, DistanceToClean(A.pseudo_inverse(y)))).health) == {"disconnected"}


def test_images_are_independent():
    """One image broken, the others as if alone."""
    A, y = scan(images=3)

    def network(y, A):
        x = A.pseudo_inverse(y)
        keep = (torch.arange(len(x)) != 1).reshape(-1, 1, 1, 1)
        return torch.where(keep, x, x + 0.5 * x.detach())

    together = report_on(network, A, y, objective=DistanceToTruth)
    alone = report_on(network, A, y[:1], objective=DistanceToTruth)
    assert together.health == ("healthy", "wrong", "healthy")
    torch.testing.assert_close(together.error[:1], alone.error)
    torch.testing.assert_close(together.climb[:1], alone.climb)


def test_a_network_of_fixed_batch_size_can_be_examined():
    A, y = scan()

    def network(y, A):
        assert len(y) == 2
        return A.pseudo_inverse(y)

    found = examine(Problem(network, y, ImageBall(A, torch.full((2,), 0.1)), DistanceToClean(A.pseudo_inverse(y))))
    assert found.healthy
    assert found.evaluations == 9


def test_the_same_seed_gives_the_same_report():
    one, other = (report_on(CNN(seed=3), *scan(), seed=4) for _ in range(2))
    assert torch.equal(one.error, other.error)
    assert torch.equal(one.climb, other.climb)


def wavy(period):
    """Triangular waves in every pixel, of the same steepness as the image itself."""

    def network(y, A):
        x = A.pseudo_inverse(y).real
        wave = (torch.remainder(x / period, 1.0) - 0.5).abs() * period
        return x + 2 * wave

    return network


@pytest.mark.parametrize("period", [2e-5, 5e-5, 1e-4])
def test_kinks_at_a_scale_below_the_steps_are_rough_and_not_wrong(period):
    A, y = scan()
    assert report_on(wavy(period), A, y).health == ("rough", "rough")


@pytest.mark.parametrize("offset", [0.0, 1e3], ids=["", "rounding as large as a short step"])
def test_a_cut_gradient_is_wrong_however_short_the_step(offset):
    """Control: no kinks, and a part without gradient."""
    A, y = scan()
    report = report_on(lambda y, A: (A.pseudo_inverse(y).real + offset) + 2 * A.pseudo_inverse(y).real.detach(), A, y)
    assert report.health == ("wrong", "wrong")
