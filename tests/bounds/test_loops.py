"""Never below a Jacobian, at any pattern; right where it is known; a row never worse than its pairs."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from reconstructors.unet import UNet
from stabtest.bounds import loops
from stabtest.bounds.compose import compose
from stabtest.bounds.floor import floor
from stabtest.bounds.graph import trace
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.loops import loop_bound


def seed(number=0):
    return torch.Generator().manual_seed(number)


class Skip(nn.Module):
    """Pooling, up-sampling, concatenation, global skip, two kinds of activations."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)
        self.slope = nn.LeakyReLU(-0.3)

    def forward(self, x):
        h = self.slope(self.first(x))
        low = nn.functional.interpolate(nn.functional.max_pool2d(h, 2), scale_factor=2.0)
        return x - self.last(torch.cat([h.relu(), low.abs()], 1))


class Cascade(nn.Module):
    """Complex input and output, a Fourier transform between the activations."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1)

    def forward(self, x):
        h = self.first(torch.cat([x.real, x.imag], 1)).relu()
        k = torch.fft.fft2(torch.complex(h[:, :1], h[:, 1:]), norm="ortho")
        return x + torch.view_as_complex(
            self.last(torch.view_as_real(k)[:, 0].permute(0, 3, 1, 2)).tanh().permute(0, 2, 3, 1)[:, None].contiguous()
        )


NETWORKS = [
    (lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)), (1, 5), False),
    (lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2), nn.Conv2d(3, 1, 3), nn.ELU()), (1, 1, 6, 6), False),
    (lambda: UNet(channels=1, width=1, depth=1), (1, 1, 4, 5), False),
    (Skip, (1, 1, 4, 4), False),
    (Cascade, (1, 1, 3, 4), True),
]  # fmt: skip


def make(which, number):
    build, shape, is_complex = NETWORKS[which]
    network = build().double().eval()
    generator = seed(number)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
    x = torch.randn(shape, dtype=torch.complex128 if is_complex else torch.float64, generator=generator)
    return network, x


def chain(*matrices):
    layers = []
    for matrix in matrices:
        linear = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False).double()
        linear.weight.data = matrix.double()
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    return linear_replay(trace(network, torch.ones(1, matrices[0].shape[1], dtype=torch.float64)))


def spectral(matrix):
    return float(torch.linalg.matrix_norm(matrix.double(), 2))


def largest(network, x, number):
    """Secants and ascended Jacobians."""
    best, generator = 0.0, seed(number)
    v = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    with torch.no_grad():
        for size in (1e-3, 1.0, 10.0):
            best = max(best, float((network(x + size * v) - network(x)).norm() / (size * v).norm()))
    for _ in range(8):
        image = torch.autograd.functional.jvp(network, x, v / v.norm())[1]
        best = max(best, float(image.norm()))
        v = torch.autograd.functional.vjp(network, x, image)[1]
        if not float(v.norm()) > 0:
            break
        v = v / v.norm()
    return best


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.sampled_from(range(len(NETWORKS))))
def test_nothing_reached_exceeds_it(number, which):
    network, x = make(which, number)
    replay = linear_replay(trace(network, x))
    found = floor(replay, steps=15, restarts=1, generator=seed(number))
    for maxima in ("cut", "mean"):
        bound = loop_bound(replay, maxima=maxima, generator=seed())
        assert bound.failure == 0.0
        assert largest(network, x, number) <= bound.value * (1 + 1e-9)
        assert found.value <= bound.value * (1 + 1e-9)  # blind to what is reached


@pytest.mark.parametrize("which", range(len(NETWORKS)))
def test_rows_are_never_worse_than_pairs(which):
    network, x = make(which, 3)
    replay = linear_replay(trace(network, x))
    rows, pairs = loop_bound(replay, generator=seed(), ascent=40), loop_bound(replay, pairs=True, generator=seed())
    assert rows.value <= pairs.value * (1 + 1e-6)
    assert rows.norms < pairs.norms
    assert all(row.reached <= row.bound * (1 + 1e-9) for row in rows.rows)


def test_any_weights_are_sound(monkeypatch):
    network, x = make(3, 1)
    replay = linear_replay(trace(network, x))
    careful = loop_bound(replay, generator=seed()).value
    for number in range(5):

        def wild(self, steps, generator, number=number):
            return 0.0, (torch.rand(len(self.limits), generator=seed(number)) + 0.01).tolist()

        monkeypatch.setattr(loops._Row, "ascend", wild)
        assert loop_bound(replay, generator=seed()).value >= 0.9 * careful
        assert loop_bound(replay, generator=seed()).value >= largest(network, x, number)


def test_one_hidden_layer_as_published():
    first, second = torch.randn(6, 4, generator=seed(1)), torch.randn(3, 6, generator=seed(2))
    bound = loop_bound(chain(first, second), pairs=True, generator=seed())
    assert bound.value == pytest.approx(spectral(second @ first) / 2 + spectral(second) * spectral(first) / 2, rel=1e-8)
    assert [row.bound for row in bound.rows] == [pytest.approx(spectral(first), rel=1e-8), bound.value]


def test_a_linear_network_has_its_norm():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 3)).double().eval()
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64, generator=seed())
    jacobian = torch.autograd.functional.jacobian(network, x).reshape(4, 36)
    bound = loop_bound(linear_replay(trace(network, x)), generator=seed())
    assert bound.value == pytest.approx(spectral(jacobian), rel=1e-8)


def test_orthogonal_layers_give_one_row_by_row():
    q = torch.linalg.qr(torch.randn(5, 5, generator=seed(), dtype=torch.float64))[0]
    bound = loop_bound(chain(q, q.T), generator=seed())
    assert bound.value == pytest.approx(1.0, rel=1e-6)  # 1/2 ||q^T q|| + 1/2 ||q|| ||q^T||


def test_a_maximum_alone():
    replay = linear_replay(trace(nn.MaxPool2d(2), torch.zeros(1, 1, 4, 4, dtype=torch.float64)))
    assert loop_bound(replay, generator=seed()).value == pytest.approx(1.0)
    mean = loop_bound(replay, maxima="mean", generator=seed())
    assert mean.value == pytest.approx(0.5 + math.sqrt(3) / 2, rel=1e-6)
    layers, _ = compose(replay.graph)
    known = {place: layer.bound for place, layer in enumerate(layers)}
    assert loop_bound(replay, known=known, maxima="mean", generator=seed()).value == pytest.approx(1.0)


def test_lanczos_and_dense_agree():
    network, x = make(3, 5)
    replay = linear_replay(trace(network, x))
    exact, estimate = loop_bound(replay, generator=seed()), loop_bound(replay, dense=0, generator=seed())
    assert estimate.value == pytest.approx(exact.value, rel=0.05)
    assert exact.failure == 0.0


def test_many_unknowns_cost_probability():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1)).double()
    replay = linear_replay(trace(network, torch.zeros(1, 1, 16, 16, dtype=torch.float64)))
    bound = loop_bound(replay, dense=100, failure=1e-6, generator=seed())
    assert bound.failure == pytest.approx(2e-6)


def test_control_a_remainder_that_is_left_out_is_noticed(monkeypatch):
    network, x = make(3, 2)
    replay = linear_replay(trace(network, x))
    apart = loops._taken_apart
    monkeypatch.setattr(loops, "_taken_apart", lambda gate, maxima: loops.Part(apart(gate, "mean").mean, 0.0))
    assert floor(replay, steps=40, generator=seed()).value > loop_bound(replay, generator=seed()).value
