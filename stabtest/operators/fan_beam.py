r"""Fan-beam computed tomography: ``y = R x``.

``(R x)[view, bin]`` is the line integral of the image averaged over the width of the bin (`stabtest.operators.fan`), the adjoint the transposed
matrix.

The pseudo-inverse is filtered back-projection over a full turn (Kak & Slaney 1988, section 3.4), with ``h`` the band-limited ramp of a parallel beam:

    flat:    f = sum over views of dbeta (D/L)^2 (1/2) h * (R D / sqrt(D^2 + s^2)),   s = u D / (D + E),
    curved:  f = sum over views of dbeta  1/r^2  (1/2) h_c * (R D cos gamma),          h_c(n a) = h(n a) (n a / sin(n a))^2.

Every ray of a full turn is measured twice, which the factor 1/2 takes care of. Views that do not make up a full turn would need weights of
redundancy; there the direct image is least squares by the nu-method instead (`stabtest.operators.own.least_squares`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.fan import Detector, FanGeometry, Reals, back_matrix, fan_matrix
from stabtest.operators.fbp import Window, ramp, window_response
from stabtest.operators.fourier import check_factor
from stabtest.operators.nu_method import DIRECT_STEPS, least_squares
from stabtest.operators.projector import Projector, like_width, sides, view_angles
from stabtest.operators.sparse import MatrixPair


class FanBeam(Projector[FanGeometry]):
    """Fan-beam projection of a square or rectangular image, corners included.

    Parameters
    ----------
    size
        Side of the image in pixels, or ``(H, W)``.
    angles
        View angles in degrees, or their number, equispaced over 360 degrees from 0. At angle 0 the source is below the image and bins count
        from left to right; angles turn anticlockwise, as in `stabtest.operators.Radon`.
    detectors
        Number of bins; by default enough to see the diagonal, of the parity of ``W``.
    source_distance
        From the source to the axis, in the unit of ``pixel_size``; by default twice the larger side of the image.
    detector_distance
        From the axis to the detector; by default half of that.
    detector
        ``"flat"`` or ``"curved"`` (an arc about the source, bins of equal angle).
    pixel_size
        Side of a pixel.
    detector_spacing
        Width of a bin on the detector; by default that of a pixel in the axis, magnified.
    centre_offset
        Where the axis projects, in bins right of the detector's middle.
    window
        Of the ramp filter in `pseudo_inverse`.

    Raises
    ------
    OperatorError
        If a size is not positive, the source is inside of the image, or the window unknown.

    Examples
    --------
    >>> A = FanBeam(16, 24, source_distance=40.0)
    >>> y = A(torch.ones(2, 1, 16, 16))
    >>> y.shape, round(y.max().item(), 1)
    (torch.Size([2, 1, 24, 24]), 21.6)
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        angles: int | Sequence[float],
        detectors: int | None = None,
        *,
        source_distance: float | None = None,
        detector_distance: float | None = None,
        detector: Detector = "flat",
        pixel_size: float = 1.0,
        detector_spacing: float | None = None,
        centre_offset: float = 0.0,
        window: Window = "ram-lak",
    ) -> None:
        height, width = sides(size)
        source = 2.0 * max(height, width) * pixel_size if source_distance is None else float(source_distance)
        beyond = source / 2 if detector_distance is None else float(detector_distance)
        magnified = pixel_size * (source + beyond) / source if source > 0 else pixel_size
        spacing = magnified if detector_spacing is None else float(detector_spacing)
        half = math.hypot(height, width) * pixel_size / 2
        if detectors is None and source > half and spacing > 0 and math.isfinite(centre_offset):
            gamma = math.asin(half / source)
            reach = (source + beyond) * (math.tan(gamma) if detector == "flat" else gamma)
            needed = math.ceil(2 * reach / spacing + 2 * abs(centre_offset))
            detectors = like_width(needed, width)
        geometry = FanGeometry(
            height,
            width,
            view_angles(angles, 360.0),
            detectors or 1,
            source,
            beyond,
            detector,
            float(pixel_size),
            spacing,
            float(centre_offset),
        )
        super().__init__(geometry, window)

    @property
    def is_full_turn(self) -> bool:
        """Whether the views make up 360 degrees, without a gap (above 15 degrees and above four times the median one)."""
        gaps = _gaps(self.angles)
        return bool(gaps.max() <= max(15.0, 4 * float(np.median(gaps))))

    def _system(self) -> MatrixPair:
        return self.stored("fan", fan_matrix)

    @cached_property
    def _back(self) -> MatrixPair:
        return self.stored("fan back", back_matrix)

    def fbp(self, y: Tensor, *, window: Window | None = None) -> Tensor:
        """Filtered back-projection of a full turn.

        Parameters
        ----------
        y
            Sinogram ``(B, 1, views, detectors)``.
        window
            None is that of this operator.

        Returns
        -------
        Tensor
            Image ``(B, 1, H, W)``; a large disc of value 1 comes back as 1.

        Raises
        ------
        OperatorError
            If the sinogram does not fit, the views are no full turn, or the window is unknown.
        """
        if not self.is_full_turn:
            raise OperatorError(
                "fan-beam FBP",
                expected="views over 360 degrees",
                came=f"a gap of {_gaps(self.angles).max():.4g} degrees",
                remedy="use pseudo_inverse, or an iterative method",
            )
        weights, response = self._filter(self.window if window is None else window)
        weighted = self.range.check(y, "sinogram") * weights.to(y)
        length = 2 * (response.numel() - 1)
        filtered = torch.fft.irfft(torch.fft.rfft(weighted, n=length) * response.to(y), n=length)[..., : y.shape[-1]]
        gaps = torch.from_numpy(np.radians(_view_weights(self.angles))).to(y)
        x = self._back.apply((filtered * gaps[:, None] / 2).flatten(1), transposed=True)
        return x.unflatten(1, self.domain.shape)

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """Filtered back-projection of a full turn; of fewer views least squares."""
        if self.is_full_turn:
            return self.fbp(y)
        return least_squares(self, self.range.check(y, "sinogram"), steps=DIRECT_STEPS)

    def with_angles(self, angles: int | Sequence[float], *, centre_offset: float | None = None) -> FanBeam:
        """The same scanner at other angles (in degrees, or a number over a full turn)."""
        return self._like((self.geometry.height, self.geometry.width), angles, self.geometry.pixel_size, centre_offset)

    def refine(self, factor: int) -> FanBeam:
        """The same views and bins of an object with pixels ``factor`` times smaller."""
        n, g = check_factor(factor), self.geometry
        return self._like((n * g.height, n * g.width), g.angles, g.pixel_size / n, None)

    def _like(
        self, size: tuple[int, int], angles: int | Sequence[float], pixel_size: float, centre_offset: float | None
    ) -> FanBeam:
        g = self.geometry
        return FanBeam(
            size,
            angles,
            g.detectors,
            source_distance=g.source_distance,
            detector_distance=g.detector_distance,
            detector=g.detector,
            pixel_size=pixel_size,
            detector_spacing=g.detector_spacing,
            centre_offset=g.centre_offset if centre_offset is None else centre_offset,
            window=self.window,
        )

    def _filter(self, window: Window) -> tuple[Tensor, Tensor]:
        """Weight of each bin before the filter, and the transfer function."""
        g = self.geometry
        gamma = torch.from_numpy(g.fan_angle(g.positions))
        if g.detector == "flat":
            spacing = g.detector_spacing * g.source_distance / g.length
            return torch.cos(gamma), ramp(g.detectors, spacing, window)  # D / sqrt(D^2 + s^2) is the cosine
        spacing = g.detector_spacing / g.length
        length = 2 ** math.ceil(math.log2(max(2 * g.detectors, 2)))
        n = torch.arange(length)
        n = torch.minimum(n, length - n).to(torch.float64)
        # Beyond the fan, where the sine would vanish, no pair of bins meets.
        sine = torch.sin((n * spacing).clamp(max=math.pi / 2)).clamp_min(torch.finfo(torch.float64).tiny)
        kernel = torch.where((n % 2 == 1) & (n < g.detectors), -1 / (math.pi * sine) ** 2, torch.zeros_like(n))
        kernel[0] = 1 / (4 * spacing**2)
        return g.source_distance * torch.cos(gamma), torch.fft.rfft(kernel).real * spacing * window_response(length, window)

    def describe(self) -> dict[str, str | int | float]:
        """Kind, sizes, distances, numbers of views and bins."""
        g = self.geometry
        return {
            "kind": "Fan beam",
            "height": g.height,
            "width": g.width,
            "views": len(g.angles),
            "detectors": g.detectors,
            "detector": g.detector,
            "source to axis": g.source_distance,
            "axis to detector": g.detector_distance,
            "first angle": min(g.angles),
            "last angle": max(g.angles),
            "pixel size": g.pixel_size,
            "detector spacing": g.detector_spacing,
            "centre offset": g.centre_offset,
            "direct image": "filtered back-projection" if self.is_full_turn else f"{DIRECT_STEPS} steps of least squares",
            "window": self.window,
        }


def _gaps(angles: Sequence[float]) -> Reals:
    """Gaps between neighbouring angles around the turn, in degrees; equal angles are one."""
    reduced = np.unique(np.round(np.mod(np.asarray(angles, dtype=np.float64), 360.0), 9))
    return np.asarray(np.diff(np.append(reduced, reduced[0] + 360.0)), dtype=np.float64)


def _view_weights(angles: Sequence[float]) -> Reals:
    """Half the gaps of each view to its neighbours, in degrees; they sum to 360."""
    reduced = np.mod(np.asarray(angles, dtype=np.float64), 360.0)
    order = np.argsort(reduced, kind="stable")
    gaps = np.diff(np.append(reduced[order], reduced[order[0]] + 360.0))
    weights = np.empty_like(gaps)
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights
