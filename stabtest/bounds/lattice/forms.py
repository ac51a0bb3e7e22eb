r"""The quadratic form of the semidefinite bound at a frequency, eliminated from the finest grid to the coarsest.

With a multiplier ``lambda_c >= 0`` for each channel of each activation and ``mu_c >= 0`` for each channel of each maximum, the slope
conditions of `stabtest.bounds.lattice.network`, summed over all pixels, say that for every pair of inputs

    sum_c 2 lambda_c Re <du_c - a dv_c, b dv_c - du_c> >= 0,
    sum_c mu_c (3/4 (||dv_c||^2 - 4 ||m_c||^2) - ||dp_c - m_c||^2) >= 0.

If the form

    Q = rho ||dx||^2 - ||d_out||^2 - (these sums)

is positive semidefinite in *all* ``(dx, du, dp)``, then ``||d_out||^2 <= rho ||dx||^2`` on the network's own. A multiplier is the same at
every pixel, so that by Parseval's identity ``Q`` is a sum over frequencies: one Hermitian matrix for each of them, and for a
network with ``D`` coarser grids one for each frequency of the coarsest grid, in which the ``4^D`` finer frequencies that alias to it
stand together.

**Elimination.** A finer frequency meets its aliases only through what is sampled down or up. So at each frequency of a
level everything that no coarser level reads is eliminated (Schur complements, from Cholesky factorisations that leave out the
blocks that are zero, `stabtest.bounds.lattice.hermitian`), and the coarser level adds up what is left of its four finer
frequencies. ``Q`` is positive definite if and only if every factorisation succeeds. For a U-Net with 320 x 320 points and
three halvings this replaces matrices of ten thousand rows by some of a few hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.hermitian import Hermitian, grouped
from stabtest.bounds.lattice.network import Blocks, Key, Lattice

GUARD = 1e-9
"""Share of the diagonal that is taken off before each factorisation.

