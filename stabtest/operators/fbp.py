"""Filtered back-projection of parallel-beam sinograms.

``f(x, y) = integral over [0, pi) of (h * p_theta)(x cos(theta) + y sin(theta)) dtheta`` with the ramp filter
``h``. Sampled at bins of width ``d``, the band-limited ramp has the values ``h_0 = 1/(4 d^2)``, ``h_n =
-1/(pi n d)^2`` for odd ``n`` and 0 for even ``n != 0``; filtering with these, zero-padded to twice the
length, has no offset in the mean, which sampling ``|f|`` itself would have (Kak & Slaney, *Principles of
Computerized Tomographic Imaging*, 1988, section 3.3). The integral over angles is a sum with the angular gaps
as weights, the back-projection the exact adjoint of the projector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from stabtest.errors import OperatorError

Window = Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann"]
"""Windows on the ramp, from the sharpest to the smoothest."""


def ramp(detectors: int, spacing: float, window: Window) -> Tensor:
    """Transfer function of the windowed ramp filter.

    Parameters
    ----------
    detectors
        Number of bins ``n``; the filter is for signals padded to the power of two not below ``2 n``.
    spacing
        Width ``d`` of a bin.
    window
        ``"ram-lak"`` none, ``"shepp-logan"`` ``sinc(f/2)``, ``"cosine"`` ``cos(pi f/2)``, ``"hamming"``
        ``0.54 + 0.46 cos(pi f)``, ``"hann"`` ``0.5 + 0.5 cos(pi f)``, with ``f`` 1 at the Nyquist frequency.

    Returns
    -------
    Tensor
        Real float64, shape ``(N / 2 + 1,)`` with ``N`` the padded length, unit 1/length.

    Raises
    ------
    OperatorError
        If the window is unknown.

    Examples
    --------
    >>> response = ramp(64, 1.0, "ram-lak")
    >>> response.shape, round(response[-1].item(), 3)
    (torch.Size([65]), 0.498)
    """
    if window not in get_args(Window):
        raise OperatorError("FBP: window", expected="one of " + ", ".join(get_args(Window)), came=repr(window))
    length = 2 ** math.ceil(math.log2(max(2 * detectors, 2)))
    n = torch.arange(length)
    n = torch.minimum(n, length - n).to(torch.float64)
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n.clamp_min(1) * spacing) ** 2, torch.zeros_like(n))
    kernel[0] = 1 / (4 * spacing**2)
    return torch.fft.rfft(kernel).real * spacing * window_response(length, window)


def window_response(length: int, window: Window) -> Tensor:
    """A window alone, at the frequencies of a real signal of a length: float64 ``(length / 2 + 1,)``."""
    f = torch.linspace(0, 1, length // 2 + 1, dtype=torch.float64)
    match window:
        case "ram-lak":
            return torch.ones_like(f)
        case "shepp-logan":
            return torch.sinc(f / 2)
        case "cosine":
            return torch.cos(math.pi * f / 2)
        case "hamming":
            return 0.54 + 0.46 * torch.cos(math.pi * f)
        case "hann":
            return 0.5 + 0.5 * torch.cos(math.pi * f)


def filter_sinogram(y: Tensor, spacing: float, window: Window) -> Tensor:
    """Ramp-filter a sinogram along its last axis (detectors), zero-padded, differentiable.

    Parameters
    ----------
    y
        Real, ``(..., detectors)``.
    spacing, window
        See `ramp`.

    Returns
    -------
    Tensor
        Shape of ``y``, unit of ``y`` per length.
    """
    detectors = y.shape[-1]
    response = ramp(detectors, spacing, window).to(device=y.device, dtype=y.dtype)
    length = 2 * (response.numel() - 1)
    return torch.fft.irfft(torch.fft.rfft(y, n=length) * response, n=length)[..., :detectors]


def angular_weights(angles: Sequence[float]) -> Tensor:
    """Weight of each view in the integral over ``[0, pi)``: half the gaps to its neighbours.

    Angles count modulo 180 degrees. Where the views leave a wedge out (a gap above 15 degrees and above four
    times the median gap), the gap counts as the median: nothing is known in there, and weighting its two border
    views for it would only draw streaks.

    Parameters
    ----------
    angles
        Degrees, any order.

    Returns
    -------
    Tensor
        Radians, float64 ``(views,)``; the sum is pi unless a wedge is missing.

    Examples
    --------
    >>> angular_weights([0.0, 45.0, 90.0, 135.0]) / math.pi
    tensor([0.2500, 0.2500, 0.2500, 0.2500], dtype=torch.float64)
    """
    reduced = np.mod(np.asarray(angles, dtype=np.float64), 180.0)
    order = np.argsort(reduced, kind="stable")
    gaps = np.diff(np.append(reduced[order], reduced[order[0]] + 180.0))
    positive = gaps[gaps > 1e-9]
    median = float(np.median(positive))
    gaps = np.where((gaps > 15.0) & (gaps > 4 * median), median, gaps)
    weights = np.empty_like(gaps)
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return torch.from_numpy(np.radians(weights))
