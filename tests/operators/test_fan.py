"""The fan-beam projector against closed forms, clipped polygons and the parallel beam; filtered back-projection."""

import math

import numpy as np
import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import FanBeam, Radon

DISTANCES = {"source_distance": 150.0, "detector_distance": 80.0}
ELLIPSES = ((1.0, 20.0, 14.0, 3.0, -4.0, 20.0), (-0.4, 6.0, 9.0, -5.0, 6.0, -50.0))  # value, half axes, centre, degrees


def rays(A, points=1):
    """Source and direction of the rays through the bins, ``points`` to each: the definition, in coordinates."""
    g = A.geometry
    inside = (np.arange(points) + 0.5) / points - 0.5
    u = (g.positions[:, None] + inside * g.detector_spacing).ravel()
    beta = np.radians(g.angles)[:, None]
    source = np.stack([g.source_distance * np.sin(beta), -g.source_distance * np.cos(beta)], -1)
    along, across = np.stack([-np.sin(beta), np.cos(beta)], -1), np.stack([np.cos(beta), np.sin(beta)], -1)
    length = g.source_distance + g.detector_distance
    if g.detector == "flat":
        direction = length * along + u[None, :, None] * across
    else:
        direction = np.cos(u / length)[None, :, None] * along + np.sin(u / length)[None, :, None] * across
    return source, direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def chord(source, direction, ellipse):
    """Line integral of an ellipse: value times length of the chord, from the quadratic equation."""
    value, a, b, x, y, degrees = ellipse
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[c / a, s / a], [-s / b, c / b]])
    p, d = (source - np.array([x, y])) @ turn.T, direction @ turn.T
    dd, pd, pp = (d * d).sum(-1), (p * d).sum(-1), (p * p).sum(-1)
    return value * 2 * np.sqrt(np.maximum(pd**2 - dd * (pp - 1), 0)) / dd


def expected(A, points=8):
    source, direction = rays(A, points)
    total = sum(chord(source, direction, ellipse) for ellipse in ELLIPSES)
    return total.reshape(len(A.angles), A.geometry.detectors, points).mean(-1)


def drawn(size, factor):
    """The ellipses on pixels of side ``1 / factor``, each the mean over 4 x 4 points."""
    n = 4 * size * factor
    t = ((np.arange(n) + 0.5) / (4 * factor)) - size / 2
    x, y = np.meshgrid(t, -t)
    image = np.zeros((n, n))
    for value, a, b, cx, cy, degrees in ELLIPSES:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        u, v = (x - cx) * c + (y - cy) * s, -(x - cx) * s + (y - cy) * c
        image += value * ((u / a) ** 2 + (v / b) ** 2 <= 1)
    return torch.from_numpy(image.reshape(size * factor, 4, size * factor, 4).mean((1, 3)))[None, None]


@pytest.mark.parametrize("detector", ["flat", "curved"])
@pytest.mark.parametrize("offset", [0.0, 1.3])
def test_line_integrals_of_ellipses_are_the_closed_form(detector, offset):
    A = FanBeam(64, [0.0, 17.0, 90.0, 200.0, 301.5], detector=detector, centre_offset=offset, **DISTANCES)
    wanted = expected(A)
    coarse = np.abs(A(drawn(64, 1)).numpy()[0, 0] - wanted)
    fine = np.abs(A.refine(4)(drawn(64, 4)).numpy()[0, 0] - wanted)
    assert fine.max() < 0.02 * wanted.max()
    assert fine.mean() < 1e-3 * wanted.max()
    assert fine.mean() < coarse.mean() / 2  # what is left is the drawing, and falls with the pixels


def test_a_wrong_direction_of_turning_is_noticed():
    """Control: the oracle tells a mirrored geometry apart."""
    A = FanBeam(64, [17.0], **DISTANCES)
    wrong = np.abs(A(drawn(64, 1).flip(-1)).numpy()[0, 0] - expected(A))
    assert wrong.max() > 0.2 * expected(A).max()


