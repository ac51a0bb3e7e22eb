"""Total variation: exact adjoint, known optima, duality gap, convergence on every kind of operator, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle

from reconstructors.tv import TotalVariation, gradient, gradient_adjoint
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, ellipses, head


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 5)])
def test_gradient_adjoint_is_exact(generator, dtype, shape):
    x = torch.randn(2, 1, *shape, dtype=dtype, generator=generator)
    q = torch.randn(2, 2, *shape, dtype=dtype, generator=generator)
    torch.testing.assert_close(tensors.inner(gradient(x), q), tensors.inner(x, gradient_adjoint(q)), atol=1e-12, rtol=1e-12)


def test_gradient_norm_is_below_its_bound(generator):
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64, generator=generator)
    for _ in range(200):
        x = gradient_adjoint(gradient(x))
        size = x.norm()
        x = x / size
    assert 7.9 < size.item() <= 8.0


def test_denoising_agrees_with_scikit_image(generator):
    truth = ellipses(32, seed=1).double()[None]
    noisy = truth + 0.1 * torch.randn(truth.shape, dtype=torch.float64, generator=generator)
    ours = TotalVariation(weight=0.1, iterations=3000, step_ratio=1.0)(noisy, Identity((32, 32)))
    theirs = denoise_tv_chambolle(noisy[0, 0].numpy(), weight=0.1, eps=1e-12, max_num_iter=20000)
    np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=2e-4)


def test_step_is_lowered_by_the_known_amount():
    """One dimension, one jump: TV moves each of the two plateaus towards the other by weight / plateau length."""
    y = torch.cat([torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)]).reshape(1, 1, 1, 8)
    x = TotalVariation(weight=0.2, iterations=5000, step_ratio=1.0)(y, Identity((1, 8)))
    expected = torch.cat([torch.full((4,), 0.05), torch.full((4,), 0.95)]).double().reshape(1, 1, 1, 8)
    torch.testing.assert_close(x, expected, atol=1e-6, rtol=0)


MASK = masks.cartesian_gaussian((32, 32), acceleration=3, centre_fraction=0.1, seed=0)
PROBLEMS = {
    "fourier": (Fourier(MASK), head(32, seed=0)[None], 2e-3),
    "multi-coil": (MultiCoilFourier(MASK, coil_maps(32, 4, seed=0)), head(32, seed=0)[None], 2e-3),
    "radon": (Radon(32, 20), ellipses(32, seed=0)[None], 1e-3),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_default_iterations_are_close_to_a_long_run(name, generator):
    operator, truth, weight = PROBLEMS[name]
    clean = operator(truth.to(torch.complex128 if truth.is_complex() else torch.float64))
    y = clean + operator.restrict(0.01 * clean.abs().max() * operator.range.randn(generator=generator, dtype=torch.float64))
    short, long = TotalVariation(weight=weight), TotalVariation(weight=weight, iterations=6000)
    x, limit = short(y, operator), long(y, operator)
    excess = short.objective(x, y, operator) / long.objective(limit, y, operator) - 1
    assert 0 <= excess.item() < 0.01
    assert (tensors.norm(x - limit) / tensors.norm(limit)).item() < 0.03


def test_unconverged_run_is_seen_in_the_objective(generator):
    operator, truth, weight = PROBLEMS["radon"]
    y = operator(truth)
    few, many = TotalVariation(weight=weight, iterations=5), TotalVariation(weight=weight, iterations=1000)
    assert few.objective(few(y, operator), y, operator) > 1.05 * many.objective(many(y, operator), y, operator)


def test_better_than_direct_reconstruction(generator):
    for operator, truth, weight in PROBLEMS.values():
        y = operator(truth)
        x = TotalVariation(weight=weight)(y, operator)
        assert tensors.norm(x - truth) < tensors.norm(operator.pseudo_inverse(y) - truth)


def test_images_of_a_batch_are_independent(generator):
    operator = Radon(16, 9)
    y = operator.range.randn(3, generator=generator, dtype=torch.float64)
    tv = TotalVariation(weight=0.01, iterations=30)
    torch.testing.assert_close(tv(y, operator)[1:2], tv(y[1:2], operator))


def test_gradient_through_the_unrolled_steps_with_and_without_checkpoints(generator):
    operator = Fourier(masks.cartesian_random((6, 6), acceleration=2, centre_fraction=0.3, seed=0))
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: TotalVariation(weight=0.05, iterations=12, segment=5)(v, operator).abs(), (y,), atol=1e-4
    )
    whole = torch.autograd.grad(TotalVariation(weight=0.05, iterations=12, segment=12)(y, operator).abs().sum(), y)[0]
    parts = torch.autograd.grad(TotalVariation(weight=0.05, iterations=12, segment=5)(y, operator).abs().sum(), y)[0]
    torch.testing.assert_close(whole, parts)


def test_nonnegative_attenuation(generator):
    operator = Radon(16, 9)
    y = operator(ellipses(16, seed=0)[None]) + operator.range.randn(generator=generator)
    assert TotalVariation(weight=1e-4, iterations=50)(y, operator).min() < 0
    assert TotalVariation(weight=1e-4, iterations=50, nonnegative=True)(y, operator).min() >= 0


def test_an_image_of_zeros_stays_zero():
    operator, _, weight = PROBLEMS["fourier"]
    y = operator.range.zeros().requires_grad_()
    x = TotalVariation(weight=weight, iterations=40)(y, operator)
    assert x.abs().max() == 0
    assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()


def test_over_relaxation_has_the_same_limit_and_is_nearer_to_it(generator):
    operator, truth, weight = PROBLEMS["fourier"]
    y = operator(truth.to(torch.complex128))
    limit = TotalVariation(weight=weight, differentiate="implicit", tolerance=1e-7)(y, operator)
    distances = [
        tensors.norm(TotalVariation(weight=weight, iterations=200, relaxation=r)(y, operator) - limit).item()
        for r in (1.0, 1.9)
    ]
    assert distances[1] < 0.7 * distances[0]
    long = TotalVariation(weight=weight, iterations=2000, relaxation=1.9)(y, operator)
    assert (tensors.norm(long - limit) / tensors.norm(limit)).item() < 1e-4


def test_gap_bounds_the_excess_and_closes():
    operator, truth, weight = PROBLEMS["radon"]
    y = operator(truth.double())
    solved = TotalVariation(weight=weight, differentiate="implicit", tolerance=1e-7)
    lowest = solved.objective(solved(y, operator), y, operator)
    gaps = []
    for iterations in (10, 100, 600):
        tv = TotalVariation(weight=weight, iterations=iterations)
        value = tv.objective(tv(y, operator), y, operator)
        gaps.append(tv.gap(y, operator).item())
        assert ((value - lowest) / value).item() <= gaps[-1]
    assert gaps[2] < 1e-3 < gaps[1] < gaps[0]


def test_solution_fulfils_the_optimality_conditions():
    """At the limit ``A* p / a + grad* q = 0`` with ``p`` the residual and ``q`` a subgradient of the norm, checked as such."""
    operator, truth, weight = PROBLEMS["fourier"]
    y = operator(truth.to(torch.complex128))
    x, p, q = TotalVariation(weight=weight, differentiate="implicit", tolerance=1e-10).solve(y, operator).state
    torch.testing.assert_close(p, operator.forward(x) - y, atol=1e-6, rtol=0)
    assert (operator.adjoint(p) + gradient_adjoint(q)).abs().max() < 1e-6
    assert torch.view_as_real(q).square().sum((1, -1)).sqrt().max() <= weight * (1 + 1e-9)
    paired = tensors.inner(q, gradient(x))
    torch.testing.assert_close(paired, TotalVariation(weight=weight).penalty(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("settings", "match"), [({"differentiate": "both"}, "'implicit'"), ({"relaxation": 2.0}, "between 0 and 2")]
)
def test_settings_that_are_none_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        TotalVariation(weight=1.0, **settings)


def test_a_limit_that_is_too_low_is_said():
    operator, truth, weight = PROBLEMS["fourier"]
    with pytest.warns(RuntimeWarning, match="tv: images .* stopped after 10 steps"):
        TotalVariation(weight=weight, differentiate="implicit", limit=10)(operator(truth), operator)
