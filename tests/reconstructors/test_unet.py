"""The U-Net: shape on any size, residual structure, deterministic affine normalisation in evaluation mode."""

from __future__ import annotations

import pytest
import torch

from reconstructors.unet import UNet


@pytest.mark.parametrize("size", [(16, 16), (17, 20), (8, 31)])
def test_output_has_the_shape_of_the_input(size):
    assert UNet(channels=2, width=3, depth=3).eval()(torch.randn(2, 2, *size)).shape == (2, 2, *size)


def test_zero_output_layer_gives_the_identity():
    network = UNet(channels=1, width=3, depth=2).eval()
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.zeros_(network.output.bias)
    x = torch.randn(1, 1, 12, 12)
    torch.testing.assert_close(network(x), x)


def test_sides_that_do_not_fit_are_padded_with_zeros_and_cropped():
    network = UNet(channels=1, width=3, depth=2).eval()
    x = torch.randn(1, 1, 14, 15)
    by_hand = network(torch.nn.functional.pad(x, (0, 1, 0, 2)))[..., :14, :15]
    torch.testing.assert_close(network(x), by_hand)


def test_number_of_parameters_of_a_known_size():
    """Width 32, depth 3, no normalisation: the convolutions of the U-Net in Unser's lecture, with one output channel."""
    parts = {"down": 320 + 9248 + 18496 + 36928 + 73856 + 147584 + 295168 + 590080}
    parts["up"] = 131200 + 32832 + 8224 + 295040 + 147584 + 73792 + 36928 + 18464 + 9248
    network = UNet(channels=1, width=32, depth=3, norm=None)
    assert sum(p.numel() for p in network.parameters()) == sum(parts.values()) + 33


def test_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="norm"):
        UNet(channels=1, norm="instance")
