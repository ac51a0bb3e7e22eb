import dataclasses

import numpy as np
import pytest
import torch

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Identity
from stabtest.stability.cases import Case
from stabtest.stability.shift import Scene
from stabtest.stability.shift.object_shifts import OBJECT_UNITS, ObjectShift, body, brighten, invert_contrast

SIZES = {"inversion": 0.5, "anatomy": 0.5, "intensity": 0.3, "zoom": -0.1}


def every(size=None):
    return [ObjectShift(kind, SIZES.get(kind, 2.5) if size is None else size) for kind in OBJECT_UNITS]


@pytest.mark.parametrize("shift", every(0.0), ids=lambda shift: shift.kind)
def test_nothing_happens_at_size_zero(shift, mri, coils, ct):
    for case in (mri, coils, ct):
        made = shift.apply(case, seed=3)
        assert torch.equal(made.measurement, case.measurement)
        assert torch.equal(made.truth, case.truth)


@pytest.mark.parametrize("shift", every(), ids=lambda shift: shift.kind)
def test_the_noise_stays_the_same_to_the_last_sample(shift, mri, coils, tools):
    """y' - A x' = y - A x. Another anatomy is measured on the finer grid, so that its own pixels add to it."""
    exact = tools.itself(tools.spots(), noise=0.1 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    for case in (mri, coils, exact):
        made = shift.apply(case)
        left = made.measurement - case.operator.forward(made.truth)
        before = case.measurement - case.operator.forward(case.truth)
        if shift.kind == "intensity":  # what the pixels cannot represent becomes brighter with the object
            before = (1 + shift.size * Scene(case).mixed) * before
        limit = 0.02 if shift.kind == "anatomy" else 1e-5
        assert float(tensors.norm(left - before)) < limit * float(tensors.norm(case.measurement))


@pytest.mark.parametrize("shift", every(), ids=lambda shift: shift.kind)
def test_the_object_is_another_one(shift, mri):
    made = shift.apply(mri)
    assert (made.truth.dtype, made.measurement.dtype) == (mri.truth.dtype, mri.measurement.dtype)
    assert float(tensors.norm(made.truth - mri.truth)) > 0.05 * float(tensors.norm(mri.truth))
    assert made.operator is mri.operator


def test_the_measurement_is_that_of_an_object_that_was_shifted_first(mri):
    """Oracle without noise: another case, made of the transformed object from the start."""
    quiet = dataclasses.replace(mri, measurement=mri.operator.forward(mri.truth))
    shift = ObjectShift("rotation", 7.0)
    expected = mri.operator.forward(shift.transform(mri.truth))
    assert torch.allclose(shift.apply(quiet).measurement, expected, atol=1e-5 * float(expected.abs().max()))


def test_intensities_combine_as_factors():
    image = torch.rand(2, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(brighten(brighten(image, 0.25), -0.2), image)
    change = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(brighten(image, change).sum(), change)[0].item() == pytest.approx(float(image.sum()))


def test_the_inversion_swaps_darkest_and_brightest_and_undoes_itself():
    image = phantoms.head(32, seed=1)[None].to(torch.complex128)
    inside = body(image)
    once = invert_contrast(image, inside)
    values, inverted = (a.abs()[inside].numpy() for a in (image, once))
    assert np.argmax(values) == np.argmin(inverted)
    assert (inverted.min(), inverted.max()) == pytest.approx((values.min(), values.max()))
    assert torch.equal(once[~inside], image[~inside])
    nonzero = image.abs() > 1e-9
    assert torch.allclose(invert_contrast(once, inside)[nonzero], image[nonzero], atol=1e-9)


def test_the_inversion_keeps_the_phase():
    image = torch.polar(torch.tensor([[[[1.0, 2.0, 4.0]]]]), torch.tensor([[[[0.3, -1.0, 2.0]]]]))
    once = invert_contrast(image, torch.ones_like(image, dtype=torch.bool))
    assert torch.allclose(once.angle(), image.angle())
    assert torch.allclose(once.abs(), torch.tensor([[[[4.0, 3.0, 1.0]]]]))


def test_another_anatomy_is_as_bright_and_follows_the_seed(mri):
    one, other, again = (ObjectShift("anatomy", 1.0).apply(mri, seed=seed).truth for seed in (0, 1, 0))
    assert float(one.abs().max()) == pytest.approx(mri.peak, rel=1e-5)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_another_anatomy_is_the_case_that_is_made_of_it(make_mri):
    """Oracle: the phantom simulated from scratch, without noise, of the same peak."""
    case = make_mri(0, std=1e-9, size=32)
    expected = make_mri(0, std=1e-9, size=32, phantom=phantoms.ellipses(64, seed=4))
    made = ObjectShift("anatomy", 1.0).apply(case, seed=4)
    gain = case.peak / expected.peak
    assert torch.allclose(made.truth, gain * expected.truth, atol=1e-5)
    assert torch.allclose(made.measurement, gain * expected.measurement, atol=1e-4)


def test_another_anatomy_of_an_oblong_image():
    image = torch.rand(1, 1, 12, 20, generator=torch.Generator().manual_seed(0))
    case = Case("a", "a", "other", Identity((12, 20)), image, truth=image)
    assert ObjectShift("anatomy", 1.0, anatomy="chest").apply(case).truth.shape == (1, 1, 12, 20)


def test_what_resampling_alone_does_is_handed_back(ct):
    made = ObjectShift("rotation", 5.0).apply(ct)
    y, there_and_back = made.resampled
    away = float(tensors.norm(there_and_back - ct.truth) / tensors.norm(ct.truth))
    assert 0 < away < 0.2
    change = ct.operator.forward(there_and_back - ct.truth)
    assert torch.allclose(y, ct.measurement + change)
    assert ObjectShift("intensity", 0.2).apply(ct).resampled is None
    assert ObjectShift("zoom", 0.2).apply(ct).resampled is None  # what was cropped does not come back


def test_a_case_without_truth_is_refused_and_the_error_says_so(mri):
    for shift in every():
        with pytest.raises(DataError, match=r"knows its truth.*real data"):
            shift.apply(dataclasses.replace(mri, truth=None))


@pytest.mark.parametrize(
    ("kind", "size"), [("tilt", 1.0), ("anatomy", 1.5), ("zoom", -1.0), ("intensity", -2.0), ("rotation", float("nan"))]
)
def test_what_makes_no_sense_is_refused(kind, size):
    with pytest.raises(ConfigError, match=r"kind|size"):
        ObjectShift(kind, size)
    with pytest.raises(ConfigError, match="anatomy"):
        ObjectShift("anatomy", 1.0, anatomy="dragon")
