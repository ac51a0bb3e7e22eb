r"""A search in half the memory: the network in bfloat16, everything else in single precision.

PyTorch's autocast runs convolutions and matrix products in bfloat16 (8 bits of fraction, the exponents of float32: S. Wang, P. Kanwar,
*BFloat16: the secret to high performance on Cloud TPUs*, Google 2019), what is sensitive in float32; weights, variable, gradient and
objective stay in float32. A direction of ascent needs no more. Values do: near a maximum they differ by less than the
rounding of bfloat16. So a witness is always scored again in float32 (`stabtest.search.verify`); ``benchmarks/search_memory.py`` has
what the rounding costs.

There are no complex numbers of that kind, ``torch.complex`` and the Fourier transforms take none as their parts, and sparse matrices,
with which tomography projects, have no products with them; all that stays in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from stabtest.errors import SearchError

T = TypeVar("T")
Precision = Literal["float32", "bfloat16"]
"""``"float32"``: the network runs as it is. ``"bfloat16"``: under autocast."""

_WITHOUT_KERNEL: frozenset[Callable[..., Any]] = frozenset(
    [torch.complex, torch.view_as_complex, torch.polar]
    + [getattr(torch.fft, name) for name in torch.fft.__all__ if "fft" in name and "freq" not in name and "shift" not in name]
)


class _FloatParts(TorchFunctionMode):
    """Parts of complex numbers, and what a sparse matrix is multiplied by, in float32, wherever in a network they occur."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if func in _WITHOUT_KERNEL:
            return func(*map(widened, args), **{name: widened(value) for name, value in (kwargs or {}).items()})
        sparse = [arg for arg in args if isinstance(arg, Tensor) and arg.layout != torch.strided]
        if sparse:
            with torch.autocast(sparse[0].device.type, enabled=False):
                return func(*map(widened, args), **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def check_precision(precision: str) -> None:
    """Raise `SearchError` for a word that is not a `Precision`."""
    if precision not in get_args(Precision):
        raise SearchError("precision", expected=" or ".join(map(repr, get_args(Precision))), came=repr(precision))


def forward_in(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass.

    Examples
    --------
    >>> a, device = torch.ones(2, 2), torch.device("cpu")
    >>> with joined_in("bfloat16"), forward_in("bfloat16", device):
    ...     (a @ a).dtype, torch.complex(a @ a, a @ a).dtype
    (torch.bfloat16, torch.complex64)
    """
    return nullcontext() if precision == "float32" else torch.autocast(device.type, dtype=torch.bfloat16)


def joined_in(precision: Precision) -> AbstractContextManager[Any]:
    """The context of a forward and its backward: what has no bfloat16 stays in float32, in what a backward recomputes too."""
    return nullcontext() if precision == "float32" else _FloatParts()


def widened(value: T) -> T | Tensor:
    """A bfloat16 tensor in float32; anything else as it is."""
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
