"""A 5 x 7 bitmap font, so that text in an image needs no font file.

Each sign is seven rows of five cells; a row is a number whose five bits are its cells from left to right. The shapes are
the customary ones of 5 x 7 dot-matrix displays.
"""

from __future__ import annotations

import numpy as np

from stabtest.errors import ConfigError
from stabtest.phantoms.grid import Array

# Seven rows of two hexadecimal digits each.
_ROWS = {
    " ": "00000000000000",
    "A": "0E11111F111111",
    "B": "1E11111E11111E",
    "C": "0E11101010110E",
    "D": "1E11111111111E",
    "E": "1F10101E10101F",
    "F": "1F10101E101010",
    "G": "0E11101711110F",
    "H": "1111111F111111",
    "I": "0E04040404040E",
    "J": "0702020202120C",
    "K": "11121418141211",
    "L": "1010101010101F",
    "M": "111B1515111111",
    "N": "11111915131111",
    "O": "0E11111111110E",
    "P": "1E11111E101010",
    "Q": "0E11111115120D",
    "R": "1E11111E141211",
    "S": "0F10100E01011E",
    "T": "1F040404040404",
    "U": "1111111111110E",
    "V": "11111111110A04",
    "W": "1111111515150A",
    "X": "11110A040A1111",
    "Y": "1111110A040404",
    "Z": "1F01020408101F",
    "0": "0E11131519110E",
    "1": "040C040404040E",
    "2": "0E11010204081F",
    "3": "1F02040201110E",
    "4": "02060A121F0202",
    "5": "1F101E0101110E",
    "6": "0608101E11110E",
    "7": "1F010204080808",
    "8": "0E11110E11110E",
    "9": "0E11110F01020C",
    ".": "00000000000C0C",
    ",": "000000000C0408",
    "-": "0000001F000000",
    "+": "0004041F040400",
    "?": "0E110102040004",
    "!": "04040404040004",
    ":": "000C0C000C0C00",
    "/": "00010204081000",
}


def bitmap(string: str) -> Array:
    """The cells of a line of text, one empty column between signs.

    Parameters
    ----------
    string
        Letters are written as capitals.

    Returns
    -------
    Array
        Shape ``(7, 6 len(string) - 1)``, 1 where there is ink.

    Raises
    ------
    ConfigError
        If the string is empty or a sign is not in the font.

    Examples
    --------
    >>> bitmap("I")[0]
    array([0., 1., 1., 1., 0.])
    """
    if not string:
        raise ConfigError("text", expected="at least one sign", came="an empty string")
    missing = sorted({sign for sign in string.upper() if sign not in _ROWS})
    if missing:
        raise ConfigError("text", expected=f"signs of {''.join(_ROWS)!r}", came=", ".join(map(repr, missing)))
    cells = np.zeros((7, 6 * len(string)))
    for index, sign in enumerate(string.upper()):
        rows = bytes.fromhex(_ROWS[sign])
        cells[:, 6 * index : 6 * index + 5] = [[(row >> (4 - bit)) & 1 for bit in range(5)] for row in rows]
    return cells[:, :-1]
