"""K-space from files."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from stabtest.data import read_kspace
from stabtest.errors import DataError
from stabtest.operators import fft2c, ifft2c
from stabtest.phantoms import head

DATA = os.environ.get("STABTEST_DATA")
real = pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")


def centred(image):
    """Independent oracle of the centred orthonormal transform."""
    height, width = image.shape

    def matrix(n):
        k = np.arange(n) - n // 2
        return np.exp(-2j * np.pi * np.outer(k, k) / n) / np.sqrt(n)

    return matrix(height) @ image @ matrix(width).T


@pytest.fixture
def brain():
    return fft2c(head(64, seed=3)[None])[0, 0].numpy()


def save(path: Path, array) -> Path:
    np.save(path, array)
    return path


def test_reference_is_the_image_with_largest_magnitude_one(tmp_path, brain):
    data = read_kspace(save(tmp_path / "k.npy", 7.0 * brain))
    truth = head(64, seed=3)
    assert data.kspace.shape == data.reference.shape == (1, 1, 64, 64)
    assert data.kspace.dtype == data.reference.dtype == torch.complex64
    assert float(data.reference.abs().max()) == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(data.reference[0] * data.factor / 7.0, truth, atol=1e-5)


def test_kspace_and_reference_belong_together(tmp_path, brain):
    data = read_kspace(save(tmp_path / "k.npy", brain), size=40)
    assert torch.allclose(ifft2c(data.kspace), data.reference, atol=1e-6)


@pytest.mark.parametrize(("full", "size"), [((64, 64), 32), ((65, 64), (33, 48)), ((61, 50), (40, 41))])
def test_crop_is_the_ideal_resize(tmp_path, full, size):
    """A smooth (band-limited) object keeps its values at the places where both grids have a pixel."""
    rng = np.random.default_rng(0)
    wanted = (size, size) if isinstance(size, int) else size
    spectrum = np.zeros(full, complex)
    middle = tuple(slice(n // 2 - 3, n // 2 + 4) for n in full)
    spectrum[middle] = rng.standard_normal((7, 7)) + 1j * rng.standard_normal((7, 7))
    spectrum[full[0] // 2, full[1] // 2] = 20
    spectrum += 1e-12
    data = read_kspace(save(tmp_path / "k.npy", spectrum), size=size)

    def value(k, n, v):  # the trigonometric polynomial at v in fields of view from the centre
        waves = [np.exp(2j * np.pi * np.arange(-3, 4) * x) for x in v]
        return waves[0] @ k[middle] @ waves[1] / np.sqrt(n[0] * n[1])

    for i, j in ((0, 0), (5, 9), (wanted[0] - 1, 3)):
        place = (i - wanted[0] // 2) / wanted[0], (j - wanted[1] // 2) / wanted[1]
        assert complex(data.reference[0, 0, i, j]) * data.factor == pytest.approx(value(spectrum, full, place), abs=1e-5)


def test_crop_keeps_the_brightness(tmp_path, brain):
    full, half = (read_kspace(save(tmp_path / "k.npy", brain), size=size) for size in (None, 32))
    means = [complex((data.reference * data.factor).mean()) for data in (full, half)]
    assert means[1] == pytest.approx(means[0], rel=1e-5)
    assert any("cropped to the central 32 x 32 of 64 x 64" in note and "0.5" in note for note in half.notes)


def test_noise_is_estimated(tmp_path):
    rng = np.random.default_rng(1)
    clean = centred(np.pad(np.ones((40, 40)) * np.hanning(40)[:, None] * np.hanning(40), 44))
    noise = 0.02 * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)) / np.sqrt(2)
    for size in (None, 64):
        data = read_kspace(save(tmp_path / "k.npy", clean + noise), size=size)
        scale = 1.0 if size is None else size / 128
        assert data.noise_std * data.factor == pytest.approx(0.02 * scale, rel=0.1)
        assert not any("not white" in note for note in data.notes)


def noisy(shape=(128, 128)):
    rng = np.random.default_rng(1)
    clean = centred(np.pad(np.hanning(40)[:, None] * np.hanning(40), 44))
    return clean + 0.02 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def test_samples_that_were_not_measured_are_no_noise(tmp_path):
    """A shutter that leaves out the outermost corners of k-space."""
    k = noisy()
    down, across = np.meshgrid(np.arange(128) - 64, np.arange(128) - 64, indexing="ij")
    k[np.hypot(down, across) > 80] = 0
    assert np.mean(k[:16, :16] == 0) > 0.5
    data = read_kspace(save(tmp_path / "k.npy", k))
    assert data.noise_std * data.factor == pytest.approx(0.02, rel=0.1)


def test_noise_is_unknown_without_samples_in_the_corners(tmp_path):
    k = noisy()
    for rows in (slice(14), slice(-14, None)):
        for columns in (slice(14), slice(-14, None)):
            k[rows, columns] = 0
    data = read_kspace(save(tmp_path / "k.npy", k))
    assert np.isnan(data.noise_std)
    assert any("noise is not known" in note for note in data.notes)
    assert not any("nan" in note or "not white" in note for note in data.notes)


@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_containers(tmp_path, brain, kind):
    stack = np.stack([np.roll(brain, 0), 2 * brain])
    path = tmp_path / f"k.{kind}"
    if kind == "npz":
        np.savez(path, kspace=stack, other=np.ones(3))
    else:
        with h5py.File(path, "w") as file:
            file["kspace"] = stack.astype(np.complex64)
    first, second = (read_kspace(path, key="kspace", index=index) for index in (0, 1))
    assert second.factor == pytest.approx(2 * first.factor, rel=1e-5)
    assert torch.allclose(first.reference, second.reference, atol=1e-5)


def test_an_object_across_the_borders_is_noted(tmp_path):
    image = np.zeros((32, 32))
    image[:6, :6] = image[-6:, -6:] = image[:6, -6:] = image[-6:, :6] = 1
    data = read_kspace(save(tmp_path / "k.npy", centred(image)))
    assert any("across the borders" in note for note in data.notes)


def with_nan(k):
    k = k.copy()
    k[3, 4] = np.nan
    return k


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda k: k.real, {}, "complex k-space; came real"),
        (lambda k: k[0], {}, r"2 axes; came shape \(64,\)"),
        (lambda k: np.stack([k, k]), {}, "choose a slice"),
        (lambda k: np.stack([k, k]), {"index": 2}, "from 0 to 1; came index = 2"),
        (lambda k: k, {"index": 1}, r"leave out \[data\] row"),
        (lambda k: k[None, None], {}, "slices, coils"),
        (with_nan, {}, "1 NaN or infinite values of 4096"),
        (lambda k: 0 * k, {}, "zeros throughout"),
        (lambda k: np.fft.ifftshift(k), {}, r"at \(0, 0\).*fftshift"),
        (lambda k: np.roll(k, 20, 1), {}, r"strongest near \(32, 32\); came the strongest sample at \(32, 52\)"),
        (lambda k: k * (np.arange(64) % 4 == 0), {}, "75 % of the samples are exactly 0.*applies the mask itself"),
        (lambda k: k, {"size": 65}, "size = 65: expected from 8 to the stored 64 x 64"),
        (lambda k: k, {"size": (32, 99)}, "from 8 to the stored 64 x 64"),
        (lambda k: k, {"size": 3}, "from 8 to the stored"),
        (lambda k: k[:0], {}, "empty array"),
        (lambda k: np.array([["a", "b"]]), {}, "numbers"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, brain, change, arguments, message):
    path = save(tmp_path / "k.npy", change(brain))
    with pytest.raises(DataError, match=message) as caught:
        read_kspace(path, **arguments)
    assert "k.npy" in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.npy: expected a file; came nothing there"):
        read_kspace(tmp_path / "none.npy")


@pytest.mark.parametrize("name", ["k.npy", "k.npz", "k.h5"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_truncated_files(tmp_path, brain, name, share):
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, kspace=brain)
    elif name.endswith("h5"):
        with h5py.File(path, "w") as file:
            file["kspace"] = brain
    else:
        np.save(path, brain)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=name):
        read_kspace(path)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "k.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="NumPy file of numbers"):
        read_kspace(path)


def test_wrong_key_lists_the_keys(tmp_path, brain):
    path = tmp_path / "k.h5"
    with h5py.File(path, "w") as file:
        file["reconstruction_rss"] = np.ones((2, 2))
        file.create_group("kspace")
    with pytest.raises(DataError, match="kspace: expected a dataset; came a group; the file holds reconstruction_rss"):
        read_kspace(path)


def test_unknown_kind_of_file(tmp_path):
    with pytest.raises(DataError, match=r"\.mat file"):
        read_kspace(tmp_path / "k.mat")


@real
@pytest.mark.realdata
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("size", [None, 128])
def test_brain_agrees_with_the_published_image(number, size):
    folder = Path(DATA or "") / "mri-brain"
    data = read_kspace(folder / f"kspace_{number}.npy", size=size)
    published = torch.from_numpy(np.load(folder / f"gt_{number}.npy"))
    if size is not None:
        spectrum = fft2c(published.to(torch.complex128)[None, None])
        published = ifft2c(spectrum[..., 96:224, 96:224])[0, 0].abs()
    together = torch.stack([data.reference[0, 0].abs().double().flatten(), published.flatten()])
    assert torch.corrcoef(together)[0, 1] > 0.98
    for flipped in (published.flip(0), published.flip(1), published.T):
        together = torch.stack([data.reference[0, 0].abs().double().flatten(), flipped.flatten()])
        assert torch.corrcoef(together)[0, 1] < 0.95


def test_a_dataset_whose_name_is_no_text_is_listed(tmp_path):
    """Found by `benchmarks.fuzz`: h5py gives such names as bytes."""
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file[b"\xe9\xff"] = np.ones(3)
        file["images"] = np.ones(3)
    with pytest.raises(DataError, match="images"):
        read_kspace(tmp_path / "scan.h5")
