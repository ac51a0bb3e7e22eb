r"""Non-Cartesian MRI: ``y_c,m = (H W)^(-1/2) sum_n s_c,n x_n exp(-i k_m . (n - c))``, ``c = N // 2``.

The sum is a nonuniform Fourier transform, computed by finufft (Barnett, Magland, af Klinteberg, *A parallel nonuniform fast Fourier
transform library based on an "exponential of semicircle" kernel*, SIAM J. Sci. Comput. 41, 2019) through pytorch-finufft, which is
differentiable and runs on GPUs; both are in the extra ``mri``. On the Cartesian grid ``k = 2 pi (j - N // 2) / N`` it is
`stabtest.operators.Fourier`.

**Direct image.** ``A* W y`` with one weight for each sample, the share of k-space that it stands for, by the iteration of Pipe and Menon (MRM 41,
1999): ``w <- w / |B t B* w|`` from ``w = 1``, with the same transform ``B`` of an image of twice the field of view and ``t`` the autocorrelation of
the field of view, whose transform is positive. One factor brings the image to the
scale of the object; several coils are combined as in `stabtest.operators.MultiCoilFourier`. It is linear in ``y`` and no inverse: between the
samples nothing is known.

**Norm.** Estimated from below by Lanczos steps and taken 1 % larger for step sizes; it is not a bound.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.checks import operator_norm
from stabtest.operators.fourier import check_factor
from stabtest.tensors import complex_dtype, inner

DENSITY_STEPS = 20
"""Iterations of the density compensation."""

MARGIN = 1.01
TOLERANCE = {torch.complex64: 1e-6, torch.complex128: 1e-13}
"""Accuracy that is asked of the transform."""


class NonCartesian(LinearOperator):
    """Samples of k-space anywhere, of one coil or several.

    Parameters
    ----------
    points
        Real ``(M, 2)``, radians per pixel, row first, in ``[-pi, pi]`` (`stabtest.operators.trajectories`).
    shape
        ``(H, W)`` of the image.
    sensitivities
        Complex ``(C, H, W)``; one coil that sees everything alike if None.
    factor
        How much finer the grid of the image is than the shape (see `refine`); the domain is ``(1, factor H, factor W)``.

    Raises
    ------
    OperatorError
        If points, shape or sensitivities do not fit, or pytorch-finufft is not installed.
    """

    def __init__(self, points: Tensor, shape: tuple[int, int], sensitivities: Tensor | None = None, *, factor: int = 1) -> None:
        self.points = _check_points(points)
        self.shape, self.factor = (int(shape[0]), int(shape[1])), check_factor(factor)
        if min(self.shape) < 1:
            raise OperatorError("NonCartesian: shape", expected="(H, W), both positive", came=str(shape))
        fine = (self.factor * self.shape[0], self.factor * self.shape[1])
        if sensitivities is not None and (
            sensitivities.ndim != 3 or tuple(sensitivities.shape[1:]) != fine or not sensitivities.is_complex()
        ):
            raise OperatorError(
                "NonCartesian: sensitivities",
                expected=f"complex (C, {fine[0]}, {fine[1]})",
                came=f"{sensitivities.dtype} {tuple(sensitivities.shape)}",
            )
        _finufft()  # what is missing is said here and not at the first product
        self.sensitivities = sensitivities
        coils = 1 if sensitivities is None else sensitivities.shape[0]
        self.domain = Space((1, *fine), is_complex=True)
        self.range = Space((coils, len(self.points)), is_complex=True)

    def forward(self, x: Tensor) -> Tensor:
        """Image ``(B, 1, factor H, factor W)`` to samples ``(B, C, M)``, complex."""
        x = self.domain.check(x, "image")
        seen = x if self.sensitivities is None else x * self.sensitivities.to(x)
        scaled = seen.flatten(0, 1) * self._scale
        y = _finufft().finufft_type2(self._nodes(x), scaled.contiguous(), isign=-1, modeord=0, eps=TOLERANCE[x.dtype])
        return y.unflatten(0, seen.shape[:2]) * self._register(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Samples ``(B, C, M)`` to image, complex."""
        moved = (self.range.check(y, "k-space") * self._register(y).conj()).flatten(0, 1).contiguous()
        shape = (self.domain.shape[1], self.domain.shape[2])
        x = _finufft().finufft_type1(self._nodes(y), moved, shape, isign=1, modeord=0, eps=TOLERANCE[y.dtype])
        x = x.unflatten(0, y.shape[:2]) * self._scale
        return x if self.sensitivities is None else (x * self.sensitivities.to(x).conj()).sum(1, keepdim=True)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The density-compensated adjoint, coils combined."""
        weights = self.density.to(device=y.device, dtype=y.real.dtype)
        return self.adjoint(self.range.check(y, "k-space") * weights) * self._inverse_power(y)

    @cached_property
    def density(self) -> Tensor:
        """Weights of the samples, float64 ``(M,)``, scaled so that a smooth image comes back at its size."""
        double = NonCartesian(self.points, (2 * self.shape[0], 2 * self.shape[1]))  # more pixels of the same size
        # The autocorrelation of the field of view: its transform, the kernel, has no negative lobes.
        sides = [1 - (torch.arange(2 * n, dtype=torch.float64) - n).abs() / n for n in self.shape]
        triangle = sides[0][:, None] * sides[1]
        w = torch.ones((1, 1, len(self.points)), dtype=torch.complex128)
        for _ in range(DENSITY_STEPS):
            w = w / double.forward(double.adjoint(w) * triangle).abs().clamp_min(torch.finfo(torch.float64).tiny)
        weights = w.real[0, 0]
        coarse = NonCartesian(self.points, self.shape)
        bumps = [
            torch.hann_window(n, periodic=False, dtype=torch.float64) if n > 2 else torch.ones(n, dtype=torch.float64)
            for n in self.shape
        ]
        smooth = (bumps[0][:, None] * bumps[1]).to(torch.complex128)[None, None]
        back = coarse.adjoint(coarse.forward(smooth) * weights)
        scale = float(inner(smooth, back) / inner(back, back))
        return weights * scale * self.factor**2  # the adjoint of a finer grid is smaller by the square of the factor

    def refine(self, factor: int) -> NonCartesian:
        """The same scan of an object on a grid ``factor`` times finer, sensitivities interpolated between pixel middles."""
        factor = check_factor(factor)
        maps = self.sensitivities
        if maps is not None and factor > 1:
            parts = torch.cat([maps.real, maps.imag])[None]
            options: dict[str, Any] = {"scale_factor": factor, "mode": "bicubic", "align_corners": False}
            parts = torch.nn.functional.interpolate(parts, **options)[0]
            maps = torch.complex(parts[: len(maps)].contiguous(), parts[len(maps) :].contiguous())
        return NonCartesian(self.points, self.shape, maps, factor=self.factor * factor)

    def norm_bound(self) -> float:
        """The estimate of ``||A||`` and its residual, 1 % larger: for step sizes, not a bound that anything is guaranteed by."""
        return self._norm_bound

    @cached_property
    def _norm_bound(self) -> float:
        found = operator_norm(self, generator=torch.Generator().manual_seed(0), steps=40)
        return MARGIN * (found.value + found.residual)

    def describe(self) -> dict[str, str | int | float]:
        """Kind, grid, coils, samples."""
        height, width = self.domain.shape[1:]
        return {
            "kind": "Non-Cartesian Fourier",
            "height": height,
            "width": width,
            "coils": self.range.shape[0],
            "samples": self.range.shape[1],
            "samples per pixel": self.range.shape[1] / (self.shape[0] * self.shape[1]),
            "direct image": f"density compensation, {DENSITY_STEPS} iterations",
        }

    @property
    def _scale(self) -> float:
        """``(H W)^(-1/2)``, and the area of a fine pixel in coarse ones."""
        return (self.shape[0] * self.shape[1]) ** -0.5 / self.factor**2

    def _nodes(self, like: Tensor) -> Tensor:
        """The frequencies per fine pixel, ``(2, M)``."""
        return (self.points.T / self.factor).to(device=like.device, dtype=like.real.dtype).contiguous()

    def _register(self, like: Tensor) -> Tensor:
        """Phase that puts a finer grid in register: a coarse pixel is the block of fine ones, whose middle is not on their grid."""
        f = self.factor
        shifts = [((f * n) // 2 - (f - 1) / 2) / f - n // 2 for n in self.shape]
        angle = -(self.points @ torch.tensor(shifts, dtype=torch.float64))
        return torch.complex(angle.cos(), angle.sin()).to(device=like.device, dtype=complex_dtype(like.dtype))

    def _inverse_power(self, like: Tensor) -> Tensor | float:
        if self.sensitivities is None:
            return 1.0
        power = self.sensitivities.abs().square().sum(0)
        seen = power > torch.finfo(power.dtype).tiny
        return torch.where(seen, 1 / power, 0).to(device=like.device, dtype=like.real.dtype)


def _check_points(points: Tensor) -> Tensor:
    """Points as float64 ``(M, 2)``."""
    if points.ndim != 2 or points.shape[-1] != 2 or len(points) < 1 or points.is_complex():
        raise OperatorError("NonCartesian: points", expected="real (M, 2)", came=f"{points.dtype} {tuple(points.shape)}")
    found = points.detach().cpu().to(torch.float64)
    if not bool((found.abs() <= torch.pi + 1e-6).all()):
        raise OperatorError(
            "NonCartesian: points",
            expected="radians per pixel, at most pi",
            came=f"up to {float(found.abs().max()):.4g}",
            remedy="divide cycles per field of view by the number of pixels and multiply by 2 pi",
        )
    return found


def _finufft() -> Any:  # noqa: ANN401
    try:
        from pytorch_finufft import functional  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OperatorError(
            "NonCartesian", expected="pytorch-finufft", came=str(error), remedy="pip install 'stabtest[mri]'"
        ) from error
    return functional
