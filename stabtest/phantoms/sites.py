"""Where a detail can be put, and putting it there.

A detail is looked for inside the body, away from its border and from edges: the score of a pixel is the largest gradient
magnitude within the detail's surroundings, and sites are drawn at random among the flattest fifth of the pixels, no two
closer than twice the diameter. Then a detail that is missed is missed for its own sake, not because an edge hid it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from stabtest.errors import ConfigError, DataError
from stabtest.phantoms import grid


def place(image: torch.Tensor, detail: torch.Tensor, *, contrast: float) -> torch.Tensor:
    """Add a detail to an image, along the image's phase if it is complex.

    Parameters
    ----------
    image
        Shape ``(..., H, W)``, real or complex.
    detail
        Shape ``(..., H, W)``, real, in ``[0, 1]``.
    contrast
        What the detail adds to the magnitude, in units of the image; negative for a darker one.

    Returns
    -------
    Tensor
        Shape of the image: ``image + contrast * detail * image / |image|`` (the phase counts as 0 where the image is 0).

    Raises
    ------
    ConfigError
        If the two do not have the same height and width.

    Examples
    --------
    >>> place(torch.zeros(1, 4, 4), torch.ones(1, 4, 4), contrast=0.5).unique()
    tensor([0.5000])
    """
    if image.shape[-2:] != detail.shape[-2:]:
        raise ConfigError("detail", expected=f"height and width {tuple(image.shape[-2:])}", came=f"{tuple(detail.shape[-2:])}")
    if not image.is_complex():
        return image + contrast * detail
    size = image.abs()
    unit = torch.where(size > 0, image / size.clamp_min(torch.finfo(size.dtype).tiny), torch.ones_like(image))
    return image + contrast * detail * unit


def candidate_sites(
    image: torch.Tensor, *, diameter: float, count: int, seed: int, share: float = 0.2
) -> tuple[tuple[int, int], ...]:
    """Pixels at which a detail would stand in a flat part of the body.

    Parameters
    ----------
    image
        Shape ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``, real or complex.
    diameter
        Of the detail, in pixels of this image.
    count
        How many sites.
    seed
        Draws among the flattest pixels.
    share
        Which share of the admissible pixels, the flattest first, is drawn from.

    Returns
    -------
    tuple of (row, column)
        Exactly ``count`` sites, at least ``2 * diameter`` apart, in the order drawn.

    Raises
    ------
    ConfigError
        If the diameter or the count is not positive, or the image has another number of axes.
    DataError
        If the body does not have room for that many sites.

    Examples
    --------
    >>> image = torch.zeros(1, 32, 32)
    >>> image[:, 4:28, 4:28] = 1
    >>> sites = candidate_sites(image, diameter=3, count=2, seed=0)
    >>> len(sites), all(7 <= row <= 24 for row, _ in sites)
    (2, True)
    """
    from scipy import ndimage

    if not (diameter > 0 and count >= 1):
        raise ConfigError("candidate_sites", expected="positive diameter and count", came=f"{diameter}, {count}")
    if image.ndim < 2 or image[..., 0, 0].numel() != 1:
        raise ConfigError("image", expected="one image (1, H, W)", came=str(tuple(image.shape)))
    magnitude, body = _body(image)
    inside = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1] > max(diameter, 2.0)
    down, right = np.gradient(ndimage.gaussian_filter(magnitude, 0.5))
    slope = np.hypot(down, right)
    rough = ndimage.maximum_filter(slope, size=2 * int(np.ceil(0.75 * diameter)) + 1)
    rows, columns = np.nonzero(inside)
    kept: list[tuple[int, int]] = []
    if len(rows):
        limit = np.quantile(rough[rows, columns], share)
        flat = np.nonzero(rough[rows, columns] <= limit)[0]
        for index in grid.rng(seed, 23).permutation(flat):
            site = int(rows[index]), int(columns[index])
            if all(np.hypot(site[0] - r, site[1] - c) >= 2 * diameter for r, c in kept):
                kept.append(site)
            if len(kept) == count:
                return tuple(kept)
    raise DataError(
        f"image {magnitude.shape[0]} x {magnitude.shape[1]}",
        expected=f"room for {count} details of {diameter:g} pixels in flat parts of the body",
        came=f"{len(kept)}",
        remedy="ask for fewer or smaller details",
    )


def depth(image: torch.Tensor) -> torch.Tensor:
    """How far each pixel lies within the body.

    Parameters
    ----------
    image
        Shape ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``, real or complex.

    Returns
    -------
    Tensor
        ``(H, W)``, float64, on the CPU: distance in pixels to the nearest pixel outside of the body, beyond the image's border
        included; 0 outside.

    Examples
    --------
    >>> image = torch.zeros(1, 32, 32)
    >>> image[:, 4:28, 4:28] = 1
    >>> deep = depth(image)
    >>> float(deep[0, 0]), 11 <= float(deep.max()) <= 13
    (0.0, True)
    """
    from scipy import ndimage

    _, body = _body(image)
    return torch.from_numpy(ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1].copy())


def _body(image: torch.Tensor) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Magnitude, and the pixels above a tenth of the peak after smoothing."""
    from scipy import ndimage

    magnitude = image.detach().abs().to("cpu", torch.float64).reshape(image.shape[-2:]).numpy()
    peak = float(magnitude.max())
    smooth = ndimage.gaussian_filter(magnitude, max(1.0, 0.02 * magnitude.shape[0]))
    body = (
        ndimage.binary_fill_holes(smooth > 0.1 * peak) & (smooth > 0.1 * peak) if peak > 0 else np.zeros(magnitude.shape, bool)
    )
    return magnitude, np.asarray(body, dtype=bool)
