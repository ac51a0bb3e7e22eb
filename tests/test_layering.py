"""Who may import whom: read from the source with `ast`, so that a forbidden import cannot hide in a function."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = {"errors", "tensors", "operators", "phantoms", "findings", "metrics", "statistics", "data"}
MIDDLE = {"networks", "search", "bounds"}
ALLOWED = {
    "errors": set(),
    "tensors": {"errors"},
    "findings": {"errors", "tensors"},
    "operators": {"errors", "tensors"},
    "phantoms": {"errors", "tensors"},
    "metrics": {"errors", "tensors"},
    "statistics": {"errors", "findings"},
    "data": {"errors", "tensors", "operators"},
    "networks": LEAVES,
    "search": LEAVES | {"networks"},
    "bounds": LEAVES | {"networks", "search.jacobian"},
    "stability": LEAVES | MIDDLE,
    "audit": LEAVES | MIDDLE | {"stability", "reconstructors"},
    "report": {"errors", "findings"},
    "cli": LEAVES | MIDDLE | {"stability", "audit", "report", "reconstructors"},
    "reconstructors": LEAVES,
}
"""What each room may import beside itself; ``a.b`` allows one module of a room only."""
AUDIT = {
    "config": set(),
    "cases": {"config", "fingerprint", "privacy"},
    "units": {"config", "cases", "fingerprint", "measures", "subject"},
    "document": {"config", "cases", "units", "fingerprint", "measures", "subject", "privacy"},
}
"""The same inside the audit: from what is asked for to what is measured on, to the work, to what is said. `conduct` joins them."""


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] == "reconstructors" else parts[1]


def imports(path: Path) -> set[str]:
    """Absolute names of the project's modules that a file imports, anywhere in it, type-checking blocks included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("stabtest", "reconstructors")}


def violations(path: Path) -> list[str]:
    room, wrong = room_of(path), []
    for name in imports(path):
        parts = name.split(".")
        target = "reconstructors" if parts[0] == "reconstructors" else parts[1] if len(parts) > 1 else ""
        if target in (room, "__version__") or target in ALLOWED[room]:
            continue
        if any("." in a and name.startswith(f"stabtest.{a}") for a in ALLOWED[room]):
            continue
        wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    return wrong


FILES = sorted(
    path
    for folder in ("stabtest", "reconstructors")
    for path in (ROOT / folder).rglob("*.py")
    if path.relative_to(ROOT).parts[:2] not in (("stabtest", "__init__.py"), ("stabtest", "__main__.py"))
)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room):
    assert [wrong for path in FILES if room_of(path) == room for wrong in violations(path)] == []


@pytest.mark.parametrize("room", sorted(AUDIT))
def test_an_audit_goes_one_way(room):
    allowed = {f"stabtest.audit.{name}" for name in (room, *AUDIT[room])}
    wrong = [
        f"{path.name} imports {name}"
        for path in (ROOT / "stabtest" / "audit" / room).rglob("*.py")
        for name in imports(path)
        if name.startswith("stabtest.audit.") and ".".join(name.split(".")[:3]) not in allowed
    ]
    assert wrong == []


def test_every_room_of_the_audit_is_held_to_that():
    assert {path.parent.name for path in (ROOT / "stabtest" / "audit").glob("*/__init__.py")} == set(AUDIT)


def test_every_file_belongs_to_a_known_room():
    assert {room_of(path) for path in FILES} <= set(ALLOWED)


def test_a_forbidden_import_is_found(tmp_path, monkeypatch):
    """Control: the check sees an import that hides in a function."""
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "stabtest" / "report" / "bad.py"
    path.parent.mkdir(parents=True)
    path.write_text("def f():\n    from stabtest.operators import Radon\n    return Radon\n")
    assert violations(path) == ["stabtest/report/bad.py imports stabtest.operators.Radon"]


def test_import_is_cheap():
    """The top of the package and the findings draw in no heavy package."""
    import subprocess
    import sys

    heavy = "[m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules]"
    code = f"import sys, stabtest, stabtest.findings, stabtest.errors; print({heavy})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout.strip() == "[]"
