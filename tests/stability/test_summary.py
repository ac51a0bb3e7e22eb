import math
import re

import pytest

from stabtest.findings import Criterion, Verdict, decide
from stabtest.findings.records import Bracket, Gate, QualityRow, SamplingRow, SolverRow, StructureRow, WorstCaseRow
from stabtest.findings.statistic_names import STATISTICS
from stabtest.stability import summarise
from stabtest.stability.summaries.context import WITHOUT_GRADIENTS, Context

ROLES = {"net": "under test", "tv": "reference"}
TESTS = {statistic.split(".")[0] for statistic in STATISTICS}


def worst(case="a", method="net", *, radius=0.02, change=0.3, noise=0.02, violation=0.0, status="converged", error=0.4):
    return WorstCaseRow(
        case=case,
        method=method,
        domain="measurement",
        objective="clean",
        radius=radius,
        radius_absolute=radius,
        relative_change=change,
        relative_error=error,
        clean_error=0.1,
        gain=change / radius,
        local_damage=2 * change,
        noise_change_median=noise,
        noise_change_max=noise,
        noise_draws=8,
        violation=violation,
        evaluations=10,
        history=[(1, change)],
        status=status,
        witness=f"{case}-{method}-{radius:g}",
    )


def detail(case="a", method="net", *, recovery=0.9, site="(1, 1)", identifiable=True, outside=0.1):
    return StructureRow(
        case=case,
        method=method,
        detail="lesion",
        site=site,
        diameter_px=4,
        contrast=0.2,
        recovery=recovery,
        region_nrmse=0.2,
        outside_energy=outside,
        sham_recovery=0.0,
        data_detectability=20.0,
        null_space_share=0.3,
        identifiable=identifiable,
    )


def find(findings, statistic, method="net"):
    return next(f for f in findings if f.statistic == statistic and f.method == method)


def test_the_largest_found_is_quoted_with_its_witness():
    rows = [worst(radius=0.01, change=0.1), worst("a", change=0.3), worst("b", change=0.5)]
    found = find(summarise(rows, roles=ROLES), "worst_case.relative_change.max")
    assert found.value == 0.5
    assert found.witness == "b-net-0.02"
    assert (found.interval.lower, found.interval.upper) == (0.5, None)
    assert "b" in found.sentence
    assert "within the stated budget" in found.sentence


@pytest.mark.parametrize("name", ["relative_change", "relative_error", "gain", "local_damage"])
def test_a_smaller_radius_lies_within_the_largest(name):
    rows = [worst(radius=0.01, change=0.9, error=0.9), worst(radius=0.02, change=0.3)]
    found = find(summarise(rows, roles=ROLES), f"worst_case.{name}.max")
    assert found.witness == "a-net-0.01"
    assert "at 1 %" in found.sentence
    limit = 0.5 if name != "gain" else 50
    criterion = Criterion(id="C", statistic=found.statistic, rule="at most", limit=limit, universal=True)
    assert decide(found, criterion).verdict == Verdict.FAIL


def test_a_search_that_found_little_cannot_pass():
    """Nothing bounds the worst case from above: a limit well above what was found stays inconclusive."""
    found = find(summarise([worst(str(k)) for k in range(80)], roles=ROLES), "worst_case.relative_change.max")
    criterion = Criterion(id="C", statistic=found.statistic, rule="at most", limit=10.0)
    assert decide(found, criterion).verdict == Verdict.INCONCLUSIVE
    assert decide(found, criterion.model_copy(update={"limit": 0.1})).verdict == Verdict.FAIL
    assert decide(found, criterion.model_copy(update={"limit": 0.1, "universal": True})).verdict == Verdict.FAIL


def test_the_typical_found_change_can_pass_with_enough_patients():
    rows = [worst(str(k), change=0.1 + 0.001 * k) for k in range(30)]
    findings = summarise(rows, roles=ROLES)
    for name in ("median", "p90"):
        found = find(findings, f"worst_case.relative_change.{name}")
        assert found.interval.upper <= 0.129
        verdict = decide(found, Criterion(id="C", statistic=found.statistic, rule="at most", limit=0.2)).verdict
        assert verdict == Verdict.PASS


def test_few_patients_have_no_tolerance_bound():
    findings = summarise([worst(str(k), change=0.1 + 0.01 * k) for k in range(4)], roles=ROLES)
    assert find(findings, "worst_case.relative_change.median").interval is None
    found = find(findings, "worst_case.relative_change.p90")
    assert found.interval is None or found.interval.upper is None
    assert "29 patients are needed" in found.sentence


