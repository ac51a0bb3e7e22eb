"""Lesions whose edge falls off as the integral of a Gaussian: discs and ellipses.

With the normal distribution function ``Phi`` and the elliptic distance ``q^2 = (u / a)^2 + (v / b)^2`` from the centre, ``u`` along
the long axis, ``v`` across it, the lesion is

    h = Phi((1 - q) / s),        s = edge / sqrt(a b),

a solid with height 1 and an edge whose standard deviation is ``edge`` (times ``a / sqrt(a b)`` at the tip, ``b / sqrt(a b)`` at the
waist). A layer-cake integral over ``q`` gives area and moments in closed form, up to ``Phi(-1 / s)``:

    area = pi a b (1 + s^2),        integral u^2 h = pi a^3 b (1 + 6 s^2 + 3 s^4) / 4,

so that ``a b = diameter^2 / 4 - edge^2`` gives it the area of a disc of that diameter whatever edge and aspect are.

Lesions with a soft edge are what readers are shown in detection studies (Burgess, *Statistically defined backgrounds*, J. Opt. Soc. Am. A
16 (1999)), and they are smooth in place, size and height, so that a search can follow a gradient.
"""

from __future__ import annotations

import numpy as np
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import grid
from stabtest.phantoms.details import Centre

MOST_EDGE = 0.25
"""Largest edge as a share of the diameter: the height in the middle is then above 0.95."""


def soft_ellipse(
    size: int,
    *,
    centre: Centre,
    diameter: float,
    edge: float,
    aspect: float = 1.0,
    degrees: float = 0.0,
    nominal: int | None = None,
) -> torch.Tensor:
    """A disc or an ellipse with a Gaussian edge.

    Parameters
    ----------
    size, centre, nominal
        As in `stabtest.phantoms.details.lesion`.
    diameter
        Of the disc of equal area, in pixels of the nominal grid.
    edge
        Standard deviation of the fall-off, in pixels of the nominal grid; at most a quarter of the diameter.
    aspect
        Long axis over short one, at least 1.
    degrees
        From the direction of the rows of the image (to the right) to the long axis, towards larger row numbers.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, float32, in ``[0, 1]``: the mean over each pixel.

    Raises
    ------
    ConfigError
        If a length is not possible.

    Examples
    --------
    >>> area = soft_ellipse(64, centre=(30, 31.5), diameter=8, edge=1, aspect=2, degrees=30).sum()
    >>> bool(abs(area / (torch.pi * 16) - 1) < 1e-3)
    True
    """
    from scipy.special import ndtr

    size = grid.check_size(size)
    unit = size / (size if nominal is None else grid.check_size(nominal))
    if not 0 < edge <= MOST_EDGE * diameter:
        raise ConfigError("edge", expected=f"a width above 0 and up to a quarter of the diameter {diameter}", came=str(edge))
    if not aspect >= 1:
        raise ConfigError("aspect", expected="at least 1", came=str(aspect))
    mean = unit * float(np.sqrt(diameter**2 / 4 - edge**2))
    a, b = mean * np.sqrt(aspect), mean / np.sqrt(aspect)
    # Samples a quarter of the narrowest edge apart, a power of two of them in a pixel.
    factor = grid.oversampling(1, int(np.ceil(4 * mean / (b * unit * edge))))
    reach = (1 + 8 * unit * edge / mean) * a + 1
    (top, bottom), (left, right) = (
        (min(max(0, int((at + 0.5) * unit - reach)), size), max(min(size, int(np.ceil((at + 0.5) * unit + reach))), 0))
        for at in centre
    )
    image = np.zeros((size, size), dtype=np.float64)
    if top >= bottom or left >= right:
        return grid.to_tensor(image)
    rows, columns = (
        (np.arange(first * factor, last * factor) + 0.5) / factor - (at + 0.5) * unit
        for at, (first, last) in zip(centre, ((top, bottom), (left, right)))
    )
    y, x = rows[:, None], columns
    turn = np.deg2rad(degrees)
    q = np.hypot((x * np.cos(turn) + y * np.sin(turn)) / a, (y * np.cos(turn) - x * np.sin(turn)) / b)
    image[top:bottom, left:right] = grid.block_mean(ndtr((1 - q) * (mean / (unit * edge))), factor)
    return grid.to_tensor(image)
