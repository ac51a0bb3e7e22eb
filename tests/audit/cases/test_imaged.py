"""Images from files as the data of an audit: simulated like phantoms, said to be images, and one patient counted once."""

import numpy as np
import pytest
import torch

from stabtest import phantoms
from stabtest.audit import load_config, make_plan, run
from stabtest.audit.cases import case_names, make_case
from stabtest.audit.cases.imaged import read_object
from stabtest.audit.cases.simulate import finer_object
from stabtest.audit.config.file import parse_config
from stabtest.audit.document.limitations import limitations
from stabtest.errors import ConfigError, DataError
from tests.data.test_dicom import write

TOML = """
[network]
zoo = "zero-filled"
[operator]
kind = "{kind}"
size = 32
mask = {{ acceleration = 2.0 }}
angles = 12
[data]
kind = "images"
files = [{files}]
noise = 0.01
{more}
[reference]
method = "none"
[worst_case]
radii = [0.02]
evaluations = 4
noise_draws = 1
[structure]
sites = 1
diameters = [4.0]
[lipschitz]
enabled = false
[image_quality]
enabled = false
"""


def configured(folder, *files, kind="fourier", more=""):
    listed = ", ".join(f'"{name}"' for name in files)
    (folder / "audit.toml").write_text(TOML.format(kind=kind, files=listed, more=more))
    return load_config(folder / "audit.toml")


@pytest.fixture
def folder(tmp_path):
    for seed in (1, 2):
        np.save(tmp_path / f"slice{seed}.npy", phantoms.make("head", 64, seed=seed)[0].abs().numpy())
    return tmp_path


def test_an_image_of_the_finer_size_is_the_object(folder):
    config = configured(folder, "slice1.npy")
    stored = torch.from_numpy(np.load(folder / "slice1.npy"))
    torch.testing.assert_close(read_object(config, 0).fine[0, 0], stored / stored.max())


@pytest.mark.parametrize("kind", ["fourier", "multicoil", "radon", "identity"])
def test_measured_as_a_phantom_is(folder, kind):
    config = configured(folder, "slice1.npy", kind=kind)
    case = make_case(config, 0)
    assert case.truth_source == "image in the file"
    assert case.truth.shape == (1, 1, 32, 32)
    assert case.truth.is_complex() == (kind in ("fourier", "multicoil"))
    clean = case.operator.refine(2).forward(finer_object(config, case)) if kind != "identity" else case.truth
    torch.testing.assert_close(case.operator.restrict(clean), case.noiseless, rtol=1e-4, atol=1e-4 * clean.abs().max().item())
    assert case.noise_std > 0


def test_a_large_oblong_image_keeps_its_brightness_and_proportions(folder):
    image = np.zeros((90, 150))
    image[30:60, 60:90] = 7.0
    np.save(folder / "oblong.npy", image)
    found = read_object(configured(folder, "oblong.npy"), 0)
    fine = found.fine[0, 0].numpy()
    assert fine.shape == (64, 64)
    assert fine[32, 32] == pytest.approx(1, abs=0.01)
    rows, columns = (np.flatnonzero(fine.max(axis) > 0.5) for axis in (1, 0))
    assert len(rows) == len(columns) == pytest.approx(30 * 64 / 150, abs=1)
    assert any("square" in note for note in found.notes)


def test_what_becomes_0_and_1(folder):
    np.save(folder / "hu.npy", np.full((64, 64), 500.0))
    fine = read_object(configured(folder, "hu.npy", more="zero = -1000\none = 1000"), 0).fine
    assert fine.unique().tolist() == pytest.approx([0.75])


def test_hounsfield_units_start_at_air(folder):
    write(folder / "a.dcm", np.full((64, 64), 1124))
    fine = read_object(configured(folder, "a.dcm", more="one = 1000"), 0).fine
    assert fine.unique().tolist() == pytest.approx([0.55])


def test_dicom_files_of_one_patient_are_one(folder):
    for k, name in enumerate(("Miller^Anna", "Young^Ben", "Miller^Anna")):
        write(folder / f"{k}.dcm", np.random.default_rng(k).integers(0, 2000, (64, 64)), patient=name)
    config = configured(folder, "*.dcm")
    assert [make_case(config, index).patient for index in range(3)] == ["patient 1", "patient 2", "patient 1"]


def test_folders_and_patterns_are_written_out(folder):
    (folder / "more").mkdir()
    for name in ("b.npy", "a.npy", ".hidden"):
        np.save(folder / "more" / "x.npy", np.ones((64, 64)))
        (folder / "more" / "x.npy").rename(folder / "more" / name)
    config = configured(folder, "more", "slice*.npy")
    assert config.data.files == ("more/a.npy", "more/b.npy", "slice1.npy", "slice2.npy")
    assert case_names(config) == ("a", "b", "slice1", "slice2")


def test_a_pattern_without_files_and_a_wrong_number_of_patients(folder):
    with pytest.raises(ConfigError, match=r"match 'none\*'"):
        configured(folder, "none*")
    with pytest.raises(ConfigError, match="as many patients as files, 2"):
        configured(folder, "slice*.npy", more='patients = ["a"]')


@pytest.mark.parametrize(
    ("more", "message"),
    [("zero = 2.0\none = 1.0", "one above zero"), ("files = []", "files, at least one")],
)
def test_wrong_keys(more, message):
    text = TOML.format(kind="fourier", files='"a.png"', more=more)
    if more == "files = []":
        text = text.replace('files = ["a.png"]\n', "")
    with pytest.raises(ConfigError, match=message):
        parse_config(text)
    with pytest.raises(ConfigError, match="for images"):
        parse_config('[network]\nzoo = "tv"\n[data]\none = 2.0')


def test_an_audit_says_that_it_is_of_images(folder):
    config = configured(folder, "slice1.npy", "slice2.npy")
    document = run(make_plan(config), folder / "out").document
    assert not document.failures
    assert document.data.simulated
    assert "2 image files" in document.data.source
    assert set(document.data.files) == {"slice1.npy", "slice2.npy"}
    assert any("simulated from images" in said for said in limitations(config, document.data.cases))
    assert any("64 x 64 pixels" in note for note in document.data.cases[0].notes)


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png"):
        make_case(configured(folder, "a.png"), 0)
