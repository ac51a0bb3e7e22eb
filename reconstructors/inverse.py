r"""The inverse of a self-adjoint map plus a weight, differentiated by solving once more.

``x = (N + w)^-1 b`` with a self-adjoint ``N >= 0`` that depends on nothing to be differentiated, for example ``A* A`` of the
normal equations. From ``(N + w) dx = db - dw x``, for a cotangent ``u`` of ``x``,

    v = (N + w)^-1 u,        db* = v,        dw* = - sum over the batch of Re <v, x>,

one more solve with the same solver instead of the graph of its iterations, in constant memory (H. Aggarwal, M. Mani, M. Jacob,
*MoDL: model-based deep learning architecture for inverse problems*, IEEE TMI 38(2), 2019, section III). Both formulas are
differentiable again. They are exact where the solver is; with a residual of relative size ``t`` they are off by the order of ``t``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.operators.opaque import step

Solver = Callable[[Tensor, Tensor], Tensor]
"""``(b, w) -> (N + w)^-1 b``, image by image."""


def inverse(b: Tensor, weight: Tensor, solve: Solver) -> Tensor:
    """``(N + weight)^-1 b`` with its derivative in ``b`` and ``weight``.

    Parameters
    ----------
    b
        Right-hand sides, ``(B, ...)``.
    weight
        ``w``, real, shape ``()``.
    solve
        The solver, which knows ``N``; it is run without a graph.

    Examples
    --------
    With ``N = 0``, ``x = b / w``:

    >>> w = torch.tensor(2.0, requires_grad=True)
    >>> x = inverse(torch.tensor([[6.0]]), w, lambda b, w: b / w)
    >>> x.item(), torch.autograd.grad(x.sum(), w)[0].item()
    (3.0, -1.5)
    """
    return step("resolvent", lambda b, w: _Inverse.apply(b, w, solve), b, weight)  # pyright: ignore[reportReturnType]


class _Inverse(torch.autograd.Function):
    """The module's two formulas."""

    @staticmethod
    def forward(ctx: Any, b: Tensor, weight: Tensor, solve: Solver) -> Tensor:  # noqa: ANN401
        x = solve(b, weight)
        ctx.solve = solve
        ctx.save_for_backward(x, weight)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        v = inverse(grads[0], weight, ctx.solve)
        slope = -tensors.inner(v, x).sum().to(weight.dtype) if ctx.needs_input_grad[1] else None
        return v, slope, None
