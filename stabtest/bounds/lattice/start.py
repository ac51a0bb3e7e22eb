r"""Multipliers for which the form is positive: a strictly feasible start.

With centre ``c = (a + b) / 2`` and half-width ``r = (b - a) / 2`` of the slopes, ``2 Re <u - a v, b v - u> = 2 (r^2 |v|^2 - |u - c v|^2)``, and
``|u - c v|^2 >= |u|^2 / 2 - c^2 |v|^2`` (Young). So the term of an activation in ``Q`` is at least

    lambda (|u|^2 - 2 (c^2 + r^2) |v|^2),

and that of a maximum at least ``mu (|p|^2 / 2 - sum_k |v_k|^2)``. An expression ``v = sum_i T_i u_i`` of ``n`` parts has ``|v|^2 <= n sum_i
||T_i||^2 |u_i|^2``. From the output backwards, each variable gets a multiplier that outweighs, by `SLACK`, all that reads it. The bound
that belongs to this start is about the product of the layers' norms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.bounds.dense import largest_singular_values
from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.forms import Multipliers
from stabtest.bounds.lattice.network import Lattice

SLACK = 1.15
"""By how much a multiplier outweighs what reads it."""


def feasible_start(lattice: Lattice, sample: Tensor) -> Multipliers:
    """Multipliers that make the form positive definite at a sample of frequencies.

    Parameters
    ----------
    lattice
        The network.
    sample
        Frequencies of the coarsest level, ``(B, 2)``.
    """
    levels = {lattice.depth: sample}
    for level in range(lattice.depth, 0, -1):
        levels[level - 1] = torch.cat(symbols.finer(levels[level]))
    at = symbols.evaluator(lattice)
    needed = [0.0] * len(lattice.variables)

    def charge(step: int, weight: float) -> None:
        parts = at(step, levels[lattice.steps[step].level])
        for (variable, _), block in parts.items():
            needed[variable] += weight * len(parts) * float(largest_singular_values(block).max()) ** 2

    charge(lattice.output, 1.0)
    sectors = {sector.variable: sector for sector in lattice.sectors}
    maxima = {top.variable: top for top in lattice.maxima}
    weights: dict[int, Tensor] = {}
    smallest = 1e-12 * (max(needed) or 1.0)
    for variable in range(len(lattice.variables) - 1, 0, -1):
        weight = SLACK * max(needed[variable], smallest)
        if variable in sectors:
            sector = sectors[variable]
            centre, half = (sector.low + sector.high) / 2, (sector.high - sector.low) / 2
            charge(sector.step, 2 * weight * (centre**2 + half**2))
        else:
            weight *= 2
            charge(maxima[variable].step, weight)
        weights[variable] = torch.full((lattice.variables[variable].channels,), weight, dtype=torch.float64)
    rho = torch.tensor(SLACK * max(needed[0], smallest), dtype=torch.float64)
    return Multipliers(rho, weights)
