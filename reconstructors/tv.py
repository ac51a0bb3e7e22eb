"""Total variation by the primal-dual hybrid gradient method (PDHG).

Solves, for every image of a batch,

    min_x  1/2 || A x / a - y / a ||^2  +  weight * || grad x ||_{2,1},         a >= ||A||,

with ``grad`` the forward differences with a zero last row or column and the pointwise 2-norm over both differences, of the
modulus for complex images (isotropic total variation). Dividing by ``a`` makes the weight relative to image values, whatever
the unit of the measurement; images should have a largest value near 1. The best weight still depends on noise,
undersampling and, in CT, on size and views (``||A||`` grows with the root of their product, the weight of one pixel in the
data does not grow with the size): it has to be chosen for each scan, on images other than the audited ones.

PDHG (Chambolle and Pock, *A first-order primal-dual algorithm for convex problems with applications to imaging*, JMIV 40, 2011,
algorithm 1 with theta = 1) on ``K = [A / a; grad]``, ``||K||^2 <= 1 + 8``:

    p <- (p + s (A xb / a - y / a)) / (1 + s)             data
    q <- project_{|q| <= weight} (q + s grad xb)           total variation
    x+ <- x - t (A* p / a + grad* q),   xb <- 2 x+ - x,    s t (1 + 8) <= 1

A fixed number of steps is one differentiable function of ``y``, so that the search for worst-case perturbations goes through it;
`TotalVariation.objective` tells how far it is from converged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from stabtest import tensors
from stabtest.operators.base import LinearOperator

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


def _project_dual(q: Tensor, weight: float) -> Tensor:
    """Pointwise projection onto ``|q| <= weight``, where ``|q|`` joins both differences (and both parts of a complex number)."""
    squared = (q.real.square() + q.imag.square()) if q.is_complex() else q.square()
    size = squared.sum(1, keepdim=True).clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
    return q * (weight / size.clamp_min(weight))


@dataclass(frozen=True)
class TotalVariation:
    """Total-variation reconstruction, a callable ``(y, operator) -> image``.

    Parameters
    ----------
    weight
        Regularisation weight, relative to image values (see the module).
    iterations
        PDHG steps.
    step_ratio
        ``sqrt(t / s)``: images change by about 1 and dual variables by about ``weight``, so it is large.
    nonnegative
        Restrict real images to values >= 0 (attenuation); refused for complex images.
    segment
        Steps between checkpoints of the gradient; memory of a gradient grows with ``iterations / segment + segment``.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> noisy = torch.tensor([[[[0.0, 0.1], [0.9, 1.0]]]])
    >>> TotalVariation(weight=10.0, iterations=300, step_ratio=1.0)(noisy, Identity((2, 2))).mean().round(decimals=3)
    tensor(0.5000)
    """

    weight: float
    iterations: int = 300
    step_ratio: float = 10.0
    nonnegative: bool = False
    segment: int = 20

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``."""
        scale = operator.norm_bound()
        x = operator.pseudo_inverse(y)
        p = torch.zeros_like(y)
        q = torch.zeros_like(gradient(x))
        state = (x, x, p, q)
        done = 0
        while done < self.iterations:
            steps = min(self.segment, self.iterations - done)
            if torch.is_grad_enabled() and y.requires_grad:
                state = checkpoint(self._steps, *state, y, operator, scale, steps, use_reentrant=False)
            else:
                state = self._steps(*state, y, operator, scale, steps)
            done += steps
        return state[0]

    def _steps(
        self, x: Tensor, xb: Tensor, p: Tensor, q: Tensor, y: Tensor, operator: LinearOperator, scale: float, steps: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        size = 0.99 / (1 + GRADIENT_NORM_SQUARED) ** 0.5
        t, s = size * self.step_ratio, size / self.step_ratio
        for _ in range(steps):
            p = (p + (s / scale) * (operator.forward(xb) - y)) / (1 + s)
            q = _project_dual(q + s * gradient(xb), self.weight)
            new = x - t * (operator.adjoint(p) / scale + gradient_adjoint(q))
            if self.nonnegative:
                new = new.clamp_min(0)
            x, xb = new, 2 * new - x
        return x, xb, p, q

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """The functional that is minimised, shape ``(B,)``."""
        residual = (operator.forward(x) - y) / operator.norm_bound()
        differences = gradient(x)
        size = (
            torch.linalg.vector_norm(torch.view_as_real(differences), dim=(1, -1))
            if x.is_complex()
            else differences.norm(dim=1)
        )
        return 0.5 * tensors.norm(residual) ** 2 + self.weight * size.flatten(1).sum(1)
