"""How somebody else's operator is called: which methods, which arrays, which shape, which precision.

Programs write ``A x`` in many ways. What is taken: an object with one of the pairs of methods `PAIRS`, an object that can be called and
has ``adjoint``, or two functions; of PyTorch tensors or NumPy arrays; of a batch ``(B, 1, H, W)``, of a batch of real and imaginary parts
``(B, 2, H, W)``, of one image ``(H, W)``, or of one vector ``(H W,)``. `probe` finds out by calling it on two random images. Where several
shapes are accepted and give different measurements (``x.sum(axis=1)`` of a batch and of an image), nothing is guessed: the layout
has to be said.

Inside, no gradient is recorded: that of a linear map is its adjoint (`stabtest.operators.own`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from stabtest.errors import OperatorError
from stabtest.operators.base import Space

Layout = Literal["batch", "image", "flat", "real-imag"]
Arrays = Literal["torch", "numpy"]
PAIRS = (("A", "A_adjoint"), ("forward", "adjoint"), ("matvec", "rmatvec"))
"""Names of the methods, in this order: the ``forward`` of deepinv's physics adds noise, its ``A`` does not."""

AGREE = 1e-3
"""Relative difference up to which two layouts give the same measurement; what single precision does is below."""


@dataclass(frozen=True, eq=False)
class Pair:
    """The two maps of a user's object.

    Parameters
    ----------
    forward, adjoint
        What is called.
    names
        Of both, for the report.
    module
        The object if it is a PyTorch module, which follows the device of its input.
    device
        Where it computes, if it has a device of its own; otherwise that of its input.
    """

    forward: Callable[[Any], Any]
    adjoint: Callable[[Any], Any]
    names: str
    module: nn.Module | None = None
    device: torch.device | None = None


@dataclass(frozen=True, eq=False)
class Calls:
    """How an operator is called, as found by `probe`.

    Parameters
    ----------
    pair
        The two maps.
    arrays
        What they take.
    layout
        Shape of what they take, see the module.
    precisions
        The precisions that they compute in, the finest first.
    domain, range
        Images ``(1, H, W)`` and measurements.
    """

    pair: Pair
    arrays: Arrays
    layout: Layout
    precisions: tuple[torch.dtype, ...]
    domain: Space
    range: Space

    def forward(self, x: Tensor) -> Tensor:
        """``A x`` of a batch, without a gradient: ``(B, 1, H, W)`` to ``(B, *range.shape)``."""
        return self._run(self.pair.forward, _laid_out(x.detach(), self.layout), x, self.range)

    def adjoint(self, y: Tensor) -> Tensor:
        """``A* y`` of a batch, without a gradient: ``(B, *range.shape)`` to ``(B, 1, H, W)``."""
        return self._run(self.pair.adjoint, y.detach(), y, self.domain)

    def _run(self, function: Callable[[Any], Any], v: Tensor, like: Tensor, space: Space) -> Tensor:
        real = torch.empty(0, dtype=v.dtype).real.dtype
        # NumPy rounds sums of single precision carelessly; on a GPU double precision is what costs.
        precision = real if self.arrays == "torch" and real in self.precisions else self.precisions[0]
        if self.arrays == "torch" and self.pair.module is not None:
            self.pair.module.to(v.device)
        elif self.arrays == "numpy":
            v = v.cpu()
        elif self.pair.device is not None:
            v = v.to(self.pair.device)
        found = _call(function, _cast(v, precision), self.arrays, self.layout)
        return _fit(found, len(like), space, real, layout=self.layout).to(like.device)


