r"""An upper bound of the Lipschitz constant on a ball, ``||f(x) - f(x')|| <= L ||x - x'||`` for ``x, x'`` within ``r`` of ``x_0``.

The rules of `stabtest.bounds.compose` with constants that hold on the ball (`stabtest.bounds.local.rules`), node by node in order of
execution: how far a signal moves is known from the bounds of the nodes before (`stabtest.bounds.local.reach`). So normalisation by the
image's own statistics, division by its maximum, products of two signals and attention, which have no constant everywhere or a useless one,
have one here; and where no rule is better on the ball the one that holds everywhere is kept.

It is monotone in ``r``, and not small: the way of an error through the layers is bounded layer by layer. What it gives is a
*finite, sound* number for networks that otherwise have none; where the global bounds apply they are mostly smaller, and the smallest counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from stabtest.bounds.affine import action, parts
from stabtest.bounds.call import Call, Gain, Status
from stabtest.bounds.compose import Layer, compose
from stabtest.bounds.graph import Graph, trace
from stabtest.bounds.idioms import recognised
from stabtest.bounds.linear import LinearReplay, linear_replay
from stabtest.bounds.local import attention, norms, rules
from stabtest.bounds.local.gates import fixed_share, parts_on_ball
from stabtest.bounds.local.reach import SLACK, Reach, spread_of
from stabtest.bounds.loops import loop_bound
from stabtest.bounds.table import layer_rows
from stabtest.errors import BoundsError
from stabtest.findings.records import LayerRow

RULES: dict[str, rules.LocalRule] = {**rules.RULES, **norms.RULES, **attention.RULES}


@dataclass(frozen=True)
class BallBound:
    """What holds on one ball.

    Parameters
    ----------
    upper
        ``L``; ``inf`` where something can jump or vanish on the ball, ``None`` = unknown.
    status
        ``"on a ball"``, ``"infinite"`` or ``"unknown"``.
    radius
        Of the ball.
    rows
        The layer table, with the constants on the ball.
    failure
        Probability that it is not a bound.
    reason
        Why there is none, if so: the first operation that stands in the way.
    product, loops
        By the rules alone, and by the loop transformation with the gates that cannot switch fixed (None where it was not asked for or
        does not apply); ``upper`` is the smaller.
    fixed
        Share of the entries of activations and maxima that cannot switch on the ball, where the loop transformation was used.
    """

    upper: float | None
    status: Status
    radius: float
    rows: tuple[LayerRow, ...]
    failure: float = 0.0
    reason: str = ""
    product: float | None = None
    loops: float | None = None
    fixed: float | None = None


def lipschitz_on_ball(
    module: nn.Module,
    centre: Tensor,
    *,
    radius: float | Sequence[float],
    constants: Sequence[Any] = (),
    rules: Mapping[str, Callable[[Call], Gain]] | None = None,
    steps: int = 0,
    generator: torch.Generator | None = None,
) -> list[BallBound]:
    """Bound a network, or a whole reconstructor, on balls around one input.

    Parameters
    ----------
    module
        In the mode it is used in.
    centre
        ``x_0``, ``(1, ...)`` real or complex.
    radius
        Euclidean radius, or several.
    constants
        Further arguments of ``forward``, held fixed; anything that ``forward`` takes.
    rules
        Rules by operation name that go before all others (they must hold everywhere).
    steps
        Lanczos steps of each norm of the loop transformation; 0 for the rules alone.
    generator
        Draws the inputs on which the graph is checked against the network, and the starts of the Lanczos iterations; seed 0 if not
        given.

    Returns
    -------
    list of BallBound
        One for each radius.

    Raises
    ------
    BoundsError
        If the centre is not a batch of one, or a radius is negative or not finite.

    Examples
    --------
    ``x / ||x||`` has no Lipschitz constant at 0, and on a ball that stays away from it one near ``2 / ||x_0||``.

    >>> class Direction(nn.Module):
    ...     def forward(self, x):
    ...         return x / torch.linalg.vector_norm(x)
    >>> (bound,) = lipschitz_on_ball(Direction(), torch.tensor([[3.0, 4.0]]), radius=0.5)
    >>> bound.status, 1 / 5.0 <= bound.upper <= 3 / 4.5
    ('on a ball', True)
    """
    radii = [radius] if isinstance(radius, int | float) else list(radius)
    if centre.ndim < 1 or centre.shape[0] != 1:
        raise BoundsError("centre", expected="one input (1, ...)", came=str(tuple(centre.shape)))
    if not all(0 <= each < math.inf for each in radii):
        raise BoundsError("radius", expected="finite numbers of at least 0", came=str(radii))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    graph = recognised(trace(module, centre.detach(), constants=constants, generator=generator))
    return [bound_on_ball(graph, centre, radius=float(each), rules=rules, steps=steps, generator=generator) for each in radii]


def bound_on_ball(
    graph: Graph,
    centre: Tensor,
    *,
    radius: float,
    rules: Mapping[str, Callable[[Call], Gain]] | None = None,
    steps: int = 0,
    generator: torch.Generator,
) -> BallBound:
    """The same of a graph that is there already.

    Parameters
    ----------
    graph
        From `stabtest.bounds.graph.trace` of one image.
    centre, radius, rules, steps, generator
        As in `lipschitz_on_ball`.
    """
    if graph.problem is not None:
        return BallBound(None, "unknown", radius, (), reason=graph.problem)
    replay = _replay(graph) if steps and not rules else None
    follower = _Follower(graph, centre, radius, keep=() if replay is None else {gate.position for gate in replay.gates})
    layers, upper = compose(graph, rules=rules, local=follower.answer)
    risk = min(1.0, sum(layer.gain.failure for layer in layers))
    found = BallBound(upper, "on a ball", radius, layer_rows(layers), risk, product=upper)
    if upper is None or math.isinf(upper):
        first = next((layer for layer in layers if layer.bound is None or math.isinf(layer.bound)), None)
        reason = "" if first is None else f"{first.node.name}: {first.gain.method}"
        return replace(found, status="unknown" if upper is None else "infinite", reason=reason)
    if replay is None:
        return found
    parts = parts_on_ball(replay, follower.kept)
    known = {place: layer.bound for place, layer in enumerate(layers) if layer.bound is not None and not layer.fused}
    loops = loop_bound(replay, known=known, parts=parts, steps=steps, generator=generator)
    found = replace(found, loops=loops.value, fixed=fixed_share(parts))
    return found if loops.value >= upper else replace(found, upper=loops.value, failure=min(1.0, risk + loops.failure))


def _replay(graph: Graph) -> LinearReplay | None:
    try:
        return linear_replay(graph)
    except BoundsError:
        return None


class _Follower:
    """Keeps up with the composition: where each signal can be, once the bound of its node is known."""

    def __init__(self, graph: Graph, centre: Tensor, radius: float, *, keep: Collection[int]) -> None:
        self._graph, self._keep = graph, keep
        self.kept: dict[int, Reach] = {}
        """Of the nodes that were to be kept: the reach of what enters them."""
        exact = centre.detach().to("cpu", torch.complex128 if centre.is_complex() else torch.float64)
        self._radius = radius * SLACK
        self._values: list[Any] = [exact]
        self._reaches: list[Reach | None] = [Reach(exact, self._radius, self._all(exact, self._radius))]
        self._last_use: dict[int, int] = {
            place: position for position, node in enumerate(graph.nodes) for place in node.operands
        }

    def answer(self, position: int, layers: Sequence[Layer]) -> Gain | None:
        """The rule of an operation on the ball, where there is one and all of its operands are within reach."""
        self._follow(layers)
        node = self._graph.nodes[position]
        entering = self._reaches[node.operands[0]] if position in self._keep else None
        if entering is not None:
            self.kept[position] = entering
        if node.call is None:
            return None
        operands = [self._reaches[place] for place in node.operands]
        within = [operand for operand in operands if operand is not None]
        if len(within) < len(operands) or not all(math.isfinite(operand.radius) for operand in within):
            return None
        rule = RULES.get(node.call.operation, rules.activation)
        return rule(node.call, within)

    def _follow(self, layers: Sequence[Layer]) -> None:
        for position in range(len(self._reaches), len(layers)):
            self._values.append(self._value(position))
            self._reaches.append(self._reach(position, layers[position]))
            for place in self._graph.nodes[position].operands:
                if self._last_use[place] == position and place not in self._graph.outputs:
                    self._values[place] = None  # large networks: what nobody reads any more is let go
                    self._reaches[place] = None

    def _value(self, position: int) -> Any:  # noqa: ANN401
        node = self._graph.nodes[position]
        operands = [self._values[place] for place in node.operands]
        if any(value is None for value in operands) or node.problem is not None:
            return None
        if node.item is not None:
            return operands[0][node.item]
        assert node.call is not None
        with torch.no_grad():
            return action(node.call)(operands)

    def _reach(self, position: int, layer: Layer) -> Reach | None:
        node, value = layer.node, self._values[position]
        if value is None or layer.bound is None:
            return None
        operands = [self._reaches[place] for place in node.operands]
        within = [operand for operand in operands if operand is not None]
        if len(within) < len(operands):
            return None
        centre = parts(value)[0]
        # The constant of a convolution that a batch normalisation is multiplied into is that of both together.
        radius = math.inf if layer.fused else layer.bound * self._radius
        if node.item is not None:
            return Reach(centre, radius, self._all(centre, radius))
        return Reach(centre, radius, spread_of(node, within, centre, radius))

    @staticmethod
    def _all(centre: Tensor, radius: float) -> Tensor:
        return torch.full(centre.shape, radius, dtype=torch.float64)
