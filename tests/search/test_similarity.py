"""1 - SSIM against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from stabtest.errors import DataError, SearchError
from stabtest.search.objectives import vanishes_at_clean
from stabtest.search.similarity import StructuralDissimilarity


def pair(seed, shape, dtype=torch.float64, noise=0.3):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)
    return reference + noise * torch.randn(shape, generator=generator, dtype=dtype), reference


def by_skimage(image, reference, data_range):
    a, b = (x.abs().numpy() if x.is_complex() else x.numpy() for x in (image, reference))
    return 1 - structural_similarity(b, a, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 99),
    height=st.integers(11, 30),
    width=st.integers(11, 30),
    dtype=st.sampled_from([torch.float64, torch.complex128]),
    noise=st.sampled_from([1e-3, 0.3, 3.0]),
)
def test_agrees_with_skimage(seed, height, width, dtype, noise):
    image, reference = pair(seed, (2, 1, height, width), dtype, noise)
    found = StructuralDissimilarity(reference)(image)
    for k in range(2):
        expected = by_skimage(image[k, 0], reference[k, 0], float(reference[k].abs().max()))
        assert found[k].item() == pytest.approx(expected, abs=1e-6)


def test_the_data_range_is_the_one_stated():
    image, reference = pair(0, (2, 1, 20, 20))
    found = StructuralDissimilarity(reference, torch.tensor([2.0, 5.0], dtype=torch.float64))(image)
    for k, data_range in enumerate((2.0, 5.0)):
        assert found[k].item() == pytest.approx(by_skimage(image[k, 0], reference[k, 0], data_range), abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 1000.0])
def test_single_precision_keeps_small_dissimilarities(level):
    """1 - SSIM of 1e-9 is lost if it is computed as a difference from 1."""
    image, reference = pair(3, (1, 1, 24, 24), noise=1e-5)
    image, reference = image.float() + level, reference.float() + level
    data_range = 1.0
    double = StructuralDissimilarity(reference.double(), data_range)(image.double()).item()
    single = StructuralDissimilarity(reference, data_range)(image).item()
    assert 0 < double < 1e-5
    assert single == pytest.approx(double, rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradient_is_the_derivative(dtype):
    image, reference = pair(1, (2, 1, 12, 13), dtype)
    assert torch.autograd.gradcheck(StructuralDissimilarity(reference), (image.requires_grad_(),), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_gradient_is_finite_in_a_background_of_zeros(dtype):
    reference = torch.zeros(1, 1, 24, 24, dtype=dtype)
    reference[..., 10:14, 10:14] = 1
    image = (0.5 * reference).requires_grad_()
    value = StructuralDissimilarity(reference)(image)
    (gradient,) = torch.autograd.grad(value.sum(), image)
    assert value.item() > 0
    assert torch.isfinite(gradient.abs()).all()
    assert gradient[..., 10:14, 10:14].abs().sum() > 0


def test_value_and_gradient_vanish_at_the_reference():
    _, reference = pair(2, (1, 1, 16, 16))
    image = reference.clone().requires_grad_()
    objective = StructuralDissimilarity(reference, vanishes_at_clean=True)
    value = objective(image)
    (gradient,) = torch.autograd.grad(value.sum(), image)
    assert vanishes_at_clean(objective)
    assert value.item() == 0
    assert gradient.abs().max() < 1e-12


def test_only_the_modulus_of_complex_images_counts():
    image, reference = pair(0, (1, 1, 16, 16), torch.complex128)
    turned = image * np.exp(0.7j)
    torch.testing.assert_close(StructuralDissimilarity(reference)(image), StructuralDissimilarity(reference)(turned))
    torch.testing.assert_close(StructuralDissimilarity(reference)(image), StructuralDissimilarity(reference.abs())(image))


def test_images_are_independent():
    image, reference = pair(0, (3, 1, 16, 16), torch.float32)
    together = StructuralDissimilarity(reference)(image)
    for k in range(3):
        torch.testing.assert_close(StructuralDissimilarity(reference[k : k + 1])(image[k : k + 1])[0], together[k])


def test_a_reference_below_the_window_is_refused():
    with pytest.raises(SearchError, match="11 pixels"):
        StructuralDissimilarity(torch.ones(1, 1, 10, 30))


@pytest.mark.parametrize("data_range", [None, 0.0, -1.0, float("nan"), torch.ones(3)])
def test_a_data_range_that_is_none_is_refused(data_range):
    with pytest.raises(SearchError, match="data range"):
        StructuralDissimilarity(torch.zeros(2, 1, 16, 16), data_range)


def test_another_shape_is_refused():
    with pytest.raises(DataError):
        StructuralDissimilarity(torch.ones(1, 1, 16, 16))(torch.ones(1, 1, 16, 17))
