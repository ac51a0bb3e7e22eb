"""The nonuniform transform against the explicit matrix in double precision; trajectories; density compensation."""

import math

import numpy as np
import pytest
import torch

from reconstructors.tv import TotalVariation
from stabtest import phantoms
from stabtest.errors import OperatorError
from stabtest.operators import Fourier, NonCartesian, dot_test, fft2c, spiral, spokes
from stabtest.tensors import inner, norm

pytest.importorskip("pytorch_finufft")

RADIAL, SPIRAL = spokes(7, 20, golden=True), spiral(3, 40)


def maps(coils, height, width):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(coils, height, width, dtype=torch.complex128, generator=generator)


def matrix(points, height, width):
    """``exp(-i k . (n - N // 2)) / sqrt(H W)``, ``(M, H W)``."""
    rows, columns = np.arange(height) - height // 2, np.arange(width) - width // 2
    k = points.numpy()
    phase = k[:, :1, None] * rows[None, :, None] + k[:, 1:, None] * columns[None, None, :]
    return np.exp(-1j * phase).reshape(len(k), -1) / math.sqrt(height * width)


OPERATORS = {
    "radial": NonCartesian(RADIAL, (16, 16)),
    "spiral": NonCartesian(SPIRAL, (16, 16)),
    "odd": NonCartesian(RADIAL, (15, 9)),
    "coils": NonCartesian(SPIRAL, (8, 11), maps(3, 8, 11)),
    "fine": NonCartesian(RADIAL, (9, 8)).refine(2),
    "fine coils": NonCartesian(RADIAL, (8, 8), maps(2, 8, 8)).refine(3),
}
every_operator = pytest.mark.parametrize("A", OPERATORS.values(), ids=OPERATORS)


@pytest.mark.parametrize("points", [RADIAL, SPIRAL], ids=["radial", "spiral"])
@pytest.mark.parametrize("shape", [(16, 16), (15, 10)])
def test_products_are_those_of_the_explicit_matrix(points, shape, generator):
    A, E = NonCartesian(points, shape), matrix(points, *shape)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64)
    y = A.range.randn(2, generator=generator, dtype=torch.float64)
    np.testing.assert_allclose(A(x)[:, 0], x.flatten(1).numpy() @ E.T, atol=1e-11)
    np.testing.assert_allclose(A.adjoint(y).flatten(1), y[:, 0].numpy() @ E.conj(), atol=1e-11)


def test_coils_see_the_image_through_their_maps(generator):
    s = maps(3, 8, 11)
    A, E = NonCartesian(SPIRAL, (8, 11), s), matrix(SPIRAL, 8, 11)
    x = A.domain.randn(1, generator=generator, dtype=torch.float64)
    for coil in range(3):
        np.testing.assert_allclose(A(x)[0, coil], E @ (s[coil] * x[0, 0]).flatten().numpy(), atol=1e-11)


def test_on_the_grid_it_is_the_cartesian_transform(generator):
    height, width = 8, 9
    rows, columns = (2 * math.pi * (torch.arange(n, dtype=torch.float64) - n // 2) / n for n in (height, width))
    points = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).flatten(0, 1)
    A = NonCartesian(points, (height, width))
    x = A.domain.randn(1, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(A(x)[0, 0].reshape(height, width), fft2c(x)[0, 0])
    full = Fourier(torch.ones(height, width, dtype=torch.bool))
    fine = A.refine(2).domain.randn(1, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(A.refine(2)(fine)[0, 0].reshape(height, width), full.refine(2)(fine)[0, 0])


@every_operator
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 3e-6), (torch.float64, 1e-11)])
def test_adjoint_is_exact(A, dtype, limit, generator):
    assert dot_test(A, generator=generator, dtype=dtype) <= limit


@every_operator
def test_gradient_is_the_adjoint_of_the_residual(A, generator):
    x = A.domain.randn(2, generator=generator, dtype=torch.float64).requires_grad_()
    y = A.range.randn(2, generator=generator, dtype=torch.float64)
    residual = A(x) - y
    (gradient,) = torch.autograd.grad(0.5 * inner(residual, residual).sum(), x)
    torch.testing.assert_close(gradient, A.adjoint(residual.detach()))


