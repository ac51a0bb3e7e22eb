"""A training that starts from a U-Net: the same values without normalisation, and it is what the steps begin with."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import reconstructors
from experiments.training import train as training
from experiments.training.recipes import RECIPES
from experiments.training.start import folded, start_from
from reconstructors.itnet import ItNet
from reconstructors.unet import UNet
from stabtest.errors import NetworkError


@torch.no_grad()
def used(norm: str | None) -> UNet:
    """A U-Net with statistics of some images, and no gain or bias left at its default."""
    torch.manual_seed(1)
    network = UNet(channels=2, width=4, depth=2, norm=norm).train()
    for parameter in network.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    for _ in range(20):
        network(torch.randn(4, 2, 16, 16))
    return network.double().eval()


@pytest.mark.parametrize("norm", ["batch", None])
def test_folded_network_has_the_same_values(norm):
    network, other = used(norm), UNet(channels=2, width=4, depth=2, norm=None).double()
    other.load_state_dict(folded(network))
    x = torch.randn(2, 2, 19, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(other(x), network(x), rtol=1e-9, atol=1e-9)
    if norm:
        assert not torch.allclose(network.train()(x), other(x))  # it is the network as it is used, not as it is trained


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.start])
def test_training_starts_from_the_network_that_the_recipe_names(name, tmp_path):
    recipe = dataclasses.replace(RECIPES[name], images=2)
    network = training.train(recipe, tmp_path, only_steps=0)
    source = reconstructors.load(recipe.start).module
    x = torch.randn(1, recipe.network["channels"], 32, 32, generator=torch.Generator().manual_seed(0))
    own = network if isinstance(network, UNet) else network.unet
    torch.testing.assert_close(own(x), source(x), rtol=1e-4, atol=1e-4)
    assert RECIPES[recipe.start].operator == recipe.operator
    assert RECIPES[recipe.start].noise == recipe.noise


def test_network_without_a_unet_or_of_another_size_is_refused():
    with pytest.raises(NetworkError, match=r"a U-Net on both sides.*cascade-mri"):
        start_from(ItNet(channels=2), "cascade-mri")
    with pytest.raises(NetworkError, match=r"unet-mri.*same size"):
        start_from(ItNet(channels=2, width=8), "unet-mri")
