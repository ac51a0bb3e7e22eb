"""The decision rule: every row of its table, and what must never be PASS."""

from __future__ import annotations

import math

import pytest

from stabtest.findings import Criterion, Finding, Interval, Verdict, decide
from stabtest.findings.verdicts import UNIVERSAL, criteria_hash

INF, NAN = math.inf, math.nan


def finding(value=0.2, ends=(0.1, 0.3), **changes):
    interval = None if ends is None else Interval(lower=ends[0], upper=ends[1], level=0.95, method="made up")
    known = dict(test="worst_case", statistic="worst_case.gain.max", method="net", unit="", n=9, valid=True, witness=None)
    return Finding(**{**known, "sentence": "Found.", "value": value, "interval": interval, **changes})


def criterion(limit, rule="at most", *, universal=False):
    return Criterion(id="C1", statistic="worst_case.gain.max", rule=rule, limit=limit, universal=universal)


def mirrored(ends):
    return None if ends is None else tuple(None if end is None else -end for end in reversed(ends))


TABLE = [
    # value, ends, limit, universal, verdict
    (0.2, (0.1, 0.3), 0.4, False, Verdict.PASS),
    (0.2, (0.1, 0.3), 0.3, False, Verdict.PASS),
    (0.2, (0.1, 0.3), 0.25, False, Verdict.INCONCLUSIVE),
    (0.2, (0.1, 0.3), 0.15, False, Verdict.INCONCLUSIVE),
    (0.2, (0.1, 0.3), 0.1, False, Verdict.INCONCLUSIVE),
    (0.2, (0.1, 0.3), 0.05, False, Verdict.FAIL),
    # one side is open
    (0.2, (0.2, None), 9.0, False, Verdict.INCONCLUSIVE),
    (0.2, (0.2, None), 0.1, False, Verdict.FAIL),
    (0.2, (None, 0.3), 0.4, False, Verdict.PASS),
    (0.2, (None, 0.3), 0.1, False, Verdict.INCONCLUSIVE),
    (0.2, (None, None), 9.0, False, Verdict.INCONCLUSIVE),
    # no interval
    (0.2, None, 9.0, False, Verdict.INCONCLUSIVE),
    (0.2, None, 0.1, False, Verdict.INCONCLUSIVE),
    # universal: one counterexample, and never PASS
    (0.2, (0.1, 0.3), 0.1, True, Verdict.FAIL),
    (0.2, (0.2, None), 0.2, True, Verdict.INCONCLUSIVE),
    (0.2, (0.1, 0.3), 9.0, True, Verdict.INCONCLUSIVE),
    (0.2, None, 0.1, True, Verdict.FAIL),
    (0.2, None, 9.0, True, Verdict.INCONCLUSIVE),
    # not finite
    (INF, (INF, None), 9.0, False, Verdict.FAIL),
    (INF, (0.1, INF), 9.0, False, Verdict.INCONCLUSIVE),
    (INF, None, 9.0, False, Verdict.INCONCLUSIVE),
    (INF, None, 9.0, True, Verdict.FAIL),
    (-INF, (None, 0.3), 9.0, False, Verdict.INCONCLUSIVE),
    (NAN, None, 9.0, False, Verdict.INCONCLUSIVE),
    (NAN, (0.1, 0.3), 9.0, False, Verdict.INCONCLUSIVE),
    (NAN, (0.1, 0.3), 9.0, True, Verdict.INCONCLUSIVE),
    (0.2, (0.1, INF), 9.0, False, Verdict.INCONCLUSIVE),
    # an interval that contradicts itself or the value
    (0.2, (0.3, 0.1), 9.0, False, Verdict.INVALID),
    (5.0, (0.1, 0.3), 9.0, False, Verdict.INVALID),
    (0.01, (0.1, 0.3), 9.0, False, Verdict.INVALID),
    (INF, (0.1, 0.3), 9.0, False, Verdict.INVALID),
    (0.2, (0.1, NAN), 9.0, False, Verdict.INVALID),
    (0.2, (NAN, 0.3), 9.0, False, Verdict.INVALID),
]


