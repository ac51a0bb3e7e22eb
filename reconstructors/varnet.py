r"""End-to-end variational network: refinement of k-space by U-Nets that work on the coil-combined image.

A. Sriram, J. Zbontar, T. Murrell, A. Defazio, C. L. Zitnick, N. Yakubova, F. Knoll, P. Johnson, *End-to-end variational networks for
accelerated MRI reconstruction*, MICCAI 2020. The state is the k-space of all coils. With ``E`` (multiply by the maps and transform: the
scan with everything measured), its pseudo-inverse ``R`` (transform back and combine), the mask ``M`` and ``P = E R``, cascade ``t`` is

    k_0   = P y,
    k_t+1 = P (k_t - n_t M (k_t - y)) + E G_t(R k_t),

``G_t`` a U-Net on real and imaginary part and ``n_t`` learned, 1 at first; the image is ``R k_T``. The data step is soft: what the last U-Net
says of measured samples stays in them.

What differs from the paper. The coil maps are those of the operator, so its network for their estimation is left out, and the image
is combined by the maps, complex, where the paper takes the root sum of squares of the coils. ``P`` projects onto the k-spaces of one image
seen through the maps; the paper, whose maps are estimates, has no ``P``. With it every state is ``k = E x`` and is kept as ``x``, and the data
step is ``x - n R M (E x - y)``, a gradient step of the SENSE problem; without it the measured samples of the coils are copied into a state
that is no scan of any image, and what the coils know of the fold-over reaches the U-Nets less directly. The paper has 12 cascades of
U-Nets with 18 channels and 4 poolings; here they are fewer, narrower and shallower, for training on a CPU. They have no instance
normalisation, which has no Lipschitz constant worth the name: the image is divided by its largest modulus once, outside. Only what the
U-Net of `reconstructors.unet` adds to its image is taken; its last layer starts small, so that training starts near ``k + 0``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reconstructors.layout import join, split
from reconstructors.unet import UNet
from stabtest.errors import NetworkError
from stabtest.operators.base import LinearOperator
from stabtest.operators.fourier import Fourier, fft2c, ifft2c
from stabtest.operators.multicoil import MultiCoilFourier


class VarNet(nn.Module):
    """Cascades that refine k-space, ``(y, operator) -> image``, any size, any number of coils.

    It expects measurements divided by the largest modulus of their zero-filled image (``scale = "max"`` of `stabtest.networks.wrap`).

    Parameters
    ----------
    cascades
        ``T``, each with weights of its own.
    width
        Channels of a U-Net at full resolution.
    depth
        Number of its 2 x 2 poolings.
    norm
        ``"batch"`` or ``None``, in the U-Nets.

    Examples
    --------
    >>> from stabtest.operators import masks
    >>> A = MultiCoilFourier(masks.cartesian_gaussian((12, 17), acceleration=2, seed=0), torch.ones(3, 12, 17) / (3**0.5 + 0j))
    >>> VarNet(cascades=2, width=4, depth=2)(torch.zeros(2, 3, 12, 17, dtype=torch.complex64), A).shape
    torch.Size([2, 1, 12, 17])
    """

    def __init__(self, *, cascades: int = 8, width: int = 12, depth: int = 2, norm: str | None = None) -> None:
        super().__init__()
        self.refine = nn.ModuleList(UNet(channels=2, width=width, depth=depth, norm=norm) for _ in range(cascades))
        for module in self.refine.modules():
            if isinstance(
                module, nn.Conv2d
            ):  # PyTorch's default loses a part of the signal at every layer without normalisation
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for unet in self.refine:
                unet.output.weight.mul_(0.1)  # pyright: ignore[reportCallIssue, reportArgumentType, reportAttributeAccessIssue]
        self.trust = nn.Parameter(torch.ones(cascades))
        """``n_t``."""

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Complex images ``(B, 1, H, W)``.

        Parameters
        ----------
        y
            Complex measurements ``(B, *operator.range.shape)``.
        operator
            `MultiCoilFourier`, or `Fourier` as one coil that sees everything alike.

        Raises
        ------
        NetworkError
            If the operator is another one: its measurements are no samples of a full k-space.
        OperatorError
            If the measurements do not fit the operator.
        """
        coils = Coils.of(operator)
        x = coils.combine(operator.range.check(y, "k-space"))
        for refine, trust in zip(self.refine, self.trust, strict=True):
            channels = split(x)
            added = join(refine(channels) - channels, like=x)
            x = x - trust * coils.combine(operator.restrict(coils.expand(x) - y)) + added
        return x


@dataclass(frozen=True)
class Coils:
    """``E`` and ``R``: the same scan with everything measured. No operator of its own, whose checks a graph cannot hold.

    Parameters
    ----------
    maps
        Complex ``(C, H, W)``.
    """

    maps: Tensor

    @classmethod
    def of(cls, operator: LinearOperator) -> Coils:
        """The maps of an operator; one coil of ones for `Fourier`.

        Raises
        ------
        NetworkError
            If its measurements are no samples of a full k-space.
        """
        if isinstance(operator, MultiCoilFourier):
            return cls(operator.sensitivities)
        if isinstance(operator, Fourier):
            return cls(torch.ones(1, *operator.mask.shape, dtype=torch.complex64))
        raise NetworkError(
            "varnet: wrong kind of scan",
            expected="Cartesian samples of complex images (MRI): Fourier or MultiCoilFourier",
            came=type(operator).__name__,
        )

    def expand(self, x: Tensor) -> Tensor:
        """Image ``(B, 1, H, W)`` to the k-space of every coil, ``(B, C, H, W)``."""
        return fft2c(x * self.maps.to(x))

    def combine(self, k: Tensor) -> Tensor:
        """The image that fits the k-space of every coil best, 0 where no coil sees anything.

        Examples
        --------
        >>> coils = Coils(torch.full((2, 4, 4), 3j))
        >>> x = torch.ones(1, 1, 4, 4, dtype=torch.complex64)
        >>> torch.allclose(coils.combine(coils.expand(x)), x)
        True
        """
        maps = self.maps.to(k)
        power = maps.abs().square().sum(0)
        seen = power > torch.finfo(power.dtype).tiny
        return (ifft2c(k) * maps.conj()).sum(1, keepdim=True) * torch.where(seen, 1 / power, 0)
