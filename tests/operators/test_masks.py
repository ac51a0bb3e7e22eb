"""Sampling masks: counts, centres, nesting, seeds."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from stabtest.errors import OperatorError
from stabtest.operators import mask_order, masks
from stabtest.operators.masks import Kind, MaskFamily

KINDS = get_args(Kind)
COLUMNS = [k for k in KINDS if k.startswith("cartesian")]
PLAIN = {kind: getattr(masks, kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_plain_mask_is_the_trained_member_of_the_nested_family(kind):
    plain = PLAIN[kind]((40, 48), acceleration=4, seed=3)
    member = masks.nested(kind, (40, 48), fractions=[0.1, 0.25, 0.7], acceleration=4, seed=3)[1]
    assert torch.equal(plain, member)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    acceleration=st.floats(1, 8),
    fractions=st.lists(st.floats(0.01, 1), min_size=2, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_more_samples_are_a_superset(kind, height, width, acceleration, fractions, seed):
    family = MaskFamily(kind, (height, width), acceleration, centre_fraction=0.0, seed=seed)
    members = [family.at(f) for f in sorted([*fractions, 1 / acceleration])]
    for fewer, more in itertools.pairwise(members):
        assert fewer.shape == (height, width)
        assert fewer.dtype == torch.bool
        assert not bool((fewer & ~more).any())
    assert bool(family.at(1.0).all())


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from([k for k in KINDS if k != "radial"]), size=st.integers(8, 40), fraction=st.floats(0.05, 1))
def test_realised_fraction_is_the_nearest_possible(kind, size, fraction):
    mask = MaskFamily(kind, (size, size + 3)).at(fraction)
    number = size + 3 if kind in COLUMNS else size * (size + 3)
    assert abs(masks.sampling_fraction(mask) - fraction) <= max(0.5, 1 - fraction * number) / number + 1e-12


def test_radial_takes_the_fewest_spokes_that_reach_the_fraction():
    family = MaskFamily("radial", (64, 60), 4.0, seed=5)
    spokes = int(family.ranks[family.trained].max()) + 1
    assert masks.sampling_fraction(family.first(spokes)) >= 0.25 > masks.sampling_fraction(family.first(spokes - 1))


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_are_measured_whole(kind):
    mask = PLAIN[kind]((10, 32), acceleration=3, seed=1)
    assert torch.equal(mask, mask[:1].expand_as(mask))


@pytest.mark.parametrize(("width", "fraction"), [(128, 0.08), (129, 0.08), (320, 0.04), (17, 0.2)])
@pytest.mark.parametrize("kind", COLUMNS)
def test_centre_block_is_where_fastmri_puts_it(kind, width, fraction):
    mask = PLAIN[kind]((4, width), acceleration=4, centre_fraction=fraction, seed=7)[0].numpy()
    count = round(width * fraction)
    start = (width - count + 1) // 2  # fastmri.data.subsample.MaskFunc.calculate_center_mask
    assert mask[start : start + count].all()
    assert width // 2 in range(start, start + count)


def test_equispaced_lines_are_equispaced_outside_the_centre():
    mask = masks.cartesian_equispaced((2, 320), acceleration=4, centre_fraction=0.08, seed=2)[0].numpy()
    left = np.flatnonzero(mask[:147])
    spacing = (320 - 26) / (320 / 4 - 26)  # fastMRI's adjusted acceleration
    assert set(np.diff(left)) <= {int(np.floor(spacing)), int(np.ceil(spacing))}


def test_equispaced_family_grows_on_both_sides_alike():
    family = MaskFamily("cartesian_equispaced", (1, 256), 8.0, 0.04, seed=2)
    for fraction in (0.08, 0.18, 0.3, 0.6):
        line = family.at(fraction)[0]
        assert abs(int(line[:128].sum()) - int(line[128:].sum())) <= 0.25 * int(line.sum())


def test_gaussian_density_falls_from_the_centre():
    family = [MaskFamily("cartesian_gaussian", (1, 128), 4.0, 0.0, seed=s).trained[0].float() for s in range(200)]
    rate = torch.stack(family).mean(0)
    assert rate[54:74].mean() > 3 * rate[10:30].mean()


def test_variable_density_falls_from_the_centre():
    radius = mask_order.k_radius((64, 64))
    mask = masks.variable_density((64, 64), acceleration=6, seed=1).numpy()
    rates = [mask[(radius >= a) & (radius < a + 0.25)].mean() for a in (0.15, 0.4, 0.65, 0.9)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("kind", ["variable_density", "poisson_disc"])
def test_centre_is_fully_measured(kind):
    mask = PLAIN[kind]((64, 64), acceleration=8, centre_fraction=0.02, seed=4).numpy()
    assert mask[mask_order.k_radius((64, 64)) < 0.9 * np.sqrt(4 * 0.02 / np.pi)].all()


def test_poisson_disc_keeps_a_distance_that_random_points_do_not():
    def nearest(mask):
        radius = mask_order.k_radius((64, 64))
        outer = np.argwhere(mask.numpy() & (radius > 0.6))
        return float(np.quantile(cKDTree(outer).query(outer, k=2)[0][:, 1], 0.02))

    disc = masks.poisson_disc((64, 64), acceleration=8, seed=1)
    loose = masks.variable_density((64, 64), acceleration=8, power=1, seed=1)
    assert nearest(disc) > 2.2
    assert nearest(loose) < 2.0


def test_spokes_have_no_holes():
    mask = masks.radial((33, 47), spokes=1, seed=3).numpy()
    assert mask[16, 23]
    points = np.argwhere(mask)
    assert cKDTree(points).query(points, k=2)[0][:, 1].max() < 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_and_another_differs(kind):
    first, again, other = (PLAIN[kind]((32, 32), seed=s) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("call", "culprit"),
    [
        (lambda: masks.cartesian_random((32,)), "shape"),
        (lambda: masks.cartesian_random((0, 32)), "shape"),
        (lambda: masks.cartesian_random((32, 32), acceleration=0.5), "acceleration"),
        (lambda: masks.cartesian_random((32, 32), acceleration=float("nan")), "acceleration"),
        (lambda: masks.cartesian_random((32, 32), acceleration=16, centre_fraction=0.2), "centre"),
        (lambda: masks.variable_density((32, 32), centre_fraction=1.5), "centre_fraction"),
        (lambda: masks.poisson_disc((32, 32), slope=-1), "density"),
        (lambda: masks.radial((32, 32), spokes=0), "spokes"),
        (lambda: masks.radial((32, 32), spokes=3, acceleration=4), "spokes"),
        (lambda: masks.nested("cartesian_random", (32, 32), fractions=[1.2]), "fraction"),
        (lambda: masks.nested("spiral", (32, 32), fractions=[0.2]), "spiral"),
    ],
)
def test_wrong_arguments_are_named(call, culprit):
    with pytest.raises(OperatorError, match=culprit):
        call()
