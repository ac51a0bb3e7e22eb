"""What does the noise look like? The noise power spectrum from independent realisations of one measurement.

With realisations ``z_1, ..., z_n`` of one image, the deviations ``d_i = z_i - mean z`` hold no anatomy: nothing has to be fitted
and taken away. In a square region of side ``N`` pixels, pixel spacing 1 (Siewerdsen, Cunningham, Jaffray, *A framework for
noise-power spectrum analysis of multidimensional images*, Med. Phys. 29 (2002) 2655-2671; AAPM TG-233, Samei et al. 2019),

    NPS(u, v)  =  1/(n - 1)  sum over i of  |DFT d_i (u, v)|^2 / N^2          in (unit of the image)^2 pixel^2.

The factor ``n / (n - 1)`` in ``1/(n-1)`` pays for the mean that was estimated from the same images. The integral over
frequencies, ``sum NPS / N^2``, equals the variance in the region (Parseval), exactly, and both are given.

The **radial** NPS is the mean over rings of width ``1/N`` up to the Nyquist frequency, 0.5 cycles per pixel, given at the mean
frequency of each ring's members; the corners of the square count in the integral only. Its standard error comes from the spread
``s`` of the ``n`` ring means of ``n/(n-1) |DFT d_i|^2 / N^2``. Those are dependent, since all ``d_i`` share one mean: for Gaussian
noise the deviations correlate by ``-1/(n-1)``, their squares by ``1/(n-1)^2``, so that with the variance ``V`` of one of them
``Var(mean) = V / (n-1)`` and ``E s^2 = V (1 - 1/(n-1)^2)``, hence

    SE  =  s sqrt( (n - 1) / (n (n - 2)) ).

Regions of one realisation are averaged first; they are not counted as independent.

The edge of the region smooths the spectrum: ``NPS`` is the true one convolved with ``sinc^2 (N f)`` along each axis (Fejér's
kernel). Noise whose character changes from place to place, as that of every network does, has no spectrum, only local ones;
the mean over regions is then a description, and the **noise map**, the standard deviation in every pixel, shows where it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import DataError

LEAST_REALISATIONS = 3
"""From which on a noise power spectrum has a standard error."""


@dataclass(frozen=True, eq=False)
class NoisePower:
    """A noise power spectrum.

    Parameters
    ----------
    power
        ``(N, N)`` in the order of `torch.fft.fft2`, value^2 pixel^2, mean over the regions.
    frequencies
        Of the rings, ``(K,)``, cycles per pixel, from 0 to at most 0.5.
    radial, standard_error
        ``(K,)``, value^2 pixel^2.
    variance
        Mean over the regions' pixels of the variance over realisations, computed in space.
    realisations
        ``n``.
    """

    power: Tensor
    frequencies: Tensor
    radial: Tensor
    standard_error: Tensor
    variance: float
    realisations: int

    @property
    def integral(self) -> float:
        """``sum NPS / N^2``: equal to `variance`, by Parseval."""
        return float(self.power.mean())

    @property
    def peak_frequency(self) -> float:
        """Frequency of the largest radial value, cycles per pixel."""
        return float(self.frequencies[self.radial.argmax()])

    @property
    def mean_frequency(self) -> float:
        """``sum f NPS(f) / sum NPS(f)`` of the radial NPS (TG-233), cycles per pixel; NaN without noise."""
        total = float(self.radial.sum())
        return float((self.frequencies * self.radial).sum()) / total if total > 0 else math.nan


def noise_power(images: Tensor, *, corners: Sequence[tuple[int, int]], side: int) -> NoisePower:
    """Noise power spectrum in square regions.

    Parameters
    ----------
    images
        Realisations, real ``(n, 1, H, W)``, ``n >= 3``.
    corners
        ``(row, column)`` of the upper left pixel of each region.
    side
        ``N``, pixels.

    Raises
    ------
    DataError
        If the images are complex or too few, there is no region, or one is not inside the image.

    Examples
    --------
    >>> noise = torch.randn(50, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> found = noise_power(noise, corners=[(0, 0)], side=16)
    >>> round(found.integral, 1), abs(found.integral / found.variance - 1) < 1e-12
    (1.0, True)
    """
    deviations = _deviations(images)
    height, width = images.shape[-2:]
    fits = [0 <= row <= height - side and 0 <= column <= width - side for row, column in corners]
    if not fits or not all(fits) or side < 4:
        raise DataError(
            "noise power: regions",
            expected=f"at least one square of 4 or more pixels inside the image {height} x {width}",
            came=f"side {side} at {list(corners)}",
        )
    n = len(images)
    regions = torch.stack([deviations[:, r : r + side, c : c + side] for r, c in corners], 1)
    # Of each realisation, the mean over regions; E of each is the NPS.
    powers = torch.fft.fft2(regions).abs().square().mean(1) * (n / (n - 1) / side**2)
    average, frequencies = _rings(side)
    per_realisation = powers.flatten(1) @ average
    spread = per_realisation.std(0)
    return NoisePower(
        power=powers.mean(0),
        frequencies=frequencies,
        radial=per_realisation.mean(0),
        standard_error=spread * math.sqrt((n - 1) / (n * (n - 2))),
        variance=float(regions.square().sum(0).mean()) / (n - 1),
        realisations=n,
    )


def noise_map(images: Tensor) -> Tensor:
    """Standard deviation over realisations in every pixel.

    Parameters
    ----------
    images
        Real ``(n, 1, H, W)``, ``n >= 3``.

    Returns
    -------
    Tensor
        ``(H, W)``, unit of the image, with ``n - 1`` in the variance.

    Raises
    ------
    DataError
        If the images are complex or too few.

    Examples
    --------
    >>> noise_map(torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1))
    tensor([[1.]], dtype=torch.float64)
    """
    return (_deviations(images).square().sum(0) / (len(images) - 1)).sqrt()


def _deviations(images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 1 or images.is_complex():
        kind = "complex" if images.is_complex() else "real"
        raise DataError("noise power", expected="real images (n, 1, H, W)", came=f"{kind} {tuple(images.shape)}")
    if len(images) < LEAST_REALISATIONS:
        raise DataError("noise power", expected=f"at least {LEAST_REALISATIONS} realisations", came=str(len(images)))
    values = images.detach().to("cpu", torch.float64)[:, 0]
    return values - values.mean(0)


def _rings(side: int) -> tuple[Tensor, Tensor]:
    """The matrix ``(N^2, K)`` that averages over rings, and the mean frequency of each ring."""
    axis = torch.fft.fftfreq(side, dtype=torch.float64)
    radius = torch.hypot(axis[:, None], axis).flatten()
    inside = radius <= 0.5
    ring = torch.where(inside, (radius * side).round(), 0).to(torch.int64)
    members = torch.nn.functional.one_hot(ring).to(torch.float64) * inside[:, None]
    average = members / members.sum(0)
    return average, radius @ average
