"""``docs/licences.md`` is what the installed packages say."""

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("docs_licences", ROOT / "docs" / "_tools" / "licences.py")
licences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(licences)
TEXT = licences.PAGE.read_text(encoding="utf-8")
PINS = {licences.normalised(name): pin for name, pin in licences.pinned().items()}


def test_every_dependency_is_pinned_and_listed():
    assert set(licences.direct()) <= set(PINS)
    assert set(licences.rows(TEXT)) == set(PINS)


@pytest.mark.parametrize("name", sorted(licences.direct()))
def test_the_licence_of_a_direct_dependency_is_up_to_date(name):
    try:
        installed = version(name).partition("+")[0]
    except PackageNotFoundError:
        pytest.skip("not installed")
    if installed != PINS[name]:
        pytest.skip(f"{installed} is installed, {PINS[name]} is pinned")
    assert licences.rows(TEXT)[name] == licences.licence(name)


def needed(name: str, extras: set[str]) -> set[str]:
    """What an installed package requires here."""
    found = set()
    for text in requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found.add(licences.normalised(requirement.name))
    return found


def test_what_the_dependencies_need_is_pinned_too():
    """Without the pin of one that is needed indirectly, another version comes tomorrow."""
    seen: set[str] = set()
    left = set(licences.direct())
    while left:
        name = left.pop()
        seen.add(name)
        try:
            left |= needed(name, {"python"} if name == "mkdocstrings" else set()) - seen
        except PackageNotFoundError:
            continue
    ours = {"stabtest", "setuptools", "pip"}
    assert sorted(seen - set(PINS) - ours) == []


def test_no_licence_is_missing_or_refused():
    said = licences.rows(TEXT)
    assert [name for name, words in said.items() if words == "not stated"] == []
    assert [name for name, words in said.items() if re.search(r"(?<!L)GPL|General Public", words)] == []


def test_a_wrong_row_is_found():
    """Control: the page is read row by row."""
    assert licences.rows(re.sub(r"(\| torch \|.*\|) .+ \|", r"\1 GPL |", TEXT))["torch"] == "GPL"
