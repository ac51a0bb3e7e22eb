"""Published claims as statements that can be checked, and what a run says of each.

``expected.json`` of an experiment holds, for each claim, an ``id``, the ``claim`` and what was ``published`` in words or figures, ``where``, ``how``
ours is computed, and either why it ``cannot`` be tested here or the conditions under which it ``holds``:

    "holds": ["psnr.noisy < psnr.median < psnr.network", "change.network > 2 * change.noise", "parameters.network = 37601"]

A name stands for what was measured: one number, or one for each image, of which the mean is compared; a number for itself. Every condition has to
hold for the word *agrees*; if all names were measured and one does not, *differs*; if a name was not measured, *cannot be tested here*. Beside the
means stands in how many images each comparison holds, so that a mean that rests on one image is seen to.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

Values = Mapping[str, Sequence[float]]
"""What was measured: name to one number, or to one for each image."""
AGREES, DIFFERS, CANNOT = "agrees", "differs", "cannot be tested here"
_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_TERM = re.compile(r"(?P<number>-?\d[\d.e+-]*|inf)|(?:(?P<factor>\d[\d.e+-]*) \* )?(?P<name>[A-Za-z][\w./-]*)")


@dataclass(frozen=True)
class Claim:
    """A published claim.

    Parameters
    ----------
    id
        Its name in the experiment.
    claim, published, where
        What is said, the published figure or words, and where they stand.
    how
        How ours is computed.
    holds
        Conditions, all of which must hold.
    cannot
        Why it cannot be tested here; then there are no conditions.

    Raises
    ------
    ValueError
        If there are neither conditions nor a reason, both, or a condition cannot be read.
    """

    id: str
    claim: str
    published: str
    where: str
    how: str
    holds: tuple[str, ...] = ()
    cannot: str = ""

    def __post_init__(self) -> None:
        if bool(self.holds) == bool(self.cannot):
            raise ValueError(f"claim {self.id}: expected either conditions or why it cannot be tested")
        for condition in self.holds:
            _parsed(condition)


@dataclass(frozen=True)
class Judged:
    """What a run says of a claim: ``verdict``, ``ours`` in figures, and ``why`` where it is not *agrees*."""

    claim: Claim
    verdict: str
    ours: str
    why: str = ""


def load(folder: Path) -> tuple[str, str, list[Claim]]:
    """Title, source and claims of ``expected.json`` in a folder.

    Raises
    ------
    ValueError
        If two claims have the same name, or one is not a claim.
    """
    told: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    claims = [Claim(**{**entry, "holds": tuple(entry.get("holds", ()))}) for entry in told["claims"]]
    if len({claim.id for claim in claims}) < len(claims):
        raise ValueError(f"{folder.name}: two claims of one name")
    return told["title"], told["source"], claims


def rounded(values: Values) -> dict[str, list[float]]:
    """Eight significant digits: what is written is what was judged."""
    return {key: [float(f"{float(value):.8g}") for value in series] for key, series in values.items()}


def judge(claim: Claim, values: Values) -> Judged:
    """A claim against what was measured.

    Examples
    --------
    >>> claim = Claim("a", "more is better", "2 dB", "page 1", "PSNR", holds=("psnr.few < psnr.many",))
    >>> judged = judge(claim, {"psnr.few": [20.0, 21.0], "psnr.many": [22.0, 20.0]})
    >>> judged.verdict, judged.ours
    ('agrees', 'psnr.few 20.5 < psnr.many 21 (1 of 2 images)')
    >>> judge(claim, {"psnr.few": [20.0]}).verdict
    'cannot be tested here'
    """
    if claim.cannot:
        return Judged(claim, CANNOT, "-", claim.cannot)
    names = [term for condition in claim.holds for term in _parsed(condition)[0::2]]
    missing = sorted({name for _, name in names if isinstance(name, str) and name not in values})
    if missing:
        rest = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
        return Judged(claim, CANNOT, "-", f"not measured at this setting: {', '.join(missing[:2])}{rest}")
    found = [_evaluated(condition, values) for condition in claim.holds]
    failed = [condition for condition, (holds, _) in zip(claim.holds, found, strict=True) if not holds]
    why = f"does not hold: {'; '.join(failed)}" if failed else ""
    return Judged(claim, DIFFERS if failed else AGREES, "; ".join(words for _, words in found), why)


def figure(value: float) -> str:
    """A number for a table: three or more significant digits, integers in full.

    Examples
    --------
    >>> figure(1925058.0), figure(0.012345), figure(22.13), figure(float("inf"))
    ('1925058', '0.0123', '22.1', 'inf')
    """
    return str(round(value)) if math.isfinite(value) and value == round(value) else f"{value:.3g}"


def _parsed(condition: str) -> list[Any]:
    """``[term, relation, term, ...]``, a term being a factor and a name, or 1 and a number."""
    parts = re.split(r" (<=|>=|<|>|=) ", condition)
    if len(parts) < 3:
        raise ValueError(f"condition {condition!r}: expected a comparison such as 'a < 2 * b'")
    parsed: list[Any] = []
    for k, part in enumerate(parts):
        if k % 2:
            parsed.append(part)
            continue
        found = _TERM.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"condition {condition!r}: {part!r} is neither a name, a multiple of one, nor a number")
        number = found["number"]
        parsed.append((1.0, float(number)) if number else (float(found["factor"] or 1), found["name"]))
    return parsed


def _evaluated(condition: str, values: Values) -> tuple[bool, str]:
    parsed = _parsed(condition)
    series = [[f * v for v in (values[n] if isinstance(n, str) else (n,))] for f, n in parsed[0::2]]
    relations = parsed[1::2]
    means = [sum(one) / len(one) for one in series]
    holds = all(_RELATIONS[r](a, b) for r, (a, b) in zip(relations, pairwise(means), strict=True))
    shown = [
        f"{'' if f == 1 else f'{f:g} x '}{n} {figure(m / f)}" if isinstance(n, str) else figure(m)
        for (f, n), m in zip(parsed[0::2], means, strict=True)
    ]
    words = shown[0] + "".join(f" {r} {s}" for r, s in zip(relations, shown[1:], strict=True))
    images = max(len(one) for one in series)
    if images == 1 or any(len(one) not in (1, images) for one in series):
        return holds, words
    wide = [list(one) * (images if len(one) == 1 else 1) for one in series]
    count = sum(
        all(_RELATIONS[r](a, b) for r, (a, b) in zip(relations, pairwise(row), strict=True)) for row in zip(*wide, strict=True)
    )
    return holds, f"{words} ({count} of {images} images)"
