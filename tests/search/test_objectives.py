"""Distances per image, damage in a region and at the worst place."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from stabtest import metrics
from stabtest.errors import SearchError
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, LocalDamage, RegionDamage, vanishes_at_clean


def image(seed, shape=(3, 1, 12, 14), dtype=torch.complex128):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def some_region(shape=(3, 1, 12, 14), seed=7):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.3


def all_of_them(clean):
    return {
        "clean": DistanceToClean(clean),
        "truth": DistanceToTruth(clean + 1),
        "region": RegionDamage(clean, some_region()),
        "local": LocalDamage(clean),
    }


def gradient_of(objective, at):
    x = at.detach().clone().requires_grad_()
    return torch.autograd.grad(objective(x).sum(), x)[0]


def test_distances_are_euclidean_and_per_image():
    a, b = image(0), image(1)
    expected = [np.linalg.norm((x - y).numpy().ravel()) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(DistanceToClean(b)(a), expected)
    np.testing.assert_allclose(DistanceToTruth(b)(a), expected)


@pytest.mark.parametrize("images", [1, 3])
def test_region_damage_is_the_norm_of_the_pixels_inside(images):
    a, b, region = image(0), image(1), some_region((images, 1, 12, 14))
    inside = region.expand(3, 1, 12, 14).numpy()
    expected = [np.linalg.norm((x - y).numpy()[m]) for x, y, m in zip(a, b, inside, strict=True)]
    np.testing.assert_allclose(RegionDamage(b, region)(a), expected)


def test_region_damage_has_no_gradient_outside():
    clean, region = image(1), some_region()
    gradient = gradient_of(RegionDamage(clean, region), image(0))
    assert not gradient[~region].any()
    assert gradient[region].all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("width", [0.0, 1.0, 2.5])
def test_local_damage_is_the_maximum_of_the_smoothed_modulus(dtype, width):
    a, b = image(0, dtype=dtype), image(1, dtype=dtype)
    expected = [
        scipy.ndimage.gaussian_filter(np.abs((x - y).numpy()[0]), width, mode="nearest", truncate=4.0).max() / y.abs().max()
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(LocalDamage(b, width)(a), expected, rtol=1e-10)


def test_local_damage_is_that_of_the_report():
    a, b = image(0), image(1)
    assert torch.equal(LocalDamage(b)(a), metrics.local_damage(b, a))


def test_a_wrong_phase_is_local_damage():
    clean = torch.ones(1, 1, 32, 32, dtype=torch.complex128)
    turned = clean.clone()
    turned[..., 10:22, 10:22] *= -1
    assert LocalDamage(clean)(turned).item() > 1.9


def test_local_damage_prefers_a_spot_to_a_haze_of_the_same_norm():
    clean = torch.ones(1, 1, 48, 48)
    spot = clean.clone()
    spot[..., 20:26, 20:26] += 0.5
    haze = clean + 0.5 * 6 / 48
    local, distance = LocalDamage(clean), DistanceToClean(clean)
    torch.testing.assert_close(distance(spot), distance(haze))
    assert local(spot) > 4 * local(haze)


@pytest.mark.parametrize("name", ["clean", "truth", "region", "local"])
def test_gradient_is_the_derivative(name):
    objective = all_of_them(image(1))[name]
    x = image(0).requires_grad_()
    assert torch.autograd.gradcheck(objective, (x,), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("name", ["clean", "truth", "region", "local"])
def test_gradient_at_the_clean_image_is_finite_and_zero_where_the_objective_says_so(name):
    clean = image(1)
    objective = all_of_them(clean)[name]
    gradient, value = gradient_of(objective, clean), objective(clean)
    assert torch.isfinite(torch.view_as_real(gradient)).all()
    assert vanishes_at_clean(objective) == (name != "truth")
    assert bool((value == 0).all()) == bool((gradient == 0).all()) == vanishes_at_clean(objective)


@pytest.mark.parametrize("name", ["clean", "truth", "region", "local"])
def test_images_are_independent(name):
    clean, x = image(1), image(0)
    objective = all_of_them(clean)[name]
    other = x.clone()
    other[1:] *= 5
    assert objective(x)[0] == objective(other)[0]
    assert torch.equal(gradient_of(objective, x)[0], gradient_of(objective, other)[0])


@pytest.mark.parametrize("name", ["clean", "truth", "region", "local"])
def test_objectives_are_convex_in_the_image(name):
    """What the power ascent rests on: a chord lies above the function."""
    objective, a, b = all_of_them(image(1))[name], image(2), image(3)
    for t in (0.2, 0.5, 0.9):
        assert bool((objective(t * a + (1 - t) * b) <= t * objective(a) + (1 - t) * objective(b) + 1e-12).all())


@pytest.mark.parametrize(
    "region",
    [
        torch.ones(3, 1, 12, 14),
        torch.ones(3, 1, 14, 12, dtype=torch.bool),
        torch.ones(2, 1, 12, 14, dtype=torch.bool),
        torch.ones(12, 14, dtype=torch.bool),
        torch.zeros(3, 1, 12, 14, dtype=torch.bool),
    ],
    ids=["not boolean", "transposed", "batch", "no batch", "empty"],
)
def test_a_region_that_does_not_fit_is_refused(region):
    with pytest.raises(SearchError, match="region"):
        RegionDamage(image(1), region)


def test_local_damage_of_a_zero_image_is_refused():
    clean = image(1)
    clean[1] = 0
    with pytest.raises(SearchError, match="zeros"):
        LocalDamage(clean)


@pytest.mark.parametrize("width", [-1.0, float("nan")])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(SearchError, match="width"):
        LocalDamage(image(1), width)
