"""Mistakes in ``stabtest.toml`` in words: the key as the file shows it, what was expected there, what came, and what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from stabtest.audit.config.model import Config
from stabtest.errors import ConfigError

_GONE: dict[tuple[int | str, ...], str] = {
    ("worst_case", "steps"): "evaluations = 60 is the whole budget of a radius, where it was steps along one of several paths",
    ("worst_case", "jacobian_steps"): "leave it out: evaluations is the whole budget of a radius, no start has one of its own",
}
"""Keys of earlier versions, and what stands in their place."""


def explained(error: ValidationError, name: str, table: dict[str, Any]) -> ConfigError:
    """The most telling of the mistakes as one message: a misspelt key explains a missing one."""
    mistakes = error.errors()
    order = {"extra_forbidden": 0, "missing": 2}
    first = min(mistakes, key=lambda mistake: order.get(mistake["type"], 1))
    place = tuple(first["loc"])
    where = f"{name}: {key_name(place)}"
    if first["type"] == "extra_forbidden":
        keys = _keys(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), keys, n=1, cutoff=0.5)
        remedy = f'did you mean "{near[0]}"' if near else f"the keys there are {', '.join(keys)}"
        remedy = _GONE.get(place, remedy)
        return ConfigError(where, expected="a known key", came=str(place[-1]), remedy=remedy)
    if first["type"] == "missing":
        remedy = "stabtest init writes an example" if len(place) == 1 else _meaning(place)
        return ConfigError(where, expected="a value", came="nothing", remedy=remedy)
    if first["type"] == "value_error":
        return ConfigError(
            where,
            expected=first["msg"].removeprefix("Value error, ").rstrip("."),
            came=_given(place, table),
            remedy=_which_to_change(place, table, first["msg"]),
        )
    expected = _WORDS.get(first["type"], first["msg"].removeprefix("Input should be "))
    return ConfigError(where, expected=expected, came=_shown(place, first["input"]), remedy=_mending(place, first))


_WORDS = {"model_type": "a table", "dict_type": "a table"}
"""What TOML calls it."""


def _mending(place: tuple[int | str, ...], mistake: Mapping[str, Any]) -> str:
    """What to write instead of a value of the wrong kind, or what the key means."""
    kind, value = mistake["type"], mistake["input"]
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str):
        plain = value.strip()
        if re.fullmatch(r"true|false|[-+]?[0-9.]+(e[-+]?[0-9]+)?", plain):
            return f"write {plain} without quotes"
    if kind == "tuple_type" and not isinstance(value, dict):
        return f"write [{json.dumps(value, default=str)}]"
    if kind in _WORDS:
        return f"write its keys under {key_name(place)}"
    if kind == "literal_error" and isinstance(value, str):
        allowed = re.findall(r"'([^']*)'", str(mistake["ctx"]["expected"]))
        near = difflib.get_close_matches(value, allowed, n=1, cutoff=0.5)
        if near:
            return f'did you mean "{near[0]}"'
    return _meaning(place)


def _meaning(place: Sequence[int | str]) -> str:
    """What a key means, as its description says."""
    steps = [step for step in place if isinstance(step, str)]
    while steps:
        model = _model(steps[:-1])
        if model is not None and steps[-1] in model.model_fields:
            break
        steps.pop()  # inside a value that is no table of its own, such as sizes.lesion
    else:
        return "docs/configuration.md lists the keys and what they mean"
    said = model.model_fields[steps[-1]].description
    return f"{steps[-1]} means: {said}" if said else f"docs/configuration.md says what {steps[-1]} means"


def _which_to_change(place: Sequence[int | str], table: dict[str, Any], rule: str) -> str:
    """Where a rule between keys is broken: which of them can be changed, those that it names if it names any."""
    if not place:
        return "change one of the tables that are named: as they are, they do not fit each other"
    given = _given(place, table)
    if given == "neither":
        return "stabtest init writes an example"
    keys = given.split(", ")
    named = [key for key in keys if re.search(rf"\b{re.escape(key)}\b", rule)] or keys
    return f"change or leave out {'one of ' if len(named) > 1 else ''}{', '.join(named)}"


def lowered(error: Exception) -> str:
    """A message that goes on in the middle of a sentence."""
    text = str(error)
    return text[:1].lower() + text[1:]


def at_line(error: Exception, text: str) -> str:
    """Where to look, and what is usually wrong there."""
    found = re.search(r"line (\d+)", str(error))
    if not found:
        return "nest less deeply"
    line = [*text.split("\n"), ""][int(found[1]) - 1]
    if re.search(r'"[^"]*\\', line):
        usual = "in double quotes a backslash begins a special character: write the path with / or in single quotes"
    elif re.search(r"=\s*[-+]?\d+,\d", line):
        usual = "numbers have a point, not a comma: 0.01"
    else:
        usual = "texts stand in quotes, and each table and key stands there once"
    return f"look at {found[0]}: {usual}"


def key_name(place: Sequence[int | str]) -> str:
    """A key as the file shows it.

    Examples
    --------
    >>> key_name(("operator", "mask", "kind")), key_name(("criterion", 0, "limit")), key_name(("worst_case", "radii", 1))
    ('[operator] mask.kind', '[[criterion]] number 1: limit', '[worst_case] radii, entry 2')
    """
    if not place:
        return "the file"
    head, rest = str(place[0]), list(place[1:])
    if rest and isinstance(rest[0], int):
        tail = ".".join(map(str, rest[1:]))
        return f"[[{head}]] number {rest[0] + 1}" + (f": {tail}" if tail else "")
    entry = f", entry {int(rest.pop()) + 1}" if rest and isinstance(rest[-1], int) else ""
    return f"[{head}]" + (" " + ".".join(map(str, rest)) if rest else "") + entry


def _keys(place: Sequence[int | str]) -> list[str]:
    """The keys that the model at a place of the configuration knows; none where that is no model."""
    model = _model(place)
    return [] if model is None else list(model.model_fields)


def _model(place: Sequence[int | str]) -> type[BaseModel] | None:
    """The model at a place of the configuration."""
    model: type[BaseModel] = Config
    for step in place:
        if isinstance(step, int):
            continue
        annotation = model.model_fields[step].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        found = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if found is None:
            return None
        model = found
    return model


def _shown(place: Sequence[int | str], value: object) -> str:
    """A value as the message shows it: short, with its type where that is the mistake."""
    kind: dict[type[object], str] = {
        str: "text",
        bool: "true or false",
        int: "an integer",
        float: "a number",
        list: "an array",
        dict: "a table",
    }
    text = json.dumps(value, default=str)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({kind.get(type(value), type(value).__name__)})"


def _given(place: Sequence[int | str], table: dict[str, Any]) -> str:
    """The keys that stand in the table about which a rule between keys complains."""
    value: Any = table
    for step in place:
        value = value[step]
    if not place:
        return (
            "the combination given: "
            + ", ".join(f'[{key}] kind = "{_kind(key, value)}"' for key in ("operator", "data"))
            + (f', [reference] method = "{value["reference"]["method"]}"' if value.get("reference", {}).get("method") else "")
            + (f", [worst_case] {', '.join(value['worst_case'])}" if value.get("worst_case") else "")
        )
    return ", ".join(value) or "neither"


def _kind(section: str, table: dict[str, Any]) -> str:
    """The kind that a section has, written out or by default."""
    default = getattr(Config.model_fields[section].get_default(call_default_factory=True), "kind", "")
    return str(table.get(section, {}).get("kind", default))
