import dataclasses

import pytest
import torch

from stabtest import metrics, phantoms, tensors
from stabtest.errors import ConfigError, DataError, NetworkError
from stabtest.operators import Fourier, fft2c, ifft2c
from stabtest.stability.cases import Method
from stabtest.stability.shift import Box, ObjectShift, ScanShift, ShiftTest, statements

DIRECT = Method("direct", "baseline", lambda y, A: A.pseudo_inverse(y))
CAUGHT = "poorer beyond the linear reference"
GEOMETRIC = (
    ObjectShift("intensity", -0.2),
    ObjectShift("intensity", 0.3),
    ObjectShift("rotation", 5.0),
    ObjectShift("rotation", 15.0),
    ObjectShift("translation_rows", 4.0),
    ObjectShift("translation_columns", 2.5),
    ObjectShift("zoom", -0.1),
)
OBJECTS = ShiftTest(GEOMETRIC, scans=(), box=None)
SMALL = Box(degrees=4, rows=0, columns=1, intensity=0.2)
SEARCH = ShiftTest((), scans=(), box=SMALL, points=3, restarts=1, steps=2)


def patients(make_mri, seed, count=6, fraction=0.5):
    return [
        make_mri(7 * seed + k, size=32, fraction=fraction, phantom=phantoms.ellipses(64, seed=7 * seed + k))
        for k in range(count)
    ]


def found(test, make, cases):
    """Outcome of every statement, by shift and size, of a network that is made for each case."""
    rows = [row for case in cases for row in test.measure(make(case), case).rows]
    return {(s.shift, s.size): s.outcome for s in statements(rows)}


def smooth(case):
    """The zero-filled image, smoothed: linear, and it commutes with translations and rotations but for the sampling."""
    return Method("net", "under test", lambda y, A: metrics.smooth(A.pseudo_inverse(y), sigma=0.6))


def calibrated(case):
    """A network that has learnt how bright images are: it gives every one the energy of this one."""
    energy = float(tensors.norm(case.operator.pseudo_inverse(case.measurement)))

    def reconstruct(y, A):
        return energy * tensors.normalise(A.pseudo_inverse(y))

    return Method("net", "under test", reconstruct)


def rooted(case):
    """A network that has learnt where the object lies: outside of its outline everything is black."""
    inside = metrics.smooth((case.truth.abs() > 0.1 * case.peak).float(), sigma=1.0) > 0.1
    return Method("net", "under test", lambda y, A: A.pseudo_inverse(y) * inside)


def trusting(case):
    """A network that takes what the mask calls measured from the data, and the rest from memory."""
    return Method("net", "under test", lambda y, A: ifft2c(torch.where(A.mask, y, fft2c(case.truth))))


def test_a_network_that_depends_on_the_intensity_is_caught(make_mri):
    outcomes = found(OBJECTS, calibrated, patients(make_mri, 0))
    assert outcomes["intensity", 0.3] == outcomes["intensity", -0.2] == CAUGHT
    assert CAUGHT not in (outcomes["rotation", 5.0], outcomes["translation_rows", 4.0])


def test_a_network_that_memorises_the_position_is_caught(make_mri):
    outcomes = found(OBJECTS, rooted, patients(make_mri, 0))
    assert outcomes["translation_rows", 4.0] == outcomes["translation_columns", 2.5] == CAUGHT
    assert CAUGHT not in (outcomes["intensity", 0.3], outcomes["intensity", -0.2])


def test_a_network_that_trusts_the_mask_is_caught(make_mri):
    test = ShiftTest((), scans=(ScanShift("mask", 0.3), ScanShift("receiver_phase", 0.0)), box=None)
    assert found(test, trusting, patients(make_mri, 0)) == {("mask", 0.3): CAUGHT, ("receiver_phase", 0.0): "no change shown"}


def test_the_search_catches_what_depends_on_the_intensity(make_mri):
    (outcome,) = found(SEARCH, calibrated, patients(make_mri, 0)).values()
    assert outcome == CAUGHT


@pytest.mark.parametrize("seed", range(20))
def test_no_false_alarm_on_a_linear_equivariant_method(make_mri, seed):
    outcomes = found(ShiftTest(GEOMETRIC[:-1], scans=(), box=None), smooth, patients(make_mri, seed, count=4))
    assert CAUGHT not in outcomes.values()
    assert len(outcomes) == len(GEOMETRIC) - 1


def test_a_filter_of_fixed_width_is_not_equivariant_to_zoom(make_mri):
    """Linear, and caught all the same: of a smaller object it removes more than the reference does. That is no false alarm."""
    assert found(OBJECTS, smooth, patients(make_mri, 0))["zoom", -0.1] == CAUGHT


@pytest.mark.parametrize("seed", range(4))
def test_no_false_alarm_of_the_search_on_a_linear_equivariant_method(make_mri, seed):
    assert CAUGHT not in found(SEARCH, smooth, patients(make_mri, seed)).values()


def test_the_linear_reference_has_no_excess_over_itself(mri, coils, ct):
    for case in (mri, coils, ct):
        test = ShiftTest(box=Box(degrees=2, rows=0, columns=0, intensity=0.1), restarts=1, steps=2)
        for row in test.measure(DIRECT, case).rows:
            assert row.change == row.linear_change
            assert row.defect == row.linear_defect


