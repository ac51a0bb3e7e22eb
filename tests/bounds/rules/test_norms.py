"""Normalisation by the image's own statistics: the global constant is reached at constant images and never exceeded."""

import math

import pytest
import torch

aten = torch.ops.aten
EPS = 1e-3


def cases(x, gamma):
    return {
        "instance": (aten.instance_norm.default, x, gamma, None, None, None, True, 0.1, EPS, False),
        "group": (aten.group_norm.default, x, 1, gamma, None, EPS, False),
        "layer": (aten.layer_norm.default, x, [2, 3, 3], None, None, EPS, False),
        "rms": (aten.rms_norm.default, x, [3], None, EPS),
    }


@pytest.mark.parametrize("name", ["instance", "group", "layer", "rms"])
@pytest.mark.parametrize("size", [0.0, 0.01, 1.0])
def test_jacobian_never_above(name, size, operation, rng):
    x = size * torch.randn(1, 2, 3, 3, generator=rng, dtype=torch.float64)
    gamma = torch.tensor([0.5, -2.0], dtype=torch.float64)
    target, *args = cases(x, gamma)[name]
    case = operation(target, *args)
    assert case.dense_norm() <= case.gain().factors[0] * (1 + 1e-9)


@pytest.mark.parametrize(("name", "largest"), [("instance", 2.0), ("group", None), ("layer", 1.0), ("rms", 1.0)])
def test_reached_at_a_constant_image(name, largest, operation):
    x = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
    target, *args = cases(x, torch.tensor([0.5, -2.0], dtype=torch.float64))[name]
    case = operation(target, *args)
    if largest is not None:
        assert case.gain().factors[0] == pytest.approx(largest / math.sqrt(EPS))
        assert case.dense_norm() == pytest.approx(largest / math.sqrt(EPS))


def test_without_eps_there_is_no_constant(operation):
    gain = operation(aten.layer_norm.default, torch.randn(1, 4), [4], None, None, 0.0).gain()
    assert gain.constant == math.inf


def test_batch_norm_in_training_mode_is_unknown(operation):
    x = torch.randn(2, 3, 4, 4)
    gain = operation(aten.batch_norm.default, x, None, None, torch.zeros(3), torch.ones(3), True, 0.1, 1e-5, False).gain()
    assert gain.factors is None
    assert "eval" in gain.method


def test_batch_norm_without_running_statistics_is_unknown(operation):
    x = torch.randn(2, 3, 4, 4)
    assert operation(aten.batch_norm.default, x, None, None, None, None, True, 0.1, 1e-5, False).gain().factors is None
