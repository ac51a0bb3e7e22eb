"""What the published attacks share: where they begin, and images selected one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.search.problem import Problem
from stabtest.search.starts import random_start


def first_point(problem: Problem, start: Tensor | None, *, generator: torch.Generator) -> Tensor:
    """A given start, projected onto the set, or else a random point of the sphere, ``(B, ...)``.

    Parameters
    ----------
    problem
        The search problem.
    start
        A variable, ``(B, ...)``, or None.
    generator
        For the random point; not touched if a start is given.

    Raises
    ------
    OperatorError
        If the start does not belong to the variable's space.
    """
    if start is None:
        return random_start(problem, generator=generator)
    return problem.constraint.project(problem.constraint.space.check(start.detach(), "start"))


def choose(condition: Tensor, this: Tensor, that: Tensor) -> Tensor:
    """Image by image, ``this`` where the condition ``(B,)`` holds and ``that`` elsewhere."""
    return torch.where(condition.reshape(-1, *([1] * (this.ndim - 1))), this, that)
