"""Every fenced block of the documentation is run, or held against what it speaks of.

A block is introduced by its language and perhaps a word or a title:

- ``python runnable`` runs by itself (`tests/test_docs.py`);
- ``sh runnable`` runs in a folder of its page, into which the page's blocks with a ``title`` were written before;
- other ``python`` compiles, and what it imports of this project is there;
- other ``sh`` holds only commands that are known here, with their targets, modules and options;
- ``toml`` loads (`tests/test_docs.py`), ``yaml`` parses and is the file in ``docs/examples`` that it shows; ``text`` is not looked at.
"""

from __future__ import annotations

import ast
import glob
import importlib
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yml"))
NOT_OURS = {"python3", "pip", "pip-audit", "dask", "helm"}
"""First words of commands that belong to other programs."""


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    word: str
    title: str
    text: str
    number: int

    def __str__(self):
        return f"{self.page.name}-{self.number}"


def blocks_of(page: Path) -> list[Block]:
    found = re.finditer(
        r"^```(\w*)(?: (runnable(?: continued)?))?(?: title=\"([^\"]+)\")?[^\n]*\n(.*?)^```",
        page.read_text("utf-8"),
        re.S | re.M,
    )
    return [Block(page, m[1], m[2] or "", m[3] or "", m[4], number) for number, m in enumerate(found, 1)]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def those(language: str, word: str | None = None) -> list:
    chosen = [block for block in BLOCKS if block.language == language and (word is None or block.word == word)]
    return [pytest.param(block, id=str(block)) for block in chosen]


def commands(text: str) -> list[list[str]]:
    """Words of each command line, without comments and variables that are set for it."""
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    return [[*words] for words in (list(drop_settings(line)) for line in lines) if words]


def drop_settings(words: list[str]) -> list[str]:
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return words


def complaint(words: list[str]) -> str | None:
    """Why a command could not be what it says, or None."""
    program = Path(words[0]).name
    if program == "make":
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
        return None if set(words[1:]) <= targets else f"no target {words[1:]}"
    if program == "stabtest" or program in NOT_OURS:
        return None  # options of stabtest: tests/test_docs.py
    if program == "python":
        return module_complaint(words[1:])
    return f"a command that is not known here: {program}"


def module_complaint(words: list[str]) -> str | None:
    if words[:1] == ["-m"]:
        if words[1] in ("pip", "pytest", "build", "venv"):
            return None
        base = ROOT / words[1].replace(".", "/").replace("NAME", "antun2020")
        file = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__main__.py"
    elif words[:1] == ["-c"]:
        compile(words[1], "command", "exec")
        return None
    else:
        file = ROOT / words[0]
    if not file.is_file():
        return f"no {file.relative_to(ROOT)}"
    # Of a package its other modules may read the arguments.
    source = "".join(path.read_text("utf-8") for path in (file.parent.glob("*.py") if file.name == "__main__.py" else [file]))
    unknown = [word for word in words if word.startswith("--") and f'"{word.partition("=")[0]}"' not in source]
    return f"{file.name} has no {unknown}" if unknown else None


def test_every_block_has_a_language_that_is_looked_at():
    assert {block.language for block in BLOCKS} <= {"python", "sh", "toml", "yaml", "text"}


@pytest.mark.parametrize("block", those("python"))
def test_python_compiles_and_what_it_imports_is_there(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("stabtest", "reconstructors"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("block", those("sh"))
def test_commands_are_known(block):
    assert [why for words in commands(block.text) if (why := complaint(words))] == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("make tset", "no target"),
        ("python -m benchmarks.klil", "no benchmarks/klil"),
        ("python -m benchmarks.kill --kils 3", "has no"),
        ("sl", "not known"),
    ],
)
def test_a_command_that_is_not_there_is_found(line, why):
    """Control."""
    (words,) = commands(line)
    assert why in complaint(words)


def pages_that_run() -> list:
    return [pytest.param(page, id=page.name) for page in PAGES if any(b.language == "sh" and b.word for b in blocks_of(page))]


@pytest.mark.parametrize("page", pages_that_run())
def test_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    """Titled blocks become files, commands run in the order of the page; a comment ``# exit status 1`` tells another than 0."""
    from typer.testing import CliRunner

    from stabtest.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STABTEST_CACHE", str(tmp_path / "cache"))
    for block in blocks_of(page):
        if block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        if block.language != "sh" or not block.word:
            continue
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "stabtest", line
            given = [name for word in words[1:] for name in (sorted(glob.glob(word)) or [word])]
            status = int((re.search(r"# exit status (\d+)", line) or [0, 0])[1])
            result = CliRunner().invoke(app, given)
            assert result.exit_code == status, f"{line}: {result.exit_code}\n{result.output}"


def test_the_script_that_reads_a_report_reads_one(tmp_path, monkeypatch, capsys):
    report = ROOT / "reports" / "brain" / "report.json"
    if not report.is_file():
        pytest.skip("no published reports here")
    (script,) = (b for b in BLOCKS if b.page.name == "reading-a-report.md" and b.language == "python")
    shutil.copy(report, tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(script.text, "reading-a-report.md", "exec", dont_inherit=True), {"__name__": "example"})
    criteria = json.loads(report.read_text(encoding="utf-8"))["criteria"]
    assert criteria
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [each["id"] for each in criteria]


def test_a_page_runs():
    """Control: there are such pages."""
    assert len(pages_that_run()) >= 3


@pytest.mark.parametrize("block", those("yaml"))
def test_yaml_is_one_of_the_example_files(block):
    assert isinstance(yaml.safe_load(block.text), dict)
    assert block.text in [file.read_text("utf-8") for file in EXAMPLES]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_workflow_runs_known_commands(file):
    scripts = list(strings(yaml.safe_load(file.read_text("utf-8"))))
    lines = [line for script in scripts for line in script.splitlines() if line.startswith(("stabtest ", "python "))]
    assert sum(line.startswith("stabtest audit") for line in lines) == 1
    assert [why for line in lines for words in commands(line) if (why := complaint(words))] == []


def strings(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)
