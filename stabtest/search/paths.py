"""How a budget of evaluations is spent: on how many paths, of what length, from where.

One path of `stabtest.search.ascent` settles in one maximum, and reconstruction networks have several, some a tenth or more apart
in damage. Two things find a better one: a path from a *fresh* start, and a path that goes on from the best point so far with the
weight raised *again*. On trained networks the second pays more, until the first path was in the wrong basin altogether; so both
take turns, a fresh start first and the last word with the best.

About twenty steps are enough for a path to cool, and a second path is worth more than a longer first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STEPS = 20
"""Evaluations that a path gets, about."""


@dataclass(frozen=True)
class Leg:
    """One path to be taken.

    Attributes
    ----------
    kind
        ``"fresh"``: from an arbitrary start; ``"again"``: from the best point so far.
    steps
        Gradient evaluations.
    """

    kind: Literal["fresh", "again"]
    steps: int


def plan(evaluations: int, *, fresh: int | None = None) -> list[Leg]:
    """The paths for a budget.

    Parameters
    ----------
    evaluations
        All of them are given out; at least 1.
    fresh
        How many paths begin at an arbitrary start; half of them, rounded up, if not given.

    Examples
    --------
    >>> [leg.kind for leg in plan(100)], sum(leg.steps for leg in plan(100))
    (['fresh', 'fresh', 'again', 'fresh', 'again'], 100)
    >>> plan(30)
    [Leg(kind='fresh', steps=15), Leg(kind='again', steps=15)]
    """
    paths = max(1, int(evaluations / STEPS + 0.5), fresh or 0)
    fresh = (paths + 1) // 2 if fresh is None else fresh
    again = paths - fresh
    share, rest = divmod(evaluations, paths)
    legs: list[Leg] = []
    for k in range(paths):
        first = fresh > 0 and (k == 0 or fresh >= again)  # before the first there is nothing to go on from
        fresh, again = (fresh - 1, again) if first else (fresh, again - 1)
        steps = share + (k >= paths - rest)
        if steps:
            legs.append(Leg("fresh" if first else "again", steps))
    return legs
