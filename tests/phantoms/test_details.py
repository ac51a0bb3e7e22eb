"""Details: areas, places, one object behind every grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.errors import ConfigError
from stabtest.phantoms import disc, lesion, line_pairs, text
from stabtest.phantoms.font import bitmap


def block_mean(image, factor):
    channels, height, width = image.shape
    return image.reshape(channels, height // factor, factor, width // factor, factor).mean((2, 4))


def centroid(image):
    image = image[0].double()
    rows = torch.arange(image.shape[0], dtype=torch.float64)
    columns = torch.arange(image.shape[1], dtype=torch.float64)
    total = image.sum()
    return float((image.sum(1) * rows).sum() / total), float((image.sum(0) * columns).sum() / total)


@settings(max_examples=25, deadline=None)
@given(
    diameter=st.floats(1.0, 20.0),
    edge=st.floats(0.0, 1.0),
    irregularity=st.floats(0.0, 0.25),
    row=st.floats(28.0, 36.0),
    column=st.floats(28.0, 36.0),
)
def test_area_is_that_of_the_disc(diameter, edge, irregularity, row, column):
    image = lesion(
        64, centre=(row, column), diameter=diameter, edge=min(edge * 4, diameter), irregularity=irregularity, seed=int(row)
    )
    assert float(image.sum()) == pytest.approx(math.pi * diameter**2 / 4, rel=0.01)
    assert image.min() >= 0
    assert image.max() <= 1 + 1e-6


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.25, 0.0), (0.1, -0.4), (0.5, 0.5)])
@pytest.mark.parametrize("edge", [0.0, 2.0])
def test_a_shift_by_a_part_of_a_pixel_moves_the_centroid_by_as_much(shift, edge):
    image = lesion(48, centre=(20 + shift[0], 25 + shift[1]), diameter=5.3, edge=edge)
    assert centroid(image) == pytest.approx((20 + shift[0], 25 + shift[1]), abs=5e-3)


@pytest.mark.parametrize("irregularity", [0.0, 0.2])
@pytest.mark.parametrize("diameter", [2.0, 5.0, 30.0])
@pytest.mark.parametrize("factor", [2, 4])
def test_a_finer_grid_holds_the_same_lesion(irregularity, diameter, factor):
    arguments = {"centre": (30.3, 33.8), "diameter": diameter, "edge": 1.0, "irregularity": irregularity, "seed": 4}
    coarse = lesion(64, **arguments)
    fine = lesion(64 * factor, **arguments, nominal=64)
    assert (block_mean(fine, factor) - coarse).abs().max() < 0.01


def test_grid_comparison_can_fail():
    coarse = lesion(64, centre=(30, 30), diameter=5)
    wrong = lesion(128, centre=(60, 60), diameter=10)  # half a fine pixel off
    assert (block_mean(wrong, 2) - coarse).abs().max() > 0.05


def test_disc_against_dense_sampling():
    points = (np.arange(32 * 50) + 0.5) / 50 - 0.5
    inside = (points[:, None] - 14.3) ** 2 + (points - 15.8) ** 2 < 3.5**2
    oracle = inside.reshape(32, 50, 32, 50).mean((1, 3))
    assert np.abs(disc(32, centre=(14.3, 15.8), diameter=7)[0].numpy() - oracle).max() < 0.01


def test_irregular_outline_is_not_a_disc_and_depends_on_its_seed():
    round_, first, second = (
        lesion(64, centre=(32, 32), diameter=20, irregularity=i, seed=s) for i, s in ((0.0, 0), (0.2, 0), (0.2, 1))
    )
    assert (first - round_).abs().sum() > 10
    assert (first - second).abs().sum() > 10


def test_a_lesion_beyond_the_border_is_cut():
    assert float(disc(32, centre=(-0.5, 15.5), diameter=8).sum()) == pytest.approx(math.pi * 8, rel=0.01)
    assert disc(32, centre=(-20, 5), diameter=8).sum() == 0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"diameter": 0.0}, "diameter"),
        ({"diameter": math.nan}, "diameter"),
        ({"diameter": 4.0, "edge": 5.0}, "edge"),
        ({"diameter": 4.0, "irregularity": 0.5}, "irregularity"),
    ],
)
def test_lesion_refuses_impossible_lengths(arguments, name):
    with pytest.raises(ConfigError, match=name):
        lesion(32, centre=(16, 16), **arguments)


def test_text_covers_the_area_of_its_cells():
    image = text(96, "OK 7", centre=(47.2, 48.9), height=15.4)
    assert float(image.sum()) == pytest.approx(bitmap("OK 7").sum() * 2.2**2, rel=1e-5)


def test_text_at_whole_pixels_is_the_bitmap():
    image = text(32, "R", centre=(15, 16), height=7)[0]
    assert np.array_equal(image[12:19, 14:19].numpy(), bitmap("R"))
    assert float(image.sum()) == bitmap("R").sum()


def test_a_finer_grid_holds_the_same_text():
    coarse = text(64, "PNAS", centre=(30.3, 33), height=9)
    fine = text(192, "PNAS", centre=(30.3, 33), height=9, nominal=64)
    assert (block_mean(fine, 3) - coarse).abs().max() < 1e-5


def test_every_sign_of_the_font_differs():
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-+?!:/ "
    assert len({bitmap(sign).tobytes() for sign in signs}) == len(signs)


@pytest.mark.parametrize(("string", "height"), [("", 7), ("ä", 7), ("A", 0)])
def test_text_refuses(string, height):
    with pytest.raises(ConfigError, match=r"text|height"):
        text(32, string, centre=(16, 16), height=height)


def test_line_pairs_have_their_period():
    image = line_pairs(64, centre=(31.5, 31.5), period=4, count=8, vertical=True)[0]
    profile = image[31].double()
    spectrum = torch.fft.rfft(profile - profile.mean()).abs()
    assert int(spectrum.argmax()) == 16  # 64 / 4
    assert centroid(image[None]) == pytest.approx((31.5, 31.5))
    assert float(image.sum()) == pytest.approx(8 * 2 * 32)


def test_horizontal_bars_are_the_transpose():
    arguments = {"period": 3.3, "count": 5, "length": 11.0}
    vertical = line_pairs(48, centre=(20, 27), **arguments)
    horizontal = line_pairs(48, centre=(27, 20), vertical=False, **arguments)
    assert torch.equal(vertical.transpose(1, 2), horizontal)


def test_line_pairs_refuse():
    with pytest.raises(ConfigError, match="line_pairs"):
        line_pairs(32, centre=(16, 16), period=-1)
