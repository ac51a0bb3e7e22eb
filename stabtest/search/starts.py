r"""Where ascents begin.

At ``e = 0`` the distance to the clean reconstruction is zero and has no gradient: it is a minimum. So an ascent must be
sent off in some direction.

**A random direction**, the only start that presumes nothing. It is what a path of `stabtest.search.ascent` begins with: the first
steps weigh it away.

**The gradient at zero**, where it exists: the distance to the truth has one.

**The Jacobian's.** For small ``R`` the worst case is ``R`` times the top right singular vector of ``J = f'(y)``,
found by power iteration on ``J* J``. Here ``J`` is not formed: in a ball of radius ``r << R`` the function is linear,
so the power ascent in that small ball *is* the power iteration,

    grad ||f(y + e) - f(y)|| = J* J e / ||J e|| + O(r),

at one forward and one backward a step, without second derivatives and whatever the network is made of.
(`stabtest.search.jacobian` has the exact products; a test holds them against each other.) ``v`` and ``-v`` do equal damage to first
order only. It is exact in the limit of small radius; at the radii of an audit a random start finds as much (measured), so the
default search leaves it out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.search.jacobian import common_randn
from stabtest.search.leader import Leader
from stabtest.search.objectives import Objective
from stabtest.search.problem import GradientHealth, Problem

SMALL = 0.1
"""Radius of the small ball relative to that of the search."""


def random_start(problem: Problem, *, generator: torch.Generator) -> Tensor:
    """A random point of the sphere, the same direction for every image of the batch, ``(B, ...)``."""
    return problem.constraint.maximise_linear(common_randn(zero_of(problem), generator=generator))


def gradient_start(problem: Problem, leader: Leader, *, otherwise: Tensor) -> Tensor:
    """The full power step from zero perturbation, for objectives with a gradient there.

    Parameters
    ----------
    problem, leader
        The search; the leader is offered zero, at the cost of one evaluation.
    otherwise
        The start of images whose gradient at zero is zero or not usable, ``(B, ...)``.
    """
    zero = zero_of(problem)
    evaluation = problem.evaluate(zero)
    leader.offer(zero, evaluation)
    usable = (evaluation.health == GradientHealth.USABLE).reshape(-1, *([1] * (zero.ndim - 1)))
    return torch.where(usable, problem.constraint.maximise_linear(evaluation.gradient), otherwise)


def jacobian_starts(
    problem: Problem, distance: Objective, leader: Leader, *, steps: int, floor: Tensor, generator: torch.Generator
) -> list[Tensor]:
    """The direction that the linearised reconstruction amplifies most, and its opposite.

    Parameters
    ----------
    problem
        The search problem, at its full radius.
    distance
        Distance to the clean reconstruction; the power iteration uses it whatever the problem's objective is.
    leader
        Counts the evaluations.
    steps
        Power iterations, one evaluation each.
    floor
        Smallest radius at which differences of reconstructions are not lost in rounding, ``(B,)``.
    generator
        For the first direction.

    Returns
    -------
    list of Tensor
        ``R v`` and ``-R v``, each ``(B, ...)``.
    """
    radius = problem.constraint.radius
    small = problem.with_objective(distance).with_radius(torch.minimum(radius, torch.maximum(SMALL * radius, floor)))
    v = random_start(small, generator=generator)
    for _ in range(steps):
        evaluation = small.evaluate(v)
        leader.count(evaluation)
        usable = (evaluation.health == GradientHealth.USABLE).reshape(-1, *([1] * (v.ndim - 1)))
        v = torch.where(usable, small.constraint.maximise_linear(evaluation.gradient), v)
    return [problem.constraint.maximise_linear(v), problem.constraint.maximise_linear(-v)]


def zero_of(problem: Problem) -> Tensor:
    """The zero variable of a problem, ``(B, ...)``."""
    y = problem.measurement
    real = y.real.dtype if y.is_complex() else y.dtype
    return problem.constraint.space.zeros(problem.batch, dtype=real, device=y.device)
