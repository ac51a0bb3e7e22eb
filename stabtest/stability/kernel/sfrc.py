"""Scanning Fourier ring correlation: does a patch correlate with its reference, frequency by frequency? The sign is kept.

P. Kc, R. Zeng, N. Soni, A. Badano, *sFRC for assessing hallucinations in medical image restoration*, arXiv:2603.04673 (2026; TechRxiv 2024,
doi:10.36227/techrxiv.171259560.02243347), with the program DIDSR/sfrc. For two patches with Fourier transforms ``F``, ``G`` and the rings
``r - 1/2 <= |k| < r + 1/2``, ``r = 0, ..., N/2 - 1`` (those inside the square),

    FRC(r) = Re sum_ring F conj(G) / sqrt( sum_ring |F|^2  sum_ring |G|^2 )

(W. O. Saxton, W. Baumeister, *J. Microscopy* 127 (1982) 127-138). Where the curve first falls below a threshold, the patch stops to
agree with the reference; that frequency, linearly interpolated and as a share of Nyquist, is the *cutoff*. A patch whose cutoff is below a
least frequency is flagged. **Both thresholds are the user's**: the authors tune them on annotated images, there is no default. A ring in
which either patch has nothing but rounding has no correlation: NaN. It counts as agreement where both have nothing, otherwise as none: over a flat
noise-free reference any structure of the image, noise included, is flagged.

**The sign is kept.** The authors' program takes ``|Re sum|``, which counts a structure of inverted contrast as perfect agreement. Here it is
-1. Rings are by nearest radius (theirs is the mean of rounding up and down).

**Never alone.** FRC does not change when either patch is multiplied by a number: a lesion that has faded to a tenth has FRC 1. So every patch
has its contrast recovery beside it, ``c = Re <x - mean x, f - mean f> / ||x - mean x||^2``: 1 = right, 0 = nothing came back. And correlation is with
a *reference*, which must not be another reconstruction with the same prior.

Closed forms: ``FRC(x, x) = 1``; two independent noises have mean 0 and variance ``1 / (2 n)`` over a ring of ``n`` frequencies (``1 / n`` for real
patches, whose frequencies come in conjugate pairs); a signal of power ``s`` with noise of power ``n`` has ``s / (s + n)`` between two noisy copies
and ``sqrt(s / (s + n))`` against the clean one, up to terms of the order of one over the ring's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import ConfigError, DataError

LEAST_SIDE = 8
"""Pixels along a side of the smallest patch: four rings."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Patches of one image against those of its reference; ``P`` patches down and ``Q`` across.

    Parameters
    ----------
    frequencies
        Radius of each ring as a share of Nyquist, ``(R,)``.
    curves
        Signed FRC, ``(P, Q, R)``; NaN where it is not defined.
    cutoff
        Frequency at which a curve first falls below the threshold, 1 where it never does, ``(P, Q)``.
    flagged
        Whether the cutoff is below the least one, ``(P, Q)``.
    recovery
        Contrast recovery ``c`` of each patch, NaN where the reference is constant, ``(P, Q)``.
    rows, columns
        First pixel of each patch.
    side
        Pixels along a patch.
    threshold, least_cutoff
        As given.
    """

    frequencies: Tensor
    curves: Tensor
    cutoff: Tensor
    flagged: Tensor
    recovery: Tensor
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    side: int
    threshold: float
    least_cutoff: float


def ring_correlation(image: Tensor, reference: Tensor, *, hann: bool = False) -> Tensor:
    """Signed Fourier ring correlation of square patches.

    Parameters
    ----------
    image, reference
        ``(..., N, N)``, real or complex.
    hann
        Whether both are multiplied by a Hann window first, against the edges.

    Returns
    -------
    Tensor
        ``(..., N // 2)``, float64, between -1 and 1; NaN where either is zero in a ring.

    Raises
    ------
    DataError
        If the patches differ in shape, are not square or are smaller than `LEAST_SIDE`.

    Examples
    --------
    >>> x = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    >>> ring_correlation(-x, x).round(decimals=6)
    tensor([-1., -1., -1., -1.], dtype=torch.float64)
    """
    if image.shape != reference.shape or image.ndim < 2 or image.shape[-1] != image.shape[-2] or image.shape[-1] < LEAST_SIDE:
        raise DataError(
            "ring correlation",
            expected=f"two patches of one square shape, at least {LEAST_SIDE} x {LEAST_SIDE}",
            came=f"{tuple(image.shape)} and {tuple(reference.shape)}",
        )
    f, g = (_spectrum(a, hann=hann) for a in (image, reference))
    power = _ring_power(f, image) * _ring_power(g, reference)
    return _ring_sums((f * g.conj()).real) / torch.where(power > 0, power, math.nan).sqrt()


def scan(
    image: Tensor,
    reference: Tensor,
    *,
    threshold: float,
    least_cutoff: float,
    side: int = 32,
    stride: int | None = None,
    hann: bool = True,
) -> Scan:
    """Compare an image with a reference, patch by patch.

    Parameters
    ----------
    image, reference
        ``(1, 1, H, W)``, both real or both complex.
    threshold
        Of the correlation, between -1 and 1.
    least_cutoff
        Frequency, as a share of Nyquist, up to which a patch has to agree.
    side
        Pixels along a patch.
    stride
        From patch to patch; half a side unless given. The last patch of a row or column ends at the border.
    hann
        Whether patches are windowed before their spectra are compared.

    Raises
    ------
    ConfigError
        If a threshold, the side or the stride is outside of its range.
    DataError
        If the images are not two of one shape and kind, or are smaller than a patch.

    Examples
    --------
    >>> x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> found = scan(0.1 * x, x, threshold=0.5, least_cutoff=0.5, side=16)
    >>> found.flagged.any().item(), round(found.recovery.max().item(), 3)  # FRC is blind to a fading by ten
    (False, 0.1)
    """
    step = max(1, side // 2) if stride is None else stride
    if not (-1 < threshold < 1 and 0 < least_cutoff <= 1 and side >= LEAST_SIDE and step >= 1):
        raise ConfigError(
            "sFRC",
            expected=f"threshold inside (-1, 1), least cutoff in (0, 1], side of at least {LEAST_SIDE}, stride of at least 1",
            came=f"{threshold}, {least_cutoff}, {side}, {step}",
        )
    if image.shape != reference.shape or image.ndim != 4 or tuple(image.shape[:2]) != (1, 1) or min(image.shape[-2:]) < side:
        came = f"{tuple(image.shape)} and {tuple(reference.shape)}"
        raise DataError("sFRC", expected=f"two images of one shape (1, 1, H, W), sides of at least {side}", came=came)
    if image.is_complex() != reference.is_complex():
        raise DataError("sFRC", expected="both images real or both complex", came=f"{image.dtype} and {reference.dtype}")
    rows, columns = (_places(int(n), side, step) for n in image.shape[-2:])
    one, other = (_patches(a[0, 0].detach(), rows, columns, side) for a in (image, reference))
    curves = ring_correlation(one, other, hann=hann)
    agreed = torch.where(curves.isnan(), torch.where(_nothing(one, other, hann=hann), 1.0, -1.0), curves)
    cutoff = _cutoff(agreed, threshold)
    frequencies = torch.arange(side // 2, dtype=torch.float64) / (side / 2)
    return Scan(
        frequencies=frequencies,
        curves=curves.cpu(),
        cutoff=cutoff,
        flagged=cutoff < least_cutoff,
        recovery=_recovery(one, other).cpu(),
        rows=rows,
        columns=columns,
        side=side,
        threshold=threshold,
        least_cutoff=least_cutoff,
    )


def _rings(side: int) -> Tensor:
    """Nearest integer radius of each frequency of an uncentred transform, cut at ``side - 1``."""
    k = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    return torch.floor(torch.sqrt(k[:, None].square() + k.square()) + 0.5).long().clamp_max(side - 1)


def _places(length: int, side: int, step: int) -> tuple[int, ...]:
    places = list(range(0, length - side + 1, step))
    return tuple(places if places[-1] == length - side else [*places, length - side])


def _patches(image: Tensor, rows: tuple[int, ...], columns: tuple[int, ...], side: int) -> Tensor:
    return torch.stack([torch.stack([image[r : r + side, c : c + side] for c in columns]) for r in rows])


def _spectrum(patches: Tensor, *, hann: bool) -> Tensor:
    values = patches.to(torch.complex128 if patches.is_complex() else torch.float64)
    if hann:
        window = torch.hann_window(patches.shape[-1], periodic=False, dtype=torch.float64, device=patches.device)
        values = values * window[:, None] * window
    return torch.fft.fft2(values)


def _ring_sums(values: Tensor) -> Tensor:
    """Sums over each ring inside the square, ``(..., N, N)`` to ``(..., N // 2)``."""
    side = int(values.shape[-1])
    sums = values.new_zeros((*values.shape[:-2], side))
    return sums.index_add(-1, _rings(side).to(values.device).flatten(), values.flatten(-2))[..., : side // 2]


def _ring_power(spectrum: Tensor, patches: Tensor) -> Tensor:
    """Power in each ring; 0 where it is within the rounding of the patches (of float32 images, about 1e-12 of the whole)."""
    power = spectrum.abs().square()
    rounding = (8 * torch.finfo(patches.dtype).eps) ** 2 * power.sum((-2, -1))
    sums = _ring_sums(power)
    return torch.where(sums > rounding[..., None], sums, 0.0)


def _nothing(one: Tensor, other: Tensor, *, hann: bool) -> Tensor:
    """Rings in which neither patch has anything."""
    return (_ring_power(_spectrum(one, hann=hann), one) == 0) & (_ring_power(_spectrum(other, hann=hann), other) == 0)


def _cutoff(curves: Tensor, threshold: float) -> Tensor:
    """Where each curve first falls below the threshold, linearly interpolated, as a share of Nyquist; 1 where it never does."""
    rings = curves.shape[-1]
    found: list[float] = []
    for curve in curves.reshape(-1, rings).tolist():
        place = float(rings)
        for r, value in enumerate(curve):
            if value < threshold:
                before = curve[r - 1] if r else value
                place = r - (threshold - value) / (before - value) if r else 0.0
                break
        found.append(place / rings)
    return torch.tensor(found, dtype=torch.float64).reshape(curves.shape[:-1])


def _recovery(one: Tensor, other: Tensor) -> Tensor:
    double = torch.complex128 if other.is_complex() else torch.float64
    f, x = (a.to(double) - a.to(double).mean((-2, -1), keepdim=True) for a in (one, other))
    energy = x.abs().square().sum((-2, -1))
    rounding = 1e-20 * other.to(double).abs().square().sum((-2, -1))  # a constant patch has no contrast to recover
    return (x.conj() * f).real.sum((-2, -1)) / torch.where(energy > rounding, energy, math.nan)
