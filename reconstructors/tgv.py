r"""Total generalised variation of second order by the primal-dual hybrid gradient method (PDHG).

K. Bredies, K. Kunisch, T. Pock, *Total generalized variation*, SIAM J. Imaging Sci. 3, 2010; for MRI F. Knoll, K. Bredies, T. Pock, R.
Stollberger, *Second order total generalized variation (TGV) for MRI*, MRM 65, 2011. Solves, for every image of a batch,

    min_{x, v}  1/2 || A x / a - y / a ||^2  +  weight ( || grad x - v ||_{2,1} + ratio || E v ||_{2,1} ),      a >= ||A||.

``v`` is a field of slopes, ``E v = (grad v + (grad v)^T) / 2`` its symmetrised gradient with the pointwise Frobenius norm: where the
image is smooth ``v`` follows ``grad x`` and only its change is paid for, at an edge ``v`` stays and the jump is paid for as in total
variation. ``ratio = 2`` as in Knoll et al. Affine images cost nothing, with no exception at the border, because the differences of ``E``
are those of the staggered grid that forward differences live on: with ``v_1`` between rows and ``v_2`` between columns,

    (E v)_11 = v_1[i, j] - v_1[i-1, j],   (E v)_22 = v_2[i, j] - v_2[i, j-1],
    (E v)_12 = (v_1[i, j+1] - v_1[i, j] + v_2[i+1, j] - v_2[i, j]) / 2,

0 where an entry does not exist. `symmetrised_gradient` gives ``(E_11, E_22, sqrt 2 E_12)``, whose plain 2-norm is the Frobenius norm.
For complex images moduli join real and imaginary parts. ``||grad||^2 <= 8`` and ``||E||^2 <= 8``, so that for ``K (x, v) = (A x / a,
grad x - v, E v)``

    ||K||^2 <= largest eigenvalue of [[1 + 8, sqrt 8], [sqrt 8, 1 + 8]] = 9 + sqrt 8,

from which the step sizes are taken. One step, with ``p`` dual to the data, ``q`` and ``r`` to the two penalties:

    x+ = x - t (A* p / a + grad* q),    v+ = v - t (E* r - q),    then p, q, r as in `reconstructors.primal_dual` at 2 (x+, v+) - (x, v).

The gap takes ``c (r, E* r)`` for ``(r, q)``, with the largest ``c <= 1`` that keeps ``|q|`` within its bound: it then has no term in the
unknown ``v`` of the minimiser and means what it means there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from reconstructors.implicit import State
from reconstructors.primal_dual import PrimalDual
from reconstructors.tv import GRADIENT_NORM_SQUARED, gradient, gradient_adjoint, lengths, project_lengths
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator

SYMMETRISED_NORM_SQUARED = 8.0
"""``||E||^2 <= 8``: 4 for each diagonal part, and ``|a + b|^2 / 2 <= |a|^2 + |b|^2`` for the mixed one."""


def symmetrised_gradient(v: Tensor) -> Tensor:
    """``(E_11, E_22, sqrt 2 E_12)`` of a field of slopes, ``(B, 2, H, W) -> (B, 3, H, W)``.

    The last row of the first component and the last column of the second are between no pixels and not looked at.

    Examples
    --------
    >>> i, j = torch.meshgrid(torch.arange(4.0), torch.arange(5.0), indexing="ij")
    >>> symmetrised_gradient(gradient((2 * i - 3 * j)[None, None])).abs().max()
    tensor(0.)
    >>> symmetrised_gradient(gradient((i * j)[None, None]))[0, 2, 0, 0]  # the mixed second difference, times sqrt 2
    tensor(1.4142)
    """
    height, width = v.shape[-2:]
    down, right = v[:, :1, :-1, :], v[:, 1:, :, :-1]
    rows = F.pad(down[..., 1:, :] - down[..., :-1, :], (0, 0, 1, 1))[..., :height, :]  # cropped where there is one row only
    columns = F.pad(right[..., :, 1:] - right[..., :, :-1], (1, 1))[..., :width]
    mixed = F.pad(down[..., :, 1:] - down[..., :, :-1] + right[..., 1:, :] - right[..., :-1, :], (0, 1, 0, 1))
    return torch.cat([rows, columns, mixed * 0.5**0.5], dim=1)


def symmetrised_gradient_adjoint(r: Tensor) -> Tensor:
    """Exact adjoint of `symmetrised_gradient`, ``(B, 3, H, W) -> (B, 2, H, W)``."""
    height, width = r.shape[-2:]
    rows, columns, mixed = r[:, :1, 1:-1, :], r[:, 1:2, :, 1:-1], r[:, 2:, :-1, :-1] * 0.5**0.5
    down = (
        (F.pad(rows, (0, 0, 1, 0)) - F.pad(rows, (0, 0, 0, 1)))[..., : height - 1, :]
        + F.pad(mixed, (1, 0))
        - F.pad(mixed, (0, 1))
    )
    right = (
        (F.pad(columns, (1, 0)) - F.pad(columns, (0, 1)))[..., : width - 1]
        + F.pad(mixed, (0, 0, 1, 0))
        - F.pad(mixed, (0, 0, 0, 1))
    )
    return torch.cat([F.pad(down, (0, 0, 0, 1)), F.pad(right, (0, 1))], dim=1)


@dataclass(frozen=True)
class TotalGeneralisedVariation(PrimalDual):
    """Reconstruction by total generalised variation, a callable ``(y, operator) -> image``.

    The other parameters are those of `reconstructors.primal_dual.PrimalDual`; the state is ``(x, v, p, (q, r))``.

    Parameters
    ----------
    ratio
        Weight of the change of slopes relative to ``weight``.

    Raises
    ------
    ConfigError
        If a setting is not one.

    Examples
    --------
    A ramp is not changed, whatever the weight:

    >>> from stabtest.operators import Identity
    >>> ramp = torch.linspace(0, 1, 6).repeat(4, 1)[None, None]
    >>> image = TotalGeneralisedVariation(weight=10.0, iterations=2000, step_ratio=1.0)(ramp, Identity((4, 6)))
    >>> torch.allclose(image, ramp, atol=1e-3)
    True
    """

    ratio: float = 2.0
    name: ClassVar[str] = "tgv"
    norm_squared: ClassVar[float] = GRADIENT_NORM_SQUARED + 8.0**0.5
    """``||K||^2 - 1`` of the module: less than ``||L||^2``, because the data do not see the slopes."""
    inner_iterations: ClassVar[int] = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ratio > 0:
            raise ConfigError("tgv: ratio", expected="a positive number", came=str(self.ratio))

    def analyse(self, x: Tensor) -> Tensor:
        """``(grad x - v, E v)`` of image and slopes ``(B, 3, H, W)``, ``(B, 5, H, W)``."""
        image, v = x[:, :1], x[:, 1:]
        return torch.cat([gradient(image) - v, symmetrised_gradient(v)], dim=1)

    def analysis_adjoint(self, q: Tensor) -> Tensor:
        """Its exact adjoint, ``(B, 5, H, W)`` to ``(B, 3, H, W)``."""
        first, second = q[:, :2], q[:, 2:]
        return torch.cat([gradient_adjoint(first), symmetrised_gradient_adjoint(second) - first], dim=1)

    def project(self, q: Tensor) -> Tensor:
        """Onto ``|q| <= weight`` and ``|r| <= ratio weight``, pointwise."""
        return torch.cat([project_lengths(q[:, :2], self.weight), project_lengths(q[:, 2:], self.ratio * self.weight)], dim=1)

    def joint_penalty(self, x: Tensor, v: Tensor) -> Tensor:
        """Both penalties of image and slopes, ``(B,)``: an upper bound of `penalty`."""
        z = self.analyse(torch.cat([x, v], dim=1))
        return self.weight * (lengths(z[:, :2]) + self.ratio * lengths(z[:, 2:])).flatten(1).sum(1)

    def penalty(self, x: Tensor) -> Tensor:
        """``weight TGV(x)``, ``(B,)``: the joint penalty minimised over the slopes, so from above, by `inner_iterations` steps.

        ``min_v |g - v| + ratio |E v|`` for ``g = grad x`` by PDHG with the proximal map of ``|g - v|``; the size of ``g`` sets the steps.
        """
        with torch.no_grad():
            g = gradient(x)
            size = lengths(g).flatten(1).mean(1).clamp_min(torch.finfo(tensors.real_dtype(g.dtype)).tiny)
            v = r = tensors.scale(g, torch.zeros_like(size))
            r = symmetrised_gradient(r)
            step = 0.99 / SYMMETRISED_NORM_SQUARED**0.5
            t, s = (step * size).reshape(-1, 1, 1, 1), (step / size).reshape(-1, 1, 1, 1)
            for _ in range(self.inner_iterations):
                away = v - t * symmetrised_gradient_adjoint(r) - g
                new = g + away - project_lengths(away, t)  # towards g by t, onto it where it is nearer
                r = project_lengths(r + s * symmetrised_gradient(2 * new - v), self.ratio)
                v = new
            return torch.minimum(self.joint_penalty(x, v), self.joint_penalty(x, torch.zeros_like(v)))

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Certificate of how far the objective is above its minimum at most, relative to it, ``(B,)``; see the module."""
        with torch.no_grad():
            x, v, p, q = self.state(y, operator).state
            scale = operator.norm_bound()
            misfit = (operator.forward(x) - y) / scale
            value = tensors.norm(misfit).square() / 2 + self.joint_penalty(x, v)
            second = symmetrised_gradient_adjoint(q[:, 2:])
            largest = lengths(second).flatten(1).amax(1)
            shrink = (self.weight / largest.clamp_min(self.weight)).reshape(-1, 1, 1, 1)
            rest = operator.adjoint(p) / scale + gradient_adjoint(shrink * second)
            excess = value + tensors.norm(p).square() / 2 + tensors.inner(p, y) / scale - tensors.inner(x, rest)
            excess = excess + tensors.norm(rest) * tensors.norm(x)
            return excess / value.clamp_min(torch.finfo(value.dtype).tiny)

    def _start(self, y: Tensor, operator: LinearOperator) -> State:
        x = operator.pseudo_inverse(y)
        v = torch.zeros_like(x).expand(-1, 2, -1, -1)
        both = torch.cat([x, v], dim=1)
        p, q = torch.zeros_like(y), torch.zeros_like(self.analyse(both))
        return (x, v.contiguous(), *self._dual_step(both, p, q, y, operator))

    def _step(self, operator: LinearOperator) -> Callable[[State, Tensor], State]:
        """One step ``T((x, v, p, q), y)``, the image first."""
        scale = operator.norm_bound()
        t, _ = self._sizes()

        def step(state: State, y: Tensor) -> State:
            x, v, p, q = state
            back = self.analysis_adjoint(q)
            new = x - t * (operator.adjoint(p) / scale + back[:, :1])
            if self.nonnegative:
                new = new.clamp_min(0)
            slopes = v - t * back[:, 1:]
            both = torch.cat([2 * new - x, 2 * slopes - v], dim=1)
            return (new, slopes, *self._dual_step(both, p, q, y, operator))

        return step

    def _dual_step(self, both: Tensor, p: Tensor, q: Tensor, y: Tensor, operator: LinearOperator) -> tuple[Tensor, Tensor]:
        _, s = self._sizes()
        scale = operator.norm_bound()
        p = (p + (s / scale) * (operator.forward(both[:, :1]) - y)) / (1 + s)
        return p, self.project(q + s * self.analyse(both))

    def _weights(self) -> tuple[float, ...]:
        t, s = self._sizes()
        return 1 / t, 1 / t, 1 / s, 1 / s
