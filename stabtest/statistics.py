"""Confidence and tolerance bounds from few independent cases.

Every bound here is one-sided: "the upper bound at level 0.95" covers from above in 95 % of repetitions, and so does the
lower bound from below; an `Interval` that carries both therefore covers in 90 %. One value enters for each *patient*: images
of one patient are not independent, so they are reduced to one value first (`by_patient`).

**Quantiles, without assumptions.** With ``n`` independent values of a continuous distribution and its quantile ``q_p``, the
number of values below ``q_p`` is binomial ``(n, p)``. Hence

    P(X_(k) >= q_p) = P(Bin(n, p) <= k - 1)    and    P(X_(k) <= q_p) = P(Bin(n, p) >= k),

and the smallest (largest) order statistic whose probability reaches the level is the bound. An upper bound for ``q_p`` is a
tolerance limit: "at least a share p of cases lies below it" (Wilks, *Ann. Math. Stat.* 12 (1941) 91-96; Hahn, Meeker,
*Statistical Intervals*, ch. 5). It exists only for ``n >= log(1 - level) / log p``: 5 cases for a median, 29 for 90 %, 59
for 95 %. Below that the side is open, ``None``. The maximum of a sample bounds nothing from above, and its bootstrap is
inconsistent (Bickel, Freedman 1981): there is none here.

**Means.** Student's t, which assumes that the values (paired differences, logarithms of ratios) are about normal; from two
values on.

**Fractions.** Clopper, Pearson, *Biometrika* 26 (1934) 404-413: exact, hence conservative.

**Values that are not finite** are results too: a network that breaks down has infinite error. Order statistics take
infinities as they are. A mean of infinities is infinite and has no interval; NaN makes any statistic NaN, without interval,
so that nothing can pass on the values that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from scipy import special

from stabtest.errors import DataError
from stabtest.findings.records import Interval

LEVEL = 0.95
"""One-sided level used throughout."""


def by_patient(values: Sequence[tuple[str, float]], reduce: Callable[[Sequence[float]], float]) -> list[float]:
    """One value for each patient.

    Parameters
    ----------
    values
        (patient, value) for each image.
    reduce
        How the images of one patient become one number: `mean`, ``max`` where the claim is about the worst image.

    Returns
    -------
    list of float
        In the order in which the patients first appear.

    Examples
    --------
    >>> by_patient([("a", 1.0), ("b", 5.0), ("a", 3.0)], mean)
    [2.0, 5.0]
    """
    groups: dict[str, list[float]] = {}
    for patient, value in values:
        groups.setdefault(patient, []).append(value)
    return [reduce(group) for group in groups.values()]


def quantile_interval(values: Sequence[float], p: float = 0.5, *, level: float = LEVEL) -> Interval | None:
    """Distribution-free bounds of a quantile from order statistics, each at a one-sided level.

    The bounds are conservative; the probability that they attain is in ``method``.

    Parameters
    ----------
    values
        Independent values, one for each patient.
    p
        The quantile, in ``(0, 1)``; 0.5 is the median.
    level
        One-sided level of each bound.

    Returns
    -------
    Interval or None
        A side on which no order statistic reaches the level is ``None``; without any side, or with NaN among the values, the
        result is ``None``.

    Raises
    ------
    DataError
        If ``p`` or ``level`` is not inside ``(0, 1)``.

    Examples
    --------
    >>> quantile_interval([3.0, 1.0, 2.0, 5.0, 4.0]).method
    'order statistics 1 and 5 of 5 for the 50 % quantile (attained 96.9 % below, 96.9 % above)'
    >>> quantile_interval([1.0, 2.0, 3.0]) is None
    True
    """
    _check(level, p)
    if any(math.isnan(value) for value in values):
        return None
    ordered = sorted(values)
    n = len(ordered)
    lower, upper = quantile_ranks(n, p, level=level)
    if lower is None and upper is None:
        return None
    attained: list[str] = []
    if lower is not None:
        attained.append(f"{_percent(_at_least(lower, n, p), 1)} below")
    if upper is not None:
        attained.append(f"{_percent(_at_most(upper - 1, n, p), 1)} above")
    ranks = [str(rank) for rank in (lower, upper) if rank is not None]
    name = f"order statistic{'s' if len(ranks) > 1 else ''} {' and '.join(ranks)} of {n}"
    return Interval(
        lower=None if lower is None else ordered[lower - 1],
        upper=None if upper is None else ordered[upper - 1],
        level=level,
        method=f"{name} for the {_percent(p)} quantile (attained {', '.join(attained)})",
    )


def quantile_ranks(n: int, p: float, *, level: float = LEVEL) -> tuple[int | None, int | None]:
    """Ranks (from 1) of the order statistics that bound the quantile ``p`` from below and from above.

    Examples
    --------
    >>> quantile_ranks(59, 0.95), quantile_ranks(58, 0.95)[1]
    ((53, 59), None)
    """
    below = [k for k in range(1, n + 1) if _at_least(k, n, p) >= level]
    above = [k for k in range(1, n + 1) if _at_most(k - 1, n, p) >= level]
    return (below[-1] if below else None), (above[0] if above else None)


def least_cases(p: float, *, level: float = LEVEL) -> int:
    """How many cases it takes before "at least a share p lies below the largest" can be said at the level.

    Examples
    --------
    >>> [least_cases(p) for p in (0.5, 0.9, 0.95)]
    [5, 29, 59]
    """
    _check(level, p)
    return math.ceil(math.log(1 - level) / math.log(p))


def mean_interval(values: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """Student's t bounds of a mean, each at a one-sided level.

    Parameters
    ----------
    values
        Independent, about normal; paired differences for a paired comparison.
    level
        One-sided level of each bound.

    Returns
    -------
    Interval or None
        ``mean -/+ t(level, n - 1) s / sqrt(n)``; ``None`` with fewer than two values, or where one is not finite.

    Raises
    ------
    DataError
        If ``level`` is not inside ``(0, 1)``.

    Examples
    --------
    >>> interval = mean_interval([0.9, 1.0, 1.1])
    >>> round(interval.lower, 4), round(interval.upper, 4)
    (0.8314, 1.1686)
    """
    _check(level)
    if len(values) < 2:
        return None
    centre = mean(values)
    spread = math.sqrt(sum((value - centre) * (value - centre) for value in values) / (len(values) - 1) / len(values))
    half = float(special.stdtrit(len(values) - 1, level)) * spread
    if not math.isfinite(half):
        return None
    return Interval(lower=centre - half, upper=centre + half, level=level, method=f"Student's t, {len(values)} patients")


def carried(interval: Interval, n: int, *, level: float) -> Interval:
    """Student's t bounds of a mean of ``n`` values, as they are at another level.

    Parameters
    ----------
    interval
        From `mean_interval`, with both bounds.
    n
        Of how many values, at least 2.
    level
        One-sided level of each bound.

    Raises
    ------
    DataError
        If ``level`` is not inside ``(0, 1)``, a bound is missing, or ``n`` is below 2.

    Examples
    --------
    >>> values = [0.9, 1.0, 1.1]
    >>> one, other = carried(mean_interval(values), 3, level=0.99), mean_interval(values, level=0.99)
    >>> abs(one.lower - other.lower) < 1e-12 and abs(one.upper - other.upper) < 1e-12
    True
    """
    _check(level)
    if interval.lower is None or interval.upper is None or n < 2:
        raise DataError("interval of a mean", expected="two bounds and at least 2 values", came=f"{interval}, {n} values")
    centre = (interval.lower + interval.upper) / 2
    half = (interval.upper - interval.lower) / 2 * float(special.stdtrit(n - 1, level) / special.stdtrit(n - 1, interval.level))
    return interval.model_copy(update={"lower": centre - half, "upper": centre + half, "level": level})


def ratio_interval(values: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """Student's t bounds of a geometric mean of positive ratios, on their logarithms; ``None`` as for `mean_interval`.

    Raises
    ------
    DataError
        If a value is zero or negative.

    Examples
    --------
    >>> interval = ratio_interval([2.0, 4.0, 8.0])
    >>> round(interval.lower, 3), round(interval.upper, 3)
    (1.243, 12.869)
    """
    if any(value <= 0 for value in values):
        raise DataError("ratios", expected="positive numbers", came=str(list(values)))
    interval = mean_interval([math.log(value) for value in values], level=level)
    if interval is None or interval.lower is None or interval.upper is None:
        return None
    method = f"Student's t on logarithms, {len(values)} patients"
    return Interval(lower=_exp(interval.lower), upper=_exp(interval.upper), level=level, method=method)


def simultaneous(
    bounds: Callable[..., Interval | None], values: Sequence[float], comparisons: int, *, level: float = LEVEL
) -> Interval | None:
    """Bounds of one of several means or ratios, so that those of all of them hold together (Bonferroni).

    Parameters
    ----------
    bounds
        `mean_interval` or `ratio_interval`.
    values
        As it takes them.
    comparisons
        How many there are.
    level
        At which all of them hold together.

    Returns
    -------
    Interval or None
        Named so; ``None`` as for ``bounds``.

    Examples
    --------
    >>> one = simultaneous(mean_interval, [0.9, 1.0, 1.1], 5)
    >>> one.lower == mean_interval([0.9, 1.0, 1.1], level=0.99).lower, one.level
    (True, 0.95)
    """
    interval = bounds(values, level=1 - (1 - level) / comparisons)
    if interval is None or comparisons == 1:
        return interval
    method = f"{interval.method}, Bonferroni over {comparisons} comparisons"
    return interval.model_copy(update={"level": level, "method": method})


def fraction_interval(successes: int, n: int, *, level: float = LEVEL) -> Interval | None:
    """Clopper-Pearson bounds of a fraction, each at a one-sided level; ``None`` without trials.

    Raises
    ------
    DataError
        If the counts contradict each other.

    Examples
    --------
    >>> fraction_interval(0, 59).upper < 0.05 < fraction_interval(0, 58).upper
    True
    """
    _check(level)
    if not 0 <= successes <= n:
        raise DataError("fraction", expected="0 <= successes <= n", came=f"{successes} of {n}")
    if n == 0:
        return None
    lower = float(special.betaincinv(successes, n - successes + 1, 1 - level)) if successes else 0.0
    upper = float(special.betaincinv(successes + 1, n - successes, level)) if successes < n else 1.0
    return Interval(lower=lower, upper=upper, level=level, method=f"Clopper-Pearson, {successes} of {n} patients")


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; NaN where infinities of both signs meet.

    Examples
    --------
    >>> mean([1.0, 3.0]), mean([1.0, math.inf]), mean([math.inf, -math.inf])
    (2.0, inf, nan)
    """
    try:
        return math.fsum(values) / len(values)
    except (ValueError, OverflowError):  # fsum raises where plain addition gives NaN or infinity
        return sum(values) / len(values)


