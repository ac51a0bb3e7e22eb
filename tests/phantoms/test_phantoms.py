"""What holds for every phantom: determinism, range, and one object behind every grid."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import chest, ellipses, head, make

KINDS = ("ellipses", "head", "chest")


def block_mean(image: torch.Tensor, factor: int) -> torch.Tensor:
    channels, height, width = image.shape
    return image.reshape(channels, height // factor, factor, width // factor, factor).mean((2, 4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 65])
def test_shape_and_type(kind, size):
    image = make(kind, size, seed=1)
    assert image.shape == (1, size, size)
    assert image.dtype == (torch.complex64 if kind == "head" else torch.float32)
    assert image.is_contiguous()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_values_are_in_the_unit_interval(kind, seed):
    magnitude = make(kind, 48, seed=seed)
    magnitude = magnitude.abs() if magnitude.is_complex() else magnitude
    assert magnitude.min() >= 0
    assert magnitude.max() <= 1 + 1e-6
    assert magnitude.max() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_image(kind):
    assert torch.equal(make(kind, 40, seed=7), make(kind, 40, seed=7))


@pytest.mark.parametrize("kind", KINDS)
def test_other_seed_other_image(kind):
    assert (make(kind, 40, seed=7) - make(kind, 40, seed=8)).abs().max() > 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_global_random_state_is_neither_read_nor_changed(kind):
    import numpy as np

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = make(kind, 32, seed=3)
    after_torch, after_numpy = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    assert torch.rand(1) == after_torch
    assert np.random.rand() == after_numpy  # noqa: NPY002
    assert torch.equal(before, make(kind, 32, seed=3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 45, 128])
def test_below_256_pixels_the_finer_grid_averages_to_the_coarser_one(kind, size):
    coarse, fine = make(kind, size, seed=2), make(kind, 2 * size, seed=2)
    assert (block_mean(fine, 2) - coarse).abs().max() < 2e-3


@pytest.mark.parametrize("kind", KINDS)
def test_above_256_pixels_the_finer_grid_averages_to_about_the_coarser_one(kind):
    coarse, fine = make(kind, 256, seed=2), make(kind, 512, seed=2)
    assert (block_mean(fine, 2) - coarse).norm() < 0.03 * coarse.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_grid_comparison_can_fail(kind):
    shifted = torch.roll(make(kind, 128, seed=2), 1, dims=-1)
    assert (block_mean(shifted, 2) - make(kind, 64, seed=2)).abs().max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_edges_are_anti_aliased(kind):
    """A point-sampled image of a piecewise constant object has no values between those of its pieces."""
    image = ellipses(64, seed=0, count=(1, 1)) if kind == "ellipses" else make(kind, 64, seed=0).abs()
    between = ((image > 0.05) & (image < 0.3)).sum()
    assert between > 10


@pytest.mark.parametrize("kind", KINDS)
def test_background_is_zero(kind):
    image = make(kind, 64, seed=4)
    assert all(image[0, i, j] == 0 for i in (0, -1) for j in (0, -1))


def test_ellipses_stay_in_the_unit_disc():
    axis = (torch.arange(96) + 0.5) / 48 - 1
    outside = (axis[:, None].square() + axis.square()).sqrt() > 1.0
    for seed in range(10):
        assert ellipses(96, seed=seed)[0][outside].abs().max() == 0


def test_one_ellipse_is_flat_inside():
    values = ellipses(128, seed=5, count=(1, 1)).unique()
    assert values.max() == 1
    assert (ellipses(128, seed=5, count=(1, 1)) == 1).float().mean() > 0.03


def test_head_has_a_smooth_phase():
    image = head(128, seed=3)
    across = image[..., 1:] * image[..., :-1].conj()
    inside = (image[..., 1:].abs() > 0.1) & (image[..., :-1].abs() > 0.1)
    assert across.angle()[inside].abs().max() < 0.15
    assert image.angle()[image.abs() > 0.1].std() > 0.05


def test_head_without_phase_is_the_magnitude():
    magnitude = head(128, seed=3, phase=False)
    assert magnitude.dtype == torch.float32
    assert (head(128, seed=3).abs() - magnitude).abs().max() < 2e-3


def test_head_contrasts_order_the_tissues():
    """White matter is brighter than fluid in T1 and darker in T2."""
    t1 = head(256, seed=2, contrast="t1", phase=False)
    t2 = head(256, seed=2, contrast="t2", phase=False)
    brain = (slice(None), slice(100, 156), slice(100, 156))
    white = t1[brain] > 0.6
    fluid = t1[brain] < 0.2
    assert white.sum() > 50
    assert fluid.sum() > 50
    assert t2[brain][white].mean() < 0.6 < t2[brain][fluid].mean()


def test_chest_tissues_have_their_attenuation():
    image = chest(256, seed=1)[0]
    lung, soft, bone = ((image > a) & (image < b) for a, b in ((0.08, 0.2), (0.42, 0.6), (0.75, 1.0)))
    assert lung.float().mean() > 0.08
    assert soft.float().mean() > 0.1
    assert 0.001 < bone.float().mean() < 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "seed"), [(4, 0), (0, 0), (-3, 0), (32, -1)])
def test_refuses_impossible_sizes_and_seeds(kind, size, seed):
    with pytest.raises(ConfigError, match=r"size|seed"):
        make(kind, size, seed=seed)


def test_refuses_unknown_kinds_and_lists_the_known():
    with pytest.raises(ConfigError, match=r"ellipses.*head.*chest.*came 'hed'"):
        make("hed", 32, seed=0)


def test_refuses_unknown_contrast():
    with pytest.raises(ConfigError, match="t1, t2, flair; came t3"):
        head(32, seed=0, contrast="t3")


@pytest.mark.parametrize("count", [(0, 3), (5, 4)])
def test_refuses_impossible_counts(count):
    with pytest.raises(ConfigError, match="count"):
        ellipses(32, seed=0, count=count)
