"""Data Exchange scans, from files written here with known geometry, and the tooth."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from stabtest.data import read_data_exchange
from stabtest.data.axis import centre_of_mass, find_axis
from stabtest.data.bins import rebin, select_views
from stabtest.data.exchange import line_integrals
from stabtest.data.sinogram import _question_angles
from stabtest.errors import DataError
from stabtest.operators import Radon
from stabtest.phantoms import chest, ellipses

DATA = os.environ.get("STABTEST_DATA")
PIXELS, VIEWS = 160, 90


@cache
def scan(axis: float, last: float = 178.0, seed: int = 4):
    """Line integrals ``(VIEWS, PIXELS)`` of an object of radius about 60 detector pixels around the axis."""
    angles = np.linspace(0.0, last, VIEWS)
    offset = axis - (PIXELS - 1) / 2
    scanner = Radon(128, list(angles), PIXELS, centre_offset=offset)
    rows = scanner(ellipses(128, seed=seed)[None])[0, 0].double().numpy() * 0.02
    return rows, angles


def write(path: Path, rows, theta, **changes) -> Path:
    rng = np.random.default_rng(0)
    pixels = rows.shape[1]
    dark = 100.0 + rng.uniform(0, 20, pixels)
    white = 20000.0 * (1 + 0.2 * rng.uniform(-1, 1, pixels)) + dark
    counts = dark + (white - dark) * np.exp(-rows)
    sets = {
        "exchange/data": np.stack([counts, counts], axis=1).astype(np.float32),
        "exchange/data_white": np.tile(white, (3, 2, 1)),
        "exchange/data_dark": np.tile(dark, (3, 2, 1)),
        "exchange/theta": theta,
    }
    sets |= {key.replace("__", "/"): value for key, value in changes.items()}
    with h5py.File(path, "w") as file:
        for key, value in sets.items():
            if value is not None:
                file[key] = value
        if "exchange/theta" in file:
            file["exchange/theta"].attrs["units"] = "degrees"
    return path


@pytest.mark.parametrize("axis", [79.5, 76.3, 85.8])
def test_axis_is_found(axis):
    rows, angles = scan(axis)
    found = find_axis(rows, angles)
    assert found.position == pytest.approx(axis, abs=0.15)
    assert abs(found.position - axis) <= found.error + 0.1
    assert centre_of_mass(rows, angles) == pytest.approx(axis, abs=0.05)


def test_axis_is_found_in_noise():
    rows, angles = scan(76.3)
    noisy = rows + 0.01 * rows.max() * np.random.default_rng(0).standard_normal(rows.shape)
    assert find_axis(noisy, angles).position == pytest.approx(76.3, abs=0.3)


def test_a_lost_frame_does_not_move_the_axis():
    rows, angles = scan(76.3)
    rows = rows.copy()
    rows[40] = 0.0
    assert centre_of_mass(rows, angles) == pytest.approx(76.3, abs=0.05)


def test_rebin_keeps_the_total_and_is_the_mean():
    rows = np.random.default_rng(0).uniform(size=(3, 50))
    binned = rebin(rows, axis=20.3, spacing=1.7, count=80)
    assert np.allclose(binned.sum(1) * 1.7, rows.sum(1))
    fine = np.repeat(rows, 1000, axis=1)
    edges = 20.8 + (np.arange(81) - 40) * 1.7
    k = 35
    oracle = fine[:, round(edges[k] * 1000) : round(edges[k + 1] * 1000)].mean(1)
    assert np.allclose(binned[:, k], oracle, atol=1e-3)


@pytest.mark.parametrize(("available", "views"), [(180, 50), (181, 181), (90, 45), (7, 1)])
def test_views_are_as_equal_as_possible(available, views):
    chosen = select_views(available, views)
    assert len(set(chosen)) == views
    assert chosen[0] == 0
    assert chosen[-1] < available
    assert np.abs(chosen - np.arange(views) * available / views).max() <= 0.5


def test_scan_comes_back_as_the_object(tmp_path):
    """End to end against the object itself, on its own grid: shape, place, orientation."""
    rows, angles = scan(76.3)
    data = read_data_exchange(write(tmp_path / "s.h5", rows, angles), size=128, field=128.0)
    truth = ellipses(128, seed=4)
    image = data.reference[0] * data.factor / 0.02
    assert (image - truth).norm() < 0.2 * truth.norm()
    assert (image.flip(2) - truth).norm() > 0.5 * truth.norm()
    assert data.axis == pytest.approx(76.3, abs=0.15)
    assert data.sinogram.shape == (1, 1, VIEWS, Radon(128, 4).geometry.detectors)


def test_sinogram_fits_the_operator(tmp_path):
    rows, angles = scan(85.8)
    data = read_data_exchange(write(tmp_path / "s.h5", rows, angles), size=48, views=30)
    scanner = Radon(data.size, data.angles, data.detectors)
    assert len(data.angles) == 30
    assert data.sinogram.dtype == torch.float32
    few = scanner.pseudo_inverse(data.sinogram)
    assert (few - data.reference).norm() < 0.4 * data.reference.norm()
    every = Radon(data.size, data.all_angles, data.detectors)
    assert (every(data.reference) - data.all_views).norm() < 0.05 * data.all_views.norm()
    assert float(np.quantile(data.reference.numpy(), 0.999)) == pytest.approx(1.0, rel=1e-3)


def test_chosen_views_are_views_of_the_scan(tmp_path):
    rows, angles = scan(79.5)
    data = read_data_exchange(write(tmp_path / "s.h5", rows, angles), size=32, views=13, axis=79.5)
    where = [data.all_angles.index(angle) for angle in data.angles]
    assert torch.equal(data.sinogram, data.all_views[:, :, where])


def test_field_follows_the_object(tmp_path):
    rows, angles = scan(79.5)
    data = read_data_exchange(write(tmp_path / "s.h5", rows, angles), size=64, axis=79.5)
    body = data.reference[0, 0] > 0.2
    reach = torch.nonzero(body).float().sub(31.5).norm(dim=1).max()
    assert 0.75 < reach / 32 < 1.0


def test_views_from_half_a_turn_on_are_left_out(tmp_path):
    rows, angles = scan(79.5, last=180.0)
    data = read_data_exchange(write(tmp_path / "s.h5", rows, angles), size=32, axis=79.5)
    assert len(data.all_angles) == VIEWS - 1
    assert any("1 views from 180 degrees on" in note for note in data.notes)


def test_wrong_angles_are_questioned_and_right_ones_are_not(tmp_path):
    rows, _ = scan(79.5, last=180.0)
    wrong = np.linspace(0.0, 180.0 * (VIEWS - 1) / VIEWS, VIEWS)
    data = read_data_exchange(write(tmp_path / "s.h5", rows, wrong), size=32)
    assert any("span 180 instead of 178" in note for note in data.notes)
    mended = read_data_exchange(tmp_path / "s.h5", size=32, span=180.0)
    assert mended.all_angles[-1] == pytest.approx(180.0 * (VIEWS - 2) / (VIEWS - 1))
    rows, right = scan(79.5, last=178.0)
    data = read_data_exchange(write(tmp_path / "t.h5", rows, right), size=32)
    assert not any("instead of" in note for note in data.notes)


def test_angles_of_a_scan_without_variation_are_not_questioned():
    rows, angles, notes = np.full((VIEWS, PIXELS), 1e-200), np.linspace(0.0, 178.0, VIEWS), []
    found = find_axis(rows, angles)
    assert found.total_variation == 0  # the squares underflow
    _question_angles(rows, angles, found, notes)
    assert notes == []


def test_limited_angle_is_noted(tmp_path):
    rows, angles = scan(79.5)
    data = read_data_exchange(write(tmp_path / "s.h5", rows[:60], angles[:60], exchange__theta=angles[:60]), size=32, axis=79.5)
    assert any("limited angle" in note for note in data.notes)


def test_radians_are_converted(tmp_path):
    rows, angles = scan(79.5)
    path = write(tmp_path / "s.h5", rows, np.radians(angles))
    with h5py.File(path, "a") as file:
        file["exchange/theta"].attrs["units"] = "radians"
    assert read_data_exchange(path, size=32, axis=79.5).all_angles == pytest.approx(tuple(angles))


def test_truncation_is_noted(tmp_path):
    rows, angles = scan(79.5)
    data = read_data_exchange(write(tmp_path / "s.h5", rows[:, 40:], angles), size=32, axis=39.5)
    assert any("truncated" in note for note in data.notes)


def test_opaque_and_dead_pixels():
    notes: list[str] = []
    counts = np.array([[100.0, 50.0, 7.0, 0.0]])
    white, dark = np.array([100.0, 100.0, 5.0, 100.0]), np.array([0.0, 0.0, 5.0, 1.0])
    with pytest.raises(DataError, match="1 of 4 detector pixels"):
        line_integrals(counts, white, dark, name="s.h5", notes=notes)
    many = [np.tile(a, 10)[:39] if a.ndim == 1 else np.tile(a, (1, 10))[:, :39] for a in (counts, white, dark)]
    many[1][6:] = 100.0
    found = line_integrals(*many, name="s.h5", notes=notes)
    assert found[0, 1] == pytest.approx(np.log(2))
    assert found[0, 3] == pytest.approx(-np.log(1e-4))
    assert found[0, 2] == pytest.approx((found[0, 1] + found[0, 3]) / 2)
    assert "9 of 39 transmissions below" in notes[0]
    assert "1 dead detector pixels" in notes[1]


def spoil(array, value):
    array = np.array(array, dtype=np.float64)
    array.flat[5] = value
    return array


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        (
            {"exchange__data": None},
            {},
            "exchange/data: expected a dataset; came no such key; the file holds exchange/data_dark",
        ),
        ({"exchange__data_white": None}, {}, "exchange/data_white: expected a dataset"),
        ({"exchange__data_dark": None}, {}, "exchange/data_dark: expected a dataset"),
        ({"exchange__theta": None}, {}, "exchange/theta: expected a dataset"),
        ({"exchange__data": np.ones((4, 5))}, {}, r"\(views, rows, pixels\); came shape \(4, 5\)"),
        ({"exchange__data": np.zeros((90, 2, 160))}, {}, "exchange/data, row 0: expected values other than 0"),
        ({"exchange__data": spoil(np.ones((90, 2, 160)), np.nan)}, {}, "1 NaN"),
        ({"exchange__data_white": np.ones((3, 2, 99))}, {}, r"\(frames, 2, 160\), as exchange/data; came shape \(3, 2, 99\)"),
        ({"exchange__data_white": np.ones((3, 2, 160))}, {}, "open beam brighter than the dark current"),
        ({"exchange__theta": np.arange(5.0)}, {}, "90 angles, one a view; came 5"),
        ({"exchange__theta": np.linspace(0, 3.1, 90)}, {}, "radians"),
        ({"exchange__theta": np.linspace(0, 178, 90)[::-1] * (np.arange(90) % 2)}, {}, "ascending or descending"),
        ({}, {"row": 2}, "row = 2: expected from 0 to 1"),
        ({}, {"row": -1}, "row = -1"),
        ({}, {"size": 8}, "at least 16 pixels"),
        ({}, {"views": 91, "axis": 79.5}, "views = 91: expected from 1 to the 90"),
        ({}, {"views": 0, "axis": 79.5}, "views = 0"),
        ({}, {"axis": 200.0}, "axis = 200.0: expected from 0 to 159"),
        ({}, {"span": 3.0}, "span = 3.0"),
        ({}, {"field": 2.0, "axis": 79.5}, "field = 2.0"),
    ],
)
def test_bad_scans_are_refused(tmp_path, changes, arguments, message):
    rows, angles = scan(79.5)
    path = write(tmp_path / "s.h5", rows, angles, **changes)
    with pytest.raises(DataError, match=message):
        read_data_exchange(path, **{"size": 32, **arguments})


def test_nothing_in_the_beam_is_refused(tmp_path):
    rows, angles = scan(79.5)
    with pytest.raises(DataError, match="attenuates"):
        read_data_exchange(write(tmp_path / "s.h5", 0 * rows - 0.01, angles), size=32)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 0.9])
def test_truncated_file(tmp_path, share):
    rows, angles = scan(79.5)
    path = write(tmp_path / "s.h5", rows, angles)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"s\.h5"):
        read_data_exchange(path, size=32)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="nothing there"):
        read_data_exchange(tmp_path / "s.h5")


def test_chest_survives_the_way_through_counts(tmp_path):
    """Another object, odd sizes, a chosen number of bins."""
    angles = np.linspace(0.0, 178.0, VIEWS)
    rows = Radon(127, list(angles), PIXELS)(chest(127, seed=1)[None])[0, 0].double().numpy() * 0.03
    data = read_data_exchange(write(tmp_path / "s.h5", rows, angles), size=63, detectors=63)
    assert data.sinogram.shape == (1, 1, VIEWS, 63)
    assert torch.isfinite(data.sinogram).all()
    assert data.axis == pytest.approx(79.5, abs=0.25)


@pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")
@pytest.mark.realdata
@pytest.mark.parametrize("row", [0, 1])
def test_tooth(row):
    data = read_data_exchange(Path(DATA or "") / "ct-tooth" / "tooth.h5", row=row, views=50)
    assert data.axis == pytest.approx(296.0, abs=0.5)
    assert data.axis_error < 0.6
    image = data.reference[0, 0]
    # Two tissues and the air: dentine about 0.6, enamel about 0.9, and a dark background.
    counts, _ = torch.histogram(image.flatten(), bins=20, range=(-0.1, 1.1))
    assert counts[:4].sum() / counts.sum() > 0.5
    assert (image > 0.75).float().mean() > 0.08
    air = torch.cat([image[:16].flatten(), image[-8:].flatten()])
    assert air.abs().mean() < 0.03
    scanner = Radon(data.size, data.all_angles, data.detectors)
    assert (scanner(data.reference) - data.all_views).norm() < 0.03 * data.all_views.norm()
