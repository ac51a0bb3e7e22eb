import dataclasses
import math

import numpy as np
import pytest
import scipy.ndimage
import torch

from reconstructors.tv import TotalVariation
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Radon
from stabtest.stability.cases import Method
from stabtest.stability.structure import StructureTest, detectability, identifiable, places

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))
TEST = StructureTest(diameters_px=(3.0, 6.0), contrasts=(0.2,), sites=2)


def method(reconstruct):
    return Method("net", "under test", reconstruct)


def eraser(y, A):
    """A network that erases small structures: a heavy median filter after the direct reconstruction."""
    image = A.pseudo_inverse(y)
    parts = [image.real, image.imag] if image.is_complex() else [image]
    done = [torch.from_numpy(scipy.ndimage.median_filter(part.numpy(), size=(1, 1, 9, 9))) for part in parts]
    return torch.complex(*done) if image.is_complex() else done[0]


def test_full_sampling_brings_all_of_it_back(full_mri):
    for row in TEST.measure(DIRECT, full_mri, seed=0).rows:
        assert row.recovery == pytest.approx(1, abs=1e-3)
        assert row.region_nrmse < 1e-3
        assert row.null_space_share < 1e-3
        assert row.identifiable


def test_filtered_back_projection_brings_most_of_it_back(ct):
    for row in TEST.measure(DIRECT, ct, seed=0).rows:
        assert 0.7 < row.recovery < 1.2
        assert row.identifiable


@pytest.mark.parametrize("seed", range(20))
def test_no_false_alarm_on_a_linear_method(make_mri, seed):
    """Full sampling loses nothing wherever the detail is put, and sees nothing where none is."""
    case = make_mri(seed % 4, fraction=1.0, std=0.005, size=32)
    for row in StructureTest(diameters_px=(3.0,), contrasts=(0.15,), sites=2, pictures=0).measure(DIRECT, case, seed=seed).rows:
        assert row.recovery > 0.99
        assert abs(row.sham_recovery) < 0.2
        assert row.outside_energy < 0.5


def test_total_variation_brings_a_large_detail_back(mri):
    tv = Method("tv", "reference", TotalVariation(weight=1e-3, iterations=80))
    large = StructureTest(diameters_px=(8.0,), contrasts=(0.3,), sites=1)
    assert large.measure(tv, mri, seed=0).rows[0].recovery > 0.6


def test_a_network_that_erases_lesions_is_caught(full_mri, ct):
    small = StructureTest(diameters_px=(3.0,), contrasts=(0.2, -0.2), sites=2)
    for case in (full_mri, ct):
        assert all(abs(row.recovery) < 0.35 for row in small.measure(method(eraser), case, seed=0).rows)


def test_a_network_that_only_knows_the_clean_image_recovers_nothing(mri):
    memoriser = method(lambda y, A: mri.truth.expand(len(y), -1, -1, -1))
    for row in TEST.measure(memoriser, mri, seed=0).rows:
        assert row.recovery == 0
        assert row.region_nrmse == pytest.approx(1)
        assert row.outside_energy == 0


def test_a_network_that_halves_contrast_has_a_recovery_of_a_half(full_mri):
    half = method(lambda y, A: 0.5 * A.pseudo_inverse(y))
    assert all(row.recovery == pytest.approx(0.5, abs=1e-3) for row in TEST.measure(half, full_mri, seed=0).rows)


def test_a_network_that_puts_a_second_lesion_elsewhere_is_caught(full_mri):
    def twin(y, A):
        image = A.pseudo_inverse(y)
        return image + image.roll((9, 9), (-2, -1))

    found = TEST.measure(method(twin), full_mri, seed=0).rows
    assert all(row.outside_energy > 0.9 for row in found)
    assert all(row.outside_energy < 0.5 for row in TEST.measure(DIRECT, full_mri, seed=0).rows)


def test_dark_details_come_back_too(full_mri):
    dark = StructureTest(diameters_px=(5.0,), contrasts=(-0.15,), sites=1)
    assert dark.measure(DIRECT, full_mri, seed=0).rows[0].recovery == pytest.approx(1, abs=1e-3)


def test_magnitude_methods_are_measured_on_magnitudes(full_mri):
    magnitude = method(lambda y, A: A.pseudo_inverse(y).abs())
    assert all(row.recovery == pytest.approx(1, abs=0.05) for row in TEST.measure(magnitude, full_mri, seed=0).rows)


def test_recovery_of_a_linear_method_does_not_depend_on_the_noise(make_mri):
    quiet, loud = (TEST.measure(DIRECT, make_mri(std=std, size=32), seed=0).rows for std in (1e-6, 0.02))
    assert [row.recovery for row in quiet] == pytest.approx([row.recovery for row in loud], abs=1e-4)


