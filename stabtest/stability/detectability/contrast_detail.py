"""Contrast and detail: how much contrast a lesion of each size needs before an observer can tell.

For one diameter the threshold contrast is where the psychometric function of an observer reaches an AUC of 0.75
(`stabtest.stability.detectability.psychometric`); thresholds over diameters are the contrast-detail diagram (Rose, *J. Opt. Soc. Am.*
38 (1948) 196-208; Burgess, *J. Opt. Soc. Am. A* 16 (1999) 633-646). Shams are left out: the curve passes through 1/2 at zero by
itself. Several sites enter one curve; if their thresholds differ, that shows as misfit and widens the interval. A threshold outside of the
contrasts that were measured is not given, nor one from a curve that does not describe the AUCs at all (misfit above `MOST_MISFIT`), such as one
that levels off below 1.

**Smallest diameter** at a given contrast: where the threshold as a function of the diameter, on logarithmic scales between the measured
diameters, falls to this contrast; its bounds are where the bounds of the threshold do.

**Two methods** are compared by the ratio of their thresholds: with several patients by Student's t on the logarithms of one paired ratio
a patient (`stabtest.statistics`); with one patient by combining the two intervals (MOVER: Zou, Donner, *Stat. Med.* 27 (2008) 1693-1702)
as if they were independent. Both methods see the same noise; as far as that makes their errors rise and fall together the
combination is too wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stabtest import statistics
from stabtest.errors import DataError
from stabtest.findings.detectability_rows import DetectabilityRow, ThresholdRatioRow, ThresholdRow
from stabtest.findings.records import Interval
from stabtest.stability.detectability.figures import detectability_of
from stabtest.stability.detectability.psychometric import fit

MOST_MISFIT = 10.0
"""Chi square over its degrees of freedom from which a curve says nothing."""


def thresholds(
    rows: Iterable[DetectabilityRow], *, auc: float = 0.75, fit_exponent: bool = False, level: float = statistics.LEVEL
) -> list[ThresholdRow]:
    """Threshold contrast of each case, method, observer, diameter and sign of the contrast.

    Parameters
    ----------
    rows
        Of `DetectabilityTest`; shams are left out.
    auc, fit_exponent, level
        As for `psychometric.fit`.

    Returns
    -------
    list of ThresholdRow
        In the order in which they first appear.

    Raises
    ------
    DataError
        As for `psychometric.fit`, or where bright and dark lesions are mixed.

    Examples
    --------
    >>> from stabtest.stability.detectability.figures import auc_of
    >>> fixed = {"case": "a", "method": "net", "observer": "npw", "site": "(8, 8)", "diameter_px": 4, "realisations": 64}
    >>> fixed |= {"training": 0, "channels": 0, "auc_interval": None, "detectability": None, "detectability_interval": None}
    >>> fixed |= {"ideal_auc": 0.9, "carried": True}
    >>> def row(c):  # d' = 40 c in the images, 50 c in the data
    ...     return DetectabilityRow(contrast=c, auc=auc_of(40 * c), data_detectability=50 * c, **fixed)
    >>> (found,) = thresholds([row(0.01), row(0.02), row(0.04)])
    >>> round(found.threshold, 4), round(found.ideal_threshold, 4)
    (0.0238, 0.0191)
    """
    groups: dict[tuple[str, str, str, float], list[DetectabilityRow]] = {}
    for row in rows:
        if row.contrast:
            groups.setdefault((row.case, row.method, row.observer, row.diameter_px), []).append(row)
    found: list[ThresholdRow] = []
    for group in groups.values():
        if len({row.contrast > 0 for row in group}) > 1:
            raise DataError(
                "threshold contrast", expected="bright lesions or dark ones", came="both", remedy="give one kind at a time"
            )
        contrasts = [abs(row.contrast) for row in group]
        curve = fit(
            contrasts,
            [row.auc for row in group],
            [row.realisations for row in group],
            auc=auc,
            fit_exponent=fit_exponent,
            level=level,
        )
        fits = curve.misfit is None or curve.misfit <= MOST_MISFIT
        inside = fits and min(contrasts) <= curve.threshold <= max(contrasts)
        # d' of the raw data is proportional to contrast.
        slope = statistics.mean([row.data_detectability / abs(row.contrast) for row in group])
        bounded = fits and (curve.lower is not None or curve.upper is not None)
        method = f"quasi-score, {len(group)} conditions"
        found.append(
            ThresholdRow(
                case=group[0].case,
                method=group[0].method,
                observer=group[0].observer,
                diameter_px=group[0].diameter_px,
                auc=auc,
                threshold=curve.threshold if inside else None,
                interval=Interval(lower=curve.lower, upper=curve.upper, level=level, method=method) if bounded else None,
                exponent=curve.exponent,
                exponent_fitted=fit_exponent,
                ideal_threshold=detectability_of(auc) / slope if slope > 0 else math.inf,
                conditions=len(group),
                misfit=curve.misfit,
            )
        )
    return found


@dataclass(frozen=True)
class SmallestDiameter:
    """Smallest diameter that an observer detects at one contrast.

    Parameters
    ----------
    diameter_px
        None where no measured diameter is at its threshold there, or all are beyond it.
    lower, upper
        Where the lower and the upper bounds of the thresholds cross this contrast; None = open.
    """

    diameter_px: float | None
    lower: float | None
    upper: float | None


def smallest_diameter(rows: Iterable[ThresholdRow], *, contrast: float) -> SmallestDiameter:
    """Smallest detectable diameter at a given contrast, for one case, method and observer.

    Parameters
    ----------
    rows
        Thresholds of several diameters.
    contrast
        Its magnitude.

    Returns
    -------
    SmallestDiameter
        By interpolation between measured diameters only.

    Raises
    ------
    DataError
        If the contrast is not positive or the rows belong to several cases, methods or observers.

    Examples
    --------
    >>> def row(diameter, threshold, method="net"):
    ...     fixed = {"case": "a", "observer": "npw", "auc": 0.75, "interval": None, "exponent": 1, "exponent_fitted": False}
    ...     fixed |= {"ideal_threshold": 0.01, "conditions": 3, "misfit": None}
    ...     return ThresholdRow(diameter_px=diameter, threshold=threshold, method=method, **fixed)
    >>> round(smallest_diameter([row(2, 0.2), row(4, 0.1), row(8, 0.05)], contrast=0.08).diameter_px, 3)
    5.0
    """
    ordered = sorted(rows, key=lambda row: row.diameter_px)
    if not contrast > 0 or len({(row.case, row.method, row.observer) for row in ordered}) != 1:
        raise DataError(
            "smallest diameter", expected="a positive contrast and rows of one case, method and observer", came=str(contrast)
        )
    diameters = [row.diameter_px for row in ordered]
    lower = [row.interval.lower if row.interval else None for row in ordered]
    upper = [row.interval.upper if row.interval else None for row in ordered]
    middle = _falls_to(diameters, [row.threshold for row in ordered], contrast)
    return SmallestDiameter(middle, _falls_to(diameters, lower, contrast), _falls_to(diameters, upper, contrast))


def compare(
    rows: Iterable[ThresholdRow],
    *,
    method: str,
    reference: str,
    patients: Mapping[str, str] | None = None,
    level: float = statistics.LEVEL,
) -> list[ThresholdRatioRow]:
    """Ratio of the threshold contrasts of two methods, for each observer and diameter.

    Parameters
    ----------
    rows
        Thresholds of both methods on the same cases.
    method, reference
        Their names; a ratio above 1 says that ``method`` needs more contrast.
    patients
        Case name to patient; a case that is not in it is its own patient.
    level
        One-sided level of the bounds.

    Returns
    -------
    list of ThresholdRatioRow
        Only where both thresholds are known in at least one case.

    Examples
    --------
    >>> def row(diameter, threshold, method="net"):
    ...     fixed = {"case": "a", "observer": "npw", "auc": 0.75, "interval": None, "exponent": 1, "exponent_fitted": False}
    ...     fixed |= {"ideal_threshold": 0.01, "conditions": 3, "misfit": None}
    ...     return ThresholdRow(diameter_px=diameter, threshold=threshold, method=method, **fixed)
    >>> (found,) = compare([row(4, 0.06), row(4, 0.02, "tv")], method="net", reference="tv")
    >>> round(found.ratio, 6), found.interval is None
    (3.0, True)
    """
    groups: dict[tuple[str, float], dict[str, dict[str, ThresholdRow]]] = {}
    for row in rows:
        if row.threshold is not None and row.method in (method, reference):
            groups.setdefault((row.observer, row.diameter_px), {}).setdefault(row.method, {})[row.case] = row
    found: list[ThresholdRatioRow] = []
    for of in groups.values():
        one, other = of.get(method, {}), of.get(reference, {})
        pairs = [(one[case], other[case]) for case in one if case in other]
        if not pairs:
            continue
        logs = [((patients or {}).get(a.case, a.case), math.log((a.threshold or 0) / (b.threshold or 1))) for a, b in pairs]
        values = [math.exp(value) for value in statistics.by_patient(logs, statistics.mean)]
        interval = statistics.ratio_interval(values, level=level) if len(pairs) > 1 else _combined(*pairs[0], level)
        found.append(
            ThresholdRatioRow(
                method=method,
                reference=reference,
                observer=pairs[0][0].observer,
                diameter_px=pairs[0][0].diameter_px,
                ratio=statistics.geometric_mean(values),
                interval=interval,
                patients=len(values),
            )
        )
    return found


def _falls_to(diameters: Sequence[float], heights: Sequence[float | None], target: float) -> float | None:
    known = [(d, h) for d, h in zip(diameters, heights) if h is not None]
    for (d0, h0), (d1, h1) in pairwise(known):
        if h0 >= target >= h1 and h0 > h1:
            share = math.log(h0 / target) / math.log(h0 / h1)
            return d0 * (d1 / d0) ** share
    return None


def _combined(one: ThresholdRow, other: ThresholdRow, level: float) -> Interval | None:
    """MOVER on logarithms."""
    a, b = one.interval, other.interval
    if a is None or b is None or one.threshold is None or other.threshold is None:
        return None
    x, y = math.log(one.threshold), math.log(other.threshold)

    def bound(mine: float | None, yours: float | None, sign: int) -> float | None:
        if mine is None or yours is None:
            return None
        return math.exp(x - y + sign * math.hypot(x - math.log(mine), y - math.log(yours)))

    lower, upper = bound(a.lower, b.upper, -1), bound(a.upper, b.lower, 1)
    if lower is None and upper is None:
        return None
    return Interval(lower=lower, upper=upper, level=level, method="MOVER of two intervals, one patient")
