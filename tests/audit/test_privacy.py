"""A report does not show where on the machine things lie."""

import h5py
import numpy as np
import pytest

from stabtest.audit.cases import case_names
from stabtest.audit.config.file import parse_config
from stabtest.audit.document.provenance import input_files
from stabtest.audit.privacy import without_folders
from stabtest.data.exchange import read_row
from stabtest.data.kspace import read_kspace
from stabtest.errors import DataError
from stabtest.operators import fft2c
from stabtest.phantoms import head


@pytest.fixture
def scans(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "scan.npy", fft2c(head(32, seed=0)).numpy()[0])
    return tmp_path


def config(*files):
    names = ", ".join(f'"{file}"' for file in files)
    return parse_config(f'network.zoo = "tv"\noperator.size = 32\ndata = {{ kind = "kspace", files = [{names}] }}')


def test_absolute_files_are_named_without_their_folders(scans):
    two = config(scans / "a" / "scan.npy", scans / "b" / "scan.npy")
    assert case_names(two) == ("a/scan.npy", "b/scan.npy")
    assert list(input_files(two)) == ["a/scan.npy", "b/scan.npy"]
    assert list(input_files(config(scans / "a" / "scan.npy"))) == ["scan.npy"]


def test_notes_of_kspace_name_the_file_only(scans):
    notes = read_kspace(scans / "a" / "scan.npy").notes
    assert notes[0].startswith("read scan.npy: ")
    assert str(scans) not in " ".join(notes)


def test_notes_of_a_scan_name_the_file_only(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = np.full((4, 1, 8), 100.0)
        file["exchange/data_white"] = np.full((1, 1, 8), 200.0)
        file["exchange/data_dark"] = np.zeros((1, 1, 8))
        file["exchange/theta"] = np.linspace(0, 135, 4)
    _, _, notes = read_row(tmp_path / "scan.h5", 0)
    assert notes[0].startswith("read scan.h5: ")
    assert str(tmp_path) not in " ".join(notes)


def test_messages_about_slices_name_the_key_of_the_configuration(tmp_path):
    np.save(tmp_path / "stack.npy", np.ones((3, 16, 16), dtype=np.complex64))
    with pytest.raises(DataError, match=r"\[data\] row"):
        read_kspace(tmp_path / "stack.npy")


def test_messages_lose_their_folders(scans):
    path = scans / "a" / "scan.npy"
    assert without_folders(f"{path}: damaged", config(path)) == "scan.npy: damaged"


def test_a_document_holds_no_folder_of_the_audit(audited, project):
    text = audited.document.model_dump_json()
    assert str(project.parent) not in text
    assert str(audited.out_dir) not in text
