"""Findings on the null space: a method that invents there is told from one that leaves it blank, and a bound that was found is never an upper one."""

import pytest

from stabtest.findings import Criterion
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow
from stabtest.findings.records import Gate
from stabtest.findings.verdicts import Verdict, decide
from stabtest.stability import summarise

ROLES = {"net": "under test", "tv": "reference"}
MEDIAN, DIFFERENCE, BOUND = (
    "kernel.hallucinated.median",
    "kernel.hallucinated.difference_to_reference",
    "kernel.transfer_bound.max",
)


def errors(values, method="net"):
    fixed = dict.fromkeys(
        ("error", "measured_error", "null_error", "null_share", "truth_null", "null_invented", "data_consistency"), 0.1
    )
    fixed |= dict.fromkeys(("hallucinated_measured", "missing_null", "hallucination_floor", "hallucination_cut"), 0.01)
    fixed |= {"null_recovery": 0.5, "noise_level": 0.01, "hallucination_residual": 0.0, "projection_residual": 0.0}
    return [
        KernelErrorRow(case=str(k), method=method, hallucinated_null=value, projection_iterations=0, maps="", **fixed)
        for k, value in enumerate(values)
    ]


def transfers(bounds, method="net", ceiling=2.0, status="ended"):
    fixed = {
        "family": "free",
        "objective": "excess",
        "size_limit": 0.2,
        "data_limit": 5.0,
        "data_unit": "sigma",
        "base": "truth",
    }
    fixed |= {"ceiling_residual": 0.0, "rounding": 0.0, "gain": 9.0, "image_distance": 0.1, "data_distance": 0.01, "error": 0.1}
    fixed |= {"error_with": 0.1, "data_detectability": 5.0, "null_space_share": 0.9, "determined": True, "absent": 0.0}
    fixed |= {"present": 1.0, "evaluations": 30, "starts": 2, "history": [], "witness": ""}
    return [
        KernelTransferRow(
            case=str(k), method=method, bound=b, ceiling=ceiling, kernel_aware=b <= ceiling, status=status, **fixed
        )
        for k, b in enumerate(bounds)
    ]


def found(rows, statistic, method="net", **options):
    return next(f for f in summarise(rows, roles=ROLES, **options) if f.statistic == statistic and f.method == method)


def test_the_median_is_over_patients():
    rows = errors([0.1, 0.3, 0.2, 0.9, 0.9])
    finding = found(rows, MEDIAN, patients={"3": "p", "4": "p"})
    assert finding.value == pytest.approx(0.25)
    assert finding.n == 4


def test_an_inventor_is_told_from_the_reference_and_a_method_like_it_is_not():
    base = errors([0.05, 0.06, 0.055, 0.05], "tv")
    inventor = found(errors([0.2, 0.22, 0.21, 0.2]) + base, DIFFERENCE)
    same = found(errors([0.052, 0.058, 0.056, 0.049]) + base, DIFFERENCE)
    blank = found(errors([0.0] * 4) + base, DIFFERENCE)
    assert inventor.interval.lower > 0.1
    assert same.interval.lower < 0 < same.interval.upper
    assert blank.interval.upper < 0
    assert "less" in blank.sentence


def test_a_failed_gate_of_the_reference_invalidates_the_difference_alone():
    gate = Gate(name="gate", subject="tv", passed=False, value=0.0, limit=1.0, detail="")
    rows = errors([0.2, 0.2]) + errors([0.1, 0.1], "tv")
    assert not found(rows, DIFFERENCE, gates=[gate]).valid
    assert found(rows, MEDIAN, gates=[gate]).valid


def test_a_bound_that_was_found_is_the_largest_and_open_above():
    finding = found(errors([0.1, 0.1]) + transfers([3.0, 7.5]), BOUND)
    assert finding.value == 7.5
    assert finding.interval.lower == 7.5
    assert finding.interval.upper is None
    assert "2 of 2" in finding.sentence


def test_a_bound_can_refute_a_claim_and_never_establish_one():
    rows = errors([0.1]) + transfers([7.5])
    limits = {1.0: Verdict.FAIL, 100.0: Verdict.INCONCLUSIVE}
    for limit, verdict in limits.items():
        criterion = Criterion(id="C", statistic=BOUND, rule="at most", limit=limit, universal=True)
        assert decide(found(rows, BOUND), criterion).verdict is verdict


def test_where_no_bound_is_positive_nothing_is_claimed():
    finding = found(errors([0.1]) + transfers([-4.0]), BOUND)
    assert finding.value == 0.0
    assert "no positive bound" in finding.sentence
    assert not finding.counterexample


def test_a_search_that_saw_nothing_is_a_caveat():
    assert "usable gradient" in found(errors([0.1]) + transfers([1.0], status="no usable gradient"), BOUND).caveat


def test_without_rows_there_is_no_finding():
    assert not [f for f in summarise([], roles=ROLES) if f.test == "kernel"]
