"""Parallel-beam computed tomography: ``y = R x``.

``(R x)[view, bin]`` is the line integral of the image, averaged over the width of the detector bin, with the
exact area of each pixel in each strip (`stabtest.operators.strip`). The adjoint is the transposed matrix, the
pseudo-inverse filtered back-projection (`stabtest.operators.fbp`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators import cache
from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.fbp import Window, angular_weights, filter_sinogram, ramp
from stabtest.operators.sparse import MatrixPair
from stabtest.operators.strip import ParallelGeometry, system_matrix

CACHE_FROM = 2**18
"""Pixels times views from which on a matrix goes through the disk cache; below, building is as fast."""


class Radon(LinearOperator):
    """Parallel-beam projection of a square or rectangular image, corners included.

    Parameters
    ----------
    size
        Side of the image in pixels, or ``(H, W)``.
    angles
        View angles in degrees, or their number, equispaced over 180 degrees from 0. At angle 0 the rays run
        along the columns and bins count from left to right; angles turn anticlockwise (as
        `skimage.transform.radon`).
    detectors
        Number of bins; by default enough to see the diagonal, of the parity of ``W``.
    pixel_size
        Side of a pixel, in any unit of length.
    detector_spacing
        Width of a bin, same unit; by default ``pixel_size``.
    centre_offset
        Where the rotation axis projects, in bins right of the detector's middle (a scanner's
        centre-of-rotation error).
    window
        Window of the ramp filter in `pseudo_inverse`. The default ``"ram-lak"`` is the plain ramp, the
        nearest to an inverse and what FBPConvNet was trained on (Jin et al., IEEE TIP 26, 2017); ``"hann"``
        is the usual choice for display of noisy data.

    Raises
    ------
    OperatorError
        If a size is not positive, an angle not finite, or the window unknown.

    Examples
    --------
    >>> import torch
    >>> A = Radon(16, 12)
    >>> y = A(torch.ones(2, 1, 16, 16))
    >>> y.shape, round(y[0, 0, 0].sum().item())
    (torch.Size([2, 1, 12, 24]), 256)
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        angles: int | Sequence[float],
        detectors: int | None = None,
        *,
        pixel_size: float = 1.0,
        detector_spacing: float | None = None,
        centre_offset: float = 0.0,
        window: Window = "ram-lak",
    ) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        if isinstance(angles, int):
            angles = [180.0 * i / angles for i in range(angles)]
        spacing = pixel_size if detector_spacing is None else detector_spacing
        if detectors is None and pixel_size > 0 and spacing > 0 and math.isfinite(centre_offset):
            detectors = _covering(height, width, pixel_size / spacing, centre_offset)
        self.geometry = ParallelGeometry(
            height,
            width,
            tuple(float(angle) for angle in angles),
            detectors or 0,
            float(pixel_size),
            float(spacing),
            float(centre_offset),
        )
        self.window: Window = window
        ramp(1, 1.0, window)  # an unknown window is refused here, not at the first reconstruction
        self.domain = Space((1, height, width), is_complex=False)
        self.range = Space((1, len(self.geometry.angles), self.geometry.detectors), is_complex=False)

    @property
    def angles(self) -> tuple[float, ...]:
        """View angles in degrees."""
        return self.geometry.angles

    @cached_property
    def matrix(self) -> MatrixPair:
        """System matrix ``(views * detectors, H * W)`` and its transpose, made or read at the first use."""
        geometry = self.geometry
        if geometry.height * geometry.width * len(geometry.angles) < CACHE_FROM:
            return MatrixPair(system_matrix(geometry))
        return MatrixPair(cache.cached_matrix(f"strip {geometry!r}", lambda: system_matrix(geometry)))

    def forward(self, x: Tensor) -> Tensor:
        """``R x``: image ``(B, 1, H, W)`` to sinogram ``(B, 1, views, detectors)``, unit of ``x`` times length."""
        y = self.matrix.apply(self.domain.check(x, "image").flatten(1))
        return y.unflatten(1, self.range.shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """``R^T y``: back-projection (not filtered), ``(B, 1, H, W)``."""
        x = self.matrix.apply(self.range.check(y, "sinogram").flatten(1), transposed=True)
        return x.unflatten(1, self.domain.shape)

    def fbp(self, y: Tensor, *, window: Window | None = None) -> Tensor:
        """Filtered back-projection.

        Parameters
        ----------
        y
            Sinogram, real ``(B, 1, views, detectors)``.
        window
            See `stabtest.operators.fbp.ramp`; None is the window of this operator.

        Returns
        -------
        Tensor
            Image ``(B, 1, H, W)``; a large disc of value 1 comes back as 1.

        Raises
        ------
        OperatorError
            If the sinogram does not fit or the window is unknown.
        """
        d, p = self.geometry.detector_spacing, self.geometry.pixel_size
        chosen = self.window if window is None else window
        filtered = filter_sinogram(self.range.check(y, "sinogram"), d, chosen)
        weights = angular_weights(self.angles).to(device=y.device, dtype=y.dtype)
        # A row of R^T sums to p^2/d for each view, an interpolation's weights sum to 1.
        return self.adjoint(filtered * weights[:, None]) * (d / p**2)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """Filtered back-projection with the window of this operator."""
        return self.fbp(y)

    def refine(self, factor: int) -> Radon:
        """The same views and bins of an object with pixels ``factor`` times smaller."""
        if factor < 1 or factor != int(factor):
            raise OperatorError("refine: factor", expected="a positive integer", came=str(factor))
        g = self.geometry
        return Radon(
            (int(factor) * g.height, int(factor) * g.width),
            g.angles,
            g.detectors,
            pixel_size=g.pixel_size / int(factor),
            detector_spacing=g.detector_spacing,
            centre_offset=g.centre_offset,
            window=self.window,
        )

    def with_angles(self, angles: int | Sequence[float], *, centre_offset: float | None = None) -> Radon:
        """The same scanner at other angles (in degrees, or a number over half a turn)."""
        g = self.geometry
        return Radon(
            (g.height, g.width),
            angles,
            g.detectors,
            pixel_size=g.pixel_size,
            detector_spacing=g.detector_spacing,
            centre_offset=g.centre_offset if centre_offset is None else centre_offset,
            window=self.window,
        )

    def norm_bound(self) -> float:
        """``sqrt(max_i (R^T R 1)_i)``, an upper bound since ``R`` has no negative entry (Collatz and Wielandt).

        For such matrices the spectral radius of ``R^T R`` is at most ``max_i (R^T R v)_i / v_i`` for every positive ``v``.
        """
        return self._norm_bound

    @cached_property
    def _norm_bound(self) -> float:
        ones = self.domain.zeros(dtype=torch.float64) + 1
        return float(self.adjoint(self.forward(ones)).max().sqrt())

    def describe(self) -> dict[str, str | int | float]:
        """Kind, sizes, numbers of views and bins, angular span."""
        g = self.geometry
        return {
            "kind": "Radon",
            "height": g.height,
            "width": g.width,
            "views": len(g.angles),
            "detectors": g.detectors,
            "first angle": min(g.angles),
            "last angle": max(g.angles),
            "pixel size": g.pixel_size,
            "detector spacing": g.detector_spacing,
            "centre offset": g.centre_offset,
            "window": self.window,
        }

    def __getstate__(self) -> dict[str, Any]:
        """Without the matrix: another process reads it from the cache faster than through a pipe."""
        return {name: value for name, value in self.__dict__.items() if name != "matrix"}


def _covering(height: int, width: int, ratio: float, offset: float) -> int:
    """Fewest bins that see the whole diagonal, of the parity of the width."""
    needed = math.ceil(math.hypot(height, width) * ratio + 2 * abs(offset))
    return needed + (needed - width) % 2
