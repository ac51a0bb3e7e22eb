"""Total generalised variation: exact adjoint, one-dimensional oracles of SciPy, ramps for nothing, gap, every kind of operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, linprog, minimize

from reconstructors.tgv import (
    TotalGeneralisedVariation,
    symmetrised_gradient,
    symmetrised_gradient_adjoint,
)
from reconstructors.tv import TotalVariation, gradient, gradient_adjoint, lengths
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, ellipses, head


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (6, 5)])
def test_adjoints_are_exact(generator, dtype, shape):
    v = torch.randn(2, 2, *shape, dtype=dtype, generator=generator)
    r = torch.randn(2, 3, *shape, dtype=dtype, generator=generator)
    paired = tensors.inner(v, symmetrised_gradient_adjoint(r))
    torch.testing.assert_close(tensors.inner(symmetrised_gradient(v), r), paired, atol=1e-12, rtol=1e-12)
    method = TotalGeneralisedVariation(weight=1.0)
    u, q = (torch.randn(2, c, *shape, dtype=dtype, generator=generator) for c in (3, 5))
    paired = tensors.inner(u, method.analysis_adjoint(q))
    torch.testing.assert_close(tensors.inner(method.analyse(u), q), paired, atol=1e-12, rtol=1e-12)


def test_symmetrised_gradient_is_the_hessian_of_an_image(generator):
    """Second differences in NumPy, and the mixed one, which both components see alike."""
    x = torch.randn(1, 1, 7, 6, dtype=torch.float64, generator=generator)
    image = x[0, 0].numpy()
    found = symmetrised_gradient(gradient(x))[0].numpy()
    np.testing.assert_allclose(found[0, 1:-1], np.diff(image, 2, axis=0), atol=1e-12)
    np.testing.assert_allclose(found[1, :, 1:-1], np.diff(image, 2, axis=1), atol=1e-12)
    np.testing.assert_allclose(found[2, :-1, :-1], np.sqrt(2) * np.diff(np.diff(image, axis=0), axis=1), atol=1e-12)
    assert np.abs(found[0, [0, -1]]).max() == np.abs(found[1][:, [0, -1]]).max() == 0


def test_norms_are_below_their_bounds(generator):
    """Also with the data part beside them, for the identity as forward model, whose norm is as large as a forward model's can be."""
    method = TotalGeneralisedVariation(weight=1.0)

    def data(u: torch.Tensor) -> torch.Tensor:
        return torch.cat([u[:, :1], torch.zeros_like(u[:, 1:])], dim=1)

    for apply, adjoint, channels, bound in (
        (symmetrised_gradient, symmetrised_gradient_adjoint, 2, 8.0),
        (lambda u: (data(u), method.analyse(u)), lambda z: z[0] + method.analysis_adjoint(z[1]), 3, 1 + method.norm_squared),
    ):
        x = torch.randn(1, channels, 24, 24, dtype=torch.float64, generator=generator)
        for _ in range(300):
            x = adjoint(apply(x))
            size = x.norm()
            x = x / size
        assert 0.9 * bound < size.item() <= bound


def differences(n: int) -> tuple[np.ndarray, np.ndarray]:
    """First differences of ``n`` values, and of the ``n - 1`` slopes between them."""
    return np.diff(np.eye(n), axis=0), np.diff(np.eye(n - 1), axis=0)


def row(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).reshape(1, 1, 1, -1)


def test_penalty_of_a_row_is_that_of_a_linear_programme(generator):
    n = 12
    first, second = differences(n)
    x = torch.randn(n, dtype=torch.float64, generator=generator).cumsum(0).numpy()
    # Variables v, a >= |D x - v|, b >= |D v|.
    cost = np.concatenate([np.zeros(n - 1), np.ones(n - 1), 2 * np.ones(n - 2)])
    unit, zero = np.eye(n - 1), np.zeros((n - 1, n - 2))
    above = np.block(
        [
            [-unit, -unit, zero],
            [unit, -unit, zero],
            [second, np.zeros((n - 2, n - 1)), -np.eye(n - 2)],
            [-second, np.zeros((n - 2, n - 1)), -np.eye(n - 2)],
        ]
    )
    jump = first @ x
    limits = np.concatenate([-jump, jump, np.zeros(2 * (n - 2))])
    expected = linprog(cost, A_ub=above, b_ub=limits, bounds=(None, None)).fun
    found = TotalGeneralisedVariation(weight=1.0).penalty(row(x)).item()
    assert expected <= found + 1e-9
    assert found == pytest.approx(expected, rel=2e-3)
    assert expected < 0.9 * np.abs(jump).sum()  # control: it is not the total variation


