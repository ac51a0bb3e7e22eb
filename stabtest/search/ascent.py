r"""Ascent to the worst case: the damped power method and its refinement.

Maximising ``phi(v) = ||f(y + e(v)) - c||`` over a ball is the maximisation of a nearly convex function (convex where ``f`` is
affine, as between the kinks of a ReLU network). A convex function lies above its tangents, so the step that fits
is to the point of the set where the tangent is largest,

    v_{k+1} = argmax_{v in K} <grad phi(v_k), v>  =  R g_k / ||g_k||,

the generalised power method (Journée et al., JMLR 11 (2010), section 3: monotone for convex ``phi``; for linear ``f``
it is the power iteration on ``J* J``). It has no step size. Where ``f`` bends, the full step overshoots and in the end
goes back and forth between two points; averaging the corners damps that:

    a_{k+1} = (1 - w) a_k + w argmax_K <g_k, .>,     v_{k+1} = argmax_K <a_{k+1}, .>.

Since a convex ``phi`` rises under the full step until it is at a maximum, a step that does not raise it is the sign
that ``f`` bends there. So ``w`` is 1 as long as the objective rises, and each failure multiplies it by 2/3, for each
image on its own: nothing to tune, power iteration where that is right, and elsewhere steps that shrink as those of a
Frank-Wolfe method must.

The published attacks take gradient steps with a learning rate instead (`stabtest.search.published`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.leader import Leader
from stabtest.search.problem import Problem

SHRINK = 2 / 3
"""What a step that did not raise the objective multiplies ``w`` by. On trained U-Nets 1/2 does as well; any fixed ``w`` is weaker."""


@dataclass(frozen=True)
class Path:
    """Where one ascent stands, so that it can be set aside and continued.

    Attributes
    ----------
    iterate
        ``v_k``, the next point to evaluate, ``(B, ...)``.
    average
        ``a_k``; zero at the start.
    weight
        ``w``, ``(B,)``; 1 at the start.
    last, best
        Objective at the point before, and the largest met on this path, ``(B,)``.
    """

    iterate: Tensor
    average: Tensor
    weight: Tensor
    last: Tensor
    best: Tensor

    @classmethod
    def at(cls, start: Tensor) -> Path:
        """A path that begins at ``start``, a point of the set."""
        weight = torch.ones(start.shape[:1], dtype=tensors.real_dtype(start.dtype), device=start.device)
        nothing = torch.full_like(weight, -torch.inf)
        return cls(iterate=start, average=torch.zeros_like(start), weight=weight, last=nothing, best=nothing)


def ascend(problem: Problem, path: Path, leader: Leader, *, steps: int) -> Path:
    """Damped power ascent along one path; every iterate is offered to the leader.

    Parameters
    ----------
    problem
        What is maximised, over which set.
    path
        Where to go on from.
    leader
        Keeps the best iterate of each image.
    steps
        Gradient evaluations. Fewer are spent where no image of the batch has a usable gradient.

    Returns
    -------
    Path
        Its iterate is the point after the last step, not evaluated yet.

    Examples
    --------
    A linear network: the worst case is the top singular vector of its matrix.

    >>> from stabtest.operators import Identity
    >>> from stabtest.search.constraints import MeasurementBall
    >>> from stabtest.search.objectives import DistanceToClean
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([1.0]))
    >>> problem = Problem(lambda y, A: gains * y, y, ball, DistanceToClean(y))
    >>> leader = Leader(y, planned=20)
    >>> path = ascend(problem, Path.at(ball.maximise_linear(torch.ones(1, 1, 1, 2))), leader, steps=20)
    >>> round(leader.value.item(), 4), leader.evaluations
    (3.0, 20)
    """
    constraint = problem.constraint
    v, average, weight, last, best = path.iterate, path.average, path.weight, path.last, path.best
    for _ in range(steps):
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        weight = torch.where(evaluation.value <= last, SHRINK * weight, weight)
        last, best = evaluation.value, torch.fmax(best, evaluation.value)
        corner = constraint.maximise_linear(evaluation.gradient)
        average = average + tensors.scale(corner - average, weight)
        # An image that has met no usable gradient yet stays where it is, rather than fall back to the centre.
        moved = tensors.norm(average) > 0
        v = torch.where(per_image(moved, v), constraint.maximise_linear(average), v)
        if not bool(moved.any()):
            break
    return Path(v, average, weight, last, best)


def race(problem: Problem, starts: list[Tensor], leader: Leader, *, steps: int) -> Path:
    """Several ascents of which the weaker half is dropped after every quarter of the steps, image by image.

    A reconstruction network has several basins, some 10 % apart in damage, and an ascent does not leave the one it started in.
    Which is best shows after few steps, so most of the budget goes to the paths that lead (successive halving: K. Jamieson,
    A. Talwalkar, AISTATS 2016). Each image keeps its own paths.

    Parameters
    ----------
    problem, leader
        As in `ascend`.
    starts
        Points of the set, each ``(B, ...)``.
    steps
        Gradient evaluations along the path that survives.

    Returns
    -------
    Path
        The surviving path of each image.
    """
    paths = [Path.at(v) for v in starts]
    quarter, left = max(1, steps // 4), steps
    while len(paths) > 1:
        paths = _leading([ascend(problem, path, leader, steps=quarter) for path in paths], (len(paths) + 1) // 2)
        left -= quarter
    return ascend(problem, paths[0], leader, steps=max(left, quarter))


def race_cost(starts: int, steps: int) -> int:
    """The most evaluations per image that `race` spends.

    Examples
    --------
    >>> race_cost(1, 20), race_cost(4, 20)  # 4 x 5, then 2 x 5, then 1 x 10
    (20, 40)
    """
    quarter, left, cost = max(1, steps // 4), steps, 0
    while starts > 1:
        cost, left, starts = cost + starts * quarter, left - quarter, (starts + 1) // 2
    return cost + max(left, quarter)


def refine(problem: Problem, leader: Leader, *, steps: int, shortest: float = 1 / 32, gain: float = 1e-6) -> None:
    r"""Monotone ascent from the leader, backtracking between where it stands and the full power step.

    The candidate is ``argmax_K <v + t (w - v), .>`` with ``w = argmax_K <grad phi(v), .>``: on the sphere, the arc
    from the leader (``t = 0``) to the full step (``t = 1``). Along it the objective rises for small ``t``, since
    ``<grad phi, w - v> >= 0``. Each image has its own ``t``: doubled up to 1 after a success, quartered after a
    failure.

    Parameters
    ----------
    problem, leader
        As in `ascend`; the leader must have been offered a point.
    steps
        Most evaluations to spend.
    shortest
        An image is done when its ``t`` falls below this; the refinement ends when all are.
    gain
        Relative rise that counts as a success.
    """
    constraint = problem.constraint
    t = torch.ones_like(leader.value)
    for _ in range(steps):
        active = (t >= shortest) & (tensors.norm(leader.gradient) > 0)
        if not bool(active.any()):
            return
        here, full = leader.variable, constraint.maximise_linear(leader.gradient)
        candidate = constraint.maximise_linear(here + tensors.scale(full - here, t))
        before = leader.value
        leader.offer(candidate, problem.evaluate(candidate))
        t = torch.where(leader.value - before > gain * before.abs(), (2 * t).clamp(max=1.0), t / 4)


def per_image(condition: Tensor, like: Tensor) -> Tensor:
    """A condition per image, ``(B,)``, shaped to select whole images of ``like``, ``(B, ...)``."""
    return condition.reshape(-1, *([1] * (like.ndim - 1)))


def _leading(paths: list[Path], keep: int) -> list[Path]:
    """For each image its ``keep`` paths of largest objective."""
    best = torch.stack([path.best for path in paths])
    order = best.argsort(dim=0, descending=True, stable=True)[:keep]
    images = torch.arange(best.shape[1], device=best.device)
    stacked = [torch.stack([getattr(path, field.name) for path in paths]) for field in fields(Path)]
    return [Path(*(each[rank, images] for each in stacked)) for rank in order]
