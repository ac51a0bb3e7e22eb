import math

import numpy as np
import pytest
import scipy.stats

from stabtest import statistics
from stabtest.errors import DataError
from stabtest.findings.records import Interval

REPETITIONS = 20000
RNG = 20240607


def coverage(draw, interval, target):
    """Share of repetitions in which the lower and the upper bound cover."""
    rng = np.random.default_rng(RNG)
    below = above = 0
    for _ in range(REPETITIONS // 4):
        found = interval(draw(rng).tolist())
        below += found.lower is not None and found.lower <= target
        above += found.upper is not None and found.upper >= target
    return below / (REPETITIONS // 4), above / (REPETITIONS // 4)


@pytest.mark.parametrize(("n", "p"), [(5, 0.5), (12, 0.5), (40, 0.9), (59, 0.95)])
def test_order_statistic_bounds_cover_as_they_say(n, p):
    low, high = statistics.quantile_ranks(n, p)
    samples = np.sort(np.random.default_rng(RNG).lognormal(size=(REPETITIONS, n)), axis=1)
    target = math.exp(scipy.stats.norm.ppf(p))
    attained = {
        "below": float(np.mean(samples[:, low - 1] <= target)),
        "above": float(np.mean(samples[:, high - 1] >= target)),
    }
    stated = statistics.quantile_interval(samples[0].tolist(), p).method
    for side, share in attained.items():
        said = float(stated.split(f" % {side}")[0].split()[-1].strip("(")) / 100
        assert share == pytest.approx(said, abs=0.02)
        assert share >= 0.95 - 0.005


def test_the_next_inner_order_statistic_would_not_reach_the_level():
    for n in (5, 12, 40, 100):
        low, high = statistics.quantile_ranks(n, 0.5)
        assert scipy.stats.binom.sf(low, n, 0.5) < 0.95
        assert scipy.stats.binom.cdf(high - 2, n, 0.5) < 0.95


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_no_median_bound_from_fewer_than_five(n):
    assert statistics.quantile_interval(list(range(n))) is None


def test_a_side_that_does_not_exist_is_open():
    interval = statistics.quantile_interval([float(k) for k in range(10)], 0.9)
    assert interval.upper is None
    assert interval.lower is not None


@pytest.mark.parametrize("p", [0.5, 0.8, 0.9, 0.95])
def test_least_cases_is_where_the_upper_bound_begins(p):
    n = statistics.least_cases(p)
    assert statistics.quantile_ranks(n, p)[1] == n
    assert statistics.quantile_ranks(n - 1, p)[1] is None


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_t_bounds_cover_a_normal_mean(n):
    for share in coverage(lambda rng: rng.normal(0.3, 2.0, n), statistics.mean_interval, 0.3):
        assert share == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [3, 8])
def test_ratio_bounds_cover_a_geometric_mean(n):
    for share in coverage(lambda rng: rng.lognormal(0.5, 0.7, n), statistics.ratio_interval, math.exp(0.5)):
        assert share == pytest.approx(0.95, abs=0.02)


def test_t_bounds_agree_with_scipy():
    values = [0.1, 0.4, 0.35, 0.2]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = statistics.mean_interval(values)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 7), (1, 7), (4, 9), (9, 9)])
def test_clopper_pearson_agrees_with_scipy(k, n):
    expected = scipy.stats.binomtest(k, n).proportion_ci(0.9, method="exact")
    found = statistics.fraction_interval(k, n)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("fraction", [0.03, 0.3, 0.8])
def test_clopper_pearson_never_covers_less_than_it_says(fraction):
    n = 25
    counts = np.arange(n + 1)
    weights = scipy.stats.binom.pmf(counts, n, fraction)
    intervals = [statistics.fraction_interval(int(k), n) for k in counts]
    assert sum(w for w, i in zip(weights, intervals) if i.upper >= fraction) >= 0.95
    assert sum(w for w, i in zip(weights, intervals) if i.lower <= fraction) >= 0.95


def test_ignoring_patients_would_undercover():
    """The control that must fail: images of one patient taken for independent ones."""
    rng = np.random.default_rng(RNG)
    clustered = pooled = 0
    for _ in range(2000):
        effects = rng.normal(0, 1, 5)
        images = [(str(k), effects[k] + rng.normal(0, 0.2)) for k in range(5) for _ in range(8)]
        clustered += statistics.mean_interval(statistics.by_patient(images, statistics.mean)).upper >= 0
        pooled += statistics.mean_interval([value for _, value in images]).upper >= 0
    assert clustered / 2000 == pytest.approx(0.95, abs=0.02)
    assert pooled / 2000 < 0.85


def test_one_value_has_no_mean_interval():
    assert statistics.mean_interval([1.0]) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200])
def test_a_mean_that_is_not_finite_has_no_interval(bad):
    assert statistics.mean_interval([0.1, 0.2, bad]) is None


def test_order_statistics_take_infinities_as_they_are():
    values = [1.0, 2.0, 3.0, 4.0, math.inf]
    assert statistics.quantile_interval(values).upper == math.inf
    assert statistics.quantile_interval([*values, 0.5, 0.6, 0.7, 0.8]).upper == 4.0


def test_nan_leaves_no_interval_and_no_median():
    values = [math.nan, 1.0, 2.0, 3.0, 4.0, 5.0]
    for order in (values, values[::-1]):
        assert statistics.quantile_interval(order) is None
        assert math.isnan(statistics.median(order))
        assert math.isnan(statistics.mean(order))
        assert statistics.ratio_interval(order) is None


def test_means_of_infinities():
    assert statistics.mean([1.0, math.inf]) == math.inf
    assert math.isnan(statistics.mean([math.inf, -math.inf]))
    assert statistics.mean([1e308, 1e308]) == math.inf
    assert statistics.geometric_mean([2.0, math.inf]) == math.inf
    assert statistics.geometric_mean([2.0, 0.0]) == 0
    assert statistics.ratio_interval([2.0, math.inf, 3.0]) is None


def test_ratios_must_be_positive():
    with pytest.raises(DataError, match="positive"):
        statistics.ratio_interval([1.0, 0.0])


def test_contradicting_counts_are_refused():
    with pytest.raises(DataError, match="5 of 4"):
        statistics.fraction_interval(5, 4)


@pytest.mark.parametrize("level", [0.9, 0.99, 0.999])
def test_an_interval_carried_to_another_level_is_the_one_of_that_level(level):
    values = [0.3, -0.2, 0.9, 0.4]
    centre, spread = np.mean(values), np.std(values, ddof=1) / 2
    found = statistics.carried(statistics.mean_interval(values), 4, level=level)
    assert (found.lower, found.upper) == pytest.approx(scipy.stats.t.interval(2 * level - 1, 3, centre, spread))
    assert found.level == level


def test_an_open_interval_cannot_be_carried():
    with pytest.raises(DataError, match="two bounds"):
        statistics.carried(Interval(lower=0.1, upper=None, level=0.95, method="t"), 4, level=0.9)
