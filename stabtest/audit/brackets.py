"""Gains that the search found, against the brackets of the Lipschitz constants.

A gain ``||f(y+e) - f(y)|| / ||e||`` that was reached for any measurement is a lower bound of the global Lipschitz constant. A
gain above a certified upper bound is a contradiction: the tool is wrong somewhere, and the audit stops.
"""

from __future__ import annotations

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
        If a gain exceeds a certified upper bound.
    """
    own = [row for row in rows if row.method == tested]
    joined: list[Bracket] = []
    for bracket in brackets:
        # A bound that is not certified for all measurements holds for its own case only.
        mine = [row for row in own if bracket.upper_status == "certified" or row.case == bracket.case]
        best = max(mine, key=lambda row: row.gain, default=None)
        if bracket.name != WHOLE or best is None:
            joined.append(bracket)
            continue
        if bracket.upper_status == "certified" and bracket.upper is not None and best.gain > bracket.upper * (1 + ROUNDING):
            raise BoundsError(
                f"{tested}, {bracket.name}: a gain found by the search exceeds the certified bound",
                expected=f"at most {bracket.upper:.6g}",
                came=f"{best.gain:.6g} on {best.case}",
                remedy="this is a defect of stabtest: please report it with the configuration",
            )
        better = best.gain > bracket.lower
        source = f"largest gain found by the worst-case search, on {best.case} at radius {best.radius:g}"
        joined.append(bracket.model_copy(update={"lower": best.gain, "lower_source": source}) if better else bracket)
    return joined
