"""Axes of the line plots: which values get a tick, and where a value lies between 0 and 1.

Linear axes get steps of 1, 2 or 5 times a power of ten (Heckbert, *Nice numbers for graph labels*, Graphics Gems, 1990);
logarithmic axes decades, with 2 and 5 between them where there is room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LARGEST = 1e150  # squares and spans of larger values leave the range of a double


@dataclass(frozen=True)
class Axis:
    """One axis: its ends and its ticks, in data values."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Position of a value, 0 at the low end, 1 at the high end."""
        if self.log:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)


def drawable(value: float | None, *, log: bool) -> bool:
    """Whether a value has a place on such an axis.

    Examples
    --------
    >>> drawable(0.0, log=True), drawable(0.0, log=False), drawable(math.inf, log=True), drawable(None, log=False)
    (False, True, False, False)
    """
    if value is None or not math.isfinite(value) or abs(value) > _LARGEST:
        return False
    return value > 1 / _LARGEST if log else True


def axis(
    values: Sequence[float], *, log: bool, from_zero: bool = False, at: Sequence[float] = (), most: int = 6, tight: bool = False
) -> Axis:
    """An axis that spans the drawable values.

    Parameters
    ----------
    values
        Everything that is to be drawn along the axis; what is not `drawable` is left aside.
    log
        Whether the axis is logarithmic.
    from_zero
        Whether a linear axis of non-negative values starts at zero.
    at
        Ticks at these values rather than at round numbers, for settings of which there are few.
    most
        About how many ticks at most.
    tight
        Whether a linear axis ends at the last value rather than at the tick after it.

    Examples
    --------
    >>> axis([0.0, 0.37], log=False).ticks
    (0.0, 0.1, 0.2, 0.3, 0.4)
    >>> axis([0.003, 2.0], log=True).ticks
    (0.001, 0.01, 0.1, 1.0, 10.0)
    """
    there = [value for value in values if drawable(value, log=log)]
    if not there:
        there = [0.1, 1.0] if log else [0.0, 1.0]
    low, high = min(there), max(there)
    return _log_axis(low, high, at, most) if log else _linear_axis(low, high, from_zero, at, most, tight)


def _linear_axis(low: float, high: float, from_zero: bool, at: Sequence[float], most: int, tight: bool) -> Axis:
    if from_zero and low >= 0:
        low = 0.0
    smallest = max(abs(low), abs(high)) * 1e-9
    if high - low <= max(smallest, 1e-140):
        margin = max(abs(low), abs(high)) * 0.5 or 0.5
        low, high = (0.0 if from_zero and low >= 0 else low - margin), high + margin
    chosen = [value for value in at if drawable(value, log=False) and low <= value <= high]
    if chosen:
        room = (high - low) * 0.05
        return Axis(low - room, high + room, False, _apart(chosen, low, high, log=False))
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))
    if tight:
        inside = tuple(value for value in ticks if low - step * 1e-6 <= value <= high + step * 1e-6)
        return Axis(low - (high - low) * 0.02, high + (high - low) * 0.02, False, inside)
    return Axis(ticks[0], ticks[-1], False, ticks)


def _log_axis(low: float, high: float, at: Sequence[float], most: int) -> Axis:
    if math.log10(high) - math.log10(low) < 1e-6:
        low, high = low / 2, high * 2
    chosen = [value for value in at if drawable(value, log=True) and low <= value <= high]
    if chosen:
        room = (high / low) ** 0.05
        return Axis(low / room, high * room, True, _apart(chosen, low, high, log=True))
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    if last - first <= 2:
        # ends at the nearest 1, 2 or 5 rather than a whole decade away
        grid = [float(f"{factor}e{power}") for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
        start = max(value for value in grid if value <= low * 1.000001)
        end = min((value for value in grid if value >= high * 0.999999), default=grid[-1])
        return Axis(start, end, True, tuple(value for value in grid if start <= value <= end))
    stride = max(1, math.ceil((last - first) / most))
    last = first + stride * math.ceil((last - first) / stride)
    return Axis(float(f"1e{first}"), float(f"1e{last}"), True, tuple(float(f"1e{p}") for p in range(first, last + 1, stride)))


def _apart(values: Sequence[float], low: float, high: float, *, log: bool) -> tuple[float, ...]:
    """The values as ticks, without those that would print over their neighbour."""
    span = Axis(low, high, log, ())
    kept: list[float] = []
    for value in sorted(set(values)):
        if not kept or span.place(value) - span.place(kept[-1]) >= 0.12:
            kept.append(value)
    return tuple(kept)
