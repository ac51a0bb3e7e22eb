r"""Residual denoising network ("DnCNN"): ``f(x) = x - R(x)``, where ``R`` is trained to find the noise.

K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, *Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising*, IEEE
TIP 26(7), 2017, in the size of M. Unser's lecture: six 3 x 3 convolutions with bias, ReLU between them, no normalisation, channels
1-32-32-32-32-32-1. Parameters, layer by layer:

    (9 * 1 + 1) 32 + 4 (9 * 32 + 1) 32 + (9 * 32 + 1) 1 = 320 + 4 * 9248 + 289 = 37 601.

Every output pixel depends on 13 x 13 pixels of the input. Convolutions are padded with zeros, so that sizes are kept. With
``L_k`` the norms of the convolutions, ``Lip(f) <= 1 + L_1 ... L_6``.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class DnCNN(nn.Module):
    """Residual denoiser of real images.

    Parameters
    ----------
    channels
        Of the images.
    width
        Channels between the convolutions.
    layers
        Number of convolutions, at least 2.

    Examples
    --------
    >>> import torch
    >>> network = DnCNN()
    >>> sum(parameter.numel() for parameter in network.parameters())
    37601
    >>> network(torch.zeros(2, 1, 9, 7)).shape
    torch.Size([2, 1, 9, 7])
    """

    def __init__(self, *, channels: int = 1, width: int = 32, layers: int = 6) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"layers: expected at least 2, came {layers}")
        widths = (channels, *[width] * (layers - 1), channels)
        modules: list[nn.Module] = []
        for source, target in pairwise(widths):
            convolution = nn.Conv2d(source, target, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
            modules += [convolution, nn.ReLU()]
        self.noise = nn.Sequential(*modules[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """The denoised image, ``(B, channels, H, W)`` to the same shape."""
        return x - self.noise(x)
