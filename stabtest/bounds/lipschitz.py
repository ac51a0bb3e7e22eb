"""An upper bound of a network's Lipschitz constant, with its layer table.

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
from stabtest.bounds.compose import Layer, compose
from stabtest.bounds.graph import trace
from stabtest.errors import BoundsError
from stabtest.findings.records import LayerRow

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-4
"""Relative excess of a lower over an upper bound that float32 rounding of the network can explain."""

_BOOKKEEPING = frozenset({"alias", "detach", "contiguous", "clone", "lift_fresh_copy"})


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
    """

    upper: float | None
    status: Status
    rows: tuple[LayerRow, ...]
    assumptions: tuple[str, ...]
    lower: float | None = None
    lower_source: str = "none computed"
    failure: float = 0.0
    output_at_zero: float | None = None

    @property
    def layers(self) -> pd.DataFrame:
        """The layer table, one row an operation, columns as in `stabtest.findings.records.LayerRow`."""
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self.rows], columns=list(LayerRow.model_fields))

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
    lower: float | None = None,
    lower_source: str = "given",
    generator: torch.Generator | None = None,
) -> LipschitzBound:
    """Bound ``||f(x) - f(x')|| / ||x - x'||`` over all ``x, x'`` of the example's shape, layer by layer.

    Parameters
    ----------
    module
        The network, in the mode it is used in (``.eval()``).
    example_input
        ``(B, ...)`` real or complex; one image of it is used. Its values matter only for checking the graph.
    constants
        Further positional arguments of ``forward``, held fixed.
    rules
        Rules for further operations by name, or in place of a built-in one: ``{"my_op": lambda call: gain(2.0, "why")}``.
    lower, lower_source
        A gain that was reached, and where it is from.
    generator
        Draws the fresh inputs on which the graph is checked against the network.

    Returns
    -------
    LipschitzBound
        ``.upper .lower .status .rows .layers .assumptions``.

    Raises
    ------
    BoundsError
        If the example has no batch axis, or ``lower`` exceeds the upper bound.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    >>> _ = nn.init.constant_(network[0].weight, 0.5)
    >>> bound = lipschitz(network, torch.zeros(1, 2))
    >>> round(bound.upper, 6), bound.status
    (1.0, 'certified')
    """
    if example_input.ndim < 2 or example_input.shape[0] < 1:
        raise BoundsError("example_input", expected="a batch (B, ...)", came=str(tuple(example_input.shape)))
    example = example_input[:1].detach()
    graph = trace(module, example, constants=constants, generator=generator)
    if graph.problem is not None:
        whole = LayerRow(
            name=type(module).__name__,
            operation="network",
            input_shape=list(example.shape),
            output_shape=[],
            constant=None,
            status="unknown",
            method=graph.problem,
            cumulative=None,
            log_share=None,
        )
        return LipschitzBound(
            None, "unknown", (whole,), (graph.problem,), lower, lower_source if lower is not None else "none computed"
        )
    layers, upper = compose(graph, rules=rules)
    rows = tuple(_row(layer, layers) for layer in layers if _shown(layer))
    failure = min(1.0, sum(layer.gain.failure for layer in layers))
    status = _status(upper, failure)
    assumptions = [
        f"inputs of shape {tuple(example.shape)}, one image at a time",
        "exact arithmetic: rounding of the network's own float arithmetic is left out of account",
    ]
    if rules:
        assumptions.append("rules given by the user for: " + ", ".join(sorted(rules)))
    if constants:
        assumptions.append(f"{len(constants)} further argument(s) of forward held fixed")
    if failure:
        assumptions.append(
            f"holds with probability at least 1 - {failure:.1e} over the random starts of the Lanczos iterations"
        )
    if upper is None:
        assumptions += [f"unknown: {row.name} ({row.operation}): {row.method}" for row in rows if row.status == "unknown"][:3]
    result = LipschitzBound(
        upper, status, rows, tuple(assumptions), failure=failure, output_at_zero=_at_zero(module, example, constants)
    )
    return result if lower is None else result.with_lower(lower, lower_source)


def _at_zero(module: nn.Module, example: Tensor, constants: Sequence[Any]) -> float | None:
    with torch.no_grad():
        out = module(torch.zeros_like(example), *constants)
    if not isinstance(out, Tensor):
        return None
    size = float(torch.linalg.vector_norm(out.detach().to(torch.complex128 if out.is_complex() else torch.float64)))
    return size if math.isfinite(size) else None


def _status(value: float | None, failure: float) -> Status:
    if value is None:
        return "unknown"
    if math.isinf(value):
        return "infinite"
    return "probabilistic" if failure else "certified"


def _shown(layer: Layer) -> bool:
    node = layer.node
    if node.problem is not None:
        return True
    if node.call is None:
        return node.item is not None and layer.gain.factors is None
    return node.call.operation not in _BOOKKEEPING


def _row(layer: Layer, layers: Sequence[Layer]) -> LayerRow:
    node = layer.node
    constant = layer.gain.constant if node.operands else None
    return LayerRow(
        name=node.name,
        operation=node.call.operation.removeprefix("_native_").removesuffix("_legit_no_training") if node.call else "output",
        input_shape=list(layers[node.operands[0]].node.shape) if node.operands else [],
        output_shape=list(node.shape),
        constant=constant,
        status=_status(constant, layer.gain.failure),
        method=layer.gain.method,
        cumulative=layer.bound,
        log_share=layer.log_share,
    )
