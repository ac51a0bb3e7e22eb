"""Does a method resolve less where there is less contrast? The fall of f50 from the highest contrast to a lower one.

A linear method has one resolution for all contrasts. A denoiser that keeps strong edges and smooths weak ones does not, and its
resolution at high contrast says nothing about a faint lesion (Richard et al., Med. Phys. 39 (2012) 4115-4122; Yu, Vrieze, Leng,
Fletcher, McCollough, *Technical note: measuring contrast- and noise-dependent spatial resolution of an iterative reconstruction
method in CT using ensemble averaging*, Med. Phys. 42 (2015) 2261-2267). With the curve of the mean change at each contrast,

    fall  =  1 - f50(low) / f50(high).

**Jackknife.** f50 belongs to the mean over ``n`` noise realisations, of which there is one. With ``theta`` that of all and
``theta_(-i)`` without realisation ``i``, the pseudo-values ``n theta - (n - 1) theta_(-i)`` are about independent, and their mean
has the bias of order ``1/n`` removed (Tukey 1958; Miller, *The jackknife - a review*, Biometrika 61 (1974) 1-15). Student's t on
them bounds the value that belongs to the *expected* change. ``theta`` is the period ``1 / f50`` and not f50 itself, which is
skewed to the right where the edge is sharp. For the fall ``theta = f50(high) / f50(low)``, a ratio of periods in the same noise,
hence paired. Simulated with edges of 0.19 to 0.34 cycles per pixel at the gate of `resolution`, each bound covers within 2 % of
its 95 % (the tests).

A frequency beyond Nyquist is not known; for the fall it counts as the Nyquist frequency, which makes falls from there look
smaller than they are. "Resolves less" is said where the one-sided lower bound of the fall, Bonferroni over the contrasts of one
method, lies above `LEAST_FALL`: a smaller fall matters to nobody, and rounding makes differences too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from stabtest import statistics
from stabtest.findings.physics_rows import ContrastStatement, TransferRow
from stabtest.findings.records import Interval
from stabtest.stability.physics.ttf import NYQUIST

LEAST_FALL = 0.05
"""Relative fall of f50 that is worth a statement."""
EQUAL = 0.0005
"""Relative difference up to which f50 is called the same."""


def f50_interval(f50: float, left_out: Sequence[float], *, units: str, level: float = statistics.LEVEL) -> Interval | None:
    """Bounds of f50, from the jackknife of its reciprocal.

    Parameters
    ----------
    f50
        From all ``n`` units, cycles per pixel.
    left_out
        Without each of them, ``n`` values.
    units
        What they are, for the words of the interval.
    level
        One-sided level of each bound.

    Returns
    -------
    Interval or None
        ``None`` with fewer than two units, or where a frequency is not finite; ``None`` as its upper bound where the period may be
        zero.

    Examples
    --------
    >>> found = f50_interval(0.2, [0.201, 0.2, 0.199], units="scans")
    >>> round(found.lower, 3), round(found.upper, 3), found.method
    (0.197, 0.203, "jackknife of the period, Student's t, 3 scans")
    """
    if not all(math.isfinite(f) and f > 0 for f in (f50, *left_out)):
        return None
    period = _jackknife(1 / f50, [1 / f for f in left_out], level)
    if period is None or period.lower is None or period.upper is None:
        return None
    method = f"jackknife of the period, Student's t, {len(left_out)} {units}"
    lower = 1 / period.upper if period.upper > 0 else None
    return Interval(lower=lower, upper=1 / period.lower if period.lower > 0 else None, level=level, method=method)


def _jackknife(value: float, left_out: Sequence[float], level: float) -> Interval | None:
    n = len(left_out)
    return statistics.mean_interval([n * value - (n - 1) * other for other in left_out], level=level)


def contrast_statements(
    rows: Iterable[TransferRow], *, patients: Mapping[str, str] | None = None, level: float = statistics.LEVEL
) -> list[ContrastStatement]:
    """Compare each lower contrast with the highest: for every case, and for every method over patients.

    Parameters
    ----------
    rows
        Rows of any methods and cases.
    patients
        Case name to patient; a case that is not in it is its own patient.
    level
        One-sided simultaneous level of the bounds over the contrasts of one method.

    Returns
    -------
    list of ContrastStatement
        Over patients (``case=None``) where there are two or more of them.

    Examples
    --------
    >>> fixed = dict(case="a", method="net", quantity="value", diameter_px=16, sites=1, realisations=3, noise_ratio=1, step=1,
    ...     frequencies=[0, 0.5], transfer=[1, 0], f10=None, f50_interval=None, left_out="noise realisations", edge_cnr=99,
    ...     data_detectability=99, reliable=True)
    >>> high = TransferRow(contrast=0.2, f50=0.4, f50_left_out=[0.41, 0.4, 0.39], **fixed)
    >>> low = TransferRow(contrast=0.02, f50=0.2, f50_left_out=[0.205, 0.2, 0.195], **fixed)
    >>> contrast_statements([high, low])[0].statement.split(" (")[0]
    'Resolves less at low contrast: f50 is 50 % lower at contrast 0.02 than at 0.2'
    """
    groups: dict[str, dict[str, list[TransferRow]]] = {}
    for row in rows:
        groups.setdefault(row.method, {}).setdefault(row.case, []).append(row)
    found: list[ContrastStatement] = []
    for method, cases in groups.items():
        falls: dict[tuple[float, float], list[tuple[str, float | None]]] = {}
        for case, group in cases.items():
            high = max(group, key=lambda row: abs(row.contrast))
            lower = sorted((row for row in group if abs(row.contrast) < abs(high.contrast)), key=lambda row: -abs(row.contrast))
            each = _each(level, len(lower))
            for low in lower:
                fall, interval = _fall(high, low, each)
                why = _why(high, low) if fall is None else ""
                found.append(_statement(method, case, high.contrast, low.contrast, fall, interval, level, why))
                falls.setdefault((high.contrast, low.contrast), []).append(((patients or {}).get(case, case), fall))
        for (high_contrast, low_contrast), values in falls.items():
            compared = [(patient, fall) for patient, fall in values if fall is not None]
            by_patient = statistics.by_patient(compared, statistics.mean)
            if len(by_patient) >= 2:
                interval = statistics.mean_interval(by_patient, level=_each(level, len(falls)))
                mean, missing = statistics.mean(by_patient), len(values) - len(compared)
                rest = f"; {missing} of {len(values)} cases not compared" if missing else ""
                found.append(_statement(method, None, high_contrast, low_contrast, mean, interval, level, rest))
    return found


def _each(level: float, comparisons: int) -> float:
    """Bonferroni: all bounds of one method hold together at the level."""
    return 1 - (1 - level) / max(1, comparisons)


def _fall(high: TransferRow, low: TransferRow, level: float) -> tuple[float | None, Interval | None]:
    if high.f50 is None or low.f50 is None or not (high.reliable and low.reliable):
        return None, None
    ratio = _ratio(high.f50, low.f50)
    paired = len(high.f50_left_out) == len(low.f50_left_out)
    left_out = [_ratio(*pair) for pair in zip(high.f50_left_out, low.f50_left_out)] if paired else []
    found = _jackknife(ratio, left_out, level)
    if found is None or found.lower is None or found.upper is None:
        return 1 - 1 / ratio, None
    bounds = [1 - 1 / bound if bound > 0 else None for bound in (found.lower, found.upper)]
    method = f"jackknife, Student's t, {len(left_out)} {low.left_out}"
    return 1 - 1 / ratio, Interval(lower=bounds[0], upper=bounds[1], level=level, method=method)


def _ratio(high: float, low: float) -> float:
    return min(high, NYQUIST) / min(low, NYQUIST)


def _why(high: TransferRow, low: TransferRow) -> str:
    row = low if not low.reliable or low.f50 is None else high
    return f"{100 * row.step:.3g} % of the edge came back at contrast {row.contrast:g}" + (
        "" if row.edge_cnr is None else f", {row.edge_cnr:.3g} times the noise of the averaged change"
    )


def _statement(
    method: str,
    case: str | None,
    high: float,
    low: float,
    fall: float | None,
    interval: Interval | None,
    level: float,
    why: str,
) -> ContrastStatement:
    """``why`` is why there is no fall, or what else there is to say."""
    lower = None if interval is None else interval.lower
    if interval is not None:
        interval = interval.model_copy(update={"level": level})  # simultaneous
    moved = "" if fall is None else f"f50 is {abs(100 * fall):.3g} % {'lower' if fall > 0 else 'higher'}"
    if fall is not None and abs(fall) < EQUAL:
        moved = f"f50 is the same within {100 * EQUAL:g} %"
    span = f"{moved} at contrast {low:g} {'as' if 'same' in moved else 'than'} at {high:g}"
    if fall is None:
        words = f"Not compared: {why}."
    elif interval is None:
        words = f"{span}; no interval can be had{why}."
    elif lower is not None and lower > LEAST_FALL:
        bound = f"({100 * level:.0f} % lower bound {100 * lower:.3g} %, {interval.method})"
        words = f"Resolves less at low contrast: {span} {bound}{why}."
    else:
        open_above = interval.upper is None or interval.upper > LEAST_FALL
        shown = "shown, and none excluded" if open_above else "shown"
        words = f"No loss of resolution above {100 * LEAST_FALL:.0f} % {shown}: {span} ({interval.method}){why}."
    return ContrastStatement(
        method=method, case=case, high_contrast=high, low_contrast=low, fall=fall, interval=interval, statement=words
    )
