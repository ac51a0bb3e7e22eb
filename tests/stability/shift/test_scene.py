import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from stabtest import metrics, phantoms, tensors
from stabtest.errors import DataError, OperatorError
from stabtest.operators import Radon
from stabtest.stability.cases import Method
from stabtest.stability.shift import Box, ObjectShift, ScanShift, Scene, ShiftTest, statements, worst_shift
from stabtest.stability.shift.resampling import rotate, translate

CAUGHT = "poorer beyond the linear reference"


def finer_of(case):
    """The objects that `tests/stability/conftest.py` simulates from; the seed is the last word of the name."""
    kind, seed = case.name.split()
    size = 2 * case.operator.domain.shape[-1]
    if kind == "ellipses":
        return phantoms.ellipses(size, seed=int(seed))[None].abs()
    return phantoms.head(size, seed=int(seed))[None].to(torch.complex64)


@pytest.mark.parametrize("name", ["mri", "coils", "ct"])
def test_the_finer_object_explains_the_measurement_up_to_the_noise(name, request):
    case = request.getfixturevalue(name)
    case = dataclasses.replace(case, name="head 0") if name == "coils" else case
    assert Scene(case, finer_of(case)).misfit == pytest.approx(1, abs=0.1)


def test_the_misfit_tells_what_the_pixels_cannot_represent(mri, ct):
    assert Scene(mri).misfit == pytest.approx(1, abs=0.05)
    assert Scene(ct).misfit > 2
    assert (Scene(mri).mixed, Scene(ct).mixed) == (False, True)
    blind = Scene(dataclasses.replace(ct, noise_std=None))
    assert (blind.misfit, blind.mixed) == (None, False)


def test_the_misfit_is_that_of_its_formula(mri):
    noise = mri.measurement - mri.operator.forward(mri.truth)
    expected = float(noise.abs().square().sum().sqrt()) / (mri.noise_std * math.sqrt(int(mri.operator.mask.sum())))
    assert Scene(mri).misfit == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kind", "rows", "columns"), [("translation_rows", 3.0, 0.0), ("translation_columns", 0.0, 3.0)])
def test_a_moved_object_is_the_case_that_is_simulated_from_it(ct, kind, rows, columns):
    """Oracle by hand: scan and block means of the moved fine object, with the noise of the case; 1.5 pixels are 3 fine ones."""
    fine = finer_of(ct)
    scan = ct.operator.refine(2)
    moved = translate(fine, rows, columns)
    noise = ct.measurement - scan.forward(fine)
    made = ObjectShift(kind, 1.5).apply(Scene(ct, fine))
    assert torch.allclose(made.measurement, scan.forward(moved) + noise, atol=1e-4)
    assert torch.allclose(made.truth, functional.avg_pool2d(moved, 2), atol=1e-6)


def test_a_turned_object_is_the_case_that_is_simulated_from_it(ct):
    fine = finer_of(ct)
    scan = ct.operator.refine(2)
    made = ObjectShift("rotation", 6.0).apply(Scene(ct, fine))
    expected = scan.forward(rotate(fine, 6.0)) + ct.measurement - scan.forward(fine)
    assert torch.allclose(made.measurement, expected, atol=1e-4)


def test_nothing_happens_at_zero_on_the_finer_grid(ct, mri):
    for case in (ct, mri):
        scene = Scene(case, finer_of(case))
        for kind in ("rotation", "zoom", "intensity", "anatomy"):
            made = ObjectShift(kind, 0.0).apply(scene)
            assert torch.equal(made.measurement, case.measurement)
            assert torch.equal(made.truth, case.truth)


def test_a_brighter_object_has_the_noise_of_the_case_on_the_finer_grid(ct):
    fine = finer_of(ct)
    clean = ct.operator.refine(2).forward(fine)
    made = ObjectShift("intensity", 0.5).apply(Scene(ct, fine))
    assert torch.allclose(made.measurement, 1.5 * clean + (ct.measurement - clean), atol=1e-4)


def test_without_it_what_the_pixels_cannot_represent_becomes_brighter_too(ct):
    """Nearer to the exact measurement than leaving the residual alone."""
    fine = finer_of(ct)
    exact = ObjectShift("intensity", 0.5).apply(Scene(ct, fine)).measurement
    made = ObjectShift("intensity", 0.5).apply(ct).measurement
    left = ct.measurement + 0.5 * ct.operator.forward(ct.truth)
    assert float(tensors.norm(made - exact)) < 0.5 * float(tensors.norm(left - exact))


