import math

import pytest
import torch

from stabtest.bounds.lanczos import certificate, lanczos_norm, linear_map_norm
from stabtest.errors import BoundsError


def seed(number):
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize("number", range(5))
def test_brackets_the_norm_of_a_random_matrix(number):
    matrix = torch.randn(120, 300, generator=seed(number), dtype=torch.float64)
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    estimate = lanczos_norm(lambda x: matrix.T @ (matrix @ x), (300,), generator=seed(100 + number))
    assert estimate.lower <= exact * (1 + 1e-12) <= estimate.upper <= exact * 1.03


@pytest.mark.parametrize("number", range(20))
def test_a_hidden_direction_is_covered(number):
    """Regression of what power iteration gets wrong: one direction barely above a flat spectrum, and few steps."""
    spectrum = torch.ones(2000, dtype=torch.float64)
    spectrum[0] = 1.02
    estimate = lanczos_norm(lambda x: spectrum * x, (2000,), generator=seed(number), steps=25)
    assert estimate.lower <= math.sqrt(1.02) * (1 + 1e-12)
    assert estimate.upper >= math.sqrt(1.02)


def test_failure_probability_is_respected_at_a_generous_level():
    """With a failure probability of 0.5 the bound may fail in at most half of the draws (it fails far less often)."""
    spectrum = torch.linspace(0, 1, 400, dtype=torch.float64) ** 0.25
    failures = 0
    for number in range(60):
        estimate = lanczos_norm(lambda x: spectrum * x, (400,), generator=seed(number), steps=6, failure=0.5)
        failures += estimate.upper < 1.0
    assert failures <= 30


def test_more_steps_are_tighter_and_less_failure_is_looser():
    values = [certificate(1.0, size=10**4, steps=k) for k in (20, 40, 80)]
    assert values == sorted(values, reverse=True)
    assert certificate(1.0, size=10**4, steps=60, failure=1e-12) > certificate(1.0, size=10**4, steps=60, failure=1e-3)


def test_too_few_steps_certify_nothing():
    assert math.isinf(certificate(1.0, size=10**4, steps=5))


def test_the_formula_solves_the_theorem():
    size, steps, delta = 5000, 40, 1e-7
    eps = 1 - 1 / certificate(1.0, size=size, steps=steps, failure=delta)
    assert 1.648 * math.sqrt(size) * math.exp(-math.sqrt(eps) * (2 * steps - 1)) == pytest.approx(delta)


def test_small_spaces_are_exhausted_and_exact():
    matrix = torch.randn(4, 6, generator=seed(0), dtype=torch.complex128)
    estimate = lanczos_norm(lambda x: matrix.mH @ (matrix @ x), (6,), is_complex=True, generator=seed(1))
    assert estimate.failure == 0.0
    assert estimate.upper == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-8)


def test_zero_map():
    assert lanczos_norm(lambda x: 0 * x, (10,), generator=seed(0)).upper == 0.0


def test_an_affine_map_loses_its_offset():
    estimate = linear_map_norm(lambda x: 3 * x + 100, (50,), generator=seed(0))
    assert estimate.lower == pytest.approx(3)


def test_a_map_without_gradient_is_refused():
    with pytest.raises(BoundsError, match="gradient"):
        linear_map_norm(lambda x: x.detach(), (5,), generator=seed(0))


def test_not_finite_is_refused():
    with pytest.raises(BoundsError, match="finite"):
        lanczos_norm(lambda x: x * torch.nan, (5,), generator=seed(0))