def test_denoised_row_is_that_of_the_dual_problem(generator):
    """``x = y - D* D2* r`` with ``r`` the least of ``|y - D* D2* r|`` under both bounds, by SciPy."""
    n, weight = 14, 0.1
    first, second = differences(n)
    y = np.concatenate([np.linspace(0, 1, n // 2), np.linspace(0.2, -0.3, n - n // 2)])
    y = y + 0.1 * torch.randn(n, dtype=torch.float64, generator=generator).numpy()
    both = (second @ first).T
    solved = minimize(
        lambda r: 0.5 * np.sum((y - both @ r) ** 2),
        np.zeros(n - 2),
        jac=lambda r: both.T @ (both @ r - y),
        bounds=[(-2 * weight, 2 * weight)] * (n - 2),
        constraints=LinearConstraint(second.T, -weight, weight),
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    ours = TotalGeneralisedVariation(weight=weight, iterations=5000, step_ratio=1.0)(row(y), Identity((1, n)))
    np.testing.assert_allclose(ours.flatten().numpy(), y - both @ solved.x, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_affine_images_cost_nothing_and_are_not_changed(dtype):
    i, j = torch.meshgrid(torch.arange(8).double(), torch.arange(9).double(), indexing="ij")
    x = (0.1 * i - 0.05 * j + 1).to(dtype)[None, None] * (1 + 1j if dtype.is_complex else 1)
    method = TotalGeneralisedVariation(weight=0.5, iterations=4000, step_ratio=1.0)
    assert method.joint_penalty(x, gradient(x)).item() == pytest.approx(0, abs=1e-12)
    assert method.penalty(x).item() < 1e-2 * TotalVariation(weight=0.5).penalty(x).item()
    torch.testing.assert_close(method(x, Identity((8, 9), is_complex=dtype.is_complex)), x, atol=1e-4, rtol=0)


def piecewise_affine(size: int) -> torch.Tensor:
    i, j = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    return torch.where(i + j < 1, 0.2 + 0.6 * i, 0.9 - 0.5 * j).double()[None, None]


def test_piecewise_affine_image_is_denoised_better_than_by_total_variation(generator):
    """Each with the best weight of a grid: slopes of total variation become stairs."""
    truth = piecewise_affine(32)
    noisy = truth + 0.05 * torch.randn(truth.shape, dtype=torch.float64, generator=generator)
    best = [
        min(
            tensors.norm(kind(weight=w, iterations=400, step_ratio=3.0)(noisy, Identity((32, 32))) - truth).item()
            for w in (0.02, 0.03, 0.05, 0.08, 0.12)
        )
        for kind in (TotalGeneralisedVariation, TotalVariation)
    ]
    assert best[0] < 0.85 * best[1]


MASK = masks.cartesian_gaussian((32, 32), acceleration=3, centre_fraction=0.1, seed=0)
PROBLEMS = {
    "fourier": (Fourier(MASK), head(32, seed=0)[None], 2e-3),
    "multi-coil": (MultiCoilFourier(MASK, coil_maps(32, 4, seed=0)), head(32, seed=0)[None], 2e-3),
    "radon": (Radon(32, 20), ellipses(32, seed=0)[None], 1e-3),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_default_iterations_are_close_to_a_long_run_and_the_gap_says_so(name, generator):
    operator, truth, weight = PROBLEMS[name]
    clean = operator(truth.to(torch.complex128 if truth.is_complex() else torch.float64))
    y = clean + operator.restrict(0.01 * clean.abs().max() * operator.range.randn(generator=generator, dtype=torch.float64))
    short, long = TotalGeneralisedVariation(weight=weight), TotalGeneralisedVariation(weight=weight, iterations=1500)
    x, limit = short(y, operator), long(y, operator)
    lowest = long.objective(limit, y, operator)
    excess = (short.objective(x, y, operator) - lowest) / lowest
    # The inner minimum of the objective is from above, by less than its own share of this.
    assert -1e-4 < excess.item() < 1e-3
    assert (tensors.norm(x - limit) / tensors.norm(limit)).item() < 0.01
    assert excess.item() <= short.gap(y, operator).item() < 0.05
    assert long.gap(y, operator).item() < 0.3 * short.gap(y, operator).item()


def test_unconverged_run_is_seen_in_objective_and_gap():
    operator, truth, weight = PROBLEMS["radon"]
    y = operator(truth)
    few = TotalGeneralisedVariation(weight=weight, iterations=5)
    many = replace(few, iterations=500)
    ratio = few.objective(few(y, operator), y, operator) / many.objective(many(y, operator), y, operator)
    assert ratio.item() > 1.05
    assert few.gap(y, operator) > 10 * many.gap(y, operator)


def test_solution_fulfils_the_optimality_conditions():
    """``A* p / a + grad* q = 0``, ``E* r = q``, ``p`` the residual, ``q`` and ``r`` subgradients of their norms, checked as such."""
    operator = Fourier(masks.cartesian_gaussian((12, 12), acceleration=2, centre_fraction=0.2, seed=0))
    weight = 0.02
    y = operator(head(12, seed=0)[None].to(torch.complex128))
    method = TotalGeneralisedVariation(weight=weight, iterations=6000, step_ratio=3.0)
    x, v, p, duals = method.state(y, operator).state
    q, r = duals[:, :2], duals[:, 2:]
    torch.testing.assert_close(p, operator.forward(x) - y, atol=1e-5, rtol=0)
    assert (operator.adjoint(p) + gradient_adjoint(q)).abs().max() < 1e-5
    assert (symmetrised_gradient_adjoint(r) - q).abs().max() < 1e-5
    assert lengths(q).max() <= weight * (1 + 1e-9)
    assert lengths(r).max() <= 2 * weight * (1 + 1e-9)
    paired = tensors.inner(q, gradient(x) - v) + tensors.inner(r, symmetrised_gradient(v))
    torch.testing.assert_close(paired, method.joint_penalty(x, v), atol=1e-5, rtol=0)


def test_images_of_a_batch_are_independent(generator):
    operator = Radon(16, 9)
    y = operator.range.randn(3, generator=generator, dtype=torch.float64)
    method = TotalGeneralisedVariation(weight=0.01, iterations=30)
    torch.testing.assert_close(method(y, operator)[1:2], method(y[1:2], operator))
    x = operator.pseudo_inverse(y)
    torch.testing.assert_close(method.penalty(x)[1:2], method.penalty(x[1:2]))


def test_gradient_through_the_unrolled_steps_with_and_without_checkpoints(generator):
    operator = Fourier(masks.cartesian_random((6, 6), acceleration=2, centre_fraction=0.3, seed=0))
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64)).requires_grad_()
    method = TotalGeneralisedVariation(weight=0.05, iterations=12, segment=5)
    assert torch.autograd.gradcheck(lambda v: method(v, operator).abs(), (y,), atol=1e-4)
    whole = torch.autograd.grad(replace(method, segment=12)(y, operator).abs().sum(), y)[0]
    torch.testing.assert_close(whole, torch.autograd.grad(method(y, operator).abs().sum(), y)[0])


def test_derivative_of_the_limit_is_that_of_a_long_run(generator):
    operator = Identity((5, 6))
    y, u = (operator.domain.randn(generator=generator, dtype=torch.float64) for _ in range(2))
    y.requires_grad_()
    settings = {"weight": 0.2, "step_ratio": 1.0}
    method = TotalGeneralisedVariation(**settings, differentiate="implicit", tolerance=1e-8, adjoint_tolerance=1e-5)
    long = TotalGeneralisedVariation(**settings, iterations=1500, segment=50)
    implicit, unrolled = (torch.autograd.grad(f(y, operator), y, u)[0] for f in (method, long))
    assert ((implicit - unrolled).norm() / unrolled.norm()).item() < 1e-3
    assert ((implicit - u).norm() / u.norm()).item() > 0.1  # control: it is not that of the identity


def test_nonnegative_attenuation(generator):
    operator = Radon(16, 9)
    y = operator(ellipses(16, seed=0)[None]) + operator.range.randn(generator=generator)
    assert TotalGeneralisedVariation(weight=1e-4, iterations=50)(y, operator).min() < 0
    assert TotalGeneralisedVariation(weight=1e-4, iterations=50, nonnegative=True)(y, operator).min() >= 0


def test_an_image_of_zeros_stays_zero():
    operator, _, weight = PROBLEMS["fourier"]
    y = operator.range.zeros().requires_grad_()
    x = TotalGeneralisedVariation(weight=weight, iterations=40)(y, operator)
    assert x.abs().max() == 0
    assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()


def test_a_ratio_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="tgv: ratio"):
        TotalGeneralisedVariation(weight=1.0, ratio=0.0)
