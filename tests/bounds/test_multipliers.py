"""Never below any pattern, whatever the multipliers; below the loop transformation; right where it is known."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from reconstructors.unet import UNet
from stabtest.bounds import multipliers
from stabtest.bounds.floor import floor
from stabtest.bounds.graph import trace
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.loops import loop_bound
from stabtest.bounds.multipliers import multiplier_bound


def seed(number=0):
    return torch.Generator().manual_seed(number)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)
        self.slope = nn.LeakyReLU(-0.3)

    def forward(self, x):
        h = self.slope(self.first(x))
        low = nn.functional.interpolate(nn.functional.max_pool2d(h, 2), scale_factor=2.0)
        return x - self.last(torch.cat([h.relu(), low.abs()], 1))


NETWORKS = [
    (lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)), (1, 5)),
    (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.Conv2d(3, 1, 3), nn.ELU()),
        (1, 1, 6, 6),
    ),
    (lambda: UNet(channels=1, width=1, depth=1), (1, 1, 4, 5)),
    (Skip, (1, 1, 4, 4)),
]


def make(which, number):
    build, shape = NETWORKS[which]
    network, generator = build().double().eval(), seed(number)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
    return network, linear_replay(trace(network, torch.ones(shape, dtype=torch.float64)))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.sampled_from(range(len(NETWORKS))), st.sampled_from(["gate", "channel"]))
def test_no_pattern_exceeds_it(number, which, groups):
    network, replay = make(which, number)
    bound = multiplier_bound(replay, groups=groups, steps=30, generator=seed(number))
    assert floor(replay, steps=15, restarts=1, generator=seed(number)).value <= bound.value
    x = torch.randn(replay.input_shape, dtype=torch.float64, generator=seed(number))
    jacobian = torch.autograd.functional.jacobian(network, x).reshape(-1, x.numel())
    assert float(torch.linalg.matrix_norm(jacobian, 2)) <= bound.value


@pytest.mark.parametrize("which", range(len(NETWORKS)))
def test_below_the_loop_transformation(which):
    _, replay = make(which, 2)
    bound = multiplier_bound(replay, generator=seed())
    assert bound.reached <= bound.value <= 1.02 * loop_bound(replay, generator=seed()).value


def test_it_scales_with_the_units_of_inner_layers():
    """ReLU networks do not change when a layer is multiplied and the next divided."""
    network, replay = make(0, 1)
    before = multiplier_bound(replay, generator=seed()).value
    with torch.no_grad():
        network[0].weight.mul_(100.0)
        network[0].bias.mul_(100.0)
        network[2].weight.div_(100.0)
    after = multiplier_bound(linear_replay(trace(network, torch.ones(1, 5, dtype=torch.float64))), generator=seed()).value
    assert after == pytest.approx(before, rel=0.02)


def test_a_linear_network_has_its_norm():
    network = nn.Conv2d(1, 2, 3).double()
    replay = linear_replay(trace(network, torch.ones(1, 1, 5, 5, dtype=torch.float64)))
    jacobian = torch.autograd.functional.jacobian(network, torch.ones(1, 1, 5, 5, dtype=torch.float64)).reshape(18, 25)
    exact = float(torch.linalg.matrix_norm(jacobian, 2))
    bound = multiplier_bound(replay, steps=300, generator=seed())
    assert bound.value == math.inf or exact <= bound.value <= 1.01 * exact


def test_control_wrong_multipliers_do_not_pass(monkeypatch):
    _, replay = make(3, 1)
    floor_value = floor(replay, steps=40, generator=seed()).value
    ascend = multipliers._Primal.ascend

    def wrong(self, state, scale, steps):
        _, found, state = ascend(self, state, scale, steps)
        return 0.5 * floor_value, [10.0 * m for m in found], state

    monkeypatch.setattr(multipliers._Primal, "ascend", wrong)
    assert multiplier_bound(replay, generator=seed()).value == math.inf