@pytest.mark.parametrize("detector", ["flat", "curved"])
def test_a_far_source_is_a_parallel_beam(detector):
    angles, x = [0.0, 30.0, 77.0, 90.0], torch.rand(1, 1, 12, 9, dtype=torch.float64)
    parallel = Radon((12, 9), angles, 15)(x)
    errors = [
        (FanBeam((12, 9), angles, 15, source_distance=far, detector_distance=0.0, detector=detector)(x) - parallel).abs().max()
        for far in (1e4, 1e5, 1e6)
    ]
    assert errors[2] < 1e-4
    assert errors[1] < errors[0] / 5


def test_opposite_rays_measure_the_same():
    """The ray at (beta, gamma) is that at (beta + 180 - 2 gamma, -gamma), which ends where it began."""
    A = FanBeam(32, [0.0], 41, source_distance=70.0, detector="curved")
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    x = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    gamma = np.degrees(A.geometry.fan_angle(A.geometry.positions))
    once = A(x)[0, 0, 0]
    for k in (8, 15, 30):
        again = A.with_angles([180.0 - 2 * gamma[k]])(x)[0, 0, 0, 40 - k]
        assert float(again) == pytest.approx(float(once[k]), rel=0.02)


def test_mass_is_kept():
    """Every ray of a view, weighted by the density of lines, sums to the integral of a small object in the axis."""
    A = FanBeam(9, 7, 41, source_distance=300.0, detector_distance=0.0)
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 4, 4] = 1
    torch.testing.assert_close(A(x).sum(-1), torch.ones(1, 1, 7, dtype=torch.float64), rtol=1e-3, atol=0)


@pytest.mark.parametrize("detector", ["flat", "curved"])
@pytest.mark.parametrize("geometry", [DISTANCES, {"source_distance": 70.0, "detector_distance": 0.0}], ids=["far", "near"])
def test_filtered_back_projection_gives_the_values_back(detector, geometry):
    A = FanBeam(64, 360, detector=detector, **geometry)
    y = torch.from_numpy(expected(A))[None, None]  # of the object, not of its pixels
    image, truth = A.pseudo_inverse(y)[0, 0], drawn(64, 1)[0, 0]
    inside = torch.nn.functional.max_pool2d(truth[None, None], 5, 1, 2)[0, 0]
    flat = (inside == truth) & (-torch.nn.functional.max_pool2d(-truth[None, None], 5, 1, 2)[0, 0] == truth) & (truth > 0)
    assert (image - truth)[flat].abs().mean() < 0.01
    assert (image - truth)[flat].mean().abs() < 0.005


def test_views_of_less_than_a_turn_have_least_squares():
    A = FanBeam(24, [float(a) for a in range(0, 220, 4)], source_distance=60.0)
    assert not A.is_full_turn
    x = drawn(48, 1)[..., 12:36, 12:36]
    image = A.pseudo_inverse(A(x))
    assert (image - x).norm() < 0.2 * x.norm()
    with pytest.raises(OperatorError, match="gap of 144"):
        A.fbp(A(x))


def test_uneven_views_are_weighted_by_their_gaps():
    angles = [float(a) for a in range(0, 180, 4)] + [float(a) for a in range(180, 360)]
    even = FanBeam(32, 360, source_distance=70.0)
    A = even.with_angles(angles)
    x = drawn(64, 1)[..., 16:48, 16:48] * 0 + 1.0
    assert float(A.fbp(A(x))[..., 12:20, 12:20].mean()) == pytest.approx(
        float(even.fbp(even(x))[..., 12:20, 12:20].mean()), rel=0.01
    )


WRONG = {
    "source inside": {"source_distance": 10.0},
    "detector behind the source": {"detector_distance": -1.0},
    "detector": {"detector": "round"},
    "spacing": {"detector_spacing": 0.0},
    "window": {"window": "none"},
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG)
def test_impossible_scanners_are_refused(options):
    with pytest.raises(OperatorError):
        FanBeam(16, 8, **options)