def geometric_mean(values: Sequence[float]) -> float:
    """Geometric mean of positive numbers.

    Examples
    --------
    >>> round(geometric_mean([2.0, 8.0]), 6)
    4.0
    """
    return _exp(mean([math.log(value) if value else -math.inf for value in values]))


def median(values: Sequence[float]) -> float:
    """Sample median, the mean of the two middle values for an even number; NaN if a value is."""
    if any(math.isnan(value) for value in values):
        return math.nan
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def paired(one: Mapping[str, float], other: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """The keys that both have, with both values: what a paired comparison may use.

    Examples
    --------
    >>> paired({"a": 1.0, "b": 2.0}, {"b": 3.0})
    [('b', 2.0, 3.0)]
    """
    return [(key, value, other[key]) for key, value in one.items() if key in other]


def _at_most(k: int, n: int, p: float) -> float:
    """``P(Bin(n, p) <= k)``."""
    return float(special.bdtr(k, n, p))


def _at_least(k: int, n: int, p: float) -> float:
    """``P(Bin(n, p) >= k)``."""
    return float(special.bdtrc(k - 1, n, p))


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _exp(value: float) -> float:
    return math.inf if value >= 700 else math.exp(value)


def _check(level: float, p: float = 0.5) -> None:
    if not 0 < level < 1 or not 0 < p < 1:
        raise DataError("interval", expected="level and p inside (0, 1)", came=f"level {level}, p {p}")
