"""An audit with the user's own forward model: every test that needs no more than an operator runs, wrong ones end it at once."""

import re

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

from stabtest.audit import load_config, make_plan, run
from stabtest.audit.cases import case_fingerprint
from stabtest.audit.cases.own_operator import own_files, own_operator, read_matrix
from stabtest.audit.gates import run_gates
from stabtest.cli import app
from stabtest.errors import DataError, OperatorError
from stabtest.operators import OwnOperator, Radon
from stabtest.report import render

SCANNER = '''
import numpy as np

class Coil:
    """Blurred k-space with a random phase: nothing that the tool knows."""

    def __init__(self, size, factor=1.0):
        rng = np.random.default_rng(0)
        self.size, self.factor = size, factor
        self.mask = rng.random((size, size)) < 0.6
        self.phase = np.exp(2j * np.pi * rng.random((size, size)))

    def forward(self, x):
        return np.fft.fft2(x * self.phase, norm="ortho")[self.mask]

    def adjoint(self, y):
        full = np.zeros((self.size, self.size), complex)
        full[self.mask] = y
        return self.factor * self.phase.conj() * np.fft.ifft2(full, norm="ortho")

def make(size, factor=1.0):
    return Coil(size, factor)
'''
OPERATOR = 'kind = "own"\nfactory = "scanner.py:make"\narguments = {{ size = 32 }}\ncomplex = true\nlayout = "image"\nsize = 32'


def configured(text, operator=OPERATOR):
    text = re.sub(r"(?<=\[operator\]\n).*?(?=\n\n)", lambda _: operator, text, flags=re.S)
    text = text.replace("evaluations = 6", "evaluations = 2").replace("radii = [0.02, 0.05]", "radii = [0.05]")
    text = re.sub("patterns = .*\n", "", text).replace("{{ mask = [0.2] }}", "{{ receiver_phase = [90.0] }}")
    return text[: text.index("[[criterion]]")]


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny, write_project):
    config, network = tiny
    folder = tmp_path_factory.mktemp("own")
    (folder / "scanner.py").write_text(SCANNER)
    return write_project(folder, count=1, config=configured(config), network=network)


@pytest.fixture(scope="module")
def audited(project):
    return run(make_plan(load_config(project)), project.parent / "out")


def test_no_unit_fails(audited):
    assert audited.document.failures == []
    assert audited.complete


def test_every_test_that_needs_only_an_operator_has_rows(audited):
    document = audited.document
    assert document.quality
    sections = ("worst_case", "structure", "missed_lesion", "noise", "repeatability", "shift", "detectability")
    assert [name for name in sections if not getattr(document, name).rows] == []
    assert document.image_quality.transfer
    assert document.kernel.errors
    assert document.lipschitz.layers


def test_what_cannot_be_had_is_said(audited):
    assert audited.document.sampling is None
    assert "Not run: the sampling was not varied." in render(audited.document)
    assert any("number of samples was not varied" in words for words in audited.document.limitations)
    assert any("same discretisation" in " ".join(case.notes) or "the discretisation" in " ".join(case.notes)
               for case in audited.document.data.cases)  # fmt: skip


def test_the_report_shows_kind_hash_and_dot_test(audited, project):
    document = audited.document
    assert document.operator["kind"] == "own operator"
    assert document.operator["object"] == "Coil"
    assert document.operator["departure of the adjoint"] < 1e-14
    assert set(document.data.files) == {"scanner.py"}
    page = render(document)
    assert document.data.files["scanner.py"] in page
    assert {"linear", "adjoint"} <= {gate.name for gate in document.gates}


def test_the_key_of_a_case_changes_with_the_source(project):
    config = load_config(project)
    before = case_fingerprint(config, 0)
    source = project.parent / "scanner.py"
    text = source.read_text()
    source.write_text(text + "\n# another file\n")
    after = case_fingerprint(config, 0)
    source.write_text(text)
    assert before != after
    assert case_fingerprint(config, 0) == before


def test_a_changed_source_is_not_served_from_memory(tmp_path, project):
    (tmp_path / "scanner.py").write_text(SCANNER)
    (tmp_path / "c.toml").write_text(f'network.zoo = "tv"\n[operator]\n{OPERATOR.format()}\n')
    config = load_config(tmp_path / "c.toml")
    assert own_operator(config) is own_operator(config)
    (tmp_path / "scanner.py").write_text(SCANNER.replace("return Coil(size, factor)", "return Coil(size, 2.0)"))
    with pytest.raises(OperatorError, match="2 times the true one"):
        own_operator(config)


