"""Single-coil Cartesian MRI: ``y = M F x``.

``F`` is the centred orthonormal 2-D Fourier transform, ``(F x)_k = (HW)^(-1/2) sum_n x_n exp(-2 pi i k.(n -
c)/N)`` with ``c = N // 2`` and DC at ``N // 2`` (the convention of `fastmri.fft2c_new`), ``M`` the mask.
K-space is the full grid with zeros where nothing was measured. ``F`` is unitary and ``M`` an orthogonal
projection, so the adjoint ``F* M`` is also the pseudo-inverse: the zero-filled image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.masks import sampling_fraction
from stabtest.tensors import complex_dtype


def fft2c(x: Tensor) -> Tensor:
    """Centred orthonormal Fourier transform over the last two axes.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 4, 4, dtype=torch.complex64)
    >>> x[..., 2, 2] = 4
    >>> fft2c(x).real.unique()
    tensor([1.])
    """
    axes = (-2, -1)
    return torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(x, dim=axes), norm="ortho"), dim=axes)


def ifft2c(y: Tensor) -> Tensor:
    """Inverse, and adjoint, of `fft2c`."""
    axes = (-2, -1)
    return torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(y, dim=axes), norm="ortho"), dim=axes)


def check_mask(mask: Tensor) -> Tensor:
    """Return a mask as boolean ``(H, W)``.

    Raises
    ------
    OperatorError
        If it has another number of axes, other entries than 0 and 1, or measures nothing.
    """
    if mask.ndim != 2:
        raise OperatorError("mask: wrong shape", expected="(H, W)", came=str(tuple(mask.shape)))
    if mask.dtype != torch.bool:
        if not bool(((mask == 0) | (mask == 1)).all()):
            raise OperatorError("mask: wrong entries", expected="booleans", came=f"{mask.dtype}")
        mask = mask.bool()
    if not bool(mask.any()):
        raise OperatorError("mask: nothing is measured", expected="at least one True", came="none")
    return mask


class Fourier(LinearOperator):
    """Masked centred Fourier transform of one coil.

    Parameters
    ----------
    mask
        Boolean ``(H, W)``, centred, True where measured.

    Raises
    ------
    OperatorError
        If the mask is not one (`check_mask`).

    Examples
    --------
    >>> from stabtest.operators import masks
    >>> A = Fourier(masks.cartesian_random((8, 16), acceleration=2, seed=0))
    >>> x = torch.ones(3, 1, 8, 16, dtype=torch.complex64)
    >>> A(x).shape, A.adjoint(A(x)).shape
    (torch.Size([3, 1, 8, 16]), torch.Size([3, 1, 8, 16]))
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = check_mask(mask)
        self.domain = self.range = Space((1, *self.mask.shape), is_complex=True)

    def forward(self, x: Tensor) -> Tensor:
        """``M F x``: image ``(B, 1, H, W)`` to k-space ``(B, 1, H, W)``, complex."""
        return fft2c(self.domain.check(x, "image")) * self.mask.to(x.device)

    def adjoint(self, y: Tensor) -> Tensor:
        """``F* M y``, the zero-filled image, complex ``(B, 1, H, W)``."""
        return ifft2c(self.range.check(y, "k-space") * self.mask.to(y.device))

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The zero-filled image; for this operator the exact Moore-Penrose inverse, equal to the adjoint."""
        return self.adjoint(y)

    def restrict(self, e: Tensor) -> Tensor:
        """``M e``: what of a perturbation lies on measured points."""
        return self.range.check(e, "perturbation") * self.mask.to(e.device)

    def refine(self, factor: int) -> FineFourier:
        """The same scan of an object on a grid ``factor`` times finer (`FineFourier`)."""
        return FineFourier(self.mask, factor)

    def norm_bound(self) -> float:
        """1: the transform is unitary and the mask a projection."""
        return 1.0

    def describe(self) -> dict[str, str | int | float]:
        """Kind, grid and realised sampling fraction."""
        height, width = self.mask.shape
        fraction = sampling_fraction(self.mask)
        return {"kind": "Fourier", "height": height, "width": width, "sampling fraction": fraction}


class FineFourier(LinearOperator):
    """The scan of `Fourier` of an object on a grid ``factor`` times finer.

    The centred k-space of the fine image is cropped to the ``H x W`` that the scanner measures and divided by
    ``factor``, so that DC is that of the area-averaged coarse image. A coarse pixel is the block of fine
    pixels under it, whose middle is not on the fine grid's origin; a linear phase puts the two grids in
    register (without it the image is shifted by up to half a coarse pixel).

    Parameters
    ----------
    mask
        Boolean ``(H, W)`` of the coarse scan.
    factor
        Positive integer; the domain is ``(1, factor H, factor W)``.

    Examples
    --------
    >>> from stabtest.operators import masks
    >>> A = Fourier(torch.ones(8, 8, dtype=torch.bool))
    >>> x = torch.ones(1, 1, 24, 24, dtype=torch.complex64)
    >>> round(A.pseudo_inverse(A.refine(3)(x)).abs().mean().item(), 5)
    1.0
    """

    def __init__(self, mask: Tensor, factor: int) -> None:
        self.mask = check_mask(mask)
        self.factor = check_factor(factor)
        height, width = self.mask.shape
        self.domain = Space((1, factor * height, factor * width), is_complex=True)
        self.range = Space((1, height, width), is_complex=True)

    def _register(self, like: Tensor) -> Tensor:
        """Mask times the phase ``exp(2 pi i k d / (factor N))`` that moves the origin, over ``factor``."""
        height, width = (register_phase(n, self.factor) for n in self.mask.shape)
        weight = height[:, None] * width[None, :] * self.mask.cpu() / self.factor
        return weight.to(device=like.device, dtype=complex_dtype(like.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Fine image ``(B, 1, factor H, factor W)`` to k-space ``(B, 1, H, W)``."""
        rows, columns = self._window()
        return fft2c(self.domain.check(x, "image"))[..., rows, columns] * self._register(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """K-space ``(B, 1, H, W)`` to fine image ``(B, 1, factor H, factor W)``."""
        rows, columns = self._window()
        weighted = self.range.check(y, "k-space") * self._register(y).conj()
        height, width = self.domain.shape[1:]
        padding = (columns.start, width - columns.stop, rows.start, height - rows.stop)
        return ifft2c(torch.nn.functional.pad(weighted, padding))

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The band-limited fine image of the measurements: ``factor^2`` times the adjoint (Moore-Penrose)."""
        return self.factor**2 * self.adjoint(y)

    def restrict(self, e: Tensor) -> Tensor:
        """What of a perturbation lies on measured points."""
        return self.range.check(e, "perturbation") * self.mask.to(e.device)

    def refine(self, factor: int) -> FineFourier:
        """Finer still: the factors multiply."""
        return FineFourier(self.mask, self.factor * check_factor(factor))

    def norm_bound(self) -> float:
        """``1 / factor``: the transform is unitary, the phase of modulus 1."""
        return 1.0 / self.factor

    def describe(self) -> dict[str, str | int | float]:
        """As `Fourier.describe`, with the factor."""
        return {**Fourier(self.mask).describe(), "kind": "Fourier of a finer object", "factor": self.factor}

    def _window(self) -> tuple[slice, slice]:
        """Where the coarse k-space lies in the fine one: DC on DC."""
        rows, columns = ((self.factor * n) // 2 - n // 2 for n in self.mask.shape)
        return slice(rows, rows + self.mask.shape[0]), slice(columns, columns + self.mask.shape[1])


def register_phase(n: int, factor: int) -> Tensor:
    """Phase over ``n`` centred frequencies that puts a finer grid in register, complex128 ``(n,)``."""
    middle = factor * (n // 2) + (factor - 1) / 2
    shift = middle - (factor * n) // 2
    k = torch.arange(n, dtype=torch.float64) - n // 2
    angle = 2 * math.pi * k * shift / (factor * n)
    return torch.complex(angle.cos(), angle.sin())


def check_factor(factor: int) -> int:
    """Return a refinement factor if it is a positive integer, else raise `OperatorError`."""
    if factor < 1 or factor != int(factor):
        raise OperatorError("refine: factor", expected="a positive integer", came=str(factor))
    return int(factor)
