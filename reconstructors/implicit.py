r"""Solvers run to a stated tolerance, differentiated at what they converged to.

An iterative reconstruction is a map ``z <- T(z, y)`` on a state ``z`` (image and dual variables) whose first entry is the
image. At a fixed point ``z = T(z, y)``, with ``D = dT/dz`` and ``B = dT/dy``, the implicit function theorem gives

    dz = D dz + B dy         and for a cotangent  u  of  z        w = D* w + u,   dy* = B* w.

Both are linear fixed-point equations with the same contraction as the solver itself, solved here by the same iteration, so
neither needs memory that grows with the number of steps: the graph of *one* application of ``T`` is kept. ``D*`` and
``B*`` are reverse passes through it and ``D``, ``B`` derivatives of those (the double-vjp trick), so no operator needs a rule
of its own. Sources: J. Bolte, E. Pauwels, S. Vaiter, *Automatic differentiation of nonsmooth iterative algorithms*, NeurIPS
2022 (at kinks the result is an element of a conservative Jacobian); A. Chambolle, T. Pock, *Learning consistent
discretizations of the total variation*, SIAM J. Imaging Sci. 14, 2021 (the "piggyback" adjoint of a primal-dual method);
S. Bai, J. Kolter, V. Koltun, *Deep equilibrium models*, NeurIPS 2019.

Two ways to iterate, ``f(z) = T(z) - z``:

- *relaxed*: ``z <- z + r f(z)``, ``0 < r < 2``. Converges for every firmly non-expansive ``T`` (in a norm of its own), the
  primal-dual hybrid gradient method among them (L. Condat, JOTA 158, 2013).
- *accelerated*: Nesterov's extrapolation with restart where it points uphill (B. O'Donoghue, E. Candès, *Adaptive restart for
  accelerated gradient schemes*, Found. Comput. Math. 15, 2015). For proximal gradient steps, whose ``D`` has a real spectrum
  in [0, 1], forwards and adjoint.

Each image of a batch stops on its own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stabtest import tensors

State = tuple[Tensor, ...]
Scheme = Literal["relaxed", "accelerated"]

PATIENCE = 8
"""Steps between looks at whether every image has stopped; one that has is frozen, so this changes no result."""


@dataclass(frozen=True)
class FixedPoint:
    """Where an iteration ended.

    Attributes
    ----------
    state
        ``T(z)`` of the last ``z``, a tuple of tensors ``(B, ...)``.
    residual
        ``||T(z) - z||`` relative to ``||T(z)||`` (or the given reference), in the weighted norm, ``(B,)``.
    iterations
        Applications of ``T``, ``(B,)``.
    """

    state: State
    residual: Tensor
    iterations: Tensor


def size(state: State, weights: tuple[float, ...]) -> Tensor:
    """``(sum_i w_i ||z_i||^2)^(1/2)``, shape ``(B,)``."""
    return torch.stack([math.sqrt(w) * tensors.norm(z) for z, w in zip(state, weights, strict=True)]).square().sum(0).sqrt()


def iterate(
    step: Callable[[State], State],
    start: State,
    *,
    weights: tuple[float, ...],
    tolerance: float,
    limit: int,
    scheme: Scheme = "relaxed",
    relaxation: float = 1.9,
    reference: Tensor | None = None,
) -> FixedPoint:
    """Find a fixed point of ``step``, image by image.

    Parameters
    ----------
    step
        ``T``, independent for each image of the batch.
    start
        First state, a tuple of tensors ``(B, ...)``.
    weights
        Of the squared norm of each entry of the state, in which the residual is measured.
    tolerance
        An image stops when its relative residual is no larger.
    limit
        Most applications of ``T``; an image that stops there has a larger residual.
    scheme, relaxation
        See the module; ``relaxation`` is ``r``.
    reference
        What the residual is relative to, ``(B,)``; by default the norm of the state.

    Examples
    --------
    >>> half = lambda z: (0.5 * z[0] + 1,)
    >>> found = iterate(half, (torch.zeros(1, 1),), weights=(1.0,), tolerance=1e-6, limit=100)
    >>> round(found.state[0].item(), 4), found.residual.item() <= 1e-6
    (2.0, True)
    """
    z = before = start
    residual = torch.full_like(size(start, weights), torch.inf)
    iterations = torch.zeros_like(residual, dtype=torch.int64)
    active = torch.ones_like(residual, dtype=torch.bool)
    momentum = torch.ones_like(residual)
    ended = start
    for k in range(limit):
        new = step(z)
        change = tuple(a - b for a, b in zip(new, z, strict=True))
        reached = size(change, weights) / (size(new, weights) if reference is None else reference).clamp_min(_tiny(residual))
        ended = _select(active, new, ended)
        residual = torch.where(active, reached, residual)
        iterations = iterations + active
        active = active & ~(residual <= tolerance)
        if k % PATIENCE == 0 and not bool(active.any()):
            break
        if scheme == "relaxed":
            z = _select(active, tuple(a + relaxation * b for a, b in zip(z, change, strict=True)), z)
        else:
            uphill = sum(tensors.inner(c, a - b) for c, a, b in zip(change, new, before, strict=True)) < 0
            momentum = torch.where(torch.as_tensor(uphill), 1.0, momentum)
            following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            beta = (momentum - 1) / following
            momentum = following
            forward = tuple(a + tensors.scale(a - b, beta) for a, b in zip(new, before, strict=True))
            z, before = _select(active, forward, z), new
    return FixedPoint(ended, residual, iterations)


@dataclass(frozen=True)
class Sensitivity:
    """A product with the derivative of a fixed point, and how well its linear equation is solved.

    Attributes
    ----------
    value
        The product, shape of the measurement (adjoint) or of the image (tangent).
    residual
        Of the linear fixed-point equation relative to its right-hand side, ``(B,)``.
    iterations
        Products with ``D`` or ``D*``, ``(B,)``.
    """

    value: Tensor
    residual: Tensor
    iterations: Tensor


class Linearised:
    """The derivative of ``y -> image`` at a fixed point ``z = T(z, y)``.

    Parameters
    ----------
    step
        ``T(z, y)``, differentiable.
    state
        ``z``.
    y
        Measurement, ``(B, ...)``.
    weights, scheme, relaxation
        As in `iterate`.
    tolerance, limit
        Relative residual and most iterations of the linear equations.

    Examples
    --------
    The fixed point of ``z = (z + y) / 2`` is ``y``:

    >>> y = torch.ones(1, 2)
    >>> J = Linearised(lambda z, y: ((z[0] + y) / 2,), (y,), y, weights=(1.0,), tolerance=1e-6, limit=100)
    >>> J.adjoint(torch.tensor([[1.0, 3.0]])).value.round(decimals=3)
    tensor([[1., 3.]])
    """

    def __init__(
        self,
        step: Callable[[State, Tensor], State],
        state: State,
        y: Tensor,
        *,
        weights: tuple[float, ...],
        tolerance: float,
        limit: int,
        scheme: Scheme = "relaxed",
        relaxation: float = 1.9,
    ) -> None:
        self._state = tuple(z.detach().requires_grad_() for z in state)
        self._y = y.detach().requires_grad_()
        with torch.enable_grad():
            self._out = step(self._state, self._y)
        self._weights = weights
        self._settings: dict[str, Any] = {
            "tolerance": tolerance, "limit": limit, "scheme": scheme, "relaxation": relaxation,
        }  # fmt: skip
        self._pulled: tuple[State, tuple[int, ...], State] | None = None

    def adjoint(self, u: Tensor) -> Sensitivity:
        """``(d image / d y)* u``: shape of the image to shape of the measurement."""
        right = self._embed(u)
        dual = tuple(1 / w for w in self._weights)
        found = iterate(
            lambda w: tuple(a + b for a, b in zip(right, self._pull(w, self._state), strict=True)),
            right,
            weights=dual,
            reference=size(right, dual),
            **self._settings,
        )
        return Sensitivity(self._pull(found.state, (self._y,))[0], found.residual, found.iterations)

    def tangent(self, v: Tensor) -> Sensitivity:
        """``(d image / d y) v``: shape of the measurement to shape of the image."""
        nothing = tuple(torch.zeros_like(z, requires_grad=False) for z in self._state)
        right = self._push(nothing, v)
        found = iterate(
            lambda dz: tuple(a + b for a, b in zip(right, self._push(dz, torch.zeros_like(v)), strict=True)),
            right,
            weights=self._weights,
            reference=size(right, self._weights),
            **self._settings,
        )
        return Sensitivity(found.state[0], found.residual, found.iterations)

    def _embed(self, u: Tensor) -> State:
        return (u.detach(), *(torch.zeros_like(z, requires_grad=False) for z in self._state[1:]))

    def _pull(self, w: State, inputs: State) -> State:
        return torch.autograd.grad(self._out, inputs, w, retain_graph=True, materialize_grads=True)

    def _push(self, dz: State, dy: Tensor) -> State:
        if self._pulled is None:
            with torch.enable_grad():
                cotangents = tuple(torch.zeros_like(z, requires_grad=True) for z in self._out)
                inputs = (*self._state, self._y)
                pulled = torch.autograd.grad(self._out, inputs, cotangents, create_graph=True, materialize_grads=True)
            kept = [(p, i) for i, p in enumerate(pulled) if p.requires_grad]  # the rest does not enter the step
            self._pulled = (tuple(p for p, _ in kept), tuple(i for _, i in kept), cotangents)
        pulled, which, cotangents = self._pulled
        given = (*dz, dy)
        return torch.autograd.grad(
            pulled, cotangents, tuple(given[i] for i in which), retain_graph=True, materialize_grads=True
        )


def warn_unsolved(name: str, solution: FixedPoint, tolerance: float) -> None:
    """A `RuntimeWarning` that names the images whose residual is above the tolerance: their stability is not the solution's."""
    unsolved = ~(solution.residual <= tolerance)
    if bool(unsolved.any()):
        which = unsolved.nonzero().flatten().tolist()
        worst = solution.residual.max().item()
        warnings.warn(
            f"{name}: images {which} stopped after {int(solution.iterations.max())} steps at a relative residual of up to "
            f"{worst:.1e}, above the tolerance {tolerance:.1e}: raise limit, or the tolerance in single precision",
            RuntimeWarning,
            stacklevel=3,
        )


