"""A checkpointed network against the network itself: numbers, weights, memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reconstructors.unet import UNet
from stabtest.errors import NetworkError
from stabtest.networks import wrap
from stabtest.networks.checkpointing import checkpointed, find_blocks
from stabtest.operators import Fourier
from stabtest.search.worst_case import worst_case


def peak(action) -> int:
    """Most bytes allocated at once by PyTorch on the CPU, from the profiler's record of allocations."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        action()
    now = most = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def gradient(network, x):
    x = x.clone().requires_grad_(True)
    value = network(x)
    return value.detach(), torch.autograd.grad(value.square().sum(), x)[0]


def chain(length: int, width: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, width, 3, padding=1)]
    for _ in range(length):
        layers += [nn.Tanh(), nn.Conv2d(width, width, 3, padding=1)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


def unet(width: int = 4) -> UNet:
    torch.manual_seed(0)
    return UNet(channels=2, width=width, depth=2).eval().requires_grad_(False)


class Holder(nn.Module):
    """A network inside of a network, a block called with keywords, one block that occurs twice, two tensors out."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x, *, factor=1.0, debug=0.0):
            return torch.sin(self.layer(x)) * factor + debug, x

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Holder.Block(), Holder.Block()
            self.again = self.first

        def forward(self, x):
            for block in (self.first, self.second, self.again):
                x, before = block(x, factor=2.0, debug=0.5)
                x = x + before
            return x

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = Holder.Inner()

    def forward(self, x):
        return self.network(x)


@pytest.mark.parametrize(
    ("network", "channels"),
    [(unet(), 2), (chain(2), 1), (chain(12), 1), (Holder().eval(), 1)],
    ids=["unet", "short chain", "long chain", "nested"],
)
def test_value_and_gradient_are_those_of_the_network(network, channels):
    x = torch.randn(2, channels, 12, 12, generator=torch.Generator().manual_seed(1))
    for came, expected in zip(gradient(checkpointed(network), x), gradient(network, x), strict=True):
        assert torch.equal(came, expected)


def test_blocks_of_a_unet_are_found_and_single_wrappers_looked_into():
    assert find_blocks(unet()) == ["encoder.0", "encoder.1", "encoder.2", "decoder.0", "decoder.1"]
    assert find_blocks(Holder()) == ["network.first", "network.second"]
    assert find_blocks(chain(12)) == [""]


def test_each_block_runs_twice_and_the_network_itself_once():
    network = unet()
    runs = []
    network.encoder[0][0].register_forward_hook(lambda *_: runs.append(1))
    gradient(network, torch.randn(1, 2, 8, 8))
    assert len(runs) == 1
    gradient(checkpointed(network), torch.randn(1, 2, 8, 8))
    assert len(runs) == 3


def test_only_the_named_blocks():
    network = unet()
    runs = []
    network.encoder[0][0].register_forward_hook(lambda *_: runs.append("encoder"))
    network.decoder[0][0].register_forward_hook(lambda *_: runs.append("decoder"))
    gradient(checkpointed(network, blocks=["decoder.0"]), torch.randn(1, 2, 8, 8))
    assert sorted(runs) == ["decoder", "decoder", "encoder"]


def test_weights_are_shared_and_the_network_is_left_alone():
    network = unet()
    twin = checkpointed(network)
    assert type(twin) is UNet
    assert list(twin.state_dict()) == list(network.state_dict())
    for mine, theirs in zip(twin.parameters(), network.parameters(), strict=True):
        assert mine is theirs
    assert not any("forward" in vars(module) for module in network.modules())
    assert twin.encoder[0] is not network.encoder[0]


def test_peak_memory_falls():
    network, x = chain(32, width=8), torch.randn(1, 1, 64, 64)
    plain, frugal = peak(lambda: gradient(network, x)), peak(lambda: gradient(checkpointed(network), x))
    assert plain > 32 * 8 * 64 * 64 * 4  # control: one activation a layer
    assert frugal < 0.5 * plain


def test_through_wrap_and_a_search():
    A = Fourier(torch.rand(16, 16, generator=torch.Generator().manual_seed(0)) < 0.5)
    y = A.forward(A.domain.randn(2, generator=torch.Generator().manual_seed(1)))
    plain, frugal = (wrap(network, channels="real-imag", scale="max") for network in (unet(), checkpointed(unet())))
    for precision in ("float32", "bfloat16"):
        one, other = (worst_case(f, A, y, radius=0.1, evaluations=8, precision=precision) for f in (plain, frugal))
        assert torch.equal(one.perturbation, other.perturbation)


def test_in_double_copies_the_blocks_too():
    network = unet()
    method = wrap(checkpointed(network), channels="real-imag")
    double = method.in_double()
    A = Fourier(torch.ones(8, 8, dtype=torch.bool))
    y = A.forward(A.domain.randn(1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).requires_grad_(True)
    image = double(y, A)
    assert image.dtype == torch.complex128
    (slope,) = torch.autograd.grad(image.abs().sum(), y)
    assert torch.isfinite(torch.view_as_real(slope)).all()
    assert next(network.parameters()).dtype == torch.float32


def test_training_mode_is_refused():
    with pytest.raises(NetworkError, match="training mode"):
        checkpointed(UNet(channels=1, width=2, depth=1))


def test_unknown_block_is_refused_by_name():
    with pytest.raises(NetworkError, match=r"'encoder\.9'"):
        checkpointed(unet(), blocks=["encoder.9"])


def test_a_network_without_blocks_is_refused():
    with pytest.raises(NetworkError, match="no blocks"):
        checkpointed(nn.Conv2d(1, 1, 3).eval())


@pytest.mark.filterwarnings("ignore:.*jit:DeprecationWarning")
def test_torchscript_is_refused():
    with pytest.raises(NetworkError, match="TorchScript"):
        checkpointed(torch.jit.trace(chain(2), torch.zeros(1, 1, 8, 8)))
