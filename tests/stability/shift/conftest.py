"""Small cases for distribution shift: those of `tests/stability`, a multi-coil scan, and an image that is measured itself."""

import math

import pytest
import torch

from stabtest import phantoms, tensors
from stabtest.operators import Fourier, Identity, MultiCoilFourier, cartesian_random, ifft2c
from stabtest.stability.cases import Case, Method

SIZE = 32


def multicoil_case(seed=0, *, std=0.002, size=SIZE, coils=4, acceleration=3):
    """Multi-coil Cartesian MRI of a head, measured on the finer grid."""
    fine = phantoms.head(2 * size, seed=seed)[None].to(torch.complex64)
    truth = ifft2c(Fourier(torch.ones(size, size, dtype=torch.bool)).refine(2)(fine))
    operator = MultiCoilFourier(
        cartesian_random((size, size), acceleration=acceleration, seed=1, centre_fraction=0.16),
        phantoms.coil_maps(size, coils, seed=5),
    )
    level = std * float(truth.abs().max())
    clean = operator.refine(2)(fine)
    noise = tensors.randn(tuple(clean.shape), dtype=clean.dtype, generator=torch.Generator().manual_seed(seed))
    y = operator.restrict(clean + level * noise)
    return Case(f"coils {seed}", f"coils {seed}", "mri", operator, y, truth=truth, truth_source="phantom", noise_std=level)


def itself(image, noise=None):
    """A case whose measurement is the image, with noise if any is given; float64 as the image is."""
    shape = tuple(image.shape[-2:])
    y = image if noise is None else image + noise
    return Case(
        "image", "image", "other", Identity(shape, is_complex=image.is_complex()), y, truth=image, truth_source="phantom"
    )


def spots(height=SIZE, width=SIZE):
    """Two smooth spots well inside the field, float64: band-limited for all that matters, and without symmetry."""
    row, column = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (height, width))

    def spot(r, c, sigma):
        return torch.exp(-((row[:, None] - r) ** 2 + (column - c) ** 2) / (2 * sigma**2))

    return (spot(3, -5, 2.5) + 0.5 * spot(-4, 5, 2.0))[None, None]


def net(reconstruct):
    return Method("net", "under test", reconstruct)


def relative(a, b):
    return float((a - b).norm() / b.norm())


def wave(offset=0.0, *, size=SIZE, cycles=1):
    """``cos(2 pi cycles (column - offset) / N)``, float64: a translation turns its phase."""
    column = torch.arange(size, dtype=torch.float64)
    return torch.cos(2 * math.pi * cycles * (column - offset) / size).expand(1, 1, size, size)


@pytest.fixture(scope="session")
def tools():
    """The functions above: conftest modules are not imported by name."""

    class Tools:
        pass

    made = Tools()
    made.multicoil, made.itself, made.spots, made.net, made.relative, made.wave = (
        multicoil_case,
        itself,
        spots,
        net,
        relative,
        wave,
    )
    return made


@pytest.fixture(scope="session")
def coils():
    return multicoil_case()