def test_every_kind_of_scan_has_a_row_for_every_shift_that_fits(mri, coils, ct):
    scans = {case.name: {row.shift for row in ShiftTest((), box=None).measure(DIRECT, case).rows} for case in (mri, coils, ct)}
    assert len(scans[mri.name]) == 5
    assert len(scans[coils.name]) == 9
    assert len(scans[ct.name]) == 6
    assert {"centre", "detector_gain"} < scans[ct.name]


def test_what_was_asked_for_and_does_not_fit_is_said(mri):
    (row,) = ShiftTest((), scans=(ScanShift("centre", 1.0),), box=None).measure(DIRECT, mri).rows
    assert row.note == "the operator is no Radon transform"
    assert row.nrmse is row.change is row.defect is None
    assert row.evaluations == 0


def test_a_network_that_refuses_another_mask_is_said_to_and_one_that_breaks_down_is_an_error(mri):
    def strict(y, A):
        if not torch.equal(A.mask, mri.operator.mask):
            raise NetworkError("another mask")
        return A.pseudo_inverse(y)

    test = ShiftTest((), scans=(ScanShift("mask", 0.3), ScanShift("receiver_gain", 1.0)), box=None)
    refused, other = test.measure(Method("net", "under test", strict), mri).rows
    assert refused.note == "the method does not take what it is told: another mask"
    assert refused.nrmse is None
    assert other.nrmse is not None
    with pytest.raises(NetworkError, match="finite"):
        OBJECTS.measure(Method("net", "under test", lambda y, A: A.pseudo_inverse(y) / (y == mri.measurement).all()), mri)


def test_a_case_without_truth_is_refused_for_what_needs_it_and_the_error_says_what(mri):
    blind = dataclasses.replace(mri, truth=None, truth_source="none")
    for test, words in (
        (ShiftTest(), r"intensity, rotation.*search of the worst shift.*real data"),
        (ShiftTest((), scans=(ScanShift("motion_rotation", 1.0),), box=None), "motion_rotation"),
        (SEARCH, "search of the worst shift"),
    ):
        with pytest.raises(DataError, match=words):
            test.measure(DIRECT, blind)


def test_real_data_get_the_defect_of_what_needs_no_truth(mri):
    blind = dataclasses.replace(mri, truth=None, truth_source="none")
    rows = ShiftTest((), box=None).measure(DIRECT, blind).rows
    assert {row.shift for row in rows} == {"mask", "receiver_gain", "receiver_phase"}
    assert all(row.nrmse is None and row.defect is not None for row in rows)
    assert statements(rows) == []


def test_the_searched_row_says_where_the_worst_is(mri):
    (row,) = SEARCH.measure(calibrated(mri), mri).rows
    assert row.shift == "rotation up to 4 degrees, columns up to 1 pixels, intensity up to 20 %"
    assert abs(row.parameters["intensity"]) > 0.15
    assert row.nrmse >= row.grid_nrmse
    assert row.change == row.nrmse - row.nrmse_without > row.linear_change


def test_magnitude_methods_are_measured_beside_magnitudes(mri):
    magnitude = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).abs())
    for row in OBJECTS.measure(magnitude, mri).rows:
        assert row.change == row.linear_change


def test_evaluations_are_counted(mri):
    calls = []

    def counting(y, A):
        calls.append(1)
        return A.pseudo_inverse(y)

    test = ShiftTest(GEOMETRIC, scans=None, box=Box(degrees=1, rows=0, columns=0, intensity=0), steps=2)
    rows = test.measure(Method("net", "under test", counting), mri).rows
    assert 1 + sum(row.evaluations for row in rows) == len(calls)  # the one is the case as it is


def test_only_what_asked_for_a_gradient_is_a_gradient_evaluation(mri):
    asked = []

    def counting(y, A):
        asked.append(y.requires_grad)
        return A.pseudo_inverse(y)

    test = ShiftTest(GEOMETRIC, scans=None, box=Box(degrees=1, rows=0, columns=0, intensity=0), steps=2)
    assert test.measure(Method("net", "under test", counting), mri).evaluations == sum(asked) > 0


def test_rows_survive_json(ct):
    for row in ShiftTest(box=SMALL, restarts=0).measure(DIRECT, ct).rows:
        assert type(row).model_validate_json(row.model_dump_json()) == row


def test_progress_and_seed(mri):
    told = []
    test = ShiftTest(GEOMETRIC[:2], scans=(ScanShift("motion_rotation", 2.0),), box=None)
    one = test.measure(DIRECT, mri, seed=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert one == test.measure(DIRECT, mri, seed=1)
    assert one != test.measure(DIRECT, mri, seed=2)


def test_nothing_to_do_is_refused():
    with pytest.raises(ConfigError, match="objects, scans or a box"):
        ShiftTest((), scans=(), box=None)


def test_full_sampling_is_noted_as_having_no_wrong_mask(full_mri):
    assert isinstance(full_mri.operator, Fourier)
    (row,) = ShiftTest((), scans=(ScanShift("mask", 0.2),), box=None).measure(DIRECT, full_mri).rows
    assert row.note.startswith("every sample is measured")
