r"""A Euclidean ball with a floor: ``K = {e : ||e|| <= R, e >= f}`` with ``f <= 0``, elementwise, real.

With ``f = -y`` no perturbed measurement ``y + e`` is negative: photon counts and line integrals of an attenuation are not.
Both questions that a search asks of the set have answers on one curve,

    c(t) = max(f, t v),   t >= 0,   elementwise.

*Furthest point.* The Karush-Kuhn-Tucker conditions of ``max <g, e>`` over ``K`` (S. Boyd, L. Vandenberghe, *Convex
Optimization*, 2004, section 5.5.3; the only constraint that is not linear is strict at the feasible point 0, so that they are
necessary as well as sufficient) are ``g - lambda e + nu = 0``, ``lambda >= 0``, ``nu >= 0``, ``nu (e - f) = 0``,
``lambda (||e|| - R) = 0``. Where ``lambda > 0`` they say ``e = max(f, g / lambda)``: the point ``c(1 / lambda)`` of the curve
along ``v = g`` with ``||e|| = R``. Where no ``t`` reaches that norm (no sample with ``g > 0``, and the floors of the others
are used up) ``lambda = 0`` and ``e = f`` where ``g < 0``.

*Projection.* Those of ``min ||e - v||^2 / 2`` are ``e - v + mu e - nu = 0`` with the rest alike: ``e = max(f, v / (1 + mu))``,
the point ``c(1 / (1 + mu))`` of the curve, with ``mu = 0`` where ``||max(f, v)|| <= R`` and ``||e|| = R`` else.

So both are ``c(t)`` at the largest ``t`` with ``||c(t)|| <= R``, for the projection not beyond 1. Along the curve
``h(s) = ||c(sqrt s)||^2 = sum over held f^2 + s sum over free v^2`` is continuous, concave and piecewise linear in ``s = t^2``,
since samples only go from free to held (``t v <= f``) as ``t`` grows. Newton's method from ``s = 0`` therefore rises to
the root, never passes it, and ends at it exactly after as many steps as the set of held samples changes (few: W. Dinkelbach,
*On nonlinear fractional programming*, Management Science 13, 1967).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEGLIGIBLE = 1e-150
"""Entries this small beside the largest of an image count as zero: their squares would underflow in float64."""


def curve_point(v: Tensor, radius: Tensor, floor: Tensor, *, longest: float | None = None) -> Tensor:
    """``max(floor, t v)`` with the largest ``t`` for which its norm is at most ``radius``.

    Computed in float64, returned in the precision of ``v``.

    Parameters
    ----------
    v
        Real, ``(B, ...)``, finite.
    radius
        ``(B,)``, positive.
    floor
        Nowhere positive, of the precision of ``v`` (`floor_like`), broadcastable to ``v``; ``-inf`` where there is none.
    longest
        No larger ``t`` than this: 1 gives the projection of ``v``, None the point furthest along ``v``.

    Returns
    -------
    Tensor
        Shape of ``v``. Zero entries of ``v`` stay zero.

    Examples
    --------
    Without its floor the first sample would go to -0.8:

    >>> floor = torch.tensor([[-0.6, -0.6]])
    >>> curve_point(torch.tensor([[-4.0, 3.0]]), torch.tensor([1.0]), floor)
    tensor([[-0.6000,  0.8000]])
    >>> curve_point(torch.tensor([[-4.0, -3.0]]), torch.tensor([1.0]), floor)  # the norm cannot be spent
    tensor([[-0.6000, -0.6000]])
    """
    wanted = v.to(torch.float64).flatten(1)
    low = floor.to(torch.float64).expand(v.shape).flatten(1)
    room = radius.to(torch.float64)[:, None].square()
    top = wanted.abs().amax(1, keepdim=True)
    unit = wanted / torch.where(top > 0, top, 1)
    unit = torch.where(unit.abs() < NEGLIGIBLE, 0, unit)
    falling = unit < 0
    t = torch.zeros_like(top)
    while True:
        held = falling & (t * unit <= low)
        spent = torch.where(held, low, 0).square().sum(1, keepdim=True)
        slope = torch.where(held, 0, unit).square().sum(1, keepdim=True)
        root = ((room - spent).clamp_min(0) / torch.where(slope > 0, slope, 1)).sqrt()
        further = torch.maximum(t, torch.where(slope > 0, root, math.inf))
        # The same held samples give the same t to the bit, so an image that is done stays as it is while others go on.
        if not bool((further > t).any()):
            break
        t = further
    point = torch.where(unit > 0, t * unit, torch.where(falling, torch.maximum(low, t * unit), 0))
    if longest is not None:
        # Not v / top * top: a feasible point is its own projection to the bit.
        point = torch.where(t >= longest * top, torch.maximum(low, longest * wanted), point)
    return point.to(v.dtype).reshape(v.shape)


def floor_like(floor: Tensor, v: Tensor) -> Tensor:
    """The floor in the precision and on the device of ``v``, rounded upwards: what is above it is above the floor itself.

    Examples
    --------
    >>> floor = torch.tensor([-0.1], dtype=torch.float64)
    >>> bool(floor_like(floor, torch.zeros(1)).double() >= floor)
    True
    """
    near = floor.to(device=v.device, dtype=v.dtype)
    below = near.to(torch.float64) < floor.to(device=v.device, dtype=torch.float64)
    return torch.where(below, torch.nextafter(near, torch.zeros_like(near)), near)
