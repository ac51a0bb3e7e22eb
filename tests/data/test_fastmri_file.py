"""Volumes in fastMRI's layout against an oracle made of matrices."""

import numpy as np
import pytest
import torch

from stabtest.data import read_kspace
from stabtest.errors import DataError


@pytest.fixture
def volume(tools, write_volume):
    """A fully sampled multi-coil volume with header and reconstructions, and its coil images."""
    images = tools.coil_images()
    middle = images[..., 16:48, 4:36]
    path = write_volume(
        tools.transform(images),
        header=tools.header(),
        images=np.sqrt((np.abs(middle) ** 2).sum(1)),
        attributes={"acquisition": "AXT2", "patient_id": "0123deadbeef", "max": 1.5},
    )
    return path, images


@pytest.mark.parametrize("index", [0, 1])
def test_coil_images_are_those_of_the_shown_field_of_view(volume, tools, index):
    """fastMRI's convention: read-out oversampling is cropped in the image, the transform is centred and orthonormal."""
    path, images = volume
    data = read_kspace(path, index=index, coils=True)
    assert data.kspace.shape == (1, 3, 32, 32)
    own = tools.dft(32).conj().T @ data.kspace[0].numpy() @ tools.dft(32).conj()
    np.testing.assert_allclose(own * data.factor, images[index, :, 16:48, 4:36], atol=2e-5)


def test_the_largest_root_sum_of_squares_is_one(volume, tools):
    data = read_kspace(volume[0], index=0, coils=True)
    own = tools.dft(32).conj().T @ data.kspace[0].numpy() @ tools.dft(32).conj()
    assert np.sqrt((np.abs(own) ** 2).sum(0)).max() == pytest.approx(1, abs=1e-5)


def test_the_reconstruction_of_the_file_is_read_and_agrees(volume):
    data = read_kspace(volume[0], index=1, coils=True)
    assert data.shown.shape == (1, 1, 32, 32)
    assert float(data.shown.max()) == pytest.approx(1, abs=1e-4)
    assert any("agrees with ours of the same k-space to 1.000" in note for note in data.notes)


def test_a_reconstruction_of_another_slice_is_noticed(tools, write_volume):
    images = tools.coil_images()
    wrong = np.sqrt((np.abs(images[..., 16:48, 4:36]) ** 2).sum(1))[:, ::-1].copy()
    wrong[:, :, :20] = 0
    data = read_kspace(write_volume(tools.transform(images), header=tools.header(), images=wrong), index=0, coils=True)
    assert any("other axes, another slice or another transform?" in note for note in data.notes)


def test_single_coil_files_have_three_axes(tools, write_volume):
    images = tools.coil_images(coils=1)[:, 0]
    path = write_volume(tools.transform(images), header=tools.header(), images=np.abs(images[:, 16:48, 4:36]))
    data = read_kspace(path, index=0)
    np.testing.assert_allclose(data.reference[0, 0].numpy() * data.factor, images[0, 16:48, 4:36], atol=2e-5)


@pytest.mark.parametrize(("field", "shape"), [("shown", (32, 32)), ("read-out", (32, 40)), ("encoded", (64, 40))])
def test_the_field_of_view_can_be_chosen(volume, field, shape):
    data = read_kspace(volume[0], index=0, coils=True, field=field)
    assert tuple(data.kspace.shape[2:]) == shape


def test_white_noise_stays_white_at_its_level(tools, write_volume):
    """Cropping the field of view is unitary on what is kept."""
    rng = np.random.default_rng(0)
    noise = 0.05 * (rng.standard_normal((1, 2, 128, 80)) + 1j * rng.standard_normal((1, 2, 128, 80))) / np.sqrt(2)
    clean = tools.transform(tools.coil_images(slices=1, coils=2, shape=(128, 80)))
    path = write_volume(clean + noise, header=tools.header(height=128, width=80, shown=(64, 64)))
    data, bare = (
        read_kspace(path, index=0, coils=True),
        read_kspace(
            write_volume(clean, name="clean.h5", header=tools.header(height=128, width=80, shown=(64, 64))), index=0, coils=True
        ),
    )
    left = (data.kspace * data.factor - bare.kspace * bare.factor).numpy()
    assert np.sqrt(np.mean(np.abs(left) ** 2)) == pytest.approx(0.05, rel=0.05)
    assert data.noise_std * data.factor == pytest.approx(0.05, rel=0.1)


def test_a_smaller_size_is_the_central_samples(volume):
    full, small = (read_kspace(volume[0], index=0, coils=True, size=size) for size in (32, 24))
    torch.testing.assert_close(
        small.kspace * small.factor, full.kspace[..., 4:28, 4:28] * full.factor * 0.75, atol=1e-5, rtol=1e-4
    )


def test_what_the_scanner_padded_does_not_count_as_measured(tools, write_volume):
    k = tools.transform(tools.coil_images())
    k[..., :6] = 0
    data = read_kspace(write_volume(k, header=tools.header(first=6)), index=0, coils=True, field="read-out")
    assert data.measured[0].tolist() == [False] * 6 + [True] * 34
    assert any("6 columns at the borders" in note and "columns 6 to 39 were encoded" in note for note in data.notes)
    shown = read_kspace(write_volume(k, header=tools.header(first=6)), index=0, coils=True)
    assert not shown.kspace[..., ~shown.measured].any()
    assert (
        shown.measured[0].tolist() == [False] * 5 + [True] * 27
    )  # column 5 of 32 is at 40 / 32 of the frequency of the old ones