@every_operator
def test_derivatives_of_the_second_order_and_forward_ones_are_products_too(A, generator):
    x, v = (A.domain.randn(1, generator=generator, dtype=torch.float64) for _ in range(2))

    def value(image):
        return 0.25 * A(image).abs().square().sum().square()

    variable = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(variable), variable, create_graph=True)
    (curvature,) = torch.autograd.grad(inner(gradient, v).sum(), variable)
    y, w = A(x), A(v)
    power = y.abs().square().sum()
    expected = A.adjoint(power * w + 2 * inner(y, w).reshape(()) * y)
    torch.testing.assert_close(curvature, expected)
    torch.testing.assert_close(torch.func.jvp(A.forward, (x,), (v,))[1], w)
    torch.testing.assert_close(torch.func.vmap(A.forward)(torch.stack([x, v])), torch.stack([y, w]))


def test_weights_that_are_given_are_used_on_any_scale(generator):
    w = torch.rand(140, generator=generator, dtype=torch.float64)
    first, scaled = (NonCartesian(RADIAL, (16, 16), weights=factor * w) for factor in (1, 7))
    y = first.range.randn(1, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(first.pseudo_inverse(y), scaled.pseudo_inverse(y))
    direct = first.adjoint(y * w)
    torch.testing.assert_close(first.pseudo_inverse(y) / first.pseudo_inverse(y).norm(), direct / direct.norm())
    assert not torch.allclose(first.pseudo_inverse(y), OPERATORS["radial"].pseudo_inverse(y))  # control
    torch.testing.assert_close(first.refine(2).weights, w)


@every_operator
def test_the_direct_image_is_linear_and_differentiable(A, generator):
    y = A.range.randn(1, generator=generator, dtype=torch.float64).requires_grad_()
    w = A.domain.randn(1, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(inner(A.pseudo_inverse(y), w).sum(), y)
    torch.testing.assert_close(inner(gradient, y.detach()), inner(A.pseudo_inverse(y.detach()), w))


def test_the_density_of_spokes_is_a_ramp():
    """Full radial sampling: the weight of a sample grows with its distance from DC (the area between circles and spokes)."""
    A = NonCartesian(spokes(50, 32), (32, 32))
    w = A.density.reshape(50, 32).mean(0)
    radius = (torch.arange(32) - 16).abs().double()
    inside = (radius >= 3) & (radius <= 13)
    slope = w[inside] / radius[inside]
    assert float(slope.std() / slope.mean()) < 0.15


@pytest.mark.parametrize("points", [spokes(60, 64, golden=True), spiral(16, 300, turns=3.0)], ids=["radial", "spiral"])
def test_the_direct_image_shows_the_object_and_total_variation_too(points):
    A = NonCartesian(points, (32, 32))
    fine = phantoms.make("head", 64, seed=3)[None].to(torch.complex64)
    full = Fourier(torch.ones(32, 32, dtype=torch.bool))
    y, truth = A.refine(2)(fine), full.adjoint(full.refine(2)(fine))

    def error(image):
        return float(norm(image - truth) / norm(truth))

    direct = error(A.pseudo_inverse(y))
    assert direct < 0.2
    assert error(A.adjoint(y)) > 2 * direct  # control: without the density
    assert error(TotalVariation(1e-3, iterations=100)(y, A)) < 0.25


def test_the_first_golden_spokes_are_those_of_a_shorter_scan():
    torch.testing.assert_close(spokes(21, 16, golden=True)[: 13 * 16], spokes(13, 16, golden=True))


def test_the_norm_is_the_largest_singular_value():
    A = OPERATORS["radial"]
    largest = np.linalg.svd(matrix(RADIAL, 16, 16), compute_uv=False)[0]
    assert largest <= A.norm_bound() <= 1.03 * largest


WRONG = {
    "cycles": (torch.full((3, 2), 8.0), None, "divide cycles"),
    "shape": (torch.zeros(3), None, "real .M, 2."),
    "weights": (RADIAL, None, "one finite real number", torch.ones(3)),
    "negative weights": (RADIAL, None, "negative", -torch.ones(140)),
    "maps": (RADIAL, torch.zeros(2, 4, 4), "complex .C, 8, 8."),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_impossible_scans_are_refused(wrong):
    points, sensitivities, words, *weights = wrong
    with pytest.raises(OperatorError, match=words):
        NonCartesian(points, (8, 8), sensitivities, weights=weights[0] if weights else None)


def test_a_missing_package_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pytorch_finufft", None)
    with pytest.raises(OperatorError, match=r"stabtest\[mri\]"):
        NonCartesian(RADIAL, (8, 8))
