r"""Non-Cartesian MRI: ``y_c,m = (H W)^(-1/2) sum_n s_c,n x_n exp(-i k_m . (n - c))``, ``c = N // 2``.

The sum is a nonuniform Fourier transform, computed by finufft (Barnett, Magland, af Klinteberg, *A parallel nonuniform fast Fourier
transform library based on an "exponential of semicircle" kernel*, SIAM J. Sci. Comput. 41, 2019) through pytorch-finufft, which runs
on GPUs; both are in the extra ``mri``. Derivatives are products with the transform and its adjoint again, of any order: the package's own end
at the first. On the Cartesian grid ``k = 2 pi (j - N // 2) / N`` it is
`stabtest.operators.Fourier`.

**Direct image.** ``A* W y`` with one weight for each sample, the share of k-space that it stands for, by the iteration of Pipe and Menon (MRM 41,
1999): ``w <- w / |B t B* w|`` from ``w = 1``, with the same transform ``B`` of an image of twice the field of view and ``t`` the autocorrelation of
the field of view, whose transform is positive. Weights can be given instead. One factor brings the image to the
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
    weights
        Density compensation for the direct image, real ``(M,)``, none negative, on any scale; ones for the bare adjoint. None: computed when it
        is first needed.

    Raises
    ------
    OperatorError
        If points, shape, sensitivities or weights do not fit, or pytorch-finufft is not installed.
    """

    def __init__(
        self,
        points: Tensor,
        shape: tuple[int, int],
        sensitivities: Tensor | None = None,
        *,
        factor: int = 1,
        weights: Tensor | None = None,
    ) -> None:
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
        require_finufft()  # what is missing is said here and not at the first product
        self.sensitivities = sensitivities
        self.weights = None if weights is None else _check_weights(weights, len(self.points))
        coils = 1 if sensitivities is None else sensitivities.shape[0]
        self.domain = Space((1, *fine), is_complex=True)
        self.range = Space((coils, len(self.points)), is_complex=True)

    def forward(self, x: Tensor) -> Tensor:
        """Image ``(B, 1, factor H, factor W)`` to samples ``(B, C, M)``, complex."""
        x = self.domain.check(x, "image")
        seen = x if self.sensitivities is None else x * self.sensitivities.to(x)
        scaled = seen.flatten(0, 1) * self._scale
        y = _transform(scaled, self, False)
        return y.unflatten(0, seen.shape[:2]) * self._register(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Samples ``(B, C, M)`` to image, complex."""
        moved = (self.range.check(y, "k-space") * self._register(y).conj()).flatten(0, 1).contiguous()
        x = _transform(moved, self, True)
        x = x.unflatten(0, y.shape[:2]) * self._scale
        return x if self.sensitivities is None else (x * self.sensitivities.to(x).conj()).sum(1, keepdim=True)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The density-compensated adjoint, coils combined."""
        weights = self.density.to(device=y.device, dtype=y.real.dtype)
        return self.adjoint(self.range.check(y, "k-space") * weights) * self._inverse_power(y)

    @cached_property
    def density(self) -> Tensor:
        """Weights of the samples, float64 ``(M,)``, scaled so that a smooth image comes back at its size."""
        weights = self._iterated() if self.weights is None else self.weights
        coarse = NonCartesian(self.points, self.shape)
        bumps = [
            torch.hann_window(n, periodic=False, dtype=torch.float64) if n > 2 else torch.ones(n, dtype=torch.float64)
            for n in self.shape
        ]
        smooth = (bumps[0][:, None] * bumps[1]).to(torch.complex128)[None, None]
        back = coarse.adjoint(coarse.forward(smooth) * weights)
        scale = float(inner(smooth, back) / inner(back, back))
        return weights * scale * self.factor**2  # the adjoint of a finer grid is smaller by the square of the factor

    def _iterated(self) -> Tensor:
        """The weights of Pipe and Menon."""
        double = NonCartesian(self.points, (2 * self.shape[0], 2 * self.shape[1]))  # more pixels of the same size
        # The autocorrelation of the field of view: its transform, the kernel, has no negative lobes.
        sides = [1 - (torch.arange(2 * n, dtype=torch.float64) - n).abs() / n for n in self.shape]
        triangle = sides[0][:, None] * sides[1]
        w = torch.ones((1, 1, len(self.points)), dtype=torch.complex128)
        for _ in range(DENSITY_STEPS):
            w = w / double.forward(double.adjoint(w) * triangle).abs().clamp_min(torch.finfo(torch.float64).tiny)
        return w.real[0, 0]

    def product(self, x: Tensor, adjoint: bool) -> Tensor:
        """The bare sums over pixels ``(K, H, W) -> (K, M)``, or over samples back, without scale, coils and derivatives."""
        x, functions = x.detach().contiguous(), require_finufft()
        nodes, options = self._nodes(x), {"modeord": 0, "eps": TOLERANCE[x.dtype]}
        if adjoint:
            return functions.finufft_type1(nodes, x, (self.domain.shape[1], self.domain.shape[2]), isign=1, **options)
        return functions.finufft_type2(nodes, x, isign=-1, **options)

    def with_sensitivities(self, sensitivities: Tensor) -> NonCartesian:
        """The same samples seen through other maps, complex ``(C, factor H, factor W)``."""
        return NonCartesian(self.points, self.shape, sensitivities, factor=self.factor, weights=self.weights)

    def refine(self, factor: int) -> NonCartesian:
        """The same scan of an object on a grid ``factor`` times finer, sensitivities interpolated between pixel middles."""
        factor = check_factor(factor)
        maps = self.sensitivities
        if maps is not None and factor > 1:
            parts = torch.cat([maps.real, maps.imag])[None]
            options: dict[str, Any] = {"scale_factor": factor, "mode": "bicubic", "align_corners": False}
            parts = torch.nn.functional.interpolate(parts, **options)[0]
            maps = torch.complex(parts[: len(maps)].contiguous(), parts[len(maps) :].contiguous())
        return NonCartesian(self.points, self.shape, maps, factor=self.factor * factor, weights=self.weights)

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
            "direct image": self._density_words,
        }

    @property
    def _density_words(self) -> str:
        if self.weights is None:
            return f"density compensation, {DENSITY_STEPS} iterations"
        alike = bool((self.weights == self.weights[0]).all())
        return "adjoint, without density compensation" if alike else "density compensation, weights given"

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


