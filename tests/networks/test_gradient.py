"""The measured error of a gradient where it is known by construction."""

import pytest
import torch

from stabtest.networks import wrap
from stabtest.networks.gradient import LIMITS, check_gradient
from stabtest.operators import Fourier, Identity, Radon
from stabtest.operators.masks import cartesian_random


def check(f, A, y, seed=0):
    return check_gradient(f, A, y, generator=torch.Generator().manual_seed(seed))


def measurement(A, dtype=torch.float64, batch=1):
    return A(A.domain.randn(batch, generator=torch.Generator().manual_seed(0), dtype=dtype))


@pytest.mark.parametrize(
    "A",
    [Fourier(cartesian_random((16, 16), acceleration=2, seed=0)), Radon(12, 9), Identity((10, 12))],
    ids=["mri", "ct", "image"],
)
def test_a_linear_method_agrees_to_rounding(A):
    found = check(lambda y, A: A.pseudo_inverse(y), A, measurement(A, torch.float32))
    assert found.precision == torch.float64
    assert found.error < 1e-8
    assert found.sensitivity == pytest.approx(1, rel=0.3) or isinstance(A, Radon)


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_error_of_a_detached_share_is_estimated(share, is_complex):
    """``f = x + s x`` with the second term detached: ``D = (1 + s) d``, ``J d = d``."""
    A = Identity((32, 32), is_complex=is_complex)
    found = check(lambda y, A: y + share * y.detach(), A, measurement(A))
    expected = share / (1 + share)
    assert 0.4 * expected < found.error < 2 * expected


@pytest.mark.parametrize("seed", range(5))
def test_float32_stays_below_its_limit_on_a_smooth_method(seed):
    A = Identity((24, 24))
    found = check(lambda y, A: torch.tanh(y.float()), A, measurement(A, torch.float32), seed)
    assert found.precision == torch.float32
    assert found.error < 0.2 * LIMITS[torch.float32]


def test_a_modulus_of_a_noise_free_background_is_no_false_alarm():
    A = Identity((24, 24), is_complex=True)
    y = torch.zeros(1, 1, 24, 24, dtype=torch.complex128)
    y[..., 8:16, 8:16] = 1
    assert check(lambda y, A: y.abs(), A, y).error < LIMITS[torch.float64]


def test_zero_gradient():
    A = Identity((8, 8))
    found = check(lambda y, A: y.sign() + 0 * y, A, measurement(A))
    assert (found.sensitivity, found.error) == (0.0, None)
    assert "zero" in found.problem


def test_no_gradient():
    A = Identity((8, 8))
    found = check(lambda y, A: y.detach() * 2, A, measurement(A))
    assert found.sensitivity is None
    assert found.problem


def test_infinite_sensitivity_is_said():
    A = Identity((8, 8))
    y = measurement(A)
    y[..., 0, 0] = 0
    assert "finite" in check(lambda y, A: y.abs().sqrt(), A, y).problem


def test_only_the_first_image_is_used():
    A = Identity((8, 8))
    y = measurement(A, batch=3)
    assert check(lambda y, A: y**2, A, y) == check(lambda y, A: y**2, A, y[:1])


def test_a_module_that_cannot_be_doubled_is_checked_as_it_is():
    class Stubborn(torch.nn.Module):
        def double(self):
            raise RuntimeError("no")

        def forward(self, x):
            return 2 * x.float()

    A = Identity((8, 8))
    found = check(wrap(Stubborn()), A, measurement(A, torch.float32))
    assert found.precision == torch.float32
    assert found.error < 1e-2
