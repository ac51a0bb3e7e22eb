import math

import numpy as np
import pytest
import torch

from stabtest.errors import DataError
from stabtest.operators import Radon
from stabtest.stability.physics.nps import noise_map, noise_power


def white(n, size, seed=0, std=1.0):
    return std * torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def response(size):
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size),) * 2, indexing="ij"))
    return np.exp(-10 * f**2) * (0.3 + 4 * f)


def filtered(noise):
    h = torch.from_numpy(response(noise.shape[-1]))
    return torch.fft.ifft2(torch.fft.fft2(noise) * h).real


def test_white_noise_through_a_filter_has_its_squared_response():
    found = noise_power(filtered(white(400, 32, std=1.5)), corners=[(0, 0)], side=32)
    expected = 1.5**2 * response(32) ** 2
    z = (found.power.numpy() / expected - 1) * math.sqrt(399)
    # Each value of a periodogram of Gaussian noise varies by as much as its mean (by sqrt 2 of it where it is real).
    assert abs(z.mean()) < 0.15
    assert 0.9 < z.std() < 1.15


def test_the_radial_mean_is_that_of_the_rings():
    found = noise_power(filtered(white(30, 24)), corners=[(0, 0)], side=24)
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(24),) * 2, indexing="ij"))
    for k in (0, 1, 5, 12):
        ring = (np.round(f * 24) == k) & (f <= 0.5)
        assert found.radial[k].item() == pytest.approx(found.power.numpy()[ring].mean())
        assert found.frequencies[k].item() == pytest.approx(f[ring].mean())


def test_parseval():
    images = filtered(white(7, 40)) + torch.linspace(0, 50, 40)
    found = noise_power(images, corners=[(3, 5), (20, 1)], side=13)
    assert found.integral == pytest.approx(found.variance, rel=1e-12)
    boxes = [images[:, 0, r : r + 13, c : c + 13].numpy() for r, c in ((3, 5), (20, 1))]
    assert found.variance == pytest.approx(np.mean([box.var(0, ddof=1) for box in boxes]))


def test_anatomy_does_not_enter():
    noise, object_ = filtered(white(5, 32)), 100 * torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    one, other = (noise_power(images, corners=[(4, 4)], side=16) for images in (noise, noise + object_))
    assert torch.allclose(one.power, other.power, rtol=1e-6)


def test_three_realisations_are_unbiased():
    """Without n / (n - 1) the mean would be two thirds."""
    values = [noise_power(white(3, 16, seed), corners=[(0, 0)], side=16).integral for seed in range(200)]
    assert np.mean(values) == pytest.approx(1, abs=4 * np.std(values) / math.sqrt(200))
    assert np.std(values) / math.sqrt(200) < 0.01


@pytest.mark.parametrize("n", [4, 16])
def test_the_standard_error_is_that_of_repetitions(n):
    found = [noise_power(filtered(white(n, 16, seed)), corners=[(0, 0)], side=16) for seed in range(1500)]
    spread = torch.stack([f.radial for f in found]).std(0)
    stated = torch.stack([f.standard_error for f in found]).square().mean(0).sqrt()
    assert (stated / spread).numpy() == pytest.approx(1, abs=0.1)
    assert float((stated / spread).mean()) == pytest.approx(1, abs=0.03)


def test_two_regions_of_one_realisation_do_not_count_as_two():
    """The same region twice: the standard error stays."""
    images = white(6, 32)
    once, twice = (noise_power(images, corners=corners, side=16) for corners in ([(2, 2)], [(2, 2), (2, 2)]))
    assert torch.allclose(once.standard_error, twice.standard_error)


