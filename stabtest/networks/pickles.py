"""What a pickle would import, read without running it.

Unpickling runs code: a pickle is a program that may import and call anything. Its opcodes can be listed without executing
one (`pickletools.genops`), which shows every name that it would import.
"""

from __future__ import annotations

import io
import pickletools

_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}


def imported_names(content: bytes) -> list[str]:
    """Names that a pickle would import, in order of appearance, each once.

    Parameters
    ----------
    content
        One pickle, or several back to back (``torch.save`` before 1.6). If it is malformed, or something else
        follows, the names up to there are listed.

    Returns
    -------
    list of str
        ``"module.name"``; ``"(a computed name)"`` where the name is not written out.

    Examples
    --------
    >>> import pickle, fractions
    >>> imported_names(pickle.dumps(fractions.Fraction))
    ['fractions.Fraction']
    """
    names: list[str] = []
    stream = io.BytesIO(content)
    try:
        while stream.tell() < len(content):
            _list_one(stream, names)
    except Exception:  # whatever is wrong with it, this listing is only for a message
        return list(dict.fromkeys(names))
    return list(dict.fromkeys(names))


def _list_one(stream: io.BytesIO, names: list[str]) -> None:
    """Append the imports of the next pickle; follows strings through the memo, where repeated ones are kept."""
    strings: list[str] = []
    memo: dict[int, str] = {}
    memoised = 0
    last: str | None = None
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "GLOBAL":
            names.append(str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            names.append(".".join(strings[-2:]) if len(strings) >= 2 else "(a computed name)")
        if opcode.name in _STRINGS:
            last = str(argument)
            strings.append(last)
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
            last = memo.get(int(argument or 0))
            if last is not None:
                strings.append(last)
        elif opcode.name == "MEMOIZE":
            if last is not None:
                memo[memoised] = last
            memoised += 1
        elif opcode.name in ("BINPUT", "LONG_BINPUT", "PUT"):
            if last is not None:
                memo[int(argument or 0)] = last
        else:
            last = None
