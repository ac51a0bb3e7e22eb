r"""Spectral normalisation: a copy of a network whose linear layers have norm 1 at most.

Each convolution, transposed convolution and dense layer is divided by an upper bound of its norm where that exceeds a limit, with a
batch normalisation that follows it multiplied in first. With activations of slope 1 a chain of such layers has Lipschitz constant
at most 1 (M. Unser's lecture notes on CNN modules; T. Miyato et al., *Spectral normalization for generative adversarial networks*,
ICLR 2018, who divide by a power iteration instead, which is a lower bound and therefore guarantees nothing).

The copy is another function: it has to be trained on, or trained under the constraint from the beginning.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from stabtest.bounds.convolution import convolution_norm
from stabtest.bounds.dense import matrix_norm
from stabtest.errors import BoundsError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def spectrally_normalised(module: nn.Module, *, limit: float = 1.0, names: Sequence[str] | None = None) -> nn.Module:
    """A copy with the norm of each linear layer at most ``limit``.

    Parameters
    ----------
    module
        The network. A batch normalisation counts as part of the layer that stands before it in an `nn.Sequential`: it is folded
        into it, and replaced by the identity.
    limit
        Largest norm.
    names
        Which layers, by their place in the module tree; all if not given.

    Raises
    ------
    BoundsError
        If there is no such layer, or the limit is not positive.

    Examples
    --------
    >>> from stabtest.bounds import lipschitz
    >>> network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    >>> bool(lipschitz(spectrally_normalised(network), torch.zeros(1, 1, 8, 8)).upper <= 1 + 1e-6)
    True
    """
    if not limit > 0:
        raise BoundsError("limit", expected="a positive number", came=str(limit))
    result = copy.deepcopy(module)
    for part in result.modules():
        if isinstance(part, nn.Sequential):
            _fold(part)
    layers = {name: layer for name, layer in result.named_modules() if isinstance(layer, (*_CONVOLUTIONS, nn.Linear))}
    for name in layers if names is None else names:
        if name not in layers:
            raise BoundsError(f"layer {name!r}", expected=f"one of {', '.join(layers)}", came=name)
        norm = layer_norm(layers[name])
        if norm > limit:
            with torch.no_grad():
                layers[name].weight.mul_(limit / norm)
    return result


def layer_norm(layer: nn.Module) -> float:
    """Upper bound of the norm of a convolution, a transposed convolution or a dense layer."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if isinstance(layer, _CONVOLUTIONS):
        return convolution_norm(weight, stride=layer.stride, dilation=layer.dilation, groups=layer.groups) * _padded(layer)
    return matrix_norm(weight)[0]


def _padded(layer: nn.Module) -> float:
    """Norm of a padding that is not by zeros: an entry may be copied."""
    mode = getattr(layer, "padding_mode", "zeros")
    if mode == "zeros":
        return 1.0
    raise BoundsError(
        "spectral normalisation",
        expected="zero padding",
        came=f"{mode!r}",
        remedy="bound the network with stabtest.bounds.lipschitz, which counts the copies",
    )


def _fold(chain: nn.Sequential) -> None:
    """Batch normalisations at test time, into the convolution or dense layer before them."""
    for (_, layer), (name, following) in pairwise(list(chain.named_children())):
        if not isinstance(following, _BATCH_NORMS) or not isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
            continue
        if following.running_mean is None or following.running_var is None:
            continue
        with torch.no_grad():
            scale = (following.running_var + following.eps).rsqrt()
            scale = scale * following.weight if following.affine else scale
            shift = -following.running_mean * scale
            shift = shift + following.bias if following.affine else shift
            transposed = isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
            groups = int(layer.groups) if isinstance(layer, _CONVOLUTIONS) else 1
            tail = [1] * (layer.weight.ndim - 2)
            if transposed:
                blocks = layer.weight.unflatten(0, (groups, -1))
                layer.weight.copy_((blocks * scale.reshape(groups, 1, -1, *tail)).flatten(0, 1))
            else:
                layer.weight.mul_(scale.reshape(-1, 1, *tail))
            old = torch.zeros_like(scale) if layer.bias is None else layer.bias
            layer.bias = nn.Parameter(old * scale + shift, requires_grad=layer.weight.requires_grad)
        setattr(chain, name, nn.Identity())
