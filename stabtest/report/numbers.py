"""How a number is written in the report: the one place where digits are cut.

A measured value is shown with three significant digits, except that digits before the decimal point are never cut; a
setting (a radius, a limit) is shown as it was given. What is not a number is written out in words and never replaced:
``None`` is "not available", an infinity keeps its sign, NaN is "NaN (not a number)".

Rounding follows IEEE 754 (nearest, ties to even, on the binary value), as Python's ``format`` does.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

NOT_AVAILABLE = "not available"
NOT_A_NUMBER = "NaN (not a number)"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_MINUS, _THIN = "−", "\u202f"


def number(value: float | None, digits: int = 3, *, bound: bool = False) -> str:
    """A measured value with ``digits`` significant digits.

    Parameters
    ----------
    value
        The value, or ``None`` where none could be had.
    digits
        Significant digits; digits before the decimal point are always kept below 1e6.
    bound
        Whether the value is a guaranteed bound, for which an infinity means that there is none.

    Examples
    --------
    >>> number(0.023449), number(31.27), number(1234.5), number(-2.5e-7), number(None)
    ('0.0234', '31.3', '1234', '−2.50 × 10⁻⁷', 'not available')
    >>> number(float("inf"), bound=True), number(float("nan"))
    ('∞ (no finite bound)', 'NaN (not a number)')
    """
    if value is None:
        return NOT_AVAILABLE
    word = _non_number(value, bound=bound)
    if word is not None:
        return word
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    plain = f"{value:.{max(0, digits - 1 - power)}f}"
    text = plain if -4 <= power < 6 else f"{mantissa} × 10{str(power).translate(_SUPERSCRIPT)}"
    return text.replace("-", _MINUS)


def with_minus_signs(sentence: str) -> str:
    """The negative numbers of a sentence as the tables write them: a stored sentence has the sign of the keyboard.

    Examples
    --------
    >>> with_minus_signs("fell by 2 dB (95 % bounds -2.5 to -1), case head-3")
    'fell by 2 dB (95 % bounds −2.5 to −1), case head-3'
    """
    return re.sub(r"(?<![^\s(\[])-(?=\d)", _MINUS, sentence)


def setting(value: float | None) -> str:
    """A value that somebody chose, written as it was chosen (shortest decimal that reads back to the same float).

    Examples
    --------
    >>> setting(0.05), setting(2.0), setting(1e-9)
    ('0.05', '2', '1 × 10⁻⁹')
    """
    if value is None:
        return NOT_AVAILABLE
    word = _non_number(value, bound=False)
    if word is not None:
        return word
    if value == 0:
        return "0"
    shortest = Decimal(repr(float(value)))
    power = shortest.adjusted()
    if -5 <= power < 7:
        text = f"{shortest:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{(shortest.scaleb(-power)).normalize():f} × 10{str(power).translate(_SUPERSCRIPT)}"
    return text.replace("-", _MINUS)


def beside(value: float | None, limit: float | None) -> str:
    """A measured value with enough digits to be told from the limit that it stands beside.

    Examples
    --------
    >>> beside(0.099996, 0.1), beside(0.2512, 0.1)
    ('0.099996', '0.251')
    """
    if value is None or limit is None or not math.isfinite(value) or not math.isfinite(limit) or value == limit:
        return number(value)
    for digits in range(3, 17):
        text = number(value, digits)
        if read(text) != read(number(limit, digits)):
            return text
    return setting(value)


def count(value: int | None) -> str:
    """A whole number, in groups of three from five digits on.

    Examples
    --------
    >>> count(6234), count(31043521).replace(chr(0x202F), " ")
    ('6234', '31 043 521')
    """
    if value is None:
        return NOT_AVAILABLE
    text = f"{value:,}".replace(",", _THIN) if abs(value) >= 10_000 else str(value)
    return text.replace("-", _MINUS)


def many(value: int, noun: str, several: str | None = None) -> str:
    """A count with its noun.

    Examples
    --------
    >>> many(1, "file"), many(4, "search", "searches")
    ('1 file', '4 searches')
    """
    return f"{count(value)} {noun if value == 1 else several or noun + 's'}"


def duration(seconds: float) -> str:
    """A time span in words.

    Examples
    --------
    >>> duration(12.3), duration(754), duration(7384)
    ('12.3 s', '12 min 34 s', '2 h 3 min')
    """
    if not math.isfinite(seconds) or seconds < 60:
        return f"{number(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{count(whole // 3600)} h {whole % 3600 // 60} min"


def read(text: str) -> float | None:
    """The number that a cell shows: the inverse of this module, for scripts that compare the page with the JSON.

    Raises
    ------
    ValueError
        If the text is no number as written here.

    Examples
    --------
    >>> read("−2.50 × 10⁻⁷"), read("∞ (no finite bound)"), read("not available")
    (-2.5e-07, inf, None)
    """
    text = text.strip()
    if text == NOT_AVAILABLE:
        return None
    if text == NOT_A_NUMBER:
        return math.nan
    if "∞" in text:
        return -math.inf if text.startswith(_MINUS) else math.inf
    mantissa, _, power = text.replace(_MINUS, "-").replace(_THIN, "").partition(" × 10")
    return float(f"{mantissa}e{power.translate(_PLAIN)}" if power else mantissa)


def _non_number(value: float, *, bound: bool) -> str | None:
    if math.isnan(value):
        return NOT_A_NUMBER
    if math.isinf(value):
        return ("∞" if value > 0 else f"{_MINUS}∞") + (" (no finite bound)" if bound else " (not finite)")
    return None
