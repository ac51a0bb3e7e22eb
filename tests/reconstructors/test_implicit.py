"""Fixed points and their derivatives: against linear algebra, against finite differences of the solution, and noticed when unsolved."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reconstructors.implicit import Linearised, attach, iterate, size, warn_unsolved
from reconstructors.invariant import InvariantWavelets
from reconstructors.tv import TotalVariation
from reconstructors.wavelet import WaveletL1
from stabtest import tensors
from stabtest.operators import Fourier, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, ellipses, head
from stabtest.search.jacobian import Linearisation

OPTIONS = {"weights": (1.0,), "tolerance": 1e-12, "limit": 5000}
MASK = masks.cartesian_gaussian((16, 16), acceleration=2, centre_fraction=0.2, seed=0)
OPERATORS = {
    "fourier": (Fourier(MASK), head(16, seed=0)[None]),
    "multi-coil": (MultiCoilFourier(MASK, coil_maps(16, 3, seed=0)), head(16, seed=0)[None]),
    "radon": (Radon(16, 12), ellipses(16, seed=1)[None]),
}
TV = TotalVariation(0.01)
METHODS = {
    ("tv", "fourier"): TV,
    ("tv", "multi-coil"): TV,
    ("tv", "radon"): TotalVariation(1e-3),
    ("invariant", "fourier"): InvariantWavelets(0.02, levels=2),
    ("wavelet", "radon"): WaveletL1(3e-3, levels=2, wavelet="db2"),
}
EXACT = {"differentiate": "implicit", "tolerance": 1e-12, "limit": 30_000, "adjoint_tolerance": 1e-9, "adjoint_limit": 30_000}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scan(name: str):
    """A noisy measurement in float64 and a random direction to perturb it in."""
    operator, truth = OPERATORS[name]
    y = operator(truth.to(torch.complex128 if truth.is_complex() else torch.float64))
    noise = operator.restrict(operator.range.randn(generator=generator(1), dtype=torch.float64))
    direction = operator.restrict(operator.range.randn(generator=generator(2), dtype=torch.float64))
    return operator, y + 0.02 * y.abs().max() * noise, direction


def matrix(n: int, largest: float, seed: int = 0) -> torch.Tensor:
    """Symmetric, eigenvalues in [0, largest]."""
    q, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator(seed)))
    return q @ torch.diag(torch.linspace(0, largest, n, dtype=torch.float64)) @ q.T


@pytest.mark.parametrize("scheme", ["relaxed", "accelerated"])
def test_linear_fixed_point_and_its_derivative_are_those_of_linear_algebra(scheme):
    m, b = matrix(6, 0.95), torch.randn(6, 6, dtype=torch.float64, generator=generator(1))
    y = torch.randn(2, 6, dtype=torch.float64, generator=generator(2))

    def step(z, v):
        return (z[0] @ m + v @ b,)

    exact = b @ torch.linalg.inv(torch.eye(6, dtype=torch.float64) - m)  # of the row y -> z
    found = iterate(lambda z: step(z, y), (torch.zeros_like(y),), scheme=scheme, **OPTIONS)
    torch.testing.assert_close(found.state[0], y @ exact, atol=1e-9, rtol=1e-9)
    J = Linearised(step, found.state, y, scheme=scheme, **OPTIONS)
    u = torch.randn(2, 6, dtype=torch.float64, generator=generator(3))
    torch.testing.assert_close(J.adjoint(u).value, u @ exact.T, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(J.tangent(u).value, u @ exact, atol=1e-9, rtol=1e-9)


def test_acceleration_needs_fewer_steps_where_it_is_slow():
    m = matrix(20, 0.9995)
    start = (torch.randn(1, 20, dtype=torch.float64, generator=generator(1)),)
    steps = [
        iterate(lambda z: (z[0] @ m + 1,), start, scheme=scheme, weights=(1.0,), tolerance=1e-8, limit=20_000).iterations.item()
        for scheme in ("relaxed", "accelerated")
    ]
    assert 5 * steps[1] < steps[0] < 20_000


def test_each_image_stops_on_its_own_and_does_not_depend_on_its_batch():
    rates = torch.tensor([[0.1], [0.9]], dtype=torch.float64)
    together = iterate(lambda z: (rates * z[0] + 1,), (torch.zeros(2, 1).double(),), weights=(1.0,), tolerance=1e-6, limit=500)
    assert together.iterations[0] < together.iterations[1]
    for image in range(2):
        alone = iterate(
            lambda z, r=rates[image]: (r * z[0] + 1,), (torch.zeros(1, 1).double(),), weights=(1.0,), tolerance=1e-6, limit=500
        )
        assert torch.equal(alone.state[0][0], together.state[0][image])


def test_size_is_the_weighted_norm():
    state = (torch.tensor([[3.0]]), torch.tensor([[2.0j]]))
    assert size(state, (1.0, 4.0)).item() == pytest.approx(5)


def test_an_unsolved_image_is_named():
    found = iterate(lambda z: (0.99 * z[0] + 1,), (torch.zeros(2, 1),), weights=(1.0,), tolerance=1e-6, limit=9)
    with pytest.warns(RuntimeWarning, match=r"images \[0, 1\] stopped after 9 steps"):
        warn_unsolved("test", found, 1e-6)


SLOW = {("tv", "radon"), ("tv", "multi-coil"), ("invariant", "fourier")}


@pytest.mark.parametrize(("method", "name"), [pytest.param(*c, marks=pytest.mark.slow) if c in SLOW else c for c in METHODS])
def test_gradient_is_that_of_the_solution_by_finite_differences(method, name):
    """Central differences of a converged float64 solution; the residuals say that both sides are solved."""
    operator, y, direction = scan(name)
    solver = replace(METHODS[method, name], **EXACT)
    u = operator.domain.randn(generator=generator(3), dtype=torch.float64)
    v = y.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(tensors.inner(solver(v, operator), u).sum(), v)
    h = 1e-5 * tensors.norm(y).item() / tensors.norm(direction).item()
    both = solver.solve(torch.cat([y + h * direction, y - h * direction]), operator)
    assert both.residual.max().item() <= 1e-12
    ahead, behind = both.state[0].split(1)
    expected = tensors.inner((ahead - behind) / (2 * h), u).item()
    assert tensors.inner(gradient, direction).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("method", "name"), [("tv", "fourier"), ("wavelet", "radon")])
def test_gradient_is_the_limit_of_the_unrolled_one(method, name):
    operator, y, _ = scan(name)
    u = operator.domain.randn(generator=generator(3), dtype=torch.float64)

    def gradient(solver):
        v = y.clone().requires_grad_()
        return torch.autograd.grad(tensors.inner(solver(v, operator), u).sum(), v)[0]

    limit = gradient(replace(METHODS[method, name], **EXACT))
    unrolled = [gradient(replace(METHODS[method, name], iterations=k)) for k in (20, 100, 500)]
    distances = [(tensors.norm(each - limit) / tensors.norm(limit)).item() for each in unrolled]
    assert distances[2] < 0.01
    assert distances[2] < distances[1] < distances[0]


def test_products_forwards_and_backwards_belong_to_one_jacobian():
    """By the double-vjp trick through the solver, as `jacobian_spectrum` takes them."""
    operator, y, direction = scan("fourier")
    solver = replace(TV, **EXACT | {"tolerance": 1e-8, "adjoint_tolerance": 1e-7})
    J = Linearisation(lambda v: solver(v, operator), y)
    u = operator.domain.randn(generator=generator(3), dtype=torch.float64)
    forwards, backwards = tensors.inner(J.jvp(direction), u), tensors.inner(direction, J.vjp(u))
    assert forwards.item() == pytest.approx(backwards.item(), rel=1e-5)


def test_one_step_of_graph_is_kept_however_long_the_solver_runs():
    """Tensors saved for backward do not grow with the steps; control: those of a loop do."""
    operator, y, _ = scan("fourier")
    v = y.requires_grad_()

    def saved(run) -> int:
        count = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: count.append(1) or t, lambda t: t):
            run()
        return len(count)

    def loop(steps: int):
        state = (operator.adjoint(v), v, torch.zeros(1, 2, 16, 16, dtype=v.dtype))
        for _ in range(steps):
            state = TV._step(operator)(state, v)

    solvers = [replace(TV, differentiate="implicit", tolerance=t) for t in (1e-2, 1e-4)]
    few, many = (saved(lambda s=solver: s(v, operator)) for solver in solvers)
    assert few == many > 0
    assert saved(lambda: loop(10)) > 8 * saved(lambda: loop(1))


def test_attached_image_is_the_image():
    y = torch.ones(1, 3, requires_grad=True)
    J = Linearised(lambda z, v: ((z[0] + v) / 2,), (y,), y, weights=(1.0,), tolerance=1e-6, limit=100)
    image = attach(y.detach(), y, J)
    assert torch.equal(image, y.detach())
    assert image.requires_grad
