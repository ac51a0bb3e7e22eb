import dataclasses
import math

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon, poisson_disc
from stabtest.stability.cases import Case
from stabtest.stability.shift import ct_scans, mri_scans
from stabtest.stability.shift.measure import SCANS
from stabtest.stability.shift.resampling import translate
from stabtest.stability.shift.scan_shifts import SCAN_UNITS, ScanShift

FIT = {
    "mri": {"mask", "motion_translation", "motion_rotation", "receiver_gain", "receiver_phase"},
    "ct": {"angle_jitter", "angle_stretch", "centre", "detector_gain", "detector_offset", "receiver_gain"},
}
FIT["coils"] = FIT["mri"] | {"coil_gain", "coil_phase", "coil_shift", "coil_array"}


@pytest.fixture(scope="module")
def cases(mri, coils, ct):
    return {"mri": mri, "coils": coils, "ct": ct}


@pytest.mark.parametrize("name", FIT)
def test_an_operator_has_the_errors_that_it_can_have(name, cases):
    fit = {kind for kind in SCAN_UNITS if ScanShift(kind, 0.1).unfit(cases[name]) is None}
    assert fit == FIT[name]
    assert fit <= {shift.kind for shift in SCANS}


@pytest.mark.parametrize("name", FIT)
def test_an_error_that_an_operator_cannot_have_is_refused_with_the_reason(name, cases):
    for kind in set(SCAN_UNITS) - FIT[name]:
        with pytest.raises(DataError, match=ScanShift(kind, 0.1).unfit(cases[name])):
            ScanShift(kind, 0.1).apply(cases[name])


@pytest.mark.parametrize("name", FIT)
def test_nothing_happens_at_size_zero(name, cases):
    case = cases[name]
    for kind in FIT[name]:
        made = ScanShift(kind, 0.0).apply(case, seed=1)
        assert torch.equal(made.measurement, case.measurement), kind
        assert torch.equal(made.operator.forward(case.truth), case.operator.forward(case.truth)), kind
        assert torch.equal(made.truth, case.truth), kind


@pytest.mark.parametrize("name", FIT)
def test_something_happens_otherwise_and_the_same_twice(name, cases):
    case = cases[name]
    for shift in SCANS:
        if shift.kind in FIT[name]:
            made, again = shift.apply(case, seed=2), shift.apply(case, seed=2)
            data = not torch.equal(made.measurement, case.measurement)
            told = not torch.equal(made.operator.forward(case.truth), case.operator.forward(case.truth))
            assert data or told, shift
            assert torch.equal(made.measurement, again.measurement), shift


@pytest.mark.parametrize("name", FIT)
def test_without_truth_only_what_measures_the_object_anew_is_refused(name, cases):
    blind = dataclasses.replace(cases[name], truth=None)
    for kind in FIT[name]:
        shift = ScanShift(kind, 0.1)
        if shift.needs_truth:
            with pytest.raises(DataError, match="knows its truth"):
                shift.apply(blind)
        else:
            assert shift.apply(blind).truth is None


def test_the_told_mask_keeps_the_centre_and_the_number_of_samples(mri):
    mask = mri.operator.mask
    told = ScanShift("mask", 0.5).apply(mri, seed=0).operator.mask
    columns = mask[0].nonzero().flatten().tolist()
    run = [c for c in columns if all(mask[0, min(c, 24) : max(c, 24) + 1])]
    assert told.sum() == mask.sum()
    assert bool(told[:, run].all())
    movable = len(columns) - len(run)
    assert int((mask[0] & ~told[0]).sum()) == round(0.5 * movable)


def test_points_change_places_one_by_one():
    mask = poisson_disc((32, 32), acceleration=4, seed=0)
    told = mri_scans.told_mask(mask, 0.3, generator=torch.Generator().manual_seed(0))
    assert told.sum() == mask.sum()
    assert bool(told[15:18, 15:18].all())
    assert not bool((told == told[:1]).all())
    assert 0 < int((told & ~mask).sum()) <= 0.3 * int(mask.sum()) + 1


