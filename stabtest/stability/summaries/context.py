"""What every summary needs: the methods, the patients, the gates that failed, and how a finding is written down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stabtest import statistics
from stabtest.findings.records import Gate, Interval
from stabtest.findings.verdicts import Finding

Row = TypeVar("Row")
"""Any row with ``case`` and ``method``."""

OF_THE_GRADIENT = frozenset({"gradient", "differences"})
"""Gates on the derivative of a method, on which nothing rests that is measured by running it."""

WITHOUT_GRADIENTS = frozenset(
    {
        *("quality", "structure", "sampling", "noise", "repeatability", "detectability", "image_quality"),
        *("missed_lesion", "shift"),
    }
)
"""Tests that differentiate nothing, and two that hold the gradient against differences of their few parameters and take those where it is not
right. The others climb a gradient of thousands of pixels, or bound from below by a derivative: a wrong one finds little."""


@dataclass(frozen=True)
class Context:
    """The audit around the rows.

    Parameters
    ----------
    roles
        Method name to "under test", "reference" or "baseline", in the order of the report.
    patients
        Case name to patient; a case that is not in it is its own patient.
    gates
        Validity checks; a failed one whose subject is a method invalidates the findings of that method, one on its gradient those of the
        tests that need it.
    level
        One-sided level of the bounds.
    """

    roles: Mapping[str, str]
    patients: Mapping[str, str] = field(default_factory=lambda: {})
    gates: Sequence[Gate] = ()
    level: float = statistics.LEVEL

    @property
    def reference(self) -> str | None:
        """The first method whose role is "reference"."""
        return next((method for method, role in self.roles.items() if role == "reference"), None)

    def patient(self, case: str) -> str:
        """Whose image a case is."""
        return self.patients.get(case, case)

    def healthy(self, method: str, *, test: str) -> bool:
        """Whether no gate on this method failed that the test rests on."""
        return self.repeatable(method) and (test in WITHOUT_GRADIENTS or not self._failed(method) & OF_THE_GRADIENT)

    def repeatable(self, method: str) -> bool:
        """Whether what one perturbation does to the method can be believed: no gate failed but those on the gradient."""
        return not self._failed(method) - OF_THE_GRADIENT

    def _failed(self, method: str) -> set[str]:
        return {gate.name for gate in self.gates if gate.subject == method and not gate.passed}

    def methods(self, rows: Iterable[Any]) -> list[str]:
        """Methods that have rows, in the order of the report."""
        present = {row.method for row in rows}
        return [method for method in self.roles if method in present] + sorted(present - set(self.roles))

    def per_patient(
        self, rows: Iterable[Row], value: Callable[[Row], float], reduce: Callable[[Sequence[float]], float] = statistics.mean
    ) -> list[float]:
        """One number for each patient."""
        return statistics.by_patient([(self.patient(row.case), value(row)) for row in rows], reduce)  # pyright: ignore[reportAttributeAccessIssue]

    def finding(
        self,
        test: str,
        statistic: str,
        method: str,
        *,
        value: float | None,
        interval: Interval | None,
        n: int,
        sentence: str,
        unit: str = "",
        valid: bool = True,
        witness: str | None = None,
        counterexample: bool = False,
        caveat: str = "",
    ) -> Finding:
        """A finding, invalid too where a gate of the method failed that the test rests on."""
        return Finding(
            test=test,
            statistic=statistic,
            method=method,
            value=value,
            interval=interval,
            unit=unit,
            n=n,
            valid=valid and self.healthy(method, test=test),
            witness=witness,
            sentence=sentence,
            counterexample=counterexample and self.repeatable(method),
            caveat=caveat,
        )


def largest(value: float, n: int, *, level: float) -> Interval:
    """Bounds of a worst value over a population from the largest one found: a lower bound, and nothing above.

    Examples
    --------
    >>> largest(0.3, 4, level=0.95).upper is None
    True
    """
    return Interval(lower=value, upper=None, level=level, method=f"largest found in {n} patients; nothing bounds it from above")


def smallest(value: float, n: int, *, level: float) -> Interval:
    """The mirror image of `largest`."""
    return Interval(
        lower=None, upper=value, level=level, method=f"smallest found in {n} patients; nothing bounds it from below"
    )


def joint(intervals: Sequence[Interval | None]) -> Interval | None:
    """Bounds of the largest of several values from simultaneous bounds of each; open above where one has none.

    Examples
    --------
    >>> one, other = (Interval(lower=low, upper=low + 0.2, level=0.95, method="t") for low in (0.1, 0.3))
    >>> joint([one, other]).lower, joint([one, None]).upper
    (0.3, None)
    """
    known = [i for i in intervals if i is not None]
    lowers, uppers = ([end for i in known if (end := getattr(i, side)) is not None] for side in ("lower", "upper"))
    upper = max(uppers) if uppers and len(uppers) == len(intervals) else None
    if not lowers and upper is None:
        return None
    return Interval(lower=max(lowers, default=None), upper=upper, level=known[0].level, method=known[0].method)


def patients_text(n: int) -> str:
    """``1 patient``, ``4 patients``."""
    return f"{n} patient{'' if n == 1 else 's'}"


def percent(share: float) -> str:
    """``0.0213`` as ``2.1 %``; three figures below one per cent; infinity in words.

    Examples
    --------
    >>> percent(0.0213), percent(0.5), percent(0.00042)
    ('2.1 %', '50 %', '0.042 %')
    """
    value = 100 * share
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    return f"{value:.0f} %" if abs(value) >= 10 else f"{value:.2g} %"


def bounds_text(interval: Interval | None, write: Callable[[float], str]) -> str:
    """The bounds in brackets, or why there are none."""
    if interval is None:
        return "(too few patients for an interval)"
    level = f"{interval.level * 100:.0f} %"
    match interval.lower, interval.upper:
        case float() as low, float() as high:
            return f"({level} bounds {write(low)} to {write(high)})"
        case float() as low, None:
            return f"({level} lower bound {write(low)}, none above)"
        case None, float() as high:
            return f"({level} upper bound {write(high)}, none below)"
        case _:
            return "(too few patients for an interval)"
