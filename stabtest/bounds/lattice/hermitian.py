r"""A batch of Hermitian matrices by blocks, and an elimination that leaves alone what is zero.

The variables of a network meet few others: of a matrix with a block row for each variable most blocks are zero. Eliminating the
variables group by group,

    Q_jk <- Q_jk - Q_gj* Q_gg^-1 Q_gk    for the j, k that the group g meets,

is the block Cholesky factorisation of the whole with its zeros left out; in the order of the network a variable meets the next one and
those at the other end of a skip, and little is filled in (A. George and J. Liu, *Computer solution of large sparse positive definite systems*,
1981, chapter 5). The matrix of what is eliminated is positive definite if and only if every ``Q_gg`` is when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from stabtest.bounds.lattice.schur import eliminate

GROUP = 64
"""Rows up to which neighbours are eliminated together: many small products cost more than a few zeros."""


class Hermitian:
    """Matrices of the same blocks; those on and above the diagonal are kept, and a block that is not there is zero.

    Parameters
    ----------
    count
        Matrices of the batch.
    widths
        Rows of each block row.
    dtype
        Complex type.

    Examples
    --------
    >>> matrix = Hermitian(1, (1, 1, 1), dtype=torch.complex128)
    >>> for i in range(3):
    ...     matrix.add_diagonal(i, torch.tensor([2.0]))
    >>> matrix.add(0, 2, torch.tensor([[[1.0j]]], dtype=torch.complex128))
    >>> logs = matrix.eliminated([(0, 1)])
    >>> round(logs.exp().item(), 12), matrix.part([2], [2]).real.item()
    (4.0, 1.5)
    """

    def __init__(self, count: int, widths: Sequence[int], *, dtype: torch.dtype) -> None:
        self.count, self.widths, self.dtype = count, tuple(widths), dtype
        self._blocks: dict[tuple[int, int], Tensor] = {}

    def add(self, row: int, column: int, block: Tensor, *, both: bool = False) -> None:
        """Add a block, ``(count, rows, columns)``.

        With ``both`` its adjoint is added at the mirrored place too; without, a block below the diagonal is left out, for what adds
        all blocks of a Hermitian matrix.
        """
        if row == column and both:
            block = block + block.mH
        elif row > column:
            if not both:
                return
            row, column, block = column, row, block.mH
        here = self._blocks.get((row, column))
        self._blocks[row, column] = block if here is None else here + block

    def add_diagonal(self, row: int, values: Tensor) -> None:
        """Add the same real diagonal, ``(rows,)``, to a block of each matrix."""
        self.add(row, row, torch.diag(values).to(self.dtype).expand(self.count, len(values), len(values)))

    def guard(self, share: float) -> None:
        """Take a share of its size off every entry of the diagonal."""
        for (row, column), block in self._blocks.items():
            if row == column:
                self._blocks[row, column] = block - torch.diag_embed(share * block.diagonal(dim1=1, dim2=2).abs())

    def eliminated(self, groups: Iterable[Sequence[int]]) -> Tensor:
        """Eliminate groups of neighbouring block rows, from the first row on; what is left stays here.

        Returns
        -------
        Tensor
            Sum of the logarithms of the pivots, ``(count,)``: NaN where one is not positive.
        """
        logs = torch.zeros(self.count, dtype=torch.float64)
        for group in groups:
            border = sorted({j for i, j in self._blocks if i in group and j not in group})
            rest, pivots = eliminate(self.part(group, group), self.part(group, border), self.part(border, border))
            logs = logs + pivots
            self._blocks = {(i, j): block for (i, j), block in self._blocks.items() if i not in group}
            ends = list(accumulate((self.widths[i] for i in border), initial=0))
            for a, i in enumerate(border):
                for b, j in enumerate(border[a:], a):
                    self._blocks[i, j] = rest[:, ends[a] : ends[a + 1], ends[b] : ends[b + 1]]
        return logs

    def part(self, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """These block rows and columns as matrices, ``(count, n, m)``."""
        if not rows or not columns:
            height, width = (sum(self.widths[i] for i in some) for some in (rows, columns))
            return torch.zeros(self.count, height, width, dtype=self.dtype)
        return torch.cat([torch.cat([self._block(i, j) for j in columns], 2) for i in rows], 1)

    def _block(self, row: int, column: int) -> Tensor:
        block = self._blocks.get((min(row, column), max(row, column)))
        if block is None:
            return torch.zeros(self.count, self.widths[row], self.widths[column], dtype=self.dtype)
        return block if row <= column else block.mH


def grouped(widths: Sequence[int], together: Sequence[object], *, limit: int = GROUP) -> list[tuple[int, ...]]:
    """Block rows in order, in groups: those of the same mark stay together, and neighbours up to ``limit`` rows.

    Examples
    --------
    >>> grouped((64, 64, 64, 100, 100, 20), "aaabcd", limit=128)
    [(0, 1, 2), (3,), (4, 5)]
    """
    groups: list[tuple[int, ...]] = []
    for row, mark in enumerate(together):
        last = groups[-1] if groups else ()
        fits = sum(widths[i] for i in last) + widths[row] <= limit
        if last and (fits or together[last[-1]] == mark):
            groups[-1] = (*last, row)
        else:
            groups.append((row,))
    return groups
