"""Wavelet-sparse reconstruction, orthogonal and translation-invariant: known optima, gaps, convergence."""

from __future__ import annotations

import pytest
import torch

from reconstructors.invariant import InvariantWavelets, adjoint
from reconstructors.invariant import analyse as analyse_all
from reconstructors.wavelet import WaveletL1, soft
from reconstructors.wavelets import FILTERS, analyse, synthesise
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Fourier, Identity, Radon, masks
from stabtest.phantoms import ellipses, head

SCANS = {
    "fourier": (
        Fourier(masks.cartesian_gaussian((16, 16), acceleration=3, centre_fraction=0.1, seed=0)),
        head(16, seed=0)[None],
    ),
    "radon": (Radon(16, 12), ellipses(16, seed=0)[None]),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(name: str):
    operator, truth = SCANS[name]
    clean = operator(truth.to(torch.complex128 if truth.is_complex() else torch.float64))
    noise = operator.restrict(operator.range.randn(generator=generator(1), dtype=torch.float64))
    return operator, truth, clean + 0.02 * clean.abs().max() * noise


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_soft_threshold_minimises_its_functional(dtype):
    """Against a fine grid of shrinkage factors, which the minimiser is by symmetry."""
    c = tensors.randn((40,), dtype=dtype, generator=generator())
    factors = torch.linspace(0, 1, 20001, dtype=torch.float64)[:, None]
    values = 0.5 * (factors * c - c).abs().square() + 0.4 * (factors * c).abs()
    best = values.argmin(0)
    torch.testing.assert_close(soft(c, torch.tensor(0.4).double()), factors[best, 0] * c, atol=1e-3, rtol=0)


@pytest.mark.parametrize("differentiate", ["unrolled", "implicit"])
def test_denoising_is_one_soft_threshold_of_the_details(differentiate):
    y = tensors.randn((2, 1, 16, 8), dtype=torch.complex128, generator=generator())
    options = {"levels": 2, "wavelet": "db4"}
    c = analyse(y, **options)
    expected = soft(c, torch.tensor(0.7, dtype=torch.float64))
    expected[..., :4, :2] = c[..., :4, :2]
    x = WaveletL1(0.7, differentiate=differentiate, **options)(y, Identity((16, 8), is_complex=True))
    torch.testing.assert_close(x, synthesise(expected, **options), atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_undecimated_transform_is_a_parseval_frame(name, dtype):
    x = tensors.randn((2, 1, 8, 12), dtype=dtype, generator=generator())
    c = analyse_all(x, levels=2, wavelet=name)
    other = tensors.randn(tuple(c.shape), dtype=dtype, generator=generator(1))
    torch.testing.assert_close(adjoint(c, levels=2, wavelet=name), x, atol=1e-12, rtol=0)
    torch.testing.assert_close(tensors.norm(c), tensors.norm(x), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        tensors.inner(c, other), tensors.inner(x, adjoint(other, levels=2, wavelet=name)), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("name", FILTERS)
def test_invariant_penalty_is_the_mean_over_all_shifts(name):
    x = tensors.randn((1, 1, 8, 12), dtype=torch.complex128, generator=generator())
    single, total = WaveletL1(0.7, levels=2, wavelet=name), torch.zeros(1, dtype=torch.float64)
    for down in range(4):
        for right in range(4):
            rolled = x.roll((down, right), (-2, -1))
            total += single.objective(rolled, rolled, Identity((8, 12), is_complex=True)) / 16
    torch.testing.assert_close(InvariantWavelets(0.7, levels=2, wavelet=name).penalty(x), total)


def test_invariant_denoising_commutes_with_shifts_and_the_orthogonal_does_not():
    y, operator = ellipses(16, seed=0)[None].double(), Identity((16, 16))
    for method, moves in ((InvariantWavelets(0.1, levels=2, iterations=60), False), (WaveletL1(0.1, levels=2), True)):
        difference = (method(y.roll(1, -1), operator) - method(y, operator).roll(1, -1)).abs().max().item()
        assert (difference > 0.01) if moves else (difference < 1e-12)


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("method", [WaveletL1(4e-3), InvariantWavelets(4e-3)])
def test_gap_bounds_the_excess_over_a_long_run(name, method):
    operator, _, y = noisy(name)
    long = method.longer(8)
    lowest = long.objective(long(y, operator), y, operator)
    for iterations in (20, 200):
        run = type(method)(**{**method.__dict__, "iterations": iterations})
        value = run.objective(run(y, operator), y, operator)
        excess = ((value - lowest) / value).item()
        assert -1e-7 < excess <= run.gap(y, operator).item()
    assert excess < 2e-3  # of the 200


@pytest.mark.parametrize("name", SCANS)
def test_invariant_is_better_than_direct_reconstruction(name):
    operator, truth, y = noisy(name)
    x = InvariantWavelets(2e-3)(y, operator)
    assert tensors.norm(x - truth) < tensors.norm(operator.pseudo_inverse(y) - truth)


def test_images_of_a_batch_are_independent():
    operator = Radon(16, 9)
    y = operator.range.randn(3, generator=generator(), dtype=torch.float64)
    for method in (
        WaveletL1(0.01, iterations=30),
        WaveletL1(0.01, differentiate="implicit"),
        InvariantWavelets(0.01, iterations=30),
    ):
        torch.testing.assert_close(method(y, operator)[1:2], method(y[1:2], operator), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    "method", [WaveletL1(0.05, iterations=5, segment=3, levels=1), InvariantWavelets(0.05, iterations=5, levels=1)]
)
def test_gradient_through_the_unrolled_steps(method):
    operator = Fourier(masks.cartesian_random((4, 4), acceleration=2, centre_fraction=0.3, seed=0))
    y = operator.restrict(operator.range.randn(generator=generator(), dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: method(v, operator).abs(), (y,), atol=1e-4)


def test_zeros_stay_zeros_with_a_finite_gradient():
    operator, _, _ = noisy("fourier")
    for method in (WaveletL1(0.01, iterations=20), InvariantWavelets(0.01, iterations=20)):
        y = operator.range.zeros().requires_grad_()
        x = method(y, operator)
        assert x.abs().max() == 0
        assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"weight": 0.0}, "weight"), ({"weight": 1.0, "differentiate": "exact"}, "'unrolled' or 'implicit'")],
)
def test_settings_that_are_none_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        WaveletL1(**settings)
