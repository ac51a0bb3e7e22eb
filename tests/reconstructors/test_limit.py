"""The value of a stopped solver with the derivative of its limit: both against independent computations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reconstructors.invariant import InvariantWavelets
from reconstructors.limit import LimitDerivative
from reconstructors.tv import TotalVariation
from reconstructors.wavelet import WaveletL1
from stabtest import tensors
from stabtest.operators import Fourier, Radon, masks
from stabtest.phantoms import ellipses, head

METHODS = {
    "tv": TotalVariation(1e-3, iterations=30),
    "invariant": InvariantWavelets(3e-3, levels=2, iterations=30),
    "wavelet": WaveletL1(3e-3, levels=2, iterations=30),
}
EXACT = {"differentiate": "implicit", "tolerance": 1e-11, "adjoint_tolerance": 1e-8, "adjoint_limit": 20_000, "limit": 30_000}


@pytest.fixture(scope="module")
def scan():
    operator = Radon(16, 12)
    y = operator(ellipses(16, seed=0)[None].double())
    return operator, y + 0.03 * y.abs().max() * operator.range.randn(generator=torch.Generator().manual_seed(0), dtype=y.dtype)


def slope(method, y, operator, u):
    y = y.clone().requires_grad_()
    (g,) = torch.autograd.grad(tensors.inner(method(y, operator), u).sum(), y)
    return g


def image_like(operator, y):
    return torch.randn(y.shape[0], *operator.domain.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", METHODS)
def test_all_ways_have_the_value_of_the_shipped_solver_to_the_bit(scan, name):
    operator, y = scan
    ways = METHODS[name].differentiations()
    assert list(ways) == ["unrolled", "implicit"]
    for method in ways.values():
        for tracked in (False, True):
            assert torch.equal(method(y.clone().requires_grad_(tracked), operator).detach(), METHODS[name](y, operator))


@pytest.mark.parametrize("name", METHODS)
def test_the_derivative_is_that_of_the_limit_and_not_of_the_stopped_solver(scan, name):
    """Against the implicit derivative of the solver run to 1e-11 from its own start."""
    operator, y = scan
    exact = replace(METHODS[name], **EXACT)
    u = image_like(operator, y)
    wanted = slope(exact, y, operator, u)
    found = slope(LimitDerivative(METHODS[name], exact), y, operator, u)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
    unrolled = slope(METHODS[name], y, operator, u)
    assert tensors.norm(unrolled - wanted) > 0.01 * tensors.norm(wanted)  # control: the two ways differ


@pytest.mark.parametrize("name", METHODS)
def test_the_tolerance_of_a_search_gives_its_direction(scan, name):
    operator, y = scan
    u = image_like(operator, y)
    wanted = slope(replace(METHODS[name], **EXACT), y, operator, u)
    found = slope(METHODS[name].differentiations()["implicit"], y, operator, u)
    cosine = tensors.inner(found, wanted) / (tensors.norm(found) * tensors.norm(wanted))
    assert cosine > 0.9


def test_complex_images_too():
    operator = Fourier(masks.cartesian_gaussian((16, 16), acceleration=2, centre_fraction=0.2, seed=0))
    y = operator(head(16, seed=0)[None].to(torch.complex128))
    method = TotalVariation(0.01, iterations=30)
    exact = replace(method, **EXACT | {"tolerance": 1e-7})
    u = image_like(operator, y)
    wanted = slope(exact, y, operator, u)
    found = slope(LimitDerivative(method, exact), y, operator, u)
    assert tensors.norm(found - wanted) < 1e-3 * tensors.norm(wanted)
    assert tensors.norm(slope(method, y, operator, u) - wanted) > 1e-2 * tensors.norm(wanted)  # control


def test_going_on_from_where_it_was_stopped_ends_where_a_run_from_the_start_does(scan):
    operator, y = scan
    for method in METHODS.values():
        exact = replace(method, **EXACT)
        on = exact.solve(y, operator, start=method.state(y, operator).state)
        torch.testing.assert_close(on.state[0], exact.solve(y, operator).state[0], rtol=1e-6, atol=1e-7)


def test_a_method_that_is_solved_has_one_way(scan):
    method = replace(METHODS["tv"], differentiate="implicit")
    assert method.differentiations() == {"implicit": method}


def test_a_method_tells_how_far_from_finished_it_is(scan):
    operator, y = scan
    for method in METHODS.values():
        told = method.convergence(y, operator, factor=3)
        longer = method.longer(3)(y, operator)
        assert torch.equal(told.longer, longer)
        torch.testing.assert_close(told.distance, tensors.norm(method(y, operator) - longer) / tensors.norm(longer))
