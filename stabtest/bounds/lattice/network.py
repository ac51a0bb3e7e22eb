r"""A network as linear translation-invariant maps between elementwise activations.

Images live on nested grids: level 0 is the finest, level ``l + 1`` has every second point of level ``l`` along both axes.
The difference of two runs of the network obeys

    dv_j   = sum_i  T_ji du_i,        du_j = s_j dv_j   with slopes a_j <= s_j <= b_j at every pixel,
    d_out  = sum_i  T_oi du_i,

where ``du_0 = dx`` is the input and each ``T`` is a composition of convolutions, and of samplings between a level and the
next. Biases drop out.

**Zero padding is one more slope.** Put the image of ``n`` points into a torus of ``N >= n + p`` points, ``p`` the reach of the
kernels at that level. On the window of the image the circular convolution of a signal that vanishes outside is the
zero-padded one. Outside of the window the result is set to zero: multiplication by 0 or 1 at every pixel, which together with the
activation has slopes between ``min(0, a_j)`` and ``max(0, b_j)``. A signal that does not vanish outside (after a convolution
without an activation) gets such a slope of its own before it is convolved again. So on the torus everything between the slopes is
exactly translation-invariant, and a bound for the torus holds for the window. A crop at the end only lowers the norm.

**Maximum over 2 x 2 blocks.** ``dp = sum_k s_k dv_k`` with weights ``s_k >= 0`` that add up to 1. With the block mean ``m = sum_k
dv_k / 4``: ``|dp - m|^2 <= max_k |dv_k - m|^2 <= 3/4 sum_k |dv_k - m|^2`` (of four numbers with mean zero none has more than
three quarters of the sum of squares). That is ``|dp - m|^2 <= 3/4 (sum_k |dv_k|^2 - 4 |m|^2)``, and implies ``|dp|^2 <= sum_k |dv_k|^2``.

Sector-bounded slopes with multipliers: A. Megretski, A. Rantzer, *System analysis via integral quadratic constraints*, IEEE
TAC 42 (1997); for networks M. Fazlyab et al., *Efficient and accurate estimation of Lipschitz constants*, NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

Key: TypeAlias = tuple[int, int]
"""A variable as seen from some level: its number, and -1, or which of the four finer frequencies (0 to 3) it stands at."""

Blocks: TypeAlias = dict[Key, Tensor]
"""A linear expression at a batch of frequencies: ``{key: (B, channels, channels of the variable)}``, complex."""


@dataclass(frozen=True)
class Variable:
    """An input difference, or what leaves an activation or a maximum.

    Parameters
    ----------
    name
        Place in the module tree.
    level
        Of the grid it lives on.
    channels
        Its channels.
    is_window
        Whether it is what setting to zero outside of the window leaves, of a step without an activation.
    """

    name: str
    level: int
    channels: int
    is_window: bool = False


@dataclass(frozen=True)
class Step:
    """A linear expression in the variables.

    Parameters
    ----------
    level, channels
        Of its grid; its channels.
    size
        Height and width of the window.
    inside
        Whether it vanishes outside of the window.
    keys
        What it depends on, as seen from its level: ``(variable, relation)`` with relation 0 for its own level, 1 for the coarser and -1 for
        the finer one.
    evaluate
        ``(symbols, w) -> Blocks``: the expression at frequencies ``(B, 2)``; ``symbols`` evaluates other steps.
    """

    level: int
    channels: int
    size: tuple[int, int]
    inside: bool
    keys: frozenset[tuple[int, int]]
    evaluate: Callable[[Callable[[int, Tensor], Blocks], Tensor], Blocks]


@dataclass(frozen=True)
class Sector:
    """``du = s dv`` with ``low <= s <= high`` at every entry."""

    variable: int
    step: int
    low: float
    high: float


@dataclass(frozen=True)
class Maximum:
    """The maximum over blocks of 2 x 2 of a step of the finer level."""

    variable: int
    step: int


@dataclass(frozen=True)
class Lattice:
    """The whole network.

    Parameters
    ----------
    variables
        The input first, then in order of execution.
    steps
        Linear expressions, in order of execution.
    sectors, maxima
        What relates them.
    output
        Step of the output.
    torus
        Points along both axes at level 0, a multiple of ``2^depth``.
    depth
        Coarsest level.
    """

    variables: tuple[Variable, ...]
    steps: tuple[Step, ...]
    sectors: tuple[Sector, ...]
    maxima: tuple[Maximum, ...]
    output: int
    torus: tuple[int, int]
    depth: int

    def points(self, level: int) -> tuple[int, int]:
        """Points of the torus at a level."""
        return self.torus[0] >> level, self.torus[1] >> level

    @property
    def unknowns(self) -> int:
        """Channels of all variables together."""
        return sum(variable.channels for variable in self.variables)
