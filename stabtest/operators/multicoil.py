"""Multi-coil Cartesian MRI: ``y_c = M F (s_c x)``.

Each of ``C`` coils sees the image through its complex sensitivity ``s_c`` (Pruessmann et al., *SENSE*, MRM 42, 1999). The
adjoint is ``A* y = sum_c conj(s_c) F* M y_c``. Divided by ``sum_c |s_c|^2`` (where it is not zero) it is the zero-filled,
coil-combined image; with every sample measured that is the exact pseudo-inverse, the least-squares combination of the coils
(Roemer et al., MRM 16, 1990).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.fourier import FineFourier, Fourier, check_factor, check_mask, fft2c, ifft2c
from stabtest.operators.masks import sampling_fraction


class MultiCoilFourier(LinearOperator):
    """Masked centred Fourier transform of an image seen by several coils.

    Parameters
    ----------
    mask
        Boolean ``(H, W)``, centred, True where measured.
    sensitivities
        Complex ``(C, H, W)``, unit-free; zero outside the body is allowed.

    Raises
    ------
    OperatorError
        If the mask is not one, or the sensitivities are not complex, not finite, all zero or of another shape.

    Examples
    --------
    >>> A = MultiCoilFourier(torch.ones(8, 6, dtype=torch.bool), torch.ones(4, 8, 6, dtype=torch.complex64))
    >>> x = torch.ones(2, 1, 8, 6, dtype=torch.complex64)
    >>> A(x).shape, torch.allclose(A.pseudo_inverse(A(x)), x)
    (torch.Size([2, 4, 8, 6]), True)
    """

    def __init__(self, mask: Tensor, sensitivities: Tensor) -> None:
        self.mask = check_mask(mask)
        self.sensitivities = _check_sensitivities(sensitivities, tuple(self.mask.shape))
        self.domain = Space((1, *self.mask.shape), is_complex=True)
        self.range = Space(tuple(self.sensitivities.shape), is_complex=True)
        power = self.sensitivities.abs().square().sum(0)
        seen = power > torch.finfo(power.dtype).tiny
        self._inverse_power = torch.where(seen, 1 / power, 0)

    def forward(self, x: Tensor) -> Tensor:
        """``M F (s_c x)``: image ``(B, 1, H, W)`` to k-space ``(B, C, H, W)``, complex."""
        return fft2c(self.domain.check(x, "image") * self.sensitivities.to(x)) * self.mask.to(x.device)

    def adjoint(self, y: Tensor) -> Tensor:
        """``sum_c conj(s_c) F* M y_c``, complex ``(B, 1, H, W)``."""
        coils = ifft2c(self.range.check(y, "k-space") * self.mask.to(y.device))
        return (coils * self.sensitivities.to(y).conj()).sum(1, keepdim=True)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The zero-filled, coil-combined image: the adjoint over ``sum_c |s_c|^2``, 0 where no coil sees anything."""
        image = self.adjoint(y)
        return image * self._inverse_power.to(device=y.device, dtype=image.real.dtype)

    def restrict(self, e: Tensor) -> Tensor:
        """``M e_c``: what of a perturbation lies on measured points, in each coil."""
        return self.range.check(e, "perturbation") * self.mask.to(e.device)

    def refine(self, factor: int, *, fine_sensitivities: Tensor | None = None) -> FineMultiCoilFourier:
        """The same scan of an object on a grid ``factor`` times finer.

        Parameters
        ----------
        factor
            Positive integer.
        fine_sensitivities
            Complex ``(C, factor H, factor W)``; by default the maps interpolated bicubically between pixel middles,
            which suits maps as smooth as coils' are (but not maps cut off at the border of the body).
        """
        factor = check_factor(factor)
        if fine_sensitivities is None:
            fine_sensitivities = _interpolate(self.sensitivities, factor)
        return FineMultiCoilFourier(self.mask, fine_sensitivities, factor)

    def norm_bound(self) -> float:
        """Largest root sum of squares of the sensitivities: ``||A x||^2 <= sum_c ||s_c x||^2``."""
        return float(self.sensitivities.abs().square().sum(0).max().sqrt())

    def describe(self) -> dict[str, str | int | float]:
        """Kind, grid, number of coils and realised sampling fraction."""
        coils, height, width = self.range.shape
        fraction = sampling_fraction(self.mask)
        return {
            "kind": "Multi-coil Fourier",
            "height": height,
            "width": width,
            "coils": coils,
            "sampling fraction": fraction,
        }


