"""Bounds on a ball: above every slope that is reached in it, finite where nothing global is, and tending to the Jacobian."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from stabtest.bounds import lipschitz_on_ball
from stabtest.bounds.local import ball as ball_module
from stabtest.errors import BoundsError


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


class Scaled(nn.Module):
    """Divided by its largest modulus and multiplied again, as reconstruction networks are."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        largest = x.abs().flatten(1).amax(1).reshape(-1, 1, 1, 1)
        size = torch.where(largest > 0, largest, 1.0)
        return self.inner(x / size) * size


class Standardised(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        mean, deviation = x.mean((-2, -1), keepdim=True), x.std((-2, -1), keepdim=True)
        return torch.tanh((x - mean) / (deviation + 1e-3)) * deviation + mean


class Attention(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norm, self.fused = nn.LayerNorm(4), fused

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (project(x.flatten(2).transpose(1, 2)) for project in self.maps)
        if self.fused:
            return self.norm(scaled_dot_product_attention(query, key, value))
        return self.norm(torch.softmax(query @ key.transpose(1, 2) / 2, -1) @ value)


class Entries(nn.Module):
    """Functions of single entries that have no slope everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        positive = x.square() + 0.5
        return torch.exp(-x) * positive.sqrt() + positive.log() / positive + positive.rsqrt() ** 1.5 + x**3


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.glu(self.conv(x), 1) * x.var((1, 2, 3), keepdim=True)


class Direction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / torch.linalg.vector_norm(x)


def convolutions(*between: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), *between, nn.Conv2d(4, 2, 3, padding=1))


NETWORKS = {
    "instance norm": lambda: convolutions(nn.InstanceNorm2d(4, affine=True), nn.SiLU()),
    "group norm": lambda: convolutions(nn.GroupNorm(2, 4), nn.ReLU()),
    "layer norm": lambda: convolutions(nn.LayerNorm((3, 3)), nn.GELU()),
    "rms norm": lambda: convolutions(nn.RMSNorm((3, 3), eps=1e-4), nn.Softplus()),
    "batch norm": lambda: convolutions(nn.BatchNorm2d(4), nn.Tanh()).eval(),
    "scaled": lambda: Scaled(convolutions(nn.ReLU())),
    "standardised": lambda: Standardised(),
    "attention": lambda: Attention(True),
    "attention by hand": lambda: Attention(False),
    "entries": lambda: Entries(),
    "gated": lambda: Gated(),
    "direction": lambda: Direction(),
    "activations": lambda: convolutions(nn.PReLU(4), nn.Hardtanh(), nn.ELU(), nn.Sigmoid(), nn.LeakyReLU(0.3)),
    "gate at the end": lambda: nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU()),
    "maximum": lambda: nn.Sequential(nn.Conv2d(4, 3, 2, padding=1), nn.MaxPool2d(2), nn.Mish(), nn.Conv2d(3, 1, 1)),
}


def build(name: str, number: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(number)
    network = NETWORKS[name]()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.InstanceNorm2d | nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
                module.weight.uniform_(-2.0, 2.0)
    return network, torch.randn(1, 4, 3, 3)


def jacobian(network: nn.Module, x: Tensor) -> Tensor:
    exact = network.double()
    found = torch.autograd.functional.jacobian(lambda z: exact(z).reshape(-1), x.double()).reshape(-1, x.numel())
    network.float()
    return found


def slope(network: nn.Module, x: Tensor) -> float:
    return float(torch.linalg.matrix_norm(jacobian(network, x), 2))


def points(x: Tensor, radius: float, number: int, count: int = 4) -> list[Tensor]:
    """On the sphere and inside, and where the slope rises most from the centre."""
    found = []
    for k in range(count):
        step = torch.randn(x.shape, generator=seed(100 * number + k))
        found.append(x + radius * (1.0 if k % 2 else 0.5) * step / torch.linalg.vector_norm(step))
    return found


@pytest.mark.parametrize("name", NETWORKS)
@given(number=st.integers(0, 10_000), radius=st.sampled_from([1e-3, 0.1, 1.0]))
@settings(max_examples=6, deadline=None)
def test_no_slope_in_the_ball_is_above_the_bound(name, number, radius):
    network, x = build(name, number)
    (bound,) = lipschitz_on_ball(network, x, radius=radius, steps=40)
    if bound.upper is None or math.isinf(bound.upper):
        assert bound.reason  # what may vanish on this ball is named
        return
    for point in [x, *points(x, radius, number)]:
        assert slope(network, point) <= bound.upper * (1 + 1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_finite_on_a_small_ball_and_grows_with_the_radius(name):
    network, x = build(name, 1)
    values = [bound.upper for bound in lipschitz_on_ball(network, x, radius=[0.0, 1e-3, 1e-2, 0.1])]
    assert all(value is not None and math.isfinite(value) for value in values)
    assert values == sorted(values)


@pytest.mark.parametrize("name", ["activations", "maximum", "batch norm"])
def test_on_a_vanishing_ball_it_is_the_norm_of_the_jacobian(name):
    network, x = build(name, 2)
    at_zero, tiny, large = lipschitz_on_ball(network, x, radius=[0.0, 1e-6, 1.0], steps=60)
    assert at_zero.upper == pytest.approx(slope(network, x), rel=1e-5)
    assert tiny.upper == pytest.approx(slope(network, x), rel=1e-3)
    assert at_zero.fixed == 1.0
    assert large.fixed < 1.0
    assert large.upper > tiny.upper


def test_what_may_jump_on_the_ball_is_infinite_and_what_cannot_is_not():
    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x.sum() > 0, 2 * x, x)

    x = torch.full((1, 4), 0.5)
    near, far = lipschitz_on_ball(Step(), x, radius=[0.9, 1.1])
    assert near.upper == pytest.approx(2.0)
    assert near.status == "on a ball"
    assert far.upper is None or math.isinf(far.upper)


def test_rounding_and_signs_away_from_their_jumps_are_constant():
    class Jumps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sign(x) + torch.round(x) + torch.floor(x)

    x = torch.tensor([[0.3, -0.8]])
    near, far = lipschitz_on_ball(Jumps(), x, radius=[0.15, 0.25])
    assert near.upper == pytest.approx(1.0)
    assert math.isinf(far.upper)


class Looked(nn.Module):
    """A spline that looks its pieces up: rounds down, and takes the entries of a table with those numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.tensor([0.0, 2.0, 3.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        piece = x.floor().clamp(0, 2)
        left, right = (self.table.index_select(0, piece.long().flatten() + k).reshape(x.shape) for k in (0, 1))
        return left + (x - piece) * (right - left)


def test_whole_numbers_stay_whole_and_an_index_without_a_rule_is_unknown():
    (bound,) = lipschitz_on_ball(Looked().eval(), torch.full((1, 1, 2, 2), 1.4), radius=[0.1])
    assert bound.upper is None
    assert bound.status == "unknown"


def test_complex_signals():
    class Phase(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.ifft2(x, norm="ortho") * x.abs().amax()

    x = torch.randn(1, 1, 4, 4, dtype=torch.complex64, generator=seed(3))
    (bound,) = lipschitz_on_ball(Phase(), x, radius=0.1)
    for k in range(20):
        pair = [
            x + 0.1 * d / torch.linalg.vector_norm(d)
            for d in torch.randn(2, *x.shape, dtype=torch.complex64, generator=seed(k))
        ]
        gain = torch.linalg.vector_norm(Phase()(pair[0]) - Phase()(pair[1])) / torch.linalg.vector_norm(pair[0] - pair[1])
        assert float(gain) <= bound.upper
    assert bound.upper <= 3 * float(torch.linalg.vector_norm(x))


def test_instance_norm_of_an_image_with_contrast_is_near_its_own_slope():
    network = nn.Sequential(nn.InstanceNorm2d(1))
    x = 3 * torch.randn(1, 1, 16, 16, generator=seed(5))
    (bound,) = lipschitz_on_ball(network, x, radius=0.01)
    assert slope(network, x) <= bound.upper <= 1.01 * slope(network, x)


def test_control_a_radius_that_is_left_out_is_noticed(monkeypatch):
    """A bound that forgets how far the ball reaches is exceeded in it."""
    network, x = build("direction", 4)
    x = x / torch.linalg.vector_norm(x)
    monkeypatch.setattr(ball_module, "SLACK", 0.0)
    (wrong,) = lipschitz_on_ball(network, x, radius=0.9)
    assert slope(network, 0.1 * x) > wrong.upper


@pytest.mark.parametrize("radius", [-1.0, math.inf, math.nan])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(BoundsError, match="radius"):
        lipschitz_on_ball(nn.ReLU(), torch.zeros(1, 2), radius=radius)


def test_a_batch_is_refused():
    with pytest.raises(BoundsError, match="centre"):
        lipschitz_on_ball(nn.ReLU(), torch.zeros(2, 2), radius=1.0)
