"""Figures of merit from an observer's scores: AUC and d', each with one-sided bounds.

With scores ``s_i`` of ``n_0`` images without and ``t_j`` of ``n_1`` images with the lesion, all independent:

**AUC** is the share of pairs in the right order, ties counting half (Mann, Whitney 1947). With the placements ``V_i``, the share of
``t`` above ``s_i``, and ``W_j``, the share of ``s`` below ``t_j``, its variance is ``var(V) / n_0 + var(W) / n_1`` (DeLong, DeLong,
Clarke-Pearson, *Biometrics* 44 (1988) 837-845; by mid-ranks as in Sun, Xu, *IEEE Signal Process. Lett.* 21 (2014) 1389-1393). The
bounds are taken on the logit scale, ``logit A -/+ t se / (A (1 - A))`` (Pepe, *The Statistical Evaluation of Medical Tests*, 2003,
section 5.2), with Student's t and Satterthwaite's degrees of freedom of the two variances (Brunner, Munzel, *Biom. J.* 42 (2000)
17-25), which keep the level for few images. Near 1 the estimated variance collapses, and at 1 it is zero: beyond 0.98 the bound
towards 1/2 is the lower of this one and of that from the variance of Hanley and McNeil (*Radiology* 143 (1982) 29-36) at the
*hypothesised* AUC (Newcombe, *Stat. Med.* 25 (2006) 559-573, method 5), the same on the other side below 0.02. Nothing is assumed
about the scores. By simulation both bounds keep the level of 0.95 within 0.02 for true AUCs up to 0.9 from 20 images of each kind on and up
to 0.95 from 64 on; nearer to 1 the bound towards 1/2 holds more often than that.

**d'** ``= (mean t - mean s) / sqrt((var s + var t) / 2)``. For normal scores of equal variance and ``n_0 = n_1 = n``,
``T = d' sqrt(n / 2)`` has Student's noncentral distribution with ``2 n - 2`` degrees of freedom and noncentrality
``delta sqrt(n / 2)``, ``delta`` the true value; its bounds invert this distribution (Hedges, Olkin, *Statistical Methods for
Meta-Analysis*, 1985, ch. 5; Johnson, Kotz, Balakrishnan, ch. 31). For unequal variances the factor and the degrees of freedom are
Satterthwaite's. The estimate is too large by about ``3 / (4 nu - 1)`` of itself, 0.6 % at 64 images of each kind; the bounds account
for it. It assumes scores that are about normal; AUC does not.

For normal scores of equal variance ``AUC = Phi(d' / sqrt 2)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from stabtest.errors import DataError
from stabtest.findings.records import Interval
from stabtest.statistics import LEVEL

Array = NDArray[np.float64]

EXTREME = 0.98
"""AUC from which DeLong's variance is no longer trusted alone."""
FAR = 1e4
"""Student's t from which the noncentral distribution is that of a scaled chi."""


@dataclass(frozen=True)
class Figure:
    """A figure of merit.

    Parameters
    ----------
    value
        None where it cannot be had.
    interval
        Two one-sided bounds; None where there are none.
    """

    value: float | None
    interval: Interval | None


def auc(absent: Array, present: Array, *, level: float = LEVEL) -> Figure:
    """Area under the ROC curve with bounds.

    Parameters
    ----------
    absent, present
        Scores ``(n_0,)`` and ``(n_1,)``, at least two each, of independent images.
    level
        One-sided level of each bound.

    Returns
    -------
    Figure
        The interval is None only where all scores are the same: the value is then 0.5.

    Raises
    ------
    DataError
        If there are fewer than two scores of a kind, or one is not finite.

    Examples
    --------
    >>> found = auc(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5, 4.5]))
    >>> found.value, round(found.interval.lower, 2), round(found.interval.upper, 2)
    (0.8125, 0.33, 0.97)
    """
    absent, present = _checked(absent, present, level)
    v, w = placements(absent, present)
    value = float(w.mean())
    parts = (float(v.var(ddof=1)) / len(v), float(w.var(ddof=1)) / len(w))
    if sum(parts) == 0 and 0 < value < 1:
        return Figure(value, None)
    lower, upper = _logit_bounds(value, parts, (len(v), len(w)), level) if sum(parts) > 0 else (1.0, 0.0)
    method = f"DeLong on the logit scale, {len(v)} and {len(w)} images"
    if value > EXTREME or value < 1 - EXTREME:
        method += ", the bound towards 1/2 also Newcombe's method 5"
        other = _score_bound(max(value, 1 - value), len(v), len(w), level)
        lower, upper = (min(lower, other), max(upper, value)) if value > 0.5 else (min(lower, value), max(upper, 1 - other))
    return Figure(value, Interval(lower=lower, upper=upper, level=level, method=method))


def detectability_index(absent: Array, present: Array, *, level: float = LEVEL) -> Figure:
    """The observer's ``d'`` with bounds.

    Parameters
    ----------
    absent, present, level
        As for `auc`.

    Returns
    -------
    Figure
        Without spread in the scores, ``d' = 0`` for equal means, and no number (None) for others; no interval then.

    Raises
    ------
    DataError
        As for `auc`.

    Examples
    --------
    >>> found = detectability_index(np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    >>> found.value, round(found.interval.lower, 2), round(found.interval.upper, 2)
    (2.0, 0.16, 3.66)
    """
    absent, present = _checked(absent, present, level)
    parts = (float(absent.var(ddof=1)), float(present.var(ddof=1)))
    difference, spread = float(present.mean() - absent.mean()), math.sqrt(sum(parts) / 2)
    if spread == 0:
        return Figure(0.0 if difference == 0 else None, None)
    value = difference / spread
    of_mean = (parts[0] / len(absent), parts[1] / len(present))
    factor = spread / math.sqrt(sum(of_mean))
    degrees = _satterthwaite(of_mean, (len(absent), len(present)))
    # The spread is that of the mean variance, the noncentral t that of the standard error: the same for equal numbers.
    lower, upper = (noncentrality(value * factor, degrees, p) / factor for p in (level, 1 - level))
    method = f"noncentral t, {degrees:.4g} degrees of freedom, {len(absent)} and {len(present)} images"
    return Figure(value, Interval(lower=lower, upper=upper, level=level, method=method))