class FineMultiCoilFourier(LinearOperator):
    """The scan of `MultiCoilFourier` of an object on a grid ``factor`` times finer (see `FineFourier`).

    Parameters
    ----------
    mask
        Boolean ``(H, W)`` of the coarse scan.
    fine_sensitivities
        Complex ``(C, factor H, factor W)``.
    factor
        Positive integer.
    """

    def __init__(self, mask: Tensor, fine_sensitivities: Tensor, factor: int) -> None:
        self._coil = FineFourier(mask, factor)  # what happens behind each coil
        self.mask, self.factor, self.domain = self._coil.mask, self._coil.factor, self._coil.domain
        shape = (self.domain.shape[1], self.domain.shape[2])
        self.sensitivities = _check_sensitivities(fine_sensitivities, shape)
        self.range = Space((self.sensitivities.shape[0], *self.mask.shape), is_complex=True)

    def forward(self, x: Tensor) -> Tensor:
        """Fine image ``(B, 1, factor H, factor W)`` to k-space ``(B, C, H, W)``."""
        seen = self.domain.check(x, "image") * self.sensitivities.to(x)
        return self._coil.forward(seen.flatten(0, 1)[:, None]).reshape(x.shape[0], *self.range.shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """K-space ``(B, C, H, W)`` to fine image ``(B, 1, factor H, factor W)``."""
        coils = self._coil.adjoint(self.range.check(y, "k-space").flatten(0, 1)[:, None])
        coils = coils.reshape(y.shape[0], *self.sensitivities.shape)
        return (coils * self.sensitivities.to(y).conj()).sum(1, keepdim=True)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The band-limited, coil-combined fine image: ``factor^2 A* y / sum_c |s_c|^2``."""
        power = self.sensitivities.to(y).abs().square().sum(0)
        return self.factor**2 * self.adjoint(y) * torch.where(power > 0, 1 / power, 0)

    def restrict(self, e: Tensor) -> Tensor:
        """What of a perturbation lies on measured points, in each coil."""
        return self.range.check(e, "perturbation") * self.mask.to(e.device)

    def refine(self, factor: int) -> FineMultiCoilFourier:
        """Finer still: the factors multiply, the fine maps are interpolated."""
        factor = check_factor(factor)
        return FineMultiCoilFourier(self.mask, _interpolate(self.sensitivities, factor), self.factor * factor)

    def norm_bound(self) -> float:
        """Largest root sum of squares of the sensitivities, over ``factor``."""
        return float(self.sensitivities.abs().square().sum(0).max().sqrt()) / self.factor

    def describe(self) -> dict[str, str | int | float]:
        """As `MultiCoilFourier.describe`, with the factor."""
        return {
            **Fourier(self.mask).describe(),
            "kind": "Multi-coil Fourier of a finer object",
            "coils": self.range.shape[0],
            "factor": self.factor,
        }


def _check_sensitivities(maps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return coil maps if they fit a grid, else raise `OperatorError`."""
    if maps.ndim != 3 or tuple(maps.shape[1:]) != shape or maps.shape[0] < 1:
        raise OperatorError(
            "sensitivities: wrong shape",
            expected=f"(C, {shape[0]}, {shape[1]}), the grid of the mask",
            came=str(tuple(maps.shape)),
        )
    if not maps.is_complex():
        raise OperatorError("sensitivities: wrong kind", expected="a complex tensor", came=str(maps.dtype))
    if not bool(torch.isfinite(maps).all()) or not bool((maps != 0).any()):
        raise OperatorError("sensitivities", expected="finite numbers, not all zero", came="NaN, infinity or only zeros")
    return maps


def _interpolate(maps: Tensor, factor: int) -> Tensor:
    """Complex maps ``(C, H, W)`` on a grid ``factor`` times finer, pixel middles in register."""
    parts = torch.stack([maps.real, maps.imag])
    fine = functional.interpolate(parts, scale_factor=factor, mode="bicubic", align_corners=False)
    return torch.complex(fine[0], fine[1])
