"""The audits of a comparison: each with a name that no other of them has, and the way to its own report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from stabtest.errors import DataError
from stabtest.findings.document import Document
from stabtest.findings.verdicts import Finding
from stabtest.report.document_io import HTML_NAME, load_document

WIDEST = 8
"""Audits in the columns of one table."""


@dataclass(frozen=True)
class Audit:
    """A document with the name by which the comparison calls it.

    ``link`` is the address of its page relative to that of the comparison, ``None`` where there is no page.
    """

    name: str
    document: Document
    link: str | None = None

    @property
    def tested(self) -> str | None:
        """The item under test."""
        return next((item.name for item in self.document.items if item.role == "under test"), None)

    @property
    def reference(self) -> str | None:
        """The reference method."""
        return next((item.name for item in self.document.items if item.role == "reference"), None)

    def finding(self, statistic: str, method: str | None) -> Finding | None:
        """A statistic of a method; of several verdicts on it the first."""
        return next((f for f in self.document.findings if f.statistic == statistic and f.method == method), None)


def read_audits(folders: Sequence[Path], *, page: Path) -> list[Audit]:
    """The audits of some folders, named after the items under test, and after the folders where that is not enough.

    Parameters
    ----------
    folders
        Folders with a ``report.json``, or such files.
    page
        Where the comparison will be written: the links to the reports start there.

    Raises
    ------
    DataError
        If there are fewer than two, or one is there twice, or cannot be read.
    AuditError
        If one is no valid document.
    """
    places = [Path(folder) for folder in folders]
    real = [(place if place.is_dir() else place.parent).resolve() for place in places]
    twice = next((place for index, place in enumerate(places) if real[index] in real[:index]), None)
    if twice is not None:
        raise DataError(f"{twice}", expected="each audit once", came="the same folder twice")
    if len(places) < 2:
        raise DataError("a comparison", expected="at least two audits", came=f"{len(places)}")
    documents = [load_document(place) for place in places]
    names = _names([_tested(document) for document in documents], real)
    return [Audit(name, document, _link(at, page)) for name, document, at in zip(names, documents, real)]


def by_scan(audits: Sequence[Audit]) -> list[tuple[str, list[Audit]]]:
    """All together where a table holds them; else those of one scan together, in groups that a table holds.

    Returns
    -------
    list of (str, list of Audit)
        What the scan is, and the audits of it, in their order.
    """
    if len(audits) <= WIDEST:
        return [("", list(audits))]
    found: dict[str, list[Audit]] = {}
    for audit in audits:
        found.setdefault(_scan(audit.document), []).append(audit)
    return [
        (scan, members[start : start + WIDEST]) for scan, members in found.items() for start in range(0, len(members), WIDEST)
    ]


def _scan(document: Document) -> str:
    """The forward model on one line, and whether its measurements are real."""
    facts = dict(document.operator)
    kind, height, width = facts.pop("kind", document.modality), facts.pop("height", None), facts.pop("width", None)
    size = [] if height is None or width is None else [f"{height} × {width}"]
    more = [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in facts.items()]
    return ", ".join([f"{kind}", *size, *more, "simulated" if document.data.simulated else "real measurements"])


def _tested(document: Document) -> str:
    return next((item.name for item in document.items if item.role == "under test"), document.title)


def _names(items: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """The item, and as much of the end of the folder's path as tells equal items apart.

    Examples
    --------
    >>> _names(["unet", "unet", "tv"], [Path("a/mri"), Path("b/mri"), Path("c")])
    ['unet (a/mri)', 'unet (b/mri)', 'tv']
    """
    longest = max(len(folder.parts) for folder in folders)
    for depth in range(1, longest + 1):
        ends = ["/".join(folder.parts[-depth:]) for folder in folders]
        names = [f"{item} ({end})" if items.count(item) > 1 else item for item, end in zip(items, ends)]
        if len(set(names)) == len(names):
            return names
    return [f"{index + 1}: {item}" for index, item in enumerate(items)]


def _link(folder: Path, page: Path) -> str | None:
    html = folder / HTML_NAME
    if not html.exists():
        return None
    return quote(Path(os.path.relpath(html, page.resolve().parent)).as_posix())
