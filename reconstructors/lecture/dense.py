r"""Dense networks from a node descriptor ``(N_0, N_1, ..., N_L)``: ReLU, deep spline, threshold logic (M. Unser's lecture).

``x_l = s_l(W_l x_{l-1} + b_l)`` with ``W_l`` of ``N_l x N_{l-1}``; nothing after the last layer.

- *ReLU*: ``sum_l N_l (N_{l-1} + 1)`` parameters. Continuous and piecewise linear, ``Lip <= prod_l ||W_l||``.
- *Deep spline*: each hidden neuron has an activation of its own, ``s(u) = b_0 + b_1 u + sum_k a_k max(0, u - t_k)`` with knots ``t_k``
  (`reconstructors.splines`). Its constant is ``max_k |b_1 + a_1 + ... + a_k|``, the steepest piece.
- *Threshold logic*: Heaviside's step (W. McCulloch, W. Pitts, 1943; F. Rosenblatt, 1958). It jumps: no finite Lipschitz constant, and a
  gradient that is zero wherever it exists, so that no search by gradients finds the jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from reconstructors.splines import LinearSpline
from stabtest.errors import ConfigError


class Heaviside(nn.Module):
    """1 where the input is not negative, else 0."""

    def forward(self, u: Tensor) -> Tensor:
        """Entry by entry."""
        return (u >= 0).to(u.dtype)


def dense(nodes: Sequence[int], *, activation: str = "relu", seed: int = 0) -> nn.Sequential:
    """A dense network, ``(B, N_0) -> (B, N_L)``, with random weights of a seed (uniform within ``1 / sqrt N_{l-1}``).

    Parameters
    ----------
    nodes
        The node descriptor.
    activation
        ``"relu"``, ``"spline"`` or ``"heaviside"``.
    seed
        Of the weights.

    Raises
    ------
    ConfigError
        If the descriptor has fewer than two entries or one below 1, or there is no such activation.

    Examples
    --------
    >>> sum(parameter.numel() for parameter in dense((2, 4, 3, 2)).parameters())
    35
    """
    if len(nodes) < 2 or min(nodes) < 1:
        raise ConfigError("dense: nodes", expected="two or more positive numbers", came=str(tuple(nodes)))
    makers = {"relu": lambda _: nn.ReLU(), "spline": LinearSpline, "heaviside": lambda _: Heaviside()}
    if activation not in makers:
        raise ConfigError("dense: activation", expected=f"one of {', '.join(makers)}", came=repr(activation))
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for source, target in pairwise(nodes):
        linear = nn.utils.skip_init(nn.Linear, source, target)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.uniform_(-(source**-0.5), source**-0.5, generator=generator)
        layers += [linear, makers[activation](target)]
    return nn.Sequential(*layers[:-1])
