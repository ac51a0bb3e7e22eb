r"""Variational network: unrolled gradient steps with learned filters and activations.

K. Hammernik, T. Klatzer, E. Kobler, M. P. Recht, D. K. Sodickson, T. Pock, F. Knoll, *Learning a variational network for reconstruction of
accelerated MRI data*, MRM 79(6), 2018. From the zero-filled image ``x_0``, stage ``t`` of ``T`` goes down the gradient of a "fields of
experts" prior and of the data term:

    x_t+1 = x_t - 1/I sum_i K_it^T phi_it(K_it x_t) - w_t A* (A x_t - y).

``K_it`` convolves real and imaginary part with a kernel each and adds them up; ``K_it^T`` is its exact adjoint. As in the paper, each
kernel has mean zero (in each part) and norm at most 1, so that ``K`` does not see the level of the image and cannot grow at the
expense of ``phi``. Where the paper projects after every step, here the kernel is computed from the parameter by that projection. ``w_t > 0``
and the activations ``phi_it`` are learned, ``phi_it`` as linear splines on 31 knots (`reconstructors.splines`) in the place of the paper's
31 Gaussians, from the identity on. The mean over the ``I`` filters and ``w_t = 1`` at first are those of the authors' code.

The paper has ``T = 10``, ``I = 48`` kernels of 11 x 11 (its authors' code 24) and reflects the image at its border; here the kernels are
smaller, for training on a CPU, and the image is continued by zeros.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reconstructors.layout import join, require_complex_images, split
from reconstructors.splines import UniformSpline
from stabtest.operators.base import LinearOperator

REACH = 150 / 255
"""The knots reach so far to both sides, for images with largest modulus 1; beyond, an activation is linear."""


def constrained(kernels: Tensor) -> Tensor:
    """Kernels ``(I, 2, n, n)`` with mean zero in each part and norm at most 1, nearest to the given ones.

    Examples
    --------
    >>> kernels = constrained(torch.arange(18.0).reshape(1, 2, 3, 3))
    >>> kernels.mean((2, 3)), round(kernels.norm().item(), 6)
    (tensor([[0., 0.]]), 1.0)
    """
    centred = kernels - kernels.mean((2, 3), keepdim=True)
    return centred / centred.flatten(1).norm(dim=1).clamp_min(1.0).reshape(-1, 1, 1, 1)


class _Stage(nn.Module):
    """Filters, activations and data weight of one gradient step."""

    def __init__(self, filters: int, size: int, knots: int) -> None:
        super().__init__()
        raw = torch.randn(filters, 2, size, size)
        raw = raw - raw.mean((2, 3), keepdim=True)
        self.kernels = nn.Parameter(raw / raw.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1))
        self.activation = UniformSpline(filters, knots=knots, reach=REACH)
        self.log_weight = nn.Parameter(torch.zeros(()))
        """``log w_t``: at first a plain gradient step, which is as long as it may be where ``||A|| <= 1``."""

    def prior(self, channels: Tensor) -> Tensor:
        """``1/I sum_i K_i^T phi_i(K_i x)`` of real channels ``(B, 2, H, W)``."""
        kernels, margin = constrained(self.kernels), self.kernels.shape[-1] // 2
        responses = self.activation(F.conv2d(channels, kernels, padding=margin))
        return F.conv_transpose2d(responses, kernels, padding=margin) / len(kernels)


class VariationalNetwork(nn.Module):
    """Gradient steps of a learned prior and the data term, ``(y, operator) -> image``, any size, any number of coils.

    It expects measurements divided by the largest modulus of their zero-filled image (``scale = "max"`` of `stabtest.networks.wrap`).

    Parameters
    ----------
    stages
        ``T``, each with weights of its own.
    filters
        ``I``.
    size
        Side of a kernel, odd.
    knots
        Of an activation.

    Raises
    ------
    ValueError
        If the side of the kernels is not a positive odd number.

    Examples
    --------
    >>> from stabtest.operators import MultiCoilFourier, masks
    >>> A = MultiCoilFourier(masks.cartesian_gaussian((12, 17), acceleration=2, seed=0), torch.ones(3, 12, 17) / (3**0.5 + 0j))
    >>> VariationalNetwork(stages=2, filters=4, size=5)(torch.zeros(2, 3, 12, 17, dtype=torch.complex64), A).shape
    torch.Size([2, 1, 12, 17])
    """

    def __init__(self, *, stages: int = 10, filters: int = 24, size: int = 7, knots: int = 31) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size: expected a positive odd number, came {size}")
        self.stages = nn.ModuleList(_Stage(filters, size, knots) for _ in range(stages))

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Complex images ``(B, 1, H, W)``.

        Parameters
        ----------
        y
            Complex measurements ``(B, *operator.range.shape)``.
        operator
            The forward model, on complex images.

        Raises
        ------
        NetworkError
            If the operator is one on real images.
        OperatorError
            If the measurements do not fit the operator.
        """
        require_complex_images(operator, "variational network")
        x = operator.pseudo_inverse(y)
        for stage in self.stages:
            gradient = stage.log_weight.exp() * operator.adjoint(operator.forward(x) - y)
            x = x - join(stage.prior(split(x)), like=x) - gradient
        return x
