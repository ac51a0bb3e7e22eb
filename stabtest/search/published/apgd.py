r"""APGD: projected normalised gradient with momentum and a step size that halves itself.

F. Croce, M. Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks*, ICML 2020,
section 3 and algorithm 1; code fra31/auto-attack, ``autopgd_base.py``. With ``s`` the step relative to the radius, first 2,

    z       = project(v_k + s argmax_{w in K} <g_k, w>)
    v_{k+1} = project(v_k + a (z - v_k) + (1 - a) (v_k - v_{k-1})),      a = 0.75, in the first step 1.

At the checkpoints ``w_j = ceil(p_j N)`` of ``N`` steps, ``p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)``, an image's step
is halved and the ascent goes on from its best point so far if

1. fewer than ``rho = 0.75`` of the steps since the last checkpoint raised the objective, or
2. neither its step nor its best value has changed since then.

This follows the paper; the code rounds the distances between checkpoints to whole steps first, which gives the same ones for 100 steps
and others for small numbers. It knows the number of steps beforehand: an attack of 20 steps is not the beginning of one of 100.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.published.common import choose, first_point


def checkpoints(steps: int) -> list[int]:
    """The steps ``w_1 < w_2 < ...`` after which APGD looks back, up to ``steps``.

    Examples
    --------
    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    found: list[int] = []
    last, now = 0, 22  # in hundredths, so that the ceiling is exact
    while now <= 100:
        mark = -(-now * steps // 100)
        if not found or mark > found[-1]:
            found.append(mark)
        last, now = now, now + max(now - last - 3, 6)
    return found


def apgd(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    step_size: float = 2.0,
    momentum: float = 0.75,
    rho: float = 0.75,
    generator: torch.Generator,
    start: Tensor | None = None,
) -> None:
    """Auto-PGD (Croce and Hein 2020).

    Parameters
    ----------
    problem
        Any objective with a gradient at the start.
    leader
        Is offered every point evaluated.
    steps
        ``N``; one evaluation more scores the first point.
    step_size
        First step relative to the radius.
    momentum
        ``a``, the weight of the new step.
    rho
        Share of steps that must rise.
    generator
        For the first perturbation.
    start
        First perturbation ``(B, ...)``, projected, in place of the random one.

    Raises
    ------
    OperatorError
        If the start does not belong to the variable's space.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean, MeasurementBall
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> problem = Problem(lambda y, A: gains * y, y, MeasurementBall(Identity((1, 2)), torch.ones(1)), DistanceToClean(y))
    >>> leader = Leader(y, planned=51)
    >>> apgd(problem, leader, steps=50, generator=torch.Generator().manual_seed(0))
    >>> round(leader.value.item(), 2)
    3.0
    """
    constraint, marks = problem.constraint, checkpoints(steps)
    v = first_point(problem, start, generator=generator)
    evaluation = problem.evaluate(v)
    leader.offer(v, evaluation)
    value, gradient, previous = evaluation.value, evaluation.gradient, v
    best_v, best_gradient, best = v, gradient, value
    size = torch.full_like(value, step_size)
    rises, looked_at = torch.zeros_like(value), 0
    best_at_mark, halved_at_mark = best, torch.ones_like(value, dtype=torch.bool)
    for k in range(1, steps + 1):
        share = size.reshape(-1, *([1] * (v.ndim - 1)))
        z = constraint.project(v + share * constraint.maximise_linear(gradient))
        a = 1.0 if k == 1 else momentum
        v, previous = constraint.project(v + a * (z - v) + (1 - a) * (v - previous)), v
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        rises = rises + (evaluation.value > value)
        value, gradient = evaluation.value, evaluation.gradient
        better = value > best
        best, best_v = torch.where(better, value, best), choose(better, v, best_v)
        best_gradient = choose(better, gradient, best_gradient)
        if k not in marks:
            continue
        halve = (rises < rho * (k - looked_at)) | (~halved_at_mark & (best <= best_at_mark))
        size = torch.where(halve, size / 2, size)
        v, gradient = choose(halve, best_v, v), choose(halve, best_gradient, gradient)
        value = torch.where(halve, best, value)
        rises, looked_at, best_at_mark, halved_at_mark = torch.zeros_like(rises), k, best, halve
