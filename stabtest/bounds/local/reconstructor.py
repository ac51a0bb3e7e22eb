"""A whole reconstructor on balls around one measurement: forward model, scaling, network, data consistency in one graph.

For those whose network has no useful constant everywhere (normalisation by the image's own statistics, attention, division inside):
everything between measurement and image is followed on the ball (`stabtest.bounds.local.ball`). What does not export, such as a
projector that is not made of PyTorch's operations, leaves the bound unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stabtest.bounds.local.ball import BallBound, lipschitz_on_ball
from stabtest.operators.base import LinearOperator


class Whole(nn.Module):
    """``y -> f(y, A)`` as a module, with that of the network as a part of it."""

    def __init__(self, reconstruct: Callable[[Tensor, LinearOperator], Tensor], operator: LinearOperator) -> None:
        super().__init__()
        module = getattr(reconstruct, "module", None)
        if isinstance(module, nn.Module):
            self.network = module
        self._reconstruct, self._operator = reconstruct, operator

    def forward(self, y: Tensor) -> Tensor:
        """Images ``(B, 1, H, W)`` from measurements ``(B, *range)``."""
        return self._reconstruct(y, self._operator)


def reconstructor_on_ball(
    reconstruct: Callable[[Tensor, LinearOperator], Tensor],
    operator: LinearOperator,
    y: Tensor,
    *,
    radius: Sequence[float],
    generator: torch.Generator | None = None,
) -> list[BallBound]:
    """Bound ``||f(y + e) - f(y + e')|| / ||e - e'||`` for ``||e||, ||e'||`` up to each radius.

    Parameters
    ----------
    reconstruct, operator
        ``f`` and the forward model.
    y
        One measurement, ``(1, *range)``.
    radius
        Euclidean radii.
    generator
        As in `stabtest.bounds.lipschitz_on_ball`.

    Examples
    --------
    A network that divides by the image's largest value and multiplies again has no bound operation by operation, but on a ball:

    >>> from stabtest import networks
    >>> from stabtest.operators import Identity
    >>> f = networks.wrap(nn.InstanceNorm2d(1), scale="max")
    >>> y = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    >>> [bound.status for bound in reconstructor_on_ball(f, Identity((4, 4)), y, radius=[0.01, 10.0])]
    ['on a ball', 'unknown']
    """
    return lipschitz_on_ball(Whole(reconstruct, operator), y, radius=list(radius), generator=generator)
