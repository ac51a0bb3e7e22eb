import numpy as np
import pytest
import torch

from stabtest.errors import DataError
from stabtest.operators import Identity
from stabtest.stability.cases import Case
from stabtest.stability.physics.realisations import realisations
from stabtest.stability.physics.resolution import edge_sites, transfer_row


def body(half, size=64, middle=32):
    """A square body of ones."""
    image = torch.zeros(1, 1, size, size)
    image[..., middle - half : middle + half, middle - half : middle + half] = 1
    return Case("a", "a", "other", Identity((size, size)), image, truth=image, truth_source="phantom")


def test_with_room_the_window_lies_in_the_body():
    for seed in range(20):
        ((row, column),) = edge_sites(body(24), diameter=12, count=1, seed=seed)
        assert max(abs(row - 31.5), abs(column - 31.5)) <= 24 - 12


def test_without_room_the_disc_does():
    for seed in range(20):
        ((row, column),) = edge_sites(body(10), diameter=12, count=1, seed=seed)
        assert max(abs(row - 31.5), abs(column - 31.5)) <= 10 - 6


@pytest.mark.parametrize("diameter", [6.0, 6.9, 12.5, 13.1])
def test_the_window_never_leaves_the_image(diameter):
    case = body(16, size=32, middle=16)
    for seed in range(20):
        ((row, column),) = edge_sites(case, diameter=diameter, count=1, seed=seed)
        assert min(row, column, 31 - row, 31 - column) >= np.ceil(0.95 * diameter)
        found = transfer_row(
            lambda y: y,
            case,
            case.operator.refine(2),
            realisations(case, count=1, seed=0),
            [case.measurement],
            name="a",
            sites=[(row, column)],
            diameter=diameter,
            contrast=0.2,
        )
        assert found.step == pytest.approx(1, abs=1e-5)


def test_a_body_at_the_border_of_the_image_is_refused():
    image = torch.zeros(1, 1, 32, 32)
    image[..., :14, :] = 1
    case = Case("a", "a", "other", Identity((32, 32)), image, truth=image)
    with pytest.raises(DataError, match="smaller"):
        edge_sites(case, diameter=10, count=1, seed=0)
