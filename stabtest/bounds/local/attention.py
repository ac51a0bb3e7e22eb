r"""Products of matrices that both depend on the input, and attention, on a ball.

    ||U V - U' V'||_F <= ||V||_2 ||U - U'||_F + ||U'||_2 ||V - V'||_F,      ||U||_2 <= ||U_0||_2 + d,

the largest over the matrices of a batch. Attention is ``softmax(Q K^T s) V``. The scores move by at most ``s (||K||_2 ||dQ|| +
||Q||_2 ||dK||)`` and their softmax by half of that (`stabtest.bounds.rules.activations`). Weights ``P`` whose rows add up to 1 have
``||P||_2 <= (||P||_1 ||P||_inf)^1/2 <= sqrt(n)`` with ``n`` the number of queries, so that

    ||d out|| <= ||V||_2 s / 2 (||K||_2 ||dQ|| + ||Q||_2 ||dK||) + sqrt(n) ||dV||

(globally attention is not Lipschitz: H. Kim, G. Papamakarios, A. Mnih, *The Lipschitz constant of self-attention*, ICML 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from stabtest.bounds.call import Call, Gain
from stabtest.bounds.local.reach import Reach
from stabtest.bounds.local.rules import LocalRule, local_gain


def matrix_product(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``matmul``, ``mm``, ``bmm`` of two signals with the same batch axes."""
    if len(reaches) != 2:
        return None
    u, v = reaches
    if min(u.centre.ndim, v.centre.ndim) < 2 or u.centre.shape[:-2] != v.centre.shape[:-2]:
        return None
    return local_gain([_spectral(v), _spectral(u)], "||V||_2 ||dU|| + ||U||_2 ||dV|| on the ball")


def attention(call: Call, reaches: Sequence[Reach]) -> Gain | None:
    """``scaled_dot_product_attention`` of three signals."""
    if len(reaches) != 3 or float(call.get("dropout_p", 0.0)) > 0 or call.get("enable_gqa", False):
        return None
    query, key, value = reaches
    scale = call.get("scale")
    scale = 1 / math.sqrt(query.centre.shape[-1]) if scale is None else float(scale)
    half = abs(scale) / 2 * _spectral(value)
    factors = (half * _spectral(key), half * _spectral(query), math.sqrt(query.centre.shape[-2]))
    return local_gain(factors, "s/2 ||V|| (||K|| ||dQ|| + ||Q|| ||dK||) + sqrt(n) ||dV|| on the ball")


def _spectral(u: Reach) -> float:
    return float(torch.linalg.matrix_norm(u.centre, 2).max()) + u.radius


RULES: dict[str, LocalRule] = {
    **dict.fromkeys(("matmul", "mm", "bmm"), matrix_product),
    "scaled_dot_product_attention": attention,
}
"""Operation name -> rule on a ball."""
