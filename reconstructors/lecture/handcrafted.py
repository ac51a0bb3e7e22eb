r"""A denoiser made by hand: low-pass plus soft-clipped high-pass (M. Unser's lecture on CNN modules).

With the binomial low-pass ``L`` = (1 2 1) x (1 2 1) / 16 and the high-pass ``H = 1 - L``,

    f(x) = L x + soft(H x, w) = x - clip(H x, w),        soft(u, w) = u - clip(u, w),    clip(u, w) = max(-w, min(w, u)):

what is small at high frequencies is noise and goes, what is large is an edge and stays (lower by ``w``). One hidden layer of a residual
CNN, the clipping its activation. Zeros are taken outside of the image; then ``L`` is the part of a convolution with ``0 <= L^ <= 1`` that acts
inside of it, so that ``0 <= L <= 1`` and ``L^2 + H^2 <= 1``. The soft threshold has slopes in [0, 1], so that

    ||f(x) - f(x')|| <= ||L (x - x')|| + ||H (x - x')|| <= sqrt(2) ||x - x'||,

and the constant is at least 1: where all of ``H x`` is beyond ``w``, ``f`` shifts by a constant.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stabtest.errors import ConfigError

BOUND = 2**0.5
"""Of the Lipschitz constant, from the module's closed form."""


class HandcraftedDenoiser(nn.Module):
    """Denoiser of real images, ``(B, 1, H, W)`` to the same shape.

    Parameters
    ----------
    threshold
        ``w``, in the unit of the image.

    Raises
    ------
    ConfigError
        If the threshold is negative.

    Examples
    --------
    Without a threshold the two parts are the image again:

    >>> x = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> torch.allclose(HandcraftedDenoiser(threshold=0.0)(x), x)
    True
    """

    kernel: Tensor

    def __init__(self, *, threshold: float = 0.1) -> None:
        super().__init__()
        if not threshold >= 0:
            raise ConfigError("handcrafted denoiser: threshold", expected="a number >= 0", came=str(threshold))
        self.threshold = threshold
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", (row[:, None] * row)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        """The denoised image."""
        low = F.conv2d(x, self.kernel, padding=1)
        return low + F.softshrink(x - low, self.threshold)
