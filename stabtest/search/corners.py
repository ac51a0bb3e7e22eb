r"""What a path does that has come to rest in a corner.

In the largest norm of real samples the set is a box, and every point that an ascent visits is one of its corners,
``v = argmax_K <a, .>`` with ``v_i = R sign(a_i)``. Where the furthest point along the gradient is the corner itself,

    <g, c - v> = 0,      c = argmax_K <g, .>,

no sample gains by going over, to first order. The relaxed step of `stabtest.search.ascent` stays there: with ``c = v`` the signs of
``a + w (c - a) = w c - (w - 1) a`` are those of ``c`` for every ``w <= 2`` where ``0 < |a_i| < 2 R``. The steps that are left of the
path would be spent on the same point, and a path that goes *again* from the best one does not leave it either.

So an image that has come to rest begins anew, at a random corner, with the weights of a path as long as what is left; what it has
found is kept. A small map with many maxima is so searched from a fresh corner every few steps; a network, whose paths do
not come to rest in twenty steps, is searched as before. In sets that have no corners nothing comes to rest and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stabtest.search.jacobian import common_randn
from stabtest.search.problem import Problem
from stabtest.search.starts import zero_of

Elsewhere = Callable[[int], Tensor]
"""A start for the images that have come to rest at a step of a path, ``(B, ...)``; the same whatever else is in the batch."""


def has_corners(problem: Problem) -> bool:
    """Whether the set is a box: the largest norm of real samples.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.constraints import ball
    >>> A, y = Identity((1, 2)), torch.zeros(1, 1, 1, 2)
    >>> sets = [ball("measurement", A, torch.ones(1), norm=norm) for norm in ("l2", "linf")]
    >>> [has_corners(Problem(lambda y, A: y, y, one, lambda x: x.flatten(1).norm(dim=1))) for one in sets]
    [False, True]
    """
    return problem.constraint.norm == "linf" and not problem.constraint.space.is_complex


def elsewhere(problem: Problem, *, generator: torch.Generator) -> Elsewhere | None:
    """Random corners for one path, each step with its own; None where there are no corners, and then nothing is drawn.

    Parameters
    ----------
    problem
        The search.
    generator
        Gives the path its number, and stays where it is: a search in which nothing comes to rest draws as if there were no corners.
    """
    if not has_corners(problem):
        return None
    ahead = torch.Generator(device=generator.device)
    ahead.set_state(generator.get_state())
    number = int(torch.randint(2**31, (1,), generator=ahead, device=generator.device).item())

    def corner(step: int) -> Tensor:
        own = torch.Generator().manual_seed(number * 1_000_003 + step)
        return problem.constraint.maximise_linear(common_randn(zero_of(problem), generator=own))

    return corner


def at_rest(v: Tensor, full: Tensor, gradient: Tensor) -> Tensor:
    """Whether no sample of an image gains by going over to the furthest point, ``(B,)``.

    Parameters
    ----------
    v, full
        Where the images are, and the point furthest along their gradients, ``(B, ...)``.
    gradient
        Zero on what is not admissible.

    Examples
    --------
    >>> gradient, corner = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, -1.0]])
    >>> at_rest(corner, corner, gradient), at_rest(corner.flip(1), corner, gradient)
    (tensor([True]), tensor([False]))
    """
    return ((gradient == 0) | (full == v)).flatten(1).all(1)
