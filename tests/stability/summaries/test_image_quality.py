import math

import numpy as np
import pytest

from stabtest import statistics
from stabtest.findings import Criterion, Verdict, decide
from stabtest.findings.physics_rows import BiasRow, TransferRow
from stabtest.stability import summarise
from stabtest.stability.summaries.context import Context
from stabtest.stability.summaries.image_quality import summarise_image_quality

ROLES = {"net": "under test", "tv": "reference"}


def edge(case, contrast, f50, method="net", reliable=True):
    return TransferRow(
        case=case,
        method=method,
        quantity="value",
        diameter_px=16,
        contrast=contrast,
        sites=1,
        realisations=3,
        noise_ratio=1.0,
        frequencies=[0.0, 0.5],
        transfer=[1.0, 0.0],
        step=1.0 if reliable else 0.01,
        f50=f50,
        f10=None,
        f50_interval=None,
        f50_left_out=[f50] * 3,
        left_out="noise realisations",
        edge_cnr=99.0,
        data_detectability=99.0,
        reliable=reliable,
    )


def region(values, case="a", method="net", peak=2.0):
    interval = statistics.mean_interval(values)
    mean = statistics.mean(values)
    return BiasRow(
        case=case,
        method=method,
        quantity="value",
        site="(1, 1)",
        diameter_px=16,
        realisations=len(values),
        truth=1.0,
        bias=mean,
        bias_relative=mean / peak,
        bias_hu=None,
        interval=interval,
    )


def found(rows, statistic, method="net", **options):
    return next(f for f in summarise(rows, roles=ROLES, **options) if f.statistic == statistic and f.method == method)


def test_the_fall_is_that_of_the_worst_contrast_averaged_over_patients():
    rows = [edge(case, 0.5, 0.4) for case in "abc"] + [edge(case, 0.1, 0.38) for case in "abc"]
    rows += [edge(case, 0.02, f50) for case, f50 in (("a", 0.2), ("b", 0.22), ("c", 0.18))]
    fall = found(rows, "image_quality.f50.fall")
    values = [1 - f50 / 0.4 for f50 in (0.2, 0.22, 0.18)]
    assert fall.value == pytest.approx(np.mean(values))
    wanted = statistics.mean_interval(values, level=0.975)  # two contrasts: Bonferroni
    assert (fall.interval.lower, fall.interval.upper) == pytest.approx((wanted.lower, wanted.upper))
    assert fall.n == 3
    assert "lower at contrast 0.02 than at 0.5" in fall.sentence
    assert fall.caveat == ""


def test_cases_of_one_patient_count_once():
    rows = [edge(case, 0.5, 0.4) for case in "abc"]
    rows += [edge(case, 0.1, f50) for case, f50 in (("a", 0.2), ("b", 0.2), ("c", 0.4))]
    fall = found(rows, "image_quality.f50.fall", patients={"a": "p", "b": "p", "c": "q"})
    assert (fall.value, fall.n) == (pytest.approx(0.25), 2)


def test_one_patient_has_no_interval():
    fall = found([edge("a", 0.5, 0.4), edge("a", 0.1, 0.2)], "image_quality.f50.fall")
    assert (fall.value, fall.interval, fall.n) == (pytest.approx(0.5), None, 1)


def test_a_method_that_erases_faint_edges_cannot_pass_on_the_strong_ones():
    rows = [edge(case, contrast, 0.4) for case in "abcd" for contrast in (0.5, 0.1)]
    limit = Criterion(id="C1", statistic="image_quality.f50.fall", rule="at most", limit=0.1)
    assert decide(found(rows, "image_quality.f50.fall"), limit).verdict is Verdict.PASS
    erased = [*rows, *(edge(case, 0.02, 0.4, reliable=False) for case in "abcd")]
    assert decide(found(erased, "image_quality.f50.fall"), limit).verdict is Verdict.INCONCLUSIVE
    in_one = [*rows, *(edge(case, 0.02, 0.4, reliable=case != "d") for case in "abcd")]
    judged = decide(found(in_one, "image_quality.f50.fall"), limit)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "1 of 8 comparisons could not be made" in judged.reason


def test_nothing_compared_is_invalid_and_not_missing():
    rows = [edge(case, contrast, 0.4, reliable=False) for case in "ab" for contrast in (0.5, 0.1)]
    fall = found(rows, "image_quality.f50.fall")
    assert math.isnan(fall.value)
    assert decide(fall, None).verdict is Verdict.INVALID


def test_one_contrast_makes_no_finding():
    assert summarise([edge("a", 0.5, 0.4)], roles=ROLES) == []


def test_the_largest_bias_counts_with_either_sign():
    rows = [region([0.1, 0.12, 0.11]), region([-0.3, -0.32, -0.31], case="b")]
    bias = found(rows, "image_quality.bias.max")
    assert bias.value == pytest.approx(0.31 / 2)
    assert "too dark by 16 %" in bias.sentence
    assert bias.interval.upper is None
    wanted = statistics.mean_interval([-0.3, -0.32, -0.31], level=1 - 0.05 / 4)  # two regions, two signs
    assert bias.interval.lower == pytest.approx(-wanted.upper / 2)


def test_one_scan_gives_a_bias_without_a_bound():
    bias = found([region([0.1])], "image_quality.bias.max")
    assert (bias.value, bias.interval) == (pytest.approx(0.05), None)
    assert "one scan only" in bias.sentence


def test_bias_never_passes():
    rows = [region([1e-6, 2e-6, 3e-6], case=case) for case in "abcde"]
    limit = Criterion(id="C1", statistic="image_quality.bias.max", rule="at most", limit=0.1)
    assert decide(found(rows, "image_quality.bias.max"), limit).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("truth", [0.0, 0.5])
def test_the_bound_of_the_largest_bias_covers(truth):
    """Of three regions of true bias 0, 0 and ``truth``, the bound exceeds the largest true one in 5 % of all audits at most."""
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((2000, 3, 6)) + np.array([0.0, 0.0, truth])[:, None]
    context = Context(roles=ROLES)
    bounds = [
        summarise_image_quality([], [region(list(values), peak=1.0) for values in regions], context)[0].interval.lower
        for regions in draws
    ]
    missed = np.mean(np.array(bounds) > truth)
    assert missed <= 0.07
    assert missed >= 0.03 or truth > 0  # nominal where all biases are equal, conservative elsewhere
