import math

import numpy as np
import pytest
import scipy.stats

from stabtest.findings.shift_rows import ShiftRow
from stabtest.stability.shift import statements


def row(case, change, linear=0.0, *, family="object", shift="rotation", size=5.0, unit="degrees", method="net"):
    return ShiftRow(
        case=case,
        method=method,
        family=family,
        shift=shift,
        size=size,
        unit=unit,
        nrmse_without=0.1,
        nrmse=0.1 + change,
        change=change,
        linear_nrmse_without=0.2,
        linear_nrmse=0.2 + linear,
        linear_change=linear,
        defect=None,
        linear_defect=None,
    )


def rows(changes, linears=None, **more):
    linears = [0.0] * len(changes) if linears is None else linears
    return [row(str(k), change, linear, **more) for k, (change, linear) in enumerate(zip(changes, linears))]


def outcome(changes, linears=None, **more):
    (found,) = statements(rows(changes, linears, **more))
    return found.outcome


@pytest.mark.parametrize(
    ("changes", "linears", "expected"),
    [
        ([0.05, 0.06, 0.055], [0, 0, 0], "poorer beyond the linear reference"),
        ([0.05, 0.06, 0.055], [0.06, 0.06, 0.06], "poorer"),
        ([-0.05, -0.06, -0.055], [-0.2, -0.2, -0.2], "better"),  # an excess above 0 alone is no finding
        ([0.05, -0.06, 0.01], [0, 0, 0], "no change shown"),
        ([0.05], [0], "no interval"),
        ([0.05, math.inf, 0.01], [0, 0, 0], "no interval"),
    ],
)
def test_the_outcome_follows_from_the_bounds(changes, linears, expected):
    assert outcome(changes, linears) == expected


def test_of_a_search_poorer_alone_is_never_said():
    """Its change is never negative: a lower bound above 0 says nothing."""
    searched = {"family": "searched", "shift": "rotation up to 5 degrees", "size": None, "unit": "box"}
    assert outcome([0.05, 0.06, 0.055], [0.06, 0.06, 0.06], **searched) == "no change shown"
    assert outcome([0.05, 0.06, 0.055], [0.01, 0.01, 0.01], **searched) == "poorer beyond the linear reference"


def test_the_bounds_are_those_of_scipy_with_bonferroni():
    """Oracle: two means for each of two shifts, hence a level of 1 - 0.05 / 4."""
    changes, linears = np.array([0.05, 0.07, 0.04, 0.065]), np.array([0.01, 0.0, 0.02, 0.01])
    found, _ = statements([*rows(changes, linears), *rows(changes, shift="zoom", unit="relative")])
    for values, interval in ((changes, found.interval), (changes - linears, found.excess_interval)):
        low, high = scipy.stats.t.interval(1 - 2 * 0.05 / 4, 3, values.mean(), scipy.stats.sem(values))
        assert (interval.lower, interval.upper) == pytest.approx((low, high))
        assert "Bonferroni over 4 comparisons" in interval.method
        assert interval.level == 0.95


def test_two_images_of_one_patient_are_one_patient():
    made = rows([0.05, 0.06])
    (found,) = statements(made, patients={"0": "one", "1": "one"})
    assert (found.patients, found.outcome, found.interval) == (1, "no interval", None)
    assert found.change == pytest.approx(0.055)


def test_rows_without_figures_are_left_out():
    empty = row("2", 0.0).model_copy(update={"change": None, "nrmse": None, "note": "no coils"})
    (found,) = statements([*rows([0.05, 0.06]), empty])
    assert found.patients == 2
    assert statements([empty]) == []


def test_methods_sizes_and_kinds_are_kept_apart():
    found = statements([*rows([0.1, 0.1]), *rows([0.2, 0.2], size=9.0), *rows([0.3, 0.3], method="other")])
    assert [(s.method, s.size, round(s.change, 2)) for s in found] == [("net", 5, 0.1), ("net", 9, 0.2), ("other", 5, 0.3)]


def test_the_sentence_holds_the_figures():
    (found,) = statements(rows([0.05, 0.06, 0.055], [0.001, 0.002, 0.0], shift="translation_rows", size=3.5, unit="pixels"))
    assert found.statement.startswith(
        "Poorer, and beyond the linear reference. Translation rows of 3.5 pixels: NRMSE rose by 0.055"
    )
    assert "(95 % bounds" in found.statement
    assert "; less the change of the linear reference +0.054 (95 % bounds" in found.statement
    assert "3 patients" in found.statement


def test_no_change_at_all_is_called_so():
    (found,) = statements(rows([0.0, 0.0, 0.0], shift="receiver_gain", size=1.0, unit="relative"))
    assert found.statement.startswith("No change shown. Receiver gain of 100 %: NRMSE did not change (95 % bounds 0 to 0")


@pytest.mark.parametrize(("mean", "linear"), [(0.0, 0.0), (0.02, 0.05)])
def test_all_bounds_of_a_method_hold_together_as_often_as_stated(mean, linear):
    """Independent shifts and independent changes of the linear reference: all lower bounds hold in at least 95 % of repetitions.

    Bonferroni of eight bounds of which pairs are correlated: between 95 % and a little more.
    """
    rng, repetitions, held = np.random.default_rng(3), 1500, 0
    for _ in range(repetitions):
        made = [made for k in range(4) for made in rows(rng.normal(mean, 0.01, 5), rng.normal(linear, 0.01, 5), shift=f"s{k}")]
        found = statements(made)
        held += all(s.interval.lower <= mean and s.excess_interval.lower <= mean - linear for s in found)
    assert 0.94 <= held / repetitions <= 0.97


def test_each_bound_covers_at_its_nominal_level():
    """One shift, two bounds: each at 97.5 %, from either side."""
    rng, repetitions = np.random.default_rng(4), 3000
    hits = np.zeros(4)
    for _ in range(repetitions):
        (found,) = statements(rows(rng.normal(0.03, 0.01, 5), rng.normal(0.01, 0.02, 5)))
        one, two = found.interval, found.excess_interval
        hits += [one.lower <= 0.03, one.upper >= 0.03, two.lower <= 0.02, two.upper >= 0.02]
    assert np.all(np.abs(hits / repetitions - 0.975) < 0.01)


def test_false_alarms_are_rarer_than_stated():
    """Nothing depends on the shift: "poorer beyond" of any of four shifts in at most 5 % of repetitions."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(800):
        made = [made for k in range(4) for made in rows(rng.normal(0, 0.01, 5), rng.normal(0, 0.01, 5), shift=f"s{k}")]
        alarms += any(s.outcome == "poorer beyond the linear reference" for s in statements(made))
    assert alarms / 800 <= 0.05
