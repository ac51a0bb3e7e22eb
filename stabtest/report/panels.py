"""Panels: the pictures of one case in rows (methods) and columns (what is shown), drawn alike for all methods.

Which panels are shown is a fixed rule, so that nobody chooses a flattering case: see `representative`. All pictures of a kind in
a panel share one window, whose colour bar is printed under it; should the document give a picture another window, that is
printed under the picture itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from stabtest.findings.document import Document
from stabtest.findings.records import Picture
from stabtest.report import images
from stabtest.report.blocks import Panel, Raw, Scale, Shot
from stabtest.report.methods import method_order
from stabtest.report.numbers import number
from stabtest.report.text import shorten

SHARED = "truth"
"""The method name under which pictures stand that all methods share."""
_KINDS = {"anatomy": "Image", "error": "Difference and perturbation (magnitude)", "signed": "Signed difference"}
_ROLES = {
    "truth": "Truth",
    "clean": "Clean reconstruction",
    "perturbed": "Perturbed reconstruction",
    "perturbation": "Perturbation",
    "difference": "Difference",
    "measurement": "Measurement",
    "detail": "What was put in",
    "with_detail": "Reconstruction with detail",
    "recovered": "What came back",
    "hallucination": "Hallucinated in the null space",
    "missing": "Missing in the null space",
}


@dataclass(frozen=True)
class Group:
    """The pictures of one case at one setting (a radius, a detail)."""

    case: str
    tag: str
    title: str
    pictures: tuple[Picture, ...]
    radius: float | None = None


def groups(document: Document, section: str) -> list[Group]:
    """The pictures of a section by case and setting; pictures without a setting belong to all settings of their case."""
    mine = [picture for picture in document.pictures if picture.section == section]
    found: list[Group] = []
    for case in dict.fromkeys(picture.case for picture in mine):
        here = [picture for picture in mine if picture.case == case]
        tags = {picture.id: _tag(picture) for picture in here}
        kinds = [tag for tag in dict.fromkeys(tags.values()) if tag] or [""]
        for tag in kinds:
            pictures = tuple(picture for picture in here if tags[picture.id] in ("", tag))
            radius = next((picture.radius for picture in pictures if picture.radius is not None), None)
            found.append(Group(case, tag, _title(tag, pictures), pictures, radius))
    return found


def representative(found: Sequence[Group], damage: Callable[[Group], float | None], key: str) -> list[tuple[str, Group]]:
    """The panels that are shown, with why: of the cases with pictures at the largest radius the worst, the median and a random one.

    The random case is drawn by the SHA-256 of the document's id, so that drawing the page again shows the same case.

    Parameters
    ----------
    found
        Groups of one section.
    damage
        The damage to the method under test in a group; groups without one come last.
    key
        The document's id.
    """
    last: dict[str, Group] = {}
    for group in found:
        kept = last.get(group.case)
        if kept is None or (group.radius or 0) >= (kept.radius or 0):
            last[group.case] = group
    ranked = sorted(last.values(), key=lambda group: -(damage(group) or 0.0))
    if len(ranked) <= 3:
        words = ["worst case", "median case" if len(ranked) == 3 else "second case", "mildest case"]
        return list(zip(words if len(ranked) > 1 else ["the case with pictures"], ranked))
    middle = ranked[len(ranked) // 2]
    rest = [group for group in ranked[1:] if group is not middle]
    drawn = rest[int(hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(), 16) % len(rest)]
    return [("worst case", ranked[0]), ("median case", middle), ("random case", drawn)]


def panel(
    document: Document,
    group: Group,
    roles: Sequence[str],
    *,
    anchor: str,
    caption: str,
    notes: Callable[[str], tuple[str, ...]],
) -> Panel:
    """A panel with methods in rows and roles in columns.

    Parameters
    ----------
    document
        Gives the order of the methods, and truth and clean reconstructions from the quality section where the group has none.
    group
        The pictures.
    roles
        Columns, in order; a column for which there is no picture at all is left out.
    anchor, caption
        Id and caption.
    notes
        Lines of numbers under the name of a method.
    """
    pictures = [*group.pictures, *_borrowed(document, group)]
    methods = method_order(document, [picture.method for picture in group.pictures if picture.method != SHARED]) or [SHARED]
    columns = [role for role in roles if any(picture.role == role for picture in pictures)]
    table = [[_find(pictures, method, role) for role in columns] for method in methods]
    windows = {kind: _common_window([p for row in table for p in row if p and p.kind == kind]) for kind in _KINDS}
    shots = [
        (method if method != SHARED else "All methods", notes(method), tuple(_shot(picture, windows) for picture in row))
        for method, row in zip(methods, table)
    ]
    scales = tuple(
        Scale(_KINDS[kind], images.colour_bar(kind), number(low), number(high), kind)
        for kind, at in windows.items()
        if at is not None
        for low, high in [at]
    )
    return Panel(anchor, caption, tuple(_ROLES[role] for role in columns), tuple(shots), scales)


def counted_panels(document: Document, section: str, role: str, *, anchor: str, caption: str, most: int) -> list[Panel]:
    """Panels with methods in rows and counts (of samples, of views) in columns, for one role."""
    mine = [picture for picture in document.pictures if picture.section == section and picture.count is not None]
    mine = [picture for picture in mine if picture.role == role]
    shown: list[Panel] = []
    for index, case in enumerate(list(dict.fromkeys(picture.case for picture in mine))[:most]):
        here = [picture for picture in mine if picture.case == case]
        counts = sorted({picture.count for picture in here if picture.count is not None})
        methods = method_order(document, [picture.method for picture in here])
        table = [
            [next((p for p in here if p.method == method and p.count == wanted), None) for wanted in counts]
            for method in methods
        ]
        windows = {kind: _common_window([p for p in here if p.kind == kind]) for kind in _KINDS}
        rows = tuple((method, (), tuple(_shot(p, windows) for p in row)) for method, row in zip(methods, table))
        scales = tuple(
            Scale(_KINDS[kind], images.colour_bar(kind), number(at[0]), number(at[1]), kind)
            for kind, at in windows.items()
            if at
        )
        heads = tuple(f"{count} {_unit(document)}" for count in counts)
        shown.append(Panel(f"{anchor}-{index}", f"{caption}, case {shorten(case, 60)}", heads, rows, scales))
    return shown


def _unit(document: Document) -> str:
    return document.sampling.axis if document.sampling is not None else "samples"


def _tag(picture: Picture) -> str:
    """What distinguishes pictures of one case, method and role: the radius, else what follows the role in the id."""
    if picture.radius is not None:
        return repr(picture.radius)
    if picture.role in ("truth", "measurement"):
        return ""
    return picture.id.rpartition(f".{picture.role}")[2].strip(".") if f".{picture.role}." in picture.id else ""


def _title(tag: str, pictures: Sequence[Picture]) -> str:
    shared = next((p.caption for p in pictures if p.method == SHARED and p.role == "detail"), None)
    return shared or tag


def _borrowed(document: Document, group: Group) -> list[Picture]:
    """Truth and clean reconstructions of the case, from the section on image quality."""
    return [p for p in document.pictures if p.section == "quality" and p.case == group.case and p.role in ("truth", "clean")]


def _find(pictures: Sequence[Picture], method: str, role: str) -> Picture | None:
    for owner in (method, SHARED):
        for picture in pictures:
            if picture.role == role and picture.method == owner:
                return picture
    return next((p for p in pictures if p.role == role and role in ("truth", "detail")), None)


def _common_window(pictures: Sequence[Picture]) -> tuple[float, float] | None:
    windows = Counter(images.window(picture) for picture in pictures)
    return windows.most_common(1)[0][0] if windows else None


def _shot(picture: Picture | None, windows: dict[str, tuple[float, float] | None]) -> Shot | None:
    if picture is None:
        return None
    own = images.window(picture)
    differs = own != windows.get(picture.kind)
    label = f"{_ROLES[picture.role]}, {picture.method}" if picture.method != SHARED else _ROLES[picture.role]
    source = images.source(picture)
    return Shot(
        label=shorten(label, 70),
        alt=f"{picture.caption or label} (case {picture.case}; window {images.printed_window(picture)})",
        source=source,
        width=picture.shape[1],
        height=picture.shape[0],
        caption=picture.caption,
        scale=images.printed_window(picture) if differs else None,
        kind=picture.kind,
        window=own,
        raw=None if source is None else _raw(picture),
    )


def _raw(picture: Picture) -> Raw:
    """The values of a picture, under a name that two pictures share only if they are equal."""
    digest = hashlib.sha256(f"{picture.low!r} {picture.high!r} {picture.data}".encode()).hexdigest()
    return Raw(digest[:16], picture.data, picture.low, picture.high)


def in_turn(found: Sequence[Group], most: int) -> list[Group]:
    """At most ``most`` groups, taking the first of each case before the second of any."""
    by_case = [list(members) for _, members in groupby(found, key=lambda group: group.case)]
    ordered = [members[turn] for turn in range(max(map(len, by_case), default=0)) for members in by_case if turn < len(members)]
    return ordered[:most]
