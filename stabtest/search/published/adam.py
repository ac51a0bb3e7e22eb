"""Adam with a projection after each step, the core of two published attacks.

D. Kingma, J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015, algorithm 1, as in ``torch.optim.Adam``:

    m <- 0.9 m + 0.1 g,    s <- 0.999 s + 0.001 g^2,    v <- project(v + eta (m / (1 - 0.9^k)) / (sqrt(s / (1 - 0.999^k)) + eps)),

element by element, complex numbers as pairs of real ones. Because the step is nearly independent of the size of ``g``, its length is
``eta sqrt(n)`` for ``n`` real numbers: whether a learning rate fits depends on the number of samples and on the radius.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.published.common import rate_of


def projected_adam(
    problem: Problem, leader: Leader, v: Tensor, *, steps: int, learning_rate: float | Tensor, epsilon: float, factor: float
) -> None:
    """Ascend ``factor * objective^2`` from a point of the set.

    Parameters
    ----------
    problem
        With a distance as objective.
    leader
        Is offered every iterate.
    v
        First point, ``(B, ...)``.
    steps
        Adam steps; one evaluation more scores the last point.
    learning_rate, epsilon
        ``eta``, one number or one for each image, and ``eps``.
    factor
        1 for the sum of squares, ``1 / pixels`` for their mean; it matters beside ``eps`` only.
    """
    rate = rate_of(learning_rate, v)
    mean, square = torch.zeros_like(_real(v)), torch.zeros_like(_real(v))
    for k in range(1, steps + 1):
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        gradient = _real(tensors.scale(evaluation.gradient, 2 * factor * evaluation.value))  # grad d^2 = 2 d grad d
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step = tensors.scale(mean, rate) / (1 - 0.9**k) / ((square / (1 - 0.999**k)).sqrt() + epsilon)
        v = problem.constraint.project(v + (torch.view_as_complex(step) if v.is_complex() else step))
    leader.offer(v, problem.evaluate(v))


def _real(v: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, a real one as it is."""
    return torch.view_as_real(v) if v.is_complex() else v
