"""What the published attacks share: where they begin, and images selected one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors
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


def rate_of(learning_rate: float | Tensor, like: Tensor) -> Tensor:
    """A learning rate, one number or ``(B,)``, as one number for each image, ``(B,)``, of the real precision of ``like``."""
    rate = torch.as_tensor(learning_rate, dtype=tensors.real_dtype(like.dtype), device=like.device)
    return rate.expand(len(like))
