import math

import pytest

from stabtest.errors import DataError
from stabtest.findings.detectability_rows import DetectabilityRow, ThresholdRow
from stabtest.findings.records import Interval
from stabtest.stability.detectability import compare, smallest_diameter, thresholds
from stabtest.stability.detectability.figures import auc_of


def row(contrast, slope, *, method="net", case="a", diameter=4.0, observer="npw", ideal=60.0):
    return DetectabilityRow(
        case=case,
        method=method,
        observer=observer,
        site="(1, 1)",
        diameter_px=diameter,
        contrast=contrast,
        realisations=64,
        training=0,
        channels=0,
        auc=auc_of(slope * abs(contrast)),
        auc_interval=None,
        detectability=slope * abs(contrast),
        detectability_interval=None,
        data_detectability=ideal * abs(contrast),
        ideal_auc=auc_of(ideal * abs(contrast)),
        carried=True,
    )


def threshold(diameter, value, *, method="net", case="a", spread=1.2):
    interval = Interval(lower=value / spread, upper=value * spread, level=0.95, method="")
    return ThresholdRow(
        case=case,
        method=method,
        observer="npw",
        diameter_px=diameter,
        auc=0.75,
        threshold=value,
        interval=interval,
        exponent=1.0,
        exponent_fitted=False,
        ideal_threshold=value / 2,
        conditions=3,
        misfit=None,
    )


LEVELS = (0.01, 0.02, 0.04)


def test_thresholds_of_a_linear_method():
    found = thresholds([row(c, 40.0) for c in LEVELS] + [row(c, 80.0, diameter=8.0) for c in LEVELS] + [row(0.0, 1.0)])
    assert [r.diameter_px for r in found] == [4.0, 8.0]
    assert [r.threshold for r in found] == pytest.approx([0.9539 / 40, 0.9539 / 80], rel=1e-3)
    assert all(r.interval.lower < r.threshold < r.interval.upper for r in found)
    assert [r.conditions for r in found] == [3, 3]
    assert found[0].ideal_threshold == pytest.approx(0.9539 / 60, rel=1e-4)


def test_a_threshold_outside_of_what_was_measured_is_not_given():
    (found,) = thresholds([row(c, 2.0) for c in LEVELS])
    assert found.threshold is None
    assert found.interval.upper is None
    assert found.interval.lower > LEVELS[-1] / 2


def test_a_curve_that_levels_off_gives_no_threshold():
    """A method that loses a tenth of the lesions whatever their contrast: no curve through 1 describes it."""
    rows = [row(c, 1.0).model_copy(update={"auc": area}) for c, area in zip((0.01, 0.02, 0.04, 1.0), (0.75, 0.9, 0.9, 0.9))]
    (found,) = thresholds(rows)
    assert found.misfit > 10
    assert found.threshold is None
    assert found.interval is None


def test_dark_lesions_have_thresholds_of_their_own():
    (found,) = thresholds([row(-c, 40.0) for c in LEVELS])
    assert found.threshold == pytest.approx(0.9539 / 40, rel=1e-3)
    with pytest.raises(DataError, match="bright lesions or dark"):
        thresholds([row(0.02, 40.0), row(-0.02, 40.0)])


def test_the_smallest_diameter_lies_between_the_measured_ones():
    """Thresholds that fall as 1 / D: at contrast c the smallest diameter is 1 / c."""
    rows = [threshold(d, 1 / d) for d in (2.0, 4.0, 8.0)]
    found = smallest_diameter(rows, contrast=0.3)
    assert found.diameter_px == pytest.approx(1 / 0.3)
    assert (found.lower, found.upper) == pytest.approx((1 / 0.36, 1 / 0.25))
    assert smallest_diameter(rows, contrast=0.01).diameter_px is None
    assert smallest_diameter(rows, contrast=5.0).diameter_px is None
    with pytest.raises(DataError, match="one case"):
        smallest_diameter([*rows, threshold(4.0, 0.1, method="other")], contrast=0.3)


def test_two_methods_on_one_patient():
    rows = [threshold(4.0, 0.06), threshold(4.0, 0.02, method="tv")]
    (found,) = compare(rows, method="net", reference="tv")
    assert found.ratio == pytest.approx(3)
    assert found.patients == 1
    reach = math.hypot(math.log(1.2), math.log(1.2))
    assert math.log(found.interval.upper / 3) == pytest.approx(reach)
    assert math.log(found.interval.lower / 3) == pytest.approx(-reach)


def test_two_methods_on_several_patients():
    """Two images of one patient count once."""
    rows = [threshold(4.0, v, case=c) for c, v in (("a", 0.04), ("b", 0.04), ("c", 0.08), ("d", 0.03))]
    rows += [threshold(4.0, 0.02, case=c, method="tv") for c in "abcd"]
    (found,) = compare(rows, method="net", reference="tv", patients={"a": "p", "b": "p"})
    assert found.patients == 3
    assert found.ratio == pytest.approx((2 * 4 * 1.5) ** (1 / 3))
    assert "Student's t" in found.interval.method


def test_two_images_of_one_patient_give_no_interval():
    rows = [threshold(4.0, 0.04, case=c, method=m) for c in "ab" for m in ("net", "tv")]
    (found,) = compare(rows, method="net", reference="tv", patients={"a": "p", "b": "p"})
    assert found.interval is None


def test_methods_that_share_no_case_are_not_compared():
    assert compare([threshold(4.0, 0.1), threshold(4.0, 0.1, method="tv", case="b")], method="net", reference="tv") == []
