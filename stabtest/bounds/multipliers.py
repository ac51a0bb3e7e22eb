r"""One multiplier for each gate or channel, matrix-free: a semidefinite bound on any acyclic graph.

As in `stabtest.bounds.loops`, gates are their mean slope plus remainders ``p_k``, grouped by gate or by channel, with ``||p_k|| <= r_k
||z_k||`` (``z_k`` the differences that enter the group). With ``G`` the linear map from ``(dx, p)`` to ``(z, dout)``, a bound ``L`` holds if
there are multipliers ``lambda_k > 0`` with

    ||dout||^2 / L^2 + sum_k lambda_k r_k^2 ||z_k||^2  <=  ||dx||^2 + sum_k lambda_k ||p_k||^2     for all dx, p,

since then ``||dout||^2 / L^2 <= ||dx||^2 + sum lambda_k (||p_k||^2 - r_k^2 ||z_k||^2) <= ||dx||^2`` (S-procedure; M. Fazlyab et al.,
*Efficient and accurate estimation of Lipschitz constants for deep neural networks*, NeurIPS 2019, with multipliers per group
instead of per neuron; in control, the scaled small-gain theorem: A. Packard, J. Doyle, *The complex structured singular value*,
Automatica 29(1), 1993). The condition says that the map with inputs scaled by ``1, lambda_k^-1/2`` and outputs by ``lambda_k^1/2 r_k,
1 / L`` has norm at most 1: *one* norm, had by Lanczos iteration with a probabilistic certificate. Here the
constraints of all gates hold for one and the same ``dx``, which row by row they do not; that it is tighter is measured, not proved.

**Multipliers from the primal problem**, ``max ||dout||`` over ``||dx|| = 1`` and ``p_k = r_k ||z_k|| u_k``, ``||u_k|| = 1``: ``u_k`` and ``dx`` go
to the directions of their derivatives, as gates do in `stabtest.bounds.floor`. Where they stand still, with ``a_k`` the derivative
of ``||dout||^2 / 2`` by ``p_k``, the conditions of Kuhn and Tucker give ``lambda_k = ||a_k|| / (||p_k|| L^2)`` and ``L = ||dout||``; the norm
above is then 1 if the primal maximum is global and has no gap (with one multiplier a gate it mostly is; with one a channel the bound is
lower where it is found, but on deep networks the check may fail: infinite). As the certificate needs room, the primal problem is solved with ``r_k``
raised by a factor ``1 + margin``; the condition is checked with the true ``r_k``, and the margin doubled until it holds. Whatever
the multipliers are, what passes the check is a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stabtest.bounds.lanczos import FAILURE, NormEstimate, lanczos_norm
from stabtest.bounds.linear import Gate, LinearReplay, real_vector

_FAINT = 1e-9


@dataclass(frozen=True)
class MultiplierBound:
    """Upper bound of the Lipschitz constant.

    Parameters
    ----------
    value
        Of the whole network, all outputs jointly; infinite if no check was passed.
    reached
        The largest ``||dout||`` of the primal problem without margin: no multipliers of these groups go below it.
    failure
        Probability that ``value`` is not a bound.
    margin
        By how much the remainders were raised.
    checks
        How many norms were taken.
    multipliers
        ``lambda_k`` of each gate, shaped to multiply what leaves it.
    """

    value: float
    reached: float
    failure: float
    margin: float
    checks: int
    multipliers: tuple[Tensor, ...] = ()


def primal_multipliers(
    replay: LinearReplay,
    *,
    groups: Literal["gate", "channel"] = "gate",
    steps: int = 100,
    margin: float = 0.005,
    generator: torch.Generator,
) -> tuple[float, tuple[Tensor, ...]]:
    """Multipliers by the ascent of the primal problem, unchecked, and the ``||dout||`` that it reached.

    Parameters
    ----------
    replay, groups, steps, margin, generator
        As in `multiplier_bound`.
    """
    problem = _Primal.of(replay, groups)
    _, _, state = problem.ascend(problem.start(generator), 1.0, steps)
    value, multipliers, _ = problem.ascend(state, 1.0 + margin, steps)
    return value, tuple(multipliers)


def multiplier_bound(
    replay: LinearReplay,
    *,
    groups: Literal["gate", "channel"] = "gate",
    steps: int = 100,
    lanczos_steps: int = 200,
    margin: float = 0.005,
    checks: int = 6,
    failure: float = FAILURE,
    generator: torch.Generator,
) -> MultiplierBound:
    """Bound by multipliers.

    Parameters
    ----------
    replay
        From `stabtest.bounds.linear.linear_replay`; all signals that enter gates are real.
    groups
        One multiplier for each gate, or for each channel (axis 1) of each gate.
    steps
        Passes of each ascent of the primal problem.
    lanczos_steps
        Steps of each check.
    margin
        First margin.
    checks
        Most checks.
    failure
        Probability of failure of each check.
    generator
        Draws the starts.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> from stabtest.bounds.linear import linear_replay
    >>> network = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[1.0], [1.0]])), network[2].weight.copy_(torch.tensor([[0.5, 0.5]]))
    >>> replay = linear_replay(trace(network, torch.ones(1, 1, dtype=torch.float64)))
    >>> bound = multiplier_bound(replay, margin=1e-6, generator=torch.Generator().manual_seed(0))
    >>> 1.0 <= bound.value < 1.001
    True
    """
    problem = _Primal.of(replay, groups)
    state = problem.start(generator)
    reached, multipliers, state = problem.ascend(state, 1.0, steps)
    risk = 0.0
    for check in range(1, checks + 1):
        value, multipliers, state = problem.ascend(state, 1.0 + margin, steps)
        if not value > 0:
            value, multipliers = _FAINT, [torch.ones_like(m) for m in multipliers]
        norm = problem.norm(multipliers, value, lanczos_steps, failure, generator)
        risk += norm.failure
        if norm.upper <= 1.0:
            return MultiplierBound(value, reached, min(1.0, risk), margin, check, tuple(multipliers))
        margin *= 2.0
    return MultiplierBound(math.inf, reached, min(1.0, risk), margin, checks)


@dataclass(frozen=True)
class _Primal:
    """Groups, mean slopes and remainders of a network."""

    replay: LinearReplay
    axes: tuple[tuple[int, ...], ...]
    means: tuple[Tensor, ...]
    radii: tuple[float, ...]

    @staticmethod
    def of(replay: LinearReplay, groups: str) -> _Primal:
        nodes = replay.graph.nodes
        axes: list[tuple[int, ...]] = []
        for gate in replay.gates:
            rank = len(nodes[gate.position].shape)
            axes.append(tuple(range(rank)) if groups == "gate" else tuple(axis for axis in range(rank) if axis != 1))
        parts = [_taken_apart(gate) for gate in replay.gates]
        return _Primal(replay, tuple(axes), tuple(mean for mean, _ in parts), tuple(radius for _, radius in parts))

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """A random direction of the input; of each gate that of what enters it (nothing cancels there), of a maximum a random one."""
        dtype = torch.complex128 if self.replay.is_complex else torch.float64
        x = torch.randn(self.replay.input_shape, dtype=dtype, generator=generator)
        us: list[Tensor] = []

        def along(index: int, gate: Gate, dz: Tensor) -> Tensor:
            shape = self.replay.graph.nodes[gate.position].shape
            drawn = torch.randn(shape, dtype=torch.float64, generator=generator)
            us.append(_unit(drawn if gate.window else dz, self.axes[index]))
            return self.radii[index] * (_size(dz, self.axes[index]) * us[-1])

        self.replay.with_remainders(x, self.means, along)
        return [x / torch.linalg.vector_norm(x), *us]

    def ascend(self, state: list[Tensor], scale: float, steps: int) -> tuple[float, list[Tensor], list[Tensor]]:
        """Best of a path: ``||dout||``, the multipliers there, the directions."""
        average: list[Tensor] | None = None
        best = (-1.0, [torch.ones(1, dtype=torch.float64) for _ in self.axes], state)
        for step in range(max(1, steps)):
            leaves = [part.detach().requires_grad_(True) for part in state]
            sizes: list[Tensor] = []
            with torch.enable_grad():
                out = self._forward(leaves, scale, sizes)
                along = torch.autograd.grad(out, leaves, out.detach(), materialize_grads=True)
            value = float(torch.linalg.vector_norm(out.detach()))
            # by u_k the derivative is a_k ||p_k||, so that ||a_k|| / ||p_k|| = ||derivative|| / ||p_k||^2
            derivatives = [_size(part, axes) for part, axes in zip(along[1:], self.axes)]
            if value >= best[0]:
                found = [_ratio(d, size.detach()) / max(value, 1e-300) ** 2 for d, size in zip(derivatives, sizes)]
                best = (value, found, [part.detach() for part in leaves])
            if not value > 0:
                break
            full = [along[0] / torch.linalg.vector_norm(along[0]), *(_unit(u, axes) for u, axes in zip(along[1:], self.axes))]
            weight = max(0.05, min(1.0, (1 - step / steps) / 0.75))
            average = full if average is None else [a + weight * (u - a) for a, u in zip(average, full)]
            x = average[0] / torch.linalg.vector_norm(average[0])
            state = [x, *(_unit(u, axes) for u, axes in zip(average[1:], self.axes))]
        return best

    def _forward(self, state: list[Tensor], scale: float, sizes: list[Tensor]) -> Tensor:
        """The output, with ``||p_k||`` written down."""

        def remainder(index: int, gate: Gate, dz: Tensor) -> Tensor:
            axes = self.axes[index]
            size = scale * self.radii[index] * _size(dz, axes)
            sizes.append(size)
            return size * state[1 + index]

        return self.replay.with_remainders(state[0], self.means, remainder)

    def norm(
        self, multipliers: list[Tensor], value: float, steps: int, failure: float, generator: torch.Generator
    ) -> NormEstimate:
        """Norm of the scaled map, remainders as they are."""
        replay, nodes = self.replay, self.replay.graph.nodes
        roots = [_floored(m).sqrt() for m in multipliers]
        sources = [0, *(gate.position for gate in replay.gates)]
        targets = [*(nodes[gate.position].operands[0] for gate in replay.gates), *replay.graph.outputs]
        zeros = [
            torch.zeros(nodes[place].shape, dtype=torch.complex128 if nodes[place].dtype.is_complex else torch.float64)
            for place in sources
        ]
        inputs = [torch.ones(1, dtype=torch.float64), *(1 / root for root in roots)]
        outputs = [*(radius * root for radius, root in zip(self.radii, roots)), *(1 / value for _ in replay.graph.outputs)]

        def apply(blocks: Sequence[Tensor]) -> Tensor:
            starts = {place: weight * block for place, weight, block in zip(sources, inputs, blocks)}
            images = replay.propagate(starts, targets, self.means)
            pieces = [
                real_vector(None if image is None else weight * image, nodes[place])
                for image, weight, place in zip(images, outputs, targets)
            ]
            return torch.cat(pieces)

        leaves = [zero.requires_grad_(True) for zero in zeros]
        with torch.enable_grad():
            at_zero = apply(leaves)

        def gram(v: Tensor) -> Tensor:
            blocks = torch.autograd.grad(at_zero, leaves, v, retain_graph=True, materialize_grads=True)
            with torch.no_grad():
                return apply(blocks)

        return lanczos_norm(gram, tuple(at_zero.shape), generator=generator, steps=steps, failure=failure)


def _taken_apart(gate: Gate) -> tuple[Tensor, float]:
    """Mean slope and remainder; a maximum is all remainder."""
    if gate.window:
        return torch.zeros(gate.shape[-1], dtype=torch.float64), 1.0
    return torch.tensor((gate.low + gate.high) / 2, dtype=torch.float64), (gate.high - gate.low) / 2 * (1 + 1e-15)


def _size(part: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Norm of each group, shaped to multiply; its derivative at 0 is 0."""
    square = part.square().sum(axes, keepdim=True)
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)


def _unit(part: Tensor, axes: tuple[int, ...]) -> Tensor:
    return part / _size(part, axes).clamp_min(1e-300)


def _ratio(derivative: Tensor, size: Tensor) -> Tensor:
    """``derivative / size^2``; the largest of the gate where nothing enters a group."""
    ratio = torch.where(size > 0, derivative / size.square().clamp_min(1e-300), 0.0)
    return torch.where(size > 0, ratio, ratio.max())


def _floored(multipliers: Tensor) -> Tensor:
    largest: Any = multipliers.max()
    return multipliers.clamp_min(float(largest) * _FAINT if float(largest) > 0 else 1.0)
