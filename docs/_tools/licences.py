"""Writes ``docs/licences.md``: the licence of every dependency, as its own metadata say it.

    python docs/_tools/licences.py

Run it in an environment with all extras, after a change of ``constraints.txt``. A pinned package that is not installed keeps the row that
the page already has. `tests/test_licences.py` holds the rows of the direct dependencies against what is installed.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """# Licences of the dependencies

stabtest is BSD-3-Clause. It ships none of the packages below; pip installs them under their own licences, which their metadata state as
follows. GPL code is never a dependency. Made by `python docs/_tools/licences.py` from the packages that `constraints.txt` pins.

"""


def direct() -> dict[str, str]:
    """Normalised name of each direct dependency -> what it is for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"always": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for group, requirements in groups.items():
        for requirement in requirements:
            found.setdefault(normalised(re.split(r"[<>=!~\[; ]", requirement)[0]), []).append(group)
    return {name: "always" if "always" in uses else ", ".join(uses) for name, uses in found.items()}


def pinned() -> dict[str, str]:
    """Name as ``constraints.txt`` spells it -> version."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def normalised(name: str) -> str:
    """A name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str | None:
    """The licence that an installed package states: as an SPDX expression, a classifier, or its first line; None if not installed."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return None
    classifiers = [text.split(" :: ")[-1] for text in said.get_all("Classifier", []) if text.startswith("License :: ")]
    classifiers = [text for text in classifiers if text != "OSI Approved"]
    first = (said.get("License") or "").strip().split("\n")[0].strip()
    return said.get("License-Expression") or " and ".join(sorted(classifiers)) or first or "not stated"


def rows(text: str) -> dict[str, str]:
    """Normalised name -> licence, of the tables of a page."""
    return {
        normalised(name): said for name, said in re.findall(r"^\| ([\w.-]+) \| [\w., ]+ \| \d[^|]* \| (.+) \|$", text, re.M)
    }


def page(before: str) -> str:
    """The page as it should be."""
    uses, old = direct(), rows(before)
    lines = {True: [], False: []}
    for name, version in sorted(pinned().items(), key=lambda pair: normalised(pair[0])):
        key = normalised(name)
        said = licence(name) or old.get(key, "not stated")
        lines[key in uses].append(f"| {name} | {uses.get(key, 'indirectly')} | {version} | {said} |")
    head = "| Package | Needed | Version | Licence |\n|---|---|---|---|\n"
    return (
        HEAD
        + "## Direct dependencies\n\n*always*, or the extra of that name.\n\n"
        + head
        + "\n".join(lines[True])
        + "\n\n## What they need\n\n"
        + head
        + "\n".join(lines[False])
        + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8") if PAGE.exists() else ""), "utf-8")
