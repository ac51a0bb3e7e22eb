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

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.mask_family import Kind, MaskFamily

__all__ = [
    "Kind",
    "MaskFamily",
    "cartesian_equispaced",
    "cartesian_gaussian",
    "cartesian_random",
    "nested",
    "poisson_disc",
    "radial",
    "sampling_fraction",
    "variable_density",
]


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
