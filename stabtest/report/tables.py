"""Cells and columns of tables: rounding, alignment on the decimal point, and aggregates that never hide a non-number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from stabtest.report.blocks import Cell
from stabtest.report.numbers import NOT_AVAILABLE, count, number, setting

Rows = tuple[tuple[Cell, ...], ...]


def text(value: str, *, link: str | None = None, code: bool = False) -> Cell:
    """A cell of words."""
    return Cell(value if value else "–", link=link, code=code)


def measured(values: Sequence[float | None], *, digits: int = 3, bound: bool = False) -> list[Cell]:
    """A column of measured values, lined up on the decimal point.

    Examples
    --------
    >>> [(cell.text, cell.pad, cell.point) for cell in measured([0.0123, 12.3, 1234.0])]
    [('0.0123', 0, True), ('12.3', 3, True), ('1234', 4, False)]
    """
    return _aligned(values, [number(value, digits, bound=bound) for value in values])


def settings(values: Sequence[float | None]) -> list[Cell]:
    """A column of chosen values (radii, limits), lined up on the decimal point."""
    return _aligned(values, [setting(value) for value in values])


def counts(values: Sequence[int | None]) -> list[Cell]:
    """A column of whole numbers."""
    return [Cell(count(value), value=_exact(value), numeric=True) for value in values]


def words(values: Iterable[str]) -> list[Cell]:
    """A column of words."""
    return [text(value) for value in values]


def rows(*columns: Sequence[Cell]) -> Rows:
    """Columns into rows."""
    return tuple(zip(*columns, strict=True))


def largest(values: Iterable[float | None]) -> float | None:
    """The largest of the values that there are; NaN if one of them is NaN; ``None`` without any.

    Examples
    --------
    >>> largest([0.1, None, 0.3]), largest([0.1, float("nan")]), largest([None])
    (0.3, nan, None)
    """
    return _over(values, max)


def smallest(values: Iterable[float | None]) -> float | None:
    """The smallest of the values that there are; NaN if one of them is NaN; ``None`` without any."""
    return _over(values, min)


def median(values: Iterable[float | None]) -> float | None:
    """The median of the values that there are; NaN if one of them is NaN; ``None`` without any."""
    return _over(values, _median)


def ratio(above: float | None, below: float | None) -> float | None:
    """A quotient; ``None`` where one side is missing or both are zero, signed infinity over zero."""
    if above is None or below is None:
        return None
    if below == 0:
        return None if above == 0 else math.copysign(math.inf, above)
    return above / below


def _median(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    # the mean of the two middle values of a list can overflow or join opposite infinities
    return middle if math.isfinite(middle) or not all(map(math.isfinite, values)) else statistics.median_low(values)


def _over(values: Iterable[float | None], join: Callable[[Sequence[float]], float]) -> float | None:
    there = [value for value in values if value is not None]
    if not there:
        return None
    if any(math.isnan(value) for value in there):
        return math.nan
    return join(there)


def _exact(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _aligned(values: Sequence[float | None], texts: Sequence[str]) -> list[Cell]:
    plain = [_is_plain(value, shown) for value, shown in zip(values, texts)]
    decimals = [len(shown.partition(".")[2]) if ok else 0 for shown, ok in zip(texts, plain)]
    most = max(decimals, default=0)
    cells: list[Cell] = []
    for value, shown, ok, places in zip(values, texts, plain, decimals):
        numeric = shown != NOT_AVAILABLE
        pad = most - places if ok else 0
        point = "." in shown or not pad
        cells.append(Cell(shown, value=_exact(value), numeric=numeric, pad=min(pad, 9), point=point, missing=not numeric))
    return cells


def _is_plain(value: float | None, shown: str) -> bool:
    return value is not None and math.isfinite(value) and "×" not in shown
