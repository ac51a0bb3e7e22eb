r"""Texture discriminator made by hand: a CNN of one hidden layer with a bank of DCT filters (M. Unser's lecture on CNN modules).

M. Unser, *Local linear transforms for texture measurements*, Signal Processing 11, 1986: textures differ in the local energies of a bank of
filters. Four layers, per pixel:

    h_k = (3 x 3 DCT filter k) * x / 3,   k = 1 ... 8, the constant one left out
    a_k = |h_k|,      e_k = (Gaussian) * a_k,       score = sum_k v_k e_k + v_0.

The nine sliding filters of an orthonormal 3 x 3 transform have ``sum_k |h_k^|^2 = 9``, so that a third of them is a Parseval frame and the
eight have norm at most 1; the modulus has slopes -1 and 1 and the Gaussian norm at most 1: ``Lip <= ||v||_2``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reconstructors.lecture.filters import GaussianFilter
from stabtest.errors import ConfigError


def dct_filters() -> Tensor:
    """The orthonormal 3 x 3 DCT-II filters but the constant one, ``(8, 1, 3, 3)``, float32.

    Examples
    --------
    >>> (dct_filters().flatten(1) @ dct_filters().flatten(1).T).round(decimals=5).trace()
    tensor(8.)
    """
    n = torch.arange(3, dtype=torch.float64)
    basis = torch.cos(math.pi * (n[None] + 0.5) * n[:, None] / 3)
    basis = basis / basis.norm(dim=1, keepdim=True)
    return torch.einsum("ki,lj->klij", basis, basis).reshape(9, 1, 3, 3)[1:].float()


class TextureDiscriminator(nn.Module):
    """Score of each pixel, ``(B, 1, H, W)`` to the same shape: positive for the first texture, negative for the second.

    Parameters
    ----------
    width
        Standard deviation of the Gaussian, pixels.

    Examples
    --------
    >>> TextureDiscriminator()(torch.zeros(1, 1, 12, 12)).shape
    torch.Size([1, 1, 12, 12])
    """

    filters: Tensor

    def __init__(self, *, width: float = 3.0) -> None:
        super().__init__()
        self.register_buffer("filters", dct_filters() / 3)
        self.gather = GaussianFilter(width=width, channels=8)
        self.combine = nn.Conv2d(8, 1, 1)
        with torch.no_grad():
            self.combine.weight.fill_(8**-0.5)
            self.combine.bias.zero_()  # pyright: ignore[reportOptionalMemberAccess]

    def energies(self, x: Tensor) -> Tensor:
        """``e_k``, ``(B, 8, H, W)``."""
        return self.gather(F.conv2d(x, self.filters, padding=1).abs())

    def forward(self, x: Tensor) -> Tensor:
        """The score."""
        return self.combine(self.energies(x))

    def fit(self, first: Tensor, second: Tensor) -> TextureDiscriminator:
        """Set ``v`` in place to Fisher's linear discriminant of the energies of two textures, ``||(v_1 ... v_8)|| = 1``.

        Raises
        ------
        ConfigError
            If a texture has no variation at all.
        """
        clouds = [self.energies(x).movedim(1, -1).reshape(-1, 8).double() for x in (first, second)]
        means = [cloud.mean(0) for cloud in clouds]
        within = sum((torch.cov(cloud.T) for cloud in clouds), torch.zeros(8, 8, dtype=torch.float64))
        size = float(within.trace())
        if not size > 0:
            raise ConfigError("texture discriminator", expected="two textures that vary", came="constant images")
        direction = torch.linalg.solve(within + 1e-6 * size * torch.eye(8, dtype=torch.float64), means[0] - means[1])
        direction = direction / direction.norm()
        with torch.no_grad():
            self.combine.weight.copy_(direction.reshape(1, 8, 1, 1))
            self.combine.bias.fill_(-float(direction @ (means[0] + means[1]) / 2))  # pyright: ignore[reportOptionalMemberAccess]
        return self
