import math

import numpy as np
import pytest
import scipy.ndimage
import torch

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Fourier, Radon, ifft2c
from stabtest.stability.shift.resampling import rotate, translate, zoom

KERNELS = ("fourier", "bicubic")
MAPS = {
    "rotate": lambda image, amount, kernel: rotate(image, amount, kernel=kernel),
    "rows": lambda image, amount, kernel: translate(image, rows=amount, kernel=kernel),
    "columns": lambda image, amount, kernel: translate(image, columns=amount, kernel=kernel),
    "zoom": lambda image, amount, kernel: zoom(image, amount, kernel=kernel),
}


def noise(*shape, dtype=torch.float64, seed=0):
    return tensors.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
@pytest.mark.parametrize("shape", [(16, 16), (13, 18)])
def test_nothing_happens_at_zero(kernel, name, dtype, shape):
    image = noise(2, 1, *shape, dtype=dtype)
    assert torch.equal(MAPS[name](image, 0.0, kernel), image)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("at", [0.0, 0.07])
def test_the_derivative_is_that_of_central_differences(kernel, name, at, tools):
    image, weights, h = tools.spots(), noise(1, 1, 32, 32), 1e-6
    amount = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((MAPS[name](image, amount, kernel) * weights).sum(), amount)
    up, down = (float((MAPS[name](image, at + step, kernel) * weights).sum()) for step in (h, -h))
    assert float(slope) == pytest.approx((up - down) / (2 * h), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(16, 16), (13, 18)])
def test_whole_pixels_are_a_roll(dtype, shape):
    image = noise(1, 1, *shape, dtype=dtype)
    assert torch.allclose(translate(image, 3, -5, kernel="fourier"), image.roll((3, -5), (-2, -1)), atol=1e-12)


def test_whole_pixels_bring_zeros_in_with_bicubic():
    image = noise(1, 1, 9, 12)
    expected = torch.zeros_like(image)
    expected[..., 2:, :-3] = image[..., :-2, 3:]
    assert torch.allclose(translate(image, 2, -3, kernel="bicubic"), expected, atol=1e-12)


def test_parts_of_a_pixel_are_exact_for_periodic_images():
    """Closed form: a trigonometric polynomial at other places."""
    n, s, t = 15, 0.37, -2.61
    row, column = (torch.arange(n, dtype=torch.float64) for _ in range(2))

    def polynomial(down, right):
        r, c = 2 * math.pi / n * (row[:, None] - down), 2 * math.pi / n * (column - right)
        return (1 + torch.cos(3 * r - 2 * c + 1) + 0.5 * torch.sin(7 * r) - torch.cos(6 * c + 2 * r))[None, None]

    assert torch.allclose(translate(polynomial(0, 0), s, t, kernel="fourier"), polynomial(s, t), atol=1e-12)


def test_a_moved_object_gives_the_moved_image_of_its_scan():
    """Oracle: an MRI scan of the object moved by one pixel of the finer grid, half a pixel of the image; Nyquist included."""
    fine = phantoms.head(64, seed=3)[None].to(torch.complex128)
    scan = Fourier(torch.ones(32, 32, dtype=torch.bool)).refine(2)
    still, moved = (ifft2c(scan(image)) for image in (fine, fine.roll((1, -3), (-2, -1))))
    assert torch.allclose(translate(still, 0.5, -1.5), moved, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.complex128, torch.float64])
def test_translations_add_up_and_undo_each_other(dtype):
    n = 16 if dtype.is_complex else 17  # a real image of even side is not invertible at Nyquist
    image = noise(1, 1, n, n, dtype=dtype)
    once = translate(translate(image, 0.3, 1.2, kernel="fourier"), -1.1, 0.45, kernel="fourier")
    assert torch.allclose(once, translate(image, -0.8, 1.65, kernel="fourier"), atol=1e-12)
    assert torch.allclose(translate(once, 0.8, -1.65, kernel="fourier"), image, atol=1e-12)
    assert float(tensors.norm(once)) == pytest.approx(float(tensors.norm(image)))


def test_a_real_image_of_even_side_loses_only_its_nyquist_frequency():
    """Control of the exception that the module states."""
    image = noise(1, 1, 16, 17)
    back = translate(translate(image, 0.5, 0, kernel="fourier"), -0.5, 0, kernel="fourier")
    lost = torch.fft.fft(image - back, dim=-2)
    assert float(lost[..., 8, :].abs().max()) > 0.1
    assert float(torch.cat([lost[..., :8, :], lost[..., 9:, :]], -2).abs().max()) < 1e-12


def keys(s, a=-0.75):
    """Cubic convolution of Keys (1981), written from the paper."""
    s = np.abs(s)
    near = (a + 2) * s**3 - (a + 3) * s**2 + 1
    far = a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a
    return np.where(s <= 1, near, np.where(s < 2, far, 0.0))


