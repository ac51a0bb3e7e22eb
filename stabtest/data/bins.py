"""Resampling measured projections to other bins and choosing views.

The line integrals of a detector row are taken as constant over each pixel ``[i - 1/2, i + 1/2]``. A new bin holds their
mean over its width, computed from differences of the cumulative sum, so that the total over the detector is kept; where a
bin reaches beyond the detector, nothing (air) is assumed there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stabtest.errors import DataError

Array = NDArray[np.float64]


def rebin(rows: Array, *, axis: float, spacing: float, count: int) -> Array:
    """Projections on new bins whose middle is the rotation axis.

    Parameters
    ----------
    rows
        Line integrals ``(views, pixels)``.
    axis
        Where the rotation axis projects, in pixel indices (the centre of the first pixel is 0).
    spacing
        Width of a new bin in detector pixels.
    count
        Number of new bins; the axis is the middle of the row of bins.

    Returns
    -------
    Array
        ``(views, count)``, means over the bins.

    Examples
    --------
    >>> rebin(np.array([[1.0, 1.0, 3.0, 3.0]]), axis=1.5, spacing=2.0, count=2)
    array([[1., 3.]])
    """
    pixels = rows.shape[1]
    edges = axis + 0.5 + (np.arange(count + 1) - 0.5 * count) * spacing
    cumulative = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
    position = np.clip(edges, 0.0, pixels)
    whole = np.minimum(position.astype(np.int64), pixels - 1)
    part = position - whole
    at_edges = cumulative[:, whole] * (1.0 - part) + cumulative[:, whole + 1] * part
    return np.diff(at_edges, axis=1) / spacing


def select_views(available: int, views: int) -> NDArray[np.int64]:
    """Indices of ``views`` as equally spaced as possible among those available, the first one included.

    Parameters
    ----------
    available
        How many there are, equispaced over a half turn.
    views
        How many to choose.

    Raises
    ------
    DataError
        If more are asked for than there are, or less than one.

    Examples
    --------
    >>> select_views(10, 4)
    array([0, 2, 5, 7])
    """
    if not 1 <= views <= available:
        raise DataError(
            f"views = {views}",
            expected=f"from 1 to the {available} views measured",
            came=str(views),
            remedy="set [operator] angles",
        )
    # Halves are rounded down, by integers, so that no platform rounds otherwise.
    return (2 * np.arange(views, dtype=np.int64) * available + views - 1) // (2 * views)
