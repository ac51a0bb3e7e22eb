r"""The U-Net of M. Unser's lecture: a segmentation network of 1 925 058 parameters.

O. Ronneberger, P. Fischer, T. Brox, *U-Net: convolutional networks for biomedical image segmentation*, MICCAI 2015, in the size of the
lecture: 512 x 512 x 1 in, widths 32-64-128-256, two 3 x 3 convolutions with bias and ReLU at each level, 2 x 2 max-pooling down, 2 x 2
transposed convolutions with stride 2 up, their result joined with that of the way down, 2 classes out by a 1 x 1 convolution. Parameters:

    down   320 + 9 248      18 496 + 36 928     73 856 + 147 584     295 168 + 590 080
    up     131 200          32 832              8 224                (transposed convolutions)
           295 040 + 147 584    73 792 + 36 928    18 464 + 9 248
    out    66

The output are logits: which class is asked of an image is an argmax, which has no Lipschitz constant. It is no reconstruction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _pair(source: int, target: int) -> nn.Sequential:
    first, second = nn.Conv2d(source, target, 3, padding=1), nn.Conv2d(target, target, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


class LectureUNet(nn.Module):
    """Segmentation of real images, ``(B, 1, H, W) -> (B, 2, H, W)`` logits; sides divisible by 8.

    Examples
    --------
    >>> network = LectureUNet()
    >>> sum(parameter.numel() for parameter in network.parameters())
    1925058
    >>> network(torch.zeros(1, 1, 16, 24)).shape
    torch.Size([1, 2, 16, 24])
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 256)
        self.down = nn.ModuleList(_pair(source, target) for source, target in zip((1, *widths), widths, strict=False))
        levels = list(reversed(range(len(widths) - 1)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[k + 1], widths[k], 2, stride=2) for k in levels)
        self.merge = nn.ModuleList(_pair(2 * widths[k], widths[k]) for k in levels)
        self.output = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the two classes."""
        kept: list[Tensor] = []
        for level, pair in enumerate(self.down):
            x = pair(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        for k, (up, merge) in enumerate(zip(self.up, self.merge, strict=True)):
            x = merge(torch.cat([kept[-2 - k], up(x)], dim=1))
        return self.output(x)
