"""Whether a wheel holds what it must and nothing else.

    python tests/packaging/wheel_content.py dist/stabtest-*.whl

It must hold every file of ``stabtest`` and ``reconstructors`` that is in the checkout, byte for byte, both type markers, and five files of metadata:
version, licence as an SPDX expression with its text, entry point and extras as in ``pyproject.toml``. The exit status is 1 where it does not.
"""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("stabtest", "reconstructors")
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def complaints(wheel: Path, root: Path = ROOT) -> list[str]:
    """What is wrong with a wheel that was built from a checkout."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    information = f"{project['name']}-{project['version']}.dist-info/"
    wanted = {path.relative_to(root).as_posix() for name in PACKAGES for path in (root / name).rglob("*") if is_source(path)}
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        wrong = [f"missing: {name}" for name in sorted((wanted | {information + name for name in METADATA}) - held)]
        wrong += [f"too much: {name}" for name in sorted(held - wanted - {information + name for name in METADATA})]
        wrong += [f"differs: {name}" for name in sorted(wanted & held) if archive.read(name) != (root / name).read_bytes()]
        wrong += [f"no type marker: {name}" for name in PACKAGES if f"{name}/py.typed" not in held]
        if information + "METADATA" in held:
            wrong += metadata_complaints(archive.read(information + "METADATA").decode("utf-8"), project)
        if information + "entry_points.txt" in held:
            points = archive.read(information + "entry_points.txt").decode("utf-8")
            wrong += [f"no entry point {name}" for name, to in project["scripts"].items() if f"{name} = {to}" not in points]
    return wrong


def is_source(path: Path) -> bool:
    """A file of the checkout, rather than what running it leaves."""
    return path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")


def metadata_complaints(text: str, project: dict) -> list[str]:
    """What METADATA should say and does not."""
    said = HeaderParser().parsestr(text)
    expected = {
        "Name": project["name"],
        "Version": project["version"],
        "License-Expression": project["license"],
        "License-File": "LICENSE",
        "Requires-Python": project["requires-python"],
        "Summary": project["description"],
    }
    wrong = [f"METADATA {key}: {said[key]!r} instead of {value!r}" for key, value in expected.items() if said[key] != value]
    extras = set(said.get_all("Provides-Extra", []))
    wrong += [f"METADATA lacks the extra {name}" for name in set(project["optional-dependencies"]) - extras]
    always = [each for each in said.get_all("Requires-Dist", []) if "extra ==" not in each]
    names = {re.split(r"[<>=!~\[; ]", each)[0].lower() for each in always}
    return wrong + [f"METADATA requires {len(names)} packages"] * (len(names) != len(project["dependencies"]))


if __name__ == "__main__":
    found = complaints(Path(sys.argv[1]))
    print("\n".join(found) or "the wheel holds what it must and nothing else")
    sys.exit(bool(found))
