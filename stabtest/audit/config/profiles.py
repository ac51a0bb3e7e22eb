"""Named criteria that ship: each profile a file with its source, its version and a reason for every limit.

A profile is called ``name/version``. One that has shipped is never changed, since audits name it: other limits are another version. Its
criteria are ordinary ones, hashed and frozen with those that the configuration adds.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from stabtest.errors import ConfigError
from stabtest.findings import Criterion


@dataclass(frozen=True)
class Profile:
    """Criteria under a name."""

    name: str
    version: int
    title: str
    source: str
    criteria: tuple[Criterion, ...]

    @property
    def key(self) -> str:
        """What the configuration calls it.

        Examples
        --------
        >>> profile("antun-2020/1").key
        'antun-2020/1'
        """
        return f"{self.name}/{self.version}"


@cache
def profiles() -> tuple[Profile, ...]:
    """All profiles that ship, by their names.

    Examples
    --------
    >>> [each.key for each in profiles()]
    ['antun-2020/1', 'no-worse-than-reference/1']
    """
    folder = files("stabtest.audit").joinpath("criteria_profiles")
    tables = [tomllib.loads(file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".toml")]
    found = [
        Profile(
            table["name"],
            table["version"],
            table["title"],
            table["source"],
            tuple(Criterion.model_validate(criterion) for criterion in table["criterion"]),
        )
        for table in tables
    ]
    return tuple(sorted(found, key=lambda each: (each.name, each.version)))


def profile(key: str) -> Profile:
    """A profile by its name and version.

    Raises
    ------
    ConfigError
        If none is called so.
    """
    by_key = {each.key: each for each in profiles()}
    if key not in by_key:
        near = difflib.get_close_matches(key, by_key, n=1, cutoff=0.4)
        remedy = f'did you mean "{near[0]}"' if near else f"there are {', '.join(by_key)}"
        raise ConfigError(
            "profile of criteria", expected="the name and version of one that ships", came=f'"{key}"', remedy=remedy
        )
    return by_key[key]