Of ``n`` rows, rounding in a Cholesky factorisation amounts to a perturbation ``E`` with ``|E_ij| <= (n + 1) u sqrt(A_ii A_jj)``, ``u = 1.1e-16``
(N. Higham, *Accuracy and stability of numerical algorithms*, 2nd ed. 2002, theorem 10.3; S. Rump, *Verification of positive definiteness*,
BIT 46, 2006), so that a diagonal smaller by ``n (n + 1) u`` of itself makes up for it: 1e-9 does for 3000 rows.
"""


@dataclass(frozen=True)
class Multipliers:
    """What the form is made with.

    Parameters
    ----------
    rho
        Square of the bound, a scalar.
    weights
        For each variable but the input its multipliers, ``(channels,)``.
    """

    rho: Tensor
    weights: Mapping[int, Tensor]


@dataclass(frozen=True)
class Layout:
    """The rows of the matrix of a level: what is eliminated first, then what a coarser level reads."""

    keys: tuple[Key, ...]
    widths: tuple[int, ...]
    gone: int

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """What is eliminated together: the aliases of a variable, which pooling mixes, and small neighbours."""
        return grouped(self.widths[: self.gone], [variable for variable, _ in self.keys[: self.gone]])

    @property
    def place(self) -> dict[Key, int]:
        """Position of each key."""
        return {key: position for position, key in enumerate(self.keys)}


@dataclass(frozen=True)
class Ingredients:
    """The linear expressions of a level at some frequencies; they do not depend on the multipliers."""

    count: int
    output: Blocks | None
    sectors: tuple[Blocks, ...]
    maxima: tuple[tuple[Blocks, ...], ...]
    means: tuple[Tensor, ...]
    finer: Ingredients | None


class Forms:
    """The form of a lattice, level by level.

    Parameters
    ----------
    lattice
        The network.
    guard
        See `GUARD`; 0 while multipliers are sought.
    dtype
        Complex type of the matrices. Single precision will do to seek multipliers, but not to check them.
    """

    def __init__(self, lattice: Lattice, *, guard: float = 0.0, dtype: torch.dtype = torch.complex128) -> None:
        self.lattice, self.guard, self.dtype = lattice, guard, dtype
        levels = range(lattice.depth + 1)
        steps = lattice.steps
        self._sectors = [[s for s in lattice.sectors if steps[s.step].level == level] for level in levels]
        self._maxima = [[m for m in lattice.maxima if lattice.variables[m.variable].level == level] for level in levels]
        # A variable is eliminated at the coarsest level whose terms read it.
        self._last = [variable.level for variable in lattice.variables]
        for level in levels:
            for step in self._read_at(level):
                for variable, _ in steps[step].keys:
                    self._last[variable] = max(self._last[variable], level)
        self._layouts: list[Layout] = []
        for level in levels:
            self._layouts.append(self._layout(level))

    def _read_at(self, level: int) -> list[int]:
        """Steps that the terms of a level are made of."""
        own = [sector.step for sector in self._sectors[level]] + [top.step for top in self._maxima[level]]
        return own + ([self.lattice.output] if level == 0 else [])

    def _layout(self, level: int) -> Layout:
        variables, steps = self.lattice.variables, self.lattice.steps
        below = self._layouts[level - 1] if level else None
        kept_below = [] if below is None else [variable for variable, _ in below.keys[below.gone :]]
        keys: list[Key] = [(v, k) for v in kept_below if variables[v].level == level - 1 for k in range(4)]
        keys += [(v, -1) for v, variable in enumerate(variables) if variable.level == level]
        read = {v for step in self._read_at(level) for v, relation in steps[step].keys if relation == 1}
        kept = [key for key in keys if self._last[key[0]] > level] + [(v, -1) for v in sorted(read)]
        gone = [key for key in keys if self._last[key[0]] <= level]
        ordered = (*gone, *kept)
        return Layout(ordered, tuple(variables[v].channels for v, _ in ordered), len(gone))

    def ingredients(self, w: Tensor, level: int | None = None) -> Ingredients:
        """Everything but the multipliers, at frequencies ``(B, 2)`` of a level, the coarsest if not given."""
        level = self.lattice.depth if level is None else level
        at = symbols.evaluator(self.lattice)
        parts = symbols.finer(w) if level else []
        maxima: list[tuple[Blocks, ...]] = []
        for top in self._maxima[level]:
            seen = [{(v, k): b for (v, _), b in at(top.step, fine).items()} for k, fine in enumerate(parts)]
            maxima.append(tuple(seen))
        return Ingredients(
            len(w),
            self._cast(at(self.lattice.output, w)) if level == 0 else None,
            tuple(self._cast(at(sector.step, w)) for sector in self._sectors[level]),
            tuple(tuple(map(self._cast, aliases)) for aliases in maxima),
            tuple((symbols.block_mean(fine) / 2).to(self.dtype) for fine in parts),
            self.ingredients(torch.cat(parts), level - 1) if level else None,
        )

    def _cast(self, blocks: Blocks) -> Blocks:
        return {key: block.to(self.dtype) for key, block in blocks.items()}

    def log_determinant(self, multipliers: Multipliers, given: Ingredients) -> Tensor:
        """``log det Q`` at frequencies of the coarsest level, ``(B,)``; NaN where ``Q`` is not positive definite."""
        real = torch.float32 if self.dtype == torch.complex64 else torch.float64
        cast = Multipliers(multipliers.rho.to(real), {v: weight.to(real) for v, weight in multipliers.weights.items()})
        return self._remainder(cast, given, self.lattice.depth)[1]

    def _remainder(self, multipliers: Multipliers, given: Ingredients, level: int) -> tuple[Tensor, Tensor]:
        """What elimination leaves, ``(B, n, n)``, and the sum of the logarithms of the pivots, ``(B,)``."""
        layout = self._layouts[level]
        form = Hermitian(given.count, layout.widths, dtype=self.dtype)
        logs = torch.zeros(given.count, dtype=torch.float64)
        if given.finer is not None:
            rest, pivots = self._remainder(multipliers, given.finer, level - 1)
            logs = logs + pivots.reshape(4, given.count).sum(0)
            self._merge(form, rest.reshape(4, given.count, *rest.shape[1:]), level)
        self._terms(form, multipliers, given, level)
        if self.guard:
            form.guard(self.guard)
        logs = logs + form.eliminated(layout.groups)
        kept = range(layout.gone, len(layout.keys))
        return form.part(kept, kept), logs

    def _merge(self, form: Hermitian, rest: Tensor, level: int) -> None:
        """Add what is left of the four finer frequencies, ``(4, B, n, n)``."""
        below, place = self._layouts[level - 1], self._layouts[level].place
        kept, widths = below.keys[below.gone :], below.widths[below.gone :]
        ends = list(accumulate(widths, initial=0))
        variables = self.lattice.variables
        for i, (v, _) in enumerate(kept):
            for j, (u, _) in enumerate(kept):
                block = rest[:, :, ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
                own_v, own_u = variables[v].level == level - 1, variables[u].level == level - 1
                if not own_v and not own_u:
                    form.add(place[v, -1], place[u, -1], block.sum(0))
                    continue
                for k in range(4):
                    row, column = place[v, k if own_v else -1], place[u, k if own_u else -1]
                    form.add(row, column, block[k])

    def _terms(self, form: Hermitian, multipliers: Multipliers, given: Ingredients, level: int) -> None:
        """Add the terms of the form that belong to a level."""
        place = self._layouts[level].place
        weights = multipliers.weights
        if given.output is not None:
            _add_product(form, place, given.output, given.output, None, -1.0)
            size = self.lattice.variables[0].channels
            form.add_diagonal(place[0, -1], multipliers.rho.expand(size))
        for sector, v in zip(self._sectors[level], given.sectors):
            # -2 lambda Re <u - a v, b v - u> = 2 lambda (|u|^2 - (a + b) Re <u, v> + a b |v|^2)
            weight, row = weights[sector.variable], place[sector.variable, -1]
            form.add_diagonal(row, 2 * weight)
            for key, block in v.items():
                form.add(row, place[key], -(sector.low + sector.high) * weight[:, None] * block, both=True)
            if sector.low * sector.high:
                _add_product(form, place, v, v, weight, 2 * sector.low * sector.high)
        for top, aliases in zip(self._maxima[level], given.maxima):
            # mu (|p - m|^2 - 3/4 sum |v_k|^2 + 3 |m|^2) with m = sum h_k v_k
            weight, row = weights[top.variable], place[top.variable, -1]
            form.add_diagonal(row, weight)
            mean = {key: h[:, None, None] * block for h, v in zip(given.means, aliases) for key, block in v.items()}
            for key, block in mean.items():
                form.add(row, place[key], -weight[:, None] * block, both=True)
            _add_product(form, place, mean, mean, weight, 4.0)
            for v in aliases:
                _add_product(form, place, v, v, weight, -0.75)


def _add_product(
    form: Hermitian, place: Mapping[Key, int], left: Blocks, right: Blocks, weight: Tensor | None, factor: float
) -> None:
    """Add ``factor left* diag(weight) right``, both over the same rows and columns."""
    for one, a in left.items():
        for other, b in right.items():
            if place[one] <= place[other]:
                scaled = b if weight is None else weight[:, None] * b
                form.add(place[one], place[other], factor * (a.mH @ scaled))
