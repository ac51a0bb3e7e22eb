"""Coil maps from files."""

import h5py
import numpy as np
import pytest
import torch

from stabtest import phantoms
from stabtest.data.coil_maps import read_coil_maps
from stabtest.errors import DataError


@pytest.fixture
def maps():
    return np.stack([phantoms.coil_maps(16, 3, seed=seed).numpy() for seed in range(2)])


@pytest.mark.parametrize("kind", ["npy", "npz", "h5"])
def test_a_slice_of_a_volume(tmp_path, maps, kind):
    path = tmp_path / f"maps.{kind}"
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file["maps"] = maps
    else:
        (np.save if kind == "npy" else np.savez)(path, maps)
    for index in (0, 1):
        assert torch.equal(read_coil_maps(path, (3, 16, 16), index=index), torch.from_numpy(maps[index]))


def test_one_set_for_all_slices(tmp_path, maps):
    np.save(tmp_path / "maps.npy", maps[0])
    assert torch.equal(read_coil_maps(tmp_path / "maps.npy", (3, 16, 16), index=7), torch.from_numpy(maps[0]))


@pytest.mark.parametrize(
    ("change", "index", "message"),
    [
        (lambda m: m[0, :2], 0, r"shape \(3, 16, 16\): coils, and the grid.*came \(2, 16, 16\)"),
        (lambda m: m, None, "a slice from 0 to 1.*came no slice"),
        (lambda m: m, 2, "came slice 2"),
        (lambda m: m[0].real, 0, "complex sensitivities; came real numbers"),
        (lambda m: m[0] * np.nan, 0, "finite numbers"),
        (lambda m: 0 * m[0], 0, "zeros throughout"),
    ],
)
def test_bad_maps_are_refused(tmp_path, maps, change, index, message):
    np.save(tmp_path / "maps.npy", change(maps))
    with pytest.raises(DataError, match=message) as caught:
        read_coil_maps(tmp_path / "maps.npy", (3, 16, 16), index=index)
    assert "maps.npy" in str(caught.value)


def test_a_dataset_must_be_named_where_there_are_several(tmp_path, maps):
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file["a"] = file["b"] = maps
    with pytest.raises(DataError, match=r"maps\.dataset; came a, b"):
        read_coil_maps(tmp_path / "maps.h5", (3, 16, 16), index=0)
    assert read_coil_maps(tmp_path / "maps.h5", (3, 16, 16), index=0, key="b").shape == (3, 16, 16)
