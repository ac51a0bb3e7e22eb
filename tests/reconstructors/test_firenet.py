"""FIRENET: the exponential decrease of the paper, what it does without restarts, known minimisers, its certificate, its gradient."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from reconstructors.firenet import Firenet
from reconstructors.wavelets import analyse, synthesise
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, head

SIZE = 32
OPERATOR = Fourier(masks.variable_density((SIZE, SIZE), acceleration=2, seed=0))
SPARSE = Firenet(weight=0.05, inner=15, floor=1e-9, wavelet="haar")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def sparse(generator) -> torch.Tensor:
    """An image with twenty Haar coefficients, among the coarse ones, which variable density measures well."""
    c = torch.zeros(SIZE * SIZE, dtype=torch.complex128)
    place = torch.randperm(SIZE * SIZE // 4, generator=generator)[:20]
    half = SIZE // 2
    c[(place // half) * SIZE + place % half] = torch.randn(20, dtype=torch.complex128, generator=generator)
    return synthesise(c.reshape(1, 1, SIZE, SIZE), levels=3, wavelet="haar")


def relative_error(method: Firenet, y: torch.Tensor, x: torch.Tensor) -> float:
    return (tensors.norm(method(y, OPERATOR) - x) / tensors.norm(x)).item()


def test_error_falls_by_e_at_each_restart(sparse):
    """The theorem: ``error <= C exp(-n)``; the fitted rate over ten restarts is that of the scale, and no step is far from it."""
    y = OPERATOR(sparse)
    errors = np.log([relative_error(replace(SPARSE, restarts=n), y, sparse) for n in range(2, 13)])
    rate = np.polyfit(np.arange(2, 13), errors, 1)[0]
    assert rate == pytest.approx(-1, abs=0.1)
    assert np.diff(errors).max() < -0.8


def test_without_restarts_as_many_iterations_are_slow(sparse):
    """Control: the mean of a run from one start falls as ``1 / k`` only."""
    y = OPERATOR(sparse)
    restarted = relative_error(replace(SPARSE, restarts=12), y, sparse)
    single = relative_error(replace(SPARSE, restarts=1, inner=12 * SPARSE.inner), y, sparse)
    assert restarted < 1e-3 * single


def test_error_stops_at_the_floor(sparse):
    y = OPERATOR(sparse)
    errors = [relative_error(replace(SPARSE, restarts=n, floor=1e-3), y, sparse) for n in (4, 14, 15)]
    assert 0.9 < errors[1] / errors[2] < 1.1
    assert 1e-5 < errors[2] < 0.1 * errors[0]


def test_a_weight_that_is_too_large_for_the_sparsity_does_not_recover(sparse):
    """Control: the theorem asks for a weight that fits."""
    assert relative_error(replace(SPARSE, weight=0.4, restarts=12, inner=40), OPERATOR(sparse), sparse) > 0.1


def test_error_is_proportional_to_the_noise(sparse, generator):
    noise = OPERATOR.restrict(OPERATOR.range.randn(generator=generator, dtype=torch.float64))
    y = OPERATOR(sparse)
    unit = noise * (tensors.norm(y) / tensors.norm(noise))
    gains = [relative_error(replace(SPARSE, restarts=14), y + level * unit, sparse) / level for level in (1e-3, 1e-2, 1e-1)]
    assert max(gains) < 2
    assert max(gains) < 2 * min(gains)


def test_denoised_image_is_the_known_minimiser(generator):
    """With everything measured ``c = soft(b, weight r)``, where ``r = ||c - b||``: one equation in one unknown, by SciPy."""
    image = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=generator)
    method = Firenet(weight=0.2, restarts=2, inner=3000, levels=2, wavelet="db2")
    b = analyse(image, levels=2, wavelet="db2").flatten().numpy()

    def shrunk(r: float) -> np.ndarray:
        return np.sign(b) * np.maximum(np.abs(b) - method.weight * r, 0)

    radius = brentq(lambda r: np.linalg.norm(b - shrunk(r)) / r - 1, 1e-3, np.linalg.norm(b))
    found = analyse(method(image, Identity((8, 8))), levels=2, wavelet="db2").flatten().numpy()
    np.testing.assert_allclose(found, shrunk(radius), atol=2e-3)
    assert np.count_nonzero(shrunk(radius)) < b.size  # control: the threshold does something


def test_long_run_fulfils_the_optimality_conditions(generator):
    """``|B* u| <= weight`` for the unit misfit ``u = (b - B c) / ||b - B c||``, and ``B* u = weight c / |c|`` where ``c`` is not 0."""
    operator = Fourier(masks.variable_density((16, 16), acceleration=2, seed=0))
    y = operator(head(16, seed=0)[None].to(torch.complex128))
    y = y + operator.restrict(0.05 * operator.range.randn(generator=generator, dtype=torch.float64))
    method = Firenet(weight=0.1, restarts=12, inner=300, floor=1e-9, levels=2, wavelet="haar")
    x = method(y, operator)
    misfit = y - operator(x)
    slopes = analyse(operator.adjoint(misfit / tensors.norm(misfit)), levels=2, wavelet="haar")
    c = analyse(x, levels=2, wavelet="haar")
    large = c.abs() > 1e-2 * c.abs().max()
    assert slopes.abs().max() < 1.02 * method.weight
    assert (slopes - method.weight * c / c.abs())[large].abs().max() < 0.02 * method.weight


def test_gap_bounds_the_excess_and_closes(generator):
    operator = Fourier(masks.variable_density((16, 16), acceleration=2, seed=0))
    y = operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64))
    long = Firenet(weight=0.1, restarts=12, inner=500, floor=1e-9, levels=2)
    lowest = long.objective(long(y, operator), y, operator)
    gaps = []
    for inner in (3, 10, 100):
        method = replace(long, restarts=8, inner=inner)
        value = method.objective(method(y, operator), y, operator)
        gaps.append(method.gap(y, operator))
        assert ((value - lowest) / value <= gaps[-1] + 1e-12).all()
    assert (gaps[0] > gaps[1]).all()
    assert (gaps[1] > gaps[2]).all()
    assert (gaps[2] < 0.02).all()


def test_size_of_the_measurement_does_not_matter(sparse):
    y = OPERATOR(sparse)
    torch.testing.assert_close(SPARSE(1e3 * y, OPERATOR), 1e3 * SPARSE(y, OPERATOR))


def test_several_coils_and_tomography_run_and_images_of_a_batch_are_independent(generator):
    mask = masks.cartesian_gaussian((16, 16), acceleration=2, seed=0)
    for operator in (MultiCoilFourier(mask, coil_maps(16, 3, seed=0)), Radon(16, 9)):
        y = operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64))
        method = Firenet(levels=2, restarts=3, inner=5)
        torch.testing.assert_close(method(y, operator)[1:], method(y[1:], operator))


def test_better_than_zero_filling_from_variable_density(generator):
    operator = Fourier(masks.variable_density((64, 64), acceleration=4, seed=0))
    truth = head(64, seed=0)[None]
    y = operator(truth) + operator.restrict(0.01 * truth.abs().max() * operator.range.randn(generator=generator))
    assert tensors.norm(Firenet()(y, operator) - truth) < 0.9 * tensors.norm(operator.pseudo_inverse(y) - truth)


def test_gradient_is_that_of_finite_differences_with_checkpoints(generator):
    operator = Fourier(masks.cartesian_random((4, 4), acceleration=2, centre_fraction=0.5, seed=0))
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64)).requires_grad_()
    method = Firenet(weight=0.05, restarts=2, inner=4, levels=1, wavelet="haar")
    assert torch.autograd.gradcheck(lambda v: method(v, operator).abs(), (y,), atol=1e-4)


def test_an_image_of_zeros_stays_zero():
    y = OPERATOR.range.zeros().requires_grad_()
    x = Firenet(restarts=3, inner=4)(y, OPERATOR)
    assert x.abs().max() == 0
    assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()


def test_convergence_is_told(sparse):
    found = replace(SPARSE, restarts=12).convergence(OPERATOR(sparse), OPERATOR, factor=2)
    assert found.iterations.item() == 12 * 15
    assert found.residual.item() < 2 * math.exp(-11)
    assert found.distance.item() < 1e-4


@pytest.mark.parametrize(
    ("settings", "match"), [({"weight": 0.0}, "weight"), ({"inner": 0}, "iterations"), ({"floor": -1.0}, "floor")]
)
def test_settings_that_are_none_are_refused(settings, match):
    with pytest.raises(ConfigError, match=f"firenet: {match}"):
        Firenet(**settings)
