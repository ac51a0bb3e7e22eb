"""Section 2: the item under test and the methods beside it, with their model cards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from stabtest.findings.document import Document, Item
from stabtest.report import tables
from stabtest.report.blocks import Block, Cell, Code, Facts, Figure, FigureRow, Heading, Paragraph, Section
from stabtest.report.charts import Plot, Series, draw
from stabtest.report.methods import method_order
from stabtest.report.numbers import count, number, setting

_LONGEST = 240


def items(document: Document) -> Section:
    """What was tested, and beside what."""
    blocks: list[Block] = []
    names = method_order(document, [item.name for item in document.items])
    ordered = sorted(document.items, key=lambda item: names.index(item.name))
    for index, item in enumerate(ordered):
        blocks.append(Heading(f"item-{index}", f"{item.name} ({item.role})"))
        blocks += _item(item, index)
    if not any(item.role == "under test" for item in document.items):
        blocks.insert(0, Paragraph("The document names no item under test.", "absent"))
    if not any(item.role == "reference" for item in document.items):
        blocks.append(Paragraph("No reference method: there is nothing to hold the numbers of the item against.", "absent"))
    return Section(2, "item", "Item under test and reference methods", tuple(blocks))


def _item(item: Item, index: int) -> list[Block]:
    facts: list[tuple[str, Cell]] = [("Description", tables.text(item.description))]
    if item.role == "under test":
        facts.append(("Intended use, as the user stated it", tables.text(item.intended_use or "not stated")))
    if item.parameters is not None:
        facts.append(("Trained parameters", Cell(count(item.parameters), value=repr(item.parameters))))
    if item.weights_file:
        facts.append(("Weights", tables.text(item.weights_file, code=True)))
    if item.weights_sha256:
        facts.append(("Weights, SHA-256", tables.text(item.weights_sha256, code=True)))
    facts += [(key, tables.text(_words(value))) for key, value in flatten(item.settings)]
    blocks: list[Block] = [Facts(tuple(facts))]
    if item.card is None:
        if item.role == "under test":
            blocks.append(Paragraph("No model card: how the network was trained is not recorded.", "absent"))
        return blocks
    blocks += _card(item.card, index)
    return blocks


def _card(card: Mapping[str, Any], index: int) -> list[Block]:
    facts: list[tuple[str, Cell]] = []
    figures: list[Figure] = []
    for key, value in flatten(card):
        curve = _curve(value)
        if curve is not None and len(figures) < 4:
            plot = Plot(
                title=key,
                x_label="step" if isinstance(cast("Sequence[Any]", value)[0], list) else "entry",
                y_label=key,
                series=(Series(key, tuple(x for x, _ in curve), tuple(y for _, y in curve), marker="none"),),
                log_y=all(y > 0 for _, y in curve),
            )
            drawing = draw(plot)
            note = f"{drawing.left_out} values could not be drawn." if drawing.left_out else None
            figures.append(Figure(f"card-{index}-{len(figures)}", f"{key} ({len(curve)} values)", drawing.svg, note=note))
            first, last = number(curve[0][1]), number(curve[-1][1])
            facts.append((key, tables.text(f"{first} at first, {last} at last; the curve is below")))
        else:
            facts.append((key, tables.text(_words(value))))
    blocks: list[Block] = [Paragraph("Model card", "label"), Facts(tuple(facts))]
    if figures:
        blocks.append(FigureRow(tuple(figures)))
    blocks.append(Code(f"card-json-{index}", "Model card as stored", as_json(card), folded=True))
    return blocks


def flatten(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables into dotted keys.

    Examples
    --------
    >>> list(flatten({"a": {"b": 1}, "c": [2]}))
    [('a.b', 1), ('c', [2])]
    """
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and value:
            yield from flatten(cast("dict[str, Any]", value), f"{name}.")
        else:
            yield name, value


def as_json(value: object) -> str:
    """Indented JSON of any value of a document, with lists of numbers and pairs on one line.

    Examples
    --------
    >>> print(as_json({"a": [1, 2], "b": {"c": [[0, 1.5]]}}))
    {
      "a": [1, 2],
      "b": {
        "c": [[0, 1.5]]
      }
    }
    """
    return _indented(value, "")


def _indented(value: object, margin: str) -> str:
    inner = margin + "  "
    if isinstance(value, dict) and value:
        entries = cast("dict[str, Any]", value)
        lines = [f"{inner}{_line(key)}: {_indented(entry, inner)}" for key, entry in entries.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in cast("list[Any]", value)):
        lines = [inner + _indented(entry, inner) for entry in cast("list[Any]", value)]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    return _line(value)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _curve(value: object) -> list[tuple[float, float]] | None:
    """A list of at least five numbers, or of pairs of numbers, as points."""
    if not isinstance(value, list) or len(cast("list[Any]", value)) < 5:
        return None
    entries = cast("list[Any]", value)
    if all(_real(entry) for entry in entries):
        return [(float(index), float(entry)) for index, entry in enumerate(entries)]
    if all(isinstance(entry, list) and len(cast("list[Any]", entry)) == 2 and all(map(_real, entry)) for entry in entries):
        return [(float(x), float(y)) for x, y in entries]
    return None


def _real(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e150 and math.isfinite(value)


def _words(value: object) -> str:
    if value is None:
        return "not available"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return setting(value)
    text = value if isinstance(value, str) else _line(value)
    return text if len(text) <= _LONGEST or isinstance(value, str) else text[:_LONGEST] + " … (in full under “as stored”)"
