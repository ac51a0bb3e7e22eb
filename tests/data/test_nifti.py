"""NIfTI: slices along the last axis, turned as pictures are, scaled as the header says."""

import sys

import numpy as np
import pytest

from stabtest.data import read_image
from stabtest.data.nifti import read_nifti
from stabtest.errors import DataError

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def volume():
    return np.random.default_rng(0).normal(size=(7, 5, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_slices_are_pictures(tmp_path, volume, name):
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / name)
    assert read_nifti(tmp_path / name).shape == (3, 5, 7)
    image = read_image(tmp_path / name, index=2, scale=1).image
    np.testing.assert_allclose(image[0, 0], volume[:, :, 2].T, rtol=1e-6)


def test_the_header_scales(tmp_path):
    made = nibabel.Nifti1Image(np.ones((4, 4), np.int16), np.eye(4))
    made.header.set_slope_inter(2.0, 5.0)
    made.to_filename(tmp_path / "a.nii")
    raw = nibabel.load(tmp_path / "a.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii"), np.asarray(raw.dataobj))


def test_a_stack_needs_a_choice_and_a_series_is_refused(tmp_path, volume):
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match="choose one image"):
        read_image(tmp_path / "a.nii")
    with pytest.raises(DataError, match="one of 0 to 2"):
        read_image(tmp_path / "a.nii", index=3)
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 2, 2), np.float32), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(DataError, match="one volume"):
        read_nifti(tmp_path / "b.nii")


def test_damage_is_said(tmp_path, volume):
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii")
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:400])
    with pytest.raises(DataError, match="readable NIfTI"):
        read_nifti(tmp_path / "a.nii")


def test_what_is_missing_is_named(tmp_path, volume, monkeypatch):
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(DataError, match=r"stabtest\[nifti\]"):
        read_nifti(tmp_path / "a.nii")
