"""Published claims as statements that can be checked, and what a run says of each.

``expected.json`` of an experiment holds, for each claim, an ``id``, the ``claim`` and what was ``published`` in words or figures, ``where``, ``how``
ours is computed, and either why it ``cannot`` be tested here or the conditions under which it ``holds``:

    "holds": ["psnr.noisy < psnr.median < psnr.network", "change.network > 2 * change.noise", "parameters.network = 37601"]

A name stands for what was measured: one number, or one for each image, of which the mean is compared; a number for itself. Every condition has to
hold for the word *agrees*; if all names were measured and one does not, *differs*; if a name was not measured, *cannot be tested here*. Beside each
mean stands the range of the images, and in how many of them the comparison holds, so that a mean that rests on one image is seen to. Where that
is no more than half of them, *agrees* is said to be so by the means alone.

``"data": "real"`` marks a claim on real measurements (`experiments.frame.real`), whose names begin with ``real.``. Where there are none it cannot be
tested, and its row says so.
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
REAL = "real"
"""What the names of values on real measurements begin with, and what marks a claim on them."""
ABSENT = "needs the real measurements in the folder that STABTEST_DATA names; none were measured in this run"
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
    data
        ``"phantoms"``, or ``"real"`` for a claim on real measurements.

    Raises
    ------
    ValueError
        If there are neither conditions nor a reason, both, a condition cannot be read, or the names in them are not those of the data.
    """

    id: str
    claim: str
    published: str
    where: str
    how: str
    holds: tuple[str, ...] = ()
    cannot: str = ""
    data: str = "phantoms"

    def __post_init__(self) -> None:
        if bool(self.holds) == bool(self.cannot):
            raise ValueError(f"claim {self.id}: expected either conditions or why it cannot be tested")
        if self.data not in ("phantoms", REAL):
            raise ValueError(f"claim {self.id}: data {self.data!r} are neither phantoms nor real")
        if self.holds and (self.data == REAL) != any(name.startswith(f"{REAL}.") for name in self.names):
            raise ValueError(f"claim {self.id}: marked as on {self.data} data, and compares others")

    @property
    def names(self) -> list[str]:
        """What its conditions compare, in their order."""
        terms = [term for condition in self.holds for _, term in _parsed(condition)[0::2]]
        return [term for term in terms if isinstance(term, str)]


@dataclass(frozen=True)
class Judged:
    """What a run says of a claim: ``verdict``, ``ours`` in figures, and ``why`` where it is not *agrees*, or agrees by the means alone."""

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
    ('agrees', 'psnr.few 20.5 [20, 21] < psnr.many 21 [20, 22] (1 of 2 images)')
    >>> judged.why
    'by the means alone: a comparison holds in no more than half of the images'
    >>> judge(claim, {"psnr.few": [20.0]}).verdict
    'cannot be tested here'
    """
    if claim.cannot:
        return Judged(claim, CANNOT, "-", claim.cannot)
    missing = sorted({name for name in claim.names if name not in values})
    if missing and claim.data == REAL and not any(name.startswith(f"{REAL}.") for name in values):
        return Judged(claim, CANNOT, "-", ABSENT)
    if missing:
        rest = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
        return Judged(claim, CANNOT, "-", f"not measured at this setting: {', '.join(missing[:2])}{rest}")
    found = [_evaluated(condition, values) for condition in claim.holds]
    failed = [condition for condition, one in zip(claim.holds, found, strict=True) if not one.holds]
    why = f"does not hold: {'; '.join(failed)}" if failed else ""
    if not failed and min(one.share for one in found) <= 0.5:
        why = "by the means alone: a comparison holds in no more than half of the images"
    return Judged(claim, DIFFERS if failed else AGREES, "; ".join(one.words for one in found), why)


def figure(value: float) -> str:
    """A number for a table: three or more significant digits, integers in full.

    Examples
    --------
    >>> figure(1925058.0), figure(0.012345), figure(22.13), figure(float("inf"))
    ('1925058', '0.0123', '22.1', 'inf')
    """
    return str(round(value)) if math.isfinite(value) and value == round(value) else f"{value:.3g}"


def spread(series: Sequence[float]) -> str:
    """The mean of a series, with its range where it is of several images that differ.

    Examples
    --------
    >>> spread([0.25]), spread([20.0, 21.0])
    ('0.25', '20.5 [20, 21]')
    """
    mean, least, most = figure(sum(series) / len(series)), figure(min(series)), figure(max(series))
    return mean if least == most else f"{mean} [{least}, {most}]"


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


@dataclass(frozen=True)
class _Compared:
    """A condition: whether it holds of the means, in which share of the images, and both in words."""

    holds: bool
    words: str
    share: float = 1.0


def _evaluated(condition: str, values: Values) -> _Compared:
    parsed = _parsed(condition)
    series = [[f * v for v in (values[n] if isinstance(n, str) else (n,))] for f, n in parsed[0::2]]
    relations = parsed[1::2]
    means = [sum(one) / len(one) for one in series]
    holds = all(_RELATIONS[r](a, b) for r, (a, b) in zip(relations, pairwise(means), strict=True))
    shown = [
        f"{'' if f == 1 else f'{f:g} x '}{n} {spread(values[n])}" if isinstance(n, str) else figure(m)
        for (f, n), m in zip(parsed[0::2], means, strict=True)
    ]
    words = shown[0] + "".join(f" {r} {s}" for r, s in zip(relations, shown[1:], strict=True))
    images = max(len(one) for one in series)
    if images == 1 or any(len(one) not in (1, images) for one in series):
        return _Compared(holds, words)
    wide = [list(one) * (images if len(one) == 1 else 1) for one in series]
    count = sum(
        all(_RELATIONS[r](a, b) for r, (a, b) in zip(relations, pairwise(row), strict=True)) for row in zip(*wide, strict=True)
    )
    return _Compared(holds, f"{words} ({count} of {images} images)", count / images)
