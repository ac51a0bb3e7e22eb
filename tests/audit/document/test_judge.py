import pytest

from stabtest.audit.document.judge import judge
from stabtest.findings import Criterion, Finding, Verdict
from stabtest.findings.records import Failure, Interval

LOST = "structure.lost_fraction"
RATIO = "worst_case.relative_change.ratio_to_reference"


def finding(statistic=LOST, value=0.0, upper=0.05, method="net"):
    return Finding(
        test=statistic.partition(".")[0],
        statistic=statistic,
        method=method,
        value=value,
        interval=Interval(lower=0.0 if value < 0.1 else 0.2, upper=upper, level=0.95, method=""),
        unit="",
        n=20,
        valid=True,
        witness=None,
        sentence="A sentence.",
    )


def criterion(statistic=LOST):
    return Criterion(id="C", statistic=statistic, rule="at most", limit=0.1)


def only(findings, criteria, failed=()):
    failures = [Failure(unit=unit, error="net: wrong output: NaN") for unit in failed]
    return judge(findings, criteria, tested="net", failures=failures, reference="tv")


def test_survivors_do_not_pass_for_those_that_ended_in_an_error():
    assert only([finding()], [criterion()])[0].verdict is Verdict.PASS
    (found,) = only([finding()], [criterion()], ["structure: net, case 7", "structure: net, case 9"])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "2 units of this test ended in an error" in found.reason


@pytest.mark.parametrize("unit", ["structure: tv, case 7", "quality: net, case 7", "structure: net-2, case 7"])
def test_failures_of_other_units_change_nothing(unit):
    assert only([finding()], [criterion()], [unit])[0].verdict is Verdict.PASS


def test_a_failure_stays_one():
    assert only([finding(value=0.5, upper=0.8)], [criterion()], ["structure: net, case 7"])[0].verdict is Verdict.FAIL


def test_a_comparison_rests_on_the_units_of_the_reference_too():
    (found,) = only([finding(RATIO)], [criterion(RATIO)], ["worst_case: tv, case 7"])
    assert found.verdict is Verdict.INCONCLUSIVE


def test_without_a_criterion_it_is_reported():
    assert only([finding()], [], ["structure: net, case 7"])[0].verdict is Verdict.REPORTED


def test_a_test_of_which_every_unit_failed_is_not_run_and_says_why():
    (found,) = only([], [criterion()], ["structure: net, case 7"])
    assert found.verdict is Verdict.NOT_RUN
    assert "1 unit of this test ended in an error" in found.reason
    assert "no such statistic" in only([], [criterion()])[0].reason
