"""Small measured cases for the tests of stability: a head in the scanner, a body of ellipses in CT."""

import importlib.util
from pathlib import Path

import pytest
import torch

from stabtest import phantoms, tensors
from stabtest.operators import Fourier, MaskFamily, Radon, ifft2c, sampling_fraction
from stabtest.stability.cases import Case, Resampled

SIZE = 48


def noise(shape, dtype, std, seed):
    return std * tensors.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def mri_case(seed=0, *, fraction=0.35, std=0.002, size=SIZE, trained=None, phantom=None):
    """Single-coil Cartesian MRI with nested masks; the noise lives on the full grid and is shared by all levels."""
    fine = (phantom if phantom is not None else phantoms.head(2 * size, seed=seed))[None].to(torch.complex64)
    full = Fourier(torch.ones(size, size, dtype=torch.bool))
    kspace = full.refine(2)(fine)
    truth = ifft2c(kspace)
    level = std * float(truth.abs().max())
    kspace = kspace + noise(kspace.shape, kspace.dtype, level, 100 + seed)
    family = MaskFamily("cartesian_random", (size, size), 3.0, 0.1, seed=1)

    def resample(share):
        mask = family.at(share)
        return Resampled(
            Fourier(mask),
            kspace * mask,
            int(mask.sum()),
            sampling_fraction(mask),
            trained=trained is not None and share == trained,
        )

    base = resample(fraction)
    return Case(
        f"head {seed}",
        f"patient {seed}",
        "mri",
        base.operator,
        base.measurement,
        truth=truth,
        truth_source="phantom",
        noise_std=level,
        resample=resample,
    )


def ct_case(seed=0, *, views=40, std=0.001, size=SIZE):
    """Parallel-beam CT of ellipses."""
    fine = phantoms.ellipses(2 * size, seed=seed)[None].abs()
    truth = torch.nn.functional.avg_pool2d(fine, 2)

    def resample(count):
        operator = Radon(size, int(count))
        y = operator.refine(2)(fine)
        return Resampled(
            operator, y + noise(y.shape, y.dtype, std * float(y.max()), 200 + seed), int(count), count / views, count == views
        )

    base = resample(views)
    return Case(
        f"ellipses {seed}",
        f"ellipses {seed}",
        "ct",
        base.operator,
        base.measurement,
        truth=truth,
        truth_source="phantom",
        noise_std=std * float(base.measurement.max()),
        resample=resample,
    )


@pytest.fixture(scope="session")
def mri():
    return mri_case()


@pytest.fixture(scope="session")
def full_mri():
    return mri_case(fraction=1.0)


@pytest.fixture(scope="session")
def ct():
    return ct_case()


@pytest.fixture(scope="session")
def make_mri():
    return mri_case


@pytest.fixture(scope="session")
def make_ct():
    return ct_case


@pytest.fixture(scope="session")
def build():
    """Small operators, images and dense matrices; a file beside this one, since tests are no package."""
    spec = importlib.util.spec_from_file_location("kernel_builders", Path(__file__).with_name("kernel_builders.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
