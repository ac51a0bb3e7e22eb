"""The view model: what stands on the page, as plain frozen data, before any HTML.

A `Page` is a list of `Section`s, a section a list of blocks. The template knows how to draw each block and nothing else, so
that everything the report says can be tested without parsing HTML.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    ``value`` is the exact number behind a rounded ``text`` (written into ``data-value``); ``pad`` the number of digit widths to
    its right that line up the decimal points of a column; ``verdict`` the key of a verdict's shape.
    """

    text: str
    value: str | None = None
    numeric: bool = False
    pad: int = 0
    point: bool = True
    link: str | None = None
    extra_links: tuple[tuple[str, str], ...] = ()
    verdict: str | None = None
    bar: int | None = None
    """Length of a small bar in per cent."""
    code: bool = False
    missing: bool = False
    """A number that could not be had."""
    anchor: str | None = None
    """Id of the row, given to its first cell."""

    @property
    def fit(self) -> str:
        """How the text is broken: ``short`` never, ``wide`` anywhere but in a column of some width, else between words."""
        longest = max(map(len, self.text.split()), default=0)
        if len(self.text) > 28 or longest > 22:
            return "wide"
        return "short" if len(self.text) <= 18 else ""


LONGEST = 300
"""Rows of a folded table that a page has: hundreds of slices make thousands of rows, and a page has to open on a laptop."""


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column is the row header."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False
    empty: str = "No rows."
    note: str | None = None
    numeric: tuple[bool, ...] = ()
    """Whether a column's head is set flush right, over numbers."""

    @property
    def shown(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows that the page has: all, but of a folded table (row by row what a figure or another table sums up) `LONGEST`."""
        return self.rows[:LONGEST] if self.folded else self.rows


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    kind: str = "plain"
    """``plain``, ``note``, ``method`` or ``absent`` (something was not run or is not there)."""


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    id: str
    text: str


@dataclass(frozen=True)
class Facts:
    """Pairs of a term and its value."""

    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]
    empty: str


@dataclass(frozen=True)
class Code:
    """Text to be copied: a command, a configuration."""

    id: str
    caption: str
    text: str
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A line plot: inline SVG with its caption, and the table that holds its numbers."""

    id: str
    caption: str
    svg: Markup
    table: str | None = None
    """Id of the table with the numbers."""
    note: str | None = None


@dataclass(frozen=True)
class FigureRow:
    """Figures side by side."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Raw:
    """The values of a picture as the document has them (16 bit between ``low`` and ``high``), for the viewer; stands once on the page."""

    key: str
    data: str
    low: float
    high: float


@dataclass(frozen=True)
class Shot:
    """A picture in a panel; ``source`` is a data URI, ``None`` where there is no picture."""

    label: str
    alt: str
    source: str | None
    width: int = 0
    height: int = 0
    caption: str = ""
    scale: str | None = None
    """Printed under the picture where its window is not that of the panel."""
    kind: str = "anatomy"
    window: tuple[float, float] = (0.0, 1.0)
    raw: Raw | None = None


@dataclass(frozen=True)
class Scale:
    """A colour bar with its printed ends."""

    label: str
    source: str
    low: str
    high: str
    kind: str = "anatomy"


@dataclass(frozen=True)
class Panel:
    """Pictures in rows (methods) and columns (what is shown), one window for each kind of picture."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], tuple[Shot | None, ...]], ...]
    """(row head, lines of numbers under it, pictures)."""
    scales: tuple[Scale, ...]


@dataclass(frozen=True)
class Terms:
    """A glossary."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SignOff:
    """Blank lines to sign on."""

    roles: tuple[str, ...]


@dataclass(frozen=True)
class Tally:
    """How many verdicts of each kind: (shape key, word, count)."""

    counts: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class VerdictItem:
    """One verdict of the summary: a sentence, its reason, and where its picture and its numbers are."""

    verdict: str
    word: str
    head: str
    sentence: str
    reason: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class VerdictList:
    """The verdicts as sentences."""

    items: tuple[VerdictItem, ...]


Block = (
    Table | Paragraph | Heading | Facts | Bullets | Code | Figure | FigureRow | Panel | Terms | SignOff | Tally | VerdictList
)


@dataclass(frozen=True)
class Section:
    """A numbered section; ``state`` says in a word whether its test was run, for the table of contents."""

    number: int
    id: str
    title: str
    blocks: tuple[Block, ...]
    state: str = ""


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    statement: str
    status: str
    lines: tuple[tuple[str, str], ...]
    """The few facts under the title."""
    sections: tuple[Section, ...]
    kind: str = "stability audit"
    """What it is a page of, for the title of the window."""

    @property
    def raws(self) -> tuple[Raw, ...]:
        """The values behind the pictures, each once."""
        panels = [block for section in self.sections for block in section.blocks if isinstance(block, Panel)]
        shots = [shot for panel in panels for *_, row in panel.rows for shot in row if shot is not None]
        return tuple({shot.raw.key: shot.raw for shot in shots if shot.raw is not None}.values())
