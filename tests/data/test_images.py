"""Images from files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import io

from stabtest.data import read_image
from stabtest.errors import DataError

DATA = os.environ.get("STABTEST_DATA")


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(0, 2000, (12, 17)).astype("<i2")


def test_raw(tmp_path, values):
    values.tofile(tmp_path / "a.raw")
    data = read_image(tmp_path / "a.raw", shape=(12, 17), scale=2000)
    assert data.image.shape == (1, 1, 12, 17)
    assert torch.allclose(data.image[0, 0], torch.from_numpy(values / 2000.0).float())


def test_big_endian_raw(tmp_path, values):
    values.astype(">i2").tofile(tmp_path / "a.raw")
    data = read_image(tmp_path / "a.raw", shape=(12, 17), dtype=">i2", scale=1)
    assert np.array_equal(data.image[0, 0].numpy(), values.astype(np.float32))


@pytest.mark.parametrize(("suffix", "dtype"), [("png", np.uint8), ("png", np.uint16), ("tif", np.uint16), ("tiff", np.float32)])
def test_pictures(tmp_path, values, suffix, dtype):
    picture = (values // 8).astype(dtype)
    io.imsave(tmp_path / f"a.{suffix}", picture, check_contrast=False)
    data = read_image(tmp_path / f"a.{suffix}", scale=1)
    assert np.array_equal(data.image[0, 0].numpy(), picture.astype(np.float32))


def test_default_scale_is_the_largest_magnitude_and_can_be_undone(tmp_path, values):
    np.save(tmp_path / "a.npy", values - 500.0)
    data = read_image(tmp_path / "a.npy", offset=10.0)
    assert float(data.image.abs().max()) == pytest.approx(1.0)
    assert np.allclose(data.image[0, 0].numpy() * data.scale + data.offset, values - 500.0, atol=1e-3)


def test_complex_images_stay_complex(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1j, 2.0], [0, -4.0]]))
    data = read_image(tmp_path / "a.npy")
    assert data.image.dtype == torch.complex64
    assert data.image[0, 0, 0, 0] == 0.25j


def test_grey_picture_in_colours_is_taken_and_colour_refused(tmp_path, values):
    grey = np.repeat((values // 8).astype(np.uint8)[..., None], 3, axis=2)
    io.imsave(tmp_path / "grey.png", grey, check_contrast=False)
    assert read_image(tmp_path / "grey.png").image.shape == (1, 1, 12, 17)
    grey[0, 0, 1] += 1
    io.imsave(tmp_path / "colour.png", grey, check_contrast=False)
    with pytest.raises(DataError, match=r"colour\.png: expected a greyscale picture"):
        read_image(tmp_path / "colour.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"shape = \(H, W\)"),
        ({"shape": (12, 16)}, "expected 384 bytes.*came 408 bytes"),
        ({"shape": (12, 17), "dtype": "nonsense"}, "NumPy type code"),
        ({"shape": (12, 17), "dtype": "S2"}, "type of numbers"),
        ({"shape": (12, 17), "scale": 0.0}, "positive scale"),
        ({"shape": (12, 17), "scale": float("nan")}, "positive scale"),
    ],
)
def test_bad_raw(tmp_path, values, arguments, message):
    values.tofile(tmp_path / "a.raw")
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "a.raw", **arguments)


@pytest.mark.parametrize(
    ("array", "arguments", "message"),
    [
        (np.zeros((4, 4)), {}, "zeros throughout"),
        (np.full((4, 4), np.inf), {}, "16 NaN or infinite"),
        (np.ones((2, 4, 4)), {}, r"shape \(2, 4, 4\)"),
        (np.ones(4), {}, "2 axes"),
        (np.ones((4, 4)), {"shape": (4, 5)}, r"expected shape \(4, 5\); came shape \(4, 4\)"),
        (np.ones((4, 4)), {"offset": 1.0}, "equals its offset"),
    ],
)
def test_bad_arrays(tmp_path, array, arguments, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "a.npy", **arguments)


def test_damaged_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match=r"a\.png: expected a readable picture"):
        read_image(tmp_path / "a.png")


def test_unknown_kind_and_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"\.jpg file"):
        read_image(tmp_path / "a.jpg")
    for name in ("a.png", "a.npy", "a.raw"):
        with pytest.raises(DataError, match="nothing there"):
            read_image(tmp_path / name, shape=(2, 2))
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(DataError, match="came a folder"):
        read_image(tmp_path / "folder.npy")


@pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")
@pytest.mark.realdata
def test_low_contrast_phantom():
    path = Path(DATA or "") / "ct-lowcontrast" / "ground_truth.raw"
    image = read_image(path, shape=(256, 256), scale=2000).image[0, 0]
    assert float(image[128, 128]) == pytest.approx(0.5, abs=0.005)  # water
    assert float(image[0, 0]) == 0.0  # air
    assert len(image[60:200, 60:200].unique()) >= 5  # background and four discs


def circular_tiff(path):
    """Three pages of which the last points back to the second."""
    import tifffile

    with tifffile.TiffWriter(path) as writer:
        for value in (1, 2, 3):
            writer.write(np.full((8, 8), value, dtype=np.uint16), photometric="minisblack", contiguous=False, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        second, third = tiff.pages[1].offset, tiff.pages[2].offset
    content = bytearray(path.read_bytes())
    entries = int.from_bytes(content[third : third + 2], "little")
    link = third + 2 + 12 * entries  # TIFF 6.0, section 2: the offset of the next directory follows the entries
    assert content[link : link + 4] == bytes(4)
    content[link : link + 4] = second.to_bytes(4, "little")
    path.write_bytes(content)


def test_a_tiff_whose_pages_go_round_is_refused(tmp_path):
    path = tmp_path / "round.tif"
    circular_tiff(path)
    with pytest.raises(DataError, match="chain of pages"):
        read_image(path)
