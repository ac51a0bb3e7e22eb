"""Reading ``stabtest.toml``: every mistake becomes one message that names the file, the key and the nearest right one."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from stabtest.audit.config import Config
from stabtest.audit.listing import with_every_file
from stabtest.audit.profiles import profile
from stabtest.errors import ConfigError
from stabtest.findings import Criterion
from stabtest.findings.statistic_names import STATISTICS
from stabtest.findings.verdicts import UNIVERSAL

_GONE: dict[tuple[int | str, ...], str] = {
    ("worst_case", "steps"): "evaluations = 60 is the whole budget of a radius, where it was steps along one of several paths",
    ("worst_case", "jacobian_steps"): "leave it out: evaluations is the whole budget of a radius, no start has one of its own",
}
"""Keys of earlier versions, and what stands in their place."""


def load_config(path: str | Path) -> Config:
    """Read a configuration file.

    Parameters
    ----------
    path
        A TOML file; the relative paths in it are relative to its folder.

    Returns
    -------
    Config
        Validated, with every default filled in.

    Raises
    ------
    ConfigError
        If the file is missing, is no TOML, has an unknown key or a value of the wrong kind.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            str(path), expected="a configuration file", came="no such file", remedy=f"stabtest init {path} writes one"
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            str(path),
            expected="a text file",
            came="a folder",
            remedy=f"stabtest init {path / 'stabtest.toml'} writes one there",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), expected="text in UTF-8", came=f"another encoding ({error.reason})", remedy="save it again as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            str(path), expected="a file that can be read", came=str(error), remedy="check its name and permissions"
        ) from error
    return parse_config(text, name=str(path), base_dir=path.resolve().parent)


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file: keys, types, ranges, defaults, what each means.

    What no schema of single keys can say (one source of the network, as many patients as files) is checked when a file is loaded.

    Examples
    --------
    >>> config_schema()["properties"]["operator"]["$ref"]
    '#/$defs/OperatorSection'
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema(), "title": "stabtest.toml"}


def parse_config(text: str, *, name: str = "stabtest.toml", base_dir: Path = Path()) -> Config:
    r"""A configuration from TOML text; ``name`` stands for the file in messages.

    Raises
    ------
    ConfigError
        As `load_config`.

    Examples
    --------
    >>> parse_config('[network]\nzoo = "unet-mri"').operator.size
    128
    >>> try:
    ...     parse_config('[network]\nzooo = "unet-mri"')
    ... except ConfigError as error:
    ...     print(error)
    stabtest.toml: [network] zooo: expected a known key; came zooo. Remedy: did you mean "zoo".
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(name, expected="valid TOML", came=_lower(error), remedy=_at_line(error, text)) from error
    return parse_table(table, name=name, base_dir=base_dir)


def parse_table(table: dict[str, Any], *, name: str, base_dir: Path) -> Config:
    """As `parse_config`, from a table that was read already."""
    _check_texts(table, name)
    try:
        # Through JSON, so that strict types hold and a TOML array still becomes a tuple.
        config = Config.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise _explain(error, name, table) from error
    config = _with_profile(config, name)
    _check_criteria(config, name)
    return with_every_file(config.at(base_dir), name)


def _with_profile(config: Config, name: str) -> Config:
    """The configuration with the criteria of its profile before its own."""
    key = config.criteria.profile
    if key is None:
        return config
    try:
        criteria = profile(key).criteria
    except ConfigError as error:
        raise ConfigError(
            f"{name}: [criteria] profile", expected=error.expected, came=error.came, remedy=error.remedy
        ) from None
    return config.model_copy(update={"criterion": (*criteria, *config.criterion)})


def _check_texts(value: object, name: str, place: tuple[int | str, ...] = ()) -> None:
    """No text holds a zero character: no file can have such a name."""
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(
            f"{name}: {key_name(place)}",
            expected="text without the character \\u0000",
            came=json.dumps(value),
            remedy="take the \\u0000 out: no file can have such a name",
        )
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, entry in cast("Iterable[tuple[int | str, object]]", inside):
        _check_texts(entry, name, (*place, step))


def load_criteria(path: Path) -> tuple[tuple[Criterion, ...], str | None]:
    """The criteria of a TOML file, ``[[criterion]]`` and those of a profile, and the profile's name; other tables are passed over.

    Raises
    ------
    ConfigError
        If the file cannot be read, has no criteria, or one is wrong.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            str(path),
            expected="a TOML file with criteria",
            came=str(error),
            remedy="check its name, its lines and its encoding",
        ) from error
    only = {"network": {"zoo": "not looked at"}, **{key: table[key] for key in ("criteria", "criterion") if key in table}}
    config = parse_table(only, name=str(path), base_dir=path.parent)
    if not config.criterion:
        raise ConfigError(
            str(path),
            expected="at least one [[criterion]] table, or [criteria] profile",
            came="none",
            remedy="stabtest init writes an example of one",
        )
    return config.criterion, config.criteria.profile


def _check_criteria(config: Config, name: str) -> None:
    """Statistics exist, limits are numbers, ids are unique, and what is claimed universally can be refuted by one counterexample."""
    ids = [criterion.id for criterion in config.criterion]
    for criterion in config.criterion:
        if criterion.statistic not in STATISTICS:
            near = difflib.get_close_matches(criterion.statistic, STATISTICS, n=1, cutoff=0.5)
            raise ConfigError(
                f"{name}: [[criterion]] {criterion.id}: statistic",
                expected="the key of a statistic",
                came=f'"{criterion.statistic}"',
                remedy=f'did you mean "{near[0]}"' if near else f"the keys are {', '.join(STATISTICS)}",
            )
        if not math.isfinite(criterion.limit):
            raise ConfigError(
                f"{name}: [[criterion]] {criterion.id}: limit",
                expected="a finite number",
                came=str(criterion.limit),
                remedy="give a limit in the unit of the statistic",
            )
        if criterion.universal and not criterion.can_be_refuted:
            able = ", ".join(f"{key}{'*' if key[-1] == '.' else ''} {rule}" for key, rule in UNIVERSAL.items())
            raise ConfigError(
                f"{name}: [[criterion]] {criterion.id}: universal",
                expected=f"a statistic that one counterexample can refute ({able})",
                came=f"{criterion.statistic} {criterion.rule}",
                remedy="leave universal out",
            )
        if ids.count(criterion.id) > 1:
            raise ConfigError(
                f"{name}: [[criterion]] id",
                expected="a different one for each",
                came=f'"{criterion.id}" twice',
                remedy=f"rename one {criterion.id}",
            )


def _explain(error: ValidationError, name: str, table: dict[str, Any]) -> ConfigError:
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
            remedy=_which_to_change(place, table),
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


def _which_to_change(place: Sequence[int | str], table: dict[str, Any]) -> str:
    """Where a rule between keys is broken: which of them can be changed."""
    if not place:
        return "change one of the tables that are named: as they are, they do not fit each other"
    given = _given(place, table)
    return "stabtest init writes an example" if given == "neither" else f"change or leave out one of {given}"


def _lower(error: Exception) -> str:
    """A message that goes on in the middle of a sentence."""
    text = str(error)
    return text[:1].lower() + text[1:]


def _at_line(error: Exception, text: str) -> str:
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
