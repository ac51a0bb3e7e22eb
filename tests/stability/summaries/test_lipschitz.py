import pytest

from stabtest.findings import Criterion, Verdict, decide
from stabtest.findings.records import Bracket
from stabtest.stability import summarise

KEY = "lipschitz.measurement_to_image"


def bracket(case, upper, status, lower=2.0):
    return Bracket(
        name="measurement to image",
        case=case,
        lower=lower,
        lower_source="",
        upper=upper,
        upper_status=status,
        upper_source="",
    )


def judged(rows, limit):
    (found,) = summarise(rows, roles={"net": "under test"})
    return decide(found, Criterion(id="C", statistic=KEY, rule="at most", limit=limit))


def test_a_bound_from_one_measurement_says_nothing_about_the_next():
    found = judged([bracket("a", 50, "on a ball")], 60)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.interval.upper is None
    assert "more than 50 is excluded from the measurement of a, nothing elsewhere" in found.sentence


def test_one_such_bound_among_others_leaves_the_top_open():
    assert judged([bracket("a", 10, "certified"), bracket("b", 50, "on a ball")], 60).interval.upper is None


@pytest.mark.parametrize("status", ["certified", "probabilistic"])
def test_a_bound_for_every_measurement_can_pass(status):
    assert judged([bracket("a", 50, status)], 60).verdict is Verdict.PASS


def test_a_gain_beyond_the_limit_fails_whatever_the_bound():
    assert judged([bracket("a", 50, "on a ball", lower=7)], 5).verdict is Verdict.FAIL


def test_an_infinite_gain_fails():
    found = judged([bracket("a", float("inf"), "infinite", lower=float("inf"))], 60)
    assert found.verdict is Verdict.FAIL
    assert "no bound exists" in found.sentence
