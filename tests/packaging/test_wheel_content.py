"""The check of the wheel's content sees what is missing, too much or different, in wheels put together here."""

import importlib.util
import zipfile
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("wheel_content", Path(__file__).with_name("wheel_content.py"))
wheel_content = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wheel_content)

PROJECT = """
[project]
name = "stabtest"
version = "1.2"
description = "d"
license = "BSD-3-Clause"
requires-python = ">=3.11"
dependencies = ["torch>=2.6"]
[project.optional-dependencies]
cluster = ["distributed"]
[project.scripts]
stabtest = "stabtest.cli:main"
"""
METADATA = """Metadata-Version: 2.4
Name: stabtest
Version: 1.2
Summary: d
License-Expression: BSD-3-Clause
License-File: LICENSE
Requires-Python: >=3.11
Requires-Dist: torch>=2.6
Provides-Extra: cluster
Requires-Dist: distributed; extra == 'cluster'
"""
INFORMATION = "stabtest-1.2.dist-info/"
GOOD = {
    "stabtest/__init__.py": "a",
    "stabtest/py.typed": "",
    "reconstructors/py.typed": "",
    INFORMATION + "METADATA": METADATA,
    INFORMATION + "WHEEL": "",
    INFORMATION + "RECORD": "",
    INFORMATION + "entry_points.txt": "[console_scripts]\nstabtest = stabtest.cli:main\n",
    INFORMATION + "licenses/LICENSE": "",
}


@pytest.fixture
def check(tmp_path):
    """Complaints about a wheel of the given files."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("stabtest/__init__.py", "stabtest/py.typed", "reconstructors/py.typed", "stabtest/__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD.get(name, ""))

    def complain(files):
        with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return wheel_content.complaints(tmp_path / "x.whl", tmp_path)

    return complain


def test_a_good_wheel_has_no_complaint(check):
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"stabtest/__init__.py": None}, "missing: stabtest/__init__.py"),
        ({"tests/test_x.py": ""}, "too much: tests/test_x.py"),
        ({"stabtest/__init__.py": "b"}, "differs: stabtest/__init__.py"),
        ({"reconstructors/py.typed": None}, "no type marker: reconstructors"),
        ({INFORMATION + "licenses/LICENSE": None}, "missing: stabtest-1.2.dist-info/licenses/LICENSE"),
        ({INFORMATION + "entry_points.txt": ""}, "no entry point stabtest"),
        ({INFORMATION + "METADATA": METADATA.replace("1.2", "1.3")}, "METADATA Version: '1.3' instead of '1.2'"),
        ({INFORMATION + "METADATA": METADATA.replace("Provides-Extra: cluster\n", "")}, "METADATA lacks the extra cluster"),
    ],
)
def test_a_wheel_that_is_wrong_is_told(check, change, complaint):
    files = {name: text for name, text in {**GOOD, **change}.items() if text is not None}
    assert complaint in check(files)
