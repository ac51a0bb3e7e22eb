"""The linear forward model: what every operator is.

A measurement is ``y = A x + noise`` with a linear ``A`` between two real Hilbert spaces (complex vectors carry the real inner
product of `stabtest.tensors`). The adjoint is exact, ``<A x, y> = <x, A* y>`` up to rounding, since every gradient of a
search and every bound passes through it.

Conventions: images are ``(B, 1, H, W)``, complex for MRI and real for CT; tensors follow the input's precision and device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import OperatorError


@dataclass(frozen=True)
class Space:
    """A real Hilbert space of batched tensors.

    Parameters
    ----------
    shape
        Shape of one element, without the batch axis.
    is_complex
        Whether the entries are complex.
    """

    shape: tuple[int, ...]
    is_complex: bool

    def dtype(self, real: torch.dtype = torch.float32) -> torch.dtype:
        """The tensor type of this space at the precision of ``real``."""
        return tensors.complex_dtype(real) if self.is_complex else tensors.real_dtype(real)

    def zeros(self, batch: int = 1, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
        """The zero element, shape ``(batch, *shape)``."""
        return torch.zeros((batch, *self.shape), dtype=self.dtype(dtype), device=device)

    def randn(
        self,
        batch: int = 1,
        *,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """A standard normal element, shape ``(batch, *shape)``."""
        return tensors.randn((batch, *self.shape), dtype=self.dtype(dtype), generator=generator, device=device)

    def check(self, x: Tensor, name: str) -> Tensor:
        """Return ``x`` if it belongs to the space.

        Raises
        ------
        OperatorError
            If the shape (after the batch axis) or the kind (real, complex) differs.
        """
        if x.ndim != len(self.shape) + 1 or tuple(x.shape[1:]) != self.shape:
            raise OperatorError(
                f"{name}: wrong shape",
                expected=f"(B, {', '.join(map(str, self.shape))})",
                came=str(tuple(x.shape)),
            )
        if x.is_complex() != self.is_complex:
            kinds = ("real", "complex")
            raise OperatorError(f"{name}: wrong kind", expected=f"a {kinds[self.is_complex]} tensor", came=str(x.dtype))
        return x


class LinearOperator(ABC):
    """A linear forward model ``A: domain -> range``.

    Attributes
    ----------
    domain, range
        The spaces of images and of measurements.
    precision
        The finest precision that it computes in.
    """

    domain: Space
    range: Space
    precision: torch.dtype = torch.float64

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``A x``: image ``(B, *domain.shape)`` to measurement ``(B, *range.shape)``, differentiable."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """``A* y``: measurement to image, differentiable, exact."""

    @abstractmethod
    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The customary direct linear reconstruction (zero-filled, filtered back-projection, identity)."""

    def restrict(self, e: Tensor) -> Tensor:
        """Orthogonal projection of a perturbation onto what the scanner can measure; the identity unless overridden."""
        return self.range.check(e, "perturbation")

    @abstractmethod
    def refine(self, factor: int) -> LinearOperator:
        """The same scan of an object on a grid ``factor`` times finer: same range, domain ``factor`` times larger.

        Measurements are simulated through it, so that nothing is reconstructed on the grid it was simulated on.
        """

    def norm_bound(self) -> float:
        """An upper bound of ``||A||``, cheap to have; step sizes of iterative methods rest on it.

        Raises
        ------
        OperatorError
            If the operator does not define it.
        """
        raise OperatorError(
            f"{type(self).__name__}: norm_bound",
            expected="a method that returns an upper bound of the norm",
            came="none",
            remedy="define it, for instance from stabtest.operators.operator_norm with a margin",
        )

    @abstractmethod
    def describe(self) -> dict[str, str | int | float]:
        """What the report prints about this operator (kind, sizes, realised sampling fraction, ...)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Same as `forward`."""
        return self.forward(x)
