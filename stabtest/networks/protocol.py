"""What a reconstruction method is: any callable ``f(y, A) -> image``.

The whole project speaks to methods through this one signature. A classical method, a network of the zoo and a wrapped user
network differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from stabtest.operators.base import LinearOperator

Network = Callable[..., Any]
"""What a factory returns and `wrap` takes: an ``nn.Module`` or any other callable on tensors."""


@runtime_checkable
class Reconstructor(Protocol):
    """A reconstruction method.

    A method that returns magnitudes where the operator's images are complex says so by an attribute
    ``magnitude = True`` (see `stabtest.networks.magnitude`).
    """

    def __call__(self, y: Tensor, operator: LinearOperator, /) -> Tensor:
        """Reconstruct.

        Parameters
        ----------
        y
            Measurements, ``(B, *operator.range.shape)``.
        operator
            The forward model that they came from.

        Returns
        -------
        Tensor
            Images ``(B, *operator.domain.shape)``; differentiable with respect to ``y`` where a gradient search is to
            be possible.
        """
        ...