def test_images_of_one_patient_count_once():
    rows = [worst(str(k), change=0.1 + 0.01 * k) for k in range(8)]
    found = find(summarise(rows, roles=ROLES, patients={str(k): "one" for k in range(8)}), "worst_case.relative_change.median")
    assert found.n == 1
    assert found.interval is None
    assert found.value == pytest.approx(0.17)


def test_ratios_are_paired_by_case():
    rows = [worst("a", change=0.4), worst("b", change=0.8), worst("a", "tv", change=0.2), worst("b", "tv", change=0.2)]
    findings = summarise(rows, roles=ROLES)
    found = find(findings, "worst_case.relative_change.ratio_to_reference")
    assert found.value == pytest.approx(8**0.5)
    assert found.interval.lower < found.value < found.interval.upper
    assert find(findings, "worst_case.amplification_over_noise").value == pytest.approx((20 * 40) ** 0.5)
    assert not any(f.method == "tv" and "ratio" in f.statistic for f in findings)


def verdict(rows, statistic, limit, *, universal=False, gates=()):
    found = find(summarise(rows, roles=ROLES, gates=gates), statistic)
    criterion = Criterion(id="C", statistic=statistic, rule="at most", limit=limit, universal=universal)
    return decide(found, criterion).verdict


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_image_that_broke_is_infinite_damage(value):
    rows = [worst(str(k)) for k in range(6)] + [worst("x", change=value)]
    findings = summarise(rows, roles=ROLES)
    found = find(findings, "worst_case.relative_change.max")
    assert found.value == math.inf
    assert found.witness == "x-net-0.02"
    assert "was not finite" in found.sentence
    assert verdict(rows, found.statistic, 5) == Verdict.FAIL
    assert verdict(rows, "worst_case.relative_change.p90", 5) == Verdict.INCONCLUSIVE
    assert verdict(rows, "worst_case.amplification_over_noise", 1e9) == Verdict.INCONCLUSIVE


def test_a_majority_of_broken_images_fails_the_median():
    rows = [worst(str(k), change=math.inf) for k in range(6)]
    assert verdict(rows, "worst_case.relative_change.median", 5) == Verdict.FAIL


def test_an_image_that_noise_broke_is_infinite_damage_without_a_witness():
    rows = [worst("a"), worst("b", noise=math.inf)]
    found = find(summarise(rows, roles=ROLES), "worst_case.relative_change.max")
    assert (found.value, found.witness) == (math.inf, None)
    assert "Gaussian noise" in found.sentence


@pytest.mark.parametrize("noise", [0.0, math.nan, math.inf])
def test_a_ratio_that_cannot_be_had_leaves_no_upper_end(noise):
    rows = [worst(str(k), change=0.02) for k in range(6)]
    assert verdict(rows, "worst_case.amplification_over_noise", 3) == Verdict.PASS
    rows.append(worst("x", change=5.0, noise=noise))
    assert verdict(rows, "worst_case.amplification_over_noise", 3) == Verdict.INCONCLUSIVE


def test_ratios_that_are_all_unknown_are_still_a_finding():
    found = find(summarise([worst(change=0.0, noise=0.0)], roles=ROLES), "worst_case.amplification_over_noise")
    assert math.isnan(found.value)
    assert "unknown" in found.sentence
    assert verdict([worst(change=0.0, noise=0.0)], found.statistic, 3) == Verdict.INCONCLUSIVE


def test_a_reference_that_does_not_move_makes_the_ratio_infinite():
    rows = [worst(str(k), method, change=0.02) for k in range(6) for method in ("net", "tv")]
    statistic = "worst_case.relative_change.ratio_to_reference"
    assert verdict(rows, statistic, 3) == Verdict.PASS
    assert verdict([*rows, worst("x"), worst("x", "tv", change=0.0)], statistic, 3) == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("bad", [{"violation": 0.01}, {"status": "no usable gradient"}])
def test_a_reference_that_was_not_valid_invalidates_the_ratio(bad):
    rows = [worst(str(k), method) for k in range(6) for method in ("net", "tv")]
    rows = [*rows[:-1], worst("5", "tv", **bad)]
    assert verdict(rows, "worst_case.relative_change.ratio_to_reference", 3) == Verdict.INVALID
    assert verdict(rows, "worst_case.relative_change.median", 3) == Verdict.PASS


