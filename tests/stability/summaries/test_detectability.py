"""Findings on detectability: the worse method is told from the better one, and a blind reference from a blind method."""

import math

import pytest

from stabtest.findings.detectability_rows import DetectabilityRow
from stabtest.findings.records import Gate
from stabtest.stability import summarise
from stabtest.stability.detectability import auc_of

ROLES = {"net": "under test", "tv": "reference"}
RATIO, LEAST = "detectability.threshold.ratio_to_reference", "detectability.auc.min"


def row(case, method, contrast, slope, *, diameter=4.0, observer="npw", data=100.0):
    """``d'`` of the observer is ``slope`` times the contrast, of the raw data ``data`` times."""
    visible = data * abs(contrast)
    return DetectabilityRow(
        case=case,
        method=method,
        observer=observer,
        site="(8, 8)",
        diameter_px=diameter,
        contrast=contrast,
        realisations=64,
        training=0,
        channels=0,
        auc=auc_of(slope * abs(contrast)),
        auc_interval=None,
        detectability=slope * abs(contrast),
        detectability_interval=None,
        data_detectability=visible,
        ideal_auc=auc_of(visible),
        carried=auc_of(visible) >= 0.75,
    )


def rows(slopes, method="net", **more):
    return [row(str(k), method, c, slope, **more) for k, slope in enumerate(slopes) for c in (0.01, 0.02, 0.04, 0.0)]


def found(measured, statistic, method="net", **options):
    return next(f for f in summarise(measured, roles=ROLES, **options) if f.statistic == statistic and f.method == method)


def test_a_method_that_needs_twice_the_contrast_has_the_ratio_2():
    finding = found(rows([40.0, 44.0, 42.0]) + rows([80.0, 88.0, 84.0], "tv"), RATIO)
    assert finding.value == pytest.approx(2.0, rel=1e-6)
    assert finding.interval.lower == pytest.approx(2.0, rel=1e-3)
    assert finding.n == 3
    assert finding.valid


def test_the_worst_diameter_counts_and_its_bounds_hold_with_the_others():
    measured = (
        rows([40.0, 50.0])
        + rows([80.0, 80.0], "tv")
        + rows([60.0, 62.0], diameter=8.0)
        + rows([60.0, 60.0], "tv", diameter=8.0)
    )
    finding = found(measured, RATIO)
    assert finding.value == pytest.approx(math.sqrt(80 / 40 * 80 / 50), rel=1e-6)
    assert "4 px" in finding.sentence
    assert "Bonferroni over 2" in finding.interval.method
    alone = found(rows([40.0, 50.0]) + rows([80.0, 80.0], "tv"), RATIO)
    assert finding.interval.upper > alone.interval.upper


def test_a_blind_method_is_at_least_as_bad_as_what_was_measured_and_open_above():
    finding = found(rows([1.0, 1.0, 1.0]) + rows([80.0, 88.0, 84.0], "tv"), RATIO)
    threshold = 0.9538726 / 84  # d' of an AUC of 0.75 over the slope
    assert finding.value == pytest.approx(0.04 / threshold, rel=0.01)
    assert finding.interval.upper is None
    assert finding.interval.lower > 3
    assert "at least" in finding.sentence


def test_a_method_that_tells_the_faintest_lesion_is_at_most_as_bad_and_open_below():
    finding = found(rows([300.0, 300.0]) + rows([60.0, 60.0], "tv"), RATIO)
    assert finding.value == pytest.approx(0.01 * 60 / 0.9538726, rel=0.01)
    assert finding.interval.lower is None
    assert "at most" in finding.sentence


def test_where_the_reference_is_blind_nothing_is_compared_or_held_against_the_method():
    measured = rows([40.0, 40.0]) + rows([1.0, 1.0], "tv")
    for statistic in (RATIO, LEAST):
        finding = found(measured, statistic)
        assert not finding.valid
        assert math.isnan(finding.value)
    assert found(measured, LEAST, "tv").value < 0.6  # and the reference's own blindness is a number


def test_one_blind_diameter_of_the_reference_is_a_caveat():
    measured = (
        rows([40.0, 40.0]) + rows([80.0, 80.0], "tv") + rows([40.0, 40.0], diameter=2.0) + rows([1.0, 1.0], "tv", diameter=2.0)
    )
    finding = found(measured, RATIO)
    assert "2 px" in finding.caveat
    assert finding.valid


def test_the_smallest_auc_is_of_the_highest_contrast():
    measured = rows([40.0, 50.0]) + rows([80.0, 80.0], "tv")
    finding = found(measured, LEAST)
    assert finding.value == pytest.approx((auc_of(1.6) + auc_of(2.0)) / 2)
    assert 0 <= finding.interval.lower < finding.value < finding.interval.upper <= 1


def test_an_eraser_is_caught_and_a_method_that_erases_nothing_is_not():
    eraser = found(rows([0.0, 0.0, 0.1]) + rows([80.0, 80.0, 80.0], "tv"), LEAST)
    perfect = found(rows([100.0, 100.0, 100.0]) + rows([80.0, 80.0, 80.0], "tv"), LEAST)
    assert eraser.interval.upper < 0.75 < perfect.interval.lower


def test_a_lesion_that_the_data_do_not_carry_is_not_held_against_the_method():
    faint = rows([1.0, 1.0], data=5.0) + rows([80.0, 80.0], "tv", data=5.0)
    finding = found(faint, LEAST)
    assert not finding.valid
    assert "not carried" in finding.sentence


def test_one_patient_gives_values_and_no_intervals():
    measured = rows([40.0, 44.0]) + rows([80.0, 80.0], "tv")
    for statistic in (RATIO, LEAST):
        finding = found(measured, statistic, patients={"0": "p", "1": "p"})
        assert finding.interval is None
        assert finding.n == 1


def test_shams_are_no_lesions():
    assert not [f for f in summarise([row("0", "net", 0.0, 10.0)], roles=ROLES) if f.test == "detectability"]


def test_a_failed_gate_of_the_reference_invalidates_the_ratio():
    gate = Gate(name="gate", passed=False, value=0.0, limit=1.0, detail="", subject="tv")
    measured = rows([40.0, 44.0]) + rows([80.0, 80.0], "tv")
    assert not found(measured, RATIO, gates=[gate]).valid
