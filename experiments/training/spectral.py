r"""Convolutions and dense layers whose norm is at most a given number.

A layer ``W`` is replaced by ``W min(1, c / s(W))``, where ``s(W)`` is its norm as a linear map, so that a chain of ``K`` layers and
1-Lipschitz activations has ``Lip <= c^K``. For a convolution the norm is that of the map of images, not of the kernel
reshaped to a matrix (T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, *Spectral normalization for generative adversarial networks*,
ICLR 2018), which can be too small by a factor of the kernel's side. While training it is estimated by one power iteration a step on a small
image with zeros around it (H. Gouk, E. Frank, B. Pfahringer, M. Cree, *Regularisation of neural networks by enforcing Lipschitz
continuity*, Machine Learning 110, 2021; E. Ryu et al., *Plug-and-play methods provably converge with properly trained denoisers*,
ICML 2019). An estimate from below is no bound: after the training `settle` divides each layer by the certified norm of
`stabtest.bounds`, which holds for images of every size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from stabtest.bounds.convolution import convolution_norm
from stabtest.errors import NetworkError

SIDE = 32
"""Pixels of the image on which the norm is estimated."""

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


class NormLimit(nn.Module):
    """The parametrisation ``W -> W min(1, limit / s(W))`` of one layer.

    Parameters
    ----------
    layer
        A convolution without groups and dilation, a transposed one, or a dense layer.
    limit
        Largest norm.
    side
        Pixels of the image for the power iteration.
    """

    image: Tensor

    def __init__(self, layer: Layer, *, limit: float, side: int = SIDE) -> None:
        super().__init__()
        self.limit = limit
        self.stride, self.padding = 1, 0
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            if layer.groups != 1 or layer.dilation != (1, 1) or layer.stride[0] != layer.stride[1]:
                raise NetworkError(
                    "norm limit: convolution",
                    expected="one group, no dilation, the same stride along both axes",
                    came=str(layer),
                )
            self.stride, self.padding = layer.stride[0], int(layer.padding[0])
            shape = (1, layer.weight.shape[1], side, side)  # of what the weight maps, read as a convolution
        else:
            shape = (1, layer.in_features)
        generator = torch.Generator().manual_seed(0)
        start = torch.randn(shape, generator=generator)
        self.register_buffer("image", start / start.norm())
        for _ in range(20):
            self._iterate(layer.weight.detach())

    def forward(self, weight: Tensor) -> Tensor:
        """The limited weight; in training one step of the power iteration, whose vector has no gradient."""
        if self.training:
            self._iterate(weight.detach())
        norm = self._map(weight, self.image).norm()
        return weight * (self.limit / norm.clamp_min(self.limit))

    @torch.no_grad()
    def _iterate(self, weight: Tensor) -> None:
        back = self._map_back(weight, self._map(weight, self.image))
        self.image.copy_(back / back.norm().clamp_min(torch.finfo(back.dtype).tiny))

    def _map(self, weight: Tensor, x: Tensor) -> Tensor:
        if weight.ndim == 2:
            return x @ weight.T
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)

    def _map_back(self, weight: Tensor, x: Tensor) -> Tensor:
        if weight.ndim == 2:
            return x @ weight
        short = (self.image.shape[-1] + 2 * self.padding - weight.shape[-1]) % self.stride
        return F.conv_transpose2d(x, weight, stride=self.stride, padding=self.padding, output_padding=short)


def limited_layers(network: nn.Module) -> list[tuple[str, Layer]]:
    """Every convolution and dense layer, with its name."""
    return [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]


def start_isometric(network: nn.Module) -> None:
    """Give layers weights that keep norms, in place.

    An orthogonal matrix in the middle of each kernel ("delta-orthogonal"; L. Xiao et al., *Dynamical isometry and a mean field theory of CNNs*, ICML
    2018), a little noise around it, no bias. Random kernels scaled down to norm 1 have a gain far below it, and a deep chain of them starts out as
    nearly zero.
    """
    for _, layer in limited_layers(network):
        with torch.no_grad():
            middle = torch.nn.init.orthogonal_(torch.empty(layer.weight.shape[:2]))
            layer.weight.normal_(std=0.01)
            at = tuple(side // 2 for side in layer.weight.shape[2:])
            layer.weight[(slice(None), slice(None), *at)] += middle
            if layer.bias is not None:
                layer.bias.zero_()


def limit_norms(network: nn.Module, *, limit: float) -> None:
    """Parametrise every convolution and dense layer, in place.

    Parameters
    ----------
    network
        To be trained.
    limit
        Largest norm of a layer.

    Raises
    ------
    NetworkError
        For a convolution with groups or dilation.
    """
    for _, layer in limited_layers(network):
        parametrize.register_parametrization(layer, "weight", NormLimit(layer, limit=limit), unsafe=True)


def settle(network: nn.Module, *, limit: float) -> None:
    """Make plain layers of the parametrised ones, in place, each with a certified norm of at most ``limit``.

    Parameters
    ----------
    network
        After `limit_norms` and a training; its layers may also be plain.
    limit
        Largest norm of a layer.

    Examples
    --------
    >>> layer = nn.Conv2d(2, 3, 3, padding=1)
    >>> network = nn.Sequential(layer)
    >>> limit_norms(network, limit=0.5)
    >>> settle(network, limit=0.5)
    >>> convolution_norm(layer.weight) <= 0.5
    True
    """
    for _, layer in limited_layers(network):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        with torch.no_grad():
            norm = certified_norm(layer)
            if norm > limit:
                layer.weight.mul_(limit / norm * (1 - 1e-6))  # the product is rounded in float32


def certified_norm(layer: Layer) -> float:
    """Upper bound of a layer's norm, for images of every size."""
    if isinstance(layer, nn.Linear):
        return convolution_norm(layer.weight[..., None])
    return convolution_norm(layer.weight, stride=layer.stride)
