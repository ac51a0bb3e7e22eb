import math

import numpy as np
import pytest
from scipy import special, stats

from stabtest.errors import DataError
from stabtest.stability.detectability.figures import (
    area_variance,
    auc,
    auc_of,
    detectability_index,
    detectability_of,
    noncentrality,
    placements,
)


def scores(shift, n, seed, *, m=None, ratio=1.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), shift + ratio * rng.standard_normal(n if m is None else m)


def test_auc_counts_pairs():
    rng = np.random.default_rng(0)
    absent, present = rng.integers(0, 6, 23).astype(float), rng.integers(2, 8, 31).astype(float)
    pairs = np.sign(present[:, None] - absent) / 2 + 0.5
    assert auc(absent, present).value == pytest.approx(pairs.mean(), abs=1e-15)


def test_the_variance_is_delongs():
    """By the definition, from all pairs; the bounds then follow from it."""
    absent, present = scores(1.0, 40, 1, m=30)
    pairs = (present[:, None] > absent).astype(float)
    v, w = pairs.mean(0), pairs.mean(1)
    parts = v.var(ddof=1) / 40, w.var(ddof=1) / 30
    a = pairs.mean()
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 39 + parts[1] ** 2 / 29)
    half = stats.t.ppf(0.95, degrees) * math.sqrt(sum(parts)) / (a * (1 - a))
    found = auc(absent, present).interval
    assert (found.lower, found.upper) == pytest.approx(tuple(special.expit(special.logit(a) + s * half) for s in (-1, 1)))


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5, 3.0])
def test_both_figures_reach_their_closed_forms(shift):
    absent, present = scores(shift, 40000, 2)
    assert detectability_index(absent, present).value == pytest.approx(shift, abs=0.03)
    assert auc(absent, present).value == pytest.approx(stats.norm.cdf(shift / math.sqrt(2)), abs=0.005)
    assert auc_of(shift) == pytest.approx(stats.norm.cdf(shift / math.sqrt(2)))
    assert detectability_of(auc_of(shift)) == pytest.approx(shift)


def covers(figure, truth, n, repetitions, **how):
    """Shares of repetitions in which the lower and the upper bound hold."""
    lower = upper = 0
    for k in range(repetitions):
        found = figure(*scores(how["shift"], n, 100000 + k, ratio=how.get("ratio", 1.0))).interval
        lower += found.lower <= truth
        upper += found.upper >= truth
    return lower / repetitions, upper / repetitions


@pytest.mark.parametrize(("area", "n"), [(0.5, 20), (0.75, 20), (0.9, 20), (0.5, 64), (0.75, 64), (0.95, 64)])
def test_bounds_of_auc_keep_their_level(area, n):
    lower, upper = covers(auc, area, n, 2500, shift=detectability_of(area))
    assert lower == pytest.approx(0.95, abs=0.02)
    assert upper == pytest.approx(0.95, abs=0.02)


def test_bounds_of_auc_keep_their_level_for_unequal_variances():
    lower, upper = covers(auc, 0.8, 32, 2000, shift=math.sqrt(5) * float(special.ndtri(0.8)), ratio=2.0)
    assert lower == pytest.approx(0.95, abs=0.02)
    assert upper == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("area", "n"), [(0.95, 20), (0.98, 20), (0.98, 64), (0.995, 64)])
def test_near_one_the_lower_bound_is_wide_rather_than_wrong(area, n):
    lower, upper = covers(auc, area, n, 1500, shift=detectability_of(area))
    assert lower >= 0.93
    assert upper >= 0.93


@pytest.mark.parametrize(("shift", "n"), [(0.0, 20), (1.0, 20), (1.0, 64), (3.0, 64)])
def test_bounds_of_detectability_keep_their_level(shift, n):
    lower, upper = covers(detectability_index, shift, n, 1500, shift=shift)
    assert lower == pytest.approx(0.95, abs=0.02)
    assert upper == pytest.approx(0.95, abs=0.02)


def test_bounds_of_detectability_keep_their_level_for_unequal_variances():
    truth = 1.0 / math.sqrt((1 + 2.0**2) / 2)
    lower, upper = covers(detectability_index, truth, 40, 1500, shift=1.0, ratio=2.0)
    assert lower == pytest.approx(0.95, abs=0.02)
    assert upper == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("t", "degrees"), [(0.0, 10), (-4.0, 10), (2.5, 126), (60.0, 38), (5000.0, 126)])
def test_the_noncentrality_inverts_the_distribution(t, degrees):
    for probability in (0.05, 0.95):
        assert stats.nct.cdf(t, degrees, noncentrality(t, degrees, probability)) == pytest.approx(probability, abs=1e-5)


def test_two_sets_that_do_not_overlap_still_have_a_bound():
    found = auc(np.arange(30.0), np.arange(30.0) + 100)
    assert found.value == 1.0
    assert 0.9 < found.interval.lower < 1
    assert found.interval.upper == 1.0
    mirrored = auc(np.arange(30.0) + 100, np.arange(30.0))
    assert mirrored.interval.upper == pytest.approx(1 - found.interval.lower)
    # The bound is where the estimate 1 is just as far out as the level allows.
    low = found.interval.lower
    assert low + stats.norm.ppf(0.95) * math.sqrt(area_variance(low, 30, 30)) == pytest.approx(1)


def test_scores_that_are_all_the_same():
    same = np.ones(25)
    assert auc(same, same).value == 0.5
    assert auc(same, same).interval is None
    assert detectability_index(same, same).value == 0.0
    assert detectability_index(same, same + 1).value is None  # told apart without fail, and no spread to measure by
    assert auc(same, same + 1).value == 1.0


def test_placements_average_to_the_same_area():
    absent, present = scores(0.7, 15, 3, m=22)
    v, w = placements(absent, present)
    assert v.mean() == pytest.approx(w.mean())


@pytest.mark.parametrize("figure", [auc, detectability_index])
def test_bad_scores(figure):
    good = np.arange(5.0)
    with pytest.raises(DataError, match="at least two"):
        figure(good[:1], good)
    with pytest.raises(DataError, match="finite"):
        figure(good, np.array([1.0, np.nan]))
    with pytest.raises(DataError, match="level"):
        figure(good, good, level=1.0)
