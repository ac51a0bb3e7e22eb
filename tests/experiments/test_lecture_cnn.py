"""The networks that the lecture's experiment trains, and what it measures without training."""

from __future__ import annotations

import pytest
import torch

from experiments.lecture_cnn import measure, training
from stabtest.bounds import lipschitz

PLAN = {"images": 2, "sigma": 0.08, "seed": 0, "residual": False, "norm_limit": 1.0, "width": 4, "layers": 3, "steps": 3}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(training, "CROP", 16)
    monkeypatch.setattr(training, "BATCH", 2)


def test_the_same_plan_gives_the_same_network():
    one, other = (training.train(PLAN).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_training_leaves_the_global_random_numbers_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    training.train(PLAN)
    assert torch.equal(torch.rand(1), expected)


def test_layers_of_norm_1_are_certified_and_free_ones_are_not_limited():
    example = torch.zeros(1, 1, 16, 16)
    assert lipschitz(training.train(PLAN), example).upper <= 1 + 1e-6
    free = training.train({**PLAN, "norm_limit": None, "steps": 20})
    assert lipschitz(free, example).upper > 1.01


def test_textures_differ_in_nothing_but_direction():
    one, other = measure._field(0.0, seed=1), measure._field(torch.pi / 2, seed=1)
    assert one.mean().abs() < 1e-5
    assert other.std() == pytest.approx(1, abs=1e-5)
    across = [(field[0, 1:] - field[0, :-1]).std() / (field[0, :, 1:] - field[0, :, :-1]).std() for field in (one, other)]
    assert across[0] < 0.7
    assert across[1] > 1.4


def test_a_jump_is_found_where_the_gradient_says_nothing():
    values: dict[str, list[float]] = {}
    measure._threshold(values)
    assert values["bound.threshold-logic"] == [float("inf")]
    assert values["gradient.threshold-logic"] == [0.0]
    assert values["gain-across-jump.threshold-logic"][0] > 1e8


def test_parameters_are_counted_layer_by_layer():
    values: dict[str, list[float]] = {}
    measure._count(values)
    layers = [series[0] for key, series in values.items() if key.startswith("parameters.unet.layer-")]
    assert len(layers) == 18
    assert sum(layers) == values["parameters.unet"][0]
