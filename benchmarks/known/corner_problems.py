"""Linear maps on a box, whose worst case is at one of so few corners that all are tried.

``max ||M e||`` over ``max_i |e_i| <= R`` is the maximisation of a convex function: a corner is best (R. Rockafellar, *Convex analysis*,
theorem 32.3). Opposite corners do the same damage, so half of the ``2^n`` are enough.
"""

from __future__ import annotations

import itertools
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from stabtest.operators import Identity
from stabtest.operators.base import LinearOperator
from stabtest.search.worst_case import EVALUATIONS, worst_case

RADIUS = 0.3
SIZES = ((7, 10), (14, 14), (4, 12), (30, 12))
"""Rows and columns."""


def draw(rows: int, columns: int, *, count: int, seed: int = 0) -> np.ndarray:
    """Normal matrices, ``(count, rows, columns)``."""
    return np.random.default_rng(seed).normal(size=(count, rows, columns))


def exact(matrices: np.ndarray) -> np.ndarray:
    """The largest damage of each, by all corners."""
    sides = itertools.product([-RADIUS, RADIUS], repeat=matrices.shape[2] - 1)
    corners = np.array([(RADIUS, *side) for side in sides])
    return np.array([np.linalg.norm(corners @ matrix.T, axis=1).max() for matrix in matrices])


def search(matrices: np.ndarray, *, evaluations: int = EVALUATIONS, seed: int = 0, anew: bool = True) -> np.ndarray:
    """The damage that the search finds; with ``anew=False`` by paths that stay in the corner in which they come to rest."""
    maps, (count, rows, columns) = torch.from_numpy(matrices), matrices.shape

    def reconstruct(y: Tensor, operator: LinearOperator) -> Tensor:
        return (maps @ y.reshape(count, columns, 1)).reshape(count, 1, 1, rows)

    def find() -> np.ndarray:
        y = torch.zeros(count, 1, 1, columns, dtype=torch.float64)
        options = {"radius": RADIUS, "unit": "absolute", "norm": "linf", "check": False}
        generator = torch.Generator().manual_seed(seed)
        found = worst_case(reconstruct, Identity((1, columns)), y, evaluations=evaluations, generator=generator, **options)
        return found.distance.numpy()

    if anew:
        return find()
    with patch("stabtest.search.walk.elsewhere", lambda problem, *, generator: None):
        return find()
