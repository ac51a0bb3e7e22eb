r"""System matrix and back-projection of fan-beam tomography, flat or curved detector.

At angle ``beta`` the source is at ``S = D (sin beta, -cos beta)``, the middle of the detector beyond the axis at a distance
``E`` from it. A ray at fan angle ``gamma`` is the line ``x cos(theta) + y sin(theta) = t`` with

    theta = beta - gamma,   t = D sin(gamma),   gamma = atan(u / (D + E)) (flat) or u / (D + E) (curved, equal angles),

``u`` the place on the detector. Between the rays through the two edges of a bin lies a wedge. How much of a pixel's square lies in it
is exact: a difference of two values of the distribution function of its shadow (`stabtest.operators.strip`), each at its own
``theta``. The reading of a bin is the line integral averaged over its width ``d``; with ``du dl = (du/dgamma / r) dA`` at the distance
``r`` from the source, the matrix entry is

    area * (D + E) r / (L^2 d)  (flat),      area * (D + E) / (r d)  (curved),

``L`` the distance along the central ray. ``r`` and ``L`` are those of the middle of the pixel: within it they vary by half a pixel
over the distance from the source, to first order as much up as down. For ``D`` to infinity at ``E = 0`` the wedge is a strip and the
entry that of a parallel beam.

The back-projection of the direct image spreads a reading over the same footprints, normalised to 1 in each view and weighted by ``(D / L)^2`` (flat)
or ``1 / r^2`` (curved).

Source: Kak & Slaney, *Principles of Computerized Tomographic Imaging* (1988), section 3.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from stabtest.errors import OperatorError
from stabtest.operators.strip import MAX_ENTRIES, cos_sin, footprint_cdf

Detector = Literal["flat", "curved"]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class FanGeometry:
    """Where source, pixels and detector bins are.

    The rotation axis is the middle of the image; pixels lie as in `stabtest.operators.strip.ParallelGeometry`. Bin ``i`` is centred on
    ``u = (i - (n - 1)/2 - offset) d``.

    Parameters
    ----------
    height, width
        Image size in pixels.
    angles
        View angles in degrees.
    detectors
        Number of detector bins ``n``.
    source_distance
        ``D``, from the source to the axis, any unit of length.
    detector_distance
        ``E``, from the axis to the detector, same unit; 0 puts it into the axis.
    detector
        ``"flat"``: bins of equal width on a line; ``"curved"``: on an arc about the source, of equal angle.
    pixel_size
        Side of a pixel, same unit.
    detector_spacing
        Width ``d`` of a bin on the detector, same unit.
    centre_offset
        Where the axis projects, in bins right of the detector's middle.
    """

    height: int
    width: int
    angles: tuple[float, ...]
    detectors: int
    source_distance: float
    detector_distance: float
    detector: Detector = "flat"
    pixel_size: float = 1.0
    detector_spacing: float = 1.0
    centre_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.detector not in get_args(Detector):
            raise OperatorError("FanBeam: detector", expected="'flat' or 'curved'", came=repr(self.detector))
        if not self.angles or not all(math.isfinite(a) for a in self.angles):
            raise OperatorError("FanBeam: angles", expected="at least one finite angle", came=str(self.angles))
        for name in ("pixel_size", "detector_spacing", "source_distance"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise OperatorError(f"FanBeam: {name}", expected="a positive length", came=str(value))
        for name in ("centre_offset", "detector_distance"):
            if not math.isfinite(getattr(self, name)):
                raise OperatorError(f"FanBeam: {name}", expected="a finite number", came=str(getattr(self, name)))
        for name in ("height", "width", "detectors"):
            if getattr(self, name) < 1:
                raise OperatorError(f"FanBeam: {name}", expected="a positive integer", came=str(getattr(self, name)))
        half = math.hypot(self.height, self.width) * self.pixel_size / 2
        if self.source_distance <= half or self.detector_distance < 0:
            raise OperatorError(
                "FanBeam: distances",
                expected=f"a source outside of the image, more than {half:g} from the axis, and a detector on the other side",
                came=f"source {self.source_distance:g}, detector {self.detector_distance:g}",
            )
        spread = self.detectors * self.detector_spacing / (2 * self.length)
        if self.detector == "curved" and spread >= math.pi / 2:
            raise OperatorError(
                "FanBeam: detector", expected="a fan below half a turn", came=f"{math.degrees(2 * spread):g} degrees"
            )

    @property
    def length(self) -> float:
        """From the source to the detector, ``D + E``."""
        return self.source_distance + self.detector_distance

    @property
    def positions(self) -> Reals:
        """Middles ``u_i`` of the bins, shape ``(detectors,)``."""
        index = np.arange(self.detectors, dtype=np.float64)
        return (index - (self.detectors - 1) / 2 - self.centre_offset) * self.detector_spacing

    def fan_angle(self, u: Reals) -> Reals:
        """Fan angles ``gamma`` in radians of places on the detector."""
        return np.arctan(u / self.length) if self.detector == "flat" else u / self.length

    def place(self, across: Reals, along: Reals) -> Reals:
        """Where a point is seen on the detector, from its distances across and along the central ray."""
        return self.length * (across / along if self.detector == "flat" else np.arctan2(across, along))


def fan_matrix(geometry: FanGeometry) -> sparse.csr_array:
    """The projection matrix, float64 CSR of shape ``(views * detectors, H * W)``.

    Raises
    ------
    OperatorError
        If it would have more entries than 32-bit indices count.

    Examples
    --------
    >>> fan_matrix(FanGeometry(1, 1, (0.0,), 3, 100.0, 0.0)).toarray().ravel().round(2)
    array([0., 1., 0.])
    """
    return _stack(geometry, backwards=False)


def back_matrix(geometry: FanGeometry) -> sparse.csr_array:
    """The weights of the filtered back-projection, transposed: float64 CSR of shape ``(views * detectors, H * W)``."""
    return _stack(geometry, backwards=True)


def _stack(geometry: FanGeometry, *, backwards: bool) -> sparse.csr_array:
    pixels = geometry.height * geometry.width
    wide = geometry.pixel_size * geometry.length / (geometry.source_distance * geometry.detector_spacing)
    estimate = pixels * len(geometry.angles) * (1.3 * wide + 1)
    if estimate > MAX_ENTRIES:
        raise OperatorError(
            "FanBeam: the system matrix is too large",
            expected=f"at most {MAX_ENTRIES} entries",
            came=f"about {estimate:.2g}",
            remedy="use fewer pixels or views",
        )
    views = [_view(geometry, angle, backwards=backwards) for angle in geometry.angles]
    matrix = sparse.csr_array(sparse.vstack(views, format="csr"))
    matrix.sort_indices()
    indices, indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return sparse.csr_array((matrix.data, indices, indptr), shape=matrix.shape)


def _view(geometry: FanGeometry, angle: float, *, backwards: bool) -> sparse.csr_array:
    """Rows of one view, CSR ``(detectors, H W)``."""
    p, d, source = geometry.pixel_size, geometry.detector_spacing, geometry.source_distance
    cosine, sine = cos_sin(angle)
    columns = (np.arange(geometry.width) - (geometry.width - 1) / 2) * p
    rows = ((geometry.height - 1) / 2 - np.arange(geometry.height)) * p
    x, y = (grid.ravel() for grid in np.meshgrid(columns, rows))
    across, along = x * cosine + y * sine, source - x * sine + y * cosine
    # Bins that the corners of a pixel are seen in: its shadow lies between the outermost ones.
    a, b = p / 2 * (cosine + sine), p / 2 * (cosine - sine)
    seen = np.stack([geometry.place(across + da, along + dl) for da, dl in ((a, b), (-a, -b), (b, -a), (-b, a))])
    left = geometry.positions[0] - d / 2
    first = np.floor((seen.min(0) - left) / d).astype(np.int64)
    reach = int((np.floor((seen.max(0) - left) / d).astype(np.int64) - first).max()) + 1
    bins = first[:, None] + np.arange(reach + 1)[None, :]
    gamma = geometry.fan_angle(left + bins * d)
    normal_c, normal_s = cosine * np.cos(gamma) + sine * np.sin(gamma), sine * np.cos(gamma) - cosine * np.sin(gamma)
    offset = source * np.sin(gamma) - x[:, None] * normal_c - y[:, None] * normal_s
    share = np.diff(footprint_cdf(offset / p, normal_c, normal_s), axis=1)
    distance = np.hypot(across, along)
    if backwards:
        weight = (source / along) ** 2 if geometry.detector == "flat" else distance**-2.0
    elif geometry.detector == "flat":
        weight = p * p * geometry.length * distance / (along**2 * d)
    else:
        weight = p * p * geometry.length / (distance * d)
    bins = bins[:, :-1]
    pixels = np.broadcast_to(np.arange(x.size)[:, None], bins.shape)
    keep = (share > 1e-14) & (bins >= 0) & (bins < geometry.detectors)
    values = share * weight[:, None]
    return sparse.csr_array((values[keep], (bins[keep], pixels[keep])), shape=(geometry.detectors, x.size))
