"""Regions of k-space, of a sinogram, of the image: what is in them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest.errors import SearchError
from stabtest.operators import FineFourier, Fourier, Identity, MultiCoilFourier, NonCartesian, Radon, fft2c, spokes
from stabtest.search.constraints import MeasurementBall
from stabtest.search.regions import band, box, disc, high_frequencies, low_frequencies, measured_samples, one_coil, views

MASK = torch.rand(12, 9, generator=torch.Generator().manual_seed(0)) < 0.6
COILS = torch.ones(3, 12, 9, dtype=torch.complex64)


def frequencies(height: int, width: int) -> np.ndarray:
    """Share of Nyquist by NumPy's own frequencies, which are in cycles a pixel."""
    rows, columns = (np.fft.fftshift(np.fft.fftfreq(n)) for n in (height, width))
    return np.hypot(rows[:, None], columns[None, :]) / 0.5


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.31), (0.31, 0.77), (0.77, np.inf)])
def test_band_is_a_ring_of_numpys_frequencies(low, high):
    radius = frequencies(12, 9)
    expected = (radius >= low) & (radius < high) & MASK.numpy()
    np.testing.assert_array_equal(band(Fourier(MASK), low, high)[0].numpy(), expected)


@pytest.mark.parametrize("operator", [Fourier(MASK), MultiCoilFourier(MASK, COILS), FineFourier(MASK, 2)])
def test_low_and_high_frequencies_share_out_what_is_measured(operator):
    low, high = low_frequencies(operator, 0.5), high_frequencies(operator, 0.5)
    assert low.shape == operator.range.shape
    assert not (low & high).any()
    assert torch.equal(low | high, measured_samples(operator))


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (12, 5)])
def test_lowest_frequency_is_that_of_a_constant_image(shape):
    """DC is at N // 2: where the transform puts a constant image."""
    region = low_frequencies(Fourier(torch.ones(shape, dtype=torch.bool)), 1e-6)
    spectrum = fft2c(torch.ones(1, 1, *shape, dtype=torch.complex128)).abs()[0] > 1e-9
    assert torch.equal(region, spectrum)


def test_a_wave_of_half_of_nyquist_is_in_its_band_only():
    """Four pixels a period are a quarter of a cycle a pixel."""
    operator = Fourier(torch.ones(16, 12, dtype=torch.bool))
    wave = torch.cos(2 * torch.pi * torch.arange(16, dtype=torch.float64) / 4)[:, None].expand(16, 12)
    energy = operator.forward(wave.to(torch.complex128)[None, None]).abs().square()[0]
    assert (energy * band(operator, 0.49, 0.51)).sum() == pytest.approx(energy.sum().item())


def test_a_sample_on_the_border_of_a_band_is_in_the_upper_one():
    """Whatever the rounding: 3 of 10 samples from DC are 0.6 of Nyquist."""
    operator = Fourier(torch.ones(10, 10, dtype=torch.bool))
    assert high_frequencies(operator, 0.6)[0, 5, 8]
    assert high_frequencies(operator, 0.6)[0, 2, 5]
    assert not low_frequencies(operator, 0.6)[0, 5, 8]


def test_one_coil_is_what_it_measures():
    region = one_coil(MultiCoilFourier(MASK, COILS), 1)
    assert torch.equal(region[1], MASK)
    assert not region[[0, 2]].any()


def test_views_are_all_bins_of_each():
    operator = Radon(8, 6)
    region = views(operator, [5, 0])
    assert region.shape == operator.range.shape
    assert region[0].all(1).tolist() == region[0].any(1).tolist() == [True, False, False, False, False, True]


def test_disc_holds_the_pixels_of_that_distance():
    region = disc((20, 30), (7.5, 12.25), 4.2)
    rows, columns = np.mgrid[:20, :30]
    np.testing.assert_array_equal(region.numpy(), (rows - 7.5) ** 2 + (columns - 12.25) ** 2 <= 4.2**2)


def test_box_holds_its_rows_and_columns():
    region = box((6, 7), (1, 3), (2, 7))
    assert region.sum() == 10
    assert region[1:3, 2:].all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: band(Radon(8, 5), 0, 1), "a k-space"),
        (lambda: band(Identity((4, 4), is_complex=True), 0, 1), "a k-space"),
        (lambda: band(Fourier(MASK), 0.5, 0.5), "0 <= low < high"),
        (lambda: band(Fourier(MASK), -0.1, 0.5), "0 <= low < high"),
        (lambda: band(Fourier(MASK), 0.0, float("nan")), "0 <= low < high"),
        (lambda: high_frequencies(Fourier(MASK), 1.5), "measured sample"),
        (lambda: low_frequencies(Fourier(torch.arange(16).reshape(4, 4) == 0), 0.1), "measured sample"),
        (lambda: one_coil(Fourier(MASK), 0), "several coils"),
        (lambda: one_coil(MultiCoilFourier(MASK, COILS), 3), "0 to 2"),
        (lambda: one_coil(MultiCoilFourier(MASK, COILS), -1), "0 to 2"),
        (lambda: views(Fourier(MASK), [0]), "Radon"),
        (lambda: views(Radon(8, 5), []), "none"),
        (lambda: views(Radon(8, 5), [1, 5]), r"\[5\]"),
        (lambda: disc((8, 8), (20, 20), 3), "at least one pixel"),
        (lambda: disc((8, 8), (2.5, 2.5), 0.1), "at least one pixel"),
        (lambda: box((8, 8), (3, 3), (0, 8)), "rows"),
        (lambda: box((8, 8), (0, 8), (4, 9)), "columns"),
    ],
)
def test_what_is_not_there_is_refused(make, words):
    with pytest.raises(SearchError, match=words):
        make()


@pytest.mark.parametrize(
    ("operator", "region"),
    [
        (Fourier(MASK), low_frequencies(Fourier(MASK), 0.4)),
        (MultiCoilFourier(MASK, COILS), one_coil(MultiCoilFourier(MASK, COILS), 2)),
        (Radon(8, 6), views(Radon(8, 6), [1, 4])),
    ],
)
def test_a_set_over_a_built_region_reaches_all_of_it_and_nothing_else(operator, region):
    g = operator.range.randn(1, generator=torch.Generator().manual_seed(0))
    e = MeasurementBall(operator, torch.ones(1), region=region).maximise_linear(g)
    assert torch.equal(e[0] != 0, region)
    assert e.abs().square().sum().item() == pytest.approx(1, rel=1e-5)


def test_samples_anywhere_have_the_frequency_of_their_place():
    """Spokes with DC in the middle: bands are rings of samples, of every coil."""
    pytest.importorskip("pytorch_finufft")
    A = NonCartesian(spokes(3, 8), (8, 8), torch.ones(2, 8, 8, dtype=torch.complex64))
    radius = np.abs(np.arange(8) - 4) / 4
    for low, high in ((0.0, 0.3), (0.3, 0.8), (0.8, np.inf)):
        expected = np.broadcast_to(np.tile((radius >= low) & (radius < high), 3), (2, 24))
        np.testing.assert_array_equal(band(A, low, high).numpy(), expected)
    assert one_coil(A, 1).sum(1).tolist() == [0, 24]
