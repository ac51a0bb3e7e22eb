import dataclasses

import pytest
import torch

from stabtest import tensors
from stabtest.operators import Fourier
from stabtest.stability.cases import Case, Method
from stabtest.stability.shift import ObjectShift, ScanShift, compare, equivariance
from stabtest.stability.shift.equivariance import direct

DIRECT = Method("direct", "baseline", direct)


def full(tools, seed=0, std=0.0):
    """A fully sampled case of complex smooth spots, float64: a translation commutes with everything linear here."""
    image = torch.complex(tools.spots(), 0.3 * tools.spots().roll(2, -1))
    operator = Fourier(torch.ones(32, 32, dtype=torch.bool))
    noise = tensors.randn((1, 1, 32, 32), dtype=image.dtype, generator=torch.Generator().manual_seed(seed))
    return Case("spots", "spots", "mri", operator, operator(image) + std * noise, truth=image, truth_source="phantom")


@pytest.mark.parametrize(
    "shift", [ObjectShift("translation_rows", 1.3), ObjectShift("rotation", 9.0), ObjectShift("zoom", -0.05)]
)
def test_without_noise_a_perfect_method_commutes(shift, tools):
    found, beside = equivariance(DIRECT, full(tools), shift)
    assert found == beside
    assert max(found.without, found.under, found.defect, abs(found.change)) < 1e-12


def test_the_defect_of_full_sampling_is_that_of_the_noise(tools):
    """Closed form: f(y') - T f(y) = n - T n."""
    case, shift = full(tools, std=0.05), ObjectShift("rotation", 20.0)
    noise = case.operator.adjoint(case.measurement) - case.truth
    expected = tensors.norm(noise - shift.transform(noise)) / tensors.norm(case.truth + noise)
    assert equivariance(DIRECT, case, shift)[0].defect == pytest.approx(float(expected), rel=1e-9)


def test_a_method_that_knows_the_image_has_a_known_error_and_defect(tools):
    """It always returns x: the error is ||x - T x|| / ||T x||, the defect ||x - T x|| / ||x||."""
    case, shift = full(tools), ObjectShift("translation_columns", 4.0)
    x, moved = case.truth, shift.transform(case.truth)
    found, _ = equivariance(tools.net(lambda y, A: x), case, shift)
    away = float(tensors.norm(x - moved))
    assert found.without == 0
    assert found.change == pytest.approx(away / float(tensors.norm(moved)))
    assert found.defect == pytest.approx(away / float(tensors.norm(x)))


def test_undersampling_alone_is_not_equivariant(mri):
    """Why the linear reference stands beside: turned, other frequencies are missing."""
    turned, beside = equivariance(DIRECT, mri, ObjectShift("rotation", 20.0))
    assert turned.defect > 0.1
    assert turned == beside
    moved, _ = equivariance(DIRECT, mri, ObjectShift("translation_columns", 2.0))
    assert moved.defect < 0.05  # a translation does commute with it, but for the noise


def test_the_pairing_leaves_the_noise_out(make_mri):
    """Linear and shift-equivariant: the error changes by far less than between two noise realisations."""
    case = make_mri(0, std=0.05, size=32)
    found, _ = equivariance(DIRECT, case, ObjectShift("translation_rows", 3.0))
    errors = []
    for seed in range(4):
        noise = tensors.randn(case.measurement.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))
        other = case.operator.forward(case.truth) + case.operator.restrict(case.noise_std * noise)
        errors.append(compare(DIRECT, dataclasses.replace(case, measurement=other), ObjectShift("intensity", 0.0).apply(case)))
    spread = max(e.without for e in errors) - min(e.without for e in errors)
    assert abs(found.change) < 0.5 * spread


def test_the_kernel_alone_is_measured(ct, tools):
    """A method without error on the object loses nothing; what bicubic smoothing removes shows for one that returns x."""
    shift = ObjectShift("translation_columns", 0.5)
    blind = tools.net(lambda y, A: ct.truth)
    found, _ = equivariance(blind, ct, shift)
    assert found.resampling_change > 0.01
    exact = dataclasses.replace(ct, measurement=ct.operator.forward(ct.truth))
    assert equivariance(DIRECT, exact, shift)[0].resampling_change < 0  # a smoother object is easier


def test_the_gain_of_the_receiver_is_no_error_of_a_homogeneous_method(mri, tools):
    shift = ScanShift("receiver_gain", 1.0)
    assert equivariance(DIRECT, mri, shift)[0].defect < 1e-5
    fixed = tools.net(lambda y, A: A.pseudo_inverse(y) * 1.0 + 0.1)
    assert equivariance(fixed, mri, shift)[0].defect > 0.05


def test_magnitudes_are_held_against_magnitudes(mri, tools):
    magnitude = tools.net(lambda y, A: A.pseudo_inverse(y).abs())
    found, beside = equivariance(magnitude, mri, ObjectShift("rotation", 5.0))
    assert found == beside
    assert found.without < equivariance(DIRECT, mri, ObjectShift("rotation", 5.0))[0].without


def test_without_truth_the_change_of_the_image_is_left(mri, tools):
    blind = dataclasses.replace(mri, truth=None)
    found, beside = equivariance(DIRECT, blind, ScanShift("mask", 0.3))
    assert found.change is None
    assert found.defect == beside.defect > 0


def test_another_anatomy_has_no_defect(mri):
    assert equivariance(DIRECT, mri, ObjectShift("anatomy", 1.0))[0].defect is None
