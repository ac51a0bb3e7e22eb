r"""PGD: projected steps along the normalised gradient, of fixed length.

A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu, *Towards deep learning models resistant to adversarial attacks*, ICLR 2018:

    v <- project(v + s argmax_{w in K} <g, w>),

which for an l2 ball of radius ``R`` is a step of length ``s R`` along ``g / ||g||`` and for an l-infinity ball ``s R sign(g)``. The published
rule for the step is ``2.5 R / steps``: long enough to reach the boundary from anywhere in the ball and still to move along it. It starts
from a random point of the ball; here from that point of its boundary which all methods share.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.published.common import first_point


def pgd(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    step_size: float | None = None,
    generator: torch.Generator,
    start: Tensor | None = None,
) -> None:
    """Projected ascent along the normalised gradient (Madry et al. 2018).

    Parameters
    ----------
    problem
        Any objective with a gradient at the start.
    leader
        Is offered every iterate.
    steps
        Steps; one evaluation more scores the last point.
    step_size
        Length of a step relative to the radius; as published ``2.5 / steps`` if not given.
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
    >>> pgd(problem, leader, steps=50, generator=torch.Generator().manual_seed(0))
    >>> round(leader.value.item(), 2)
    3.0
    """
    constraint = problem.constraint
    size = 2.5 / max(steps, 1) if step_size is None else step_size
    v = first_point(problem, start, generator=generator)
    for _ in range(steps):
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        v = constraint.project(v + size * constraint.maximise_linear(evaluation.gradient))
    leader.offer(v, problem.evaluate(v))
