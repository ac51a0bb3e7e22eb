import math

import numpy as np
import pytest
import torch
from scipy import integrate, special

from stabtest import phantoms
from stabtest.errors import DataError
from stabtest.operators import Radon
from stabtest.stability.insertion import coarse_image
from stabtest.stability.physics.ttf import (
    BIN,
    FREQUENCIES,
    REACH,
    TransferFunction,
    edge_profile,
    task_transfer,
    tukey,
)

CENTRE = (31.0, 32.0)
F = np.array(FREQUENCIES)


def template(diameter=16.0, *, band_limited=False, centre=CENTRE, size=64):
    fine = phantoms.disc(2 * size, centre=centre, diameter=diameter, nominal=size)[None].double()
    if band_limited:
        return coarse_image(fine.to(torch.complex128), band_limited=True).real
    return coarse_image(fine, band_limited=False)


def filtered(image, response):
    """A linear filter with a known transfer function of the radial frequency, by NumPy."""
    values = image[0, 0].numpy()
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in values.shape), indexing="ij"))
    return torch.from_numpy(np.fft.ifft2(np.fft.fft2(values) * response(f)).real)[None, None]


def gaussian(sigma):
    return lambda f: np.exp(-2 * np.pi**2 * sigma**2 * f**2)


def measured(change, t, diameter=16.0, centre=CENTRE):
    return task_transfer(change, t, centre=centre, radius=diameter / 2)


@pytest.mark.parametrize("band_limited", [False, True])
@pytest.mark.parametrize("centre", [CENTRE, (31.3, 32.4)])
@pytest.mark.parametrize("sigma", [0.5, 0.75, 1.0, 1.5])
def test_a_gaussian_blur_has_its_gaussian(sigma, centre, band_limited):
    t = template(band_limited=band_limited, centre=centre)
    found = measured(filtered(t, gaussian(sigma)), t, centre=centre)
    assert np.abs(found.transfer[0].numpy() - gaussian(sigma)(F)).max() < 0.02
    assert found.falls_to(0.5).item() == pytest.approx(math.sqrt(math.log(2) / 2) / math.pi / sigma, rel=0.02)


@pytest.mark.parametrize(("diameter", "error"), [(6.0, 0.06), (8.0, 0.05), (12.0, 0.03), (16.0, 0.02), (24.0, 0.02)])
@pytest.mark.parametrize("band_limited", [False, True])
def test_small_discs_are_as_accurate_as_written(diameter, error, band_limited):
    t = template(diameter, band_limited=band_limited)
    for sigma in (0.5, diameter / 10):
        found = measured(filtered(t, gaussian(sigma)), t, diameter)
        assert np.abs(found.transfer[0].numpy() - gaussian(sigma)(F)).max() < error


def test_a_larger_disc_measures_a_wider_blur():
    t = template(24.0)
    found = measured(filtered(t, gaussian(2.0)), t, 24.0)
    assert np.abs(found.transfer[0].numpy() - gaussian(2.0)(F)).max() < 0.002


def test_a_blur_wider_than_the_module_allows_is_misjudged():
    """Control: the limit that the module states is one, a blur of a third of the diameter."""
    t = template(8.0)
    found = measured(filtered(t, gaussian(2.5)), t, 8.0)
    assert np.abs(found.transfer[0].numpy() - gaussian(2.5)(F)).max() > 0.05


def test_the_curvature_of_the_edge_is_corrected():
    """Of an exactly drawn disc, blurred: without ``sqrt(r / R)`` the error at f50 would be several times as large."""
    t, radius, sigma = template(12.0, band_limited=True, centre=(31.3, 32.4)), 6.0, 1.0
    s, edges = edge_profile(torch.cat([filtered(t, gaussian(sigma)), t]), centre=(31.3, 32.4), radius=radius)
    middle = (s[1:] + s[:-1]).numpy() / 2
    lines = -np.diff(edges.numpy()) * tukey(middle / (REACH * radius))
    spectra = lines @ np.exp(-2j * np.pi * np.outer(middle, F))
    plain = np.abs(spectra[0] / spectra[1])
    without = np.abs(plain / plain[0] - gaussian(sigma)(F)).max()
    found = measured(filtered(t, gaussian(sigma)), t, 12.0, (31.3, 32.4)).transfer[0].numpy()
    assert np.abs(found - gaussian(sigma)(F)).max() < 0.5 * without


def test_the_identity_is_one():
    t = template()
    found = measured(t, t)
    assert torch.allclose(found.transfer, torch.ones(1, len(F), dtype=torch.float64), atol=1e-12)
    assert found.step.item() == pytest.approx(1)
    assert found.falls_to(0.5).item() == math.inf


def low_passed_disc(radius, cut, r):
    """``-dE/dr`` of a disc without frequencies above ``cut``: ``2 pi R int_0^cut 2 pi f J_1(2 pi f R) J_1(2 pi f r) df``."""
    f = np.linspace(0, cut, 4001)
    k = 2 * np.pi * f
    values = k * special.j1(k * radius) * special.j1(k * r[:, None])
    return 2 * np.pi * radius * integrate.trapezoid(values, f, axis=1)


