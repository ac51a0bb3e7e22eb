"""Section 4, its first part: what each test did with which settings, and what each statistic is.

A verdict links to the row of its statistic here, and that row to the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from stabtest.findings.document import Document
from stabtest.report import tables
from stabtest.report.anchors import SECTIONS, was_run
from stabtest.report.blocks import Block, Cell, Heading, Table
from stabtest.report.sections.item import as_json, flatten
from stabtest.report.statistic_words import STATISTIC_WORDS
from stabtest.report.wording import HAZARDS

_NO_WORDS = "not described in this version of the tool"
_NOTHING = (None, [], {}, "")
"""What a setting holds that was not set."""


def statistics(document: Document) -> list[str]:
    """Every statistic that the document names, once."""
    named = [finding.statistic for finding in document.findings] + [criterion.statistic for criterion in document.criteria]
    return list(dict.fromkeys(named))


def anchor_of(document: Document, statistic: str) -> str | None:
    """Anchor of the row that says what a statistic is."""
    named = statistics(document)
    return f"statistic-{named.index(statistic)}" if statistic in named else None


def method(document: Document) -> list[Block]:
    """The tests with their settings, and the statistics."""
    done: dict[str, list[str]] = {}
    for _, words, name, _ in HAZARDS:
        if was_run(document, SECTIONS[name]):
            done.setdefault(name, []).append(words)
    body = tuple(
        (
            Cell(name.replace("_", " "), anchor=f"method-{SECTIONS[name]}"),
            tables.text("; ".join(words)),
            tables.text(_settings(document, name)),
            Cell("results", link=f"#{SECTIONS[name]}"),
        )
        for name, words in done.items()
    )
    rows = tuple(
        (
            Cell(statistic, code=True, anchor=f"statistic-{index}"),
            tables.text(STATISTIC_WORDS.get(statistic, _NO_WORDS)),
            _test(statistic, done),
        )
        for index, statistic in enumerate(statistics(document))
    )
    return [
        Heading("protocol", "Protocol"),
        Table(
            "tests-table", "Tests that were run", ("Test", "What was done", "Settings", "See"), body, empty="No test was run."
        ),
        Table("statistics-table", "What each statistic is", ("Statistic", "What it is", "Test"), rows, empty="There are none."),
    ]


def _test(statistic: str, done: Mapping[str, object]) -> Cell:
    name = statistic.partition(".")[0]
    return Cell("settings", link=f"#method-{SECTIONS[name]}") if name in done else Cell("not run")


def _settings(document: Document, name: str) -> str:
    """The table of the configuration, on one line."""
    table = document.configuration.get(name)
    if not isinstance(table, dict):
        return "as built in: the test has no table in the configuration" if name == "quality" else "not recorded"
    pairs = flatten(cast("dict[str, Any]", table))
    return (
        "; ".join(f"{key} = {as_json(value)}" for key, value in pairs if value not in _NOTHING and key != "enabled") or "none"
    )
