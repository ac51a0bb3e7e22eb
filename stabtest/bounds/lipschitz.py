"""Upper bounds of a network's Lipschitz constant, with its layer table.

Every number is a true upper bound in exact arithmetic for inputs of the example's shape, or it is missing: what no rule
knows is *unknown* and makes the total unknown. What a bound rests on is in its ``assumptions``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stabtest.bounds.call import Call, Gain, Status
from stabtest.bounds.compose import Layer, compose, recombine
from stabtest.bounds.floor import floor
from stabtest.bounds.graph import Graph, trace
from stabtest.bounds.idioms import recognised
from stabtest.bounds.lattice.forms import Multipliers
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.several import PRODUCT, GlobalBound, Progress, failure_of_smallest, further_bounds, smallest
from stabtest.bounds.table import layer_rows, status_of
from stabtest.bounds.tied import tied
from stabtest.errors import BoundsError, StabtestError
from stabtest.findings.records import LayerRow

if TYPE_CHECKING:
    import pandas as pd

SMALL = 64
"""Side of the image on which multipliers are first sought."""

TOLERANCE = 1e-4
"""Relative excess of a lower over an upper bound that float32 rounding of the network can explain."""


@dataclass(frozen=True)
class LipschitzBound:
    """Lipschitz constant of a network between what was found and what is guaranteed.

    Parameters
    ----------
    upper
        ``||f(x) - f(x')|| <= upper ||x - x'||`` for all inputs of the example's shape; ``inf`` for a discontinuous
        operation, ``None`` = unknown.
    status
        ``"certified"``, ``"probabilistic"`` (with the failure probability in the assumptions), ``"infinite"`` or ``"unknown"``.
    rows
        The layer table. ``constant`` is that of the operation as a map of all its operands jointly (``sqrt 2`` for a sum
        of two), ``cumulative`` the bound from the network's input.
    assumptions
        What the bound rests on, in words.
    lower, lower_source
        A gain that was reached, where one is known.
    failure
        Probability that ``upper`` is not a bound.
    output_at_zero
        ``||f(0)||``, which bounds of scaled networks need.
    input_shape
        Shape of the inputs that the bound is for, the batch axis (1) included.
    bounds
        All that were computed, the product of the layers first; ``upper`` is the smallest.
    floor
        No bound that allows every activation pattern can go below this (`stabtest.bounds.floor`): it is not a lower bound of the
        constant, but says how much of the bracket is the method's. ``None`` where it was not sought.
    """

    upper: float | None
    status: Status
    rows: tuple[LayerRow, ...]
    assumptions: tuple[str, ...]
    lower: float | None = None
    lower_source: str = "none computed"
    failure: float = 0.0
    output_at_zero: float | None = None
    input_shape: tuple[int, ...] = ()
    bounds: tuple[GlobalBound, ...] = ()
    floor: float | None = None
    normalised: tuple[tuple[str, float], ...] = ()
    """The costliest layers, and what the product of the layers would be with that one's constant at most 1 (spectral normalisation)."""

    @property
    def layers(self) -> pd.DataFrame:
        """The layer table, one row an operation, columns as in `stabtest.findings.records.LayerRow`."""
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self.rows], columns=list(LayerRow.model_fields))

    @property
    def multipliers(self) -> Multipliers | None:
        """Of the semidefinite bound, to go on from (``start`` of `lipschitz`)."""
        return next((bound.multipliers for bound in self.bounds if bound.multipliers is not None), None)

    @property
    def costliest(self) -> tuple[LayerRow, ...]:
        """The three rows with the largest share of the total in log scale."""
        return tuple(sorted(self.rows, key=lambda row: -(row.log_share or 0.0))[:3])

    def with_lower(self, value: float, source: str) -> LipschitzBound:
        """The same bound with a gain that was reached.

        Raises
        ------
        BoundsError
            If it exceeds the upper bound: one of the two is wrong, which is a defect of the tool.
        """
        check_bracket(value, self.upper, source)
        return replace(self, lower=value, lower_source=source)


