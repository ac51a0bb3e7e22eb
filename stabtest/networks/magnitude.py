"""Methods that return magnitudes ``|x|`` where images are complex.

Much of MRI is trained on magnitude images: the phase is not reconstructed at all. Such a method can be compared with a
complex truth, or with a complex reference method, only through the modulus on both sides. It marks itself with an
attribute ``magnitude = True`` and returns a real image; `comparable` and `Magnitude` bring the others to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stabtest.networks.protocol import Reconstructor
from stabtest.operators.base import LinearOperator


def returns_magnitude(reconstructor: Reconstructor) -> bool:
    """Whether a method declares that it returns magnitudes."""
    return bool(getattr(reconstructor, "magnitude", False))


def comparable(truth: Tensor, reconstruction: Tensor) -> Tensor:
    """The truth as it can be compared with a reconstruction.

    Parameters
    ----------
    truth, reconstruction
        ``(B, 1, H, W)``.

    Returns
    -------
    Tensor
        ``|truth|`` if the truth is complex and the reconstruction real, else the truth.

    Examples
    --------
    >>> import torch
    >>> comparable(torch.tensor([3 + 4j]), torch.tensor([1.0]))
    tensor([5.])
    """
    return truth.abs() if truth.is_complex() and not reconstruction.is_complex() else truth


@dataclass(frozen=True, eq=False)
class Magnitude:
    """The modulus of another method's reconstruction: ``y -> |f(y, A)|``.

    Parameters
    ----------
    reconstructor
        A method that returns complex images.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators.fourier import Fourier
    >>> A = Fourier(torch.ones(4, 4, dtype=torch.bool))
    >>> zero_filled = Magnitude(lambda y, A: A.pseudo_inverse(y))
    >>> zero_filled(A(torch.full((1, 1, 4, 4), -1j)), A).mean().round(decimals=4)
    tensor(1.)
    """

    reconstructor: Reconstructor
    magnitude: ClassVar[bool] = True

    def __call__(self, y: Tensor, operator: LinearOperator, /) -> Tensor:
        """Real image ``(B, 1, H, W)``."""
        return self.reconstructor(y, operator).abs()
