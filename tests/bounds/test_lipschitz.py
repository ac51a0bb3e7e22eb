"""Upper bounds of whole networks: never below a gain that is reached; right where the answer is known."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from reconstructors.unet import UNet
from stabtest.bounds.compose import compose
from stabtest.bounds.graph import trace
from stabtest.bounds.lipschitz import check_bracket, lipschitz
from stabtest.errors import BoundsError


class Net(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def shake(network, seed, size=1.0):
    """Random weights and statistics, in place."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) / math.sqrt(fan))
        for name, buffer in network.named_buffers():
            if "running_var" in name:
                buffer.copy_(0.2 + torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype))
            elif "running_mean" in name:
                buffer.copy_(torch.randn(buffer.shape, generator=generator, dtype=buffer.dtype))
    return network


def reached(network, shape, seed, *, ascent=6):
    """Largest gain over random pairs, and by power iteration on the Jacobian at random points."""
    generator = torch.Generator().manual_seed(seed)
    best = 0.0
    for size in (0.1, 1.0, 5.0):
        x = size * torch.randn(shape, generator=generator, dtype=torch.float64)
        v = torch.randn(shape, generator=generator, dtype=torch.float64)
        for step in (1e-3, 1.0):
            e = step * v
            with torch.no_grad():
                best = max(best, float((network(x + e) - network(x)).norm() / e.norm()))
        for _ in range(ascent):
            _, image = torch.func.jvp(network, (x,), (v / v.norm(),))
            best = max(best, float(image.norm()))
            v = torch.func.vjp(network, x)[1](image)[0]
            if float(v.norm()) == 0:
                break
    return best


def small_unet(self, x):
    h = F.relu(self.n1(self.c1(x)))
    d = F.silu(self.c2(F.max_pool2d(h, 2)))
    u = self.up(d)
    return x + self.out(torch.cat([h, u[..., : h.shape[-2], : h.shape[-1]]], 1))


def cascade(self, x):
    mask = (torch.arange(8) % 3 == 0).to(x.dtype)
    z = x
    for block in (self.b1, self.b2):
        r = block(z)
        k = torch.fft.fft2(torch.view_as_complex((z - r).movedim(1, -1).contiguous()), norm="ortho")
        k0 = torch.fft.fft2(torch.view_as_complex(x.movedim(1, -1).contiguous()), norm="ortho")
        k = k * (1 - mask) + k0 * mask
        z = torch.view_as_real(torch.fft.ifft2(k, norm="ortho")).movedim(-1, 1)
    return z


def conv(i, o, k=3, **options):
    return nn.Conv2d(i, o, k, padding=k // 2, **options)


TOPOLOGIES = {
    "dncnn": lambda: nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 4), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), conv(4, 2)),
    "unet": lambda: Net(
        small_unet, n1=nn.BatchNorm2d(3), c1=conv(2, 3), c2=conv(3, 4), up=nn.ConvTranspose2d(4, 3, 2, 2), out=conv(6, 2)
    ),
    "cascade": lambda: Net(cascade, b1=nn.Sequential(conv(2, 3), nn.ReLU(), conv(3, 2)), b2=conv(2, 2)),
    "strides": lambda: nn.Sequential(
        conv(2, 4, stride=2, groups=2), nn.GELU(), nn.Upsample(scale_factor=2, mode="bilinear"), conv(4, 2, 5, dilation=2)
    ),
    "padding": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ELU(), nn.Conv2d(3, 2, 3, padding=1, padding_mode="replicate")
    ),
    "pools": lambda: nn.Sequential(
        nn.MaxPool2d(3, 2, 1), nn.Tanh(), nn.Upsample(scale_factor=2), nn.AvgPool2d(3, 1, 1), conv(2, 2), nn.Softplus()
    ),
    "norms": lambda: nn.Sequential(
        conv(2, 4), nn.GroupNorm(2, 4, eps=0.1), nn.Mish(), nn.InstanceNorm2d(4, eps=0.5), conv(4, 2)
    ),
    "shuffle": lambda: nn.Sequential(
        nn.PixelUnshuffle(2), conv(8, 8, 1), nn.PReLU(8), nn.PixelShuffle(2), nn.Flatten(1), nn.Linear(128, 9)
    ),
}


