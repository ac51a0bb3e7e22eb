r"""What the search makes large: a number per image, from the perturbed reconstruction.

An objective is any callable ``reconstruction (B, 1, H, W) -> (B,)`` that PyTorch can differentiate. The two built-in
ones are distances, ``||f(y+e) - c||`` to a fixed image ``c``: the clean reconstruction ``f(y)`` (how much does the network
move?) or the truth ``x`` (how wrong does it become?). The first is the objective of V. Antun et al., PNAS 117 (2020), the
second that of M. Genzel, J. Macdonald, M. März, *Solving inverse problems with deep neural networks: robustness included?*,
IEEE TPAMI 45 (2023).

Distances, not their squares: the direction of ascent is the same and single precision loses less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stabtest import tensors

Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class DistanceToClean:
    """``||f(y+e) - f(y)||`` for each image.

    At ``e = 0`` it is zero and so is its gradient: a search must start elsewhere (`stabtest.search.starts`).

    Parameters
    ----------
    clean
        ``f(y)``, shape ``(B, 1, H, W)``.

    Examples
    --------
    >>> import torch
    >>> DistanceToClean(torch.zeros(1, 1, 1, 2))(torch.tensor([[[[3.0, 4.0]]]]))
    tensor([5.])
    """

    clean: Tensor

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The distance, shape ``(B,)``."""
        return tensors.norm(reconstruction - self.clean)


@dataclass(frozen=True)
class DistanceToTruth:
    """``||f(y+e) - x||`` for each image.

    Parameters
    ----------
    truth
        ``x``, shape ``(B, 1, H, W)``.
    """

    truth: Tensor

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The distance, shape ``(B,)``."""
        return tensors.norm(reconstruction - self.truth)
