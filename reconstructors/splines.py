r"""Learned activations that are linear splines, the neurons of deep spline networks.

M. Unser, *A representer theorem for deep neural networks*, JMLR 20, 2019: among all activations with a second total variation, the best
for given data are continuous and piecewise linear. With knots ``t_0 < t_1 < ...`` and slopes that change at them there are two ways to
write one:

- by its bends, ``s(u) = b_0 + b_1 u + sum_k a_k max(0, u - t_k)``: any knots, every knot costs at every point;
- by its values ``c_j`` at the knots of a uniform grid ``t_j = j h - r``, ``s(u) = sum_j c_j hat((u - t_j) / h)``, continued linearly beyond the
  ends: a point sees two of them only, whatever their number (P. Bohra, J. Campos, H. Gupta, S. Aziznejad, M. Unser, *Learning activation
  functions in deep (spline) neural networks*, IEEE OJSP 1, 2020).

Either way the Lipschitz constant is the steepest slope, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from stabtest.errors import ConfigError
from stabtest.operators.opaque import step


class LinearSpline(nn.Module):
    """A linear spline for each of ``count`` neurons, ``(B, count)`` to the same shape; at first a leaky ReLU of slope 0.1.

    Parameters
    ----------
    count
        Neurons.
    knots
        ``t_k``, increasing, the same for all.

    Examples
    --------
    >>> LinearSpline(1)(torch.tensor([[-2.0], [3.0]])).detach().flatten()
    tensor([-0.2000,  3.0000])
    """

    knots: Tensor

    def __init__(self, count: int, *, knots: Sequence[float] = (-1.0, 0.0, 1.0)) -> None:
        super().__init__()
        if any(a >= b for a, b in pairwise(knots)):
            raise ConfigError("linear spline: knots", expected="an increasing sequence", came=str(tuple(knots)))
        self.register_buffer("knots", torch.tensor(knots))
        bends = torch.zeros(count, len(knots))
        bends[:, [k for k, knot in enumerate(knots) if knot == 0.0]] = 0.9
        self.level, self.slope, self.bends = (
            nn.Parameter(torch.zeros(count)),
            nn.Parameter(torch.full((count,), 0.1)),
            nn.Parameter(bends),
        )

    def forward(self, u: Tensor) -> Tensor:
        """``s(u)``, entry by entry."""
        return self.level + self.slope * u + (self.bends * torch.relu(u[..., None] - self.knots)).sum(-1)

    def steepest(self) -> Tensor:
        """Lipschitz constant of each activation, ``(count,)``, exact."""
        slopes = torch.cat([self.slope[:, None], self.slope[:, None] + self.bends.cumsum(1)], dim=1)
        return slopes.abs().amax(1)


class UniformSpline(nn.Module):
    """A linear spline for each channel of images, by its values on a uniform grid; at first the identity.

    Parameters
    ----------
    channels
        ``C``.
    knots
        How many, at least 2, from ``-reach`` to ``reach``.
    reach
        ``r``, in the unit of the input.

    Raises
    ------
    ConfigError
        If there are fewer than two knots or the reach is not positive.

    Examples
    --------
    >>> spline = UniformSpline(2, knots=5, reach=1.0)
    >>> spline(torch.full((1, 2, 1, 1), 3.0)).detach().flatten()
    tensor([3., 3.])
    """

    def __init__(self, channels: int, *, knots: int = 31, reach: float = 1.0) -> None:
        super().__init__()
        if knots < 2 or not reach > 0:
            raise ConfigError("uniform spline", expected="two knots or more, reach > 0", came=f"knots={knots}, reach={reach}")
        self.reach = reach
        self.values = nn.Parameter(torch.linspace(-reach, reach, knots).repeat(channels, 1))

    @property
    def spacing(self) -> float:
        """``h``."""
        return 2 * self.reach / (self.values.shape[1] - 1)

    def forward(self, u: Tensor) -> Tensor:
        """``s(u)``, ``(B, C, H, W)`` to the same shape, in the precision of the values (autocast may have lowered that of ``u``)."""
        return step("linear_spline", self._at, u, self.values, spacing=self.spacing)

    def _at(self, u: Tensor, values: Tensor) -> Tensor:
        channels, knots = values.shape
        position = (u.to(values.dtype) + self.reach) / self.spacing
        piece = position.detach().floor().clamp(0, knots - 2)
        first = knots * torch.arange(channels, device=u.device).reshape(-1, 1, 1)
        index = (piece.long() + first).flatten()
        left, right = (values.flatten().index_select(0, index + k).reshape(u.shape) for k in (0, 1))
        return left + (position - piece) * (right - left)

    def steepest(self) -> Tensor:
        """Lipschitz constant of each channel's activation, ``(C,)``, exact."""
        return self.values.diff(dim=1).abs().amax(1) / self.spacing
