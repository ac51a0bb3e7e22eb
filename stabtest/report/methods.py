"""Which methods a document names, in the order of the page: under test, reference, baseline, then whatever rows name besides."""

from __future__ import annotations

from collections.abc import Iterable

from stabtest.findings.document import Document

_ROLES = ("under test", "reference", "baseline")


def method_order(document: Document, named: Iterable[str]) -> list[str]:
    """The named methods, each once, in the order of their roles.

    Parameters
    ----------
    document
        Its items give roles and order.
    named
        Method names as they stand in rows; names without an item come last.
    """
    names = list(dict.fromkeys(named))
    listed = [item.name for role in _ROLES for item in document.items if item.role == role]
    return [name for name in dict.fromkeys(listed) if name in names] + [name for name in names if name not in listed]


def tone(document: Document, method: str) -> int:
    """The colour of a method, the same in every plot: its place among all items."""
    ordered = method_order(document, [item.name for item in document.items])
    return ordered.index(method) if method in ordered else len(ordered)


def under_test(document: Document) -> list[str]:
    """Names of the methods under test."""
    return [item.name for item in document.items if item.role == "under test"]
