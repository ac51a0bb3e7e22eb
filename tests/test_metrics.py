import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from stabtest import metrics
from stabtest.errors import DataError


def pair(seed=0, shape=(3, 1, 33, 40), complex_=False):
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.complex128 if complex_ else torch.float64
    truth = torch.randn(shape, generator=generator, dtype=dtype)
    return truth + 0.3 * torch.randn(shape, generator=generator, dtype=dtype), truth


@pytest.mark.parametrize("seed", range(3))
def test_real_metrics_agree_with_skimage(seed):
    image, truth = pair(seed)
    for k in range(3):
        a, b = truth[k, 0].numpy(), image[k, 0].numpy()
        peak = abs(a).max()
        assert metrics.nrmse(image, truth)[k].item() == pytest.approx(
            normalized_root_mse(a, b, normalization="euclidean"), abs=1e-6
        )
        assert metrics.psnr(image, truth)[k].item() == pytest.approx(peak_signal_noise_ratio(a, b, data_range=peak), abs=1e-6)
        assert metrics.ssim(image, truth)[k].item() == pytest.approx(structural_similarity(a, b, data_range=peak), abs=1e-6)


def test_complex_error_is_the_error_of_both_parts():
    image, truth = pair(complex_=True)
    flat = torch.view_as_real(image).numpy(), torch.view_as_real(truth).numpy()
    for k in range(3):
        a, b = flat[1][k], flat[0][k]
        assert metrics.nrmse(image, truth)[k].item() == pytest.approx(
            normalized_root_mse(a, b, normalization="euclidean"), abs=1e-9
        )
        mean_square = np.mean(np.abs(image[k].numpy() - truth[k].numpy()) ** 2)
        expected = 10 * math.log10(np.abs(truth[k].numpy()).max() ** 2 / mean_square)
        assert metrics.psnr(image, truth)[k].item() == pytest.approx(expected, abs=1e-9)


def test_complex_ssim_is_that_of_the_magnitudes():
    image, truth = pair(complex_=True)
    a, b = truth[1, 0].abs().numpy(), image[1, 0].abs().numpy()
    assert metrics.ssim(image, truth)[1].item() == pytest.approx(structural_similarity(a, b, data_range=a.max()), abs=1e-6)


def test_a_wrong_phase_is_an_error():
    _, truth = pair(complex_=True)
    assert metrics.nrmse(truth * torch.exp(torch.tensor(0.3j)), truth).min() > 0.25


def test_the_peak_is_that_of_the_truth():
    truth = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    image = truth.clone()
    image[0, 0, 0, 0] = 9.0
    assert metrics.psnr(image, truth).item() == pytest.approx(10 * math.log10(1 / (64 / 64)), abs=1e-9)


@pytest.mark.parametrize("sigma", [0.7, 2.0, 3.5])
def test_smoothing_agrees_with_scipy(sigma):
    image, _ = pair()
    expected = scipy.ndimage.gaussian_filter(image[0, 0].numpy(), sigma, mode="nearest", truncate=4.0)
    assert np.allclose(metrics.smooth(image, sigma=sigma)[0, 0].numpy(), expected, atol=1e-12)


def test_local_damage_sees_what_the_norm_dilutes():
    clean = torch.ones(1, 1, 64, 64)
    spot, haze = clean.clone(), clean.clone()
    spot[..., 30:36, 30:36] += 0.5
    haze += 0.5 * 6 / 64
    assert metrics.nrmse(spot, clean).item() == pytest.approx(metrics.nrmse(haze, clean).item(), rel=1e-4)
    assert metrics.local_damage(clean, spot) > 5 * metrics.local_damage(clean, haze)


def test_local_damage_is_differentiable():
    clean = torch.ones(1, 1, 16, 16, dtype=torch.float64)
    perturbed = (clean + 0.1 * torch.rand(clean.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    metrics.local_damage(clean, perturbed).sum().backward()
    assert perturbed.grad is not None
    assert perturbed.grad.abs().sum() > 0


def test_shapes_that_differ_are_refused():
    with pytest.raises(DataError, match=r"\(1, 1, 8, 8\) and \(1, 1, 8, 9\)"):
        metrics.nrmse(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 9))


def test_an_image_below_the_window_is_refused():
    with pytest.raises(DataError, match="at least 7 x 7"):
        metrics.ssim(torch.ones(1, 1, 6, 9), torch.ones(1, 1, 6, 9))
