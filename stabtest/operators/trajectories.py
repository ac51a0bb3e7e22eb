"""Where a non-Cartesian scan measures k-space: spokes and spirals.

A trajectory is a tensor ``(M, 2)`` of frequencies in radians per pixel, row first, in ``[-pi, pi)``; the readouts follow one another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stabtest.errors import OperatorError

GOLDEN = 180.0 * (math.sqrt(5) - 1) / 2
"""111.246 degrees: the golden angle of Winkelmann et al., IEEE TMI 26 (2007)."""


def spokes(count: int, readout: int, *, golden: bool = False) -> Tensor:
    """Radial lines through the middle of k-space.

    Parameters
    ----------
    count
        Number of spokes.
    readout
        Samples on each, from ``-pi`` on; DC is sample ``readout // 2``.
    golden
        Each spoke turned by the golden angle against the one before it, so that the first ``n`` of more are spread well for every ``n``;
        otherwise equally spaced over 180 degrees.

    Returns
    -------
    Tensor
        Float64 ``(count * readout, 2)``.

    Raises
    ------
    OperatorError
        If a number is not positive.

    Examples
    --------
    >>> spokes(2, 4)[:4, 1].round(decimals=3).tolist()
    [-3.142, -1.571, 0.0, 1.571]
    """
    if count < 1 or readout < 2:
        raise OperatorError("spokes", expected="at least one spoke of two samples", came=f"{count} of {readout}")
    step = math.radians(GOLDEN) if golden else math.pi / count
    angle = step * torch.arange(count, dtype=torch.float64)
    radius = 2 * math.pi * (torch.arange(readout, dtype=torch.float64) - readout // 2) / readout
    down, across = radius * torch.sin(angle)[:, None], radius * torch.cos(angle)[:, None]
    return torch.stack([down, across], -1).flatten(0, 1)


def spiral(interleaves: int, readout: int, *, turns: float = 8.0) -> Tensor:
    """Archimedean spirals from the middle outwards.

    Parameters
    ----------
    interleaves
        Number of spirals, turned against each other by equal angles.
    readout
        Samples on each, at equal steps of the angle.
    turns
        Of each. The gap between neighbouring turns is ``pi / (interleaves * turns)``.

    Returns
    -------
    Tensor
        Float64 ``(interleaves * readout, 2)``.

    Raises
    ------
    OperatorError
        If a number is not positive.

    Examples
    --------
    >>> spiral(1, 3, turns=1.0).norm(dim=1).mul(3 / math.pi).round(decimals=6)
    tensor([0., 1., 2.], dtype=torch.float64)
    """
    if interleaves < 1 or readout < 2 or not turns > 0:
        raise OperatorError("spiral", expected="positive numbers", came=f"{interleaves} of {readout}, {turns} turns")
    t = torch.arange(readout, dtype=torch.float64) / readout
    start = 2 * math.pi * torch.arange(interleaves, dtype=torch.float64)[:, None] / interleaves
    angle, radius = 2 * math.pi * turns * t + start, (math.pi * t).expand(interleaves, -1)
    return torch.stack([radius * torch.sin(angle), radius * torch.cos(angle)], -1).flatten(0, 1)
