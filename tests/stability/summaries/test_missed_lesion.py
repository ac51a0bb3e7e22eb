import math

import pytest

from stabtest.findings import Criterion, Verdict, decide
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.stability import summarise

ROLES = {"net": "under test", "tv": "reference"}
LEAST, DIFFERENCE = "missed_lesion.recovery.min", "missed_lesion.recovery.difference_to_reference"


def row(case, recovery, method="net", *, identifiable=True, beside=None):
    known = recovery is not None
    return MissedLesionRow(
        case=case,
        method=method,
        row=20.0 if known else None,
        column=30.0 if known else None,
        diameter_px=4.0 if known else None,
        contrast=0.1 if known else None,
        aspect=1.0 if known else None,
        degrees=0.0 if known else None,
        recovery=recovery,
        search_recovery=recovery,
        grid_recovery=0.9 if known else None,
        half_recovery=recovery,
        region_nrmse=0.5 if known else None,
        outside_energy=0.1 if known else None,
        sham_recovery=0.0 if known else None,
        data_detectability=10.0 if known else None,
        null_space_share=0.2 if known else None,
        identifiable=identifiable and known,
        reference=None if beside is None else "tv",
        reference_recovery=beside,
        linear_recovery=0.9 if known else None,
        evaluations=50,
        gradient="autograd",
    )


def found(rows, statistic=LEAST, method="net"):
    return next(f for f in summarise(rows, roles=ROLES) if f.statistic == statistic and f.method == method)


def test_the_value_is_the_least_of_all_cases():
    finding = found([row("a", 0.4), row("b", 0.1, beside=0.8), row("b", 0.7, "tv"), row("a", 0.6, "tv")])
    assert (finding.value, finding.interval.upper, finding.interval.lower) == (0.1, 0.1, None)
    assert "tv brings back 80 %" in finding.sentence
    assert "in a search of its own is 60 %" in finding.sentence


@pytest.mark.parametrize(
    ("universal", "limit", "verdict"), [(True, 0.5, "FAIL"), (True, 0.05, "INCONCLUSIVE"), (False, 0.05, "INCONCLUSIVE")]
)
def test_a_limit_can_fail_and_never_pass(universal, limit, verdict):
    criterion = Criterion(id="C", statistic=LEAST, rule="at least", limit=limit, universal=universal)
    assert criterion.can_be_refuted
    rows = [row(str(k), 0.1 + 0.01 * k) for k in range(30)]
    assert decide(found(rows), criterion).verdict is Verdict(verdict)


def test_a_lesion_that_the_data_do_not_carry_does_not_count():
    finding = found([row("a", 0.4), row("b", 0.0, identifiable=False), row("c", None)])
    assert (finding.value, finding.n, finding.valid) == (0.4, 1, True)
    assert "In 2 of 3 cases no lesion of the box was found that the data carry" in finding.sentence


def test_without_any_lesion_the_finding_is_invalid():
    finding = found([row("a", None)])
    assert (finding.value, finding.valid) == (None, False)


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_what_is_not_a_number_is_the_worst(bad):
    assert found([row("a", 0.4), row("b", bad)]).value == -math.inf


def test_the_difference_is_that_of_searches_of_their_own():
    """By hand: per case 0.2 - 0.7 = -0.5, 0.4 - 0.7 = -0.3, 0.3 - 0.7 = -0.4, mean -0.4."""
    rows = [row(c, v, beside=0.99) for c, v in (("a", 0.2), ("b", 0.4), ("c", 0.3))] + [row(c, 0.7, "tv") for c in "abc"]
    finding = found(rows, DIFFERENCE)
    assert finding.value == pytest.approx(-0.4)
    assert finding.interval.lower < -0.4 < finding.interval.upper < 0


def test_only_cases_in_which_both_have_a_lesion_are_compared():
    rows = [row("a", 0.2), row("b", 0.3), row("a", 0.7, "tv"), row("b", None, "tv")]
    assert found(rows, DIFFERENCE).n == 1


def test_the_reference_is_not_compared_with_itself():
    statistics = {(f.statistic, f.method) for f in summarise([row("a", 0.2), row("a", 0.7, "tv")], roles=ROLES)}
    assert (DIFFERENCE, "tv") not in statistics