def check_bracket(lower: float, upper: float | None, source: str) -> None:
    """Stop where a measured gain contradicts a bound.

    Raises
    ------
    BoundsError
        If ``lower > upper`` beyond rounding, or ``lower`` is negative or not a number.

    Examples
    --------
    >>> check_bracket(2.0, 1.0, "Jacobian")
    Traceback (most recent call last):
    stabtest.errors.BoundsError: lower bound above the upper bound: expected at most 1; came 2 (Jacobian). Remedy: ...
    """
    if not lower >= 0:
        raise BoundsError("lower bound", expected="a number >= 0", came=str(lower))
    if upper is not None and lower > upper * (1 + TOLERANCE):
        raise BoundsError(
            "lower bound above the upper bound",
            expected=f"at most {upper:.6g}",
            came=f"{lower:.6g} ({source})",
            remedy="this is a defect of stabtest, or the network is not the one that was bounded; please report it",
        )


def lipschitz(
    module: nn.Module,
    example_input: Tensor,
    *,
    constants: Sequence[Any] = (),
    rules: Mapping[str, Callable[[Call], Gain]] | None = None,
    jacobian_steps: int = 8,
    seconds: float = 0.0,
    start: Multipliers | None = None,
    progress: Progress | None = None,
    generator: torch.Generator | None = None,
) -> LipschitzBound:
    """Bound ``||f(x) - f(x')|| / ||x - x'||`` over all ``x, x'`` of the example's shape, layer by layer.

    Parameters
    ----------
    module
        The network, in the mode it is used in (``.eval()``).
    example_input
        ``(B, ...)`` real or complex; the first image of it is used. The upper bound does not depend on its values; the
        lower one is the norm of the Jacobian there.
    constants
        Further positional arguments of ``forward``, held fixed.
    rules
        Rules for further operations by name, or in place of a built-in one: ``{"my_op": lambda call: gain(2.0, "why")}``.
    jacobian_steps
        Lanczos steps for the lower bound; 0 for none.
    seconds
        Processor time for smaller bounds than the product of the layers (`stabtest.bounds.several`); with 0 there is none of them and no
        floor.
    start
        ``multipliers`` of an earlier bound of the same network, from which the slowest of them goes on.
    progress
        Told where the slowest of them stands.
    generator
        Draws the fresh inputs on which the graph is checked against the network, and the start of the Lanczos iteration;
        seed 0 if not given.

    Returns
    -------
    LipschitzBound
        ``.upper .lower .status .rows .layers .assumptions``.

    Raises
    ------
    BoundsError
        If the example has no batch axis, or the Jacobian's norm exceeds the upper bound (a defect of the tool).

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    >>> _ = nn.init.constant_(network[0].weight, 0.5)
    >>> bound = lipschitz(network, torch.ones(1, 2))
    >>> round(bound.upper, 6), round(bound.lower, 6), bound.status
    (1.0, 1.0, 'certified')
    """
    if example_input.ndim < 2 or example_input.shape[0] < 1:
        raise BoundsError("example_input", expected="a batch (B, ...)", came=str(tuple(example_input.shape)))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    example = example_input[:1].detach()
    graph = recognised(trace(module, example, constants=constants, generator=generator))
    if graph.problem is not None:
        result = LipschitzBound(None, "unknown", (_whole(module, example, graph.problem),), (graph.problem,))
    else:
        layers, product = compose(graph, rules=rules)
        rows = layer_rows(layers)
        risk = min(1.0, sum(layer.gain.failure for layer in layers))
        bounds = (
            GlobalBound(PRODUCT, product, status_of(product, risk), "constants of the operations, multiplied", failure=risk),
            *further_bounds(
                graph,
                seconds=0.0 if rules else seconds,
                generator=generator,
                small=_smaller(module, example, constants, generator) if seconds > 0 else None,
                start=start,
                progress=progress,
            ),
        )
        best, failure = smallest(bounds), failure_of_smallest(bounds)
        assumptions = _assumptions(example, rows, rules, constants, failure, best.upper)
        result = LipschitzBound(
            best.upper,
            best.status,
            rows,
            (*assumptions, f"smallest of several bounds: {best.name}") if seconds > 0 else assumptions,
            failure=failure,
            bounds=bounds,
            normalised=_normalised(graph, layers),
        )
        if seconds > 0 and not rules:
            result = replace(result, floor=_floor(graph, example, seconds, generator))
    result = replace(result, output_at_zero=_at_zero(module, example, constants), input_shape=tuple(example.shape))
    lower = _jacobian_norm(module, example, constants, jacobian_steps, generator)
    return result if lower is None else result.with_lower(lower, f"Jacobian at the example, {jacobian_steps} Lanczos steps")


