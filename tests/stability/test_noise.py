"""Noise: bias and spread against closed forms for linear methods, Poisson counts against their moments, controls."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.stability.cases import Case, Method
from stabtest.stability.noise import NoiseTest


def flat_case(size=32, std=0.1, seed=0):
    """Denoising: the operator is the identity."""
    truth = 0.2 + phantoms.ellipses(size, seed=seed)[None].abs().double()
    generator = torch.Generator().manual_seed(1)
    y = truth + std * tensors.randn(tuple(truth.shape), dtype=truth.dtype, generator=generator)
    return Case(
        "flat", "flat", "other", Identity((size, size)), y, truth=truth, truth_source="phantom", noise_std=std, noiseless=truth
    )


def direct(y, operator):
    return operator.pseudo_inverse(y)


def method(reconstruct=direct, name="direct"):
    return Method(name, "under test", reconstruct)


def test_of_the_identity_there_is_no_bias_and_all_of_the_noise():
    case = flat_case()
    rows = NoiseTest(levels=(0.5, 1.0, 4.0), draws=40).measure(method(), case, seed=3).rows
    pixels, size = case.truth.numel(), float(tensors.norm(case.truth))
    for row in rows:
        expected = row.level * case.noise_std * math.sqrt(pixels) / size
        assert row.spread == pytest.approx(expected, rel=0.03)
        assert row.bias < 0.1 * expected
        assert row.gain == pytest.approx(1.0)
        assert row.relative_norm == pytest.approx(expected, rel=0.03)


def test_a_shrinking_method_has_the_bias_and_the_spread_of_its_factor():
    case = flat_case()
    (row,) = NoiseTest(levels=(2.0,), draws=60).measure(method(lambda y, A: 0.7 * y), case, seed=1).rows
    noise = 2 * case.noise_std * math.sqrt(case.truth.numel()) / float(tensors.norm(case.truth))
    assert row.bias == pytest.approx(0.3, rel=0.02)
    assert row.spread == pytest.approx(0.7 * noise, rel=0.03)
    assert row.nrmse == pytest.approx(math.hypot(0.3, 0.7 * noise), rel=0.02)
    assert row.gain == pytest.approx(0.7)


@pytest.mark.parametrize("draws", [2, 5])
def test_bias_and_spread_do_not_depend_on_the_number_of_draws(draws):
    """Their squares are unbiased: the mean over many seeds is that of many draws."""
    case = flat_case(size=12)
    test = NoiseTest(levels=(1.0,), draws=draws)
    rows = [test.measure(method(lambda y, A: 0.8 * y), case, seed=seed).rows[0] for seed in range(150)]
    noise = 0.8 * case.noise_std * math.sqrt(case.truth.numel()) / float(tensors.norm(case.truth))
    assert sum(row.spread**2 for row in rows) / len(rows) == pytest.approx(noise**2, rel=0.03)
    assert sum(row.bias**2 for row in rows) / len(rows) == pytest.approx(0.2**2, rel=0.03)


def test_zero_filling_passes_the_noise_of_its_samples_only():
    mask = torch.rand(24, 24, generator=torch.Generator().manual_seed(0)) < 0.4
    operator = Fourier(mask)
    truth = phantoms.head(24, seed=0)[None].to(torch.complex128)
    noiseless = operator.forward(truth)
    case = Case("a", "a", "mri", operator, noiseless, truth=truth, truth_source="phantom", noise_std=0.05, noiseless=noiseless)
    (row,) = NoiseTest(levels=(1.0,), draws=60).measure(method(), case).rows
    assert row.spread == pytest.approx(0.05 * math.sqrt(int(mask.sum())) / float(tensors.norm(truth)), rel=0.03)
    assert row.bias == pytest.approx(float(tensors.norm(operator.adjoint(noiseless) - truth) / tensors.norm(truth)), rel=0.01)


def test_correlated_coils_have_the_covariance_that_was_asked_for():
    maps = phantoms.coil_maps(16, 4, seed=0).to(torch.complex128)
    operator = MultiCoilFourier(torch.ones(16, 16, dtype=torch.bool), maps)
    truth = phantoms.head(16, seed=0)[None].to(torch.complex128)
    y = operator.forward(truth)
    case = Case("a", "a", "mri", operator, y, truth=truth, noise_std=0.1, noiseless=y)
    seen = []

    def watch(measurement, A):
        seen.append(measurement - y)
        return A.pseudo_inverse(measurement)

    NoiseTest(levels=(1.0,), draws=40, correlation=0.6).measure(method(watch), case)
    noise = torch.cat(seen[1:]).movedim(1, 0).flatten(1)
    covariance = (noise @ noise.conj().T / noise.shape[1]).real / 0.1**2
    expected = 0.4 * torch.eye(4, dtype=torch.float64) + 0.6
    torch.testing.assert_close(covariance, expected, atol=0.03, rtol=0)


def test_photons_have_the_mean_and_variance_of_their_count():
    operator = Radon(16, 12)
    truth = phantoms.ellipses(16, seed=1)[None].abs().double()
    y = operator.forward(truth)
    case = Case("a", "a", "ct", operator, y, truth=truth, noise_std=0.01, noiseless=y)
    seen = []

    def watch(measurement, A):
        seen.append(measurement)
        return A.pseudo_inverse(measurement)

    rows = NoiseTest(levels=(1.0,), draws=300, kind="poisson", photons=1e4, attenuation=3.0).measure(method(watch), case).rows
    assert rows[0].photons == 1e4
    scale = 3.0 / float(y.max())
    drawn = torch.cat(seen[1:])
    # log of a count: variance 1 / mean, to first order
    variance = (scale * (drawn - drawn.mean(0))).square().sum(0) / (len(drawn) - 1)
    expected = torch.exp(scale * y[0]) / 1e4
    assert float((variance / expected).mean()) == pytest.approx(1.0, abs=0.02)
    assert float((scale * (drawn.mean(0) - y[0])).abs().mean()) < 3 * float(expected.sqrt().mean()) / math.sqrt(300)


def test_a_lower_dose_is_the_larger_level():
    operator = Radon(16, 12)
    truth = phantoms.ellipses(16, seed=1)[None].abs()
    y = operator.forward(truth)
    case = Case("a", "a", "ct", operator, y, truth=truth, noise_std=0.01, noiseless=y)
    rows = NoiseTest(levels=(4.0, 1.0), draws=6, kind="poisson").measure(method(), case).rows
    assert [row.photons for row in rows] == [1e5, 1e5 / 16]
    assert rows[1].spread == pytest.approx(4 * rows[0].spread, rel=0.15)


def test_all_methods_and_levels_get_the_same_draws():
    case = flat_case()
    seen = {}

    def watch(name):
        def reconstruct(y, A):
            seen.setdefault(name, []).append(y)
            return y

        return reconstruct

    for name in ("a", "b"):
        NoiseTest(levels=(1.0, 2.0), draws=2).measure(method(watch(name), name), case, seed=5)
    for one, other in zip(seen["a"], seen["b"], strict=True):
        assert torch.equal(one, other)
    quiet, low, _, high, _ = seen["a"]
    torch.testing.assert_close(high - quiet, 2 * (low - quiet))


def test_a_real_scan_is_given_the_noise_that_is_missing():
    case = replace(flat_case(std=0.1), noiseless=None)
    rows = NoiseTest(levels=(2.0, 4.0), draws=60).measure(method(), case).rows
    size = float(tensors.norm(case.truth))
    for row in rows:
        assert row.added
        missing = math.sqrt(row.level**2 - 1) * 0.1 * math.sqrt(case.truth.numel()) / size
        assert row.spread == pytest.approx(missing, rel=0.03)


@pytest.mark.parametrize(
    ("test", "said"), [(NoiseTest(levels=(0.5,)), "the level 0.5"), (NoiseTest((1.0,), kind="poisson"), "Poisson")]
)
def test_what_a_real_scan_cannot_give_is_said(test, said):
    with pytest.raises(DataError, match=said):
        test.measure(method(), replace(flat_case(), noiseless=None))


def test_a_scan_of_unknown_noise_is_refused():
    with pytest.raises(DataError, match="known noise level"):
        NoiseTest().measure(method(), replace(flat_case(), noise_std=None))


def test_without_truth_the_spread_stands_alone():
    case = replace(flat_case(), truth=None, truth_source="none")
    (row,) = NoiseTest(levels=(1.0,)).measure(method(), case).rows
    assert (row.nrmse, row.bias) == (None, None)
    assert row.spread > 0


def test_control_a_network_that_breaks_down_at_high_noise_is_seen_and_a_linear_one_is_not():
    case = flat_case()

    def thresholded(y, A):
        rough = (y[..., 1:] - y[..., :-1]).abs().mean((1, 2, 3), keepdim=True)
        return torch.where(rough > 0.25, 0.2 * y, y)

    def errors(reconstruct):
        rows = NoiseTest(levels=(1.0, 4.0), draws=6).measure(method(reconstruct), case).rows
        return rows[1].bias, rows[0].bias

    high, low = errors(thresholded)
    assert high > 0.5 > 0.05 > low
    high, low = errors(direct)
    assert max(high, low) < 0.05


@pytest.mark.parametrize(
    "wrong", [{"levels": ()}, {"levels": (0.0,)}, {"levels": (math.inf,)}, {"draws": 1}, {"correlation": 1.0}, {"photons": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        NoiseTest(**wrong)