def written(folder, operator, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    path = folder / "c.toml"
    path.write_text(
        f'[network]\nzoo = "tv"\n[operator]\n{operator}\n[data]\ncount = 1\n[reference]\nmethod = "none"\niterations = 5\n'
    )
    return path


def test_check_ends_with_status_2_and_names_the_factor(tmp_path):
    path = written(tmp_path, OPERATOR.format().replace("32 }", "32, factor = 3.0 }"), scanner=SCANNER)
    ran = CliRunner().invoke(app, ["check", str(path)])
    assert ran.exit_code == 2
    assert "Coil: its adjoint is not one" in ran.output.replace("\n", " ")
    assert "3 times the true one" in ran.output.replace("\n", " ")
    assert "Traceback" not in ran.output


def test_a_matrix_is_an_operator(tmp_path):
    radon = Radon(16, 10)
    sparse.save_npz(tmp_path / "A.npz", radon.matrix.scipy_matrix())
    config = load_config(written(tmp_path, 'kind = "own"\nmatrix = "A.npz"\nsize = 16'))
    operator = own_operator(config)
    x = radon.domain.zeros() + 1
    assert operator(x).allclose(radon(x).flatten(1), rtol=1e-5)
    assert set(own_files(config)) == {"A.npz"}
    assert {gate.name for gate in run_gates(make_plan(config)) if not gate.passed} <= {"accuracy"}  # of five steps


def test_dense_matrices_are_read_from_npy_and_npz(tmp_path):
    values = np.random.default_rng(0).standard_normal((20, 64))
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", anything=values)
    for name in ("a.npy", "b.npz"):
        operator = own_operator(load_config(written(tmp_path, f'kind = "own"\nmatrix = "{name}"\nsize = 8')))
        assert operator.range.shape == (20,)


def test_an_operator_of_this_package_from_a_factory_is_used_as_it_is(tmp_path):
    source = "from stabtest.operators import Radon\ndef make():\n    return Radon(16, [0.0, 30.0, 75.0])\n"
    operator = own_operator(load_config(written(tmp_path, 'kind = "own"\nfactory = "s.py:make"\nsize = 16', s=source)))
    assert isinstance(operator, Radon)
    with pytest.raises(OperatorError, match=r"set .operator. size"):
        own_operator(load_config(written(tmp_path, 'kind = "own"\nfactory = "s.py:make"\nsize = 24', s=source)))


def test_a_finished_object_need_not_be_called(tmp_path):
    source = SCANNER + "\nscanner = Coil(16)\n"
    options = 'complex = true\nlayout = "image"\nsize = 16'
    path = written(tmp_path, f'kind = "own"\nfactory = "s.py:scanner"\n{options}', s=source)
    assert isinstance(own_operator(load_config(path)), OwnOperator)


BAD = {
    "pickle": (lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True), "a matrix in npy"),
    "text": (lambda p: p.write_text("1 2 3"), "a matrix in npy"),
    "half a zip": (lambda p: p.write_bytes(b"PK\x03\x04rest"), "a matrix in npy"),
    "vector": (lambda p: np.save(p, np.ones(5)), "a column for each"),
}


@pytest.mark.parametrize(("write", "words"), BAD.values(), ids=BAD)
def test_a_bad_matrix_ends_with_one_message(write, words, tmp_path):
    write(tmp_path / "m.npy")
    with pytest.raises((DataError, OperatorError), match=words):
        own_operator(load_config(written(tmp_path, 'kind = "own"\nmatrix = "m.npy"\nsize = 8')))


WRONG_CONFIG = {
    'kind = "own"': "exactly one of factory and matrix",
    'kind = "own"\nfactory = "a:b"\nmatrix = "c.npy"': "exactly one of factory and matrix",
    'kind = "fourier"\nmatrix = "c.npy"': 'kind = "own" where',
    "arguments = { a = 1 }": "a factory where arguments",
}


@pytest.mark.parametrize(("operator", "words"), WRONG_CONFIG.items())
def test_a_configuration_that_makes_no_sense_is_refused(operator, words, tmp_path):
    from stabtest.errors import ConfigError

    with pytest.raises(ConfigError, match=words):
        load_config(written(tmp_path, operator))


@pytest.mark.parametrize(
    ("indices", "indptr"), [([10**6, 1], [0, 1, 2]), ([-5, 1], [0, 1, 2]), ([0, 1], [0, 10**6, 2]), ([0, 1], [0, 2, 1])]
)
def test_a_sparse_matrix_that_points_beyond_itself_is_refused(tmp_path, indices, indptr):
    """Products with it would read memory that is not the image's."""
    path = tmp_path / "A.npz"
    sparse.save_npz(path, sparse.csr_array(np.eye(2, 16)))
    with np.load(path) as stored:
        parts = dict(stored)
    np.savez(path, **{**parts, "indices": np.array(indices, np.int32), "indptr": np.array(indptr, np.int32)})
    with pytest.raises(DataError, match=r"sparse\.save_npz"):
        read_matrix(path)


@pytest.mark.parametrize("content", [b"\x93NUMPY\x01\x00\x01\x00{", b"PK\x03\x04", b"", b"\x93NUMPY"])
def test_a_damaged_matrix_is_refused(tmp_path, content):
    (tmp_path / "A.npy").write_bytes(content)
    with pytest.raises(DataError, match="Remedy"):
        read_matrix(tmp_path / "A.npy")
