"""Networks with their code in a file: they do what the eager network does, gradients included, and run only where they are trusted."""

import pytest
import torch
from torch import nn

from reconstructors.unet import UNet
from stabtest.errors import NetworkError
from stabtest.networks import load_executable, wrap
from stabtest.networks.executable import recognise_executable
from stabtest.operators import Fourier

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated", "ignore:Converting a tensor")


@pytest.fixture(scope="module")
def eager():
    torch.manual_seed(0)
    network = UNet(channels=2, width=4, depth=2)
    network(torch.randn(4, 2, 32, 32))  # running statistics that are not those of a fresh layer
    return network.eval()


IMAGE = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(1))


def exported(network, path, *, image=IMAGE, **options):
    torch.export.save(torch.export.export(network, (image,), **options), path)


SAVED = {
    "traced": lambda network, path: torch.jit.trace(network, IMAGE).save(path),
    "frozen": lambda network, path: torch.jit.freeze(torch.jit.trace(network, IMAGE)).save(path),
    "exported": exported,
    "exported, dynamic batch": lambda network, path: exported(
        network, path, image=IMAGE.expand(2, -1, -1, -1), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ),
}


@pytest.fixture(scope="module", params=SAVED)
def file(request, eager, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "network.bin"  # the name says nothing
    SAVED[request.param](eager, path)
    return path


def test_images_are_those_of_the_eager_network(file, eager):
    images = torch.randn(3, 2, 32, 32, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(load_executable(file, trusted=True)(images), eager(images), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_eager_network(file, eager):
    operator = Fourier(torch.rand(32, 32, generator=torch.Generator().manual_seed(3)) > 0.5)
    y = operator.forward(torch.randn(2, 1, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(4)))
    found = []
    for network in (eager, load_executable(file, trusted=True)):
        point = y.clone().requires_grad_()
        f = wrap(network, channels="real-imag", scale="max")
        found.append(torch.autograd.grad(f(point, operator).abs().square().sum(), point)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5 * found[0].abs().max().item())


def test_parameters_are_frozen(file):
    network = wrap(load_executable(file, trusted=True), channels="real-imag").module
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training


def test_a_file_that_is_not_trusted_is_refused(file):
    with pytest.raises(NetworkError, match="trusted = true"):
        load_executable(file, trusted=False)


def test_other_files_are_named(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pt2")
    (tmp_path / "text.pt").write_text("no network")
    for name in ("weights.pt2", "text.pt"):
        assert recognise_executable(tmp_path / name) is None
        with pytest.raises(NetworkError, match="not a network with its code"):
            load_executable(tmp_path / name, trusted=True)
    with pytest.raises(NetworkError, match="cannot be read"):
        load_executable(tmp_path / "missing.pt", trusted=True)


@pytest.mark.parametrize("kind", ["traced", "exported"])
def test_a_truncated_file_is_no_crash(kind, eager, tmp_path):
    SAVED[kind](eager, tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "part").write_bytes(content[: len(content) // 2])
    with pytest.raises(NetworkError):
        load_executable(tmp_path / "part", trusted=True)


def test_another_image_size_than_exported_is_explained(eager, tmp_path):
    exported(eager, tmp_path / "a.pt2")
    with pytest.raises(NetworkError, match=r"dynamic_shapes"):
        load_executable(tmp_path / "a.pt2", trusted=True)(torch.zeros(1, 2, 40, 40))


def test_a_batch_that_cannot_be_cut_is_explained(eager, tmp_path):
    exported(eager, tmp_path / "a.pt2", image=torch.randn(2, 2, 32, 32))
    network = load_executable(tmp_path / "a.pt2", trusted=True)
    assert network(torch.zeros(4, 2, 32, 32)).shape == (4, 2, 32, 32)
    with pytest.raises(NetworkError, match="multiple of the 2 images"):
        network(torch.zeros(3, 2, 32, 32))


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(2), nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_a_program_in_training_mode_is_refused(layer, tmp_path):
    exported(nn.Sequential(layer).train(), tmp_path / "train.pt2")
    with pytest.raises(NetworkError, match="training mode"):
        load_executable(tmp_path / "train.pt2", trusted=True)
    exported(nn.Sequential(layer).eval(), tmp_path / "eval.pt2")
    load_executable(tmp_path / "eval.pt2", trusted=True)


class Inference(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        with torch.no_grad():
            return self.network(image)


def test_a_forward_without_gradients_has_none_and_the_gates_say_so(eager, tmp_path):
    from stabtest.networks.gradient import check_gradient

    exported(Inference(eager), tmp_path / "a.pt2")
    network = wrap(load_executable(tmp_path / "a.pt2", trusted=True), channels="real-imag")
    operator = Fourier(torch.ones(32, 32, dtype=torch.bool))
    y = operator.forward(torch.complex(IMAGE[:, :1], IMAGE[:, 1:]))
    check = check_gradient(network, operator, y, generator=torch.Generator().manual_seed(0))
    assert "does not depend" in check.problem
