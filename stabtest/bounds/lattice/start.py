r"""Multipliers to begin with: such as certainly do, and such as are good.

**Certain.** With centre ``c = (a + b) / 2`` and half-width ``r = (b - a) / 2`` of the slopes, ``2 Re <u - a v, b v - u> = 2 (r^2 |v|^2 -
|u - c v|^2)``, and ``|u - c v|^2 >= |u|^2 / 2 - c^2 |v|^2`` (Young). So the term of an activation in ``Q`` is at least

    lambda (|u|^2 - 2 (c^2 + r^2) |v|^2),

and that of a maximum at least ``mu (|p|^2 / 2 - sum_k |v_k|^2)``. An expression ``v = sum_i T_i u_i`` of ``n`` parts has ``|v|^2 <= n sum_i
||T_i||^2 |u_i|^2``. From the output backwards, each variable gets a multiplier that outweighs, by `SLACK`, all that reads it. The bound
that belongs to this start is about the product of the layers' norms, and on deep networks thousands of times the best.

**Good.** The ascent of the primal problem of `stabtest.bounds.multipliers` on the network in space, one group for each channel, ends with
multipliers that are nearly optimal there (Kuhn and Tucker), in as many passes of the network as a worst-case search takes. In the
present units, with ``L`` the norm that it reached, ``lambda = L^2 lambda_k / 2`` of an activation; a maximum is all remainder there,
``|dp|^2 <= sum |dv_k|^2``, which the condition used here implies with ``mu = 4/3 L^2 lambda_k``. Its zero padding is the image's own and not
every slope, so that the ascent is given some margin, and more of it until the form is positive.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stabtest.bounds.dense import largest_singular_values
from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.forms import Multipliers
from stabtest.bounds.lattice.network import Lattice
from stabtest.bounds.linear import LinearReplay
from stabtest.bounds.multipliers import primal_multipliers

SLACK = 1.15
"""By how much a multiplier outweighs what reads it."""


def feasible_start(lattice: Lattice, sample: Tensor, *, known: Mapping[int, Tensor] | None = None) -> Multipliers:
    """Multipliers that make the form positive definite at a sample of frequencies.

    Parameters
    ----------
    lattice
        The network.
    sample
        Frequencies of the coarsest level, ``(B, 2)``.
    known
        Multipliers of some variables, which are kept as they are; with them the form need not be positive.
    """
    known = {} if known is None else known
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
        given = known.get(variable)
        weight = SLACK * max(needed[variable], smallest) if given is None else float(given.max())
        if variable in sectors:
            sector = sectors[variable]
            centre, half = (sector.low + sector.high) / 2, (sector.high - sector.low) / 2
            charge(sector.step, 2 * weight * (centre**2 + half**2))
        else:
            weight *= 2 if given is None else 1
            charge(maxima[variable].step, weight)
        equal = torch.full((lattice.variables[variable].channels,), weight, dtype=torch.float64)
        weights[variable] = equal if given is None else given
    rho = torch.tensor(SLACK * max(needed[0], smallest), dtype=torch.float64)
    return Multipliers(rho, weights)


def primal_start(
    lattice: Lattice, replay: LinearReplay, sample: Tensor, *, margin: float, generator: torch.Generator
) -> Multipliers | None:
    """Multipliers from the primal problem in space; the form need not be positive with them.

    Parameters
    ----------
    lattice, sample
        As in `feasible_start`.
    replay
        The same network in space, at any size.
    margin
        By how much the remainders are raised.
    generator
        Draws the start of the ascent.

    Returns
    -------
    Multipliers or None
        None where the activations of both forms of the network do not correspond.
    """
    own = [number for number, variable in enumerate(lattice.variables) if number and not variable.is_window]
    names = [lattice.variables[number].name for number in own]
    if names != [gate.name for gate in replay.gates]:
        return None
    reached, found = primal_multipliers(replay, groups="channel", margin=margin, generator=generator)
    if not reached > 0:
        return None
    known: dict[int, Tensor] = {}
    for number, gate, multipliers in zip(own, replay.gates, found, strict=True):
        unit = (4 / 3 if gate.window else 1 / 2) * reached**2
        known[number] = (unit * multipliers.reshape(-1)).expand(lattice.variables[number].channels).clone()
        known[number] = known[number].clamp_min(1e-9 * float(known[number].max()))
    start = feasible_start(lattice, sample, known=known)
    return Multipliers(torch.tensor(reached**2, dtype=torch.float64), start.weights)
