import numpy as np
import pytest
import torch
from scipy import optimize

from stabtest.errors import ConfigError
from stabtest.stability.detectability.channels import difference_of_gaussians, laguerre_gauss, matched_width


def test_laguerre_gauss_channels_are_orthonormal():
    u = laguerre_gauss((129, 131), centre=(64.3, 65.1), width=14.0, count=6).flatten(1)
    assert torch.allclose(u @ u.T, torch.eye(6, dtype=torch.float64), atol=1e-8)


def test_the_width_is_neither_a_radius_nor_a_diameter():
    """The Gaussian of the first channel has the standard deviation a / sqrt(2 pi)."""
    (u,) = laguerre_gauss((101, 101), centre=(50, 50), width=12.0, count=1).numpy()
    r2 = (np.arange(101)[:, None] - 50) ** 2 + (np.arange(101) - 50) ** 2
    assert (u * r2).sum() / u.sum() / 2 == pytest.approx(12.0**2 / (2 * np.pi), rel=1e-9)


def test_the_matched_width_catches_most_of_a_disc():
    """Brute force: the correlation of a finely drawn disc with the Gaussian, over widths."""
    grid = np.linspace(-30, 30, 1201)
    r2 = grid[:, None] ** 2 + grid**2
    disc = r2 <= 5.0**2  # diameter 10

    def missed(a):
        gauss = np.exp(-np.pi * r2 / a**2)
        return -(disc * gauss).sum() / np.linalg.norm(gauss)

    best = optimize.minimize_scalar(missed, bounds=(3, 20), method="bounded").x
    assert matched_width(10.0) == pytest.approx(best, rel=2e-3)


def test_dense_channels_are_those_of_the_paper():
    """The inverse discrete Fourier transform of the published radial profile, on a field wide enough for it."""
    n, first = 256, 0.02
    u = difference_of_gaussians((n, n), centre=(n // 2, n // 2), count=4, first=first).numpy()
    f = np.fft.fftfreq(n)
    rho2 = f[:, None] ** 2 + f**2
    for j in range(4):
        s = first * 1.4**j
        profile = np.exp(-rho2 / (2 * (1.67 * s) ** 2)) - np.exp(-rho2 / (2 * s**2))
        expected = np.fft.fftshift(np.fft.ifft2(profile).real)
        assert np.abs(u[j] - expected).max() < 1e-6 * np.abs(expected).max()


def test_channels_stand_where_the_lesion_is():
    for u in (
        laguerre_gauss((40, 50), centre=(12, 31), width=6.0),
        difference_of_gaussians((40, 50), centre=(12, 31), first=0.05),
    ):
        for channel in u:
            assert tuple(np.unravel_index(int(channel.abs().argmax()), (40, 50))) == (12, 31)


@pytest.mark.parametrize(
    "call",
    [
        lambda: laguerre_gauss((8, 8), centre=(4, 4), width=0.0),
        lambda: laguerre_gauss((8, 8), centre=(4, 4), width=2.0, count=0),
        lambda: difference_of_gaussians((8, 8), centre=(4, 4), ratio=1.0),
        lambda: difference_of_gaussians((8, 8), centre=(4, 4), first=-1.0),
        lambda: matched_width(0.0),
    ],
)
def test_impossible_channels(call):
    with pytest.raises(ConfigError, match="channels"):
        call()
