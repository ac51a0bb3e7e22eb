"""What the record says: shares of the reference reached, as Markdown, and the two goals judged.

The *reference* of an image at a radius is the largest value that anything found: every method, every setting, every budget, and the long
run of the default. A family's value at a budget is the best of its settings, chosen for each image and budget. The goals:

1. the default reaches 99 % of the reference within 20 evaluations;
2. at equal budget, from 10 on, no other method exceeds the default by more than 1 %.

Each is judged twice: on every image, and on the mean over the images of a network and radius.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from benchmarks.strength.jobs import Row
from benchmarks.strength.methods import BUDGETS

DEFAULT = "default"
ENOUGH, WITHIN = 0.99, 20
MARGIN, FROM = 1.01, 10


@dataclass(frozen=True)
class Group:
    """The shares of one network at one radius.

    Attributes
    ----------
    network, size, radius
        Which.
    images
        Numbers of the images, in the order of all lists.
    reference
        Largest value found by anything, relative to the norm of the clean reconstruction.
    shares
        By line of the table, then by budget: the share of the reference that each image reached.
    """

    network: str
    size: int
    radius: float
    images: list[int]
    reference: list[float]
    shares: dict[str, dict[int, list[float]]]


def groups(rows: Iterable[Row]) -> list[Group]:
    """Rows by network and radius; images on which the default has not been run are left out."""
    ordered = sorted(rows, key=lambda row: (row.network, row.size, row.radius))
    return [_group(key, list(some)) for key, some in groupby(ordered, key=lambda row: (row.network, row.size, row.radius))]


def _group(key: tuple[str, int, float], rows: list[Row]) -> Group:
    images = sorted({row.image for row in rows if row.family == DEFAULT and row.label == DEFAULT})
    rows = [row for row in rows if row.image in images]
    top = {image: max(max(row.best.values()) for row in rows if row.image == image) for image in images}
    clean = {row.image: row.clean for row in rows}
    shares: dict[str, dict[int, list[float]]] = {}
    for line in _lines(rows):
        shares[line] = {}
        for budget in BUDGETS:
            best = {image: _best(rows, line, image, budget) for image in images}
            if all(value is not None for value in best.values()):
                shares[line][budget] = [value / top[image] for image, value in best.items() if value is not None]
    return Group(*key, images, [top[image] / clean[image] for image in images], shares)


def _lines(rows: list[Row]) -> list[str]:
    """The default, then for each family its published setting and the best of all of its settings."""
    lines = [DEFAULT]
    for family in dict.fromkeys(row.family for row in rows if row.family != DEFAULT):
        labels = {row.label for row in rows if row.family == family}
        if "published" in labels:
            lines.append(f"{family}, published")
        if labels != {"published"}:
            lines.append(f"{family}, best of {len(labels)}")
    return lines


def _best(rows: list[Row], line: str, image: int, budget: int) -> float | None:
    """The best value of a line of the table for an image, or None where it has not been run."""
    family, _, which = line.partition(", ")
    found = [
        row.best[budget]
        for row in rows
        if row.family == family
        and row.image == image
        and budget in row.best
        and (which != "published" or row.label == "published")
        and not row.label.startswith("long")
    ]
    return max(found, default=None)


def tables(rows: Iterable[Row]) -> str:
    """Markdown: for each network and radius, mean (and smallest) share of the reference in per cent after each budget."""
    parts = []
    for group in groups(rows):
        mean = sum(group.reference) / len(group.reference)
        parts.append(
            f"**`{group.network}`**, {group.size} x {group.size}, radius {group.radius:g}, {len(group.images)} images; "
            f"the largest relative change found is {mean:.3g} in the mean\n"
        )
        parts.append("| Method | " + " | ".join(map(str, BUDGETS)) + " |\n|---" + "|---" * len(BUDGETS) + "|")
        for line, by_budget in group.shares.items():
            cells = [_cell(by_budget.get(budget)) for budget in BUDGETS]
            parts.append(f"| {line} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _cell(shares: list[float] | None) -> str:
    if not shares:
        return "-"
    return f"{100 * sum(shares) / len(shares):.1f} ({100 * min(shares):.1f})"


@dataclass(frozen=True)
class Judgement:
    """Whether a goal is met, and where it is not.

    Attributes
    ----------
    goal
        In words.
    scope
        ``"image"`` or ``"mean"``.
    cases
        How many were looked at.
    failures
        One line each.
    """

    goal: str
    scope: str
    cases: int
    failures: list[str]

    @property
    def met(self) -> bool:
        """No failure among at least one case."""
        return self.cases > 0 and not self.failures

    def line(self) -> str:
        """For the end of the report."""
        word = (
            "met" if self.met else f"NOT met in {len(self.failures)} of {self.cases}" if self.cases else "NOT judged: no cases"
        )
        return f"- {self.goal}, {'on every image' if self.scope == 'image' else 'in the mean over images'}: {word}"


def judge(rows: Iterable[Row]) -> list[Judgement]:
    """Both goals in both scopes."""
    reached: dict[str, list[tuple[str, bool, str]]] = {"image": [], "mean": []}
    beaten: dict[str, list[tuple[str, bool, str]]] = {"image": [], "mean": []}
    for group in groups(rows):
        where = f"{group.network} {group.radius:g}"
        own = group.shares[DEFAULT]
        if WITHIN in own:
            for name, share in _scopes(group.images, own[WITHIN]):
                reached[_scope(name)].append((f"{where} {name}", share >= ENOUGH, f"{100 * share:.1f} %"))
        for line, by_budget in group.shares.items():
            for budget in (b for b in by_budget if b >= FROM and b in own and line != DEFAULT):
                pairs = zip(_scopes(group.images, by_budget[budget]), _scopes(group.images, own[budget]), strict=True)
                for (name, other), (_, mine) in pairs:
                    figure = f"{other / mine:.3f} times" if mine > 0 else "the default found nothing"
                    beaten[_scope(name)].append((f"{where} {name} by {line} at {budget}", other <= MARGIN * mine, figure))
    first = f"the default reaches {ENOUGH:.0%} of the best found by anything within {WITHIN} evaluations"
    second = f"the default is never beaten by more than {MARGIN - 1:.0%} at an equal budget of {FROM} or more"
    return [
        Judgement(goal, scope, len(cases[scope]), [f"{name}: {figure}" for name, good, figure in cases[scope] if not good])
        for goal, cases in ((first, reached), (second, beaten))
        for scope in ("mean", "image")
    ]


def _scopes(images: list[int], shares: list[float]) -> list[tuple[str, float]]:
    """Each image and the mean."""
    return [
        *((f"image {image}", share) for image, share in zip(images, shares, strict=True)),
        ("mean", sum(shares) / len(shares)),
    ]


def _scope(name: str) -> str:
    return "mean" if name == "mean" else "image"
