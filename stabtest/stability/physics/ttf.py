"""How sharp is an edge of a given contrast? The task transfer function from the edge of a disc.

A linear, shift-invariant scanner has one modulation transfer function (MTF). A network has none: what it does to an edge
depends on the edge. Its resolution is therefore given for a task, an edge of stated contrast in stated noise: the task
transfer function (TTF) of Richard, Husarik, Yadava, Murphy, Samei, *Towards task-based assessment of CT performance: system
and object MTF across different reconstruction algorithms*, Med. Phys. 39 (2012) 4115-4122, as in Samei et al., *Performance
evaluation of computed tomography systems: summary of AAPM Task Group 233*, Med. Phys. 46 (2019) e735-e756.

A disc of radius ``R`` and known centre is put into the object (`stabtest.stability.physics.disc`). The change ``D`` that it
makes in the image, sorted by the distance ``r`` from the centre into bins much finer than a pixel, is the over-sampled edge
spread function ``E_D(r)``; with ``s = r - R`` and a window ``w``,

    L_D(s)  =  - sqrt(r / R)  dE_D/dr                          line spread function
    F_D(f)  =  sum over s of  w(s) L_D(s) exp(-2 pi i f s)     f in cycles per pixel
    TTF(f)  =  | F_D(f) F_t(0) / (F_t(f) F_D(0)) |,            step = F_D(0) / F_t(0).

**The template.** ``F_t`` is the same of the template ``t``, what a perfect reconstruction shows of the disc. The division
takes out what does not belong to the method: the mean over a pixel (``sinc f`` along an axis), the ripples of a band-limited
scan, the bins, the finite difference and the drawing of the edge. A perfect reconstruction has TTF = 1 at every frequency;
multiply by the pixel's own ``sinc f`` for the MTF of the system, pixel included.

**The circle.** The edge is an arc, not a line. A disc blurred by an isotropic kernel of transfer function ``T`` has
``-E'(r) = 2 pi R int T(f) 2 pi f J_1(2 pi f R) J_1(2 pi f r) df``; for ``f R >> 1`` the product of Bessel functions is
``cos(2 pi f s) / (2 pi^2 f sqrt(R r))`` and a term that oscillates with ``R + r``. Hence the factor ``sqrt(r / R)``, which
leaves an error of the order ``(width of the blur / R)^2``. Few pixels lie on the edge of a small disc: the curve of a Gaussian blur
of half a pixel up to a tenth of the diameter is right within 0.06 for a disc of 6 pixels, 0.05 for 8, 0.03 for 12 and 0.02 from 16
on (the tests).

**The window** is flat up to half of its reach and falls to zero as a cosine (Tukey). The reach is at most 0.9 R, so that a blur
whose tails are longer than about ``R / 2`` is misjudged: choose a disc ten times as wide as the standard deviation of the blur. A
jump of the transfer function, such as that of an ideal low pass, is smeared over about the inverse of the reach.

``step`` is the part of the contrast that came back. The TTF is normalised to 1 at frequency 0 and does not show it: a method
that erases nine tenths of the disc and keeps its edge sharp has a fine TTF. The two belong together. The mean over the circle
hides that an undersampled scan resolves better along one axis than along the other.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import DataError

NYQUIST = 0.5
"""Cycles per pixel."""
BIN = 0.2
"""Width in pixels of the bins of distance."""
REACH = 0.9
"""How far the window goes to either side of the edge, in radii of the disc."""
FREQUENCIES = tuple(k / 100 for k in range(51))
"""Where the TTF is given, in cycles per pixel."""


@dataclass(frozen=True, eq=False)
class TransferFunction:
    """The task transfer functions of a batch of changes.

    Parameters
    ----------
    frequencies
        ``(F,)``, cycles per pixel, from 0.
    transfer
        ``(B, F)``, 1 at frequency 0; NaN where no edge came back.
    step
        ``(B,)``, the part of the edge's height that came back; negative where it is inverted.
    """

    frequencies: Tensor
    transfer: Tensor
    step: Tensor

    def falls_to(self, level: float) -> Tensor:
        """Frequency at which each curve first falls to a level, such as 0.5 or 0.1.

        Parameters
        ----------
        level
            In ``(0, 1)``.

        Returns
        -------
        Tensor
            ``(B,)``, cycles per pixel, linear between the given frequencies; ``inf`` where it does not up to the last of them,
            NaN where there is no curve.

        Raises
        ------
        DataError
            If the level is not inside ``(0, 1)``.

        Examples
        --------
        >>> frequencies = torch.tensor([0.0, 0.2, 0.4])
        >>> curves = TransferFunction(frequencies, torch.tensor([[1.0, 0.75, 0.25], [1.0, 1.0, 0.9]]), torch.ones(2))
        >>> curves.falls_to(0.5)
        tensor([0.3000,    inf])
        """
        if not 0 < level < 1:
            raise DataError("transfer function: level", expected="a number inside (0, 1)", came=str(level))
        before, after = self.transfer[:, :-1], self.transfer[:, 1:]
        crossed = (before > level) & (after <= level)
        first = crossed.to(torch.int8).argmax(1, keepdim=True)
        high, low = before.gather(1, first)[:, 0], after.gather(1, first)[:, 0]
        start, stop = self.frequencies[:-1][first[:, 0]], self.frequencies[1:][first[:, 0]]
        found = start + (stop - start) * (high - level) / (high - low)
        found = torch.where(crossed.any(1), found, torch.full_like(found, math.inf))
        return torch.where(self.transfer.isnan().any(1), torch.full_like(found, math.nan), found)


def task_transfer(
    change: Tensor,
    template: Tensor,
    *,
    centre: tuple[float, float],
    radius: float,
    frequencies: tuple[float, ...] = FREQUENCIES,
) -> TransferFunction:
    """Task transfer function of each change.

    Parameters
    ----------
    change
        ``D``, real ``(B, 1, H, W)``: ``f(y') - f(y)``, its mean over noise realisations, or over sites moved to one centre.
    template
        ``t``, real ``(1, 1, H, W)``: what a perfect reconstruction shows of the disc.
    centre
        ``(row, column)`` of the disc, pixels, 0 = the middle of the first.
    radius
        Of the disc, pixels, at least 3.
    frequencies
        Cycles per pixel, the first of them 0.

    Raises
    ------
    DataError
        If the shapes do not belong together, an image is complex, the radius is too small, or the disc with its window does not
        fit into the image.

    Examples
    --------
    >>> from stabtest import metrics, phantoms
    >>> disc = phantoms.disc(48, centre=(23, 24), diameter=20)[None].double()
    >>> found = task_transfer(0.5 * metrics.smooth(disc, sigma=1.0), disc, centre=(23, 24), radius=10)
    >>> round(found.step.item(), 2), round(found.falls_to(0.5).item(), 2)  # sqrt(log 2 / 2) / pi = 0.187
    (0.5, 0.19)
    """
    shape = (int(template.shape[-2]), int(template.shape[-1]))
    if change.is_complex() or template.is_complex():
        raise DataError("edge", expected="real images", came="complex", remedy="take the part along the local phase")
    if tuple(template.shape) != (1, 1, *shape) or change.ndim != 4 or tuple(change.shape[1:]) != (1, *shape):
        raise DataError(
            "edge", expected="(B, 1, H, W) and (1, 1, H, W)", came=f"{tuple(change.shape)}, {tuple(template.shape)}"
        )
    pixels, spectrum = _analysis(shape, centre, radius, frequencies)
    found, ideal = (_spectrum(image, pixels, spectrum) for image in (change, template))
    step = found[:, 0].real / ideal[0, 0].real
    transfer = (found / ideal / torch.where(step == 0, math.nan, step)[:, None]).abs()
    return TransferFunction(torch.tensor(frequencies, dtype=torch.float64), transfer, step)


def edge_profile(image: Tensor, *, centre: tuple[float, float], radius: float) -> tuple[Tensor, Tensor]:
    """The over-sampled edge spread function, for drawing.

    Parameters
    ----------
    image, centre, radius
        As ``change`` of `task_transfer`.

    Returns
    -------
    distances, profile : Tensor
        ``s = r - R`` in pixels, ``(K,)``, and the mean of the image at that distance, ``(B, K)``.

    Raises
    ------
    DataError
        As `task_transfer`.

    Examples
    --------
    >>> from stabtest import phantoms
    >>> s, edge = edge_profile(phantoms.disc(32, centre=(15, 16), diameter=12)[None], centre=(15, 16), radius=6)
    >>> bool((edge[0, s < -1] > 0.999).all() and (edge[0, s > 1] < 1e-3).all())
    True
    """
    pixels, average, distances = _bins((int(image.shape[-2]), int(image.shape[-1])), centre, radius)
    values = image.detach().to("cpu", torch.float64).flatten(1)[:, pixels]
    return torch.from_numpy(distances), values @ torch.from_numpy(average).T


def _spectrum(image: Tensor, pixels: Tensor, spectrum: Tensor) -> Tensor:
    values = image.detach().to("cpu", torch.float64).flatten(1)[:, pixels]
    return values.to(torch.complex128) @ spectrum.T


@functools.lru_cache(maxsize=8)
def _analysis(
    shape: tuple[int, int], centre: tuple[float, float], radius: float, frequencies: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """The pixels near the edge, and the matrix ``(F, pixels)`` that takes their values to ``F(f)``: every step is linear."""
    pixels, average, distances = _bins(shape, centre, radius)
    middle = (distances[1:] + distances[:-1]) / 2
    weights = tukey(middle / (REACH * radius)) * np.sqrt((middle + radius) / radius)
    line = -weights[:, None] * np.diff(average, axis=0)  # times 1 / BIN for the slope and BIN for the sum
    waves = np.exp(-2j * np.pi * np.asarray(frequencies)[:, None] * middle)
    return pixels, torch.from_numpy(waves @ line)


def _bins(
    shape: tuple[int, int], centre: tuple[float, float], radius: float
) -> tuple[Tensor, NDArray[np.float64], NDArray[np.float64]]:
    """Pixels near the edge, the matrix that averages them by distance, and the distances from the edge.

    The pixels of a bin do not lie at its middle on average; the means are therefore carried, linearly, from the mean distance
    of each bin's pixels to the middles. Empty bins are bridged by the same interpolation.
    """
    if not radius >= 3:
        raise DataError("edge: radius", expected="at least 3 pixels", came=f"{radius:g}", remedy="use a larger disc")
    reach = REACH * radius
    outer = radius + reach
    if not all(outer <= c <= n - 1 - outer for c, n in zip(centre, shape)):
        raise DataError(
            "edge",
            expected=f"the disc and {reach:.1f} pixels around it inside the image {shape[0]} x {shape[1]}",
            came=f"centre ({centre[0]:g}, {centre[1]:g}), radius {radius:g}",
            remedy="use a smaller disc, or another site",
        )
    rows, columns = (np.arange(n, dtype=np.float64) - c for n, c in zip(shape, centre))
    s = np.hypot(rows[:, None], columns).ravel() - radius
    pixels = np.nonzero(np.abs(s) <= reach)[0]
    count = math.ceil(2 * reach / BIN)
    index = np.clip(((s[pixels] + reach) / BIN).astype(int), 0, count - 1)
    filled, index = np.unique(index, return_inverse=True)
    gather = np.zeros((len(filled), len(pixels)))
    gather[index, np.arange(len(pixels))] = 1
    gather /= gather.sum(1, keepdims=True)
    at = gather @ s[pixels]
    distances = np.arange(math.ceil(at[0] / BIN), math.floor(at[-1] / BIN) + 1) * BIN
    right = np.clip(np.searchsorted(at, distances), 1, len(at) - 1)
    share = ((distances - at[right - 1]) / (at[right] - at[right - 1]))[:, None]
    return torch.from_numpy(pixels), (1 - share) * gather[right - 1] + share * gather[right], distances


def tukey(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 up to ``|x| = 1/2``, then a cosine to 0 at 1 (Tukey).

    Examples
    --------
    >>> tukey(np.array([0.0, -0.5, 0.75, 1.0])).round(3).tolist()
    [1.0, 1.0, 0.5, 0.0]
    """
    return np.cos(0.5 * np.pi * np.clip(2 * np.abs(x) - 1, 0, 1)) ** 2
