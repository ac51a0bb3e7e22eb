r"""Loop transformation on any acyclic graph: activations as their mean slope plus a small remainder.

An activation with slopes in ``[a, b]`` is ``m = (a + b) / 2`` times the identity plus a remainder with slopes in ``[-r, r]``, ``r =
(b - a) / 2``. The maximum over a window of ``n`` entries is their mean plus a remainder: for differences with weights ``w`` in
the simplex, ``sum w_k dz_k - mean dz = <w - 1/n, C dz>`` with the centring ``C`` of each window, and ``||w - 1/n||^2 <= 1 - 1/n``, so
that the remainder has norm at most ``r ||C dz||`` with ``r = sqrt(1 - 1/n)``. Or, *cut*, the mean is left out and all of it is
remainder: ``||sum w_k dz_k|| <= ||dz||``, ``r = 1``. For 2 x 2 windows the mean and its remainder add up to 1/2 + 0.87 where the cut has 1,
which is why it is the default: on trained U-Nets it bounds lower.

Let ``G`` be the network with every gate replaced by its mean: linear, skips and concatenations included. With ``p_i`` the
remainder at gate ``i`` and ``z_j`` the difference at the input of gate ``j`` (centred, for a mean),

    z_j = G_{j,in} dx + sum_{i<j} G_{j,i} p_i,        ||p_i|| <= c_i := r_i l_i,    ||z_j|| <= l_j ||dx||,

for ``||dx|| <= 1``, and the output is one more row. Two ways to bound a row:

- *pairs*: ``l_j = ||G_{j,in}|| + sum_i ||G_{j,i}|| c_i`` (P. L. Combettes, J.-C. Pesquet, *Lipschitz certificates for layered network
  structures driven by averaged activation operators*, SIAM J. Math. Data Sci. 2(2), 2020; M. Fazlyab et al., *Certified robustness
  via dynamic margin maximization and improved Lipschitz regularization*, NeurIPS 2023);
- *rows*: for any numbers ``t_i > 0`` (``c_in = 1``)

      ||sum_i G_i p_i|| <= ||[t_in G_in, t_1 G_1, ...]|| sqrt(sum_i (c_i / t_i)^2)

  by Cauchy-Schwarz. With ``t_i^2 = c_i / ||G_i||`` the right side is at most the sum over pairs, since ``||[t_i G_i]||^2 <= sum t_i^2
  ||G_i||^2``: a row is never worse than its pairs (apart from the excess of the certificates) and needs one norm in place of ``j``.
  Good ``t`` come from the problem itself, ``max ||sum G_i p_i||`` over ``||p_i|| <= c_i``: the power method for convex functions
  (``h_i = G_i^T z / ||z||``, ``p_i = c_i h_i / ||h_i||``) ends where ``sum_i G_i p_i = z``, and there ``t_i^2 = c_i / ||h_i||`` makes the right
  side equal to ``||z||`` if ``z`` belongs to the largest singular value: the dual of the problem. Any ``t`` is sound.

Norms: dense in float64 where the row is small (certified), else Lanczos with a probabilistic certificate
(`stabtest.bounds.lanczos`), whose failure probabilities add up. Sound for single images of the traced shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from stabtest.bounds.dense import ROUNDING, largest_singular_values
from stabtest.bounds.lanczos import FAILURE, NormEstimate, lanczos_norm
from stabtest.bounds.linear import Gate, LinearReplay, real_vector, windows

_FAINT = 1e-3
"""Relative size below which a block is not taken at its word: its norm may be larger than what it shows at one ``z``."""

_NOTHING = 1e-14
"""Relative size of a block that vanishes, as behind a maximum that is cut."""


@dataclass(frozen=True)
class Part:
    """A gate taken apart.

    Parameters
    ----------
    mean
        Slopes (or weights of a window) of the linear part, broadcastable to the gate.
    remainder
        ``r``: the norm of what is left is at most ``r`` times that of what enters, weighted.
    weight
        A weight for each entry of what enters (of each window, with its entries last); None = 1 everywhere.
    """

    mean: Tensor
    remainder: float
    weight: Tensor | None = None

    @property
    def largest(self) -> float:
        """``r`` times the largest weight: 0 where nothing is left."""
        weight = 1.0 if self.weight is None else float(self.weight.max()) if self.weight.numel() else 0.0
        return self.remainder * weight


_OUTPUT = Part(torch.ones(()), 0.0)


@dataclass(frozen=True)
class LoopRow:
    """A gate or the output.

    Parameters
    ----------
    name
        Place in the module tree, or ``"output"``.
    bound
        ``l_j``: Lipschitz constant of the map from the network's input to the gate's input (centred, for a mean; weighted, where the
        remainder has a weight for each entry).
    remainder
        ``r_j``; 0 for the output.
    reached
        The largest ``||sum G_i p_i||`` that the power method found: no choice of ``t`` takes the row below it. 0 for pairs.
    """

    name: str
    bound: float
    remainder: float
    reached: float


@dataclass(frozen=True)
class LoopBound:
    """Upper bound of the Lipschitz constant.

    Parameters
    ----------
    value
        Of the whole network, all outputs jointly.
    failure
        Probability that it is not a bound; 0 = certified.
    rows
        In order of execution, the output last.
    norms
        How many norms were taken.
    """

    value: float
    failure: float
    rows: tuple[LoopRow, ...]
    norms: int


def loop_bound(
    replay: LinearReplay,
    *,
    known: Mapping[int, float] | None = None,
    pairs: bool = False,
    maxima: Literal["cut", "mean"] = "cut",
    parts: Sequence[Part] | None = None,
    steps: int = 100,
    ascent: int = 20,
    dense: int = 600,
    failure: float = FAILURE,
    generator: torch.Generator,
) -> LoopBound:
    """Bound every gate's input and the output by the loop transformation.

    Parameters
    ----------
    replay
        From `stabtest.bounds.linear.linear_replay`.
    known
        Node -> a bound of its Lipschitz constant had otherwise (`stabtest.bounds.compose.Layer.bound`); the smaller one is used.
    pairs
        As published, one norm for each pair of gates; else one for each row.
    maxima
        How a maximum is taken apart.
    parts
        Mean and remainder of each gate where more is known than its slopes (`stabtest.bounds.local.gates`); ``maxima`` is then not read.
    steps
        Lanczos steps of each norm: the excess of each certificate, which falls like ``1 / steps^2``, goes into all later rows.
    ascent
        Steps of the power method for the ``t`` of each row.
    dense
        Rows or columns up to which a norm is taken densely.
    failure
        Probability of failure of each Lanczos norm.
    generator
        Draws the starts.

    Examples
    --------
    Of the average of two opposite ReLUs, ``(ReLU(x) - ReLU(-x)) / 2 = x / 2``, the slopes alone allow 1:

    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> from stabtest.bounds.linear import linear_replay
    >>> network = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[1.0], [-1.0]])), network[2].weight.copy_(torch.tensor([[0.5, -0.5]]))
    >>> replay = linear_replay(trace(network, torch.ones(1, 1, dtype=torch.float64)))
    >>> round(loop_bound(replay, generator=torch.Generator().manual_seed(0)).value, 6)
    1.0
    """
    known = known or {}
    centre = maxima == "mean" and parts is None
    parts = [_taken_apart(gate, maxima) for gate in replay.gates] if parts is None else parts
    means = [part.mean for part in parts]
    limits: dict[int, float] = {0: 1.0}
    rows: list[LoopRow] = []
    spent, risk = 0, 0.0
    for gate, part in zip((*replay.gates, None), (*parts, _OUTPUT)):
        if gate is not None and not part.largest > 0:
            rows.append(LoopRow(gate.name, 0.0, 0.0, 0.0))
            continue
        centred = gate is not None and bool(gate.window) and centre
        row = _Row.of(replay, gate, centred, part.weight, means, limits)
        bound, reached = (0.0, 0.0)
        if row is not None:
            bound, reached, count, chance = _bound_row(
                row, pairs=pairs, steps=steps, ascent=ascent, dense=dense, failure=failure, generator=generator
            )
            spent, risk = spent + count, risk + chance
        place = replay.graph.nodes[gate.position].operands[0] if gate is not None else replay.graph.outputs[0]
        if gate is not None or len(replay.graph.outputs) == 1:
            bound = min(bound, (1.0 if part.weight is None else part.largest) * known.get(place, math.inf))
        rows.append(LoopRow("output" if gate is None else gate.name, bound, part.remainder, reached))
        if gate is not None and part.remainder * bound > 0:
            limits[gate.position] = part.remainder * bound
    return LoopBound(rows[-1].bound, min(1.0, risk), tuple(rows), spent)


def _bound_row(
    row: _Row, *, pairs: bool, steps: int, ascent: int, dense: int, failure: float, generator: torch.Generator
) -> tuple[float, float, int, float]:
    """Bound, what was reached, norms taken, probability of failure."""
    if pairs:
        bound, risk = 0.0, 0.0
        for index, limit in enumerate(row.limits):
            alone = [float(k == index) for k in range(len(row.limits))]
            norm = row.norm(alone, steps=steps, dense=dense, failure=failure, generator=generator)
            bound, risk = bound + norm.upper * limit, risk + norm.failure
        return bound, 0.0, len(row.limits), risk
    reached, sizes = row.ascend(ascent, generator)
    largest = max(sizes)
    if not largest > 0:
        sizes, largest = [1.0] * len(sizes), 1.0
    least = [max(size, (_FAINT if size else _NOTHING) * largest) for size in sizes]
    weights = [math.sqrt(limit / size) for limit, size in zip(row.limits, least)]
    norm = row.norm(weights, steps=steps, dense=dense, failure=failure, generator=generator)
    spread = math.hypot(*(limit / weight for limit, weight in zip(row.limits, weights)))
    return norm.upper * spread, reached, 1, norm.failure


@dataclass(frozen=True)
class _Row:
    """The linear map from all sources to the input of one gate (or to the outputs), as a real vector."""

    replay: LinearReplay
    gate: Gate | None
    centred: bool
    weight: Tensor | None
    means: list[Tensor]
    sources: tuple[int, ...]
    limits: tuple[float, ...]
    zeros: tuple[Tensor, ...]
    image: Tensor = field(repr=False)

    @staticmethod
    def of(
        replay: LinearReplay,
        gate: Gate | None,
        centred: bool,
        weight: Tensor | None,
        means: list[Tensor],
        limits: Mapping[int, float],
    ) -> _Row | None:
        """None where no source reaches the row."""
        reaching = _ancestors(replay, replay.graph.outputs if gate is None else replay.graph.nodes[gate.position].operands)
        sources = tuple(place for place in limits if place in reaching)
        if not sources:
            return None
        nodes = [replay.graph.nodes[place] for place in sources]
        zeros = tuple(
            torch.zeros(node.shape, dtype=torch.complex128 if node.dtype.is_complex else torch.float64, requires_grad=True)
            for node in nodes
        )
        with torch.enable_grad():
            image = _apply(replay, gate, centred, weight, means, sources, zeros)
        return _Row(replay, gate, centred, weight, means, sources, tuple(limits[place] for place in sources), zeros, image)

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        """``sum_i G_i p_i``."""
        with torch.no_grad():
            return _apply(self.replay, self.gate, self.centred, self.weight, self.means, self.sources, blocks)

    def adjoint(self, u: Tensor) -> tuple[Tensor, ...]:
        """``G_i^T u``."""
        return torch.autograd.grad(self.image, self.zeros, u, retain_graph=True, materialize_grads=True)

    def ascend(self, steps: int, generator: torch.Generator) -> tuple[float, list[float]]:
        """``max ||sum G_i p_i||`` over ``||p_i|| <= c_i`` from below, and ``||G_i^T u||`` where it ends."""
        u = torch.randn(self.image.shape, dtype=torch.float64, generator=generator)
        best, sizes, kept = 0.0, [1.0] * len(self.limits), [0.0] * len(self.limits)
        for _ in range(max(1, steps)):
            h = self.adjoint(u / torch.linalg.vector_norm(u))
            sizes = [float(torch.linalg.vector_norm(part)) for part in h]
            if not max(sizes) > 0:
                break
            kept = sizes
            u = self.forward([limit / max(size, 1e-300) * part for limit, size, part in zip(self.limits, sizes, h)])
            reached = float(torch.linalg.vector_norm(u))
            best = max(best, reached)
            if not reached > 0:
                break
        return best, kept

    def norm(
        self, weights: Sequence[float], *, steps: int, dense: int, failure: float, generator: torch.Generator
    ) -> NormEstimate:
        """``||[t_1 G_1, t_2 G_2, ...]||``, from the side of the row: the square of its adjoint."""
        size = self.image.numel()
        if size <= dense:
            columns = self._adjoint_of_all(size)
            blocks = [weight * _flat(block, size) for weight, block in zip(weights, columns) if weight]
            value = float(largest_singular_values(torch.cat(blocks, 1)[None])[0]) if size else 0.0
            return NormEstimate(value, value * ROUNDING, 0.0, 0)

        def gram(u: Tensor) -> Tensor:
            return self.forward([weight**2 * part for weight, part in zip(weights, self.adjoint(u))])

        return lanczos_norm(gram, (size,), generator=generator, steps=steps, failure=failure)

    def _adjoint_of_all(self, size: int) -> list[Tensor]:
        """``G_i^T`` of every unit vector, stacked."""
        unit = torch.eye(size, dtype=torch.float64)
        each = [self.adjoint(row) for row in unit]
        return [torch.stack(parts) for parts in zip(*each)]


def _apply(
    replay: LinearReplay,
    gate: Gate | None,
    centred: bool,
    weight: Tensor | None,
    means: list[Tensor],
    sources: Sequence[int],
    blocks: Sequence[Tensor],
) -> Tensor:
    nodes, outputs = replay.graph.nodes, replay.graph.outputs
    starts = dict(zip(sources, blocks))
    if gate is None:
        values = replay.propagate(starts, outputs, means)
        return torch.cat([real_vector(value, nodes[place]) for value, place in zip(values, outputs)])
    place = nodes[gate.position].operands[0]
    (value,) = replay.propagate(starts, [place], means)
    if centred and value is not None:
        entries = windows(value, gate.window)
        value = entries - entries.mean(-1, keepdim=True)
    if weight is not None and value is not None:
        value = weight * (windows(value, gate.window) if gate.window else value)
    return real_vector(value, nodes[place])


def _ancestors(replay: LinearReplay, places: Sequence[int]) -> set[int]:
    pending, found = list(places), set[int]()
    while pending:
        place = pending.pop()
        if place not in found:
            found.add(place)
            pending.extend(replay.graph.nodes[place].operands)
    return found


def _flat(block: Tensor, size: int) -> Tensor:
    return (torch.view_as_real(block) if block.is_complex() else block).reshape(size, -1)


def cut(gates: Sequence[Gate]) -> list[Part]:
    """Every gate all remainder: the loop transformation is then the product of the *fused* linear regions between the gates.

    A sum of two paths is not paid twice within a region, as it is operation by operation: ``z + m A*(y - A z)`` with a projection ``A*A``
    has the norm 1 jointly in ``z`` and ``y``, its operations together ``1 + m`` and ``m``.
    """
    return [
        Part(torch.zeros(gate.shape[-1:] if gate.window else (), dtype=torch.float64), max(abs(gate.low), abs(gate.high)))
        for gate in gates
    ]


def _taken_apart(gate: Gate, maxima: str) -> Part:
    if not gate.window:
        return Part(torch.tensor((gate.low + gate.high) / 2, dtype=torch.float64), (gate.high - gate.low) / 2 * (1 + 1e-15))
    count = gate.shape[-1]
    if maxima == "cut":
        return Part(torch.zeros(count, dtype=torch.float64), 1.0)
    return Part(torch.full((count,), 1 / count, dtype=torch.float64), math.sqrt(1 - 1 / count) * (1 + 1e-15))
