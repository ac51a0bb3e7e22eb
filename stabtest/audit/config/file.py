"""Reading ``stabtest.toml``: every mistake becomes one message that names the file, the key and the nearest right one."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from stabtest.audit.config.listing import with_every_file
from stabtest.audit.config.mistakes import at_line, explained, key_name, lowered
from stabtest.audit.config.model import Config
from stabtest.audit.config.profiles import profile
from stabtest.errors import ConfigError
from stabtest.findings import Criterion
from stabtest.findings.statistic_names import STATISTICS
from stabtest.findings.verdicts import UNIVERSAL


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
        raise ConfigError(name, expected="valid TOML", came=lowered(error), remedy=at_line(error, text)) from error
    return parse_table(table, name=name, base_dir=base_dir)


def parse_table(table: dict[str, Any], *, name: str, base_dir: Path) -> Config:
    """As `parse_config`, from a table that was read already."""
    _check_texts(table, name)
    try:
        # Through JSON, so that strict types hold and a TOML array still becomes a tuple.
        config = Config.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise explained(error, name, table) from error
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