@pytest.mark.parametrize(("value", "ends", "limit", "universal", "verdict"), TABLE)
def test_at_most(value, ends, limit, universal, verdict):
    decided = decide(finding(value, ends), criterion(limit, universal=universal))
    assert decided.verdict == verdict
    assert decided.reason


@pytest.mark.parametrize(("value", "ends", "limit", "universal", "verdict"), TABLE)
def test_at_least_is_the_mirror_image(value, ends, limit, universal, verdict):
    decided = decide(finding(-value, mirrored(ends)), criterion(-limit, "at least", universal=universal))
    assert decided.verdict == verdict


def test_rounding_of_the_ends_is_no_contradiction():
    value = 0.1 + 0.2
    assert decide(finding(value, (value, 0.3)), criterion(0.4)).verdict == Verdict.PASS


def test_nothing_measured_is_not_run_whatever_else_holds():
    for one in (None, criterion(9.0), criterion(9.0, universal=True)):
        assert decide(finding(None, None, valid=False), one).verdict == Verdict.NOT_RUN


def test_without_a_criterion_the_finding_is_reported():
    assert decide(finding(), None).verdict == Verdict.REPORTED
    assert decide(finding(valid=False), None).verdict == Verdict.INVALID


@pytest.mark.parametrize("universal", [False, True])
@pytest.mark.parametrize("limit", [0.05, 9.0])
def test_a_failed_gate_is_invalid_within_and_beyond_the_limit(limit, universal):
    assert decide(finding(valid=False), criterion(limit, universal=universal)).verdict == Verdict.INVALID


@pytest.mark.parametrize("universal", [False, True])
def test_a_counterexample_fails_although_other_searches_were_blind(universal):
    found = finding(0.2, (0.2, None), valid=False, counterexample=True)
    assert decide(found, criterion(0.1, universal=universal)).verdict == Verdict.FAIL
    assert decide(found, criterion(0.3, universal=universal)).verdict == Verdict.INVALID


def test_a_caveat_takes_pass_away_and_nothing_else():
    doubtful = finding(caveat="2 of 9 searches were still rising")
    decided = decide(doubtful, criterion(0.4))
    assert decided.verdict == Verdict.INCONCLUSIVE
    assert "still rising" in decided.reason
    assert decide(doubtful, criterion(0.05)).verdict == Verdict.FAIL


def test_the_table_of_universal_statistics_names_a_rule_for_each():
    for statistic, rule in UNIVERSAL.items():
        one = Criterion(id="C", statistic=statistic + ("x" if statistic[-1] == "." else ""), rule=rule, limit=1)
        other = "at least" if rule == "at most" else "at most"
        assert one.can_be_refuted
        assert not one.model_copy(update={"rule": other}).can_be_refuted


def test_a_mean_cannot_be_refuted_by_one_value():
    assert not Criterion(id="C", statistic="quality.psnr.median", rule="at least", limit=1).can_be_refuted


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_a_value_that_is_not_finite_survives_json(value):
    again = Finding.model_validate_json(finding(value, (value, None)).model_dump_json())
    assert str(again.value) == str(value)
    assert str(again.interval.lower) == str(value)


def test_the_hash_of_the_criteria_sees_every_change():
    assert criteria_hash([criterion(0.4)]) == criteria_hash([criterion(0.4)])
    assert len({criteria_hash([c]) for c in (criterion(0.4), criterion(0.5), criterion(0.4, universal=True))}) == 3


def test_a_bound_from_analysis_can_establish_a_universal_claim_about_a_lipschitz_constant():
    bound = Interval(lower=2.0, upper=5.0, level=1.0, method="layer by layer")
    finding = Finding(
        test="lipschitz",
        statistic="lipschitz.network_alone",
        method="net",
        value=2.0,
        interval=bound,
        unit="",
        n=1,
        valid=True,
        witness=None,
        sentence="",
    )
    within = Criterion(id="C", statistic=finding.statistic, rule="at most", limit=6.0, universal=True)
    assert decide(finding, within).verdict is Verdict.PASS
    assert decide(finding, within.model_copy(update={"limit": 3.0})).verdict is Verdict.INCONCLUSIVE
    assert decide(finding, within.model_copy(update={"limit": 1.0})).verdict is Verdict.FAIL