def attach(image: Tensor, y: Tensor, linearised: Linearised) -> Tensor:
    """The image with the derivative of its fixed point: usable by `torch.autograd.grad`, also twice for ``J v``.

    Derivatives of the derivative with respect to ``y`` (a Hessian) are not defined: the graph does not have them.
    """
    return _Image.apply(y, image.detach(), linearised)  # pyright: ignore[reportReturnType]


class _Image(torch.autograd.Function):
    """Identity on a solved image, whose backward solves the adjoint equation."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, image: Tensor, linearised: Linearised) -> Tensor:  # noqa: ANN401
        ctx.linearised = linearised
        return image.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Adjoint.apply(grads[0], ctx.linearised), None, None  # pyright: ignore[reportReturnType]


class _Adjoint(torch.autograd.Function):
    """``u -> J* u``, a linear map, whose own backward is ``v -> J v``."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, linearised: Linearised) -> Tensor:  # noqa: ANN401
        ctx.linearised = linearised
        return linearised.adjoint(u).value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.linearised.tangent(grads[0].detach()).value, None


def _select(condition: Tensor, a: State, b: State) -> State:
    """``a`` for the images where the condition holds, else ``b``; no work where all agree."""
    if len(condition) == 1:
        return a if bool(condition) else b
    return tuple(torch.where(condition.reshape(-1, *([1] * (x.ndim - 1))), x, y) for x, y in zip(a, b, strict=True))


def _tiny(like: Tensor) -> float:
    return torch.finfo(like.dtype).tiny