class _Transform(torch.autograd.Function):
    """``(x, operator, adjoint) -> product``; its derivatives are products again."""

    @staticmethod
    def forward(x: Tensor, operator: NonCartesian, adjoint: bool) -> Tensor:
        return operator.product(x, adjoint)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, NonCartesian, bool], output: Tensor) -> None:  # noqa: ANN401
        _, ctx.operator, ctx.adjoint = inputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _transform(grad_outputs[0], ctx.operator, not ctx.adjoint), None, None

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Tensor) -> Tensor:  # noqa: ANN401
        return _transform(grad_inputs[0], ctx.operator, ctx.adjoint)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:  # noqa: ANN401
        x, operator, adjoint = args
        moved: Tensor = x.movedim(in_dims[0], 0)
        return _transform(moved.flatten(0, 1), operator, adjoint).unflatten(0, moved.shape[:2]), 0


def _transform(x: Tensor, operator: NonCartesian, adjoint: bool) -> Tensor:
    made: Tensor = _Transform.apply(x, operator, adjoint)  # pyright: ignore[reportAssignmentType]
    return made


def _check_weights(weights: Tensor, count: int) -> Tensor:
    """Weights as float64 ``(M,)``."""
    found = weights.detach().cpu()
    real = not found.is_complex() and tuple(found.shape) == (count,)
    if not real or not bool(found.isfinite().all()) or bool((found < 0).any()) or not bool((found > 0).any()):
        raise OperatorError(
            "NonCartesian: weights",
            expected=f"one finite real number from 0 for each of the {count} samples, not all of them 0",
            came=f"{weights.dtype} {tuple(weights.shape)}" + (", with negative, infinite or only zero values" if real else ""),
            remedy="leave them out to have them computed",
        )
    return found.to(torch.float64)


def require_finufft() -> Any:  # noqa: ANN401
    """The functions of pytorch-finufft.

    Raises
    ------
    OperatorError
        If it is not installed.
    """
    try:
        from pytorch_finufft import functional  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OperatorError(
            "NonCartesian", expected="pytorch-finufft", came=str(error), remedy="pip install 'stabtest[mri]'"
        ) from error
    return functional