def pair_of(thing: object) -> Pair:
    """The two maps of a user's object.

    Parameters
    ----------
    thing
        An object with the methods of `PAIRS`, one that can be called and has ``adjoint``, or two functions.

    Raises
    ------
    OperatorError
        If it has no such maps.

    Examples
    --------
    >>> pair_of((np.sin, np.cos)).names
    'two functions'
    """
    if isinstance(thing, tuple | list) and len(thing) == 2 and all(map(callable, thing)):  # pyright: ignore[reportUnknownArgumentType]
        return Pair(thing[0], thing[1], "two functions")  # pyright: ignore[reportUnknownArgumentType]
    module = thing if isinstance(thing, nn.Module) else None
    named = getattr(thing, "device", None)
    device = torch.device(named) if module is None and isinstance(named, str | torch.device) else None
    for forward, adjoint in PAIRS:
        if callable(getattr(thing, forward, None)) and callable(getattr(thing, adjoint, None)):
            return Pair(getattr(thing, forward), getattr(thing, adjoint), f"{forward}, {adjoint}", module, device)
    if callable(thing) and callable(getattr(thing, "adjoint", None)):
        return Pair(thing, getattr(thing, "adjoint"), "call, adjoint", module, device)  # noqa: B009
    raise OperatorError(
        f"own operator: {type(thing).__name__}",
        expected="methods " + " or ".join(f"{a}(x) and {b}(y)" for a, b in PAIRS) + ", or two functions",
        came="neither",
        remedy="write a small class with forward(x) and adjoint(y)",
    )


def probe(
    thing: object,
    shape: tuple[int, int],
    *,
    is_complex: bool,
    layout: Layout | None = None,
    generator: torch.Generator,
) -> Calls:
    """Find out how an operator is called.

    Parameters
    ----------
    thing
        See `pair_of`.
    shape
        ``(H, W)`` of the images.
    is_complex
        Whether images are complex.
    layout
        The shape it takes, where it is known.
    generator
        Draws the images.

    Returns
    -------
    Calls

    Raises
    ------
    OperatorError
        If it fails on every kind of array and shape, or takes several shapes and gives different measurements.

    Examples
    --------
    >>> class Rows:
    ...     def forward(self, x):
    ...         return x.sum(axis=1)
    ...     def adjoint(self, y):
    ...         return np.repeat(y[:, None], 3, axis=1)
    >>> found = probe(Rows(), (2, 3), is_complex=False, layout="image", generator=torch.Generator().manual_seed(0))
    >>> found.arrays, found.range.shape, str(found.precisions[0])
    ('numpy', (2,), 'torch.float64')
    """
    pair, domain = pair_of(thing), Space((1, *shape), is_complex=is_complex)
    layouts: tuple[Layout, ...] = (layout,) if layout is not None else get_args(Layout)
    # Much code for arrays half works on tensors; code for tensors refuses arrays.
    kinds: tuple[Arrays, ...] = ("torch", "numpy") if pair.module is not None else ("numpy", "torch")
    x = domain.randn(2, generator=generator, dtype=torch.float64)
    problems: list[str] = []
    for precision in (torch.float64, torch.float32):
        for arrays in kinds:
            taken: list[tuple[Calls, Tensor]] = []
            for each in layouts:
                if each == "real-imag" and (not is_complex or arrays == "numpy" or taken):
                    continue
                try:
                    taken.append(_attempt(pair, domain, arrays, each, precision, x))
                except Exception as error:  # whatever a user's code raises means that this is not how it is called
                    problems.append(f"{arrays}, {each}: {str(error).split(chr(10))[0][:120] or type(error).__name__}")
            if taken:
                return _finer(_unambiguous(taken), x)
    raise OperatorError(
        f"own operator: {type(thing).__name__} fails on images {shape}",
        expected="PyTorch tensors or NumPy arrays of shape (B, 1, H, W), (H, W) or (H W,)"
        + (", complex" if is_complex else ", real"),
        came="; ".join(dict.fromkeys(problems)),
        remedy="call it by itself; set [operator] complex and size as its images are",
    )


def _attempt(
    pair: Pair, domain: Space, arrays: Arrays, layout: Layout, precision: torch.dtype, x: Tensor
) -> tuple[Calls, Tensor]:
    """Call both maps in one way; what comes back has to be of the same kind, one result for each image."""
    raw = _call(pair.forward, _cast(_laid_out(x, layout), precision), arrays, layout)
    if raw.ndim < 2 or raw.shape[0] != len(x) or raw.numel() == 0:
        raise OperatorError("forward", expected=f"a measurement for each of {len(x)} images", came=str(tuple(raw.shape)))
    if not bool(torch.isfinite(raw).all()):
        raise OperatorError("forward", expected="finite numbers", came="NaN or infinity")
    calls = Calls(pair, arrays, layout, (precision,), domain, Space(tuple(raw.shape[1:]), is_complex=raw.is_complex()))
    y = _fit(raw, len(x), calls.range, torch.float64, layout=layout)
    calls.adjoint(y)
    # A map that gives single precision for double computes in single.
    given = torch.empty(0, dtype=raw.dtype).real.dtype
    lower = precision == torch.float64 and given == torch.float32
    return Calls(pair, arrays, layout, (torch.float32 if lower else precision,), domain, calls.range), y