@pytest.fixture
def undersampled(tools, write_volume):
    mask = np.zeros(40, np.uint8)
    mask[14:27] = mask[::3] = 1
    k = tools.transform(tools.coil_images()) * mask
    return write_volume(k, header=tools.header(), mask=mask), mask


def test_a_file_with_a_mask_must_be_asked_for(undersampled):
    with pytest.raises(DataError, match=r"left out \d+ of 40 columns.*mask.kind = \"measured\""):
        read_kspace(undersampled[0], index=0, coils=True)


def test_a_file_with_a_mask_keeps_its_columns(undersampled, tools):
    path, mask = undersampled
    data = read_kspace(path, index=0, coils=True, undersampled=True)
    assert data.prospective
    assert tuple(data.kspace.shape[2:]) == (32, 40)
    assert data.measured[0].tolist() == (mask == 1).tolist()
    assert not data.kspace[..., mask == 0].any()
    rows = tools.dft(32).conj().T @ data.kspace[0].numpy() * data.factor
    whole = tools.dft(64).conj().T @ (tools.transform(tools.coil_images()[0]) * mask)
    np.testing.assert_allclose(rows, whole[:, 16:48], atol=2e-5)


def test_columns_of_an_undersampled_scan_cannot_be_resampled(undersampled):
    with pytest.raises(DataError, match="lines between measured ones cannot be resampled"):
        read_kspace(undersampled[0], index=0, coils=True, undersampled=True, field="shown")


def test_a_mask_that_marks_padding_is_cut_down(tools, write_volume):
    """As in fastMRI's test sets, whose masks go on beyond the encoding limits."""
    mask = np.zeros(40, np.uint8)
    mask[:6] = mask[14:27] = mask[::3] = 1
    k = tools.transform(tools.coil_images()) * mask
    k[..., :6] = 0
    data = read_kspace(write_volume(k, header=tools.header(first=6), mask=mask), index=0, coils=True, undersampled=True)
    assert data.measured[0, :7].tolist() == [False] * 6 + [True]


def test_the_patient_is_nowhere_in_what_is_said(volume):
    notes = " ".join(read_kspace(volume[0], index=0, coils=True).notes)
    assert "AXT2" in notes
    assert "deadbeef" not in notes
    assert "Doe" not in notes


def test_one_slice_is_read_and_not_the_volume(tools, write_volume, monkeypatch):
    import h5py

    path = write_volume(np.repeat(tools.transform(tools.coil_images()), 8, axis=0), header=tools.header())
    largest = []
    own = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, where: largest.append(np.size(got := own(self, where))) or got
    )
    read_kspace(path, index=9, coils=True)
    assert max(largest) == 3 * 64 * 40


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"mask": np.ones(39)}, {}, "40 entries 0 or 1, one a column"),
        ({"mask": np.eye(40)[0] * 0}, {}, "zeros in the columns that it leaves out; came 40 of them hold samples"),
        ({"header": "<a>"}, {}, "an ISMRMRD header in XML"),
        ({"header": "<a/>"}, {}, "an encoding in the ISMRMRD header; came none"),
        ({"header": '<!DOCTYPE x [<!ENTITY a "b">]><a/>'}, {}, "a document type or entities"),
        ({"images": np.ones((3, 32, 32))}, {}, "one image a slice of the k-space; came shape"),
        ({"images": np.full((2, 32, 32), np.nan)}, {}, "finite magnitudes"),
        ({}, {"index": 2}, "a slice from 0 to 1; came index = 2"),
        ({}, {"index": None}, "choose a slice"),
        ({}, {"coils": False}, 'for several coils set .operator. kind = "multicoil"'),
        ({}, {"size": 33}, "from 8 to the 32 x 32 samples of the field of view"),
    ],
)
def test_bad_files_are_refused(tools, write_volume, change, arguments, message):
    path = write_volume(tools.transform(tools.coil_images()), **{"header": tools.header(), **change})
    with pytest.raises(DataError, match=message) as caught:
        read_kspace(path, **{"index": 0, "coils": True, **arguments})
    assert "volume.h5" in str(caught.value)


def test_a_radial_trajectory_is_refused(tools, write_volume):
    path = write_volume(tools.transform(tools.coil_images()), header=tools.header(trajectory="radial"))
    with pytest.raises(DataError, match="a Cartesian trajectory; came 'radial'"):
        read_kspace(path, index=0, coils=True)


def test_gaps_without_a_mask_are_refused(tools, write_volume):
    k = tools.transform(tools.coil_images())
    k[..., ::5] = 0
    with pytest.raises(DataError, match="some between measured ones, and no mask"):
        read_kspace(write_volume(k, header=tools.header()), index=0, coils=True)


def test_a_single_coil_volume_is_no_multi_coil_one(tools, write_volume):
    path = write_volume(tools.transform(tools.coil_images()[:, 0]))
    with pytest.raises(DataError, match=r"which is \(slices, H, W\) in fastMRI's single-coil files"):
        read_kspace(path, index=0, coils=True)
