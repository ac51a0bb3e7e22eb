"""ONNX: the conversion agrees with the eager network, gradients included, and where it cannot, the runtime does the work."""

import copy
import sys

import pytest
import torch
from torch import nn

from reconstructors.unet import UNet
from stabtest.errors import NetworkError
from stabtest.networks import is_onnx, load_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.filterwarnings("ignore")


class Mixed(nn.Module):
    """Strides, groups, padding of every kind, resizing, concatenation, reductions, dense layers."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(2, 8, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        )
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 2, 1), nn.Tanh())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2), nn.Sigmoid())
        self.slope = nn.PReLU(2)

    def forward(self, x):
        h = self.down(x)
        pooled = nn.functional.avg_pool2d(nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
        y = self.up(h) * self.gate(h)[:, :, None, None] + self.slope(pooled)
        a, b = torch.cat([y, x], 1).split([3, 1], 1)
        return torch.cat([a[:, :1], (b - a.mean((2, 3), keepdim=True)[:, 1:2]).clamp(-2, 2)], 1)


NETWORKS = {
    "U-Net": lambda: UNet(channels=2, width=4, depth=2, norm="batch"),
    "mixed": Mixed,
    "nearest": lambda: nn.Sequential(
        nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="nearest"), nn.InstanceNorm2d(2, affine=True)
    ),
}


def saved(network, path, image, **options):
    torch.onnx.export(network.eval(), (image,), str(path), dynamo=True, verbose=False, external_data=False, **options)


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request, tmp_path_factory):
    torch.manual_seed(0)
    network = NETWORKS[request.param]()
    network(torch.randn(4, 2, 32, 32))
    path = tmp_path_factory.mktemp("onnx") / "network.bin"
    saved(network, path, torch.randn(1, 2, 32, 32))
    return network.eval(), path


def test_it_is_recognised_by_content(pair, tmp_path):
    assert is_onnx(pair[1])
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.onnx")
    assert not is_onnx(tmp_path / "weights.onnx")


def test_the_conversion_is_taken_and_agrees_with_the_eager_network(pair):
    eager, path = pair
    network = load_onnx(path)
    assert network.problem == ""
    images = torch.randn(3, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(images), eager(images), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_eager_network(pair):
    eager, path = pair
    found = []
    for network in (eager, load_onnx(path)):
        images = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(2), requires_grad=True)
        found.append(torch.autograd.grad(network(images).square().sum(), images)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5 * found[0].abs().max().item())


def test_a_copy_in_float64_is_more_exact(pair):
    eager, path = pair
    network = copy.deepcopy(load_onnx(path)).double()
    images = torch.randn(1, 2, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(network(images), copy.deepcopy(eager).double()(images), rtol=1e-6, atol=1e-7)


def test_what_has_no_counterpart_is_run_by_the_runtime(tmp_path):
    class Sorted(nn.Module):
        def forward(self, x):
            return x + x.flatten(2).topk(x.shape[2] * x.shape[3], dim=2).values.reshape(x.shape)

    saved(Sorted(), tmp_path / "a.onnx", torch.randn(1, 2, 8, 8))
    network = load_onnx(tmp_path / "a.onnx")
    assert "TopK" in network.problem
    images = torch.randn(2, 2, 8, 8, requires_grad=True)
    made = network(images)
    torch.testing.assert_close(made, Sorted()(images).detach())
    assert not made.requires_grad


def test_a_conversion_that_does_not_agree_is_not_taken(pair, monkeypatch):
    from stabtest.networks import onnx_graph

    wrong = {**onnx_graph.OPERATIONS, **{kind: lambda arguments, attributes: arguments[0] for kind in ("Conv", "MaxPool")}}
    monkeypatch.setattr(onnx_graph, "OPERATIONS", wrong)
    network = load_onnx(pair[1])
    assert network.problem
    assert network.graph is None
    images = torch.randn(1, 2, 32, 32)
    torch.testing.assert_close(network(images), pair[0](images).detach(), rtol=1e-5, atol=1e-5)


def test_any_batch_where_the_axis_is_free(tmp_path):
    network = nn.Conv2d(2, 2, 3, padding=1)
    saved(network, tmp_path / "a.onnx", torch.randn(2, 2, 16, 16), dynamic_shapes=({0: torch.export.Dim("batch")},))
    images = torch.randn(5, 2, 16, 16)
    torch.testing.assert_close(load_onnx(tmp_path / "a.onnx")(images), network(images), rtol=1e-5, atol=1e-5)


def test_another_size_is_explained(pair):
    with pytest.raises(NetworkError, match="dynamic axes"):
        load_onnx(pair[1])(torch.zeros(1, 2, 40, 40))


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_no_crash(pair, tmp_path, share):
    content = pair[1].read_bytes()
    (tmp_path / "part.onnx").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NetworkError, match="cannot be loaded"):
        load_onnx(tmp_path / "part.onnx")


def test_what_is_missing_is_named(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NetworkError, match=r"stabtest\[onnx\]"):
        load_onnx(pair[1])