def _smaller(module: nn.Module, example: Tensor, constants: Sequence[Any], generator: torch.Generator) -> Graph | None:
    """The graph on the corner of a large image, where the network takes it."""
    if example.ndim != 4 or min(example.shape[-2:]) < 2 * SMALL:
        return None
    graph = recognised(trace(module, example[..., :SMALL, :SMALL], constants=constants, generator=generator))
    return graph if graph.problem is None else None


def _floor(graph: Graph, example: Tensor, seconds: float, generator: torch.Generator) -> float | None:
    """The largest norm of a Jacobian that was found over all activation patterns."""
    try:
        return floor(linear_replay(tied(graph)), image=example, seconds=seconds, generator=generator).value
    except BoundsError:
        return None


def _normalised(graph: Graph, layers: Sequence[Layer]) -> tuple[tuple[str, float], ...]:
    """What the product would be with one of the three costliest operations at constant 1."""
    costly = sorted(range(len(layers)), key=lambda place: -(layers[place].log_share or 0.0))[:3]
    found: list[tuple[str, float]] = []
    for place in costly:
        total = recombine(graph, layers, {place: 1.0})
        if total is not None and (layers[place].log_share or 0.0) > 0 and (layers[place].gain.constant or 0.0) > 1:
            found.append((layers[place].node.name, total))
    return tuple(found)


def _assumptions(
    example: Tensor,
    rows: Sequence[LayerRow],
    rules: Mapping[str, Callable[[Call], Gain]] | None,
    constants: Sequence[Any],
    failure: float,
    upper: float | None,
) -> tuple[str, ...]:
    words = [
        f"inputs of shape {tuple(example.shape)}, one image at a time",
        "exact arithmetic: rounding of the network's own float arithmetic is left out of account",
    ]
    if rules:
        words.append("rules given by the user for: " + ", ".join(sorted(rules)))
    if constants:
        words.append(f"{len(constants)} further argument(s) of forward held fixed")
    if failure:
        words.append(f"holds with probability at least 1 - {failure:.1e} over the random starts of the Lanczos iterations")
    if upper is None:
        words += [f"unknown: {row.name} ({row.operation}): {row.method}" for row in rows if row.status == "unknown"][:3]
    return tuple(words)


def _whole(module: nn.Module, example: Tensor, problem: str) -> LayerRow:
    """The one row of a network that has no graph."""
    return LayerRow(
        name=type(module).__name__,
        operation="network",
        input_shape=list(example.shape),
        output_shape=[],
        constant=None,
        status="unknown",
        method=problem,
        cumulative=None,
        log_share=None,
    )


def _jacobian_norm(
    module: nn.Module, example: Tensor, constants: Sequence[Any], steps: int, generator: torch.Generator
) -> float | None:
    """``||J v||`` after some Lanczos steps; ``None`` where the network carries no gradient or has several outputs."""
    if steps < 1:
        return None
    from stabtest.operators import Identity
    from stabtest.search.jacobian import jacobian_norm

    shape = example.shape[1:]
    space = Identity((1, math.prod(shape)), is_complex=example.is_complex())

    def flat(x: Tensor, _: object) -> Tensor:
        return module(x.reshape(-1, *shape), *constants)

    try:
        found = jacobian_norm(flat, space, example.reshape(1, 1, 1, -1), steps=steps, generator=generator)
    except (StabtestError, RuntimeError, TypeError, ValueError, AttributeError):
        return None
    value = float(found.sigma[0])
    return value if math.isfinite(value) else None


def _at_zero(module: nn.Module, example: Tensor, constants: Sequence[Any]) -> float | None:
    with torch.no_grad():
        out = module(torch.zeros_like(example), *constants)
    if not isinstance(out, Tensor):
        return None
    size = float(torch.linalg.vector_norm(out.detach().to(torch.complex128 if out.is_complex() else torch.float64)))
    return size if math.isfinite(size) else None
