"""Spectral normalisation: norms at most the limit, and folding a batch normalisation changes nothing."""

import pytest
import torch
from torch import nn

from stabtest.bounds import lipschitz
from stabtest.bounds.normalise import layer_norm, spectrally_normalised
from stabtest.errors import BoundsError


def network(seed=0):
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 2, stride=2), nn.ReLU(),
        nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2, bias=False), nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1),
    )  # fmt: skip
    for part in made:
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.3, 3)
            part.weight.data.normal_()
            part.bias.data.normal_()
    return made.eval()


def test_with_a_limit_that_nothing_reaches_the_function_is_the_same():
    made, x = network(), torch.randn(1, 2, 8, 8)
    assert torch.allclose(spectrally_normalised(made, limit=1e6)(x), made(x), atol=1e-5)


def test_the_copy_is_bounded_by_one():
    bound = lipschitz(spectrally_normalised(network()), torch.zeros(1, 2, 8, 8))
    assert bound.lower <= bound.upper <= 1 + 1e-5


def test_the_given_network_is_left_as_it_was():
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    spectrally_normalised(made)
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in before.items())


def test_only_the_layers_named_are_touched():
    made = network()
    copy = spectrally_normalised(made, limit=0.01, names=["7"])
    assert layer_norm(copy[7]) <= 0.01 * (1 + 1e-5)
    assert torch.equal(copy[3].weight, made[3].weight)


@pytest.mark.parametrize("wrong", [dict(names=["9"]), dict(limit=0.0)])
def test_wrong_use_is_named(wrong):
    with pytest.raises(BoundsError):
        spectrally_normalised(network(), **wrong)


def test_padding_that_copies_is_refused():
    with pytest.raises(BoundsError, match="reflect"):
        spectrally_normalised(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")))
