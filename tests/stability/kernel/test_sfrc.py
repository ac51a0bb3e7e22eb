import math

import numpy as np
import pytest
import torch

from stabtest.errors import ConfigError, DataError
from stabtest.stability.kernel import ring_correlation, scan

THRESHOLDS = {"threshold": 0.5, "least_cutoff": 0.6}


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def ring_sizes(side):
    k = np.fft.fftfreq(side, 1 / side)
    radius = np.hypot(k[:, None], k[None])
    return np.array([np.sum((radius >= r - 0.5) & (radius < r + 0.5)) for r in range(side // 2)])


def numpy_frc(one, other, window=None):
    """Rings one by one, from the definition."""
    side = one.shape[0]
    if window is not None:
        one, other = one * np.outer(window, window), other * np.outer(window, window)
    f, g = np.fft.fftshift(np.fft.fft2(one)), np.fft.fftshift(np.fft.fft2(other))
    centre = side // 2
    curve = []
    for ring in range(side // 2):
        total, a, b = 0.0, 0.0, 0.0
        for i in range(side):
            for j in range(side):
                radius = math.hypot(i - centre, j - centre)
                if ring - 0.5 <= radius < ring + 0.5:
                    total += (f[i, j] * np.conj(g[i, j])).real
                    a += abs(f[i, j]) ** 2
                    b += abs(g[i, j]) ** 2
        curve.append(total / math.sqrt(a * b))
    return np.array(curve)


@pytest.mark.parametrize("side", [8, 11, 16])
@pytest.mark.parametrize("hann", [False, True])
def test_curves_agree_with_a_loop_over_the_definition(side, hann):
    one, other = noise(side, side, seed=1), noise(side, side, seed=2) + 0.5
    one = one + other
    window = np.hanning(side) if hann else None
    expected = numpy_frc(one.numpy(), other.numpy(), window)
    assert np.allclose(ring_correlation(one, other, hann=hann).numpy(), expected, atol=1e-12)


def test_complex_patches_agree_too():
    one, other = noise(8, 8, dtype=torch.complex128), noise(8, 8, seed=1, dtype=torch.complex128)
    assert np.allclose(ring_correlation(one, other).numpy(), numpy_frc(one.numpy(), other.numpy()), atol=1e-12)


def test_identical_patches_have_one_and_inverted_ones_minus_one():
    x = noise(5, 16, 16)
    assert torch.allclose(ring_correlation(x, x), torch.ones(5, 8, dtype=torch.float64))
    assert torch.allclose(ring_correlation(-3 * x, x), -torch.ones(5, 8, dtype=torch.float64))


@pytest.mark.parametrize(("dtype", "factor"), [(torch.float64, 1.0), (torch.complex128, 2.0)])
def test_independent_noise_has_mean_zero_and_the_stated_variance(dtype, factor):
    draws, side = 4000, 16
    curves = ring_correlation(noise(draws, side, side, dtype=dtype), noise(draws, side, side, seed=1, dtype=dtype))
    sizes = ring_sizes(side)[1:]
    mean, variance = curves.mean(0)[1:].numpy(), curves.var(0)[1:].numpy()
    assert (np.abs(mean) < 4 * np.sqrt(1 / (factor * sizes) / draws)).all()
    # Of n Gaussian pairs the variance is exactly 1 / n for real numbers; its estimate from the draws varies by sqrt(2 / draws).
    assert np.allclose(variance[1:] * factor * sizes[1:], 1, atol=5 * math.sqrt(2 / draws))


def test_a_noisy_copy_has_the_closed_forms():
    draws, side, power = 2000, 16, 0.7
    x = noise(draws, side, side)
    one, other = (x + math.sqrt(power) * noise(draws, side, side, seed=seed) for seed in (1, 2))
    sizes = ring_sizes(side)
    for found, expected in (
        (ring_correlation(one, other), 1 / (1 + power)),
        (ring_correlation(one, x), math.sqrt(1 / (1 + power))),
    ):
        found = found.mean(0).numpy()
        # Bias of a correlation coefficient of n pairs: -rho (1 - rho^2) / (2 n); and four standard errors of the mean.
        bias = -expected * (1 - expected**2) / (2 * sizes)
        error = (1 - expected**2) / np.sqrt(sizes * draws)
        # The expansion holds for many pairs: the innermost rings are left out.
        assert (np.abs(found - expected - bias) < 4 * error + 0.5 / sizes**2)[2:].all()


def test_the_cutoff_is_where_the_curve_crosses():
    """Reference and image agree up to a ring and have opposite signs beyond it."""
    side = 16
    k = np.fft.fftfreq(side, 1 / side)
    low = np.hypot(k[:, None], k[None]) < 4.5
    x = noise(side, side).numpy()
    spectrum = np.fft.fft2(x)
    image = torch.from_numpy(np.fft.ifft2(np.where(low, spectrum, -spectrum)).real)[None, None]
    found = scan(image, torch.from_numpy(x)[None, None], threshold=0.5, least_cutoff=0.5, side=side, hann=False)
    assert np.allclose(found.curves[0, 0].numpy(), [1, 1, 1, 1, 1, -1, -1, -1])
    # From 1 at ring 4 to -1 at ring 5: 0.5 is a quarter of the way.
    assert float(found.cutoff) == pytest.approx(4.25 / 8)
    assert not bool(found.flagged)
    assert bool(scan(image, torch.from_numpy(x)[None, None], threshold=0.5, least_cutoff=0.54, side=side, hann=False).flagged)


def test_a_false_structure_is_flagged_where_it_is():
    x = torch.nn.functional.interpolate(noise(1, 1, 16, 16), size=(64, 64), mode="bicubic")
    image = x.clone()
    image[..., 8:24, 40:56] += 3 * noise(16, 16, seed=5)
    found = scan(image, x, **THRESHOLDS, side=16, stride=16)
    assert found.flagged.nonzero().tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    assert (found.recovery[~found.flagged] - 1).abs().max() < 1e-12


def test_inverted_contrast_is_flagged_and_its_modulus_would_not_be():
    x = noise(1, 1, 32, 32)
    found = scan(-x, x, **THRESHOLDS, side=16)
    assert bool(found.flagged.all())
    assert bool((found.curves.abs() > 0.999).all())
    assert torch.allclose(found.recovery, -torch.ones_like(found.recovery))


def test_a_faded_detail_passes_the_correlation_and_not_the_recovery():
    x = noise(1, 1, 32, 32)
    found = scan(0.1 * x, x, **THRESHOLDS, side=16)
    assert not bool(found.flagged.any())
    assert torch.allclose(found.recovery, torch.full_like(found.recovery, 0.1))


def test_recovery_is_a_regression_on_the_reference():
    x, image = noise(1, 1, 16, 16), noise(1, 1, 16, 16, seed=1) + 7
    found = scan(image, x, **THRESHOLDS, side=16)
    assert float(found.recovery) == pytest.approx(np.polyfit(x.numpy().ravel(), image.numpy().ravel(), 1)[0], rel=1e-9)


def test_patches_cover_the_image_to_its_border():
    x = noise(1, 1, 30, 41)
    found = scan(x, x, **THRESHOLDS, side=16)
    assert (found.rows, found.columns) == ((0, 8, 14), (0, 8, 16, 24, 25))
    assert found.curves.shape == (3, 5, 8)


def test_over_a_flat_reference_any_structure_is_flagged_and_nothing_is_not():
    flat = torch.full((1, 1, 16, 16), 2.0)
    ripple = flat + 0.1 * noise(1, 1, 16, 16, dtype=torch.float32)
    assert bool(scan(ripple, flat, **THRESHOLDS, side=16, hann=False).flagged)
    same = scan(flat, flat, **THRESHOLDS, side=16, hann=False)
    assert not bool(same.flagged)
    assert bool(same.recovery.isnan())
    assert bool(same.curves[0, 0, 1:].isnan().all())  # rounding is not correlated with itself


def test_both_thresholds_must_be_given():
    x = noise(1, 1, 16, 16)
    for given in ({"threshold": 0.5}, {"least_cutoff": 0.5}):
        with pytest.raises(TypeError, match="missing"):
            scan(x, x, side=16, **given)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.0}, {"least_cutoff": 0.0}, {"side": 7}, {"stride": 0}, {"threshold": math.nan}]
)
def test_settings_have_a_range(wrong):
    x = noise(1, 1, 16, 16)
    with pytest.raises(ConfigError, match="sFRC"):
        scan(x, x, **{**THRESHOLDS, "side": 16, **wrong})


def test_images_must_fit():
    x = noise(1, 1, 16, 16)
    with pytest.raises(DataError, match="sides"):
        scan(x, x, **THRESHOLDS, side=32)
    with pytest.raises(DataError, match="real or both complex"):
        scan(x.to(torch.complex128), x, **THRESHOLDS, side=16)
    with pytest.raises(DataError, match="square"):
        ring_correlation(x[..., :8], x[..., :8])