def test_the_noise_of_filtered_back_projection_is_that_of_its_matrix():
    """E |DFT B n|^2 from the dense matrix B, in a region."""
    A, sigma, n = Radon(24, 20), 0.4, 300
    count = math.prod(A.range.shape)
    columns = A.pseudo_inverse(torch.eye(count, dtype=torch.float64).reshape(count, *A.range.shape))
    region = columns[:, 0, 4:20, 4:20].numpy()
    expected = sigma**2 * (np.abs(np.fft.fft2(region)) ** 2).sum(0) / 16**2
    noise = sigma * torch.randn(n, *A.range.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = noise_power(A.pseudo_inverse(noise), corners=[(4, 4)], side=16)
    z = (found.power.numpy() / expected - 1) * math.sqrt(n - 1)
    assert abs(z.mean()) < 0.5
    assert z.std() < 1.4
    assert found.integral == pytest.approx(expected.mean(), rel=0.02)


def test_the_noise_of_filtered_back_projection_is_a_ramp():
    """pi sigma^2 f / V times the squared transfer of the back-projection's strip and pixel (Riederer, Pelc, Chesler 1978).

    From the third ring on, below which the region's edge blurs the tip of the ramp, to where aliasing begins to fold in.
    """
    A, sigma, views = Radon(48, 72), 0.3, 72
    noise = sigma * torch.randn(150, *A.range.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = noise_power(A.pseudo_inverse(noise), corners=[(12, 12)], side=24)
    f, angle = found.frequencies.numpy()[:, None], np.linspace(0, np.pi, 181)
    strip = (np.sinc(f * np.cos(angle)) * np.sinc(f * np.sin(angle)) * np.sinc(f)) ** 2
    expected = np.pi * sigma**2 * f[:, 0] / views * strip.mean(1)
    middle = (found.frequencies > 0.1) & (found.frequencies < 0.36)
    assert found.radial.numpy()[middle] / expected[middle] == pytest.approx(1, abs=0.08)
    assert found.radial[0] < 0.3 * found.radial.max()
    assert 0.2 < found.peak_frequency < 0.4


def test_peak_and_mean_frequency():
    found = noise_power(filtered(white(200, 32)), corners=[(0, 0)], side=32)
    radial, f = found.radial.numpy(), found.frequencies.numpy()
    assert found.peak_frequency == f[radial.argmax()]
    assert found.mean_frequency == pytest.approx((radial * f).sum() / radial.sum())
    assert math.isnan(noise_power(torch.zeros(3, 1, 8, 8), corners=[(0, 0)], side=8).mean_frequency)


def test_smoothing_moves_the_noise_to_low_frequencies():
    noise = white(50, 32)
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(32),) * 2, indexing="ij"))
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) * torch.from_numpy(np.exp(-20 * f**2))).real
    one, other = (noise_power(images, corners=[(0, 0)], side=32) for images in (noise, smooth))
    assert other.mean_frequency < 0.7 * one.mean_frequency
    assert other.variance < one.variance


def test_the_noise_map_finds_where_the_noise_is():
    gains = torch.ones(16, 16, dtype=torch.float64)
    gains[:, 8:] = 3
    images = gains * white(200, 16)
    found = noise_map(images)
    assert found.numpy() == pytest.approx(images[:, 0].numpy().std(0, ddof=1))
    assert float(found[:, 8:].mean() / found[:, :8].mean()) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize(
    ("images", "corners", "side"),
    [
        (torch.zeros(2, 1, 16, 16), [(0, 0)], 8),
        (torch.zeros(4, 1, 16, 16) + 0j, [(0, 0)], 8),
        (torch.zeros(4, 2, 16, 16), [(0, 0)], 8),
        (torch.zeros(4, 1, 16, 16), [(10, 0)], 8),
        (torch.zeros(4, 1, 16, 16), [(-1, 0)], 8),
        (torch.zeros(4, 1, 16, 16), [], 8),
        (torch.zeros(4, 1, 16, 16), [(0, 0)], 2),
    ],
)
def test_what_cannot_be_measured_is_refused(images, corners, side):
    with pytest.raises(DataError, match="noise power"):
        noise_power(images, corners=corners, side=side)
