"""What must hold of k-space before it is used, and what is said about it afterwards.

Nothing here changes the data. A doubt that a reader of the report can judge better than a rule becomes a note; what would make every number wrong is
refused.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from stabtest.data import files
from stabtest.data.raw import RawKSpace
from stabtest.data.receiver_noise import ReceiverNoise
from stabtest.errors import DataError


def check_sampling(raw: RawKSpace, *, undersampled: bool) -> float:
    """Refuse data that are not sampled as was said; the share of zeros among what counts as measured."""
    if raw.prospective and not undersampled:
        left_out = int(np.count_nonzero(~raw.columns)) if raw.columns is not None else 0
        raise DataError(
            raw.name,
            expected="fully sampled k-space",
            came=f"a scan that left out {left_out} of {raw.array.shape[2]} columns",
            remedy='set [operator] mask.kind = "measured" to audit with the mask of the scan (in Python: undersampled=True)',
        )
    looked_at = raw.array if raw.columns is None else raw.array[:, :, raw.columns]
    empty = float(np.mean(looked_at == 0))
    if empty > 0.05:
        raise DataError(
            raw.name,
            expected="fully sampled k-space",
            came=f"{100 * empty:.0f} % of the samples are exactly 0",
            remedy="give the fully sampled data; the audit applies the mask itself",
        )
    return empty


def check_centre(magnitude: files.AnyArray, name: str) -> None:
    """Refuse k-space whose strongest sample is not near the middle."""
    peak = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
    far = [abs(int(p) - n // 2) > max(2, n // 16) for p, n in zip(peak, magnitude.shape, strict=True)]
    if any(far):
        corner = all(min(int(p), n - int(p)) <= max(2, n // 16) for p, n in zip(peak, magnitude.shape, strict=True))
        raise DataError(
            name,
            expected=f"centred k-space, strongest near {tuple(n // 2 for n in magnitude.shape)}",
            came=f"the strongest sample at {tuple(map(int, peak))}",
            remedy="apply numpy.fft.fftshift"
            if corner
            else "check the order of the axes, and that this is k-space and not an image",
        )


def compare(coils: Tensor, shown: files.AnyArray | None, notes: list[str]) -> None:
    """Say whether the file's own image is that of its k-space."""
    if shown is None:
        return
    own = coils.abs().square().sum(0).sqrt().numpy()
    if own.shape != shown.shape:
        notes.append(
            f"the file's reconstruction has {shown.shape[0]} x {shown.shape[1]} pixels and ours {own.shape[0]} x {own.shape[1]}: not compared"
        )
        return
    energy = float(np.sum(own * own) * np.sum(shown * shown))
    agreement = float(np.sum(own * shown)) / np.sqrt(energy) if energy > 0 else 0.0
    said = f"the file's reconstruction agrees with ours of the same k-space to {agreement:.3f} (cosine of the magnitudes)"
    notes.append(said if agreement > 0.95 else f"{said}: other axes, another slice or another transform?")


def noise_notes(raw: RawKSpace, noise: ReceiverNoise, scale: float, magnitude: files.AnyArray, notes: list[str]) -> float:
    """Say what is known of the noise; its standard deviation on a sample."""
    background, corners = _background(magnitude), noise.std * scale
    known = raw.noise_std * scale
    if np.isfinite(known):
        said = f"noise by the noise scan: standard deviation {known:.2g} of the largest magnitude"
        said += f" ({corners:.2g} by the corners of the k-space)" if np.isfinite(corners) else ""
    elif np.isfinite(corners):
        known = corners
        said = (
            f"noise estimated from the corners of the stored k-space: standard deviation {corners:.2g} of the largest magnitude"
        )
    else:
        said = "the noise is not known: too few samples in the corners of the stored k-space were measured"
    notes.append(f"{said}; the darkest corner of the image has root mean square {background:.2g}")
    coils = len(raw.array)
    if coils > 1 and np.isfinite(corners):
        notes.append(
            f"noise by coil from {noise.least * scale:.2g} to {noise.most * scale:.2g}, largest correlation between two coils "
            f"{noise.correlation:.2f}; the tests take it as white and equal in all coils"
        )
    # The root sum of squares of C coils' noise has C times the power of one.
    if background > 2.0 * known * np.sqrt(coils) and not raw.prospective:
        notes.append(
            "the background is stronger than this noise: it is not white (ghosts, filtering or simulated disturbances)"
        )
    return known


def _background(image: files.AnyArray) -> float:
    """Root mean square of the darkest of the four corners of the image (an eighth of each side)."""
    height, width = (max(2, n // 8) for n in image.shape)
    bands = (slice(height), slice(-height, None)), (slice(width), slice(-width, None))
    return min(float(np.sqrt(np.mean(np.abs(image[rows, columns]) ** 2))) for rows in bands[0] for columns in bands[1])


def is_split(magnitude: files.AnyArray) -> bool:
    """Whether more than three quarters of the energy lies in the outer half of the image."""
    height, width = magnitude.shape
    energy = magnitude**2
    middle = energy[height // 7 : height - height // 7, width // 7 : width - width // 7].sum()
    return bool(middle < 0.25 * energy.sum())
