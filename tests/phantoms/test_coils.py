"""Coil sensitivities."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import coil_maps


@pytest.mark.parametrize("coils", [1, 4, 8])
@pytest.mark.parametrize("size", [32, 45])
def test_root_sum_of_squares_is_one(coils, size):
    maps = coil_maps(size, coils, seed=1)
    assert maps.shape == (coils, size, size)
    assert maps.dtype == torch.complex64
    assert (maps.abs().square().sum(0).sqrt() - 1).abs().max() < 1e-6


def test_maps_are_smooth():
    maps = coil_maps(64, 6, seed=2)
    assert (maps[:, 1:] - maps[:, :-1]).abs().max() < 0.2
    assert (maps[..., 1:] - maps[..., :-1]).abs().max() < 0.2


def test_maps_differ_from_each_other():
    maps = coil_maps(32, 4, seed=0).flatten(1)
    gram = (maps @ maps.conj().T).abs()
    gram = gram / gram.diagonal().sqrt()[:, None] / gram.diagonal().sqrt()
    assert torch.linalg.matrix_rank(gram) == 4
    assert (gram - torch.eye(4)).max() < 0.95


def test_a_finer_grid_holds_the_same_maps():
    coarse, fine = coil_maps(32, 4, seed=3), coil_maps(64, 4, seed=3)
    averaged = fine.reshape(4, 32, 2, 32, 2).mean((2, 4))
    assert (averaged - coarse).abs().max() < 0.01


def test_each_element_sees_its_own_side_best():
    maps = coil_maps(32, 4, seed=5).abs()
    peaks = [divmod(int(m.argmax()), 32) for m in maps]
    assert len(set(peaks)) == 4
    assert all(row in (0, 31) or column in (0, 31) for row, column in peaks)


@pytest.mark.parametrize("arguments", [{"coils": 0}, {"coils": 4, "radius": 1.3}, {"coils": 4, "size": 2}])
def test_refuses(arguments):
    with pytest.raises(ConfigError):
        coil_maps(arguments.pop("size", 32), arguments.pop("coils"), seed=0, **arguments)
