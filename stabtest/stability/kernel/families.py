"""Details that are close in the data and far in the image: the sets over which the transfer bound is maximised.

A detail ``h`` is near the null space where ``||A h|| <= eps`` although ``||h||`` is as large as ``rho``. Both families live inside the ellipsoid

    E = { h : Q(h) <= 1 },      Q(h)^2 = ||h||^2 / rho^2 + ||A h||^2 / eps^2,

so that ``||h|| <= rho`` *and* ``||A h|| <= eps``; what satisfies both satisfies ``Q <= sqrt 2``, so little is lost. The inverse of the
quadratic form is the near-null filter

    W g = (I / rho^2 + A* A / eps^2)^-1 g = eps^2 (A* A + mu I)^-1 g,     mu = (eps / rho)^2,

which passes what the scanner does not see (factor ``rho^2`` on the null space) and damps a direction of singular value ``s`` by
``mu / (mu + s^2)``. It is closed for single-coil Fourier and otherwise a few conjugate gradients, well conditioned by ``mu``.

- `FreeDetail`: any ``h`` in E. The variable is ``h`` itself; ``W`` turns a gradient into the steepest direction in the norm ``Q``, and radial
  scaling is the projection onto E in that norm.
- `BumpDetail`: a Gaussian bump with position, width and a complex (real in CT) amplitude as parameters, passed through ``W`` and scaled into E:
  ``h = a W b / Q(W b)``, ``|a| <= 1``. It looks like something that a radiologist would report; its sign or phase is that of ``a``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Fourier, LinearOperator
from stabtest.operators.solvers import conjugate_gradient

FILTER_ITERATIONS = 12
"""Conjugate gradients in the near-null filter. It need not be exact: where a detail lies is measured, not assumed."""
WIDTHS = (0.8, 8.0)
"""Standard deviation of a bump in pixels, smallest and largest."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """``E`` and its filter.

    Parameters
    ----------
    operator
        ``A``.
    size
        ``rho``, unit of the image.
    data
        ``eps``, unit of the measurement.

    Raises
    ------
    ConfigError
        If a radius is not positive and finite.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> ball = Ellipsoid(Identity((2, 2)), size=3.0, data=4.0)
    >>> round(float(ball.radius(torch.full((1, 1, 2, 2), 0.5))), 4)  # sqrt(1/9 + 1/16)
    0.4167
    """

    operator: LinearOperator
    size: float
    data: float

    def __post_init__(self) -> None:
        if not (0 < self.size < math.inf and 0 < self.data < math.inf):
            raise ConfigError("details: size and data", expected="positive numbers", came=f"{self.size} and {self.data}")

    def radius(self, h: Tensor) -> Tensor:
        """``Q(h)`` of each image, ``(B,)``."""
        return torch.sqrt(
            (tensors.norm(h) / self.size).square() + (tensors.norm(self.operator.forward(h)) / self.data).square()
        )

    def filter(self, g: Tensor) -> Tensor:
        """``W g``, differentiable."""
        weight = (self.data / self.size) ** 2
        if isinstance(self.operator, Fourier):
            seen = self.operator.adjoint(self.operator.forward(g))
            return self.data**2 * (seen / (1 + weight) + (g - seen) / weight)
        return self.data**2 * conjugate_gradient(self.operator, g, weight=weight, iterations=FILTER_ITERATIONS).x

    def inside(self, h: Tensor) -> Tensor:
        """The nearest point of E in the norm ``Q``."""
        return tensors.scale(h, 1 / self.radius(h).clamp_min(1.0))


@dataclass(frozen=True, eq=False)
class Family(ABC):
    """A variable ``z``, the detail that it stands for, and how to move it.

    Parameters
    ----------
    ellipsoid
        Where the details lie.
    """

    ellipsoid: Ellipsoid

    @abstractmethod
    def detail(self, z: Tensor) -> Tensor:
        """``h(z)`` in E, ``(1, *domain)``, differentiable."""

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """Steepest direction of unit length in the family's own norm."""

    @abstractmethod
    def feasible(self, z: Tensor) -> Tensor:
        """The variable brought back to where it may be."""

    @abstractmethod
    def start(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """A random variable for details of the type of ``like``."""


@dataclass(frozen=True, eq=False)
class FreeDetail(Family):
    """Any detail in the ellipsoid; ``z`` is ``h`` itself, ``(1, *domain)``."""

    def detail(self, z: Tensor) -> Tensor:
        """``z``."""
        return z

    def direction(self, gradient: Tensor) -> Tensor:
        """``W g / Q(W g)``."""
        return self.surface(self.ellipsoid.filter(gradient))

    def surface(self, h: Tensor) -> Tensor:
        """``h / Q(h)``; zero stays zero."""
        return tensors.scale(h, 1 / self.ellipsoid.radius(h).clamp_min(torch.finfo(h.real.dtype).tiny))

    def feasible(self, z: Tensor) -> Tensor:
        """Scaled into the ellipsoid."""
        return self.ellipsoid.inside(z)

    def start(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """White noise through the filter, on the surface."""
        noise = tensors.randn(tuple(like.shape), dtype=like.dtype, generator=generator, device=like.device)
        return self.direction(noise)


@dataclass(frozen=True, eq=False)
class BumpDetail(Family):
    """A bump through the filter; ``z`` holds row, column, logarithm of the width, real and imaginary part of the amplitude: ``(1, 5)``."""

    def detail(self, z: Tensor) -> Tensor:
        """``a W b / Q(W b)``."""
        shape, is_complex = self.ellipsoid.operator.domain.shape, self.ellipsoid.operator.domain.is_complex
        row, column, width, real, imaginary = z[0]
        rows, columns = (torch.arange(n, dtype=z.dtype, device=z.device) for n in shape[-2:])
        square = (rows[:, None] - row).square() + (columns - column).square()
        bump = torch.exp(-0.5 * square / torch.exp(2 * width)).expand(1, *shape)
        amplitude = torch.complex(real, imaginary) if is_complex else real
        filtered = self.ellipsoid.filter(torch.complex(bump, torch.zeros_like(bump)) if is_complex else bump)
        return amplitude * tensors.scale(filtered, 1 / self.ellipsoid.radius(filtered))

    def direction(self, gradient: Tensor) -> Tensor:
        """A step of unit length, counted in pixels, tenths of the logarithm of the width and tenths of the amplitude."""
        scale = gradient.new_tensor([1.0, 1.0, 0.1, 0.1, 0.1])
        step = gradient * scale
        return scale * step / step.norm().clamp_min(torch.finfo(step.dtype).tiny)

    def feasible(self, z: Tensor) -> Tensor:
        """Position in the image, width in `WIDTHS`, amplitude of at most 1."""
        height, width = self.ellipsoid.operator.domain.shape[-2:]
        row, column, size = z[:, 0].clamp(0, height - 1), z[:, 1].clamp(0, width - 1), z[:, 2]
        size = size.clamp(math.log(WIDTHS[0]), math.log(WIDTHS[1]))
        amplitude = z[:, 3:] / z[:, 3:].norm(dim=1, keepdim=True).clamp_min(1.0)
        return torch.cat([torch.stack([row, column, size], 1), amplitude], 1)

    def start(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform in the middle half of the image, 1.5 pixels wide, amplitude 1 of random sign or phase."""
        height, width = like.shape[-2:]
        u = torch.rand(3, generator=generator, dtype=torch.float64, device=generator.device)
        angle = 2 * math.pi * float(u[2]) if like.is_complex() else math.pi * round(float(u[2]))
        place = [(0.25 + 0.5 * float(u[0])) * height, (0.25 + 0.5 * float(u[1])) * width]
        values = [*place, math.log(1.5), math.cos(angle), math.sin(angle) if like.is_complex() else 0.0]
        return torch.tensor([values], dtype=like.real.dtype, device=like.device)
