"""Images with known truth, endless from a seed, and details to put into them.

Every phantom is an object in continuous coordinates, drawn on any grid: the same seed at size ``2 N``, averaged over blocks
of 2 x 2 pixels, is the image at size ``N`` (see `stabtest.phantoms.grid`).
"""

from __future__ import annotations

import torch

from stabtest.errors import ConfigError
from stabtest.phantoms.chest import chest
from stabtest.phantoms.coils import coil_maps
from stabtest.phantoms.details import disc, lesion, line_pairs, text
from stabtest.phantoms.ellipses import ellipses
from stabtest.phantoms.font import bitmap
from stabtest.phantoms.head import head
from stabtest.phantoms.sites import candidate_sites, depth, place
from stabtest.phantoms.soft import soft_ellipse
from stabtest.phantoms.symbols import suit, vessel

__all__ = [
    "bitmap",
    "candidate_sites",
    "chest",
    "coil_maps",
    "depth",
    "disc",
    "ellipses",
    "head",
    "lesion",
    "line_pairs",
    "make",
    "place",
    "soft_ellipse",
    "suit",
    "text",
    "vessel",
]


def make(kind: str, size: int, *, seed: int) -> torch.Tensor:
    """Draw the phantom of a name, as a configuration file gives it.

    Parameters
    ----------
    kind
        ``"ellipses"``, ``"head"`` or ``"chest"``.
    size
        Pixels along each side, at least 8.
    seed
        Non-negative integer.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``; complex64 for the head, float32 otherwise.

    Raises
    ------
    ConfigError
        If the kind is unknown, ``size`` is below 8 or ``seed`` is negative.

    Examples
    --------
    >>> make("chest", 16, seed=1).shape
    torch.Size([1, 16, 16])
    """
    match kind:
        case "ellipses":
            return ellipses(size, seed=seed)
        case "head":
            return head(size, seed=seed)
        case "chest":
            return chest(size, seed=seed)
        case _:
            raise ConfigError("phantom", expected='"ellipses", "head" or "chest"', came=repr(kind))
