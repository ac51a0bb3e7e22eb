"""Distances per image."""

from __future__ import annotations

import numpy as np
import torch

from stabtest.search.objectives import DistanceToClean, DistanceToTruth


def test_distances_are_euclidean_and_per_image():
    a = torch.randn(3, 1, 4, 5, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    b = torch.randn(3, 1, 4, 5, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    expected = [np.linalg.norm((x - y).numpy().ravel()) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(DistanceToClean(b)(a), expected)
    np.testing.assert_allclose(DistanceToTruth(b)(a), expected)


def test_gradient_at_the_clean_image_is_zero_and_not_nan():
    clean = torch.ones(1, 1, 2, 2)
    x = clean.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(DistanceToClean(clean)(x).sum(), x)
    assert not gradient.any()
