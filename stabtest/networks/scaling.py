"""Normalisation of each image before the network, undone afterwards, as part of the function.

A network that was trained on normalised images is the map ``f(x) = c N(x / c)`` with ``c = max |x|``, or
``f(x) = s N((x - m) / s) + m`` with the mean ``m`` and the standard deviation ``s`` of the image. ``c``, ``m`` and ``s``
depend on ``x``: their gradient belongs to the gradient of ``f``, and a search without it climbs another function than the
one that is audited.

``max`` is taken of the modulus of the whole image, before it is split into channels, and makes ``f`` positively
homogeneous. ``standardise`` is that of fastMRI: mean and (unbiased) standard deviation over the pixels of each channel
(`normalize_instance` of its U-Net's transform, without its clamp to six standard deviations; `NormUnet.norm` of its
VarNet).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stabtest.errors import NetworkError

Scale = Literal["none", "max", "standardise"]


def max_modulus(x: Tensor) -> Tensor:
    """Largest modulus of each image; 1 for an image of zeros, which so stays zero instead of becoming NaN.

    Parameters
    ----------
    x
        ``(B, ...)``, real or complex.

    Returns
    -------
    Tensor
        Positive, real, ``(B,)``. Where several pixels attain the maximum the gradient is shared among them.

    Examples
    --------
    >>> max_modulus(torch.tensor([[3 + 4j, 1j], [0j, 0j]]))
    tensor([5., 1.])
    """
    largest = x.abs().flatten(1).amax(1)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each channel of each image.

    Parameters
    ----------
    mean
        ``(B, C, 1, 1)``.
    deviation
        Positive, real, ``(B, C, 1, 1)``.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Standardisation:
        """Measure images ``(B, C, H, W)``, real or complex; a constant channel gets the deviation 1.

        Examples
        --------
        >>> stats = Standardisation.of(torch.tensor([[[[1.0, 3.0]]]]))
        >>> stats.mean.item(), round(stats.deviation.item() ** 2, 5)
        (2.0, 2.0)
        """
        axes = tuple(range(2, x.ndim))
        mean = x.mean(axes, keepdim=True)
        centred = x - mean
        parts = torch.view_as_real(centred).square().sum(-1) if x.is_complex() else centred.square()
        variance = parts.sum(axes, keepdim=True) / max(x[0, 0].numel() - 1, 1)
        # replaced before the root: the root of zero has no finite derivative
        return cls(mean, torch.where(variance > 0, variance, torch.ones_like(variance)).sqrt())

    def apply(self, x: Tensor) -> Tensor:
        """``(x - m) / s``."""
        return (x - self.mean) / self.deviation

    def undo(self, output: Tensor) -> Tensor:
        """``s x + m``.

        Raises
        ------
        NetworkError
            If the network returns another number of channels than it was given, so that there is no telling which
            mean belongs to which.
        """
        channels = self.mean.shape[1]
        if output.ndim == self.mean.ndim - 1 and channels == 1:
            output = output.unsqueeze(1)
        if output.ndim != self.mean.ndim or output.shape[1] != channels:
            raise NetworkError(
                "scale = 'standardise' cannot be undone on the network's output",
                expected=f"as many channels as went in ({channels})",
                came=f"shape {tuple(output.shape)}",
                remedy="use scale = 'max' or 'none', or normalise inside the network",
            )
        return output * self.deviation + self.mean
