import shutil
from pathlib import Path

import pytest

import stabtest
from stabtest.audit.fingerprint import source_sha256

ROOT = Path(stabtest.__file__).parents[1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The source in another folder, and its hash."""
    root = tmp_path_factory.mktemp("source")
    for name in ("stabtest", "reconstructors"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    return root, source_sha256(root)


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"stabtest/audit/{each}.py"
            for each in (
                "cases/make",
                "cases/mask_file",
                "cases/measured_sinogram",
                "cases/scans",
                "cases/simulate",
                "measures",
                "units/laboratory",
            )
        ),
        "stabtest/audit/subject.py",
        "stabtest/bounds/__init__.py",
        "stabtest/data/kspace.py",
        "stabtest/metrics.py",
        "stabtest/networks/gates.py",
        "stabtest/operators/masks.py",
        "stabtest/phantoms/sites.py",
        "stabtest/search/leader.py",
        "stabtest/stability/structure.py",
        "stabtest/statistics.py",
        "stabtest/tensors.py",
        "reconstructors/tv.py",
    ],
)
def test_code_that_measures_is_part_of_the_key(copy, name):
    root, before = copy
    original = (root / name).read_bytes()
    (root / name).write_bytes(original + b"# changed\n")
    after = source_sha256(root)
    (root / name).write_bytes(original)
    assert after != before


@pytest.mark.parametrize(
    "name", ["stabtest/audit/document/limitations.py", "stabtest/audit/document/judge.py", "stabtest/report/render.py"]
)
def test_code_that_judges_or_describes_is_not(copy, name):
    root, before = copy
    original = (root / name).read_bytes()
    (root / name).write_bytes(original + b"# changed\n")
    after = source_sha256(root)
    (root / name).write_bytes(original)
    assert after == before


def test_a_new_file_of_the_audit_counts_until_it_is_named(copy):
    root, before = copy
    new = root / "stabtest" / "audit" / "another_scanner.py"
    new.write_text("")
    after = source_sha256(root)
    new.unlink()
    assert after != before


def test_the_place_of_the_source_does_not_matter(copy, tmp_path):
    shutil.copytree(copy[0], tmp_path / "elsewhere")
    assert source_sha256(tmp_path / "elsewhere") == copy[1]
