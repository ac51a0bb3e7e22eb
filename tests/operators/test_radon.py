"""The strip projector against polygons, analysis and another program."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.errors import OperatorError
from stabtest.operators import Radon
from stabtest.operators.strip import ParallelGeometry, footprint_cdf, system_matrix


def clip(polygon, normal, offset):
    """Sutherland-Hodgman: the part of a convex polygon with <normal, p> <= offset."""
    kept = []
    for p, q in zip(polygon, polygon[1:] + polygon[:1]):
        a, b = np.dot(normal, p) - offset, np.dot(normal, q) - offset
        if a <= 0:
            kept.append(p)
        if a * b < 0:
            kept.append(p + (q - p) * a / (a - b))
    return kept


def area(polygon):
    if len(polygon) < 3:
        return 0.0
    x, y = np.array(polygon).T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 45.0, 17.3, 100.0, 271.5, -33.0, 1e-9])
def test_every_entry_is_the_area_of_a_clipped_polygon(angle):
    g = ParallelGeometry(3, 4, (angle,), 7, pixel_size=0.8, detector_spacing=0.6, centre_offset=0.37)
    expected = np.zeros((7, 12))
    normal = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    for row in range(3):
        for column in range(4):
            x, y = (column - 1.5) * 0.8, (1 - row) * 0.8
            square = [np.array([x + a * 0.4, y + b * 0.4]) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            for i, t in enumerate((np.arange(7) - 3 - 0.37) * 0.6):
                strip = clip(clip(square, normal, t + 0.3), -normal, -(t - 0.3))
                expected[i, row * 4 + column] = area(strip) / 0.6
    np.testing.assert_allclose(system_matrix(g).toarray(), expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(-400, 400), t=st.lists(st.floats(-2, 2), min_size=2, max_size=8))
def test_footprint_is_a_distribution_function(angle, t):
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    values = footprint_cdf(np.sort(np.array(t)), c, s)
    assert (np.diff(values) >= -1e-12).all()
    np.testing.assert_allclose(footprint_cdf(-np.sort(np.array(t)), c, s), 1 - values, atol=1e-12)
    np.testing.assert_allclose(footprint_cdf(np.array([-0.75, 0.75]), c, s), [0, 1], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 15),
    width=st.integers(1, 15),
    angle=st.floats(-720, 720),
    pixel=st.floats(0.3, 3),
    spacing=st.floats(0.3, 3),
    offset=st.floats(-3, 3),
)
def test_every_view_has_the_mass_of_the_image(height, width, angle, pixel, spacing, offset):
    A = Radon((height, width), [angle], pixel_size=pixel, detector_spacing=spacing, centre_offset=offset)
    x = torch.rand(1, 1, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(A(x).sum() * spacing, x.sum() * pixel**2)


def test_disc_has_the_analytic_projections():
    """Line integrals 2 sqrt(r^2 - (t - t0)^2), averaged over each bin."""
    n, factor, r, centre = 32, 8, 9.0, (3.2, -4.1)
    t = (torch.arange(n * factor, dtype=torch.float64) + 0.5) / factor - n / 2
    inside = (t[None] - centre[0]) ** 2 + (-t[:, None] - centre[1]) ** 2 < r * r
    x = inside.double()[None, None]
    A = Radon(n, [0.0, 31.0, 90.0, 133.0]).refine(factor)
    y = A(x)[0, 0].numpy()
    for view, angle in enumerate(A.angles):
        t0 = centre[0] * math.cos(math.radians(angle)) + centre[1] * math.sin(math.radians(angle))
        fine = np.linspace(-0.5, 0.5, 401)
        s = A.geometry.detector_positions[:, None] + fine - t0
        expected = (2 * np.sqrt(np.maximum(r * r - s**2, 0))).mean(1)
        assert np.abs(y[view] - expected).max() < 0.1
        assert np.abs(y[view] - np.roll(expected, 1)).max() > 1  # control


def test_pixel_size_and_refinement_keep_the_line_integrals(generator):
    A = Radon(12, 9, pixel_size=0.5)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64)
    blocks = x.repeat_interleave(3, -1).repeat_interleave(3, -2)
    torch.testing.assert_close(A.refine(3)(blocks), A(x))
    torch.testing.assert_close(Radon(12, 9)(x), A(x) * 2)


def test_orientation_and_values_are_those_of_skimage():
    from skimage.transform import radon

    t = np.arange(65) - 32.0
    x = np.exp(-((t[None] - 9) ** 2) / 40 - (t[:, None] + 5) ** 2 / 90) + 0.5 * np.exp(
        -((t[None] + 12) ** 2 + (t[:, None] - 8) ** 2) / 30
    )
    angles = [0.0, 20.0, 77.0, 90.0, 140.0]
    theirs = radon(x, theta=angles, circle=False).T
    # Padded to an even width, its axis is the middle of bin N // 2, half a bin right of the detector's middle.
    A = Radon(65, angles, theirs.shape[1], centre_offset=0.5)
    ours = A(torch.from_numpy(x)[None, None])[0, 0].numpy()
    assert np.abs(ours - theirs).max() < 0.002 * theirs.max()
    assert np.abs(ours[:, ::-1] - theirs).max() > 0.2 * theirs.max()  # control: mirrored


def test_centre_offset_moves_the_sinogram_by_bins(generator):
    x = torch.rand(1, 1, 8, 8, generator=generator, dtype=torch.float64)
    straight, moved = Radon(8, 5, 20)(x), Radon(8, 5, 20, centre_offset=2)(x)
    torch.testing.assert_close(moved[..., 2:], straight[..., :-2])


def test_default_detector_sees_the_corners():
    for size in (7, 8, (5, 12)):
        A = Radon(size, 24)
        assert (A.geometry.detectors - A.domain.shape[2]) % 2 == 0
        total = A(torch.ones(1, 1, *A.domain.shape[1:], dtype=torch.float64)).sum(-1)
        torch.testing.assert_close(total, torch.full_like(total, A.domain.shape[1] * A.domain.shape[2]))


def test_gradients_of_both_orders_are_right(generator):
    A = Radon(5, 4, 6)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64).requires_grad_()
    y = A.range.randn(2, generator=generator, dtype=torch.float64).requires_grad_()
    for f, argument in ((A.forward, x), (A.adjoint, y), (A.fbp, y), (lambda z: A(z).sin().square(), x)):
        assert torch.autograd.gradcheck(f, argument, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(f, argument)


def test_function_transforms_work(generator):
    A = Radon(5, 4, 6)
    dense = torch.from_numpy(A.matrix.scipy_matrix().toarray())
    x = A.domain.randn(1, generator=generator, dtype=torch.float64)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(jacobian(A.forward)(x).reshape(dense.shape), dense)
    many = A.domain.randn(6, generator=generator, dtype=torch.float64).unflatten(0, (3, 2))
    torch.testing.assert_close(torch.func.vmap(A.forward)(many).flatten(0, 1), A(many.flatten(0, 1)))
    moved = torch.func.vmap(A.forward, in_dims=2)(many.movedim(0, 2))
    torch.testing.assert_close(moved.flatten(0, 1), A(many.flatten(0, 1)))


@pytest.mark.parametrize("batch", [1, 2, 9])
@pytest.mark.parametrize("mkl", [True, False])
def test_product_is_that_of_the_dense_matrix(batch, mkl, generator, monkeypatch):
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    A = Radon(6, 5)
    dense = torch.from_numpy(A.matrix.scipy_matrix().toarray())
    x = A.domain.randn(batch, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(A(x).flatten(1), x.flatten(1) @ dense.T)
    torch.testing.assert_close(A.adjoint(A(x)).flatten(1), x.flatten(1) @ dense.T @ dense)
    strided = x.repeat_interleave(2, 0)[::2].transpose(-1, -2).contiguous().transpose(-1, -2)
    torch.testing.assert_close(A(strided), A(x))


def test_lower_precision_is_computed_in_single():
    A = Radon(8, 6)
    x = torch.ones(2, 1, 8, 8, dtype=torch.bfloat16)
    assert A(x).dtype == torch.bfloat16
    assert torch.equal(A(x), A(x.float()).bfloat16())


@pytest.mark.parametrize("batch", [1, 2])
def test_product_under_autocast_is_computed_in_single(batch, generator):
    operator = Radon(16, 9)
    x = operator.domain.randn(batch, generator=generator).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = operator.forward(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, operator.forward(x), rtol=0, atol=0)
    assert torch.autograd.grad(y.sum(), x)[0].dtype == torch.float32


def test_copies_in_other_processes_are_equal_and_small(generator):
    A = Radon(32, 20, window="hann")
    x = A.domain.randn(1, generator=generator)
    y = A(x)
    packed = pickle.dumps(A)
    assert len(packed) < 5000
    for other in (pickle.loads(packed), copy.deepcopy(A)):
        assert torch.equal(other(x), y)
        assert torch.equal(other.pseudo_inverse(y), A.pseudo_inverse(y))


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ({"size": 0, "angles": 4}, "height"),
        ({"size": 8, "angles": 0}, "angles"),
        ({"size": 8, "angles": [0.0, float("nan")]}, "angles"),
        ({"size": 8, "angles": 4, "detectors": 0}, "detectors"),
        ({"size": 8, "angles": 4, "pixel_size": -1.0}, "pixel_size"),
        ({"size": 8, "angles": 4, "detector_spacing": 0.0}, "detector_spacing"),
        ({"size": 8, "angles": 4, "centre_offset": float("inf")}, "centre_offset"),
        ({"size": 8, "angles": 4, "window": "ramp"}, "window"),
        ({"size": 8000, "angles": 4000}, "too large"),
    ],
)
def test_wrong_arguments_are_named(arguments, culprit):
    with pytest.raises(OperatorError, match=culprit):
        Radon(**arguments).matrix  # noqa: B018