def auc_of(detectability: float) -> float:
    """``Phi(d' / sqrt 2)``.

    Examples
    --------
    >>> auc_of(0.0), round(auc_of(1.0), 4)
    (0.5, 0.7602)
    """
    return float(special.ndtr(detectability / math.sqrt(2)))


def detectability_of(area: float) -> float:
    """``sqrt 2 Phi^-1(AUC)``.

    Examples
    --------
    >>> round(detectability_of(0.75), 4)
    0.9539
    """
    return math.sqrt(2) * float(special.ndtri(area))


def placements(absent: Array, present: Array) -> tuple[Array, Array]:
    """``V``, the share of ``present`` above each absent score, and ``W``, the share of ``absent`` below each present one.

    Examples
    --------
    >>> [p.tolist() for p in placements(np.array([0.0, 2.0]), np.array([1.0, 2.0]))]
    [[1.0, 0.25], [0.5, 0.75]]
    """
    n, m = len(absent), len(present)
    ranks = stats.rankdata(np.concatenate([absent, present]))
    v = 1 - (ranks[:n] - stats.rankdata(absent)) / m
    w = (ranks[n:] - stats.rankdata(present)) / n
    return v, w


def noncentrality(t: float, degrees: float, probability: float) -> float:
    """The noncentrality with which Student's t stays below ``t`` with this probability.

    Examples
    --------
    >>> delta = noncentrality(3.0, 20, 0.95)
    >>> round(float(special.nctdtr(20, delta, 3.0)), 6)
    0.95
    """
    if abs(t) > FAR:
        # Next to this the normal deviate in the numerator is nothing: T = delta / sqrt(chi^2 / nu).
        tail = probability if t > 0 else 1 - probability
        return t * math.sqrt(float(special.chdtri(degrees, tail)) / degrees)

    def excess(delta: float) -> float:
        return float(special.nctdtr(degrees, delta, t)) - probability

    # The probability falls with delta; far out in the tails it cannot be computed, so the bracket grows from the middle.
    step = math.sqrt(1 + t * t / (2 * degrees))
    low = high = t
    while excess(low) < 0:
        low -= step
    while excess(high) > 0:
        high += step
    return float(optimize.brentq(excess, low, high, xtol=1e-9, rtol=1e-12))  # pyright: ignore[reportArgumentType]


def area_variance(area: float, absent: int, present: int) -> float:
    """Variance of a Mann-Whitney estimate where the AUC is known (Hanley, McNeil 1982, exponential scores).

    Examples
    --------
    >>> round(area_variance(0.5, 10, 10), 6) == round(21 / 1200, 6)
    True
    """
    one, two = area / (2 - area), 2 * area * area / (1 + area)
    square = area * area
    pairs = area * (1 - area) + (present - 1) * (one - square) + (absent - 1) * (two - square)
    return pairs / (absent * present)


def _logit_bounds(value: float, parts: tuple[float, float], counts: tuple[int, int], level: float) -> tuple[float, float]:
    quantile = float(special.stdtrit(_satterthwaite(parts, counts), level))
    half = quantile * math.sqrt(sum(parts)) / (value * (1 - value))
    centre = float(special.logit(value))
    return float(special.expit(centre - half)), float(special.expit(centre + half))


def _score_bound(value: float, absent: int, present: int, level: float) -> float:
    """The AUC ``A < value`` with ``A + z sqrt(V(A)) = value``."""
    z = float(special.ndtri(level))

    def excess(area: float) -> float:
        return area + z * math.sqrt(area_variance(area, absent, present)) - value

    grid = np.linspace(0.0, value, 201)
    below = [float(a) for a in grid if excess(float(a)) < 0]
    if not below:
        return 0.0
    last = below[-1]
    following = float(grid[min(int(np.searchsorted(grid, last)) + 1, len(grid) - 1)])
    if excess(following) <= 0:
        return last
    return float(optimize.brentq(excess, last, following))  # pyright: ignore[reportArgumentType]


def _satterthwaite(parts: tuple[float, float], counts: tuple[int, int]) -> float:
    weights = [part * part / (count - 1) for part, count in zip(parts, counts)]
    return sum(parts) ** 2 / sum(weights)


def _checked(absent: Array, present: Array, level: float) -> tuple[Array, Array]:
    absent, present = (np.asarray(scores, dtype=np.float64) for scores in (absent, present))
    if absent.ndim != 1 or present.ndim != 1 or min(len(absent), len(present)) < 2:
        raise DataError("scores", expected="at least two of each kind, one axis", came=f"{absent.shape} and {present.shape}")
    if not (np.isfinite(absent).all() and np.isfinite(present).all()):
        raise DataError("scores", expected="finite numbers", came="NaN or infinity")
    if not 0 < level < 1:
        raise DataError("interval", expected="a level inside (0, 1)", came=str(level))
    return absent, present
