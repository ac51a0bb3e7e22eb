"""DICOM: values as the standard says, patients counted and not named."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from stabtest.data import patient_numbers, read_image
from stabtest.data.dicom import is_dicom, read_dicom
from stabtest.errors import DataError


def write(path, stored, *, modality="CT", slope=1, intercept=-1024, patient="Miller^Anna", **tags):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = (
        CTImageStorage,
        generate_uid(),
        ExplicitVRLittleEndian,
    )
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientName, data.PatientID, data.Modality = patient, patient, modality
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleSlope, data.RescaleIntercept, data.PixelSpacing = slope, intercept, [0.7, 0.5]
    for key, value in tags.items():
        setattr(data, key, value)
    data.PixelData = stored.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def stored():
    return np.random.default_rng(0).integers(0, 3000, (12, 17))


def test_ct_is_in_hounsfield_units_and_air_is_0(tmp_path, stored):
    path = write(tmp_path / "IM0001", stored, slope=2, intercept=-1024)
    assert is_dicom(path)
    read = read_dicom(path)
    assert read.hounsfield
    assert read.spacing == (0.7, 0.5)
    np.testing.assert_allclose(read.values, 2.0 * stored - 1024)
    image = read_image(path, scale=1000)
    np.testing.assert_allclose(image.image[0, 0], (2.0 * stored - 24) / 1000, rtol=1e-5, atol=1e-6)
    assert any("Hounsfield" in note for note in image.notes)


def test_mr_starts_at_its_own_zero(tmp_path, stored):
    path = write(tmp_path / "a.dcm", stored, modality="MR", intercept=0)
    assert not read_dicom(path).hounsfield
    assert read_image(path).offset == 0


def test_images_of_one_patient_have_one_number(tmp_path, stored):
    names = ("Miller^Anna", "Young^Ben", "Miller^Anna")
    paths = [write(tmp_path / f"{k}.dcm", stored, patient=name) for k, name in enumerate(names)]
    np.save(tmp_path / "a.npy", stored)
    assert patient_numbers([*paths, tmp_path / "a.npy"]) == [1, 2, 1, None]


def test_nothing_personal_is_in_what_is_read(tmp_path, stored):
    path = write(tmp_path / "a.dcm", stored)
    assert "Miller" not in repr(read_dicom(path)) + repr(read_image(path).notes)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_file_is_said_to_be_one(tmp_path, stored, share):
    path = write(tmp_path / "a.dcm", stored)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError):
        read_dicom(path)


def test_colour_is_refused(tmp_path, stored):
    path = write(tmp_path / "a.dcm", stored)
    data = pydicom.dcmread(path)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.PixelData = np.zeros((*stored.shape, 3), "<u2").tobytes()
    data.save_as(path)
    with pytest.raises(DataError, match="colour"):
        read_dicom(path)


def test_a_patient_in_an_encoding_that_nobody_knows_is_refused(tmp_path, stored):
    path = write(tmp_path / "a.dcm", stored)
    content = path.read_bytes()
    tag = b"\x10\x00\x20\x00LO"  # the patient's identity, explicit little endian
    assert content.count(tag) == 1
    path.write_bytes(content.replace(tag, tag[:4] + b"L\x00"))
    with pytest.raises(DataError, match="header"):
        patient_numbers([path])
