"""Certified convolution norms against dense matrices."""

import math

import pytest
import torch
import torch.nn.functional as F

from stabtest.bounds.convolution import adaptive_supremum, convolution_norm, polyphase, symbol_norms, symbol_supremum
from stabtest.errors import BoundsError


def dense(function, shape, dtype=torch.float64):
    """Norm of a linear map from its columns."""
    size = math.prod(shape)
    out = function(torch.eye(size, dtype=dtype).reshape(size, *shape))
    return float(torch.linalg.matrix_norm(out.reshape(size, -1), 2))


def kernel(rng, *shape, dtype=torch.float64):
    return torch.randn(shape, generator=rng, dtype=dtype)


VARIANTS = [
    # out, in, kernel, stride, dilation, groups, padding
    (3, 2, (3, 3), (1, 1), (1, 1), 1, (1, 1)),
    (2, 3, (1, 1), (1, 1), (1, 1), 1, (0, 0)),
    (2, 2, (2, 2), (1, 1), (1, 1), 1, (1, 1)),
    (2, 2, (4, 3), (1, 1), (1, 1), 1, (0, 2)),
    (2, 2, (5, 1), (1, 1), (1, 1), 1, (2, 0)),
    (4, 2, (2, 2), (2, 2), (1, 1), 1, (0, 0)),
    (2, 2, (3, 3), (2, 2), (1, 1), 1, (1, 1)),
    (2, 2, (4, 4), (2, 2), (1, 1), 1, (1, 1)),
    (2, 2, (3, 3), (2, 1), (1, 1), 1, (1, 1)),
    (2, 2, (3, 3), (3, 2), (1, 1), 1, (0, 1)),
    (2, 2, (3, 3), (1, 1), (2, 2), 1, (2, 2)),
    (2, 2, (3, 3), (2, 2), (2, 2), 1, (2, 2)),
    (2, 2, (3, 2), (2, 2), (3, 1), 1, (3, 0)),
    (2, 2, (2, 2), (4, 4), (2, 2), 1, (1, 1)),
    (4, 4, (3, 3), (1, 1), (1, 1), 2, (1, 1)),
    (4, 4, (3, 3), (2, 2), (1, 1), 4, (1, 1)),
    (4, 2, (3, 3), (1, 1), (1, 1), 2, (1, 1)),
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_never_below_the_dense_norm_at_any_size(variant, rng):
    out, channels, size, stride, dilation, groups, padding = variant
    weight = kernel(rng, out, channels // groups, *size)
    bound = convolution_norm(weight, stride=stride, dilation=dilation, groups=groups)
    for n in (7, 9, 12):
        exact = dense(lambda x: F.conv2d(x, weight, None, stride, padding, dilation, groups), (channels, n, n))
        assert exact <= bound * (1 + 1e-9)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_transposed_never_below_the_dense_norm(variant, rng):
    out, channels, size, stride, dilation, groups, padding = variant
    weight = kernel(rng, out, channels // groups, *size)
    bound = convolution_norm(weight, stride=stride, dilation=dilation, groups=groups)
    extra = tuple(max(0, min(s, d) - 1) for s, d in zip(stride, dilation)) if max(stride) > 1 else (0, 0)
    exact = dense(lambda x: F.conv_transpose2d(x, weight, None, stride, padding, extra, groups, dilation), (out, 6, 6))
    assert exact <= bound * (1 + 1e-9)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_close_to_the_norm_on_a_large_image(variant, rng):
    """As the image grows the dense norm rises to the supremum (one axis at a time would be enough; here the torus of 96 points)."""
    out, channels, size, stride, dilation, groups, _ = variant
    weight = kernel(rng, out, channels // groups, *size)
    bound = convolution_norm(weight, stride=stride, dilation=dilation, groups=groups)
    spread = weight
    for axis in (0, 1):
        spread = polyphase(spread, axis, stride=stride[axis], dilation=dilation[axis])
    line = torch.arange(96, dtype=torch.float64) * (2 * math.pi / 96)
    reached = max(float(symbol_norms(block, torch.cartesian_prod(line, line)).max()) for block in spread.chunk(groups, 0))
    assert reached <= bound <= reached * 1.0035


def test_excess_for_three_by_three_is_a_quarter_of_a_percent(rng):
    weight = kernel(rng, 8, 8, 3, 3)
    coarse, fine = convolution_norm(weight), convolution_norm(weight, grid=512)
    assert fine <= coarse <= fine * 1.0025


def test_orthogonal_one_by_one_is_one(rng):
    weight, _ = torch.linalg.qr(kernel(rng, 16, 16))
    assert convolution_norm(weight[:, :, None, None]) == pytest.approx(1, abs=1e-7)


def test_non_negative_kernel_has_the_norm_of_its_sums(rng):
    weight = kernel(rng, 3, 2, 3, 3).abs()
    exact = float(torch.linalg.matrix_norm(weight.sum((2, 3)), 2))
    assert exact <= convolution_norm(weight) <= exact * 1.0025


def test_same_size_torus_is_not_enough(rng):
    """Regression: the frequencies of the image's own torus give less than zero padding does on that image."""
    found = 0.0
    for _ in range(60):
        weight = kernel(rng, 1, 1, 3, 3)
        n = 5
        line = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
        torus = float(symbol_norms(weight, torch.cartesian_prod(line, line)).max())
        exact = dense(lambda x, weight=weight: F.conv2d(x, weight, padding=1), (1, n, n))
        assert exact <= convolution_norm(weight)
        found = max(found, exact / torus)
    assert found > 1.01


def test_a_grid_without_the_factor_is_not_enough():
    """Control: a kernel whose supremum lies between the points of a 4-point grid."""
    weight = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64).reshape(1, 1, 3)
    points = (torch.arange(3, dtype=torch.float64) * (2 * math.pi / 3))[:, None]
    assert float(symbol_norms(weight, points).max()) < 2 <= symbol_supremum(weight, grid=3)


@pytest.mark.parametrize("taps", [(1.0, -1.0), (0.5, 0.5), (0.25, 0.5, 0.25), (-0.25, 0.5, -0.25)])
def test_zero_gain_kernels_are_finite_and_right(taps):
    """Regression: kernels that vanish at some frequency (Gram iteration in float32 gives NaN there)."""
    line = torch.tensor(taps, dtype=torch.float32)
    weight = line[:, None] * line[None, :]
    exact = float(line.abs().sum()) ** 2
    bound = convolution_norm(weight[None, None])
    assert exact * (1 - 1e-6) <= bound <= exact * 1.0026


def test_zero_kernel_is_zero():
    assert convolution_norm(torch.zeros(3, 2, 3, 3)) == 0.0


def test_identity_kernel_with_zero_taps_is_exactly_one():
    weight = torch.zeros(2, 2, 5, 5)
    weight[0, 0, 2, 2] = weight[1, 1, 2, 2] = 1
    assert convolution_norm(weight) == pytest.approx(1, abs=1e-7)


def test_complex_kernel(rng):
    weight = kernel(rng, 2, 2, 3, 3, dtype=torch.complex128)
    bound = convolution_norm(weight)
    exact = dense(lambda x: F.conv2d(x, weight, padding=1), (2, 8, 8), torch.complex128)
    assert exact <= bound <= exact * 1.3


@pytest.mark.parametrize("axes", [1, 3])
def test_one_and_three_dimensions(axes, rng):
    weight = kernel(rng, 2, 2, *([3] * axes))
    n = {1: 60, 3: 5}[axes]
    apply = {1: F.conv1d, 3: F.conv3d}[axes]
    exact = dense(lambda x: apply(x, weight, padding=1), (2, *([n] * axes)))
    bound = convolution_norm(weight, grid=32 if axes == 3 else 64)
    assert exact <= bound
    if axes == 1:
        assert bound <= exact * 1.005


@pytest.mark.parametrize(("channels", "size"), [(4, (3, 3)), (3, (5, 3)), (3, (2, 2)), (2, (1, 3))])
def test_adaptive_agrees_with_the_grid(channels, size, rng):
    weight = kernel(rng, channels, channels + 1, *size)
    exact = symbol_supremum(weight, grid=256)
    adaptive = adaptive_supremum(weight)
    assert exact / 1.0003 <= adaptive <= exact * 1.009


def test_adaptive_on_a_flat_symbol_terminates(rng):
    orthogonal, _ = torch.linalg.qr(kernel(rng, 4, 4))
    weight = torch.zeros(4, 4, 3, 3, dtype=torch.float64)
    weight[:, :, 1, 1] = orthogonal
    assert 1 <= adaptive_supremum(weight) <= 1.009


def test_adaptive_on_a_complex_kernel(rng):
    weight = kernel(rng, 3, 3, 3, 3, dtype=torch.complex128)
    exact = symbol_supremum(weight, grid=128)
    assert exact / 1.0007 <= adaptive_supremum(weight) <= exact * 1.009


def test_many_channels_take_the_adaptive_way_and_stay_above(rng):
    weight = kernel(rng, 49, 52, 3, 3) / 20
    bound = convolution_norm(weight)
    line = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    reached = float(symbol_norms(weight, torch.cartesian_prod(line, line)).max())
    assert reached <= bound <= reached * 1.05


def test_broken_weights_are_refused():
    with pytest.raises(BoundsError, match="finite"):
        convolution_norm(torch.full((1, 1, 3, 3), torch.nan))
    with pytest.raises(BoundsError, match="kernel"):
        convolution_norm(torch.ones(3, 3))
