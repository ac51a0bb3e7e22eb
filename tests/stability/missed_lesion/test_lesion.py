import math

import pytest
import torch

from stabtest import phantoms
from stabtest.errors import ConfigError
from stabtest.stability.missed_lesion import Lesion, LesionBox
from stabtest.stability.missed_lesion.lesion import EDGE, Room, draw

LESION = Lesion(20.3, 26.9, 7.0, 0.2, 1.6, 35.0)


def test_the_drawing_is_that_of_the_other_program():
    """PyTorch with 2 x 2 samples in each fine pixel against NumPy with its own, finer samples."""
    other = phantoms.soft_ellipse(96, centre=(20.3, 26.9), diameter=7, edge=EDGE, aspect=1.6, degrees=35, nominal=48)
    assert float((draw(LESION.point, (48, 48))[0] - other).abs().max()) < 0.01
    assert float(draw(LESION.point, (48, 48)).sum()) == pytest.approx(float(other.double().sum()), rel=1e-4)


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5])
def test_the_derivative_is_that_of_differences(index):
    weights = torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    point = LESION.point.requires_grad_()
    (weights * draw(point, (48, 48))).sum().backward()
    step = torch.zeros(6, dtype=torch.float64)
    step[index] = 1e-4
    up, down = ((weights * draw(LESION.point + sign * step, (48, 48))).sum() for sign in (1, -1))
    assert float(point.grad[index]) == pytest.approx(float(up - down) / 2e-4, rel=1e-4, abs=1e-6)


def test_a_lesion_cut_by_the_border_is_drawn_as_far_as_it_reaches():
    image = draw(Lesion(0.0, 24.0, 8.0, 0.1).point, (48, 48))
    assert image.shape == (1, 1, 96, 96)
    assert 0.4 < float(image.sum() / 4) / (math.pi * 16) < 0.65


def test_outside_the_image_is_refused():
    with pytest.raises(ConfigError, match="lesion"):
        draw(Lesion(-60.0, 24.0, 8.0, 0.1).point, (48, 48))


@pytest.mark.parametrize(
    "wrong",
    [{"diameters": (8.0, 4.0)}, {"diameters": (1.0, 4.0)}, {"contrasts": (0.0, 0.1)}, {"aspect": 9.0}, {"rows": (9, 9)}],
)
def test_boxes_that_hold_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        LesionBox(**wrong)


def body():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    return (torch.hypot(rows - 31.5, columns - 31.5) < 24).float()[None, None]


def test_places_outside_are_taken_to_the_nearest_inside():
    room = Room(body(), LesionBox())
    moved = room.project(Lesion(31.5, 2.0, 6.0, 0.1))
    assert moved is not None
    assert math.hypot(moved.row - 31.5, moved.column - 31.5) <= 24 - room.need(moved) + 3
    assert moved.column < 31 - 12
    assert room.project(moved) == moved


def test_a_lesion_larger_than_the_body_has_no_room():
    assert Room(body(), LesionBox()).project(Lesion(31.0, 31.0, 60.0, 0.1)) is None


def test_the_lattice_lies_in_the_rows_that_were_asked_for():
    places, _ = Room(body(), LesionBox(rows=(20, 30))).lattice(Lesion(0, 0, 5.0, 0.1), 12)
    assert len(places) >= 6
    assert all(20 <= row < 30 for row, _ in places)


def test_the_contrast_is_kept_above_the_floor_with_its_sign():
    box = LesionBox(contrasts=(0.1, 0.3))
    assert box.clip(Lesion(1, 1, 5, -0.02), floor=0.15).contrast == -0.15
    assert box.clip(Lesion(1, 1, 5, 0.9)).contrast == 0.3
