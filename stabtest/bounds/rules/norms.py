r"""Normalisation layers.

Batch normalisation at test time is affine, ``x -> gamma (x - mu) / sqrt(var + eps) + beta`` with stored ``mu``, ``var``:
norm ``max |gamma| / sqrt(var + eps)``; after a convolution that feeds nothing else it is multiplied into the kernel
(`fused_weight`), which is tighter.

Instance, layer and group normalisation divide by the standard deviation of the input: with ``P`` the removal of the mean,
``n`` entries, ``s(x)^2 = ||P x||^2 / n + eps`` and ``z = P x / s``, the Jacobian is ``gamma / s (P - z z^T / n)``. As
``||z||^2 <= n``, ``0 <= P - z z^T / n <= P``, so that its norm is at most ``max|gamma| / s <= max|gamma| / sqrt(eps)``,
reached at constant images. True, and useless in practice: about 316 for the customary ``eps = 1e-5``. RMS normalisation
is the same without ``P``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain, gain, unknown

_GLOBAL = "max|gamma| / sqrt(eps), reached at constant images"


def batch_slopes(call: Call) -> Tensor | None:
    """``gamma / sqrt(var + eps)`` for each channel in float64, or ``None`` in training mode."""
    mean, variance = call.get("running_mean"), call.get("running_var")
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor) or call.get("training", False):
        return None
    slopes = (variance.detach().to("cpu", torch.float64) + float(call["eps"])).rsqrt()
    weight = call.get("weight")
    return slopes * weight.detach().to("cpu", torch.float64) if isinstance(weight, Tensor) else slopes


def batch_norm(call: Call) -> Gain:
    """Affine at test time: the largest slope; unknown in training mode, where it depends on the batch."""
    if not call.only("input"):
        return unknown("its parameters depend on the input")
    slopes = batch_slopes(call)
    if slopes is None:
        return unknown("batch normalisation in training mode; call .eval()")
    largest = float(slopes.abs().max())
    return Gain((largest,), "max |gamma| / sqrt(var + eps)", first_output_only=True)


def fused_weight(weight: Tensor, slopes: Tensor, *, channel_axis: int, groups: int = 1) -> Tensor:
    """The kernel of ``batch_norm(conv(x))``, in float64.

    Parameters
    ----------
    weight
        Kernel of the convolution or transposed convolution.
    slopes
        ``(C_out,)`` from `batch_slopes`.
    channel_axis
        0 for a convolution ``(C_out, C_in / groups, ..)`` or a matrix, 1 for a transposed one ``(C_in, C_out / groups, ..)``.
    groups
        Number of blocks; matters for the transposed one.
    """
    exact = weight.detach().to("cpu", torch.complex128 if weight.is_complex() else torch.float64)
    if channel_axis == 0:
        return exact * slopes.reshape(-1, *([1] * (exact.ndim - 1)))
    blocks = exact.unflatten(0, (groups, -1))
    return (blocks * slopes.reshape(groups, 1, -1, *([1] * (exact.ndim - 2)))).flatten(0, 1)


def _by_statistics(call: Call, weight: Tensor | None, eps: float) -> Gain:
    size = 1.0 if weight is None else float(weight.detach().to(torch.float64).abs().max())
    if eps <= 0:
        return Gain((math.inf,), "no eps: not Lipschitz at constant images")
    return gain(size / math.sqrt(eps), _GLOBAL)


def layer_norm(call: Call) -> Gain:
    """Layer and group normalisation."""
    if not call.only("input"):
        return unknown("its parameters depend on the input")
    return _by_statistics(call, call.get("weight"), float(call["eps"]))


def rms_norm(call: Call) -> Gain:
    """Without the mean; PyTorch's default ``eps`` is the machine epsilon of the type."""
    if not call.only("input"):
        return unknown("its parameters depend on the input")
    eps = call.get("eps")
    return _by_statistics(call, call.get("weight"), float(torch.finfo(call.signals[0].dtype).eps if eps is None else eps))


def instance_norm(call: Call) -> Gain:
    """From the image's own statistics, or affine where it keeps running ones."""
    if not call.only("input"):
        return unknown("its parameters depend on the input")
    if call.get("use_input_stats", True):
        return _by_statistics(call, call.get("weight"), float(call["eps"]))
    slopes = batch_slopes(call)
    return (
        unknown("no running statistics") if slopes is None else gain(float(slopes.abs().max()), "max |gamma| / sqrt(var + eps)")
    )


RULES: dict[str, Callable[[Call], Gain]] = {
    "batch_norm": batch_norm,
    "_native_batch_norm_legit_no_training": batch_norm,
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "group_norm": layer_norm,
    "rms_norm": rms_norm,
}
"""Operation name -> rule."""
