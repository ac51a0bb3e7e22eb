"""Functions that an exporter of graphs shows as one operation, whatever they are written in.

``torch.export`` follows tensors through Python. It cannot follow them through SciPy, through the loop of a solver that ends when a
residual is small, or through a table that is looked up by the input itself; nor is there a reason to, where more is known of the function as a
whole (it is linear; it is an inverse; its steepest slope) than of its parts. `step` calls such a function. While a graph is being recorded
(`recording`) the exporter sees a single operation instead, ``stabtest::opaque``, with the number of the function in a list that lives as
long as the recording; `Recording.function` gives the function back. Outside of a recording `step` is the plain call, derivatives of
any order included.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator

Function = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Opaque:
    """A function as a graph knows it.

    Parameters
    ----------
    name
        Of the kind of function; rules of bounds go by it.
    function
        ``(input, *constants) -> output``.
    settings
        What rules need beside the constants.
    """

    name: str
    function: Function
    settings: dict[str, Any]

    @property
    def _schema(self) -> Any:  # noqa: ANN401 - read like that of an operation of PyTorch
        return torch.ops.stabtest.opaque.default._schema  # pyright: ignore[reportPrivateUsage]

    def __call__(self, input: Tensor, constants: Sequence[Tensor], *_: Any) -> Tensor:  # noqa: ANN401
        """Run it; further arguments of the operation say nothing that it does not know."""
        return self.function(input, *constants)


@dataclass(frozen=True)
class Recording:
    """The functions that were met while a graph was recorded, in the order of their calls."""

    functions: list[Opaque] = field(default_factory=list[Opaque])


_CURRENT: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def recording() -> Generator[Recording]:
    """While this lasts, `step` is one operation of a graph."""
    token = _CURRENT.set(Recording())
    try:
        yield _now()
    finally:
        _CURRENT.reset(token)


def _now() -> Recording:
    current = _CURRENT.get()
    if current is None:
        raise RuntimeError("an opaque operation outside of the recording that made it")
    return current


def step(
    name: str,
    function: Function,
    x: Tensor,
    *constants: Tensor,
    shape: tuple[int, ...] | None = None,
    is_complex: bool | None = None,
    **settings: Any,  # noqa: ANN401
) -> Tensor:
    """``function(x, *constants)``, in a recording as one operation.

    Parameters
    ----------
    name
        Of the kind of function; rules of bounds go by it.
    function
        Must keep its input as it is and return a new tensor.
    x
        ``(B, ...)``.
    constants
        Tensors that the function needs beside, such as its parameters.
    shape
        Of the output without the batch axis; that of ``x`` if not given.
    is_complex
        Whether the output is; as ``x`` if not given.
    settings
        What rules need beside the constants.

    Examples
    --------
    >>> step("square", torch.square, torch.tensor([3.0]))
    tensor([9.])
    """
    current = _CURRENT.get()
    if current is None:
        return function(x, *constants)
    current.functions.append(Opaque(name, function, settings))
    out = tuple(x.shape[1:]) if shape is None else shape
    kind = x.is_complex() if is_complex is None else is_complex
    return torch.ops.stabtest.opaque(x, list(constants), len(current.functions) - 1, list(out), kind)


def _dtype(x: Tensor, is_complex: bool) -> torch.dtype:
    return x.dtype.to_complex() if is_complex and not x.is_complex() else x.dtype.to_real() if not is_complex else x.dtype


@torch.library.custom_op("stabtest::opaque", mutates_args=())
def _run(input: Tensor, constants: list[Tensor], which: int, shape: list[int], is_complex: bool) -> Tensor:
    out = _now().functions[which].function(input, *constants)
    return out.clone() if out.untyped_storage().data_ptr() == input.untyped_storage().data_ptr() else out


@_run.register_fake
def _(input: Tensor, constants: list[Tensor], which: int, shape: list[int], is_complex: bool) -> Tensor:
    return input.new_empty((input.shape[0], *shape), dtype=_dtype(input, is_complex))


class OpaqueOperator(LinearOperator):
    """A forward model whose maps are steps of a graph; everything else is that of the model itself.

    Parameters
    ----------
    operator
        The model.
    """

    def __init__(self, operator: LinearOperator) -> None:
        self._operator = operator
        self.domain, self.range = operator.domain, operator.range
        self._norm: float | None = None
        with suppress(OperatorError):  # before the recording: inside of it there are no numbers to compute with
            self._norm = operator.norm_bound()

    def forward(self, x: Tensor) -> Tensor:
        """``A x``."""
        return self._step("forward", x, self.range.shape, self.range.is_complex)

    def adjoint(self, y: Tensor) -> Tensor:
        """``A* y``."""
        return self._step("adjoint", y, self.domain.shape, self.domain.is_complex)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The direct reconstruction."""
        return self._step("pseudo_inverse", y, self.domain.shape, self.domain.is_complex)

    def _step(self, name: str, x: Tensor, shape: tuple[int, ...], is_complex: bool) -> Tensor:
        return step("linear_operator", getattr(self._operator, name), x, shape=shape, is_complex=is_complex, map=name)

    def restrict(self, e: Tensor) -> Tensor:
        """As the model."""
        return self._operator.restrict(e)

    def refine(self, factor: int) -> LinearOperator:
        """As the model."""
        return self._operator.refine(factor)

    def norm_bound(self) -> float:
        """As the model."""
        return self._operator.norm_bound() if self._norm is None else self._norm

    def describe(self) -> dict[str, str | int | float]:
        """As the model."""
        return self._operator.describe()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """What else the model has, such as its mask."""
        return getattr(self._operator, name)
