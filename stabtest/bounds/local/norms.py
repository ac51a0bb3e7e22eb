r"""Normalisation by the input's own statistics, on a ball.

With ``P`` the removal of the mean over a group of ``n`` entries, ``s(u)^2 = ||P u||^2 / n + eps`` and the scale ``gamma`` behind it, the
Jacobian of the group has norm at most ``max|gamma| / s(u)`` (`stabtest.bounds.rules.norms`), and on the ball ``||P u|| >= ||P u_0|| - d``:

    max|gamma| / sqrt((||P u_0|| - d)_+^2 / n + eps),

the largest over the groups. Where everywhere the bound is about 316, at ``eps = 1e-5``, this is near the slope that an image of usual contrast has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stabtest.bounds.call import Call, Gain
from stabtest.bounds.local.reach import Reach
from stabtest.bounds.local.rules import LocalRule, local_gain

_METHOD = "max|gamma| / s, with s at least {:.3g} on the ball"


def instance_norm(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """Each channel of each image is a group."""
    if not call.only("input") or not call.get("use_input_stats", True):
        return None
    (u,) = reaches
    groups = u.centre.flatten(2)
    weight = call.get("weight")
    return _gain(groups, u.radius, float(call["eps"]), None if weight is None else weight.reshape(1, -1).abs())


def layer_norm(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """The last axes are a group."""
    if not call.only("input"):
        return None
    (u,) = reaches
    weight = call.get("weight")
    axes = len(call["normalized_shape"])
    return _gain(u.centre.flatten(-axes), u.radius, float(call["eps"]), None if weight is None else weight.abs().max())


def group_norm(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """So many channels are a group."""
    if not call.only("input"):
        return None
    (u,) = reaches
    count = int(call["num_groups"])
    weight = call.get("weight")
    largest = None if weight is None else weight.abs().reshape(1, count, -1).amax(-1)
    return _gain(u.centre.reshape(u.centre.shape[0], count, -1), u.radius, float(call["eps"]), largest)


def rms_norm(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """Without the mean."""
    if not call.only("input"):
        return None
    (u,) = reaches
    eps, weight = call.get("eps"), call.get("weight")
    eps = float(torch.finfo(call.signals[0].dtype).eps if eps is None else eps)
    axes = len(call["normalized_shape"])
    return _gain(u.centre.flatten(-axes), u.radius, eps, None if weight is None else weight.abs().max(), centred=False)


def _gain(groups: Tensor, radius: float, eps: float, weight: Tensor | None, *, centred: bool = True) -> Gain:
    """``groups`` with the entries of a group on the last axis; ``weight`` the largest ``|gamma|`` of each."""
    entries = groups.shape[-1]
    deviations = groups - groups.mean(-1, keepdim=True) if centred else groups
    least = (torch.linalg.vector_norm(deviations, dim=-1) - radius).clamp_min(0.0)
    s = (least.square() / entries + eps).sqrt()
    if not bool((s > 0).all()):
        return local_gain([math.inf], "a group may become constant on the ball, and there is no eps")
    size = torch.ones((), dtype=torch.float64) if weight is None else weight.detach().to("cpu", torch.float64)
    return local_gain([float((size / s).max())], _METHOD.format(float(s.min())), first_output_only=True)


RULES: dict[str, LocalRule] = {
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "rms_norm": rms_norm,
}
"""Operation name -> rule on a ball."""