def test_another_anatomy_on_the_grid_of_the_truth_has_noise_of_the_stated_energy(ct):
    other = phantoms.chest(96, seed=2)[None]
    made = ObjectShift("anatomy", 1.0, anatomy="chest").apply(ct, seed=2)
    gain = float(ct.truth.max() / functional.avg_pool2d(other, 2).max())
    left = made.measurement - gain * ct.operator.refine(2).forward(other)
    assert float(left.square().mean().sqrt()) == pytest.approx(ct.noise_std, rel=1e-2)


def test_another_anatomy_is_exact_on_the_finer_grid(ct):
    fine, other = finer_of(ct), phantoms.chest(96, seed=2)[None]
    scan = ct.operator.refine(2)
    made = ObjectShift("anatomy", 1.0, anatomy="chest").apply(Scene(ct, fine), seed=2)
    gain = float(ct.truth.max() / functional.avg_pool2d(other, 2).max())
    expected = gain * scan.forward(other) + ct.measurement - scan.forward(fine)
    assert torch.allclose(made.measurement, expected, atol=1e-3)


def test_a_wrong_geometry_is_measured_on_the_finer_grid(ct):
    fine, g = finer_of(ct), ct.operator.geometry
    by_hand = Radon(96, g.angles, g.detectors, pixel_size=0.5, detector_spacing=1.0, centre_offset=0.5)
    noise = ct.measurement - ct.operator.refine(2).forward(fine)
    made = ScanShift("centre", 0.5).apply(Scene(ct, fine))
    assert torch.allclose(made.measurement, by_hand.forward(fine) + noise, atol=1e-4)


def test_motion_on_the_finer_grid_is_that_of_a_band_limited_object(mri):
    """Oracle: for one coil the scan sees the same on either grid."""
    shift = ScanShift("motion_translation", 1.5)
    one, other = (shift.apply(scene, seed=3).measurement for scene in (mri, Scene(mri, finer_of(mri))))
    assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max()))


def test_the_search_moves_the_finer_object(ct):
    """At its worst point the error is that of the shift made by hand."""
    method = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).clamp(0, 0.7))
    scene = Scene(ct, finer_of(ct))
    found = worst_shift(method, scene, Box(degrees=0, rows=0, columns=2, intensity=0), restarts=1, steps=2)
    made = ObjectShift("translation_columns", found.parameters["columns"]).apply(scene)
    assert found.nrmse == pytest.approx(float(metrics.nrmse(method(made.measurement, ct.operator), made.truth)), rel=1e-4)


@pytest.mark.parametrize("finer", [True, False], ids=["finer", "truth"])
def test_the_search_brightens_as_the_shift_does(ct, finer):
    method = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).clamp(0, 0.7))
    scene = Scene(ct, finer_of(ct) if finer else None)
    found = worst_shift(method, scene, Box(degrees=0, rows=0, columns=0, intensity=0.5), restarts=0)
    made = ObjectShift("intensity", found.parameters["intensity"]).apply(scene)
    assert found.nrmse == pytest.approx(float(metrics.nrmse(method(made.measurement, ct.operator), made.truth)), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("finer", [finer_of, None], ids=["finer", "truth"])
def test_no_false_alarm_on_a_linear_method_in_ct(make_ct, seed, finer):
    """Smoothed filtered back-projection; the intensity was the trap, since what the pixels cannot represent stayed dark."""
    shifts = (
        ObjectShift("intensity", 0.3),
        ObjectShift("intensity", -0.2),
        ObjectShift("rotation", 7.0),
        ObjectShift("translation_columns", 1.0),
    )
    smooth = Method("net", "under test", lambda y, A: metrics.smooth(A.pseudo_inverse(y), sigma=0.6))
    test = ShiftTest(shifts, scans=(), box=None, finer=finer)
    rows = [row for k in range(6) for row in test.measure(smooth, make_ct(6 * seed + k, size=32, views=24)).rows]
    assert all(row.finer == (finer is not None) for row in rows)
    assert CAUGHT not in {s.outcome for s in statements(rows)}


def test_another_object_than_that_of_the_truth_is_refused(ct):
    with pytest.raises(DataError, match="the object of the truth"):
        Scene(ct, phantoms.ellipses(96, seed=9)[None].abs())
    with pytest.raises(OperatorError, match="finer object"):
        Scene(ct, ct.truth)


def test_a_case_without_truth_has_no_scene_to_change(ct):
    scene = Scene(dataclasses.replace(ct, truth=None))
    with pytest.raises(DataError, match="real data"):
        scene.measure(ct.truth)
    assert scene.misfit is None
