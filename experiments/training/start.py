r"""The U-Net that a training starts from: one of the zoo, trained alone, with its batch normalisation folded away.

Genzel et al. train an ItNet from the weights of a U-Net that post-processes the direct reconstruction (see `reconstructors.itnet`). That of
the zoo normalises each batch while it is trained and is affine when it is used: after a convolution ``W`` without bias, with running
mean ``m`` and variance ``v``,

    g (W h - m) / sqrt(v + e) + b  =  (a W) h + (b - a m),      a = g / sqrt(v + e),

so that a U-Net without normalisation, ``norm=None``, has the same values. A U-Net that is trained further itself is taken as it is.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

import reconstructors
from reconstructors.unet import UNet
from stabtest.errors import NetworkError


def start_from(network: nn.Module, name: str) -> None:
    """Give a U-Net, or the U-Net of a network, in place, the weights of one of the zoo.

    Raises
    ------
    NetworkError
        If there is no U-Net in one of the two, or they differ in size.
    """
    source, target = reconstructors.load(name).module, network if isinstance(network, UNet) else getattr(network, "unet", None)
    if not (isinstance(source, UNet) and isinstance(target, UNet)):
        raise NetworkError(
            "start of a training", expected="a U-Net on both sides", came=f"{name} into {type(network).__name__}"
        )
    try:
        as_it_is = target.state_dict().keys() == source.state_dict().keys()
        target.load_state_dict(source.state_dict() if as_it_is else folded(source))
    except RuntimeError as error:
        raise NetworkError(f"start of a training from {name}", expected="a U-Net of the same size", came=str(error)) from error


def folded(network: UNet) -> dict[str, Tensor]:
    """Weights of the U-Net without normalisation that does what this one does in evaluation mode."""
    weights: dict[str, Tensor] = {}
    for side in ("encoder", "decoder"):
        for level, block in enumerate(getattr(network, side)):
            position = 0
            for layer, following in pairwise(block):
                if not isinstance(layer, nn.Conv2d):
                    continue
                weight, bias = _fold(layer, following)
                weights[f"{side}.{level}.{position}.weight"], weights[f"{side}.{level}.{position}.bias"] = weight, bias
                position += 2  # a ReLU between them
    others = {key: value for key, value in network.state_dict().items() if key.startswith(("up.", "output."))}
    return {key: value.detach().clone() for key, value in (weights | others).items()}


def _fold(layer: nn.Conv2d, norm: nn.Module) -> tuple[Tensor, Tensor]:
    bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias
    if not isinstance(norm, nn.BatchNorm2d):
        return layer.weight, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return layer.weight * gain[:, None, None, None], norm.bias + gain * (bias - norm.running_mean)