@pytest.mark.parametrize("diameter", [16.0, 24.0])
def test_a_crop_of_k_space_is_an_ideal_low_pass_seen_through_the_window(diameter):
    """Against the closed form of the disc. The window smears the jump: f50 lies up to 4 % beyond the cut."""
    t = template(diameter, centre=(31.3, 32.4))
    found = measured(filtered(t, lambda f: f < 0.25), t, diameter, (31.3, 32.4))
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(64),) * 2, indexing="ij"))
    cut = math.sqrt((f < 0.25).sum() / math.pi) / 64  # the disc of as many frequencies as the grid's crop has
    s = np.arange(-REACH * diameter / 2, REACH * diameter / 2, 0.1)
    line = low_passed_disc(diameter / 2, cut, s + diameter / 2) * np.sqrt(1 + 2 * s / diameter)
    line = line * tukey(2 * s / REACH / diameter)
    expected = np.abs(np.exp(-2j * np.pi * np.outer(F, s)) @ line)
    assert np.abs(found.transfer[0].numpy() - expected / expected[0]).max() < 0.02
    assert found.falls_to(0.5).item() == pytest.approx(0.25, rel=0.04)


def test_the_regression_of_two_dimensional_spectra_agrees():
    """Another way to the same: least squares of the spectrum of D on that of t in rings, without edge, bins or window."""
    t = template()
    change = filtered(t, lambda f: 1 / (1 + (f / 0.2) ** 2))
    top, low = (np.fft.fft2(image[0, 0].numpy()) for image in (change, t))
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(64),) * 2, indexing="ij"))
    found = measured(change, t).transfer[0].numpy()
    for k in (10, 20, 30, 40):
        ring = np.abs(f - F[k]) < 0.01
        slope = (low.conj() * top)[ring].real.sum() / (np.abs(low[ring]) ** 2).sum()
        assert found[k] == pytest.approx(slope, abs=0.03)


def test_the_window_of_filtered_back_projection_is_found():
    """Hann over ram-lak on the same sinogram: 0.5 + 0.5 cos(2 pi f)."""
    A = Radon(64, 90)
    fine = phantoms.disc(128, centre=CENTRE, diameter=20, nominal=64)[None].double()
    y = A.refine(2).forward(fine)
    t = template(20.0)
    sharp, smooth = (measured(A.fbp(y, window=w), t, 20.0).transfer[0].numpy() for w in ("ram-lak", "hann"))
    assert np.abs(smooth / sharp - (0.5 + 0.5 * np.cos(2 * np.pi * F)))[F < 0.4].max() < 0.03


def test_the_step_is_the_contrast_that_came_back_and_the_curve_does_not_know_it():
    t = template()
    change = torch.cat([0.3 * t, -2 * t])
    found = measured(change, t)
    assert found.step.tolist() == pytest.approx([0.3, -2])
    assert torch.allclose(found.transfer, torch.ones_like(found.transfer))


def test_nothing_that_came_back_has_no_curve():
    t = template()
    found = measured(torch.zeros_like(t), t)
    assert found.step.item() == 0
    assert found.transfer.isnan().all()
    assert math.isnan(found.falls_to(0.5).item())


def test_the_profile_is_sampled_finer_than_a_pixel():
    s, edge = edge_profile(filtered(template(), gaussian(1.0)), centre=CENTRE, radius=8)
    assert np.diff(s.numpy()) == pytest.approx(BIN)
    assert edge[0, s < -4].numpy() == pytest.approx(1, abs=0.01)
    assert edge[0, s > 4].numpy() == pytest.approx(0, abs=0.01)
    assert edge[0, s.abs() < 0.1].numpy() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("level", [0.5, 0.1])
def test_the_crossing_is_that_of_a_linear_interpolation(level):
    f = np.linspace(0, 0.5, 51)
    curve = np.exp(-2 * np.pi**2 * 0.9**2 * f**2)
    found = TransferFunction(torch.from_numpy(f), torch.from_numpy(curve)[None], torch.ones(1)).falls_to(level)
    assert found.item() == pytest.approx(np.interp(-level, -curve, f))


def test_the_first_crossing_counts():
    curve = torch.tensor([[1.0, 0.4, 0.8, 0.2]])
    assert TransferFunction(torch.arange(4.0), curve, torch.ones(1)).falls_to(0.5).item() == pytest.approx(5 / 6)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_level_outside_is_refused(level):
    with pytest.raises(DataError, match="level"):
        TransferFunction(torch.arange(4.0), torch.ones(1, 4), torch.ones(1)).falls_to(level)


@pytest.mark.parametrize(
    ("change", "radius", "centre", "words"),
    [
        (torch.zeros(1, 1, 64, 64) + 0j, 8, CENTRE, "along the local phase"),
        (torch.zeros(1, 1, 64, 60), 8, CENTRE, "expected"),
        (torch.zeros(1, 1, 64, 64), 2, CENTRE, "larger disc"),
        (torch.zeros(1, 1, 64, 64), 8, (10.0, 32.0), "another site"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, radius, centre, words):
    with pytest.raises(DataError, match=words):
        task_transfer(change, torch.zeros(1, 1, 64, 64), centre=centre, radius=radius)
