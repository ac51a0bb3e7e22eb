"""Gains that the search found, against the brackets of the Lipschitz constants.

A gain ``||f(y+e) - f(y)|| / ||e||`` that was reached for any measurement is a lower bound of the global Lipschitz constant.
Certified and probabilistic upper bounds are of that constant and hold for every case. One "on a ball" holds from the
measurement of its own case to any other, however far (`stabtest.bounds.end_to_end`: the ball has no end), so for the
perturbations of that case only, of every radius; or, where it states one, of at most that radius (`stabtest.bounds.local`).

A gain above a bound that holds for it is a contradiction: the tool is wrong somewhere, and the audit stops. An *infinite* gain
is none: the reconstruction was not finite there, so the method has left the arithmetic that every bound assumes. The bracket
then says that no bound exists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabtest.errors import BoundsError
from stabtest.findings.records import Bracket, WorstCaseRow

WHOLE = "measurement to image"
ROUNDING = 1e-3
"""Relative excess that rounding in single precision may cause."""


def join_gains(brackets: Sequence[Bracket], rows: Sequence[WorstCaseRow], tested: str) -> list[Bracket]:
    """Raise the lower ends to the largest gain found by the worst-case search.

    Parameters
    ----------
    brackets
        Of the method under test.
    rows
        Of all methods.
    tested
        Name of the method under test.

    Returns
    -------
    list of Bracket

    Raises
    ------
    BoundsError
        If a gain exceeds an upper bound that holds for it.
    """
    own = [row for row in rows if row.method == tested]
    joined: list[Bracket] = []
    for bracket in brackets:
        everywhere = bracket.upper_status in ("certified", "probabilistic")
        mine = [row for row in own if (everywhere or row.case == bracket.case) and _within(row, bracket)]
        best = max(mine, key=_gain, default=None)
        if bracket.name != WHOLE or best is None:
            joined.append(bracket)
            continue
        gain, where = _gain(best), f"on {best.case} at radius {best.radius:g}"
        if math.isinf(gain):
            joined.append(bracket.model_copy(update=_broken(where)))
            continue
        if bracket.upper is not None and gain > bracket.upper * (1 + ROUNDING):
            chance = ", if the bound is not the rare one that its assumptions allow for"
            raise BoundsError(
                f"{tested}, {bracket.name}: a gain found by the search exceeds the bound ({bracket.upper_status})",
                expected=f"at most {bracket.upper:.6g}",
                came=f"{gain:.6g} {where}",
                remedy="this is a defect of stabtest: please report it with the configuration"
                + (chance if bracket.upper_status == "probabilistic" else ""),
            )
        source = f"largest gain found by the worst-case search, {where}"
        better = gain > bracket.lower
        joined.append(bracket.model_copy(update={"lower": gain, "lower_source": source}) if better else bracket)
    return joined


def _within(row: WorstCaseRow, bracket: Bracket) -> bool:
    return bracket.radius is None or row.radius <= bracket.radius * (1 + 1e-9)


def _gain(row: WorstCaseRow) -> float:
    """The gain; one that is not a number was that of a reconstruction that is not finite."""
    return math.inf if math.isnan(row.gain) else row.gain


def _broken(where: str) -> dict[str, object]:
    reason = f"a perturbation was found under which the reconstruction is not finite, {where}"
    return {
        "lower": math.inf,
        "lower_source": reason,
        "upper": math.inf,
        "upper_status": "infinite",
        "upper_source": reason,
    }