def test_a_gate_of_the_reference_invalidates_the_ratio():
    rows = [worst(str(k), method) for k in range(6) for method in ("net", "tv")]
    gate = Gate(name="determinism", subject="tv", passed=False, value=0.1, limit=1e-4, detail="")
    assert verdict(rows, "worst_case.relative_change.ratio_to_reference", 3, gates=[gate]) == Verdict.INVALID


@pytest.mark.parametrize("statistic", ["worst_case.relative_change.median", "worst_case.amplification_over_noise"])
def test_searches_that_still_rise_support_no_pass(statistic):
    rows = [worst(str(k)) for k in range(6)]
    assert verdict(rows, statistic, 99) == Verdict.PASS
    rows[0] = worst("0", status="still rising")
    found = find(summarise(rows, roles=ROLES), statistic)
    decided = decide(found, Criterion(id="C", statistic=statistic, rule="at most", limit=99))
    assert decided.verdict == Verdict.INCONCLUSIVE
    assert "1 of 6 searches was still rising" in decided.reason
    assert verdict(rows, statistic, 1e-3) == Verdict.FAIL


@pytest.mark.parametrize("universal", [False, True])
def test_a_counterexample_fails_although_another_search_was_blind(universal):
    rows = [worst("a", change=5.0), worst("b", change=0.01, status="no usable gradient")]
    assert verdict(rows, "worst_case.relative_change.max", 0.1, universal=universal) == Verdict.FAIL
    assert verdict(rows, "worst_case.relative_change.max", 9.0, universal=universal) == Verdict.INVALID


def test_what_lies_outside_the_set_is_no_counterexample():
    rows = [worst("a", change=0.05), worst("b", change=5.0, violation=0.01)]
    assert verdict(rows, "worst_case.relative_change.max", 0.1, universal=True) == Verdict.INVALID
    assert verdict(rows[1:], "worst_case.relative_change.max", 0.1, universal=True) == Verdict.INVALID


@pytest.mark.parametrize(
    ("name", "expected"), [("gradient", Verdict.FAIL), ("differences", Verdict.FAIL), ("determinism", Verdict.INVALID)]
)
def test_a_counterexample_needs_a_method_that_repeats_but_no_gradient(name, expected):
    gate = Gate(name=name, subject="net", passed=False, value=0.1, limit=1e-4, detail="")
    assert verdict([worst(change=5.0)], "worst_case.relative_change.max", 0.1, universal=True, gates=[gate]) == expected


@pytest.mark.parametrize("bad", [{"violation": 0.01}, {"status": "no usable gradient"}])
def test_a_search_that_was_not_valid_invalidates(bad):
    findings = summarise([worst("a"), worst("b", **bad)], roles=ROLES)
    assert not any(f.valid for f in findings if f.test == "worst_case")


def test_a_failed_gate_invalidates_that_method_only():
    gate = Gate(name="adjoint", subject="net", passed=False, value=0.1, limit=1e-4, detail="")
    findings = summarise([worst("a"), worst("a", "tv")], roles=ROLES, gates=[gate])
    assert all(f.valid == (f.method == "tv") for f in findings)


@pytest.mark.parametrize("name", ["gradient", "differences"])
def test_what_is_measured_without_a_gradient_does_not_rest_on_its_gates(name):
    gate = Gate(name=name, subject="net", passed=False, value=0.1, limit=1e-4, detail="")
    context = Context(ROLES, gates=[gate])
    assert {test for test in TESTS if context.healthy("net", test=test)} == WITHOUT_GRADIENTS
    other = Context(ROLES, gates=[gate.model_copy(update={"name": "determinism"})])
    assert not any(other.healthy("net", test=test) for test in TESTS)


@pytest.mark.parametrize(("name", "valid"), [("determinism", False), ("accuracy", False), ("gradient", True)])
def test_a_gate_of_the_reference_invalidates_the_difference_in_quality(name, valid):
    rows = [QualityRow(case=str(k), method=method, psnr=30.0 + k, nrmse=0.1, ssim=0.9) for k in range(3) for method in ROLES]
    gate = Gate(name=name, subject="tv", passed=False, value=0.1, limit=1e-4, detail="")
    findings = summarise(rows, roles=ROLES, gates=[gate])
    assert find(findings, "quality.psnr.difference_to_reference").valid is valid
    assert find(findings, "quality.psnr.median").valid


def test_without_truth_the_error_is_not_run():
    found = find(summarise([worst(error=None)], roles=ROLES), "worst_case.relative_error.max")
    assert found.value is None
    assert decide(found, None).verdict == Verdict.NOT_RUN


