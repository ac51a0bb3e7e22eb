"""The replay with the gates of a point is the Jacobian there; every secant is a replay with gates within their sets."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import reconstructors
from reconstructors.unet import UNet
from stabtest.bounds.affine import difference_action
from stabtest.bounds.call import Call, Signal
from stabtest.bounds.graph import trace
from stabtest.bounds.linear import linear_replay, windows
from stabtest.errors import BoundsError


class Net(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def conv(*args, **options):
    return nn.Conv2d(*args, **options)


def seed(number=0):
    return torch.Generator().manual_seed(number)


def prepare(network, number=0):
    generator = seed(number)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
        for name, buffer in network.named_buffers():
            if "running_var" in name:
                buffer.copy_(0.3 + torch.rand(buffer.shape, generator=generator))
            elif "running_mean" in name:
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return network.double().eval()


def real(value):
    return (torch.view_as_real(value) if value.is_complex() else value).reshape(-1)


def gap(network, shape, *, is_complex=False, number=0):
    """Relative error of the replay against the derivative along a direction."""
    dtype = torch.complex128 if is_complex else torch.float64
    x = torch.randn(shape, dtype=dtype, generator=seed(number + 1))
    v = torch.randn(shape, dtype=dtype, generator=seed(number + 2))
    replay = linear_replay(trace(network, x))
    _, expected = torch.autograd.functional.jvp(network, x, v)
    out = replay(v, replay.pattern(x))
    return float((out - real(expected)).norm() / real(expected).norm())


POOLED = [
    lambda: nn.Sequential(conv(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), conv(3, 1, 3)),
    lambda: nn.Sequential(conv(1, 3, 3, padding=1), nn.MaxPool2d(3), nn.Tanh()),
    lambda: nn.Sequential(conv(1, 3, 3), nn.MaxPool2d((1, 5)), nn.LeakyReLU(0.2)),
    lambda: Net(lambda s, x: F.max_pool2d_with_indices(s.c(x), 2)[0], c=conv(1, 2, 3)),
]
CHAINS = [
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, 9), nn.GELU(), nn.Linear(9, 5), nn.ELU(), nn.Linear(5, 7, bias=False)),
    lambda: nn.Sequential(conv(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.ConvTranspose2d(4, 2, 2, stride=2)),
    lambda: nn.Sequential(
        nn.ReflectionPad2d(2), conv(1, 4, 5), nn.PReLU(4), nn.ReplicationPad2d(1), conv(4, 1, 3), nn.Sigmoid()
    ),
    lambda: nn.Sequential(
        nn.ConstantPad2d(1, 3.0), conv(1, 4, 3, padding=1, padding_mode="circular"), nn.Softplus(), conv(4, 1, 1)
    ),
    lambda: nn.Sequential(conv(1, 4, 3, groups=1, dilation=2), nn.Hardtanh(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)),
    lambda: nn.Sequential(
        conv(1, 4, 3), nn.ReLU(), nn.PixelShuffle(2), nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.Mish()
    ),
]
GRAPHS = [
    lambda: UNet(channels=1, width=2, depth=2),
    lambda: Net(lambda s, x: x + 2 * torch.relu(s.c(x) - 0.3) - x.mean() / 3, c=conv(1, 1, 3, padding=1)),
    lambda: Net(lambda s, x: torch.stack([s.c(x), -x], 1).clamp(-0.5, 0.5).sum(1), c=conv(1, 1, 3, padding=1)),
    lambda: Net(lambda s, x: torch.cat([a.relu() for a in s.c(x).split([1, 3], 1)], 1), c=conv(1, 4, 3)),
    lambda: Net(lambda s, x: torch.where(torch.ones(12, 12).tril() > 0, s.c(x), 5.0).abs(), c=conv(1, 1, 3, padding=1)),
    lambda: Net(lambda s, x: (1 - x) @ s.w + s.w.T @ x.relu() + s.w, w=nn.Parameter(torch.zeros(12, 12))),
    lambda: Net(
        lambda s, x: torch.einsum("bchw,wk->bchk", x.sin(), s.w)[..., 1:9].double(), w=nn.Parameter(torch.zeros(12, 12))
    ),
    lambda: Net(lambda s, x: torch.addmm(s.w[0], x[0, 0].relu(), s.w).tanh(), w=nn.Parameter(torch.zeros(12, 12))),
    lambda: Net(lambda s, x: torch.fft.ifft2(torch.fft.fft2(s.c(x).relu()) * (1 + 2j)).real, c=conv(1, 1, 3)),
]


@pytest.mark.parametrize("make", [*POOLED, *CHAINS, *GRAPHS])
def test_with_the_gates_of_a_point_it_is_the_jacobian(make):
    assert gap(prepare(make()), (1, 1, 12, 12)) < 1e-12


def test_complex_signals():
    def cascade(s, x):
        r = torch.view_as_real(x)[:, 0].permute(0, 3, 1, 2)
        y = s.c(r).relu()
        y = torch.complex(y[:, :1], y[:, 1:])
        k = torch.fft.fftshift(torch.fft.fft2(x + y, norm="ortho"))
        return torch.fft.ifft2(torch.fft.ifftshift(torch.where(s.mask, k, 1.0)), norm="ortho")

    network = prepare(Net(cascade, c=conv(2, 2, 3, padding=1)))
    network.mask = torch.rand(8, 8, generator=seed()) < 0.5
    assert gap(network, (1, 1, 8, 8), is_complex=True) < 1e-12


@pytest.mark.parametrize("name", ["unet-mri", "fbpconvnet-ell50"])
def test_networks_of_the_zoo(name):
    network = reconstructors.load(name).module.double()
    assert gap(network, (1, 2 if name == "unet-mri" else 1, 24, 24)) < 1e-12


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.sampled_from(range(len(CHAINS))))
def test_gates_are_within_the_sector(number, which):
    network = prepare(CHAINS[which](), number)
    replay = linear_replay(trace(network, torch.zeros(1, 1, 12, 12, dtype=torch.float64)))
    for size in (0.3, 3.0):
        x = size * torch.randn(1, 1, 12, 12, dtype=torch.float64, generator=seed(number))
        for gate, weights in zip(replay.gates, replay.pattern(x)):
            assert weights.shape == gate.shape
            assert float(weights.min()) >= gate.low
            assert float(weights.max()) <= gate.high


def test_a_secant_is_a_replay_with_its_own_gates():
    network = prepare(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)))
    x, other = (torch.randn(1, 5, dtype=torch.float64, generator=seed(k)) for k in (1, 2))
    before, after = network[0](x), network[0](other)
    gate = (after.relu() - before.relu()) / (after - before)
    replay = linear_replay(trace(network, x))
    assert torch.allclose(replay(other - x, [gate]), (network(other) - network(x))[0])


def test_it_is_linear_in_each_gate_and_carries_gradients():
    network = prepare(UNet(channels=1, width=2, depth=1))
    replay = linear_replay(trace(network, torch.zeros(1, 1, 4, 4, dtype=torch.float64)))
    dx = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=seed(1)).requires_grad_(True)
    first, second = ([torch.rand(g.shape, dtype=torch.float64, generator=seed(k)) for g in replay.gates] for k in (2, 3))
    for index in range(len(first)):
        mixed = [0.3 * a + 0.7 * b if k == index else a for k, (a, b) in enumerate(zip(first, second))]
        swapped = [b if k == index else a for k, (a, b) in enumerate(zip(first, second))]
        assert torch.allclose(replay(dx, mixed), 0.3 * replay(dx, first) + 0.7 * replay(dx, swapped))
    leaves = [gate.requires_grad_(True) for gate in first]
    gradients = torch.autograd.grad(replay(dx, leaves).square().sum(), [dx, *leaves])
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)


def test_differences_from_inner_nodes_skip_what_they_do_not_reach():
    network = prepare(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU()))
    graph = trace(network, torch.zeros(1, 3, dtype=torch.float64))
    replay = linear_replay(graph)
    first, second = (gate.position for gate in replay.gates)
    p = torch.ones(1, 4, dtype=torch.float64)
    gates = [torch.tensor(0.5, dtype=torch.float64)] * 2
    reached, nothing = replay.propagate({first: p}, [second, first - 1], gates)
    assert torch.allclose(reached, 0.5 * network[2].weight.sum(1)[None])
    assert nothing is None


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (nn.Softmax(1), "softmax"),
        (nn.InstanceNorm2d(1), "instance_norm"),
        (nn.MaxPool2d(3, 2), "overlap"),
        (nn.MaxPool2d(2, padding=1), "padded"),
        (Net(lambda s, x: x * x), "mul"),
        (Net(lambda s, x: x @ x), "matmul"),
        (Net(lambda s, x: x / (2 + x)), "div"),
        (Net(lambda s, x: torch.fft.fft2(x).abs()), "abs"),
        (Net(lambda s, x: torch.where(x > 0, x, 2 * x)), "gt"),
        (Net(lambda s, x: x.to(torch.int32) + x), "to"),
        (Net(lambda s, x: F.max_pool2d_with_indices(x, 2)[1] * x[..., :6, :6]), "places of maxima"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused_by_name(network, name):
    graph = trace(network.eval(), torch.rand(1, 1, 12, 12))
    with pytest.raises(BoundsError, match=name):
        linear_replay(graph)


def test_an_inner_detach_does_not_cut_the_adjoint():
    network = Net(lambda s, x: x + torch.ops.aten.detach.default(2 * x))
    replay = linear_replay(trace(network, torch.ones(1, 2, dtype=torch.float64)))
    dx = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(replay(dx, []).sum(), dx)
    assert gradient.tolist() == [[3.0, 3.0]]


def test_windows_that_do_not_fill_the_image_drop_its_edge():
    u = torch.randn(1, 2, 7, 8, generator=seed())
    assert torch.equal(windows(u, (3, 2)).amax(-1), F.max_pool2d(u, (3, 2)))


def test_a_shift_is_left_out():
    call = Call("sub", torch.ops.aten.rsub.Scalar, {"self": Signal((2,), torch.float32), "other": 7, "alpha": 1}, (2,))
    assert difference_action(call)([torch.tensor([1.0, 2.0], dtype=torch.float64)]).tolist() == [-1.0, -2.0]
