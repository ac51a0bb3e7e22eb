import dataclasses

import pytest
import torch

from reconstructors.tv import TotalVariation
from stabtest.errors import ConfigError
from stabtest.metrics import smooth
from stabtest.stability.cases import Method
from stabtest.stability.missed_lesion import Lesion, LesionBox, MissedLesionTest, put_in
from stabtest.stability.structure import recovery

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))
BOX = LesionBox(diameters=(3.0, 6.0), contrasts=(0.1, 0.3), polarity="bright")
TEST = MissedLesionTest(BOX, places=9, evaluations=60, reference=lambda: DIRECT)


def erases(y, A):
    image = A.pseudo_inverse(y)
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in image.shape[-2:]), indexing="ij")
    bump = torch.exp(-0.5 * ((rows - 19) ** 2 + (columns - 28) ** 2) / 2.5**2)
    return image + bump * (smooth(image, sigma=8.0) - image)


NET = Method("net", "under test", erases)


def test_the_found_lesion_is_missed_when_it_is_measured_again(full_mri):
    (row,) = TEST.measure(NET, full_mri).rows
    assert row.recovery < 0.35 < 0.5 < row.grid_recovery
    assert row.recovery == pytest.approx(row.search_recovery, abs=0.02)
    assert row.identifiable
    assert (row.reference, row.reference_recovery) == ("direct", pytest.approx(1, abs=1e-3))
    assert row.linear_recovery == pytest.approx(1, abs=1e-3)
    assert abs(row.sham_recovery) < 0.2


def test_the_figures_are_those_of_the_stored_parameters(full_mri):
    """From the row alone: the lesion drawn, measured and reconstructed by hand."""
    (row,) = TEST.measure(NET, full_mri).rows
    detail = put_in(full_mri, Lesion(row.row, row.column, row.diameter_px, row.contrast, row.aspect, row.degrees))
    change = NET(full_mri.measurement + detail.data, full_mri.operator) - NET(full_mri.measurement, full_mri.operator)
    assert recovery(change, detail.template, detail.region) == pytest.approx(row.recovery, abs=1e-6)


def test_a_linear_reference_is_not_blamed(full_mri, ct):
    for case, least in ((full_mri, 0.99), (ct, 0.6)):
        (row,) = MissedLesionTest(BOX, places=4, evaluations=20).measure(DIRECT, case).rows
        assert row.recovery > least
        assert row.reference is None


def test_total_variation_is_searched_by_itself(mri):
    tv = Method("tv", "reference", TotalVariation(weight=1e-3, iterations=20))
    (row,) = dataclasses.replace(TEST, places=4, evaluations=24).measure(tv, mri).rows
    assert row.gradient == "autograd"
    assert row.reference is None


def test_methods_that_return_magnitudes_are_measured_on_magnitudes(full_mri):
    magnitude = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).abs())
    (row,) = MissedLesionTest(BOX, places=4, evaluations=20).measure(magnitude, full_mri).rows
    assert row.recovery == pytest.approx(1, abs=0.05)


def test_where_the_data_carry_nothing_there_are_no_figures(make_mri):
    hidden = LesionBox(diameters=(2.0, 3.0), contrasts=(0.001, 0.01))
    (row,) = MissedLesionTest(hidden, places=4, evaluations=10).measure(NET, make_mri(std=0.05)).rows
    assert (row.recovery, row.identifiable, row.evaluations) == (None, False, 0)


def test_pictures_show_the_lesion_the_method_and_the_reference(full_mri):
    shown = TEST.measure(NET, full_mri).pictures
    assert [(p.method, p.role) for p in shown] == [
        ("truth", "detail"),
        ("net", "with_detail"),
        ("net", "recovered"),
        ("direct", "with_detail"),
        ("direct", "recovered"),
    ]
    assert len({p.id for p in shown}) == 5


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="points"):
        MissedLesionTest(points=7)


@pytest.mark.parametrize(
    ("evaluations", "points", "descends"), [(51, 1, True), (50, 1, False), (201, 2, True), (200, 2, False)]
)
def test_the_budget_says_whether_anything_is_left_for_a_descent(evaluations, points, descends):
    words = MissedLesionTest(LesionBox(polarity="both"), places=25, points=points, evaluations=evaluations).budget
    assert ("then descents" in words) is descends
    assert ("leave nothing for a descent" in words) is not descends
