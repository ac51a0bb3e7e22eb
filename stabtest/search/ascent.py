r"""Ascent to the worst case: the relaxed power method and its refinement.

Maximising ``phi(v) = ||f(y + e(v)) - c||`` over a ball is the maximisation of a nearly convex function (convex where ``f`` is
affine, as between the kinks of a ReLU network). A convex function lies above its tangents, so the step that fits
is to the point of the set where the tangent is largest,

    c_k = argmax_{v in K} <grad phi(v_k), v>  =  R g_k / ||g_k||,

the generalised power method (M. Journée, Y. Nesterov, P. Richtárik, R. Sepulchre, JMLR 11 (2010), section 3: monotone for convex
``phi``; for linear ``f`` the power iteration on ``J* J``). It has no step size. Alone it stops in the nearest of many maxima, and
where ``f`` bends it goes back and forth between two points. So the step is relaxed,

    a_{k+1} = a_k + w_k (c_k - a_k),     v_{k+1} = argmax_K <a_{k+1}, .>,     2 >= w_k >= 0,

as in a Krasnoselskii-Mann iteration (H. Bauschke, P. Combettes, *Convex analysis and monotone operator theory in Hilbert
spaces*, section 5.2). With ``w = 2``, reflection, a step is weighed by what is new in it, ``2 c_k - a_k``: components that
repeat cancel and those that grow are kept, and the path leaves shallow maxima. With ``w = 1`` it is the power method, with ``w < 1`` it
averages and settles. So ``w`` cools from 2 to nearly 0 within the steps that there are: annealing (S. Kirkpatrick, C. Gelatt, M. Vecchi,
*Optimization by simulated annealing*, Science 220 (1983)) with nothing drawn at random. What a path finds therefore
depends on how many steps it was given, and its best point comes late; ``docs/benchmarks.md`` has the comparison.

Where ``phi`` is far from convex (total variation at a large radius, whose damage saturates), reflection overshoots: the step
ends lower than it began, and lower than the tangent ``phi(v_k) + <grad phi(v_k), v_{k+1} - v_k>``, below which no convex function
goes. Each such step multiplies the weights of its image by a factor of *caution*. On a linear network there is none, and on
trained networks there are few.

The first path from an arbitrary start does not stand on the sphere of the full radius from its first step on: there the way
through many shallow maxima would be decided by the start. It looks at ``s_k v_k`` with ``s_k`` growing to 1 in its first half:
near zero the damage is that of the Jacobian, with one maximum (and its opposite), which is followed outwards as others appear.
That is continuation in the radius (E. Allgower, K. Georg, *Introduction to numerical continuation methods*, 2003, chapter 2), at
no cost in evaluations; ``s_k v_k`` is in the set, which is convex and holds zero. Such paths may all end in the same maximum,
and one that exists only far out is not theirs: hence the first alone. Where an image has no gradient so near to zero, its
radius is full at once.

The published attacks take gradient steps with a learning rate instead (`stabtest.search.published`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.corners import Elsewhere, at_rest
from stabtest.search.leader import Leader, damage
from stabtest.search.problem import GradientHealth, Problem

HEAT = 2.0
"""First weight of a path from an arbitrary start; more makes the iteration diverge."""

REHEAT = 1.5
"""First weight of a path that starts where an earlier one ended: enough to leave a shallow maximum, not to forget it."""

HOLD = 0.25
"""Share of a path from an arbitrary start during which the weight stays at its first value."""

GROW = 0.5
"""Share of a path from an arbitrary start during which the radius grows to that of the search."""

UNHURRIED = 15
"""Steps of the shortest path that grows: a shorter one has none to spare."""

COLD = 0.05
"""Smallest weight: a step that moves nothing is wasted."""

CAUTION = 0.75
"""What a step that overshoots multiplies the weights of its image by."""

CALM = 0.5
"""Weights up to this do not overshoot; caution goes no further down than makes this of the first weight of a fresh path."""

BELOW = 0.01
"""How far below the tangent, relative to the value, an overshooting step ends at least: more than rounding, less than damage."""


ROUNDING = 100.0
"""Perturbations are no smaller than so many units of rounding of the measurement: below, differences of images are noise."""


@dataclass(frozen=True)
class Climb:
    """What came of a path.

    Attributes
    ----------
    best
        The largest objective on it, ``(B,)``.
    caution
        The factor on the weights that each image ended with, ``(B,)``: 1 where no step overshot.
    """

    best: Tensor
    caution: Tensor


def weight(step: int, steps: int, *, heat: float = HEAT, hold: float = HOLD) -> float:
    """``w_k`` for step ``k`` of so many: ``heat`` for a share ``hold`` of them, then linearly down to nearly zero.

    Examples
    --------
    >>> [round(weight(k, 8), 2) for k in range(8)]
    [2.0, 2.0, 2.0, 1.67, 1.33, 1.0, 0.67, 0.33]
    """
    return max(COLD, heat * _course(step, steps, hold))


def share(step: int, steps: int) -> float:
    """``s_k``: the share of the full radius at step ``k`` of so many, where it grows.

    Examples
    --------
    >>> [round(share(k, 16), 3) for k in (0, 3, 7, 8)], share(0, 8)
    ([0.125, 0.5, 1.0, 1.0], 1.0)
    """
    return min(1.0, (step + 1) / (GROW * steps)) if steps >= UNHURRIED else 1.0


def _course(step: int, steps: int, hold: float) -> float:
    return min(1.0, (1 - step / steps) / (1 - hold))


def ascend(
    problem: Problem,
    start: Tensor,
    leader: Leader,
    *,
    steps: int,
    heat: float = HEAT,
    hold: float = HOLD,
    grow: bool | Tensor = True,
    caution: Tensor | None = None,
    elsewhere: Elsewhere | None = None,
) -> Climb:
    """One path of the relaxed power method; every iterate is offered to the leader.

    Parameters
    ----------
    problem
        What is maximised, over which set.
    start
        A point of the set, ``(B, ...)``.
    leader
        Keeps the best iterate of each image.
    steps
        Gradient evaluations. Fewer are spent where no image of the batch has met a usable gradient.
    heat, hold
        See `weight`.
    grow
        Whether the radius grows to its full size during the first half of the path (see `share`), of all images or of each, ``(B,)``.
    caution
        The factor to begin with, ``(B,)``; 1 if not given.
    elsewhere
        Where an image begins anew that has come to rest in a corner of the set (`stabtest.search.corners`); None where there are none.

    Returns
    -------
    Climb

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
    >>> found = ascend(problem, ball.maximise_linear(torch.ones(1, 1, 1, 2)), leader, steps=20)
    >>> round(found.best.item(), 4), leader.evaluations
    (3.0, 20)
    """
    constraint = problem.constraint
    v, average, full = start, torch.zeros_like(start), torch.zeros_like(start)
    best = torch.full_like(leader.value, -torch.inf)
    caution = torch.ones_like(best, dtype=torch.float64) if caution is None else caution
    least = torch.where(torch.as_tensor(grow, device=start.device), _least_extent(problem, start), 1.0)
    before: _Step | None = None
    begun: Tensor | None = None  # where images have begun anew: at which step of the path
    for step in range(steps):
        extent = least.clamp(min=share(step, steps))
        at = v * per_image(extent, v).to(v.real.dtype) if bool((extent < 1).any()) else v
        evaluation = problem.evaluate(at)
        leader.offer(at, evaluation)
        value = damage(evaluation.value)
        best = torch.maximum(best, value)
        if before is not None:
            caution = torch.where(before.overshot(at, value), (CAUTION * caution).clamp(min=CALM / HEAT), caution)
        usable = per_image(evaluation.health == GradientHealth.USABLE, v)
        full_size = extent >= 1
        least = torch.where(usable.flatten(), least, 1.0)
        full = torch.where(usable, constraint.maximise_linear(evaluation.gradient), full)
        if not bool((tensors.norm(full) > 0).any()):
            if bool(full_size.all()):
                break
            continue
        # Without a usable gradient there is no furthest point: an image goes back to the last one that it had, and stays
        # where it began as long as it had none.
        weights = _weights(step, steps, begun, heat=heat * caution, hold=hold)
        before = _Step(at, value, evaluation.gradient, torch.where(usable.flatten(), weights, 0.0))
        average = torch.where(usable, average + per_image(weights, v).to(v.real.dtype) * (full - average), full)
        here, v = v, torch.where(per_image(tensors.norm(average) > 0, v), constraint.maximise_linear(average), v)
        if elsewhere is not None:
            leaving = usable & per_image(full_size & at_rest(here, full, evaluation.gradient), v)
            if bool(leaving.any()):
                v, average = torch.where(leaving, elsewhere(step), v), torch.where(leaving, torch.zeros_like(average), average)
                left = leaving.flatten()
                begun = torch.where(left, step + 1, torch.zeros_like(left, dtype=torch.int64) if begun is None else begun)
                before = replace(before, weights=torch.where(left, 0.0, before.weights))
    return Climb(best, caution)


def _least_extent(problem: Problem, start: Tensor) -> Tensor:
    """The smallest share of a perturbation of full size that rounding leaves visible, ``(B,)``; 1 where not even that is."""
    y = problem.measurement
    unit = torch.finfo(torch.bfloat16 if problem.precision == "bfloat16" else y.real.dtype).eps
    size = tensors.norm(problem.constraint.perturbation(start)).to(torch.float64)
    visible = ROUNDING * unit * tensors.norm(y).to(torch.float64)
    return torch.where(size > visible, visible / size, 1.0)


@dataclass(frozen=True)
class _Step:
    """Where a step began: the point, the objective and its gradient there, and the weights that led on."""

    v: Tensor
    value: Tensor
    gradient: Tensor
    weights: Tensor

    def overshot(self, v: Tensor, value: Tensor) -> Tensor:
        """Whether the step to ``v`` fell, and below the tangent, ``(B,)``."""
        tangent = self.value + tensors.inner(self.gradient, v - self.v)
        below = value < tangent - BELOW * self.value.abs()
        return (value < self.value) & below & (self.weights > CALM)


def _weights(step: int, steps: int, begun: Tensor | None, *, heat: Tensor, hold: float) -> Tensor:
    """`weight` of each image with its own heat, ``(B,)``; of one that has begun anew that of a path as long as the steps that were left."""
    since = [0] * len(heat) if begun is None else begun.tolist()
    return (heat * heat.new_tensor([_course(step - first, steps - first, hold) for first in since])).clamp(min=COLD)


def refine(problem: Problem, leader: Leader, *, steps: int, shortest: float = 1 / 32, gain: float = 1e-6) -> None:
    r"""Monotone ascent from the leader, backtracking between where it stands and the full power step.

    The candidates lie on the way of the set from the leader (``t = 0``) to the full step ``w = argmax_K <grad phi(v), .>``
    (``t = 1``, `stabtest.search.sets.Ball.towards`). Along it the objective rises for small ``t``, since ``<grad phi, w - v> >= 0``.
    Each image has its own ``t``: doubled up to 1 after a success, quartered after a failure.

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
        here, gradient = leader.variable, leader.gradient
        candidate = constraint.towards(here, constraint.maximise_linear(gradient), t, gradient)
        before = leader.value
        leader.offer(candidate, problem.evaluate(candidate))
        t = torch.where(leader.value - before > gain * before.abs(), (2 * t).clamp(max=1.0), t / 4)


def per_image(condition: Tensor, like: Tensor) -> Tensor:
    """A condition per image, ``(B,)``, shaped to select whole images of ``like``, ``(B, ...)``."""
    return condition.reshape(-1, *([1] * (like.ndim - 1)))
