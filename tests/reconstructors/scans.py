"""A small scan with several coils in double precision, for the tests of unrolled networks."""

from __future__ import annotations

import torch

from stabtest.operators import MultiCoilFourier, masks
from stabtest.phantoms import coil_maps


def scan(height: int, width: int, coils: int = 3) -> MultiCoilFourier:
    """Cartesian, 3x."""
    mask = masks.cartesian_gaussian((height, width), acceleration=3, centre_fraction=0.15, seed=1)
    side = max(height, width, 8)
    return MultiCoilFourier(mask, coil_maps(side, coils, seed=0)[:, :height, :width].to(torch.complex128))
