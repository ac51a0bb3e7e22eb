"""What a reader refuses is refused with what was expected, what came and what to do: read from the source."""

import ast
from pathlib import Path

import pytest

import stabtest
from stabtest.errors import DataError

ROOT = Path(stabtest.__file__).parent
READERS = [*sorted((ROOT / "data").glob("*.py")), *sorted((ROOT / "audit").glob("*.py"))]


def lacking(source):
    """Lines of `DataError`s without one of the three."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == DataError.__name__
        if not {"expected", "came", "remedy"} <= {keyword.arg for keyword in call.keywords}
    ]


@pytest.mark.parametrize("path", READERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_refusal_says_what_to_do(path):
    assert lacking(path.read_text(encoding="utf-8")) == []


def test_one_that_does_not_is_found():
    """Control."""
    assert lacking('x = 1\nraise DataError("scan.h5", expected="a file", came="none")') == [2]
