"""Where details go, and putting them there."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import ConfigError, DataError
from stabtest.phantoms import candidate_sites, disc, head, make, place


def test_place_adds_to_a_real_image():
    image, detail = torch.rand(1, 8, 8), torch.rand(1, 8, 8)
    assert torch.allclose(place(image, detail, contrast=-0.3), image - 0.3 * detail)


def test_place_adds_to_the_magnitude_of_a_complex_image():
    image = head(64, seed=1)
    detail = disc(64, centre=(32, 32), diameter=6)
    placed = place(image, detail, contrast=0.2)
    assert torch.allclose(placed.abs(), image.abs() + 0.2 * detail, atol=1e-6)
    assert torch.equal(placed[detail == 0], image[detail == 0])


def test_place_refuses_another_size():
    with pytest.raises(ConfigError, match="detail"):
        place(torch.zeros(1, 8, 8), torch.zeros(1, 9, 9), contrast=1.0)


@pytest.mark.parametrize("kind", ["head", "chest", "ellipses"])
def test_sites_are_apart_and_inside(kind):
    image = make(kind, 128, seed=1)
    sites = candidate_sites(image, diameter=4, count=4, seed=0)
    assert len(sites) == 4
    for index, (row, column) in enumerate(sites):
        assert 4 < row < 124
        assert 4 < column < 124
        assert all((row - r) ** 2 + (column - c) ** 2 >= 64 for r, c in sites[:index])


def test_sites_avoid_edges():
    """A body with a step across its middle: no site near the step or the border."""
    image = torch.zeros(1, 64, 64)
    image[:, 8:56, 8:56] = 0.5
    image[:, 8:56, 32:56] = 1.0
    for row, column in candidate_sites(image, diameter=4, count=6, seed=2, share=0.5):
        assert 11 < row < 52
        assert abs(column - 31.5) > 3


def test_sites_are_those_of_the_seed():
    image = make("chest", 96, seed=1)
    first = candidate_sites(image, diameter=4, count=3, seed=5)
    assert first == candidate_sites(image, diameter=4, count=3, seed=5)
    assert first != candidate_sites(image, diameter=4, count=3, seed=6)


@pytest.mark.parametrize("image", [torch.zeros(1, 32, 32), torch.ones(1, 10, 10)])
def test_no_room_is_said(image):
    with pytest.raises(DataError, match="room for 5"):
        candidate_sites(image, diameter=6, count=5, seed=0)


def test_refuses_a_stack_of_images():
    with pytest.raises(ConfigError, match="one image"):
        candidate_sites(torch.ones(3, 32, 32), diameter=3, count=1, seed=0)
