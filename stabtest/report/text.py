"""Foreign text on the page: escaping is the template's work, this module makes what cannot be seen visible.

Names and paths come from configuration files and data headers. Control characters and the explicit directional overrides of
Unicode (UAX #9, "Trojan Source") can make a line read as something that it is not, so they are written as their code point;
right-to-left text and the plain direction marks stay as they are, inside an isolating element.
"""

from __future__ import annotations

import re

from markupsafe import Markup

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")


def visible(text: str) -> str:
    """Write control characters and directional overrides as code points.

    Examples
    --------
    >>> visible("a" + chr(0x202E) + "b" + chr(0))
    'a⟨U+202E⟩b⟨U+0000⟩'
    """
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text)


def finalize(value: object) -> object:
    """What Jinja does with every printed expression before it escapes it."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value)


def breaks(text: str) -> Markup:
    """Escaped text that may break after a dot, an underscore or a slash, for keys and paths.

    Examples
    --------
    >>> breaks("a.b<")
    Markup('a.<wbr>b&lt;')
    """
    parts = re.split(r"(?<=[._/])(?=[^\s._/])", visible(text))
    return Markup("<wbr>").join(parts)


def shorten(text: str, length: int = 40) -> str:
    """Cut a label for a place where it cannot wrap; the full text stands in a table.

    Examples
    --------
    >>> shorten("a very long name", 8)
    'a very …'
    """
    text = visible(" ".join(text.split()))
    return text if len(text) <= length else text[: length - 1] + "…"
