"""Deep cascade of convolutional networks and data consistency for MRI ("Deep MRI").

J. Schlemper, J. Caballero, J. V. Hajnal, A. N. Price, D. Rueckert, *A deep cascade of convolutional neural networks for dynamic
MR image reconstruction*, IEEE TMI 37(2), 2018. From the zero-filled image ``x_0 = A* y``, cascade ``k`` denoises and then goes back
to the data:

    z_k     = x_k + C_k(x_k)
    x_k+1   = argmin_x ||x - z_k||^2 + v_k ||A x - y||^2

``C_k`` is a chain of 3 x 3 convolutions with ReLU between them on real and imaginary part. With ``A = M F`` the minimiser keeps the
samples that were not measured and averages the others, ``(F z_k + v_k y) / (1 + v_k)`` (equation 7 of the paper): as ``A A* = M``
is a projection it is

    x_k+1   = z_k + m_k A* (y - A z_k),     m_k = v_k / (1 + v_k),

which is how it is computed. ``m_k`` in (0, 1) is learned, one for each cascade, because the data are noisy: after the last one
the residual on the measured samples is ``1 - m_K`` of that of ``z_K``. For an operator that is not a masked unitary one
(several coils) the same formula is a gradient step of the data term instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reconstructors.layout import join, require_complex_images, split
from stabtest.operators.base import LinearOperator


def _chain(layers: int, width: int) -> nn.Sequential:
    """``layers`` convolutions from two channels to two channels, the last one small, so that training starts near ``x + 0``."""
    modules: list[nn.Module] = []
    for layer in range(layers):
        last = layer == layers - 1
        convolution = nn.Conv2d(2 if layer == 0 else width, 2 if last else width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        if last:
            with torch.no_grad():
                convolution.weight.mul_(0.1)
        modules += [convolution] if last else [convolution, nn.ReLU()]
    return nn.Sequential(*modules)


class Cascade(nn.Module):
    """Alternating convolutions and data consistency, ``(y, operator) -> image``, any size.

    It expects measurements divided by the largest modulus of their zero-filled image (``scale = "max"`` of `stabtest.networks.wrap`).

    Parameters
    ----------
    cascades
        Blocks, each with weights of its own.
    layers
        Convolutions in a block.
    width
        Channels between them.

    Examples
    --------
    >>> from stabtest.operators import Fourier, masks
    >>> A = Fourier(masks.cartesian_gaussian((12, 17), acceleration=2, seed=0))
    >>> Cascade(cascades=2, layers=3, width=4)(torch.zeros(2, 1, 12, 17, dtype=torch.complex64), A).shape
    torch.Size([2, 1, 12, 17])
    """

    def __init__(self, *, cascades: int = 5, layers: int = 5, width: int = 32) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_chain(layers, width) for _ in range(cascades))
        self.trust = nn.Parameter(torch.full((cascades,), 3.0))
        """``log v_k``: how much more the measured samples are trusted than the denoised ones."""

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
        require_complex_images(operator, "cascade")
        x = operator.pseudo_inverse(y)
        for block, weight in zip(self.blocks, torch.sigmoid(self.trust), strict=True):
            denoised = x + join(block(split(x)), like=x)
            x = denoised + weight * operator.adjoint(y - operator.forward(denoised))
        return x
