"""Total variation by the primal-dual hybrid gradient method (PDHG).

Solves, for every image of a batch,

    min_x  1/2 || A x / a - y / a ||^2  +  weight * || grad x ||_{2,1},         a >= ||A||,

with ``grad`` the forward differences with a zero last row or column and the pointwise 2-norm over both differences, of the
modulus for complex images (isotropic total variation). Dividing by ``a`` makes the weight relative to image values, whatever
the unit of the measurement; images should have a largest value near 1. The best weight still depends on noise,
undersampling and, in CT, on size and views (``||A||`` grows with the root of their product, the weight of one pixel in the
data does not grow with the size): it has to be chosen for each scan, on images other than the audited ones.

Solved by the primal-dual hybrid gradient method, differentiated unrolled or at its solution (`reconstructors.primal_dual`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from reconstructors.primal_dual import PrimalDual

GRADIENT_NORM_SQUARED = 8.0
"""``||grad||^2 <= 8`` in two dimensions (Chambolle 2004)."""


def gradient(x: Tensor) -> Tensor:
    """Forward differences, ``(B, 1, H, W) -> (B, 2, H, W)``; zero in the last row (column)."""
    down = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    right = F.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1))
    return torch.cat([down, right], dim=1)


def gradient_adjoint(q: Tensor) -> Tensor:
    """Exact adjoint of `gradient` (minus the divergence), ``(B, 2, H, W) -> (B, 1, H, W)``."""
    down, right = q[:, :1, :-1, :], q[:, 1:, :, :-1]
    return F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1)) + F.pad(right, (1, 0)) - F.pad(right, (0, 1))


def lengths(q: Tensor) -> Tensor:
    """Pointwise 2-norm over the channels (and both parts of a complex number), ``(B, C, H, W) -> (B, H, W)``.

    Examples
    --------
    >>> lengths(torch.tensor([3 + 0j, 4j]).reshape(1, 2, 1, 1))
    tensor([[[5.]]])
    """
    return torch.linalg.vector_norm(torch.view_as_real(q), dim=(1, -1)) if q.is_complex() else q.norm(dim=1)


def project_lengths(q: Tensor, weight: float | Tensor) -> Tensor:
    """Pointwise projection onto ``lengths(q) <= weight``; of weights ``(B, 1, 1, 1)`` each image has its own."""
    squared = (q.real.square() + q.imag.square()) if q.is_complex() else q.square()
    size = squared.sum(1, keepdim=True).clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
    return q * (weight / size.clamp_min(weight))


@dataclass(frozen=True)
class TotalVariation(PrimalDual):
    """Total-variation reconstruction, a callable ``(y, operator) -> image``; the parameters are those of `PrimalDual`.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> noisy = torch.tensor([[[[0.0, 0.1], [0.9, 1.0]]]])
    >>> TotalVariation(weight=10.0, iterations=300, step_ratio=1.0)(noisy, Identity((2, 2))).mean().round(decimals=3)
    tensor(0.5000)
    """

    name: ClassVar[str] = "tv"
    norm_squared: ClassVar[float] = GRADIENT_NORM_SQUARED

    def analyse(self, x: Tensor) -> Tensor:
        """The differences, `gradient`."""
        return gradient(x)

    def analysis_adjoint(self, q: Tensor) -> Tensor:
        """`gradient_adjoint`."""
        return gradient_adjoint(q)

    def project(self, q: Tensor) -> Tensor:
        """Onto ``|q| <= weight``, where ``|q|`` joins both differences."""
        return project_lengths(q, self.weight)

    def penalty(self, x: Tensor) -> Tensor:
        """The weighted total variation, ``(B,)``."""
        return self.weight * lengths(gradient(x)).flatten(1).sum(1)
