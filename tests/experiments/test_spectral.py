"""Norm limits: the estimate is the norm of the map of images, and what is shipped is certified."""

import pytest
import torch
from torch import nn

from experiments.training.spectral import NormLimit, certified_norm, limit_norms, limited_layers, settle, start_isometric
from reconstructors.unet import UNet
from stabtest.errors import NetworkError

LAYERS = {
    "3 x 3": lambda: nn.Conv2d(3, 5, 3, padding=1),
    "stride 2": lambda: nn.Conv2d(2, 4, 3, padding=1, stride=2),
    "up": lambda: nn.ConvTranspose2d(4, 2, 2, stride=2),
    "up, 3 x 3": lambda: nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1),  # 4 to 8 pixels
    "1 x 1": lambda: nn.Conv2d(4, 2, 1),
    "dense": lambda: nn.Linear(7, 4),
}


def dense_norm(layer, side):
    """The largest singular value of the layer as a matrix, without its bias."""
    shape = (layer.in_features,) if isinstance(layer, nn.Linear) else (layer.in_channels, side, side)
    with torch.no_grad():
        zero = layer(torch.zeros(1, *shape))
        columns = (
            layer(torch.eye(shape.numel() if hasattr(shape, "numel") else torch.Size(shape).numel()).reshape(-1, *shape)) - zero
        )
    return torch.linalg.matrix_norm(columns.flatten(1), 2).item()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", LAYERS)
def test_estimate_is_the_norm_of_the_map(name, seed):
    torch.manual_seed(seed)
    layer = LAYERS[name]()
    limit = NormLimit(layer, limit=1e-3, side=8).train()
    for _ in range(1000):
        weight = limit(layer.weight)
    estimated = 1e-3 * (layer.weight.norm() / weight.norm()).item()
    side = 8
    if isinstance(layer, nn.ConvTranspose2d):  # the power iteration runs on its adjoint, from the large image
        side = (8 + 2 * layer.padding[0] - layer.kernel_size[0]) // layer.stride[0] + 1
    assert estimated == pytest.approx(dense_norm(layer, side), rel=1e-3)


def test_a_layer_below_the_limit_is_left_alone():
    layer = nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        layer.weight.mul_(1e-3)
    before = layer.weight.clone()
    limit_norms(layer, limit=1.0)
    assert torch.equal(layer.weight, before)


def test_gradients_reach_the_weights_through_the_limit():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    limit_norms(network, limit=0.5)
    network(torch.randn(1, 1, 16, 16)).square().sum().backward()
    gradients = [p.grad for name, p in network.named_parameters() if name.endswith("original")]
    assert len(gradients) == 2
    assert all(g is not None and g.abs().max() > 0 for g in gradients)


def test_after_settling_every_layer_is_certified_and_plain():
    torch.manual_seed(0)
    network = UNet(channels=2, width=4, depth=2, norm=None)
    assert max(certified_norm(layer) for _, layer in limited_layers(network)) > 1  # the control
    keys = set(network.state_dict())
    limit_norms(network, limit=1.0)
    settle(network, limit=1.0)
    assert set(network.state_dict()) == keys
    assert max(certified_norm(layer) for _, layer in limited_layers(network)) <= 1


def test_settling_changes_what_was_trained_by_little():
    torch.manual_seed(0)
    network = UNet(channels=2, width=4, depth=2, norm=None)
    limit_norms(network, limit=1.0)
    network.train()
    image = torch.randn(1, 2, 32, 32)
    for _ in range(100):
        trained = network(image)
    settle(network, limit=1.0)
    # Thirteen layers, each rescaled by what a certificate may exceed the norm by (0.24 % up to 16 channels).
    assert ((network(image) - trained).norm() / (trained - image).norm()).item() < 1.0024**13 - 1


def test_groups_are_refused():
    with pytest.raises(NetworkError, match="one group"):
        limit_norms(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), limit=1.0)


def test_an_isometric_start_keeps_norms_where_random_weights_lose_them():
    image = torch.randn(1, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    gains = {}
    for name in ("random", "isometric"):
        torch.manual_seed(0)
        chain = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(6)))
        if name == "isometric":
            start_isometric(chain)
        limit_norms(chain, limit=1.0)
        with torch.no_grad():
            gains[name] = ((chain(image) - chain(0 * image)).norm() / image.norm()).item()
    assert gains["isometric"] > 0.5
    assert gains["random"] < 0.1