def test_the_least_recovery_is_quoted_with_its_place():
    rows = [detail("a"), detail("b", recovery=0.2, site="(7, 9)")]
    found = find(summarise(rows, roles=ROLES), "structure.recovery.min")
    assert found.value == 0.2
    assert (found.interval.lower, found.interval.upper) == (None, 0.2)
    assert "(7, 9)" in found.sentence
    criterion = Criterion(id="C", statistic=found.statistic, rule="at least", limit=0.5)
    assert decide(found, criterion).verdict == Verdict.FAIL


def test_a_detail_that_the_data_do_not_carry_is_set_aside():
    found = find(summarise([detail("a"), detail("b", recovery=0.0, identifiable=False)], roles=ROLES), "structure.recovery.min")
    assert found.value == 0.9
    assert "1 of 2 details were set aside" in found.sentence


def test_a_detail_that_the_reference_loses_too_counts_and_is_remarked():
    rows = [detail("a"), detail("b", recovery=0.1), detail("a", "tv", recovery=0.95), detail("b", "tv", recovery=0.2)]
    findings = summarise(rows, roles=ROLES)
    found = find(findings, "structure.recovery.min")
    assert found.value == 0.1
    assert "Lost details: 1; tv lost 1 of them too." in found.sentence
    assert "Lost details" not in find(findings, "structure.recovery.min", "tv").sentence


def test_when_nothing_can_be_judged_the_finding_is_invalid():
    found = find(summarise([detail(identifiable=False)], roles=ROLES), "structure.recovery.min")
    assert not found.valid
    assert decide(found, None).verdict == Verdict.INVALID


def test_lost_patients_are_counted_once():
    rows = [detail("a", recovery=0.1), detail("a", recovery=0.2, site="(5, 5)"), detail("b")]
    found = find(summarise(rows, roles=ROLES), "structure.lost_fraction")
    assert found.value == 0.5
    assert "in 1 of 2 patients" in found.sentence


def sampling(case, count, nrmse, method="net"):
    return SamplingRow(case=case, method=method, count=count, fraction=count / 100, trained=count == 25, nrmse=nrmse, psnr=30)


def test_more_samples_poorer_image_fails_a_limit_of_zero():
    rows = [sampling(str(k), count, nrmse + 0.001 * k) for k in range(3) for count, nrmse in ((10, 0.3), (25, 0.1), (50, 0.2))]
    found = find(summarise(rows, roles=ROLES), "sampling.more_is_poorer")
    assert found.value == pytest.approx(0.1)
    assert "More samples, poorer image: from 25 to 50 samples (25 % to 50 %)" in found.sentence
    criterion = Criterion(id="C", statistic=found.statistic, rule="at most", limit=0.0)
    assert decide(found, criterion).verdict == Verdict.FAIL


def test_an_image_that_always_improves_passes_a_limit_of_zero():
    rows = [sampling(str(k), count, nrmse + 0.001 * k) for k in range(3) for count, nrmse in ((10, 0.3), (25, 0.1), (50, 0.05))]
    found = find(summarise(rows, roles=ROLES), "sampling.more_is_poorer")
    assert decide(found, Criterion(id="C", statistic=found.statistic, rule="at most", limit=0.0)).verdict == Verdict.PASS


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_an_infinite_error_with_more_samples_is_not_a_pass(bad):
    rows = [sampling(str(k), n, e + 0.001 * k) for k in range(6) for n, e in ((15, 0.2), (25, 0.1), (50, bad if k else 0.05))]
    found = find(summarise(rows, roles=ROLES), "sampling.more_is_poorer")
    assert found.interval.upper is None
    assert "not finite" in found.sentence
    assert verdict(rows, found.statistic, 0.01) == Verdict.INCONCLUSIVE


def test_a_poorer_image_fails_although_another_comparison_is_not_finite():
    rows = [sampling(str(k), n, e + 0.001 * k) for k in range(6) for n, e in ((15, 0.2), (25, 0.4), (50, math.nan))]
    found = find(summarise(rows, roles=ROLES), "sampling.more_is_poorer")
    assert found.interval.lower > 0.19


def test_one_bad_row_does_not_end_everything():
    rows = [worst(change=math.nan, noise=math.nan, error=math.nan), worst("b"), detail(recovery=math.nan), detail("b")]
    rows += [QualityRow(case="a", method="net", nrmse=math.nan, psnr=math.inf, ssim=math.nan)]
    rows += [sampling("a", 25, math.nan), sampling("a", 50, 0.1)]
    for finding in summarise(rows, roles=ROLES):
        criterion = Criterion(id="C", statistic=finding.statistic, rule="at most", limit=1e9)
        assert decide(finding, criterion).verdict != Verdict.PASS or finding.statistic == "structure.lost_fraction"


