"""The lecture's hand-made modules against SciPy, their closed-form Lipschitz bounds against gains that were reached."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import fft, ndimage

from reconstructors.lecture.filters import GaussianFilter, MedianFilter
from reconstructors.lecture.handcrafted import BOUND, HandcraftedDenoiser
from reconstructors.lecture.texture import TextureDiscriminator, dct_filters
from stabtest.bounds import lipschitz
from stabtest.errors import ConfigError


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(1, 1, 17, 14, generator=torch.Generator().manual_seed(0))


def jacobian_norm(network: torch.nn.Module, x: torch.Tensor) -> float:
    """Of a network at an input, dense: a gain that is reached."""
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v).flatten(), x)
    return torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2).item()


def test_gaussian_is_that_of_scipy(x):
    expected = ndimage.gaussian_filter(x[0, 0].double().numpy(), 1.5, mode="constant", truncate=4.0)
    np.testing.assert_allclose(GaussianFilter(width=1.5)(x)[0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("size", [3, 5])
def test_median_is_that_of_scipy(x, size):
    expected = ndimage.median_filter(x[0, 0].numpy(), size, mode="constant", cval=0.0)
    np.testing.assert_array_equal(MedianFilter(size=size)(x)[0, 0].numpy(), expected)


def test_gaussian_bound_is_the_closed_form(x):
    network = GaussianFilter(width=1.0)
    upper = lipschitz(network, torch.zeros(1, 1, 17, 14)).upper
    assert jacobian_norm(network, x) <= upper
    assert upper == pytest.approx(1, abs=0.01)


def test_median_gains_are_below_its_closed_form(x):
    """A small gain for noise, more for a flat place that all windows share; the rules of the bounds give the closed form."""
    network = MedianFilter(size=3)
    assert 0.9 < jacobian_norm(network, x) <= 3
    assert lipschitz(network, torch.zeros(1, 1, 8, 8)).upper == pytest.approx(3, rel=1e-12)


def test_handcrafted_bound_holds_a_gain_that_was_reached(x):
    network = HandcraftedDenoiser(threshold=0.3)
    upper = lipschitz(network, torch.zeros(1, 1, 17, 14)).upper
    reached = max(jacobian_norm(network, scale * x) for scale in (0.1, 0.5, 1, 3))
    assert 1 < reached <= BOUND
    assert reached <= upper
    assert upper >= BOUND  # the closed form knows that both parts are of one image


def test_closed_form_of_the_handcrafted_denoiser_from_its_matrices():
    eye = torch.eye(99, dtype=torch.float64).reshape(99, 1, 9, 11)
    network = HandcraftedDenoiser(threshold=0.0).double()
    low = torch.conv2d(eye, network.kernel, padding=1).reshape(99, 99).T.numpy()
    values = np.linalg.eigvalsh(low)
    assert values.min() >= -1e-12
    assert values.max() <= 1
    assert np.linalg.norm(np.vstack([low, np.eye(99) - low]), 2) <= 1 + 1e-12


def test_handcrafted_denoiser_is_the_image_less_the_clipped_high_pass(x):
    image = x[0, 0].double().numpy()
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    high = image - ndimage.convolve(image, kernel, mode="constant")
    found = HandcraftedDenoiser(threshold=0.2)(x)[0, 0].numpy()
    np.testing.assert_allclose(found, image - np.clip(high, -0.2, 0.2), atol=1e-6)


def test_dct_filters_are_those_of_scipy():
    columns = fft.dct(np.eye(3), norm="ortho", axis=0)
    expected = np.einsum("ki,lj->klij", columns, columns).reshape(9, 3, 3)[1:]
    np.testing.assert_allclose(dct_filters()[:, 0].numpy(), expected, atol=1e-6)


def textures(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise smoothed along rows and along columns: as bright and as rough as each other."""
    noise = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(seed)).numpy()
    return tuple(torch.from_numpy(ndimage.gaussian_filter1d(n, 1.5, axis=k))[None, None] for k, n in enumerate(noise))


def test_texture_discriminator_tells_textures_apart_that_it_was_not_fitted_to():
    network = TextureDiscriminator().fit(*textures(0))
    with torch.no_grad():
        first, second = (network(t)[..., 8:-8, 8:-8] for t in textures(1))
    assert (first > 0).float().mean() > 0.95
    assert (second < 0).float().mean() > 0.95


def test_texture_bound_is_the_closed_form():
    network = TextureDiscriminator().fit(*textures(0))
    upper = lipschitz(network, torch.zeros(1, 1, 12, 12)).upper
    assert jacobian_norm(network, textures(2)[0][..., :12, :12]) <= upper
    assert upper == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: GaussianFilter(width=0.0), "gaussian: width"),
        (lambda: MedianFilter(size=4), "median: size"),
        (lambda: HandcraftedDenoiser(threshold=-1.0), "threshold"),
        (lambda: TextureDiscriminator().fit(torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)), "textures that vary"),
    ],
)
def test_settings_that_are_none_are_refused(make, match):
    with pytest.raises(ConfigError, match=match):
        make()
