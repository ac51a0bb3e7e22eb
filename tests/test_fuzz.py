"""A short profile of ``python -m benchmarks.fuzz``: readers refuse spoilt files by the tool's own errors, or take them."""

import sys
from functools import partial

import numpy as np
import pytest

from stabtest.errors import DataError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of memory")

if sys.platform != "win32":
    from benchmarks import fuzz

NEEDS = {"image, NIfTI": "nibabel", "image, NIfTI gz": "nibabel", "network, ONNX": "onnxruntime"}
EXAMPLES = {"configuration": 40, "Data Exchange": 10, "network, ONNX": 20, "several coils": 20}


@pytest.mark.parametrize("name", ["configuration", "own operator", *fuzz.SUBJECTS])
def test_nothing_but_the_tools_own_errors_comes_out(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    fuzz.fuzz(name, examples=EXAMPLES.get(name, 40), folder=tmp_path)


@pytest.mark.parametrize("name", fuzz.SUBJECTS)
def test_what_is_spoilt_was_good(name, tmp_path):
    """Control: every valid file is taken (an untrusted program is refused for what it is)."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    for content in fuzz.SUBJECTS[name].valid():
        path = tmp_path / f"spoilt{fuzz.SUBJECTS[name].ending}"
        path.write_bytes(content)
        assert fuzz.attempt(partial(fuzz.SUBJECTS[name].read, path)) == ("refused" if name == "program" else "taken")


def test_the_operator_that_is_spoilt_was_good():
    """Control: of the good products of a real matrix an operator is made, of a wrong adjoint none."""
    for ways, said in ((("good", "good"), "taken"), (("good", "twice"), "refused")):
        assert fuzz.attempt(fuzz.Scanner(ways, is_complex=False, layout=None).build) == said


def test_another_exception_falls(tmp_path, monkeypatch):
    """Control: a reader that lets NumPy's own error through is found out."""
    careless = fuzz.Subject(lambda: [fuzz._saved(np.ones(3))], np.load, ".npy")
    monkeypatch.setitem(fuzz.SUBJECTS, "careless", careless)
    with pytest.raises((ValueError, OSError, EOFError)):
        fuzz.fuzz("careless", examples=30, folder=tmp_path)
    assert not issubclass(DataError, ValueError)
