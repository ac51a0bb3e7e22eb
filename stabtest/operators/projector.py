"""What parallel and fan beams have in common: a sparse system matrix ``R`` and its explicit transpose.

The matrix is made, or read from the disk cache, when it is first used. The norm is bounded by ``||R||^2 <= max_i (R^T R 1)_i``, since ``R`` has
no negative entry (Collatz and Wielandt): for such matrices the spectral radius of ``R^T R`` is at most ``max_i (R^T R v)_i / v_i`` for every
positive ``v``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from scipy import sparse
from torch import Tensor

from stabtest.operators import cache
from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.fan import FanGeometry
from stabtest.operators.fbp import Window, ramp
from stabtest.operators.sparse import MatrixPair
from stabtest.operators.strip import ParallelGeometry

CACHE_FROM = 2**18
"""Pixels times views from which on a matrix goes through the disk cache; below, building is as fast."""

Geometry = TypeVar("Geometry", ParallelGeometry, FanGeometry)


def sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """``(H, W)`` of a size that may be one number."""
    return (size, size) if isinstance(size, int) else size


def view_angles(angles: int | Sequence[float], turn: float) -> tuple[float, ...]:
    """Angles in degrees; of a number so many, equispaced over a turn from 0.

    Examples
    --------
    >>> view_angles(4, 180.0)
    (0.0, 45.0, 90.0, 135.0)
    """
    return tuple(float(angle) for angle in ([turn * i / angles for i in range(angles)] if isinstance(angles, int) else angles))


def like_width(needed: int, width: int) -> int:
    """The number of bins, or one more: of the parity of the image's width."""
    return needed + (needed - width) % 2


class Projector(LinearOperator, Generic[Geometry]):
    """Projection of an image by a sparse matrix.

    Parameters
    ----------
    geometry
        Image, views and bins.
    window
        Of the ramp filter in the direct image.

    Raises
    ------
    OperatorError
        If the window is unknown.
    """

    def __init__(self, geometry: Geometry, window: Window) -> None:
        self.geometry: Geometry = geometry
        self.window: Window = window
        ramp(1, 1.0, window)  # an unknown window is refused here, not at the first reconstruction
        self.domain = Space((1, geometry.height, geometry.width), is_complex=False)
        self.range = Space((1, len(geometry.angles), geometry.detectors), is_complex=False)

    @property
    def angles(self) -> tuple[float, ...]:
        """View angles in degrees."""
        return self.geometry.angles

    @cached_property
    def matrix(self) -> MatrixPair:
        """System matrix ``(views * detectors, H * W)`` and its transpose, made or read at the first use."""
        return self._system()

    @abstractmethod
    def _system(self) -> MatrixPair:
        """The matrix by `stored`."""

    def stored(self, name: str, build: Callable[[Geometry], sparse.csr_array]) -> MatrixPair:
        """A matrix of this geometry, made or read; ``name`` tells it from others in the cache."""
        geometry = self.geometry
        if geometry.height * geometry.width * len(geometry.angles) < CACHE_FROM:
            return MatrixPair(build(geometry))
        return MatrixPair(cache.cached_matrix(f"{name} {geometry!r}", lambda: build(geometry)))

    def forward(self, x: Tensor) -> Tensor:
        """``R x``: image ``(B, 1, H, W)`` to sinogram ``(B, 1, views, detectors)``, unit of ``x`` times length."""
        return self.matrix.apply(self.domain.check(x, "image").flatten(1)).unflatten(1, self.range.shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """``R^T y``: back-projection (not filtered), ``(B, 1, H, W)``."""
        x = self.matrix.apply(self.range.check(y, "sinogram").flatten(1), transposed=True)
        return x.unflatten(1, self.domain.shape)

    def norm_bound(self) -> float:
        """``sqrt(max_i (R^T R 1)_i)``, an upper bound of ``||R||``."""
        return self._norm_bound

    @cached_property
    def _norm_bound(self) -> float:
        ones = self.domain.zeros(dtype=torch.float64) + 1
        return float(self.adjoint(self.forward(ones)).max().sqrt())

    def __getstate__(self) -> dict[str, Any]:
        """Without matrices: another process reads them from the cache faster than through a pipe."""
        return {name: value for name, value in self.__dict__.items() if not isinstance(value, MatrixPair)}
