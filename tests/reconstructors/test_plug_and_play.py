"""Plug-and-play: the denoiser is 1-Lipschitz, the reconstruction is the minimiser, what was measured moves no further than the measurement."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy import optimize

import reconstructors
from experiments.training.ridge import limit_ridge, settle_ridge
from reconstructors.layout import largest
from reconstructors.plug_and_play import PlugAndPlay, RidgeDenoiser
from stabtest import tensors
from stabtest.bounds.convolution import convolution_norm
from stabtest.bounds.lipschitz import lipschitz
from stabtest.errors import OperatorError
from stabtest.networks import wrap
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, ellipses, head

SHIPPED = ("pnp-mri", "pnp-ct")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def denoiser() -> RidgeDenoiser:
    torch.manual_seed(0)
    made = RidgeDenoiser(filters=6, size=5, steps=4)
    with torch.no_grad():
        made.weight.add_(0.3 * torch.randn(made.weight.shape))
        made.log_threshold.fill_(math.log(0.02))
    limit_ridge(made)
    settle_ridge(made)
    return made.double().eval().requires_grad_(False)


@pytest.fixture
def network(denoiser) -> PlugAndPlay:
    made = PlugAndPlay(filters=6, size=5, iterations=6)
    made.denoiser = denoiser
    return made.double().eval().requires_grad_(False)


def scan(height: int, width: int) -> Fourier:
    return Fourier(masks.cartesian_gaussian((height, width), acceleration=3, centre_fraction=0.15, seed=1))


def largest_gain(denoiser, x, generator, steps=60) -> float:
    """Of pairs, the second found by ascent on the ratio of distances."""
    d = (0.05 * torch.randn(x.shape, generator=generator, dtype=torch.float64)).to(x.dtype)
    best = 0.0
    for _ in range(steps):
        d = d.requires_grad_(True)
        ratio = tensors.norm(denoiser(x + d) - denoiser(x)) / tensors.norm(d)
        (slope,) = torch.autograd.grad(ratio.sum(), d)
        best = max(best, ratio.max().item())
        d = (d + 0.3 * tensors.norm(d).reshape(-1, 1, 1, 1) * slope / tensors.norm(slope).reshape(-1, 1, 1, 1)).detach()
    return best


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_no_pair_found_by_search_is_driven_apart(denoiser, generator, dtype):
    x = 0.1 * torch.randn(4, 1, 16, 13, generator=generator, dtype=dtype)
    assert 0.5 < largest_gain(denoiser, x, generator) <= 1 + 1e-9


def test_control_filters_of_too_large_a_norm_drive_a_pair_apart(denoiser, generator):
    broken = copy.deepcopy(denoiser)
    broken.weight.mul_(3.0)
    x = 0.02 * torch.randn(4, 1, 16, 13, generator=generator, dtype=torch.float64)
    assert largest_gain(broken, x, generator) > 1.1


def test_one_step_is_firmly_nonexpansive(denoiser, generator):
    x, z = (0.1 * torch.randn(8, 1, 12, 12, generator=generator, dtype=torch.complex128) for _ in range(2))
    change = (x - denoiser.gradient(x, denoiser.weight)) - (z - denoiser.gradient(z, denoiser.weight))
    assert (tensors.norm(change).square() <= tensors.inner(change, x - z).real + 1e-12).all()


def test_gradient_is_that_of_the_penalty(denoiser, generator):
    x = (0.1 * torch.randn(1, 1, 9, 8, generator=generator, dtype=torch.float64)).requires_grad_(True)
    (expected,) = torch.autograd.grad(denoiser.penalty(x, scale=0.7).sum(), x)
    torch.testing.assert_close(denoiser.gradient(x, denoiser.weight, scale=0.7), expected)


def test_complex_and_real_images_are_treated_alike(denoiser, generator):
    """A real image with a global phase is denoised as without."""
    x = 0.1 * torch.randn(1, 1, 12, 12, generator=generator, dtype=torch.float64)
    phase = torch.polar(torch.ones(1, dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64))
    torch.testing.assert_close(denoiser(x * phase), denoiser(x) * phase)


def test_scale_is_that_of_the_denoiser(denoiser, generator):
    x = torch.randn(1, 1, 10, 10, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        denoiser.gradient(x, denoiser.weight, scale=0.3), 0.3 * denoiser.gradient(x / 0.3, denoiser.weight)
    )


def test_layer_by_layer_bound_of_one_step_is_one(denoiser, generator):
    """The product of the layers gives 2, multipliers for each channel, checked at every frequency, the theorem's 1."""

    class Step(torch.nn.Module):
        def forward(self, x):
            return x - denoiser.gradient(x, denoiser.weight)

    bound = lipschitz(Step().eval(), torch.zeros(1, 1, 8, 8, dtype=torch.float64), seconds=4.0, generator=generator)
    assert bound.bounds[0].upper == pytest.approx(2, rel=1e-3)
    assert 1 - 1e-9 <= bound.upper <= 1.002
    assert bound.status == "certified"