def test_bicubic_is_the_kernel_that_is_stated():
    image = noise(1, 1, 7, 11)
    place = np.arange(11) - 0.3
    matrix = keys(place[:, None] - np.arange(11))
    found = translate(image, 0, 0.3, kernel="bicubic")[0, 0].numpy()
    assert np.allclose(found, image[0, 0].numpy() @ matrix.T, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("degrees", [7.0, -33.0, 100.0, 180.0, -215.0])
def test_a_rotation_is_that_of_scipy(kernel, degrees, tools):
    image = tools.spots()
    expected = scipy.ndimage.rotate(image[0, 0].numpy(), degrees, reshape=False, order=5)
    limit = 1e-4 if kernel == "fourier" else 0.02
    assert tools.relative(rotate(image, degrees, kernel=kernel)[0, 0], torch.from_numpy(expected)) < limit


def test_a_rotated_object_has_the_views_of_a_rotated_scan(tools):
    """Oracle of sign and centre: turning the object back is turning the gantry forth."""
    image = tools.spots()
    # No view along the pixels, which alone are not smoothed by the pixels' own width.
    turned, still = Radon(32, (37.0, 81.0)), Radon(32, (17.0, 61.0))
    assert tools.relative(still(rotate(image, -20.0, kernel="fourier")), turned(image)) < 2e-3
    assert tools.relative(still(rotate(image, 20.0, kernel="fourier")), turned(image)) > 0.1


@pytest.mark.parametrize("height", [32, 33])
def test_rotations_add_up_and_undo_each_other(height, tools):
    image = tools.spots(height, 32)
    once = rotate(image, 12.0, kernel="fourier")
    assert tools.relative(rotate(once, 21.0, kernel="fourier"), rotate(image, 33.0, kernel="fourier")) < 1e-5
    assert tools.relative(rotate(once, -12.0, kernel="fourier"), image) < 1e-5
    assert float(tensors.norm(once)) == pytest.approx(float(tensors.norm(image)), rel=1e-6)


def test_quarter_turns_are_exact_and_join_smoothly(tools):
    image = noise(1, 1, 12, 12)
    assert torch.equal(rotate(image, -180.0, kernel="fourier"), torch.rot90(image, 2, (-2, -1)))
    smooth = tools.spots()
    below, above = (rotate(smooth, angle, kernel="fourier") for angle in (44.9999, 45.0001))
    assert tools.relative(below, above) < 1e-4


def test_what_leaves_the_field_does_not_come_in_at_the_other_side():
    image = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    image[..., 1:5, 1:5] = 1
    for kernel in KERNELS:
        turned = rotate(image, 40.0, kernel=kernel)
        assert float(turned.square().sum()) < 0.05 * float(image.square().sum())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("change", [-0.2, 0.15])
def test_a_zoom_is_that_of_the_object(kernel, change, tools):
    """Closed form: the spots drawn larger."""
    image, factor = tools.spots(), 1 + change
    row, column = (torch.arange(32, dtype=torch.float64) - 15.5 for _ in range(2))

    def spot(r, c, sigma):
        return torch.exp(-((row[:, None] / factor - r) ** 2 + (column / factor - c) ** 2) / (2 * sigma**2))

    expected = (spot(3, -5, 2.5) + 0.5 * spot(-4, 5, 2.0))[None, None]
    assert tools.relative(zoom(image, change, kernel=kernel), expected) < (2e-3 if kernel == "fourier" else 0.02)


def test_a_zoom_undoes_the_opposite_one(tools):
    image = tools.spots()
    assert tools.relative(zoom(zoom(image, -0.2, kernel="fourier"), 0.25, kernel="fourier"), image) < 1e-4


def test_a_smaller_object_does_not_alias():
    """A fine stripe pattern that the smaller grid cannot carry fades instead of turning into a coarse one."""
    column = torch.arange(32, dtype=torch.float64)
    stripes = torch.cos(2 * math.pi * 14 * column / 32).expand(1, 1, 32, 32)
    assert float(zoom(stripes, -0.3, kernel="fourier").abs().max()) < 1e-10
    assert float(zoom(stripes, 0.3, kernel="fourier").abs().max()) > 0.9


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", MAPS)
def test_one_amount_an_image(kernel, name, tools):
    amounts = torch.tensor([0.1, 0.0, -0.2], dtype=torch.float64)
    together = MAPS[name](tools.spots(), amounts, kernel)
    alone = torch.cat([MAPS[name](tools.spots(), float(amount), kernel) for amount in amounts])
    assert torch.allclose(together, alone, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", MAPS)
def test_a_complex_image_is_treated_part_by_part(kernel, name):
    image = noise(1, 1, 15, 15, dtype=torch.complex128)
    parts = torch.complex(*(MAPS[name](part.contiguous(), 0.3, kernel) for part in (image.real, image.imag)))
    assert torch.allclose(MAPS[name](image, 0.3, kernel), parts, atol=1e-12)


def test_quarter_turns_of_an_oblong_image_are_refused():
    with pytest.raises(DataError, match="square"):
        rotate(torch.zeros(1, 1, 8, 10), 80.0, kernel="fourier")
    assert rotate(torch.zeros(1, 1, 8, 10), 80.0, kernel="bicubic").shape == (1, 1, 8, 10)


def test_what_is_no_image_kernel_or_factor_is_refused():
    with pytest.raises(DataError, match="image to transform"):
        rotate(torch.zeros(8, 8), 1.0)
    with pytest.raises(ConfigError, match="kernel"):
        translate(torch.zeros(1, 1, 8, 8), 1.0, kernel="nearest")
    with pytest.raises(ConfigError, match="above -1"):
        zoom(torch.zeros(1, 1, 8, 8), -1.0)