def test_the_sham_has_the_spread_that_noise_gives(make_mri):
    """Closed form for full sampling: c = Re <t, n> / ||t||^2 with s / sqrt 2 in each part."""
    case = make_mri(fraction=1.0, std=0.02, size=32)
    one = StructureTest(diameters_px=(4.0,), contrasts=(0.2,), sites=1, pictures=0)
    from stabtest.stability.insertion import insert_lesion

    found = []
    for seed in range(30):
        (row,) = one.measure(DIRECT, case, seed=seed).rows
        site = places(case, diameter=4.0, count=1, seed=seed)[0]
        detail = insert_lesion(case, case.operator.refine(2), site=site, diameter=4.0, contrast=0.2)
        expected = case.noise_std / math.sqrt(2) / float(tensors.norm(detail.template * detail.region))
        found.append(row.sham_recovery / expected)
    assert np.std(found) == pytest.approx(1, abs=0.35)
    assert abs(np.mean(found)) < 0.5


def test_without_a_noise_level_there_is_no_sham_and_no_detectability(mri):
    row = TEST.measure(DIRECT, dataclasses.replace(mri, noise_std=None), seed=0).rows[0]
    assert row.sham_recovery is None
    assert row.data_detectability is None
    assert row.identifiable == (row.null_space_share <= 0.9)


def test_detectability_is_that_of_the_likelihood_ratio():
    """The ideal observer of a known signal in complex white noise, simulated."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(1, 50, dtype=torch.complex128, generator=generator)
    std = 3.0
    noise = std * tensors.randn((20000, 50), dtype=torch.complex128, generator=generator)
    scores = tensors.inner(noise, signal.expand_as(noise))
    expected = float(tensors.inner(signal, signal)) / float(scores.std())
    assert detectability(signal, std) == pytest.approx(expected, rel=0.02)


def test_a_detail_below_the_noise_is_not_identifiable(make_ct):
    faint = StructureTest(diameters_px=(3.0,), contrasts=(0.002,), sites=1)
    row = faint.measure(DIRECT, make_ct(std=0.05), seed=0).rows[0]
    assert row.data_detectability < 5
    assert not row.identifiable
    assert not identifiable(row.data_detectability, 0.0)


@pytest.mark.parametrize("level", [None, 0.0, math.nan])
def test_a_noise_level_that_says_nothing_is_not_known(level):
    """With d' infinite every detail would be identifiable, whatever the scanner cannot see."""
    visible = detectability(torch.ones(1, 1, 2, 2), level)
    assert visible is None
    assert not identifiable(visible, 0.999)
    assert identifiable(visible, 0.1)


def test_without_noise_the_row_is_judged_by_the_null_space(mri):
    row = TEST.measure(DIRECT, dataclasses.replace(mri, noise_std=0.0), seed=0).rows[0]
    assert (row.sham_recovery, row.data_detectability) == (None, None)
    assert row.identifiable == (row.null_space_share <= 0.9)


@pytest.mark.parametrize("height", [1.0, 0.5])
def test_ripples_of_the_detail_are_no_hallucination(full_mri, height):
    """Full sampling shows the band-limited detail and nothing else; its ripples lie outside the region too."""
    exact = method(lambda y, A: height * A.pseudo_inverse(y))
    for row in TEST.measure(exact, full_mri, seed=0).rows:
        assert row.outside_energy < 1e-5


def test_all_methods_get_the_same_details(mri):
    one, other = (TEST.measure(m, mri, seed=3).rows for m in (DIRECT, method(eraser)))
    assert [(row.site, row.data_detectability) for row in one] == [(row.site, row.data_detectability) for row in other]


def test_pictures_are_drawn_on_the_scale_of_the_detail(mri):
    shown = TEST.measure(DIRECT, mri, seed=0).pictures
    assert {picture.role for picture in shown} == {"detail", "with_detail", "recovered"}
    detail, recovered = (next(p for p in shown if p.role == role) for role in ("detail", "recovered"))
    assert detail.window_high == recovered.window_high == pytest.approx(0.2 * mri.peak)
    assert len({picture.id for picture in shown}) == len(shown)


def test_progress_ends_at_the_whole(ct):
    seen = []
    TEST.measure(DIRECT, ct, seed=0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_empty_test_is_refused():
    with pytest.raises(ConfigError, match="contrasts"):
        StructureTest(contrasts=(0.0,))


def test_a_coarse_scan_leaves_more_unseen(make_ct):
    few = StructureTest(diameters_px=(3.0,), contrasts=(0.2,), sites=1)
    shares = [few.measure(DIRECT, make_ct(views=views), seed=0).rows[0].null_space_share for views in (5, 40)]
    assert shares[0] > shares[1]
    assert isinstance(make_ct().operator, Radon)
