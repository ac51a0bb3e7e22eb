import math

import pytest

from stabtest.findings.shift_rows import ShiftRow
from stabtest.stability import summarise
from stabtest.stability.shift import statements
from stabtest.stability.shift.measure import REFUSED

ROLES = {"net": "under test", "tv": "reference"}
NAMED, SEARCHED = "shift.poorer_beyond_linear", "shift.searched.poorer_beyond_linear"


def row(case, change, linear=0.0, *, shift="rotation", method="net", family="object", note=None):
    known = change is not None
    return ShiftRow(
        case=case,
        method=method,
        family=family,
        shift=shift,
        size=2.0,
        unit="degrees",
        nrmse_without=0.1 if known else None,
        nrmse=0.1 + change if known else None,
        change=change,
        linear_nrmse_without=0.2 if known else None,
        linear_nrmse=0.2 + linear if known else None,
        linear_change=linear if known else None,
        defect=None,
        linear_defect=None,
        note=note,
    )


def rows(changes, linears=None, **more):
    linears = [0.0] * len(changes) if linears is None else linears
    return [row(str(k), change, linear, **more) for k, (change, linear) in enumerate(zip(changes, linears))]


def found(rows, statistic=NAMED, method="net", **options):
    return next(f for f in summarise(rows, roles=ROLES, **options) if f.statistic == statistic and f.method == method)


@pytest.mark.parametrize(
    ("changes", "linears", "value"),
    [
        ([0.05, 0.06, 0.07], [0.01, 0.01, 0.01], 0.05),  # the excess is the smaller one
        ([0.05, 0.06, 0.07], [-0.1, -0.1, -0.1], 0.06),  # the linear reference gained: the change is the smaller one
        ([-0.05, -0.06, -0.07], [-0.2, -0.2, -0.2], -0.06),  # better, though less so than the linear reference
    ],
)
def test_the_value_is_the_smaller_of_change_and_excess(changes, linears, value):
    assert found(rows(changes, linears)).value == pytest.approx(value)


@pytest.mark.parametrize("linear", [0.0, 0.045, 0.06, -0.1])
@pytest.mark.parametrize("changes", [[0.05, 0.06, 0.055], [0.05, -0.06, 0.01], [-0.05, -0.06, -0.055]])
def test_a_lower_bound_above_zero_is_the_statement(changes, linear):
    measured = rows(changes, [linear, linear + 0.001, linear])
    (said,) = statements(measured)
    assert (found(measured).interval.lower > 0) == (said.outcome == "poorer beyond the linear reference")


def test_the_worst_of_several_shifts_is_quoted_and_bounded():
    measured = rows([0.05, 0.052, 0.051]) + rows([0.3, 0.31, 0.302], shift="zoom") + rows([0.0, 0.001, 0.0], shift="inversion")
    finding = found(measured)
    assert "Zoom" in finding.sentence
    assert finding.value == pytest.approx(0.304)
    bounds = [s.excess_interval for s in statements(measured)]
    assert finding.interval.lower == max(b.lower for b in bounds)
    assert finding.interval.upper == max(b.upper for b in bounds)
    assert finding.n == 3


def test_a_search_is_a_statistic_of_its_own_and_nothing_bounds_it_from_above():
    measured = rows([0.01, 0.011, 0.012]) + rows([0.2, 0.21, 0.22], shift="box", family="searched")
    assert found(measured).value == pytest.approx(0.011)
    assert found(measured, SEARCHED).value == pytest.approx(0.21)
    assert found(measured, SEARCHED).interval.lower > 0
    assert found(measured, SEARCHED).interval.upper is None
    assert SEARCHED not in {f.statistic for f in summarise(rows([0.1, 0.2]), roles=ROLES)}


def test_one_patient_gives_a_value_and_no_interval():
    finding = found(rows([0.05, 0.06]), patients={"0": "p", "1": "p"})
    assert finding.value == pytest.approx(0.055)
    assert finding.interval is None
    assert finding.n == 1


def test_no_upper_bound_where_one_shift_has_no_interval():
    assert found([*rows([0.01, 0.011]), row("0", 0.5, shift="zoom")]).interval.upper is None


def test_without_truth_there_is_no_finding():
    assert not [f for f in summarise(rows([None, None]), roles=ROLES) if f.test == "shift"]


def test_a_refused_shift_stands_in_the_way_of_a_pass_and_an_impossible_one_does_not():
    measured = rows([0.01, 0.011])
    assert found([*measured, row("0", None, shift="coil_gain", note="the operator has no coil maps")]).caveat == ""
    assert "1 of the shifts" in found([*measured, row("0", None, shift="mask", note=f"{REFUSED}: no")]).caveat


@pytest.mark.parametrize(("change", "expected"), [(math.inf, math.isinf), (math.nan, math.isnan)])
def test_an_error_that_is_no_number_is_no_small_value(change, expected):
    finding = found([*rows([0.01, 0.011], shift="zoom"), *rows([change, 0.2])])
    assert expected(finding.value)
