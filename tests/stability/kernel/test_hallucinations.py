import numpy as np
import pytest
import scipy.ndimage
import torch
from skimage import exposure

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Radon
from stabtest.stability.kernel import hallucination_maps, specific_map
from stabtest.stability.null_space import split


def fourier(image):
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))


def inverse(data):
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(data), norm="ortho"))


def test_both_maps_are_those_of_the_paper_in_single_coil_mri(build):
    case = build.head_case()
    image = build.random_image(case.operator, 3)
    found = hallucination_maps(case.operator, image, case.truth, case.measurement, floor=0.0, cut=0.01)
    mask = case.operator.mask.numpy()
    f, x, y = (a[0, 0].numpy() for a in (image, case.truth, case.measurement))
    measured = inverse(mask * fourier(f)) - inverse(y)
    null = (f - inverse(mask * fourier(f))) - (x - inverse(mask * fourier(x)))
    assert np.allclose(found.measurement[0, 0].numpy(), measured, atol=1e-12)
    assert np.allclose(found.null[0, 0].numpy(), null, atol=1e-12)
    assert float(found.missing.abs().max()) == 0


def test_a_cut_pseudo_inverse_agrees_with_a_dense_solve(build):
    operator = Radon(12, 5)
    x, f = build.random_image(operator, 0), build.random_image(operator, 1)
    y = operator.forward(x) + operator.range.randn(generator=build.generator(2), dtype=torch.float64)
    found = hallucination_maps(operator, f, x, y, floor=0.0, cut=0.05, iterations=1000, tolerance=1e-13)
    matrix = build.dense(operator)
    weight = (0.05 * operator.norm_bound()) ** 2
    inverse_ = np.linalg.solve(matrix.T @ matrix + weight * np.eye(matrix.shape[1]), matrix.T)
    x_, f_, y_ = (a.flatten().numpy() for a in (x, f, y))
    assert np.allclose(found.measurement.flatten().numpy(), inverse_ @ (matrix @ f_ - y_), atol=1e-8)
    assert np.allclose(found.null.flatten().numpy(), (f_ - x_) - inverse_ @ (matrix @ (f_ - x_)), atol=1e-8)


def test_a_blank_is_missing_and_not_hallucinated(build):
    case = build.head_case()
    image = case.operator.pseudo_inverse(case.measurement)
    found = hallucination_maps(case.operator, image, case.truth, case.measurement, floor=1e-9, cut=0.01)
    assert float(tensors.norm(found.null)) == 0
    assert float(tensors.norm(found.measurement)) < 1e-12
    assert torch.allclose(found.missing, -split(case.operator, case.truth).null, atol=1e-12)


def test_a_false_structure_of_the_null_space_is_in_one_map_only(build):
    case = build.head_case()
    false = split(case.operator, build.random_image(case.operator, 5)).null
    exact = case.operator.forward(case.truth)
    found = hallucination_maps(case.operator, case.truth + false, case.truth, exact, floor=0.0, cut=0.01)
    assert torch.allclose(found.null, false, atol=1e-12)
    assert float(tensors.norm(found.measurement)) < 1e-12


def test_a_structure_against_the_data_is_in_the_other(build):
    case = build.head_case()
    false = split(case.operator, build.random_image(case.operator, 5)).measured
    exact = case.operator.forward(case.truth)
    found = hallucination_maps(case.operator, case.truth + false, case.truth, exact, floor=0.0, cut=0.01)
    assert torch.allclose(found.measurement, false, atol=1e-12)
    assert float(tensors.norm(found.null)) < 1e-12


def test_the_floor_moves_between_hallucinated_and_missing(build):
    case = build.head_case()
    image = case.truth + 1e-3 * build.random_image(case.operator, 5)
    null = split(case.operator, image).null
    floor = float(null.abs().median())
    found = hallucination_maps(case.operator, image, case.truth, case.measurement, floor=floor, cut=0.01)
    assert bool(((found.null != 0) == (null.abs() > floor)).all())
    assert torch.allclose(found.null + found.missing, null - split(case.operator, case.truth).null, atol=1e-12)


def test_the_specific_map_follows_the_recipe():
    generator = np.random.default_rng(0)
    values = generator.random((40, 40)) * 0.1
    values[10:18, 20:30] += 1
    region = np.ones((40, 40), bool)
    region[:3] = False
    found = specific_map(
        torch.from_numpy(values)[None, None], torch.from_numpy(region)[None, None], sigma=2.0, percentile=90, least_pixels=20
    )
    smooth = scipy.ndimage.gaussian_filter(exposure.equalize_hist(values * region), 2.0)
    high = smooth > np.percentile(smooth, 90)
    kept = np.zeros_like(high)
    labels, count = scipy.ndimage.label(high, structure=np.ones((3, 3)))
    for k in range(1, count + 1):
        if (labels == k).sum() >= 20:
            kept |= labels == k
    assert np.array_equal(found, kept)
    assert found[12:16, 22:28].all()


def test_thresholds_have_no_default_and_a_range(build):
    case = build.head_case()
    images = (case.operator, case.truth, case.truth, case.measurement)
    with pytest.raises(TypeError, match="floor"):
        hallucination_maps(*images)
    for wrong in ({"floor": -1.0, "cut": 0.1}, {"floor": 0.0, "cut": float("nan")}):
        with pytest.raises(ConfigError, match="thresholds"):
            hallucination_maps(*images, **wrong)
    with pytest.raises(ConfigError, match="specific map"):
        specific_map(case.truth, case.truth.abs() > 0, sigma=1.0, percentile=101, least_pixels=1)
    with pytest.raises(DataError, match="one shape"):
        specific_map(case.truth, torch.ones(1, 1, 2, 2).bool(), sigma=1.0, percentile=90, least_pixels=1)