def test_the_told_mask_leaves_the_measurement_alone(mri):
    assert ScanShift("mask", 0.5).apply(mri).measurement is mri.measurement


def test_full_sampling_has_no_wrong_mask(full_mri):
    assert "every sample" in ScanShift("mask", 0.1).unfit(full_mri)


def test_coil_errors_have_mean_zero_over_the_coils(coils):
    """Closed form: gains and phases are those of the seed, centred."""
    maps = coils.operator.sensitivities.to(torch.complex128)
    told = mri_scans.balanced(maps, degrees=10.0, generator=torch.Generator().manual_seed(3))
    phases = (told / maps).angle()[:, 0, 0].numpy() * 180 / math.pi
    drawn = torch.randn(2, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[1].numpy()
    assert np.allclose(phases, 10 * (drawn - drawn.mean()))
    assert torch.allclose(told.abs(), maps.abs())


def test_moved_maps_are_the_maps_elsewhere():
    smooth = torch.linspace(0, 1, 12).square().expand(2, 3, 12).to(torch.complex64)
    moved = mri_scans.moved_maps(smooth, 2)
    assert torch.equal(moved[..., 2:], smooth[..., :-2])
    assert torch.equal(moved[..., :2], smooth[..., :1].expand(2, 3, 2))


def test_another_array_has_as_much_sensitivity(coils):
    maps = coils.operator.sensitivities
    other = ScanShift("coil_array", 1.0).apply(coils, seed=9).operator.sensitivities
    assert torch.allclose(other.abs().square().sum(0), maps.abs().square().sum(0), atol=1e-5)
    assert float((other - maps).abs().max()) > 0.1


def test_one_coil_has_no_imbalance(tools):
    assert "receiver" in ScanShift("coil_gain", 0.1).unfit(tools.multicoil(coils=1))


def test_a_moving_patient_is_a_phase_ramp_on_the_lines_of_a_group(full_mri):
    """Oracle for one coil, written in k-space with NumPy."""
    quiet = dataclasses.replace(full_mri, measurement=full_mri.operator.forward(full_mri.truth))
    found = ScanShift("motion_translation", 1.5, groups=4).apply(quiet, seed=5).measurement[0, 0].numpy()
    poses = 1.5 * (2 * torch.rand(4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64).numpy() - 1)
    poses[2] = 0  # the group of DC, column 24 of 48
    k = np.arange(48) - 24
    expected = quiet.measurement[0, 0].numpy().copy()
    for column in range(48):
        down, right, _ = poses[column // 12]
        expected[:, column] *= np.exp(-2j * np.pi * (k * down + k[column] * right) / 48)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_motion_under_coils_is_no_phase_ramp(coils):
    """The coils stay where they are: y_c' is the scan of the moved object, not the moved scan."""
    quiet = dataclasses.replace(coils, measurement=coils.operator.forward(coils.truth))
    change = mri_scans.motion(coils.operator, coils.truth, pixels=2.0, groups=2, generator=torch.Generator().manual_seed(0))
    down, right, _ = (2 * torch.rand(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1)[0].tolist()
    moved = coils.operator.forward(translate(coils.truth, 2 * down, 2 * right))
    found = (quiet.measurement + change)[..., :16]
    assert torch.allclose(found, moved[..., :16], atol=1e-4)
    assert torch.equal(change[..., 16:], torch.zeros_like(change[..., 16:]))


def test_a_rotating_patient_is_measured_in_each_pose(mri):
    change = mri_scans.motion(mri.operator, mri.truth, degrees=4.0, groups=3, generator=torch.Generator().manual_seed(0))
    assert not bool(change[..., 16:32].any())  # the middle group holds DC and is the pose of the truth
    assert bool(change[..., :16].any())
    assert bool(change[..., 32:].any())
    assert torch.equal(change, mri.operator.restrict(change))


def test_a_wrong_geometry_is_measured_with_it_and_told_otherwise(ct):
    """Oracle: the sinogram of the truth under a Radon transform made by hand."""
    quiet = dataclasses.replace(ct, measurement=ct.operator.forward(ct.truth))
    made = ScanShift("centre", 0.75).apply(quiet)
    g = ct.operator.geometry
    by_hand = Radon((g.height, g.width), g.angles, g.detectors, centre_offset=0.75)
    assert made.operator is ct.operator
    assert torch.allclose(made.measurement, by_hand.forward(ct.truth), atol=1e-4)


def test_angles_are_jittered_by_the_stated_deviation():
    operator = Radon(8, 400)
    off = ct_scans.other_angles(operator, jitter=0.5, generator=torch.Generator().manual_seed(0))
    errors = np.subtract(off.angles, operator.angles)
    assert np.std(errors) == pytest.approx(0.5, rel=0.1)
    assert off.range == operator.range


def test_detector_errors_are_rings(ct):
    """The error of every reading of a bin is the same multiple of it, and filtered back-projection draws half rings of it."""
    made = ScanShift("detector_gain", 0.05).apply(ct, seed=0)
    ratio = (made.measurement / ct.measurement)[0, 0]
    lit = ct.measurement[0, 0].abs().amin(0) > 1
    assert bool(lit.any())
    assert torch.allclose(ratio[:, lit], ratio[:1, lit].expand(ratio.shape[0], -1), atol=1e-4)
    constant = Case("w", "w", "ct", ct.operator, torch.ones_like(ct.measurement), truth=ct.truth)
    offset = ScanShift("detector_offset", 0.05).apply(constant, seed=0).measurement - constant.measurement
    ring = ct.operator.pseudo_inverse(offset)[0, 0].numpy()
    # Over half a turn a bin to the right of the axis draws the upper half of its ring, one to the left the lower half.
    row, column = np.indices(ring.shape) - 23.5
    signed = np.round(np.hypot(row, column) * -np.sign(row)).astype(int)
    inside = np.abs(signed) < 20
    means = {radius: ring[inside & (signed == radius)].mean() for radius in np.unique(signed[inside])}
    explained = np.array([means[radius] for radius in signed[inside]])
    assert np.var(explained) > 0.75 * np.var(ring[inside])


def test_the_receiver_scales_noise_and_truth_alike(mri):
    made = ScanShift("receiver_gain", 0.5).apply(mri)
    assert torch.allclose(made.measurement, 1.5 * mri.measurement)
    assert torch.allclose(made.truth, 1.5 * mri.truth)
    turned = ScanShift("receiver_phase", 90.0).apply(mri)
    assert torch.allclose(turned.measurement, 1j * mri.measurement, atol=1e-5)
    assert torch.equal(turned.expected(mri.truth.abs()), mri.truth.abs())  # magnitudes have no phase


def test_the_size_scales_what_is_drawn_and_does_not_draw_anew(ct):
    one, two = (ScanShift("detector_gain", size).apply(ct, seed=4).measurement - ct.measurement for size in (0.01, 0.02))
    assert torch.allclose(2 * one, two, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "size", "groups"),
    [("tilt", 1.0, 4), ("mask", 1.5, 4), ("receiver_gain", -1.0, 4), ("centre", math.inf, 4), ("motion_rotation", 1.0, 1)],
)
def test_what_makes_no_sense_is_refused(kind, size, groups):
    with pytest.raises(ConfigError, match=r"kind|size|groups"):
        ScanShift(kind, size, groups)


def test_a_denoising_case_has_a_receiver_only():
    image = torch.ones(1, 1, 8, 8, dtype=torch.complex64)
    case = Case("a", "a", "other", Identity((8, 8), is_complex=True), image, truth=image)
    assert {kind for kind in SCAN_UNITS if ScanShift(kind, 0.1).unfit(case) is None} == {"receiver_gain", "receiver_phase"}


def test_multi_coil_shifts_keep_the_maps_and_single_coil_the_kind(coils, mri):
    assert isinstance(ScanShift("mask", 0.5).apply(mri).operator, Fourier)
    told = ScanShift("mask", 0.5).apply(coils).operator
    assert isinstance(told, MultiCoilFourier)
    assert torch.equal(told.sensitivities, coils.operator.sensitivities)
    assert float(tensors.norm(told.forward(coils.truth) - coils.operator.forward(coils.truth))) > 0
