"""Parallel-beam computed tomography: ``y = R x``.

``(R x)[view, bin]`` is the line integral of the image, averaged over the width of the detector bin, with the
exact area of each pixel in each strip (`stabtest.operators.strip`). The adjoint is the transposed matrix, the
pseudo-inverse filtered back-projection (`stabtest.operators.fbp`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.fbp import Window, angular_weights, filter_sinogram
from stabtest.operators.projector import Projector, like_width, sides, view_angles
from stabtest.operators.sparse import MatrixPair
from stabtest.operators.strip import ParallelGeometry, system_matrix


class Radon(Projector[ParallelGeometry]):
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
        height, width = sides(size)
        spacing = pixel_size if detector_spacing is None else detector_spacing
        if detectors is None and pixel_size > 0 and spacing > 0 and math.isfinite(centre_offset):
            needed = math.ceil(math.hypot(height, width) * pixel_size / spacing + 2 * abs(centre_offset))
            detectors = like_width(needed, width)
        geometry = ParallelGeometry(
            height,
            width,
            view_angles(angles, 180.0),
            detectors or 0,
            float(pixel_size),
            float(spacing),
            float(centre_offset),
        )
        super().__init__(geometry, window)

    def _system(self) -> MatrixPair:
        return self.stored("strip", system_matrix)

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