def test_medians_of_quality_have_order_statistic_bounds():
    rows = [QualityRow(case=str(k), method="net", nrmse=0.1, psnr=30.0 + k, ssim=0.9) for k in range(5)]
    rows += [QualityRow(case=str(k), method="tv", nrmse=0.1, psnr=28.0 + 0.9 * k, ssim=0.9) for k in range(5)]
    findings = summarise(rows, roles=ROLES)
    found = find(findings, "quality.psnr.median")
    assert (found.interval.lower, found.value, found.interval.upper) == (30, 32, 34)
    assert find(findings, "quality.psnr.difference_to_reference").value == pytest.approx(2.2)


def test_a_bracket_passes_only_below_a_known_bound():
    def found(status, upper=3.0):
        bracket = Bracket(
            name="measurement to image", case="a", lower=1.5, lower_source="", upper=upper, upper_status=status, upper_source=""
        )
        return summarise([bracket], roles=ROLES)[0]

    criterion = Criterion(id="C", statistic="lipschitz.measurement_to_image", rule="at most", limit=5.0)
    assert found("certified").statistic == criterion.statistic
    assert decide(found("certified"), criterion).verdict == Verdict.PASS
    assert (found("certified").interval.level, found("probabilistic").interval.level) == (1.0, 0.95)
    assert decide(found("unknown", None), criterion).verdict == Verdict.INCONCLUSIVE
    assert decide(found("certified"), criterion.model_copy(update={"limit": 1.0})).verdict == Verdict.FAIL


def test_no_sentence_promises_what_a_search_cannot():
    rows = [worst("a"), worst("a", "tv"), detail("a"), sampling("a", 25, 0.1), sampling("a", 50, 0.2)]
    rows += [QualityRow(case="a", method="net", nrmse=None, psnr=None, ssim=None)]
    rows += [Bracket(name="n", case=None, lower=1, lower_source="", upper=2, upper_status="certified", upper_source="")]
    for finding in summarise(rows, roles=ROLES):
        assert not re.search(r"\b(safe|safely|proves?|proven|certified|guaranteed)\b", finding.sentence)
        assert finding.sentence.endswith(".")


def test_nothing_measured_is_nothing_found():
    assert summarise([], roles=ROLES) == []


def stopped(row, *, distance=0.03, longer=0.4):
    """The row of a method whose solver was so far from finished."""
    figures = {"clean_distance": distance, "distance": distance, "longer_change": longer}
    solver = SolverRow(iterations=60, longer=10, clean_gap=0.1, gap=0.1, clean_residual=0.001, residual=0.001, **figures)
    return row.model_copy(update={"solver": solver})


def test_a_solver_that_had_not_finished_supports_no_pass_of_it_nor_of_what_is_compared_with_it():
    statistic = "worst_case.relative_change.ratio_to_reference"
    net = [worst(str(k)) for k in range(6)]
    finished = [stopped(worst(str(k), "tv"), distance=0.001, longer=0.3) for k in range(6)]
    early = [stopped(worst(str(k), "tv")) for k in range(6)]
    assert verdict([*net, *finished], statistic, 3) == Verdict.PASS
    assert verdict([*net, *early], statistic, 3) == Verdict.INCONCLUSIVE
    assert verdict([*net, *early], statistic, 0.5) == Verdict.FAIL
    assert verdict([*net, *early], "worst_case.relative_change.median", 3) == Verdict.PASS
    found = find(summarise([*net, *early], roles=ROLES), statistic)
    assert "the solver of tv was not finished in 6 of 6 searches" in found.caveat
    own = find(summarise([*net, *early], roles=ROLES), "worst_case.relative_change.median", "tv")
    assert decide(own, Criterion(id="C", statistic=own.statistic, rule="at most", limit=99)).verdict == Verdict.INCONCLUSIVE


def test_the_sentence_on_the_worst_image_says_what_the_longer_run_does():
    found = find(summarise([stopped(worst("a", "tv"))], roles=ROLES), "worst_case.relative_change.max", "tv")
    assert found.sentence.endswith("run 10 times as long, its image changes by 40 % under the perturbations found.")
    finished = stopped(worst("a", "tv"), distance=0.001, longer=0.3)
    assert "solver" not in find(summarise([finished], roles=ROLES), "worst_case.relative_change.max", "tv").sentence
