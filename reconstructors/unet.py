"""U-Net that corrects a direct reconstruction: ``f(x) = x + U(x)``.

Encoder ``h_0 = C_0(x)``, ``h_k = C_k(pool h_{k-1})``; decoder ``d_K = h_K``, ``d_k = D_k([h_k, up d_{k+1}])``; output ``x +
W d_0``. ``C_k`` and ``D_k`` are two 3 x 3 convolutions, each followed by batch normalisation and ReLU; ``pool`` is 2 x 2
max-pooling, ``up`` a 2 x 2 transposed convolution with stride 2, ``W`` a 1 x 1 convolution.

With one real channel after filtered back-projection this is FBPConvNet (Jin, McCann, Froustey, Unser, *Deep convolutional neural
network for inverse problems in imaging*, IEEE TIP 26(9), 2017), which has width 64 and depth 4 at 512 x 512; with two channels
(real, imaginary) after zero-filling it is the post-processing U-Net of accelerated MRI (Ronneberger et al. 2015; Zbontar et al.,
*fastMRI*, 2018, which normalises by instance). Batch normalisation is affine at test time, so that the network has a finite
Lipschitz constant; instance normalisation has none worth the name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _double_convolution(channels_in: int, channels_out: int, norm: str | None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels_in, channels_out):
        layers.append(nn.Conv2d(source, channels_out, 3, padding=1, bias=norm is None))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(channels_out))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Residual U-Net for real-valued multi-channel images.

    Parameters
    ----------
    channels
        Channels in and out: 1 for a real image, 2 for real and imaginary part.
    width
        Channels at full resolution; doubled at every level down.
    depth
        Number of 2 x 2 poolings.
    norm
        ``"batch"`` or ``None``.

    Examples
    --------
    >>> network = UNet(channels=1, width=4, depth=2).eval()
    >>> network(torch.zeros(1, 1, 17, 20)).shape
    torch.Size([1, 1, 17, 20])
    """

    def __init__(self, *, channels: int, width: int = 24, depth: int = 3, norm: str | None = "batch") -> None:
        super().__init__()
        if norm not in ("batch", None):
            raise ValueError(f"norm: expected 'batch' or None, came {norm!r}")
        widths = [width * 2**level for level in range(depth + 1)]
        self.depth = depth
        self.encoder = nn.ModuleList(
            _double_convolution(channels if level == 0 else widths[level - 1], widths[level], norm)
            for level in range(depth + 1)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2) for level in range(depth))
        self.decoder = nn.ModuleList(_double_convolution(2 * widths[level], widths[level], norm) for level in range(depth))
        self.output = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Corrected image, same shape ``(B, channels, H, W)``; sides that 2**depth does not divide are zero-padded and cropped."""
        height, width = x.shape[-2:]
        multiple = 2**self.depth
        h = F.pad(x, (0, -width % multiple, 0, -height % multiple)) if height % multiple or width % multiple else x
        skips: list[Tensor] = []
        for level in range(self.depth):
            h = self.encoder[level](h)
            skips.append(h)
            h = F.max_pool2d(h, 2)
        h = self.encoder[self.depth](h)
        for level in reversed(range(self.depth)):
            h = self.decoder[level](torch.cat([skips[level], self.up[level](h)], dim=1))
        return x + self.output(h)[..., :height, :width]
