import math

import numpy as np
import pytest
from scipy import special, stats

from stabtest.errors import DataError
from stabtest.stability.detectability.figures import auc_of
from stabtest.stability.detectability.psychometric import fit, normal_area_variance

Z = float(special.ndtri(0.75))


def areas(contrasts, n, repetitions, seed, *, exponent=1.0):
    """Mann-Whitney AUCs of normal scores whose threshold contrast is 1, ``(repetitions, contrasts)``."""
    rng = np.random.default_rng(seed)
    found = []
    for c in contrasts:
        absent = rng.standard_normal((repetitions, n))
        present = math.sqrt(2) * Z * c**exponent + rng.standard_normal((repetitions, n))
        ranks = stats.rankdata(np.concatenate([absent, present], 1), axis=1)[:, n:].sum(1)
        found.append((ranks - n * (n + 1) / 2) / n**2)
    return np.stack(found, 1)


def test_the_variance_is_that_of_normal_scores():
    for n, c in ((20, 1.0), (40, 2.0), (30, 0.1)):
        found = areas([c], n, 20000, 0)[:, 0]
        expected = normal_area_variance(np.array(special.ndtr(Z * c)), np.array(float(n)))
        assert found.var() == pytest.approx(float(expected), rel=0.04)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 2.0])
def test_exact_areas_give_the_curve_back(exponent):
    contrasts = [0.03, 0.06, 0.1, 0.2]
    exact = [float(special.ndtr(Z * (c / 0.08) ** exponent)) for c in contrasts]
    found = fit(contrasts, exact, [64] * 4, fit_exponent=True)
    assert found.threshold == pytest.approx(0.08, rel=1e-3)
    assert found.exponent == pytest.approx(exponent, rel=1e-2)
    assert found.misfit == pytest.approx(0, abs=1e-4)


def test_the_threshold_of_another_area():
    contrasts = [0.5, 1.0, 2.0]
    found = fit(contrasts, [auc_of(c) for c in contrasts], [64] * 3, auc=0.9)
    assert found.threshold == pytest.approx(math.sqrt(2) * special.ndtri(0.9), rel=1e-4)


@pytest.mark.parametrize(("contrasts", "n"), [((0.5, 1.0, 2.0), 64), ((0.5, 1.0, 2.0), 24)])
def test_bounds_of_the_threshold_keep_their_level(contrasts, n):
    lower = upper = 0
    drawn = areas(contrasts, n, 2000, 1)
    for row in drawn:
        found = fit(contrasts, row.tolist(), [n] * len(contrasts))
        lower += found.lower is None or found.lower <= 1
        upper += found.upper is None or found.upper >= 1
    # Of 2000 repetitions a share of 0.95 has a standard error of 0.005.
    assert lower / len(drawn) == pytest.approx(0.95, abs=0.02)
    assert upper / len(drawn) == pytest.approx(0.95, abs=0.02)


def test_the_threshold_is_about_unbiased():
    found = [fit((0.5, 1.0, 2.0), row.tolist(), [64] * 3).threshold for row in areas((0.5, 1.0, 2.0), 64, 200, 2)]
    assert np.median(found) == pytest.approx(1, abs=0.03)


def test_areas_of_one_do_not_get_all_the_weight():
    """Where DeLong's variance is zero: the threshold still comes from the contrasts at which the curve rises."""
    found = fit([0.5, 1.0, 2.0, 10.0, 20.0], [auc_of(0.4), auc_of(0.9), auc_of(1.9), 1.0, 1.0], [64] * 5)
    assert found.threshold == pytest.approx(0.954 / 0.93, rel=0.1)


def test_lesions_that_are_never_seen_have_no_threshold():
    found = fit([0.1, 0.2, 0.4], [0.5, 0.48, 0.51], [64] * 3)
    assert found.upper is None
    assert found.threshold > 0.4
    assert found.lower > 0.4
    assert fit([0.1, 0.2], [0.4, 0.45], [64] * 2).threshold == math.inf


def test_lesions_that_are_always_seen_have_no_threshold_either():
    found = fit([0.1, 0.2, 0.4], [1.0, 1.0, 1.0], [64] * 3)
    assert found.lower is None
    assert found.threshold < 0.1


def test_sites_that_differ_widen_the_interval():
    contrasts = [0.5, 1.0, 2.0] * 2
    alike = fit(contrasts, [auc_of(c) for c in contrasts], [64] * 6)
    apart = fit(contrasts, [auc_of(c * k) for c, k in zip(contrasts, [0.4] * 3 + [2.5] * 3)], [64] * 6)
    assert apart.misfit > 3
    assert apart.upper / apart.lower > 1.3 * alike.upper / alike.lower


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], []), "positive contrasts"),
        (([0.0], [0.5], [64]), "positive contrasts"),
        (([1.0, 2.0], [0.5], [64]), "positive contrasts"),
    ],
)
def test_what_cannot_be_fitted(arguments, message):
    with pytest.raises(DataError, match=message):
        fit(*arguments)


def test_an_exponent_takes_three_contrasts():
    with pytest.raises(DataError, match="at least 3"):
        fit([1.0, 2.0], [0.7, 0.9], [64] * 2, fit_exponent=True)