@pytest.fixture(scope="module")
def traced():
    """Each topology exported once; its weights are then changed in place, which the graph sees."""
    result = {}
    for name, make in TOPOLOGIES.items():
        network = make().double().eval()
        graph = trace(network, torch.randn(1, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
        assert graph.problem is None, graph.problem
        result[name] = (network, graph)
    return result


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(name=st.sampled_from(sorted(TOPOLOGIES)), seed=st.integers(0, 2**31 - 1), size=st.floats(0.2, 4.0))
def test_no_gain_exceeds_the_bound(traced, name, seed, size):
    network, graph = traced[name]
    shake(network, seed, size)
    _, upper = compose(graph)
    assert upper is not None
    assert math.isfinite(upper)
    assert reached(network, (1, 2, 8, 8), seed) <= upper * (1 + 1e-9)


def test_the_graph_sees_new_weights(traced):
    """Control of the test above: without it all examples could be one and the same network."""
    network, graph = traced["dncnn"]
    first = compose(shake(network, 1) and graph)[1]
    second = compose(shake(network, 2) and graph)[1]
    assert first != second


@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_graphs(data):
    """Random wiring of sums, concatenations, activations and convolutions over three channels."""
    count = data.draw(st.integers(2, 6))
    plan = []
    for index in range(count):
        kind = data.draw(st.sampled_from(["conv", "relu", "add", "sub", "cat", "split", "tanh", "pool", "scale"]))
        plan.append((kind, data.draw(st.integers(0, index)), data.draw(st.integers(0, index))))
    seed = data.draw(st.integers(0, 1000))

    def function(self, x):
        values = [x]
        for index, (kind, one, two) in enumerate(plan):
            u, v = values[one], values[two]
            new = {
                "conv": lambda u=u, index=index: self.get_submodule(f"m{index}")(u),
                "relu": lambda u=u: torch.relu(u),
                "tanh": lambda u=u: torch.tanh(u),
                "add": lambda u=u, v=v: u + 0.5 * v,
                "sub": lambda u=u, v=v: u - v,
                "cat": lambda u=u, v=v, index=index: self.get_submodule(f"m{index}")(torch.cat([u, v], 1)),
                "split": lambda u=u: torch.cat(torch.split(u, [1, 2], 1)[::-1], 1),
                "pool": lambda u=u: F.avg_pool2d(F.pad(u, (1, 1, 1, 1), mode="circular"), 3, 1),
                "scale": lambda u=u: -1.7 * u,
            }[kind]()
            values.append(new)
        return values[-1] + values[0]

    modules = {
        f"m{index}": conv(3 if kind == "conv" else 6, 3) for index, (kind, _, _) in enumerate(plan) if kind in ("conv", "cat")
    }
    network = shake(Net(function, **modules).double().eval(), seed)
    result = lipschitz(network, torch.randn(1, 3, 6, 6, dtype=torch.float64), jacobian_steps=0)
    assert result.upper is not None
    assert reached(network, (1, 3, 6, 6), seed) <= result.upper * (1 + 1e-9)


def haar(channels, seed):
    matrix, _ = torch.linalg.qr(
        torch.randn(channels, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )
    return matrix


def test_orthogonal_network_is_one():
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    with torch.no_grad():
        for seed, layer in enumerate(network[::2]):
            layer.weight.copy_(haar(6, seed))
    assert lipschitz(network, torch.ones(1, 6)).upper == pytest.approx(1, abs=1e-6)


def test_haar_wavelet_frame_is_one():
    taps = torch.tensor([[[[1, 1], [1, 1]]], [[[1, -1], [1, -1]]], [[[1, 1], [-1, -1]]], [[[1, -1], [-1, 1]]]]) / 2.0
    analysis, synthesis = nn.Conv2d(1, 4, 2, 2, bias=False), nn.ConvTranspose2d(4, 1, 2, 2, bias=False)
    with torch.no_grad():
        analysis.weight.copy_(taps)
        synthesis.weight.copy_(taps)
    network = nn.Sequential(analysis, nn.Softshrink(0.1), synthesis)
    assert lipschitz(network, torch.randn(1, 1, 8, 8)).upper == pytest.approx(1, abs=1e-6)


def test_non_negative_linear_chain_is_close_to_the_norm_of_the_product():
    """One channel, averaging kernels: the product of norms is the norm of the product (all reach it at frequency zero)."""
    network = nn.Sequential(conv(1, 1, bias=False), nn.ReLU(), conv(1, 1, bias=False))
    with torch.no_grad():
        for layer in network[::2]:
            layer.weight.fill_(1 / 3)
    assert 9 <= lipschitz(network, torch.zeros(1, 1, 8, 8)).upper <= 9 * 1.0051


def test_data_consistency_with_an_identity_network_is_bounded_by_the_rules():
    mask = (torch.arange(8) % 2 == 0).float()

    def function(_, x):
        k = torch.fft.fft2(x, norm="ortho")
        return torch.fft.ifft2(torch.where(mask > 0, k, 0 * k), norm="ortho")

    result = lipschitz(Net(function), torch.randn(1, 1, 8, 8, dtype=torch.complex64))
    assert result.upper == pytest.approx(1)
    assert result.lower == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("norm", ["batch", None])
def test_the_unet_of_the_zoo_exports_exactly(norm):
    torch.manual_seed(0)
    network = shake(UNet(channels=2, width=4, depth=2, norm=norm).eval(), 3)
    result = lipschitz(network, torch.randn(1, 2, 18, 21))
    assert result.status == "certified"
    assert 0 < result.lower <= result.upper
    assert not [row.name for row in result.rows if row.constant is None]
    assert {"encoder.0.0", "up.1", "output"} <= {row.name for row in result.rows}
    assert sum(row.log_share for row in result.rows) == pytest.approx(1)


def test_instance_norm_unet_is_certified_and_says_why_it_is_useless():
    network = nn.Sequential(conv(1, 2), nn.InstanceNorm2d(2), nn.ReLU(), conv(2, 1))
    result = lipschitz(network, torch.zeros(1, 1, 8, 8), jacobian_steps=0)
    assert result.upper > 10
    assert "sqrt(eps)" in next(row.method for row in result.rows if row.operation == "instance_norm")


def test_instance_norm_of_a_constant_image_does_not_break_the_bracket():
    """Regression: the Jacobian at a constant image is the largest there is, 1 / sqrt(eps)."""
    result = lipschitz(nn.InstanceNorm2d(1).double(), torch.ones(1, 1, 8, 8, dtype=torch.float64))
    assert result.upper == pytest.approx(1 / math.sqrt(1e-5))
    assert result.lower == pytest.approx(result.upper, rel=1e-6)


def test_rescaling_channels_of_a_relu_network_leaves_the_function_and_a_sound_bound():
    network = shake(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).double(), 0)
    before = reached(network, (1, 3), 0)
    with torch.no_grad():
        factor = torch.tensor([0.1, 3.0, 1.0, 10.0, 0.5], dtype=torch.float64)
        network[0].weight.mul_(factor[:, None])
        network[0].bias.mul_(factor)
        network[2].weight.div_(factor)
    assert reached(network, (1, 3), 0) == pytest.approx(before)
    assert before <= lipschitz(network, torch.zeros(1, 3, dtype=torch.float64)).upper


def test_attention_is_unknown():
    class Attention(nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(x, x, x)

    result = lipschitz(Attention(), torch.randn(1, 4, 3), jacobian_steps=2)
    assert (result.upper, result.status) == (None, "unknown")
    assert result.lower > 0


def test_channel_attention_is_unknown():
    def function(self, x):
        return x * torch.sigmoid(self.c(x.mean((2, 3), keepdim=True)))

    assert lipschitz(Net(function, c=nn.Conv2d(2, 2, 1)), torch.randn(1, 2, 4, 4)).upper is None


def test_lanczos_bounds_are_called_probabilistic():
    weight = torch.randn(80, 80, generator=torch.Generator().manual_seed(0))
    result = lipschitz(Net(lambda _, x: torch.einsum("bi,ij->bj", x, weight)), torch.randn(1, 80))
    assert result.status == "probabilistic"
    assert result.failure == pytest.approx(1e-9)
    assert any("probability" in words for words in result.assumptions)
    assert result.upper >= float(torch.linalg.matrix_norm(weight.double(), 2))


def test_the_table_is_a_data_frame():
    result = lipschitz(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.zeros(1, 3))
    assert list(result.layers.columns)[:3] == ["name", "operation", "input_shape"]
    assert len(result.layers) == len(result.rows) == 2
    assert result.costliest[0].name == "0"


def test_lower_above_upper_stops():
    result = lipschitz(nn.ReLU(), torch.zeros(1, 3), jacobian_steps=0)
    with pytest.raises(BoundsError, match="above the upper"):
        result.with_lower(1.1, "a mistake")
    assert result.with_lower(0.9, "found").lower == 0.9


def test_a_negative_lower_bound_is_refused():
    with pytest.raises(BoundsError, match="lower bound"):
        check_bracket(-1.0, None, "nonsense")


def test_an_example_without_batch_axis_is_refused():
    with pytest.raises(BoundsError, match="batch"):
        lipschitz(nn.ReLU(), torch.zeros(3))
