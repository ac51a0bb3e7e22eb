import math

import pytest

from stabtest.findings.noise_rows import NoiseRow, RepeatabilityRow
from stabtest.stability import summarise

ROLES = {"net": "under test", "tv": "reference"}


def row(case, level, nrmse, method="net"):
    return NoiseRow(
        case=case,
        method=method,
        level=level,
        kind="gaussian",
        noise_std=level,
        photons=None,
        relative_norm=0.01 * level,
        draws=4,
        nrmse=nrmse,
        nrmse_max=nrmse,
        bias=nrmse,
        spread=0.1,
        gain=1.0,
    )


def again(variation, difference, method="net", case="a"):
    return RepeatabilityRow(case=case, method=method, variation=variation, difference=difference, largest=difference)


def found(rows, statistic, method="net", **options):
    return next(f for f in summarise(rows, roles=ROLES, **options) if f.statistic == statistic and f.method == method)


def test_growth_is_the_geometric_mean_of_paired_ratios():
    rows = [row("a", 0.5, 0.05), row("a", 1.0, 0.1), row("a", 4.0, 0.2), row("b", 1.0, 0.1), row("b", 4.0, 0.8)]
    growth = found(rows, "noise.nrmse.growth")
    assert growth.value == pytest.approx(math.sqrt(2 * 8))
    assert growth.n == 2
    assert growth.interval.lower < growth.value < growth.interval.upper


def test_the_ratio_to_the_reference_is_taken_at_the_most_noise():
    rows = [row(case, level, value * level) for case, value in (("a", 0.3), ("b", 0.2)) for level in (1.0, 2.0)]
    rows += [row(case, level, 0.1 * level, "tv") for case in ("a", "b") for level in (1.0, 2.0)]
    assert found(rows, "noise.nrmse.ratio_to_reference").value == pytest.approx(math.sqrt(3 * 2))
    assert not [f for f in summarise(rows, roles=ROLES) if f.statistic == "noise.nrmse.ratio_to_reference" and f.method == "tv"]


@pytest.mark.parametrize("value", [math.inf, math.nan, 0.0])
def test_an_error_that_is_no_number_leaves_no_interval(value):
    growth = found([row("a", 1.0, 0.1), row("a", 4.0, value), row("b", 1.0, 0.1), row("b", 4.0, 0.2)], "noise.nrmse.growth")
    assert growth.interval is None
    assert math.isnan(growth.value)


def test_without_truth_there_is_no_finding():
    rows = [row("a", level, None) for level in (1.0, 2.0)]
    assert not [f for f in summarise(rows, roles=ROLES) if f.test == "noise"]


def test_the_largest_change_counts_and_double_precision_does_not():
    rows = [again("same input", 0.0), again("in a batch", 2e-3), again("double precision", 0.5), again("device", None)]
    repeat = found(rows, "repeatability.difference.max")
    assert repeat.value == 2e-3
    assert repeat.interval.upper is None
    assert "in a batch" in repeat.sentence
    assert "device" not in repeat.sentence
