"""What a rule sees and what it answers.

A network is replayed as a graph of operations. For one operation, the tensors that depend on the network's input are
replaced by `Signal`; everything else (weights, masks, numbers) is there with its value. A rule is a plain function ``Call
-> Gain``. For operands ``u_1 .. u_m`` that depend on the input, with Lipschitz constants ``l_1 .. l_m`` from the
network's input, it answers factors ``g_1 .. g_m`` and how they combine:

- ``"sum"``: ``||h(u) - h(u')|| <= sum_i g_i ||u_i - u'_i||``, so that ``l = sum_i g_i l_i`` (sums of maps);
- ``"squares"``: ``||h(u) - h(u')||^2 <= sum_i g_i^2 ||u_i - u'_i||^2``, so that ``l = sqrt(sum_i (g_i l_i)^2)``
  (concatenation and parallel maps).

All norms are Euclidean over the whole tensor; a complex number is a pair of real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

Status: TypeAlias = Literal["certified", "probabilistic", "on a ball", "infinite", "unknown"]


@dataclass(frozen=True)
class Signal:
    """Stand-in for a tensor that depends on the network's input.

    Parameters
    ----------
    shape
        Shape of the tensor, the batch axis included.
    dtype
        Its type.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Call:
    """One operation of the graph.

    Parameters
    ----------
    operation
        Name of the operation without name space and overload, e.g. ``"conv2d"``.
    target
        The callable itself, e.g. ``torch.ops.aten.conv2d.default``.
    arguments
        All arguments by their name in the operation's schema, defaults included; a tensor that depends on the input is a
        `Signal`, alone or in a list.
    output_shape
        Shape of the (first) output.
    """

    operation: str
    target: Callable[..., Any]
    arguments: dict[str, Any]
    output_shape: tuple[int, ...]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - an argument of an operation can be anything
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """An argument, or ``default`` where the schema does not have it."""
        return self.arguments.get(name, default)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The operands that depend on the input, in the order of the schema; one that occurs twice is there twice."""
        return tuple(_signals(self.arguments.values()))

    def only(self, name: str) -> bool:
        """Whether the argument ``name`` is the one and only operand that depends on the input."""
        return isinstance(self.arguments.get(name), Signal) and len(self.signals) == 1


def _signals(values: Any) -> Iterator[Signal]:  # noqa: ANN401
    for value in values:
        if isinstance(value, Signal):
            yield value
        elif isinstance(value, list | tuple):
            yield from _signals(value)


@dataclass(frozen=True)
class Gain:
    """What a rule answers; see the module's text for the meaning of ``factors`` and ``combine``.

    Parameters
    ----------
    factors
        One number for each of `Call.signals`; ``inf`` for a discontinuous operation; ``None`` = unknown.
    method
        Formula or source, for the table.
    combine
        ``"sum"`` or ``"squares"``.
    status
        ``"certified"`` or ``"probabilistic"``; infinite and unknown follow from the factors.
    failure
        Probability that a probabilistic factor is not a bound.
    first_output_only
        Whether an operation with several outputs answers for the first alone (the others are then unknown).
    """

    factors: tuple[float, ...] | None
    method: str
    combine: Literal["sum", "squares"] = "sum"
    status: Status = "certified"
    failure: float = 0.0
    first_output_only: bool = False

    @property
    def constant(self) -> float | None:
        """Lipschitz constant of the operation as a map of all its operands jointly.

        ``sqrt(sum g_i^2)`` for sums (Cauchy-Schwarz), ``max g_i`` for concatenations.
        """
        if self.factors is None:
            return None
        return max(self.factors, default=0.0) if self.combine == "squares" else math.hypot(*self.factors)


Rule: TypeAlias = Callable[[Call], Gain]


def gain(factor: float, method: str, *, status: Status = "certified", failure: float = 0.0) -> Gain:
    """Answer for an operation with a single operand."""
    return Gain((factor,), method, status=status, failure=failure)


def unknown(reason: str) -> Gain:
    """Nothing can be said; absorbs all that follows and is never replaced by 1."""
    return Gain(None, reason, status="unknown")


def discontinuous(call: Call) -> Gain:
    """A jump has no Lipschitz constant."""
    return Gain(tuple(math.inf for _ in call.signals), "discontinuous")
