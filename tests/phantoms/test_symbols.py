import math

import numpy as np
import pytest
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import suit, vessel

SUITS = ("spade", "heart", "diamond", "club")
CENTRE = (31.2, 32.7)


def polygons(name):
    """The outline as filled polygons with vertices by hand, in units of the height; x to the right, y downwards."""

    def disc(x, y, r):
        t = np.linspace(0, 2 * np.pi, 400)
        return np.stack([x + r * np.cos(t), y + r * np.sin(t)], 1)

    side = 1 / (3 / (2 * math.sqrt(2)) + 0.5)
    d = side / math.sqrt(2)
    middle = 0.5 - d
    square = np.array([[0, 0.5], [d, middle], [0, middle - d], [-d, middle]])
    lobes = [disc(sign * d / 2, middle - d / 2, side / 2) for sign in (1, -1)]
    stem = np.array([[0, -0.1], [0.2, 0.5], [-0.2, 0.5]])
    upside_down = [0.8 * p * [1, -1] - [0, 0.1] for p in (square, *lobes)]
    return {
        "heart": [square, *lobes],
        "diamond": [np.array([[0, 0.5], [0.375, 0], [0, -0.5], [-0.375, 0]])],
        "spade": [*upside_down, stem],
        "club": [disc(0, -0.25, 0.25), disc(0.27, 0.1, 0.25), disc(-0.27, 0.1, 0.25), stem],
    }[name]


def moments(image):
    h = image[0].double().numpy()
    r, c = np.indices(h.shape)
    return h.sum(), (r * h).sum() / h.sum(), (c * h).sum() / h.sum()


@pytest.mark.parametrize("name", SUITS)
def test_area_and_middle_are_those_of_the_polygons(name):
    """Matplotlib's test of points in polygons, at random points."""
    from matplotlib.path import Path

    points = np.random.default_rng(0).uniform(-0.7, 0.7, (400_000, 2))
    inside = np.any([Path(p).contains_points(points) for p in polygons(name)], axis=0)
    area, row, column = moments(suit(64, name, centre=CENTRE, height=24))
    assert area == pytest.approx(inside.mean() * 1.96 * 24**2, rel=0.01)
    assert row == pytest.approx(CENTRE[0] + 24 * points[inside, 1].mean(), abs=0.1)
    assert column == pytest.approx(CENTRE[1], abs=0.02)


@pytest.mark.parametrize(
    ("name", "area"), [("diamond", 0.375), ("heart", (1 + math.pi / 4) / (3 / (2 * math.sqrt(2)) + 0.5) ** 2)]
)
def test_areas_with_a_closed_form(name, area):
    assert float(suit(64, name, centre=CENTRE, height=20).sum()) == pytest.approx(area * 400, rel=3e-3)


@pytest.mark.parametrize("name", SUITS)
def test_the_height_is_the_height(name):
    rows = torch.nonzero(suit(256, name, centre=(127.5, 127.5), height=100)[0].amax(1) > 0.01)
    assert rows.max() - rows.min() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("name", SUITS)
def test_a_finer_image_is_the_same_object(name):
    fine, coarse = (suit(size, name, centre=CENTRE, height=9, nominal=64) for size in (256, 64))
    assert torch.allclose(torch.nn.functional.avg_pool2d(fine, 4), coarse, atol=0.02)


@pytest.mark.parametrize("degrees", [0, 30, 100])
@pytest.mark.parametrize("width", [0.7, 3.0])
def test_the_vessel_has_the_area_of_its_tube(degrees, width):
    image = vessel(96, centre=(47.1, 48.3), length=30, width=width, degrees=degrees)
    curve = math.pi * (30 - width) / (2 * math.sqrt(2))
    assert float(image.sum()) == pytest.approx(width * curve + math.pi * width**2 / 4, rel=0.01)


def test_the_vessel_is_the_points_near_its_centre_line():
    """Distance to many points of the two arcs, drawn by hand."""
    radius, width = (30 - 4) / (2 * math.sqrt(2)), 4.0
    t = np.linspace(-3 * np.pi / 4, -np.pi / 4, 500)
    arc = radius / math.sqrt(2) + radius * np.stack([np.cos(t), np.sin(t)], 1)
    curve = np.concatenate([arc, -arc])
    turn = math.radians(25)
    x, y = curve.T
    curve = np.stack([x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)], 1)
    rows, columns = np.indices((64, 64))
    points = np.stack([columns.ravel() - 31.5, rows.ravel() - 31.5], 1)
    near = np.min(np.linalg.norm(points[:, None] - curve[None], axis=2), axis=1).reshape(64, 64)
    image = vessel(64, centre=(31.5, 31.5), length=30, width=width, degrees=25)[0].numpy()
    assert (image[near < width / 2 - 0.8] == 1).all()
    assert (image[near > width / 2 + 0.8] == 0).all()


def test_half_a_turn_takes_the_vessel_to_itself():
    image = vessel(64, centre=(31.5, 31.5), length=24, width=2, degrees=40)
    assert torch.allclose(image, image.flip(1, 2), atol=0.02)


def test_beyond_the_image_nothing_is_drawn():
    assert float(suit(16, "club", centre=(90, 3), height=6).sum()) == 0


def test_what_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="symbol"):
        suit(32, "joker", centre=(16, 16), height=8)
    with pytest.raises(ConfigError, match="vessel"):
        vessel(32, centre=(16, 16), length=8, width=4)
