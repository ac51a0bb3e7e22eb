"""Families of nested sampling masks: one rank field, one mask for every sampling fraction.

The ranks are those of `stabtest.operators.mask_order`; a mask is ``ranks < n``, so the masks of one family are nested by
construction. The plain functions of `stabtest.operators.masks` are members of these families.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators import mask_order

Kind = Literal[
    "cartesian_random",
    "cartesian_equispaced",
    "cartesian_gaussian",
    "variable_density",
    "poisson_disc",
    "radial",
]
"""Names of the kinds of mask, for `MaskFamily` and `nested`."""

_COLUMN_KINDS = ("cartesian_random", "cartesian_equispaced", "cartesian_gaussian")
_DEFAULT_DENSITY = {"cartesian_gaussian": 0.15, "variable_density": 4.0, "poisson_disc": 2.0}


@dataclass(frozen=True)
class MaskFamily:
    """All masks of one kind and seed, nested by construction.

    Parameters
    ----------
    kind
        One of `Kind`.
    shape
        ``(H, W)`` of k-space.
    acceleration
        Nominal acceleration (>= 1) of `trained`, the mask that the plain function of this kind returns.
    centre_fraction
        Fully measured centre: fraction of the columns (Cartesian kinds) or of the points (2-D kinds); not
        used by ``"radial"``. Default 0.08 for columns, 0.02 for points.
    density
        The shape parameter of the kind: deviation relative to ``W`` (``cartesian_gaussian``), power
        (``variable_density``), slope of the distance (``poisson_disc``). None is the default of its function.
    seed
        Seed of the rank field.

    Raises
    ------
    OperatorError
        If the kind is unknown, the shape is not two positive numbers, the acceleration is below 1, the centre
        alone exceeds what the acceleration allows.

    Examples
    --------
    >>> family = MaskFamily("cartesian_random", (64, 64), acceleration=4.0, seed=1)
    >>> family.trained.float().mean(), family.at(0.5).float().mean()
    (tensor(0.2500), tensor(0.5000))
    >>> bool((family.trained & ~family.at(0.5)).any())
    False
    """

    kind: Kind
    shape: tuple[int, int]
    acceleration: float = 4.0
    centre_fraction: float | None = None
    density: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise OperatorError("mask", expected="one of " + ", ".join(get_args(Kind)), came=repr(self.kind))
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise OperatorError("mask: shape", expected="(H, W), both positive", came=str(tuple(self.shape)))
        if not self.acceleration >= 1:
            raise OperatorError("mask: acceleration", expected="a number of at least 1", came=str(self.acceleration))
        if not 0 <= self._centre_fraction <= 1:
            raise OperatorError("mask: centre_fraction", expected="between 0 and 1", came=str(self._centre_fraction))
        if self.density is not None and not self.density > 0:
            raise OperatorError("mask: density parameter", expected="above 0", came=str(self.density))
        if self.kind != "radial" and self._centre > self._trained_count:
            raise OperatorError(
                f"{self.kind}: the centre alone exceeds the acceleration",
                expected=f"at most {self._trained_count} of {self._size} in the centre",
                came=str(self._centre),
                remedy="lower centre_fraction or the acceleration",
            )

    @property
    def _size(self) -> int:
        return self.shape[1] if self.kind in _COLUMN_KINDS else self.shape[0] * self.shape[1]

    @property
    def _centre_fraction(self) -> float:
        return self.default_centre_fraction if self.centre_fraction is None else self.centre_fraction

    @property
    def default_centre_fraction(self) -> float:
        """The fully measured centre where none is given: a fraction of the columns, or of the points."""
        return 0.08 if self.kind in _COLUMN_KINDS else 0.02

    @property
    def _centre(self) -> int:
        return round(self._size * self._centre_fraction)

    @property
    def _trained_count(self) -> int:
        return max(round(self._size / self.acceleration), 1)

    @cached_property
    def ranks(self) -> Tensor:
        """The rank field, int64: ``(W,)`` for columns, ``(H, W)`` for points and spokes."""
        density = _DEFAULT_DENSITY.get(self.kind, 0.0) if self.density is None else self.density
        width, centre = self.shape[1], self._centre
        match self.kind:
            case "cartesian_random":
                field = mask_order.random_columns(width, centre, self.seed)
            case "cartesian_equispaced":
                lines = self._trained_count - centre
                field = mask_order.equispaced_columns(width, centre, lines, self.seed)
            case "cartesian_gaussian":
                field = mask_order.gaussian_columns(width, centre, density, self.seed)
            case "variable_density":
                field = mask_order.density_points(self.shape, centre, density, self.seed)
            case "poisson_disc":
                field = mask_order.poisson_points(self.shape, centre, density, self.seed)
            case "radial":
                field = mask_order.radial_spokes(self.shape, self.seed)
        return torch.from_numpy(field)

    @property
    def trained(self) -> Tensor:
        """The mask at the nominal acceleration, boolean ``(H, W)``."""
        return self.at(1 / self.acceleration)

    def at(self, fraction: float) -> Tensor:
        """The mask of this family at a sampling fraction.

        Parameters
        ----------
        fraction
            In ``(0, 1]``. Columns and points are counted exactly, ``round(fraction * number)``, at least one;
            spokes are the fewest that reach the fraction.

        Returns
        -------
        Tensor
            Boolean, ``(H, W)``.
        """
        if not 0 < fraction <= 1:
            raise OperatorError("mask: sampling fraction", expected="above 0, at most 1", came=str(fraction))
        if self.kind == "radial":
            counts = np.cumsum(np.bincount(self.ranks.numpy().ravel()))
            # A tolerance of half a sample: 1/acceleration in floating point must not cost a spoke.
            threshold = int(np.searchsorted(counts, fraction * self._size - 0.5)) + 1
        else:
            threshold = max(round(fraction * self._size), 1)
        return self.first(threshold)

    def first(self, count: int) -> Tensor:
        """The mask of the first ``count`` columns, points or spokes, boolean ``(H, W)``."""
        return (self.ranks < count).expand(self.shape).contiguous()
