"""The noise of k-space, read off its corners, where the object has little left.

The magnitude of complex Gaussian noise has the median ``sigma sqrt(log 2)``; a median, because a few samples may still hold signal. Samples that are
exactly zero were not measured (partial Fourier, elliptical shutters, padding) and say nothing about the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stabtest.data.files import AnyArray

LEAST_CORNER = 0.25
"""Share of the samples in the corners of k-space that must have been measured for an estimate of the noise."""


@dataclass(frozen=True)
class ReceiverNoise:
    """Of the stored samples.

    Attributes
    ----------
    std
        Root mean square over the coils of the standard deviation of the complex noise; NaN where it is not known.
    least, most
        Of the quietest and the loudest coil.
    correlation
        Largest modulus of a correlation between two coils; 0 for one coil.
    """

    std: float
    least: float
    most: float
    correlation: float


def corner_noise(array: AnyArray, columns: AnyArray | None = None) -> ReceiverNoise:
    """Noise from the four corners (an eighth of each side).

    Parameters
    ----------
    array
        ``(C, H, W)``, complex.
    columns
        Which columns were measured, if known: the corners are then those of the measured range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = corner_noise(rng.standard_normal((2, 64, 64)) + 1j * rng.standard_normal((2, 64, 64)))
    >>> 1.3 < noise.std < 1.6, noise.correlation < 0.2
    (True, True)
    """
    unknown = ReceiverNoise(float("nan"), float("nan"), float("nan"), 0.0)
    height, width = (max(2, n // 8) for n in array.shape[1:])
    if columns is None:
        outer = np.r_[0:width, array.shape[2] - width : array.shape[2]]
    else:
        found = np.flatnonzero(columns)
        reach = max(2, int(found[-1] - found[0] + 1) // 8)
        outer = found[(found < found[0] + reach) | (found > found[-1] - reach)]
    rows = np.r_[0:height, array.shape[1] - height : array.shape[1]]
    corners = array[:, rows][:, :, outer].reshape(len(array), -1)
    measured = corners[:, np.all(corners != 0, axis=0)]
    if measured.shape[1] < max(LEAST_CORNER * corners.shape[1], 4):
        return unknown
    stds = np.median(np.abs(measured), axis=1) / np.sqrt(np.log(2.0))
    if len(array) == 1:
        return ReceiverNoise(float(stds[0]), float(stds[0]), float(stds[0]), 0.0)
    together = np.abs(np.corrcoef(measured)) if measured.shape[1] > len(array) else np.eye(len(array))
    correlation = float(np.nan_to_num(together - np.eye(len(array))).max())
    return ReceiverNoise(float(np.sqrt(np.mean(stds**2))), float(stds.min()), float(stds.max()), correlation)