@pytest.mark.parametrize("make", [lambda: Identity((10, 10)), lambda: Radon(10, 6)])
def test_many_steps_reach_the_minimiser_that_another_method_finds(network, generator, make):
    operator = make()
    y = operator(ellipses(10, seed=1)[None].double())
    y = y + 0.02 * y.abs().max() * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    network.iterations = 1500

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(flat).reshape(1, 1, 10, 10).requires_grad_(True)
        objective = network.objective(x, y, operator).sum()
        return objective.item(), torch.autograd.grad(objective, x)[0].flatten().numpy()

    found = optimize.minimize(
        value, np.zeros(100), jac=True, method="L-BFGS-B", options={"maxiter": 4000, "gtol": 1e-12, "ftol": 1e-16}
    )
    reached = network.objective(network(y, operator), y, operator).item()
    assert reached <= found.fun * (1 + 1e-7)
    assert found.fun <= reached * (1 + 1e-5)


def test_fixed_point_is_that_of_forward_backward_splitting(network, generator):
    """``x = prox(x - A* (A x - y))`` with the denoiser run to its limit, at noise ``s``."""
    operator = scan(12, 12)
    y = operator(head(12, seed=2)[None].to(torch.complex128))
    network.scale.fill_(0.2)
    network.iterations = 1500
    x = network(y, operator)
    z = x - operator.adjoint(operator.forward(x) - y) / operator.norm_bound() ** 2
    limit = copy.deepcopy(network.denoiser)
    limit.steps = 150
    again = 0.2 * limit(z / 0.2)
    assert (tensors.norm(again - x) / tensors.norm(x)).item() < 1e-6


def test_measured_part_moves_no_further_than_the_measurement(network, generator):
    operator = scan(12, 16)
    network.iterations = 600
    y = operator(head(16, seed=2)[None, :, :12].to(torch.complex128))
    e = operator.restrict(0.3 * torch.randn(3, *y.shape[1:], generator=generator, dtype=torch.complex128))
    moved = operator.forward(network(y + e, operator) - network(y, operator))
    assert (tensors.norm(moved) <= tensors.norm(e) * (1 + 1e-4)).all()
    assert (tensors.norm(moved) > 0.1 * tensors.norm(e)).all()


@pytest.mark.parametrize("size", [(16, 16), (9, 31)])
def test_any_size_coils_and_batches(network, generator, size):
    single = scan(*size)
    side = max(size)
    coils = MultiCoilFourier(single.mask, coil_maps(side, 3, seed=0)[:, : size[0], : size[1]].to(torch.complex128))
    for operator in (single, coils):
        y = operator.restrict(operator.range.randn(2, generator=generator, dtype=torch.float64))
        x = network(y, operator)
        assert x.shape == (2, 1, *size)
        torch.testing.assert_close(x[1:], network(y[1:], operator))


def test_gradient_with_respect_to_the_measurement(network, generator):
    operator = scan(6, 7)
    y = operator(head(8, seed=0)[None, :, :6, :7].to(torch.complex128)).requires_grad_()
    apply = lambda v: torch.view_as_real(network(operator.restrict(v), operator))  # noqa: E731
    assert torch.autograd.gradcheck(apply, (y,), atol=1e-5, fast_mode=True)


def test_measurement_of_another_size_is_refused(network):
    with pytest.raises(OperatorError):
        network(scan(16, 16).range.zeros(dtype=torch.float64), scan(12, 16))


@pytest.mark.parametrize(("size", "name"), [(4, "4"), (3, "3"), (6, "6")])
def test_a_filter_that_is_even_or_too_small_is_refused(size, name):
    with pytest.raises(ValueError, match=f"odd number from 5 on, came {name}"):
        RidgeDenoiser(size=size)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_filters_are_certified_and_see_no_level(name):
    denoiser = reconstructors.load(name).module.denoiser
    assert 0.9 < convolution_norm(denoiser.weight) <= 1
    assert denoiser.weight.mean((2, 3)).abs().max() < 1e-6


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_denoiser_drives_no_pair_apart(name, generator):
    denoiser = copy.deepcopy(reconstructors.load(name).module.denoiser).double()
    x = ellipses(24, seed=0)[None].double()
    assert largest_gain(denoiser, x, generator, steps=30) <= 1 + 1e-9


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_reconstruction_runs_wrapped_and_comes_near_its_minimiser(name):
    entry = reconstructors.load(name)
    operator = Radon(32, 12) if name == "pnp-ct" else scan(32, 32)
    image = ellipses(32, seed=5) if name == "pnp-ct" else head(32, seed=5)
    y = operator(image[None])
    x = wrap(entry.module, takes=entry.takes, channels=entry.channels, scale=entry.scale)(y, operator)
    start = operator.pseudo_inverse(y)
    assert tensors.norm(x - image[None]) < tensors.norm(start - image[None])
    longer = copy.deepcopy(entry.module)
    longer.iterations *= 10
    y = y / largest(start) if entry.scale == "max" else y
    reached, lowest = (entry.module.objective(each(y, operator), y, operator).item() for each in (entry.module, longer))
    assert reached - lowest < 1e-3 * lowest
