r"""Sparsity in an orthogonal wavelet basis by FISTA.

Solves, for every image of a batch,

    min_x  1/2 || A x / a - y / a ||^2  +  weight * || D W x ||_1,         a >= ||A||,

with ``W`` a periodised orthogonal wavelet transform (`reconstructors.wavelets`) and ``D`` its details: the averages of the
coarsest level are not penalised. The modulus of complex coefficients is taken. Dividing by ``a`` makes the weight relative to image
values, as in `reconstructors.tv`. This is the classical compressed-sensing reconstruction of MRI (M. Lustig, D. Donoho, J.
Pauly, *Sparse MRI*, MRM 58, 2007) without its total-variation term and without cycle spinning.

One step ``T`` of the proximal gradient method has step size 1, and since ``W`` is orthogonal its proximal map is exact:

    x+ = W* soft(W (x - A* (A x - y) / a^2), weight),      soft(c, w) = c max(0, 1 - w / |c|)   on details.

FISTA (A. Beck, M. Teboulle, *A fast iterative shrinkage-thresholding algorithm for linear inverse problems*, SIAM J. Imaging
Sci. 2, 2009) takes it at an extrapolated point, ``m_{k+1} = (1 + sqrt(1 + 4 m_k^2)) / 2``:

    x_{k+1} = T(z_k),      z_{k+1} = x_{k+1} + (m_k - 1) / m_{k+1} (x_{k+1} - x_k).

Differentiated unrolled, or implicitly at the solution (`reconstructors.implicit`, accelerated with restarts), as TV is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reconstructors.convergence import Convergence, convergence
from reconstructors.implicit import FixedPoint, Linearised, State, attach, iterate, size, warn_unsolved
from reconstructors.limit import ADJOINT_TOLERANCE, TOLERANCE, LimitDerivative
from reconstructors.wavelets import Wavelet, analyse, check, synthesise
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator


def soft(c: Tensor, weight: Tensor) -> Tensor:
    """Soft threshold of the modulus, entry by entry.

    Examples
    --------
    >>> soft(torch.tensor([-3.0, 0.5, 2.0]), torch.tensor(1.0))
    tensor([-2.,  0.,  1.])
    """
    if not c.is_complex():
        return c - c.clamp(-weight, weight)
    squared = c.real.square() + c.imag.square()
    modulus = squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
    return c * (1 - weight / torch.maximum(modulus, weight).clamp_min(torch.finfo(squared.dtype).tiny))


@dataclass(frozen=True)
class WaveletL1:
    """Wavelet-sparse reconstruction, a callable ``(y, operator) -> image``.

    Parameters
    ----------
    weight
        Regularisation weight, relative to image values.
    iterations
        FISTA steps where ``differentiate`` is ``"unrolled"``.
    wavelet, levels
        Basis; the sides of the image must be divisible by ``2^levels``.
    segment
        Steps between checkpoints of the gradient, as in `reconstructors.tv.TotalVariation`.
    differentiate, tolerance, limit, adjoint_tolerance, adjoint_limit
        As in `reconstructors.tv.TotalVariation`; an implicit run is accelerated with restarts.

    Raises
    ------
    ConfigError
        If the image does not fit the levels, or a setting is not one.

    Examples
    --------
    Denoising by a weight above all details leaves the mean:

    >>> from stabtest.operators import Identity
    >>> noisy = torch.tensor([[[[0.0, 0.25], [0.75, 1.0]]]])
    >>> WaveletL1(weight=10.0, levels=1, wavelet="haar")(noisy, Identity((2, 2))).unique().round(decimals=4)
    tensor([0.5000])
    """

    weight: float
    iterations: int = 200
    wavelet: Wavelet = "db4"
    levels: int = 3
    segment: int = 20
    differentiate: Literal["unrolled", "implicit"] = "unrolled"
    tolerance: float = 1e-6
    limit: int = 20_000
    adjoint_tolerance: float = 1e-3
    adjoint_limit: int = 2_000

    def __post_init__(self) -> None:
        if self.differentiate not in ("unrolled", "implicit"):
            raise ConfigError("wavelet: differentiate", expected="'unrolled' or 'implicit'", came=repr(self.differentiate))
        if not self.weight > 0:
            raise ConfigError("wavelet: weight", expected="a positive number", came=str(self.weight))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``."""
        if self.differentiate == "unrolled":
            return self._unroll(y, operator)
        solution = self.solve(y, operator)
        warn_unsolved("wavelet", solution, self.tolerance)
        if not (torch.is_grad_enabled() and y.requires_grad):
            return solution.state[0]
        return attach(solution.state[0], y, self.linearise(solution, y, operator))

    def solve(self, y: Tensor, operator: LinearOperator, *, start: State | None = None) -> FixedPoint:
        """Run to the tolerance, without graph, on from ``start`` if given: state ``(x,)``, residual and steps of each image."""
        with torch.no_grad():
            y, step = y.detach(), self._step(operator)
            start = (operator.pseudo_inverse(y),) if start is None else start
            options = {"tolerance": self.tolerance, "limit": self.limit}
            return iterate(lambda z: step(z, y), start, weights=(1.0,), scheme="accelerated", **options)

    def linearise(self, solution: FixedPoint, y: Tensor, operator: LinearOperator) -> Linearised:
        """The derivative of the solution: products with ``J`` and ``J*`` and their residuals."""
        return Linearised(
            self._step(operator),
            solution.state,
            y,
            weights=(1.0,),
            tolerance=self.adjoint_tolerance,
            limit=self.adjoint_limit,
            scheme="accelerated",
        )

    def state(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """Where this method ends at ``y``, in either mode: ``(x,)`` and the relative residual of one more step."""
        with torch.no_grad():
            if self.differentiate == "implicit":
                return self.solve(y, operator)
            x = self._unroll(y, operator)
            (new,) = self._step(operator)((x,), y)
            whole = size((new,), (1.0,))
            residual = tensors.norm(new - x) / whole.clamp_min(torch.finfo(whole.dtype).tiny)
            return FixedPoint((x,), residual, torch.full_like(residual, self.iterations, dtype=torch.int64))

    def longer(self, factor: int) -> WaveletL1:
        """The same method run ``factor`` times as long (unrolled), or to a tolerance ``factor`` times smaller."""
        if self.differentiate == "unrolled":
            return replace(self, iterations=factor * self.iterations)
        return replace(self, tolerance=self.tolerance / factor, limit=factor * self.limit)

    def differentiations(self) -> Mapping[str, Callable[[Tensor, LinearOperator], Tensor]]:
        """The ways in which it can be differentiated, all of the same value; the first is its own.

        ``"unrolled"``: through its steps; ``"implicit"``: at its limit (`reconstructors.limit`).
        """
        if self.differentiate == "implicit":
            return {"implicit": self}
        solver = replace(self, differentiate="implicit", tolerance=TOLERANCE, adjoint_tolerance=ADJOINT_TOLERANCE)
        return {"unrolled": self, "implicit": LimitDerivative(self, solver)}

    def convergence(self, y: Tensor, operator: LinearOperator, *, factor: int = 10) -> Convergence:
        """How far from finished it is at a measurement (`reconstructors.convergence`)."""
        return convergence(self, y, operator, factor=factor)

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """The functional that is minimised, shape ``(B,)``."""
        residual = (operator.forward(x) - y) / operator.norm_bound()
        c = analyse(x, levels=self.levels, wavelet=self.wavelet)
        return 0.5 * tensors.norm(residual) ** 2 + (self._threshold(c) * c.abs()).flatten(1).sum(1)

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Certificate of how far the objective is above its minimum at most, relative to it, ``(B,)``.

        For the residual ``p = (A x - y) / a``, ``c = -W A* p / a`` and any ``s`` with ``|s_i| <= weight`` (0 on averages), the
        Lagrangian bound of `reconstructors.tv` with ``s`` the part of ``c`` within the threshold; the rest ``r = c - s``
        costs ``||r|| ||x||``, for minimisers within a relative distance of 1.
        """
        with torch.no_grad():
            (x,) = self.state(y, operator).state
            scale = operator.norm_bound()
            p = (operator.forward(x) - y) / scale
            c = -analyse(operator.adjoint(p) / scale, levels=self.levels, wavelet=self.wavelet)
            r = soft(c, self._threshold(c))
            value = self.objective(x, y, operator)
            inside = tensors.inner(x, synthesise(r, levels=self.levels, wavelet=self.wavelet))
            excess = (
                value + tensors.norm(p).square() / 2 + tensors.inner(p, y) / scale + inside + tensors.norm(r) * tensors.norm(x)
            )
            return excess / value.clamp_min(torch.finfo(value.dtype).tiny)

    def _unroll(self, y: Tensor, operator: LinearOperator) -> Tensor:
        x = operator.pseudo_inverse(y)
        check((x.shape[-2], x.shape[-1]), self.levels, self.wavelet)
        z, momentum, done = x, 1.0, 0
        while done < self.iterations:
            steps = min(self.segment, self.iterations - done)
            if torch.is_grad_enabled() and y.requires_grad:
                x, z = checkpoint(self._steps, x, z, y, operator, momentum, steps, use_reentrant=False)
            else:
                x, z = self._steps(x, z, y, operator, momentum, steps)
            for _ in range(steps):
                momentum = _following(momentum)
            done += steps
        return x

    def _steps(
        self, x: Tensor, z: Tensor, y: Tensor, operator: LinearOperator, momentum: float, steps: int
    ) -> tuple[Tensor, Tensor]:
        step = self._step(operator)
        for _ in range(steps):
            (new,) = step((z,), y)
            following = _following(momentum)
            x, z = new, new + ((momentum - 1) / following) * (new - x)
            momentum = following
        return x, z

    def _step(self, operator: LinearOperator) -> Callable[[State, Tensor], State]:
        """One proximal gradient step ``T((x,), y)``."""
        scale = operator.norm_bound()
        basis = {"levels": self.levels, "wavelet": self.wavelet}

        def step(state: State, y: Tensor) -> State:
            (x,) = state
            moved = x - operator.adjoint(operator.forward(x) - y) / scale**2
            c = analyse(moved, **basis)
            return (synthesise(soft(c, self._threshold(c)), **basis),)

        return step

    def _threshold(self, c: Tensor) -> Tensor:
        """``weight`` on details, 0 on averages, ``(H, W)``."""
        threshold = torch.full(c.shape[-2:], self.weight, dtype=tensors.real_dtype(c.dtype), device=c.device)
        threshold[: c.shape[-2] >> self.levels, : c.shape[-1] >> self.levels] = 0
        return threshold


def _following(momentum: float) -> float:
    return (1 + (1 + 4 * momentum**2) ** 0.5) / 2
