r"""ItNet: a U-Net and a data-consistency step in turn, the same U-Net every time.

M. Genzel, J. Macdonald, M. Maerz, *Solving inverse problems with deep neural networks: robustness included?*, IEEE TPAMI 45(1), 2023
(MRI); M. Genzel, I. Guehring, J. Macdonald, M. Maerz, *Near-exact recovery for tomographic inverse problems via deep learning*, ICML 2022
(CT). From the direct reconstruction ``x_0 = A^+ y``,

    z_k     = x_k + U(x_k)
    x_k+1   = z_k - l_k A^+ (A z_k - y),        k = 0 ... K - 1,

with one ``U`` for all ``k`` and step sizes ``l_k`` that are learned, from 0.1 as in the paper. ``A^+`` is zero-filling in MRI and
filtered back-projection in CT. For a masked unitary transform, ``A A* = M``, zero-filling is the adjoint and the data step is a gradient
step of ``||A x - y||^2 / 2``: it leaves ``1 - l_k`` of the residual. In CT it is a step of Newton's kind rather than a gradient
step, since ``A^+ A`` is near the identity where ``A* A`` damps all but the lowest frequencies.

The papers have 8 iterations (MRI) and 4 (CT), a U-Net of width 32 and depth 4 with batch (MRI) or group (CT) normalisation that was
trained alone as a post-processing network first; for CT it has five more channels that it hands to itself from one iteration to the
next, and a last stage of the training unties the iterations. Here nothing is remembered or untied, and nothing is normalised inside
(running averages over all iterations are those of none): the shipped networks start from a post-processing U-Net of the zoo with its
normalisation folded into the convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reconstructors.layout import join, require_complex_images, require_real_images, split
from reconstructors.unet import UNet
from stabtest.operators.base import LinearOperator


@torch.no_grad()
def _start_small(network: UNet) -> UNet:
    """Weights that keep the size of the features without normalisation (He et al. 2015), and a small correction at first."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]
        elif isinstance(module, nn.ConvTranspose2d):  # 2 x 2 with stride 2: one tap of each channel reaches a pixel
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
            nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]
    network.output.weight.mul_(0.1)
    return network


class ItNet(nn.Module):
    """Alternating U-Net and data consistency, ``(y, operator) -> image``, any size.

    For MRI it expects measurements divided by the largest modulus of their zero-filled image (``scale = "max"`` of
    `stabtest.networks.wrap`).

    Parameters
    ----------
    channels
        1 for real images, 2 for complex ones.
    iterations
        ``K``.
    width, depth
        Of the U-Net (`reconstructors.unet`).
    step
        Where the step sizes ``l_k`` start.

    Raises
    ------
    ValueError
        If there are other than one or two channels, or no iteration.

    Examples
    --------
    >>> from stabtest.operators import Fourier, masks
    >>> A = Fourier(masks.cartesian_gaussian((12, 17), acceleration=2, seed=0))
    >>> ItNet(channels=2, iterations=2, width=4, depth=2)(A.range.zeros(2), A).shape
    torch.Size([2, 1, 12, 17])
    """

    def __init__(self, *, channels: int, iterations: int = 4, width: int = 16, depth: int = 3, step: float = 0.1) -> None:
        super().__init__()
        if channels not in (1, 2):
            raise ValueError(f"channels: expected 1 (real images) or 2 (complex ones), came {channels}")
        if iterations < 1:
            raise ValueError(f"iterations: expected at least 1, came {iterations}")
        self.unet = _start_small(UNet(channels=channels, width=width, depth=depth, norm=None))
        self.steps = nn.Parameter(torch.full((iterations,), step))
        self.channels = channels

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Images ``(B, 1, H, W)``, real or complex as the operator's.

        Parameters
        ----------
        y
            Measurements ``(B, *operator.range.shape)``.
        operator
            The forward model, on real images for one channel, on complex ones for two.

        Raises
        ------
        NetworkError
            If the operator is one on the other kind of images.
        OperatorError
            If the measurements do not fit the operator.
        """
        if self.channels == 1:
            require_real_images(operator, "ItNet with one channel")
        else:
            require_complex_images(operator, "ItNet with two channels")
        x = operator.pseudo_inverse(y)
        for step in self.steps:
            corrected = join(self.unet(split(x)), like=x) if x.is_complex() else self.unet(x).to(x.dtype)
            x = corrected - step * operator.pseudo_inverse(operator.forward(corrected) - y)
        return x
