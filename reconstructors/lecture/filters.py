r"""The two classical filters that a denoising network is measured against: Gaussian and median.

*Gaussian* (linear, shift-invariant): convolution with ``exp(-|k|^2 / 2 s^2)``, cut off at ``4 s`` and divided by its sum. All weights are
positive and sum to 1, so that its Lipschitz constant is at most ``max |h^(w)| = h^(0) = 1`` (Young's inequality), at any size.

*Median* (J. Tukey, *Exploratory Data Analysis*, 1977): of the ``n x n`` pixels around each one, ``n`` odd. A median moves by no more than
the largest change among the pixels that it is of, and a pixel is seen by ``n^2`` medians:

    ||f(x) - f(x')||^2 <= sum_i max_{j near i} |x_j - x'_j|^2 <= n^2 ||x - x'||^2,       Lip(f) <= n;

in the largest norm the constant is 1. Both take what is outside of the image to be 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stabtest.errors import ConfigError


def gaussian_kernel(width: float) -> Tensor:
    """Normalised samples of a Gaussian, ``(2 r + 1,)`` with ``r = ceil(4 width)``, float32.

    Parameters
    ----------
    width
        Standard deviation in pixels.

    Examples
    --------
    >>> gaussian_kernel(0.25)
    tensor([3.3524e-04, 9.9933e-01, 3.3524e-04])
    """
    radius = math.ceil(4 * width)
    weights = torch.exp(-torch.arange(-radius, radius + 1, dtype=torch.float64).square() / (2 * width**2))
    return (weights / weights.sum()).float()


class GaussianFilter(nn.Module):
    """Gaussian filter of each channel.

    Parameters
    ----------
    width
        Standard deviation in pixels.
    channels
        Of the images.

    Raises
    ------
    ConfigError
        If the width is not positive.

    Examples
    --------
    >>> GaussianFilter(width=1.0)(torch.ones(1, 1, 15, 15))[0, 0, 7, 7].round(decimals=5)
    tensor(1.)
    """

    kernel: Tensor

    def __init__(self, *, width: float = 1.0, channels: int = 1) -> None:
        super().__init__()
        if not width > 0:
            raise ConfigError("gaussian: width", expected="a positive number", came=str(width))
        self.width, self.channels = width, channels
        row = gaussian_kernel(width)
        self.register_buffer("kernel", (row[:, None] * row)[None, None].repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The filtered images, ``(B, channels, H, W)``, same shape."""
        return F.conv2d(x, self.kernel, padding=self.kernel.shape[-1] // 2, groups=self.channels)


class MedianFilter(nn.Module):
    """Median filter of each channel.

    Parameters
    ----------
    size
        Side ``n`` of the window, odd.

    Raises
    ------
    ConfigError
        If the size is not a positive odd number.

    Examples
    --------
    A lone bright pixel goes, an edge stays:

    >>> x = torch.tensor([[0.0, 0, 0, 1, 1], [0, 9, 0, 1, 1], [0, 0, 0, 1, 1]])
    >>> MedianFilter(size=3)(x[None, None])[0, 0, 1]
    tensor([0., 0., 0., 1., 1.])
    """

    def __init__(self, *, size: int = 3) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ConfigError("median: size", expected="a positive odd number", came=str(size))
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """The filtered images, ``(B, C, H, W)``, same shape."""
        margin = self.size // 2
        padded = F.pad(x, (margin, margin, margin, margin))
        windows = padded.unfold(-2, self.size, 1).unfold(-2, self.size, 1)
        return windows.flatten(-2).median(dim=-1).values
