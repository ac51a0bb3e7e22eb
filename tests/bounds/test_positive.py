"""Exact on non-negative networks, never below any pattern otherwise; the certificate holds for every vector."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from reconstructors.unet import UNet
from stabtest.bounds import positive
from stabtest.bounds.floor import floor
from stabtest.bounds.graph import trace
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.positive import positive_bound
from stabtest.errors import BoundsError


def seed(number=0):
    return torch.Generator().manual_seed(number)


def chain(*matrices, activation=nn.ReLU):
    layers = []
    for matrix in matrices:
        linear = nn.Linear(matrix.shape[1], matrix.shape[0]).double()
        linear.weight.data = matrix.double()
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def bound(network, shape, **options):
    return positive_bound(linear_replay(trace(network, torch.ones(shape, dtype=torch.float64))), **options)


def spectral(matrix):
    return float(torch.linalg.matrix_norm(matrix.double(), 2))


class Skip(nn.Module):
    def __init__(self, up="nearest"):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1, padding_mode="reflect")
        self.norm, self.slope, self.up = nn.BatchNorm2d(2), nn.LeakyReLU(-0.3), up

    def forward(self, x):
        h = self.slope(self.norm(self.first(x)))
        low = nn.functional.interpolate(nn.functional.max_pool2d(h, 2), scale_factor=2.0, mode=self.up)
        return 1 - x / 2 - 3 * self.last(torch.cat([-h.relu(), low.abs()], 1)) @ torch.full((4, 4), -0.5, dtype=x.dtype)


NETWORKS = [
    (lambda: chain(torch.zeros(6, 5), torch.zeros(4, 6), torch.zeros(3, 4), activation=nn.GELU), (1, 5)),
    (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.ConvTranspose2d(3, 1, 2)),
        (1, 1, 6, 6),
    ),
    (lambda: UNet(channels=1, width=1, depth=1), (1, 1, 4, 5)),
    (Skip, (1, 1, 4, 4)),
    (lambda: Skip("bilinear"), (1, 1, 4, 4)),
]


def make(which, number, *, sign=True):
    build, shape = NETWORKS[which]
    network, generator = build().double().eval(), seed(number)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
            if not sign:
                parameter.abs_()
    return network, shape


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.sampled_from(range(len(NETWORKS))), st.sampled_from([1, 3, 100]))
def test_no_pattern_exceeds_it(number, which, steps):
    network, shape = make(which, number)
    found = floor(
        linear_replay(trace(network, torch.ones(shape, dtype=torch.float64))), steps=15, restarts=1, generator=seed(number)
    )
    assert found.value <= bound(network, shape, steps=steps).value
    x = torch.randn(shape, dtype=torch.float64, generator=seed(number))
    jacobian = torch.autograd.functional.jacobian(network, x).reshape(-1, x.numel())
    assert spectral(jacobian) <= bound(network, shape, steps=steps).value


def test_exact_on_non_negative_networks():
    matrices = [torch.rand(6, 4, generator=seed(1)), torch.rand(5, 6, generator=seed(2)), torch.rand(3, 5, generator=seed(3))]
    product = matrices[2].double() @ matrices[1].double() @ matrices[0].double()
    found = bound(chain(*matrices), (1, 4), tolerance=1e-7)
    assert found.value == pytest.approx(spectral(product), rel=1e-6)
    assert found.reached <= found.value


def test_signs_are_dropped():
    matrices = [torch.randn(6, 4, generator=seed(1)), torch.randn(3, 6, generator=seed(2))]
    found = bound(chain(*matrices), (1, 4), tolerance=1e-7)
    assert found.value == pytest.approx(spectral(matrices[1].abs() @ matrices[0].abs()), rel=1e-6)


def test_slopes_count_by_their_largest_size():
    first = torch.eye(2)
    assert bound(chain(first, first, activation=lambda: nn.LeakyReLU(-3.0)), (1, 2)).value == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize("which", [2, 3, 4])
def test_it_is_attained_without_signs(which):
    """Up to what a maximum loses: where the patterns are free, a U-Net with positive weights reaches most of it."""
    network, shape = make(2, 1, sign=False) if which == 2 else make(which, 1)
    replay = linear_replay(trace(network, torch.ones(shape, dtype=torch.float64)))
    found = positive_bound(replay)
    assert found.value <= found.reached * 1.01
    if which == 2:
        assert floor(replay, steps=40, generator=seed()).value >= 0.6 * found.value


def test_a_maximum_has_norm_one():
    assert bound(nn.MaxPool2d(2), (1, 1, 4, 4)).value == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("number", range(5))
def test_the_certificate_holds_for_every_vector(number):
    """Collatz and Wielandt with a window: compared with the largest ``||F(x)||`` that ascent finds."""
    network, shape = make(3, number)
    replay = linear_replay(trace(network, torch.ones(shape, dtype=torch.float64)))
    best = positive_bound(replay).reached
    actions = [None if act is None else positive.absolute_action(node) for act, node in zip(replay.actions, replay.graph.nodes)]
    p = (0.01 + torch.rand(shape, dtype=torch.float64, generator=seed(number))).requires_grad_(True)
    square = positive._square(replay, {gate.position: gate for gate in replay.gates}, actions, p)
    (g,) = torch.autograd.grad(square / 2, p)
    assert float((g / p.detach()).max()) ** 0.5 >= best * (1 - 1e-9)


def test_inputs_that_are_not_read():
    class Crop(nn.Module):
        def forward(self, x):
            return 2 * torch.nn.functional.max_pool2d(x, 2)[..., :1, :1]

    assert bound(Crop(), (1, 1, 5, 5)).value == pytest.approx(2.0, rel=1e-6)
    assert bound(chain(torch.ones(3, 2), torch.zeros(1, 3)), (1, 2)).value == 0.0


@pytest.mark.parametrize(
    ("network", "name"),
    [(nn.Upsample(scale_factor=2.0, mode="bicubic"), "bicubic"), (nn.Module, "fft")],
)
def test_what_has_no_absolute_value_is_refused_by_name(network, name):
    if name == "fft":

        class Transform(nn.Module):
            def forward(self, x):
                return torch.fft.fft2(x).real

        network = Transform()
    with pytest.raises(BoundsError, match=name):
        bound(network, (1, 1, 4, 4))


def test_control_a_sign_that_is_kept_is_noticed(monkeypatch):
    monkeypatch.setattr(positive, "_size", lambda value: value)
    with pytest.raises(BoundsError, match="negative"):
        bound(chain(-torch.ones(2, 2), torch.ones(1, 2)), (1, 2))
