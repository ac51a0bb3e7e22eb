"""Minimisation of a function that is infinite outside of an open set: L-BFGS with backtracking.

D. Liu, J. Nocedal, *On the limited memory BFGS method for large scale optimization*, Mathematical Programming 45 (1989). Ready-made
line searches interpolate values, which a barrier that ends in infinity spoils; here a step is shortened until the function is finite
and has fallen enough (Armijo).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

MEMORY = 20
WINDOW = 8
LONGEST = 2.0
"""Largest change of one unknown in one step."""
SUFFICIENT = 1e-4
SHORTEST = 1e-9


def descend(function: Callable[[Tensor], Tensor], start: Tensor, *, steps: int, tolerance: float) -> Iterator[Tensor]:
    """Yield each new point, until `WINDOW` steps together gain less than ``tolerance`` or there are no more steps.

    Parameters
    ----------
    function
        Differentiable, ``(n,)`` to a scalar; infinite or NaN outside of its domain.
    start
        In the domain.

    Examples
    --------
    >>> barrier = lambda x: (x - 3).square().sum() - 0.1 * (1 - x).log().sum()
    >>> *_, last = descend(barrier, torch.zeros(2, dtype=torch.float64), steps=50, tolerance=1e-12)
    >>> [round(x, 3) for x in last.tolist()]
    [0.975, 0.975]
    """
    place = start.detach().clone().requires_grad_(True)
    value = function(place)
    (slope,) = torch.autograd.grad(value, place)
    best = value.item()
    values = deque([best], maxlen=WINDOW + 1)
    memory: deque[tuple[Tensor, Tensor]] = deque(maxlen=MEMORY)
    for _ in range(steps):
        if not bool(slope.any()):
            return
        direction = _direction(slope, memory)
        if float(slope @ direction) >= 0:
            memory.clear()
            direction = _direction(slope, memory)
        length = min(1.0, LONGEST / float(direction.abs().max()))
        while True:
            trial = (place.detach() + length * direction).requires_grad_(True)
            value = function(trial)
            if value.item() <= best + SUFFICIENT * length * float(slope @ direction):
                break
            length /= 2.5
            if length < SHORTEST:
                return
        (new,) = torch.autograd.grad(value, trial)
        moved, bent = (trial - place).detach(), new - slope
        if float(moved @ bent) > 1e-12 * float(moved.norm() * bent.norm()):
            memory.append((moved, bent))
        best = value.item()
        values.append(best)
        place, slope = trial, new
        yield place.detach()
        if len(values) > WINDOW and values[0] - best < tolerance:
            return


def _direction(slope: Tensor, memory: deque[tuple[Tensor, Tensor]]) -> Tensor:
    """Minus the approximate inverse Hessian times the gradient (two loops)."""
    if not memory:
        return -slope / max(1.0, float(slope.norm()))
    q = slope.clone()
    taken: list[float] = []
    for moved, bent in reversed(memory):
        taken.append(float(moved @ q) / float(moved @ bent))
        q -= taken[-1] * bent
    moved, bent = memory[-1]
    q *= float(moved @ bent) / float(bent @ bent)
    for (moved, bent), first in zip(memory, reversed(taken), strict=True):
        q += (first - float(bent @ q) / float(moved @ bent)) * moved
    return -q
