r"""The attacks of the literature under their authors' names, for comparison and for reproduction.

Both are gradient methods with a learning rate, on the squared distance, and find less than `worst_case` at the same number
of gradients unless the learning rate happens to fit the scale of network and data.

**Antun 2020** (V. Antun, F. Renna, C. Poon, B. Adcock, A. Hansen, PNAS 117, 2020): gradient ascent with
momentum on ``Q(r) = 1/2 ||f(y + A r) - f(y)||^2 - lambda/2 ||r||^2``,

    v <- gamma v + eta grad Q(r),     r <- r + v,     gamma = 0.9,

from a small random ``r``, stopped when ``||r||`` reaches the size wanted.

**Genzel 2022** (M. Genzel, J. Macdonald, M. März, IEEE TPAMI 45 (2023); code jmaces/robust-nets, ``PAdam``): Adam on
``-||f(y + e) - x||^2`` with ``lr = 5`` and ``eps = 1e-5``, projected onto ``||e|| <= R`` after each step. It starts
from Gaussian noise of norm about ``3 R``, which its first projection brings to ``R``; here it starts from there. Adam
is D. Kingma, J. Ba, 2015, with its usual averages 0.9 and 0.999.

Written from the papers and the published settings; every iterate is feasible, so that all methods are compared alike.
Complex variables are treated as pairs of real numbers, as in the original code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.ascent import per_image
from stabtest.search.jacobian import common_randn
from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.starts import zero_of


def antun_2020(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    learning_rate: float,
    momentum: float = 0.9,
    penalty: float = 0.0,
    start: float = 1e-5,
    stop_at_radius: bool = True,
    generator: torch.Generator,
) -> None:
    """Momentum ascent with penalty.

    Parameters
    ----------
    problem
        With the distance to the clean reconstruction as objective; the paper's domain is the image.
    leader
        Is offered every iterate; one evaluation more than ``steps`` scores the last.
    steps
        Gradient evaluations.
    learning_rate
        ``eta``. The paper chooses it for each network by hand.
    momentum, penalty
        ``gamma`` and ``lambda``.
    start
        Norm of the random first perturbation, relative to the radius.
    stop_at_radius
        As published: an image that has reached its radius stays there. Otherwise the ascent goes on along the sphere,
        projected.
    generator
        For the first perturbation.
    """
    constraint = problem.constraint
    v = constraint.maximise_linear(common_randn(zero_of(problem), generator=generator)) * start
    speed = torch.zeros_like(v)
    for _ in range(steps):
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        # grad 1/2 d^2 = d grad d
        speed = momentum * speed + learning_rate * (tensors.scale(evaluation.gradient, evaluation.value) - penalty * v)
        arrived = tensors.norm(v) >= constraint.radius * (1 - 1e-6)
        if stop_at_radius and bool(arrived.all()):
            return
        moved = constraint.project(v + speed)
        v = torch.where(per_image(arrived, v), v, moved) if stop_at_radius else moved
    leader.offer(v, problem.evaluate(v))


def genzel_2022(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    learning_rate: float = 5.0,
    epsilon: float = 1e-5,
    generator: torch.Generator,
) -> None:
    """Projected Adam.

    Parameters
    ----------
    problem
        With the distance to the truth as objective, as published, or to the clean reconstruction.
    leader
        Is offered every iterate; one evaluation more than ``steps`` scores the last.
    steps
        Gradient evaluations.
    learning_rate, epsilon
        As published.
    generator
        For the first perturbation.
    """
    constraint = problem.constraint
    v = constraint.maximise_linear(common_randn(zero_of(problem), generator=generator))
    mean, square = torch.zeros_like(_real(v)), torch.zeros_like(_real(v))
    for k in range(1, steps + 1):
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        gradient = _real(tensors.scale(evaluation.gradient, 2 * evaluation.value))  # grad d^2 = 2 d grad d
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step = learning_rate * mean / (1 - 0.9**k) / ((square / (1 - 0.999**k)).sqrt() + epsilon)
        v = constraint.project(v + (torch.view_as_complex(step) if v.is_complex() else step))
    leader.offer(v, problem.evaluate(v))


def _real(v: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, a real one as it is."""
    return torch.view_as_real(v) if v.is_complex() else v
