"""System matrix of parallel-beam projection with strip footprints.

Detector bin ``i`` of the view at angle ``theta`` sees the strip ``|x cos(theta) + y sin(theta) - t_i| <=
d/2``. The matrix entry of bin and pixel is ``area(pixel and strip) / d``: the line integral through the
pixel, averaged over the width of the bin. The shadow of a square pixel of side ``p`` is the convolution of
two boxes of widths ``p |cos|`` and ``p |sin|``, a trapezoid, so the area is ``p^2`` times a difference of two
values of the trapezoid's distribution function: exact, no rays.

Sources: Kak & Slaney, *Principles of Computerized Tomographic Imaging* (1988), section 7.2; the strip model
as in Lo, *Strip and line path integrals with a square pixel matrix*, IEEE TMI 7 (1988).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from stabtest.errors import OperatorError

Reals = NDArray[np.float64]

MAX_ENTRIES = 2**31 - 1
"""Largest number of entries that 32-bit indices can count."""


@dataclass(frozen=True)
class ParallelGeometry:
    """Where the pixels and the detector bins are.

    The rotation axis is the middle of the image. Pixel ``[row, column]`` has its middle at ``x = (column - (W
    - 1)/2) p``, ``y = ((H - 1)/2 - row) p``; bin ``i`` is centred on ``t = (i - (n - 1)/2 - offset) d``.

    Parameters
    ----------
    height, width
        Image size in pixels.
    angles
        View angles in degrees.
    detectors
        Number of detector bins ``n``.
    pixel_size
        Side ``p`` of a pixel, any unit of length.
    detector_spacing
        Width ``d`` of a bin (bins touch), same unit.
    centre_offset
        Where the rotation axis projects, in bins right of the detector's middle.
    """

    height: int
    width: int
    angles: tuple[float, ...]
    detectors: int
    pixel_size: float = 1.0
    detector_spacing: float = 1.0
    centre_offset: float = 0.0

    def __post_init__(self) -> None:
        if not self.angles or not all(math.isfinite(a) for a in self.angles):
            raise OperatorError("Radon: angles", expected="at least one finite angle", came=str(self.angles))
        for name in ("pixel_size", "detector_spacing"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise OperatorError(f"Radon: {name}", expected="a positive length", came=str(value))
        if not math.isfinite(self.centre_offset):
            raise OperatorError("Radon: centre_offset", expected="a finite number", came=str(self.centre_offset))
        # Last: a default number of detectors follows from all of the above.
        for name in ("height", "width", "detectors"):
            if getattr(self, name) < 1:
                raise OperatorError(f"Radon: {name}", expected="a positive integer", came=str(getattr(self, name)))

    @property
    def detector_positions(self) -> Reals:
        """Middles ``t_i`` of the bins, shape ``(detectors,)``."""
        index = np.arange(self.detectors, dtype=np.float64)
        return (index - (self.detectors - 1) / 2 - self.centre_offset) * self.detector_spacing


def footprint_cdf(t: Reals, cosine: float | Reals, sine: float | Reals) -> Reals:
    """Fraction of a unit square's area (middle at 0) with ``x cos + y sin <= t``.

    Parameters
    ----------
    t
        Any shape, in sides of the square.
    cosine, sine
        Of the view angle; one, or one for each ``t``.

    Returns
    -------
    ndarray
        In ``[0, 1]``, shape of ``t``.

    Examples
    --------
    >>> footprint_cdf(np.array([-0.5, 0.0, 0.25, 0.5]), 1.0, 0.0)
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    wide, narrow = np.maximum(np.abs(cosine), np.abs(sine)), np.minimum(np.abs(cosine), np.abs(sine))
    outer, inner = (wide + narrow) / 2, (wide - narrow) / 2
    s = np.minimum(np.abs(t), outer)
    upper = 0.5 + s / wide
    # Where it is narrower than this the shadow is a box; its flank, of width zero, would be a division by zero.
    flank = np.maximum(narrow, 1e-12)
    upper = np.where((s > inner) & (narrow > 1e-12), 1 - (outer - s) ** 2 / (2 * wide * flank), upper)
    upper = np.minimum(upper, 1.0)
    return np.where(t >= 0, upper, 1 - upper)


def _view(geometry: ParallelGeometry, angle: float) -> sparse.csr_array:
    """Rows of one view, CSR ``(detectors, H W)``."""
    p, d = geometry.pixel_size, geometry.detector_spacing
    # Degrees are reduced first so that 90 and 180 give exact axes.
    cosine, sine = cos_sin(angle)
    x = (np.arange(geometry.width) - (geometry.width - 1) / 2) * cosine
    y = ((geometry.height - 1) / 2 - np.arange(geometry.height)) * sine
    middle = (y[:, None] + x[None, :]).ravel()  # in pixels
    bin_width = d / p
    left = (geometry.detector_positions[0] - d / 2) / p
    half = (abs(cosine) + abs(sine)) / 2
    first = np.floor((middle - half - left) / bin_width).astype(np.int64)
    reach = math.ceil(2 * half / bin_width) + 1
    offsets = np.arange(reach + 1)
    edges = left + (first[:, None] + offsets[None, :]) * bin_width
    area = np.diff(footprint_cdf(edges - middle[:, None], cosine, sine), axis=1) * (p * p / d)
    rows = first[:, None] + offsets[None, :-1]
    pixels = np.broadcast_to(np.arange(middle.size)[:, None], rows.shape)
    # Entries at the level of rounding are shadows that only touch the bin.
    keep = (area > 1e-14 * p * p / d) & (rows >= 0) & (rows < geometry.detectors)
    shape = (geometry.detectors, middle.size)
    return sparse.csr_array((area[keep], (rows[keep], pixels[keep])), shape=shape)


def cos_sin(angle: float) -> tuple[float, float]:
    """Cosine and sine of degrees, exact at multiples of 90."""
    quarter, rest = divmod(angle, 90.0)
    c, s = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    return ((c, s), (-s, c), (-c, -s), (s, -c))[int(quarter) % 4]


def system_matrix(geometry: ParallelGeometry) -> sparse.csr_array:
    """The projection matrix, float64 CSR of shape ``(views * detectors, H * W)``, 32-bit indices.

    Rows are ordered view by view, columns as the rows of the image.

    Raises
    ------
    OperatorError
        If the matrix would have more entries than 32-bit indices count.

    Examples
    --------
    >>> system_matrix(ParallelGeometry(1, 2, (0.0,), 2)).toarray()
    array([[1., 0.],
           [0., 1.]])
    """
    pixels = geometry.height * geometry.width
    # The mean shadow of a pixel is 4/pi wide.
    estimate = pixels * len(geometry.angles) * (1.3 * geometry.pixel_size / geometry.detector_spacing + 1)
    if estimate > MAX_ENTRIES:
        raise OperatorError(
            "Radon: the system matrix is too large",
            expected=f"at most {MAX_ENTRIES} entries",
            came=f"about {estimate:.2g}",
            remedy="use fewer pixels or views",
        )
    views = [_view(geometry, angle) for angle in geometry.angles]
    matrix = sparse.csr_array(sparse.vstack(views, format="csr"))
    matrix.sort_indices()
    indices, indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return sparse.csr_array((matrix.data, indices, indptr), shape=matrix.shape)
