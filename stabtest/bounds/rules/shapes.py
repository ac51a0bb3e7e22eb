"""Operations that only copy entries: views, permutations, slices, padding, repetition, constant index lists, pixel shuffle.

Such a map sends entry ``i`` of its input to ``m_i`` places of its output (and fills the rest with constants), so that
``||h(u)||^2 = sum m_i |u_i|^2`` and its norm is *exactly* ``sqrt(max m_i)``. The multiplicities are had by replaying the
operation on the numbers ``1 .. n`` and counting what comes out: 1 for a permutation or a crop, 2 for reflect padding in
two dimensions, ``p + 1`` for replicate padding by ``p``, ``s`` for nearest-neighbour up-sampling by ``s``. No formula can
be wrong about a corner.

Assigning to a slice (``select_scatter`` and the like) is a concatenation of what stays and what is put in: squares add.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain, Signal, gain, unknown


def replay(call: Call, **values: Any) -> Any:  # noqa: ANN401
    """Run the operation with some of its arguments replaced, the others as they were."""
    schema = call.target._schema  # pyright: ignore[reportFunctionMemberAccess]
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for argument in schema.arguments:
        value = values.get(argument.name, call.arguments[argument.name])
        if argument.kwarg_only:
            named[argument.name] = value
        else:
            positional.append(value)
    with torch.no_grad():
        return call.target(*positional, **named)


def copies(call: Call) -> Gain:
    """Exact norm of an operation that copies entries, by counting."""
    name = "self" if "self" in call.arguments else "input"
    if not call.only(name):
        return unknown("positions depend on the input")
    signal = call.signals[0]
    labels = torch.arange(1, signal.size + 1, dtype=torch.float64).reshape(signal.shape)
    overrides: dict[str, Any] = {name: labels}
    if "value" in call.arguments:
        overrides["value"] = 0
    try:
        out = replay(call, **overrides)
    except (RuntimeError, NotImplementedError) as error:
        return unknown(f"could not be replayed on labels: {error}")
    outputs = [out] if isinstance(out, Tensor) else list(out)
    flat = torch.cat([part.reshape(-1) for part in outputs])
    counted = flat.to(torch.int64)
    if not bool((counted == flat).all()) or (flat.numel() and (int(counted.min()) < 0 or int(counted.max()) > signal.size)):
        return unknown("does not only copy entries")
    times = int(torch.bincount(counted, minlength=signal.size + 1)[1:].max()) if flat.numel() and signal.size else 0
    return gain(math.sqrt(times), "copies entries" if times == 1 else f"copies an entry up to {times} times: sqrt({times})")


def like_another(call: Call) -> Gain:
    """``self`` in the shape of ``other``, of which nothing but the shape is read."""
    source = call["self"]
    factors: list[float] = []
    if isinstance(source, Signal):
        factors.append(math.sqrt(math.prod(call.output_shape) / source.size) if source.size else 0.0)
    if isinstance(call["other"], Signal):
        factors.append(0.0)
    return Gain(tuple(factors), "shape of another tensor")


def isometry(call: Call) -> Gain:
    """Keeps or drops entries, never repeats them."""
    return gain(1.0, "isometry") if len(call.signals) == 1 else unknown("several operands")


def dropout(call: Call) -> Gain:
    """The identity at test time, random in training."""
    return unknown("random in training mode; call .eval()") if call.get("train", True) else isometry(call)


def conversion(call: Call) -> Gain:
    """Change of type: 1 between floating types (rounding left out of account), a jump to whole numbers and booleans."""
    if len(call.signals) != 1:
        return unknown("several operands")
    source, target = call.signals[0].dtype, call.get("dtype")
    if isinstance(target, torch.dtype) and not (target.is_floating_point or target.is_complex):
        continuous = not (source.is_floating_point or source.is_complex)
        return isometry(call) if continuous else Gain((math.inf,), "discontinuous: rounds to whole numbers")
    return isometry(call)


def concatenation(call: Call) -> Gain:
    """``||(u, v)||^2 = ||u||^2 + ||v||^2``."""
    return Gain(tuple(1.0 for _ in call.signals), "concatenation: squares add", combine="squares")


def assignment(call: Call) -> Gain:
    """``x[...] = v`` at constant places: what stays and what is put in are disjoint parts of the output."""
    return Gain(tuple(1.0 for _ in call.signals), "assignment to a part: squares add", combine="squares")


def broadcast_copy(call: Call) -> Gain:
    """``copy(self, src)``: ``src`` in the shape of ``self``, whose values are dropped."""
    signals = call.signals
    source = call["src"]
    if not isinstance(source, Signal):
        return Gain(tuple(0.0 for _ in signals), "overwritten by a constant")
    repeated = math.sqrt(math.prod(call.output_shape) / source.size) if source.size else 0.0
    dropped = (0.0,) * (len(signals) - 1)
    return Gain((*dropped, repeated), "overwritten by a copy")


# fmt: off
_COPIES = (
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "squeeze", "unsqueeze", "flatten", "unflatten",
    "ravel", "expand", "broadcast_to", "repeat", "tile", "slice", "select", "narrow", "split", "split_with_sizes",
    "tensor_split", "chunk", "unbind", "flip", "fliplr", "flipud", "roll", "rot90", "movedim", "moveaxis", "swapaxes",
    "swapdims", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "im2col", "unfold", "constant_pad_nd", "pad",
    "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d",
    "replication_pad3d", "index", "index_select", "gather", "take_along_dim", "tril", "triu", "diagonal", "fft_fftshift",
    "fft_ifftshift", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d", "repeat_interleave", "hsplit", "vsplit",
)
_ISOMETRIES = (
    "clone", "contiguous", "alias", "detach", "lift_fresh_copy", "view_as_real", "view_as_complex", "conj", "_conj",
    "conj_physical", "resolve_conj", "resolve_neg", "real", "imag", "neg", "negative", "positive",
)
# fmt: on

RULES: dict[str, Callable[[Call], Gain]] = {
    **dict.fromkeys(_COPIES, copies),
    **dict.fromkeys(_ISOMETRIES, isometry),
    **dict.fromkeys(("_to_copy", "to"), conversion),
    **dict.fromkeys(("expand_as", "view_as", "reshape_as"), like_another),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), concatenation),
    **dict.fromkeys(("slice_scatter", "select_scatter", "diagonal_scatter"), assignment),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), dropout),
    "copy": broadcast_copy,
}
"""Operation name -> rule."""