def _unambiguous(taken: list[tuple[Calls, Tensor]]) -> Calls:
    """The first way that works, if all that work give the same measurements."""
    calls, first = taken[0]
    flat = first.flatten(1)
    for other, y in taken[1:]:
        again = y.flatten(1)
        if flat.shape != again.shape or bool((flat - again).norm() > AGREE * flat.norm()):
            raise OperatorError(
                "own operator: layout",
                expected="the same measurements of a batch as of single images",
                came=f"other ones for {calls.layout!r} than for {other.layout!r}",
                remedy=f'say which it takes: [operator] layout = "{calls.layout}" or "{other.layout}"',
            )
    return calls


def _finer(calls: Calls, x: Tensor) -> Calls:
    """With single precision beside double, where it is taken as well."""
    if calls.precisions[0] != torch.float64:
        return calls
    try:
        _attempt(calls.pair, calls.domain, calls.arrays, calls.layout, torch.float32, x)
    except Exception:
        return calls
    return Calls(calls.pair, calls.arrays, calls.layout, (torch.float64, torch.float32), calls.domain, calls.range)


def _laid_out(x: Tensor, layout: Layout) -> Tensor:
    """Images ``(B, 1, H, W)`` as the operator takes them, the batch still in front."""
    match layout:
        case "batch":
            return x
        case "real-imag":
            return torch.cat([x.real, x.imag], 1)
        case "image":
            return x[:, 0]
        case "flat":
            return x.flatten(1)


def _call(function: Callable[[Any], Any], v: Tensor, arrays: Arrays, layout: Layout) -> Tensor:
    """Call a map on a batch, at once or one by one; always on a copy, so that it may write into what it gets."""
    with torch.no_grad():
        if layout in ("batch", "real-imag"):
            return _result(function(_given(v, arrays)), arrays)
        return torch.stack([_result(function(_given(one, arrays)), arrays) for one in v])


def _given(v: Tensor, arrays: Arrays) -> Any:  # noqa: ANN401
    return v.clone().contiguous() if arrays == "torch" else np.array(v.resolve_conj().numpy())


def _result(value: object, arrays: Arrays) -> Tensor:
    """What a map returned, copied: it may be a buffer that the next call writes into."""
    if arrays == "torch":
        if not isinstance(value, Tensor):
            raise OperatorError("result", expected="a tensor", came=type(value).__name__)
        found = value.detach().clone().resolve_conj()
    else:
        if isinstance(value, Tensor) or not isinstance(value, np.ndarray | np.generic):
            raise OperatorError("result", expected="an array", came=type(value).__name__)
        found = torch.from_numpy(np.array(value))
    if not (found.is_floating_point() or found.is_complex()):
        raise OperatorError("result", expected="real or complex numbers", came=str(found.dtype))
    return found


def _cast(v: Tensor, real: torch.dtype) -> Tensor:
    return v.to((torch.complex128 if real == torch.float64 else torch.complex64) if v.is_complex() else real)


def _fit(found: Tensor, batch: int, space: Space, real: torch.dtype, *, layout: Layout) -> Tensor:
    """A result as an element of a space; of complex numbers in a real space the real part (the adjoint's other part is lost in ``Re <x, .>``)."""
    if layout == "real-imag" and space.is_complex and not found.is_complex() and found.shape[1:2] == (2,):
        found = torch.complex(found[:, :1].contiguous(), found[:, 1:].contiguous())
    if found.shape[0] != batch or found[0].numel() != int(np.prod(space.shape)):
        raise OperatorError(
            "own operator: wrong shape of a result",
            expected=f"{batch} x {space.shape}",
            came=str(tuple(found.shape)),
        )
    found = found.reshape(batch, *space.shape)
    if found.is_complex() and not space.is_complex:
        found = found.real
    elif space.is_complex and not found.is_complex():
        found = found + 0j
    return found.to(space.dtype(real))
