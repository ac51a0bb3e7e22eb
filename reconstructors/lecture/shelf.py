"""The lecture's hand-made and untrained networks as entries of the zoo, and one that is trained for what is no reconstruction: name, card, module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_LECTURE = "M. Unser, lecture on CNN modules"


@dataclass(frozen=True)
class Piece:
    """What the zoo knows of one.

    Parameters
    ----------
    description
        For the card.
    make
        The module.
    settings
        Its arguments.
    reconstructs
        Whether it makes images of images and can so be audited.
    trained
        Whether there are weights and a card of its own, ``weights/NAME.safetensors`` and ``lecture/NAME.json``.
    """

    description: str
    make: Callable[..., nn.Module]
    settings: dict[str, Any]
    reconstructs: bool = True
    trained: bool = False


def _gaussian(**settings: Any) -> nn.Module:  # noqa: ANN401
    from reconstructors.lecture.filters import GaussianFilter

    return GaussianFilter(**settings)


def _median(**settings: Any) -> nn.Module:  # noqa: ANN401
    from reconstructors.lecture.filters import MedianFilter

    return MedianFilter(**settings)


def _handcrafted(**settings: Any) -> nn.Module:  # noqa: ANN401
    from reconstructors.lecture.handcrafted import HandcraftedDenoiser

    return HandcraftedDenoiser(**settings)


def _texture(**settings: Any) -> nn.Module:  # noqa: ANN401
    from reconstructors.lecture.texture import TextureDiscriminator

    return TextureDiscriminator(**settings)


def _unet(*, seed: int) -> nn.Module:
    import torch

    from reconstructors.lecture.unet import LectureUNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LectureUNet()


def _trained_unet() -> nn.Module:
    from reconstructors.lecture.unet import LectureUNet

    return LectureUNet()


def _dense(**settings: Any) -> nn.Module:  # noqa: ANN401
    from reconstructors.lecture.dense import dense

    return dense(**settings)


_NODES = (4, 5, 4, 2, 3, 2)
SHELF = {
    "gaussian-filter": Piece("Gaussian filter, width 0.6 pixels: linear denoiser.", _gaussian, {"width": 0.6}),
    "median-filter": Piece("Median filter, 3 x 3 pixels (Tukey 1977): denoiser that keeps edges.", _median, {"size": 3}),
    "handcrafted-denoiser": Piece(
        f"Low-pass plus soft-clipped high-pass, made by hand ({_LECTURE}).", _handcrafted, {"threshold": 0.1}
    ),
    "lecture-unet": Piece(f"U-Net for two classes, 1 925 058 parameters, untrained ({_LECTURE}).", _unet, {"seed": 0}, False),
    "lecture-unet-cells": Piece(
        f"The same U-Net, trained to tell cells from membranes in simulated sections of tissue ({_LECTURE}; Ronneberger et al. 2015).",
        _trained_unet,
        {},
        reconstructs=False,
        trained=True,
    ),
    "texture-discriminator": Piece(
        f"Texture discriminator with 3 x 3 DCT filters, modulus, Gaussian and a linear combination ({_LECTURE}).",
        _texture,
        {},
        False,
    ),
    "dense-relu": Piece(
        f"Dense ReLU network, node descriptor {_NODES}, untrained ({_LECTURE}).",
        _dense,
        {"nodes": _NODES, "activation": "relu"},
        False,
    ),
    "deep-spline": Piece(
        f"Dense network with a linear spline for each neuron, node descriptor {_NODES}, untrained ({_LECTURE}).",
        _dense,
        {"nodes": _NODES, "activation": "spline"},
        False,
    ),
    "threshold-logic": Piece(
        f"Dense network of Heaviside steps, node descriptor {_NODES}, untrained: discontinuous ({_LECTURE}).",
        _dense,
        {"nodes": _NODES, "activation": "heaviside"},
        False,
    ),
}
