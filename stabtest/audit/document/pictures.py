"""Which pictures are shown: a rule that was fixed before any result was seen.

Shown are the worst, the median and a random case of the method under test (by the largest relative change found, or by NRMSE where
there was no search; drawn by the SHA-256 of the audit's id), the same cases for every method; of missed lesions also the case in which the
method under test showed least. All other pictures lie beside the report (`stabtest.audit.document.sidecar`).
Of these the report takes the whole panels (all methods at one radius, detail or number of samples) that fit into ``[audit] pictures_mb``: the
worst case first, and of a case the first panel of every section (of the largest radius, where there are several), then the second of every
section, and so on. The random case gives way first, then the median.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from stabtest.audit.units.plan import Plan, Unit
from stabtest.audit.units.store import Result, Store
from stabtest.findings import Picture
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.records import QualityRow, WorstCaseRow

Panel = tuple[str, str, str]
"""Case, section, and what the pictures share beside."""
_SECTIONS = ("quality", "worst_case", "structure", "missed_lesion", "sampling", "kernel")


def choose_pictures(plan: Plan, store: Store, results: Sequence[tuple[Unit, Result]]) -> tuple[list[Picture], list[str]]:
    """The pictures of the representative cases.

    Parameters
    ----------
    plan, store
        Where they are.
    results
        Units of the plan that were measured.

    Returns
    -------
    list of Picture, list of str
        The pictures, each id once, and a note where some were left out for size.
    """
    panels: dict[Panel, dict[str, Picture]] = {}
    tested = plan.subjects[0].method.name
    wanted = [(case, section) for case in representative_cases(results, tested, key=plan.id) for section in _SECTIONS]
    wanted[len(_SECTIONS) : len(_SECTIONS)] = [(case, "missed_lesion") for case in _most_missed(results, tested)]
    for case, section in dict.fromkeys(wanted):
        for unit, _ in results:
            if unit.case != case or unit.test != section:
                continue
            result = store.get(unit.key, pictures=True)
            for picture in result.pictures if result is not None else ():
                if not _repeats_quality(picture):
                    panels.setdefault((case, section, _panel(picture)), {})[picture.id] = picture
    chosen: set[str] = set()
    size, left_out = 0, 0
    for panel in _in_turn(panels):
        added = sum(len(panels[panel][name].data) for name in panels[panel] if name not in chosen)
        if size + added > 1e6 * plan.config.audit.pictures_mb:
            left_out += 1
            continue
        chosen.update(panels[panel])
        size += added
    shown = {name: picture for panel in panels.values() for name, picture in panel.items() if name in chosen}
    note = f"{left_out} of {len(panels)} panels of pictures were left out to keep the report small." if left_out else ""
    return list(shown.values()), [note] if note else []


def _radius(panel: Mapping[str, Picture]) -> float:
    """Of a worst case; zero of other pictures."""
    return max(picture.radius or 0.0 for picture in panel.values())


def _in_turn(panels: Mapping[Panel, Mapping[str, Picture]]) -> list[Panel]:
    """Panels by case; of each case the first of every section, then the second of every section: none is shown out by another."""
    sections: dict[str, dict[str, list[Panel]]] = {}
    for panel in panels:
        sections.setdefault(panel[0], {}).setdefault(panel[1], []).append(panel)
    order: list[Panel] = []
    for of_case in sections.values():
        by_radius = [sorted(group, key=lambda panel: -_radius(panels[panel])) for group in of_case.values()]
        order += [panel for turn in zip_longest(*by_radius) for panel in turn if panel is not None]
    return order


def _panel(picture: Picture) -> str:
    """What the pictures of one panel share beside case and section: radius, detail or number of samples (end of the id)."""
    return picture.id.partition(f".{picture.role}")[2]


def _repeats_quality(picture: Picture) -> bool:
    """The clean reconstruction stands in the quality section already."""
    return picture.section == "worst_case" and picture.role == "clean"


def _most_missed(results: Sequence[tuple[Unit, Result]], tested: str) -> list[str]:
    """The case in which a method showed the least of a lesion; none where none was searched."""
    rows = [row for _, result in results for row in result.rows if isinstance(row, MissedLesionRow) and row.method == tested]
    least = {row.case: row.recovery for row in rows if row.identifiable and row.recovery is not None}
    return [min(least, key=lambda case: (least[case], case))] if least else []


def representative_cases(results: Sequence[tuple[Unit, Result]], tested: str, *, key: str) -> list[str]:
    """The worst, the median and a random case of a method, each once; the random one of those that are left, by the hash of the key."""
    rows = [row for _, result in results for row in result.rows]
    changes = [row for row in rows if isinstance(row, WorstCaseRow) and row.method == tested]
    radius = max((row.radius for row in changes), default=0.0)
    score = {row.case: row.relative_change for row in changes if row.radius == radius}
    if not score:
        score = {row.case: row.nrmse or 0.0 for row in rows if isinstance(row, QualityRow) and row.method == tested}
    if not score:
        score = dict.fromkeys((unit.case for unit, _ in results), 0.0)
    ordered = sorted(score, key=lambda case: (-score[case], case))
    chosen = list(dict.fromkeys([*ordered[:1], *ordered[len(ordered) // 2 : len(ordered) // 2 + 1]]))
    rest = [case for case in ordered if case not in chosen]
    drawn = int(hashlib.sha256(key.encode()).hexdigest(), 16)
    return [*chosen, rest[drawn % len(rest)]] if rest else chosen
