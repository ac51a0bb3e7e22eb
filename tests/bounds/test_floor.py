"""The floor against the enumeration of all patterns, and where it is known in closed form."""

import itertools
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from reconstructors.unet import UNet
from stabtest.bounds.floor import FEWEST, floor
from stabtest.bounds.graph import trace
from stabtest.bounds.linear import linear_replay


def seed(number=0):
    return torch.Generator().manual_seed(number)


def dense(*matrices):
    """Chain of matrices with a ReLU between any two."""
    layers = []
    for matrix in matrices:
        linear = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False).double()
        linear.weight.data = matrix.double()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def search(network, example, **options):
    return floor(linear_replay(trace(network, example)), generator=seed(), **options)


def by_enumeration(first, second):
    best = 0.0
    for pattern in itertools.product((0.0, 1.0), repeat=first.shape[0]):
        best = max(best, float(torch.linalg.matrix_norm(second @ (torch.tensor(pattern)[:, None] * first), 2)))
    return best


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6))
def test_never_above_the_enumeration(number):
    first, second = torch.randn(7, 3, generator=seed(number)), torch.randn(2, 7, generator=seed(number + 1))
    found = search(dense(first, second), torch.ones(1, 3, dtype=torch.float64), steps=20, restarts=1)
    assert found.value <= by_enumeration(first, second) * (1 + 1e-5)


@pytest.mark.parametrize("number", range(5))
def test_one_hidden_layer_by_enumeration(number):
    first, second = torch.randn(7, 3, generator=seed(number)), torch.randn(2, 7, generator=seed(number + 1))
    found = search(dense(first, second), torch.ones(1, 3, dtype=torch.float64), steps=40, restarts=6)
    assert found.value >= 0.98 * by_enumeration(first, second)


def test_two_two_one():
    first, second = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([[1.0, -1.0]])
    found = search(dense(first, second), torch.ones(1, 2, dtype=torch.float64))
    assert found.value == pytest.approx(by_enumeration(first, second), rel=1e-6)
    assert found.value == pytest.approx(math.sqrt(13), rel=1e-6)  # the longest of rows, or their difference


def test_non_negative_networks_open_all_gates():
    matrices = [torch.rand(6, 4, generator=seed(1)), torch.rand(5, 6, generator=seed(2)), torch.rand(3, 5, generator=seed(3))]
    found = search(dense(*matrices), torch.ones(1, 4, dtype=torch.float64))
    product = matrices[2].double() @ matrices[1].double() @ matrices[0].double()
    assert found.value == pytest.approx(float(torch.linalg.matrix_norm(product, 2)), rel=1e-6)
    assert found.at_image is None


def test_a_choice_of_maxima():
    """``max(x_1 .. x_4)`` has norm 1 whatever is chosen, its mean only 1/2."""
    found = search(nn.MaxPool2d(2), torch.ones(1, 1, 2, 2, dtype=torch.float64))
    assert found.value == pytest.approx(1.0)


def test_at_the_image_it_is_the_jacobian_and_never_above_the_floor():
    torch.manual_seed(0)
    network = UNet(channels=1, width=2, depth=1).double().eval()
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64, generator=seed(4))
    jacobian = torch.autograd.functional.jacobian(network, x).reshape(36, 36)
    found = search(network, x, image=x)
    assert found.at_image == pytest.approx(float(torch.linalg.matrix_norm(jacobian, 2)), rel=1e-3)
    assert found.value >= found.at_image
    assert found.value >= max(value for _, value in found.paths)


def test_what_is_reported_is_reached():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Conv2d(3, 1, 3)).double()
    replay = linear_replay(trace(network, torch.zeros(1, 1, 8, 8, dtype=torch.float64)))
    found = floor(replay, steps=30, generator=seed())
    matrix = torch.stack([replay(e.reshape(1, 1, 8, 8), found.gates) for e in torch.eye(64, dtype=torch.float64)])
    assert float(torch.linalg.matrix_norm(matrix, 2)) == pytest.approx(found.value, rel=1e-6)
    assert all(gate.low <= float(g.min()) and float(g.max()) <= gate.high for gate, g in zip(replay.gates, found.gates))
    assert float((found.gates[1].sum(-1) - 1).abs().max()) == 0.0


def test_kinks_do_not_make_a_false_jacobian():
    """``x - ReLU(x) + ReLU(-x)`` vanishes; the chain rule at 0 says 1."""

    class Zero(nn.Module):
        def forward(self, x):
            return x - torch.relu(x) + torch.relu(-x)

    x = torch.zeros(1, 3, dtype=torch.float64)
    found = search(Zero(), x, image=x)
    assert found.at_image == pytest.approx(0.0, abs=1e-12)
    assert found.value == pytest.approx(1.0)


def test_it_is_no_lower_bound_of_the_network():
    """Control: the absolute value of a difference that is always zero has gain 0 and a floor above it."""
    network = dense(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0, -1.0]]))
    assert search(network, torch.ones(1, 1, dtype=torch.float64)).value == pytest.approx(2.0)


def test_a_network_that_ignores_its_input():
    network = dense(torch.ones(3, 2), torch.zeros(1, 3))
    assert search(network, torch.ones(1, 2, dtype=torch.float64), image=torch.ones(1, 2)).value == 0.0


def test_without_time_each_path_has_the_fewest_passes_and_the_floor_is_one_all_the_same():
    torch.manual_seed(0)
    first, second = torch.randn(6, 3, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    x = torch.randn(1, 3, dtype=torch.float64)
    hasty = search(dense(first, second), x, image=x, seconds=0.0)
    assert hasty.evaluations == FEWEST * 4 + 2 * (FEWEST // 3)  # the mean, the image and two random patterns; two norms
    assert 0 < hasty.value <= by_enumeration(first, second) * (1 + 1e-9)


def test_with_time_enough_nothing_is_cut_short():
    x = torch.ones(1, 3, dtype=torch.float64)
    network = dense(torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))
    assert search(network, x, seconds=1e6).evaluations == search(network, x).evaluations
