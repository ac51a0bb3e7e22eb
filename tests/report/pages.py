"""Reads a page with the standard library's parser: tables, links, ids, and whether every tag that opens also closes."""

from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "input", "link", "wbr"}
SELF_CLOSING = {"rect", "circle", "line", "path", "polyline", "polygon", "use"}


@dataclass
class Page:
    words: list = field(default_factory=list)
    tags: list = field(default_factory=list)
    """(tag, attributes)"""
    tables: dict = field(default_factory=dict)
    """id -> rows of (text, data-value)"""
    heads: dict = field(default_factory=dict)
    headings: list = field(default_factory=list)
    faults: list = field(default_factory=list)

    @cached_property
    def text(self):
        return "".join(self.words)

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def records(self, table):
        """Rows of a table as dictionaries of head -> (text, data-value)."""
        return [dict(zip(self.heads[table], row)) for row in self.tables[table]]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.page, self.open, self.table, self.cell = Page(), [], None, None

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.page.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table" and "id" in attributes:
            self.table = attributes["id"]
            self.page.tables[self.table], self.page.heads[self.table] = [], []
        elif tag == "tr" and self.table and "thead" not in self.open:
            self.page.tables[self.table].append([])
        elif tag in ("td", "th") and self.table:
            self.cell = ["", attributes.get("data-value")]
        elif tag in ("h1", "h2", "h3"):
            self.page.headings.append([tag, ""])

    def handle_startendtag(self, tag, attrs):
        self.page.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.page.faults.append(f"</{tag}> closes {self.open[-3:]}")
        else:
            self.open.pop()
        if tag in ("td", "th") and self.cell is not None and self.table:
            if "thead" in self.open:
                self.page.heads[self.table].append(self.cell[0])
            else:
                self.page.tables[self.table][-1].append(tuple(self.cell))
            self.cell = None
        elif tag == "table":
            self.table = None

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.page.words.append(data)
        if self.cell is not None:
            self.cell[0] += data
        if self.open and any(tag in ("h1", "h2", "h3") for tag in self.open) and self.page.headings:
            self.page.headings[-1][1] += data


def read(html):
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if reader.open:
        reader.page.faults.append(f"never closed: {reader.open}")
    return reader.page
