"""What a release says of itself says it everywhere alike."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def minimum() -> dict[str, str]:
    """Lower bounds of `constraints-minimum.txt`."""
    lines = (ROOT / "constraints-minimum.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_citation_is_of_this_version_and_licence():
    assert (CITATION["version"], CITATION["license"]) == (PROJECT["version"], PROJECT["license"])


def test_the_citation_has_what_the_format_requires():
    """Citation File Format 1.2.0: these keys are required."""
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"


def test_the_changelog_knows_this_version():
    assert re.search(rf"\b{re.escape(PROJECT['version'])}\b", CHANGELOG)
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.M)
    assert headings
    assert [each for each in headings if not re.fullmatch(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each)] == []


def requirements() -> dict[str, str]:
    """Name -> lower bound, of everything that the library itself or an extra of users needs."""
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(each for name in ("cluster", "nifti", "mri", "onnx") for each in extras[name])]
    return dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", each).groups() for each in wanted)


def padded(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    return (*numbers, *[0] * (4 - len(numbers)))


@pytest.mark.parametrize("name", sorted(requirements()))
def test_the_least_version_is_the_one_that_is_tried(name):
    assert padded(minimum()[name]) == padded(requirements()[name])


def test_nothing_else_is_in_the_least_versions():
    assert set(minimum()) == set(requirements())
