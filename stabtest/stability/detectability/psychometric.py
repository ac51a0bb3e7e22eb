"""The psychometric function: how the AUC grows with contrast, and the contrast at which it reaches 0.75.

A linear method shows a lesion of contrast ``c`` as ``c`` times the same signal in the same noise, so that ``d' = k c`` and
``AUC = Phi(k c / sqrt 2)``. With an exponent ``b`` for methods that are not linear, and written by the threshold ``c_T`` at which
``AUC = T``,

    AUC(c)  =  Phi( z_T (c / c_T)^b ),        z_T = Phi^-1(T),        T = 0.75 by default, where d' = 0.954.

**Fit.** An estimated AUC ``A_i`` counts as ``N_i = A (1 - A) / var A`` trials of a yes or no, with the variance that an estimate has where
the AUC is the *fitted* one (`normal_area_variance`): the variance that DeLong takes from the scores is zero at ``A_i = 1`` and would
give the easiest lesions all the weight. The fit maximises the quasi-likelihood ``sum N_i (A_i log AUC + (1 - A_i) log(1 - AUC))``, the
``N_i`` renewed until they stay (McCullagh, Nelder, *Generalized Linear Models*, 1989, ch. 9).

**Bounds** of ``x = log c_T`` invert the test by quasi-score,

    S(x) = sum (A_i - mu_i) / V_i . g_i / sqrt(sum g_i^2 / V_i),        mu = AUC(c_i), V_i = var A_i at mu_i, g = -d mu / dx,

of mean 0 and variance 1 at the true threshold, which needs no variance but that of the hypothesis (Rao 1948; Heyde, *Quasi-Likelihood
and its Application*, 1997, ch. 9): the bounds are where ``S`` is ``-/+ z``, the one-sided normal quantile. Where ``b`` is fitted, it is fitted
anew at every ``x`` and its direction is taken out of ``g`` (Neyman's C(alpha)). Where the curve does not fit (Pearson's chi square
exceeds what 5 % of samples have), ``z`` becomes Student's ``t`` times the root of chi square over its degrees of freedom, as in the
analysis of heterogeneous probits (Finney, *Probit Analysis*, 3rd ed., 1971, ch. 4). A bound that lies more than `REACH` times
outside of the contrasts measured is open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from stabtest import statistics
from stabtest.errors import DataError
from stabtest.stability.detectability.figures import Array

REACH = 4.0
"""How far outside of the measured contrasts a bound is still given, as a factor."""
EXPONENTS = (0.25, 4.0)
"""Range in which an exponent is fitted."""
HETEROGENEOUS = 0.05
"""Probability of a chi square as large, below which the curve is taken not to fit."""
GRID = 81
"""Places at which the threshold is first looked for."""
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True)
class Psychometric:
    """A fitted psychometric function.

    Parameters
    ----------
    threshold
        ``c_T``, wherever it lies; infinite where no AUC rises above 1/2.
    lower, upper
        One-sided bounds of it; None = open.
    exponent
        ``b``.
    misfit
        Pearson's chi square over its degrees of freedom; None without any.
    """

    threshold: float
    lower: float | None
    upper: float | None
    exponent: float
    misfit: float | None


def fit(
    contrasts: Sequence[float],
    areas: Sequence[float],
    images: Sequence[int],
    *,
    auc: float = 0.75,
    fit_exponent: bool = False,
    level: float = statistics.LEVEL,
) -> Psychometric:
    """Fit the psychometric function to estimated AUCs.

    Parameters
    ----------
    contrasts
        Magnitudes, positive.
    areas
        Estimated AUC at each, from independent images.
    images
        Images of each kind behind each AUC.
    auc
        ``T``, between 1/2 and 1.
    fit_exponent
        Whether ``b`` is fitted too; it takes three different contrasts.
    level
        One-sided level of the bounds.

    Raises
    ------
    DataError
        If there is nothing to fit, lengths differ, a contrast is not positive, or there are too few contrasts for an exponent.

    Examples
    --------
    >>> from stabtest.stability.detectability.figures import auc_of
    >>> contrasts = [0.01, 0.02, 0.04]
    >>> found = fit(contrasts, [auc_of(50 * c) for c in contrasts], [64] * 3)
    >>> round(found.threshold * 50, 4)  # d' = 0.9539
    0.9539
    """
    c, a, n = np.asarray(contrasts, float), np.asarray(areas, float), np.asarray(images, float)
    if not len(c) or not len(c) == len(a) == len(n) or not (c > 0).all() or not 0.5 < auc < 1:
        raise DataError(
            "psychometric function", expected="positive contrasts, an AUC and a count for each", came=f"{contrasts}, {areas}"
        )
    if fit_exponent and len(set(contrasts)) < 3:
        raise DataError(
            "psychometric function: exponent", expected="at least 3 different contrasts", came=str(len(set(contrasts)))
        )
    curve = _Curve(c, a, n, float(special.ndtri(auc)), EXPONENTS if fit_exponent else (1.0, 1.0))
    # Beyond these the curve is flat at 1/2 or at 1 over all contrasts.
    low, high = math.log(c.min() / 50), math.log(c.max() * 50)
    weights, place, exponent = n / 2, 0.5 * (math.log(c.min()) + math.log(c.max())), 1.0
    for _ in range(20):
        before, (place, exponent) = place, curve.best(weights, low, high)
        weights = curve.trials(place, exponent)
        if abs(place - before) < 1e-5:
            break
    freedom = len(c) - 1 - int(fit_exponent)
    fitted = curve.at(place, exponent)
    square = float((weights * (a - fitted) ** 2 / (fitted * (1 - fitted))).sum())
    misfit = square / freedom if freedom > 0 else None
    quantile = float(special.ndtri(level))
    if misfit is not None and float(special.chdtrc(freedom, square)) < HETEROGENEOUS:
        quantile = float(special.stdtrit(freedom, level)) * math.sqrt(misfit)
    reach = (math.log(c.min() / REACH), math.log(c.max() * REACH))
    lower = _crossing(lambda x: curve.score(weights, x) + quantile, min(place, reach[1]), reach[0])
    upper = _crossing(lambda x: curve.score(weights, x) - quantile, max(place, reach[0]), reach[1])
    edge = place > high - 1e-3
    return Psychometric(math.inf if edge else math.exp(place), lower, upper, exponent, misfit)


def normal_area_variance(area: Array, images: Array) -> Array:
    """Variance of a Mann-Whitney estimate from ``n`` normal scores of each kind, equal variances, where the AUC is known.

    ``[A (1 - A) + 2 (n - 1) (Q - A^2)] / n^2`` with ``Q`` the probability that one score with the lesion lies above two without,
    ``Q = E Phi(z sqrt 2 + x)^2``, ``z = Phi^-1(A)``, ``x`` standard normal.

    Examples
    --------
    >>> round(float(normal_area_variance(np.array(0.5), np.array(10.0))), 6) == round(21 / 1200, 6)
    True
    """
    shifted = special.ndtr(math.sqrt(2) * special.ndtri(area)[..., None] + NODES)
    q = (shifted**2 @ NODE_WEIGHTS) / NODE_WEIGHTS.sum()
    variance: Array = (area * (1 - area) + 2 * (images - 1) * (q - area**2)) / images**2
    return variance


@dataclass(frozen=True, eq=False)
class _Curve:
    """AUCs at contrasts, and the family of curves through them: ``x = log c_T`` and ``b``."""

    contrasts: Array
    areas: Array
    images: Array
    z: float
    exponents: tuple[float, float]

    def at(self, x: float | Array, b: float) -> Array:
        """The AUC at every contrast (last axis), for each ``x``."""
        log_ratio = np.clip(b * (np.log(self.contrasts) - np.asarray(x)[..., None]), -700, 5)
        # At 1 the likelihood of an AUC below 1 would be zero, and infinities spread.
        clipped: Array = np.minimum(special.ndtr(self.z * np.exp(log_ratio)), 1 - 1e-9)
        return clipped

    def trials(self, x: float, b: float) -> Array:
        area = np.clip(self.at(x, b), 0.5, 1 - 1e-4)
        effective: Array = area * (1 - area) / normal_area_variance(area, self.images)
        return effective

    def losses(self, weights: Array, x: float | Array, b: float) -> Array:
        area = self.at(x, b)
        lost: Array = -(weights * (self.areas * np.log(area) + (1 - self.areas) * np.log1p(-area))).sum(-1)
        return lost

    def profile(self, weights: Array, x: float) -> tuple[float, float]:
        """Least loss over the exponent, and the exponent."""
        if self.exponents[0] == self.exponents[1]:
            return float(self.losses(weights, x, self.exponents[0])), self.exponents[0]
        low, high = (math.log(b) for b in self.exponents)
        found = optimize.minimize_scalar(
            lambda s: float(self.losses(weights, x, math.exp(s))), bounds=(low, high), method="bounded"
        )
        return float(found.fun), math.exp(float(found.x))

    def score(self, weights: Array, x: float) -> float:
        """``S(x)``, negative below the threshold."""
        b = self.profile(weights, x)[1]
        area = self.at(x, b)
        variance = normal_area_variance(area, self.images)
        log_ratio = np.clip(b * (np.log(self.contrasts) - x), -700, 5)
        steep = np.exp(-((self.z * np.exp(log_ratio)) ** 2) / 2) / math.sqrt(2 * math.pi) * self.z * np.exp(log_ratio)
        along = b * steep
        if self.exponents[0] < self.exponents[1]:
            across = steep * log_ratio
            square = float((across**2 / variance).sum())
            along = along - across * float((along * across / variance).sum()) / square if square > 0 else along
        size = math.sqrt(float((along**2 / variance).sum()))
        return float(((self.areas - area) / variance * along).sum()) / size if size > 0 else 0.0

    def best(self, weights: Array, low: float, high: float) -> tuple[float, float]:
        """The best place on a grid of places (and of exponents), then between its neighbours."""
        grid = np.linspace(low, high, GRID)
        exponents = np.geomspace(*self.exponents, 9 if self.exponents[0] < self.exponents[1] else 1)
        k = int(np.argmin(np.min([self.losses(weights, grid, float(b)) for b in exponents], 0)))
        near = (float(grid[max(k - 1, 0)]), float(grid[min(k + 1, GRID - 1)]))
        found = optimize.minimize_scalar(lambda x: self.profile(weights, x)[0], bounds=near, method="bounded")
        x = float(found.x)
        return x, self.profile(weights, x)[1]


def _crossing(excess: Callable[[float], float], inside: float, end: float) -> float | None:
    """The first change of sign on the way from the fit to an end; None if there is none."""
    path = np.linspace(inside, end, 5)
    values = [excess(float(x)) for x in path]
    for k in range(1, len(path)):
        if (values[k - 1] > 0) != (values[k] > 0):
            root = optimize.brentq(excess, float(path[k - 1]), float(path[k]), xtol=1e-9)
            return math.exp(float(root))  # pyright: ignore[reportArgumentType]
    return None
