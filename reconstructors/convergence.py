r"""Whether an iterative reconstruction is finished, at a measurement of one's choice.

A solver that stops early is smoother than its limit: it may look stable because it has not arrived. Its convergence at the
clean measurement says nothing about a perturbed one, so this is meant to be asked at the witness of a search too:
``convergence(method, y + e, operator)``. A witness is then re-examined with ``method.longer(10)``: damage that it
does to the long run as well is no artefact of stopping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from reconstructors.implicit import FixedPoint
from stabtest import tensors
from stabtest.operators.base import LinearOperator


class Iterative(Protocol):
    """What can be asked: `TotalVariation`, `InvariantWavelets` and `WaveletL1` can."""

    def state(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """Where it ends, the image first, and the relative residual of one more step."""
        ...

    def longer(self, factor: int) -> Self:
        """The same method run ``factor`` times as long."""
        ...

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """What it minimises, ``(B,)``."""
        ...

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Bound of its relative excess over the minimum, ``(B,)``."""
        ...


@dataclass(frozen=True)
class Convergence:
    """How far from finished, per image, ``(B,)`` each.

    Attributes
    ----------
    residual
        ``||T(z) - z|| / ||T(z)||`` of one more step. Its size depends on the step sizes: compare it along one method only.
    gap
        Certified bound of ``(F(x) - min F) / F(x)``.
    excess
        ``(F(x) - F(x_long)) / F(x_long)`` over the longer run: measured, not certified.
    distance
        ``||x - x_long|| / ||x_long||``. An objective that is flat near its minimum leaves it large where the gap is small.
    iterations
        Steps taken.
    longer
        The image of the longer run, ``x_long``, ``(B, 1, H, W)``.
    """

    residual: Tensor
    gap: Tensor
    excess: Tensor
    distance: Tensor
    iterations: Tensor
    longer: Tensor


def convergence(method: Iterative, y: Tensor, operator: LinearOperator, *, factor: int = 10) -> Convergence:
    """Compare a method with itself run ``factor`` times as long at the same measurement.

    Parameters
    ----------
    method
        An iterative reconstruction.
    y
        Measurement, clean or perturbed, ``(B, *range)``.
    operator
        Forward model.
    factor
        How many times longer, or for one that stops at a tolerance, how many times smaller it gets.

    Examples
    --------
    >>> from reconstructors.tv import TotalVariation
    >>> from stabtest.operators import Identity
    >>> noisy, A = torch.tensor([[[[0.0, 0.1], [0.9, 1.0]]]]), Identity((2, 2))
    >>> few, many = (convergence(TotalVariation(0.05, iterations=k), noisy, A) for k in (5, 500))
    >>> bool(many.gap < 1e-3 < few.gap), bool(many.distance < few.distance)
    (True, True)
    """
    with torch.no_grad():
        found, longer = method.state(y, operator), method.longer(factor)
        x, limit = found.state[0], longer.state(y, operator).state[0]
        lowest = method.objective(limit, y, operator)
        tiny = torch.finfo(lowest.dtype).tiny
        return Convergence(
            residual=found.residual,
            gap=method.gap(y, operator),
            excess=(method.objective(x, y, operator) - lowest) / lowest.clamp_min(tiny),
            distance=tensors.norm(x - limit) / tensors.norm(limit).clamp_min(tiny),
            iterations=found.iterations,
            longer=limit,
        )
