"""``docs/licences.md`` is what the installed packages say."""

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

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


def test_no_licence_is_missing_or_refused():
    said = licences.rows(TEXT)
    assert [name for name, words in said.items() if words == "not stated"] == []
    assert [name for name, words in said.items() if re.search(r"(?<!L)GPL|General Public", words)] == []


def test_a_wrong_row_is_found():
    """Control: the page is read row by row."""
    assert licences.rows(re.sub(r"(\| torch \|.*\|) .+ \|", r"\1 GPL |", TEXT))["torch"] == "GPL"
