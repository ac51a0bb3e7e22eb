"""Sampling masks: boolean ``(H, W)``, centred (DC at ``N // 2``), True where k-space is measured.

Columns are phase encodes: a Cartesian mask measures whole columns, as fastMRI masks the last axis (Zbontar et
al., arXiv:1811.08839). "4x" is a name, not a number: the *realised* fraction (`sampling_fraction`) is what a
report prints. Where fastMRI draws each column by itself, so that the number of columns varies from seed to
seed, here exactly ``round(W / acceleration)`` columns are measured, those of the centre block among them.

Every kind is a threshold of a seeded rank field (`stabtest.operators.mask_order`), so that the masks of one
seed at several fractions are nested: more is always a superset, which is what a test of "more samples, poorer
image" needs.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    >>> sampling_fraction(family.trained), sampling_fraction(family.at(0.5))
    (0.25, 0.5)
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
        default = 0.08 if self.kind in _COLUMN_KINDS else 0.02
        return default if self.centre_fraction is None else self.centre_fraction

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


def cartesian_random(
    shape: tuple[int, int], *, acceleration: float = 4.0, centre_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """Fully measured centre columns and others uniformly at random (fastMRI's knee mask, exact count).

    Parameters
    ----------
    shape
        ``(H, W)``.
    acceleration
        ``round(W / acceleration)`` columns are measured.
    centre_fraction
        Fraction of the columns in the centre block; fastMRI pairs 0.08 with 4x and 0.04 with 8x.
    seed
        Seed of the draw.

    Returns
    -------
    Tensor
        Boolean, ``(H, W)``, constant along columns.

    Raises
    ------
    OperatorError
        See `MaskFamily`.

    Examples
    --------
    >>> int(cartesian_random((8, 128), acceleration=4, seed=0)[0].sum())
    32
    """
    return MaskFamily("cartesian_random", shape, acceleration, centre_fraction, seed=seed).trained


def cartesian_equispaced(
    shape: tuple[int, int], *, acceleration: float = 4.0, centre_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """Centre columns and equispaced others with a random offset (fastMRI's brain mask).

    Arguments, result and errors as `cartesian_random`; the spacing is ``(W - c) / (W / acceleration - c)``
    with ``c`` centre columns, as in fastMRI's `EquispacedMaskFractionFunc`.

    Examples
    --------
    >>> int(cartesian_equispaced((8, 128), acceleration=4, seed=0)[0].sum())
    32
    """
    return MaskFamily("cartesian_equispaced", shape, acceleration, centre_fraction, seed=seed).trained


def cartesian_gaussian(
    shape: tuple[int, int],
    *,
    acceleration: float = 4.0,
    centre_fraction: float = 0.08,
    sigma: float = 0.15,
    seed: int = 0,
) -> Tensor:
    """Centre columns and others with a Gaussian density of deviation ``sigma * W`` (1-D variable density).

    Arguments, result and errors as `cartesian_random`.

    Examples
    --------
    >>> int(cartesian_gaussian((8, 128), acceleration=8, seed=0, centre_fraction=0.04)[0].sum())
    16
    """
    return MaskFamily("cartesian_gaussian", shape, acceleration, centre_fraction, sigma, seed).trained


def variable_density(
    shape: tuple[int, int],
    *,
    acceleration: float = 4.0,
    centre_fraction: float = 0.02,
    power: float = 4.0,
    seed: int = 0,
) -> Tensor:
    """Points at random with density ``(1 - r/r_max)^power`` about a full centre (Lustig et al. 2007).

    Parameters
    ----------
    shape
        ``(H, W)``.
    acceleration
        ``round(H W / acceleration)`` points are measured.
    centre_fraction
        Fraction of all points that lie in the fully measured ellipse about DC.
    power
        How fast the density falls from the centre to the corners.
    seed
        Seed of the draw.

    Returns
    -------
    Tensor
        Boolean, ``(H, W)``.

    Raises
    ------
    OperatorError
        See `MaskFamily`.

    Examples
    --------
    >>> sampling_fraction(variable_density((64, 64), acceleration=8))
    0.125
    """
    return MaskFamily("variable_density", shape, acceleration, centre_fraction, power, seed).trained


def poisson_disc(
    shape: tuple[int, int],
    *,
    acceleration: float = 4.0,
    centre_fraction: float = 0.02,
    slope: float = 2.0,
    seed: int = 0,
) -> Tensor:
    """Variable-density Poisson disc: no two points nearer than ``s (1 + slope r)``.

    ``r`` is the distance from DC, 1 at the middle of an edge. Arguments (but ``slope``), result and errors as
    `variable_density`; ``s`` follows from the acceleration.

    Examples
    --------
    >>> sampling_fraction(poisson_disc((32, 32), acceleration=8))
    0.125
    """
    return MaskFamily("poisson_disc", shape, acceleration, centre_fraction, slope, seed).trained


def radial(shape: tuple[int, int], *, acceleration: float | None = None, spokes: int | None = None, seed: int = 0) -> Tensor:
    """Lines through DC in golden-angle order, on the nearest grid points (Winkelmann et al. 2007).

    Parameters
    ----------
    shape
        ``(H, W)``.
    acceleration
        The fewest spokes that measure a fraction of at least ``1 / acceleration`` of the grid.
    spokes
        The number of spokes itself; give one of the two (neither is ``acceleration=4``).
    seed
        Draws the angle of the first spoke.

    Returns
    -------
    Tensor
        Boolean, ``(H, W)``.

    Raises
    ------
    OperatorError
        If both or a non-positive number are given; else see `MaskFamily`.

    Examples
    --------
    >>> int(radial((65, 65), spokes=1).sum())
    65
    """
    if spokes is None:
        return MaskFamily("radial", shape, 4.0 if acceleration is None else acceleration, seed=seed).trained
    if acceleration is not None or spokes < 1:
        raise OperatorError(
            "radial",
            expected="acceleration or a positive number of spokes",
            came=f"acceleration={acceleration}, spokes={spokes}",
        )
    return MaskFamily("radial", shape, seed=seed).first(spokes)


def nested(
    kind: Kind,
    shape: tuple[int, int],
    *,
    fractions: Sequence[float],
    acceleration: float = 4.0,
    centre_fraction: float | None = None,
    density: float | None = None,
    seed: int = 0,
) -> list[Tensor]:
    """Masks of one family at several fractions, in the given order; a larger one is a superset of a smaller.

    Parameters
    ----------
    kind
        One of `Kind`.
    shape, acceleration, centre_fraction, density, seed
        See `MaskFamily`. At the fraction ``1 / acceleration`` the mask equals that of the plain function with
        the same seed.
    fractions
        Sampling fractions in ``(0, 1]``.

    Returns
    -------
    list of Tensor
        Boolean masks ``(H, W)``.

    Raises
    ------
    OperatorError
        See `MaskFamily` and `MaskFamily.at`.

    Examples
    --------
    >>> few, trained, more = nested("radial", (64, 64), fractions=(0.1, 0.25, 0.4))
    >>> torch.equal(trained, radial((64, 64), acceleration=4)), bool((trained & ~more).any())
    (True, False)
    """
    family = MaskFamily(kind, shape, acceleration, centre_fraction, density, seed)
    return [family.at(fraction) for fraction in fractions]


def sampling_fraction(mask: Tensor) -> float:
    """Realised sampling fraction: measured over all points.

    Examples
    --------
    >>> sampling_fraction(torch.tensor([[True, False], [True, False]]))
    0.5
    """
    return float(mask.to(torch.float64).mean())
