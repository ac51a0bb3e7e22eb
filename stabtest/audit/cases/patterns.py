"""Other patterns of about as many samples: other kinds of mask in MRI, other sets of angles in CT.

In MRI a kind of `stabtest.operators.MaskFamily` at the realised fraction of the trained mask: columns and points are counted to it, of
spokes the fewest that reach it. The k-space is the same, noise included. The fully measured centre is the default of the kind, at most
half of all samples.

In CT as many views as trained with: ``random_angles``, uniform over half a turn, and ``limited_angle``, equispaced over two thirds of half a
turn, so that a wedge of directions is not measured at all (Natterer, *The Mathematics of Computerized Tomography*, 1986, chapter VI). The
noise is drawn anew at the same level: no views are common. Of a fan beam ``random_angles`` are uniform over the full turn and ``limited_angle``
keeps to the same 120 degrees of the source's circle. That is less than a short scan, half a turn and the angle of the fan (Parker, *Medical
Physics* 9, 1982), so that rays are missing there too; the direct image of a part of a turn is least squares, not filtered back-projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.audit.cases.scans import KSpaceScan, SinogramScan, ViewSelection
from stabtest.audit.config.settings import Angles
from stabtest.errors import ConfigError, DataError
from stabtest.operators import FanBeam, MaskFamily, sampling_fraction
from stabtest.operators.mask_family import Kind
from stabtest.stability.cases import Resampled

LIMITED = 120.0
"""Degrees that a limited angle spans."""


@dataclass(frozen=True)
class MaskPatterns:
    """The measurement of a fully known k-space under another kind of mask.

    Parameters
    ----------
    scan
        The k-space, and the trained mask.
    seed
        Of the masks.
    """

    scan: KSpaceScan
    seed: int

    def __call__(self, kind: str) -> Resampled:
        """Measured under a kind of mask.

        Raises
        ------
        ConfigError
            If there is no such kind.
        """
        if kind not in get_args(Kind):
            raise ConfigError("[sampling] patterns", expected=f"{', '.join(get_args(Kind))} (MRI)", came=repr(kind))
        mask = other_mask(cast(Kind, kind), self.scan.trained, seed=self.seed)
        mask = mask if self.scan.measured is None else mask & self.scan.measured
        operator = self.scan.operator(mask)
        return Resampled(operator, operator.restrict(self.scan.kspace), int(mask.sum()), sampling_fraction(mask))


def other_mask(kind: Kind, trained: Tensor, *, seed: int) -> Tensor:
    """A mask of a kind with the sampling fraction of another mask.

    Parameters
    ----------
    kind
        Which.
    trained
        Boolean ``(H, W)``.
    seed
        Of the mask.

    Examples
    --------
    >>> trained = torch.zeros(32, 32, dtype=torch.bool)
    >>> trained[:, 10:18] = True
    >>> [int(other_mask(kind, trained, seed=0).sum()) for kind in ("cartesian_equispaced", "variable_density")]
    [256, 256]
    """
    fraction = sampling_fraction(trained)
    shape = (trained.shape[0], trained.shape[1])
    default = MaskFamily(kind, shape, 1.0).default_centre_fraction
    return MaskFamily(kind, shape, 1 / fraction, min(default, fraction / 2), seed=seed).at(fraction)


@dataclass(frozen=True)
class AnglePatterns:
    """The sinogram of an object under other angles.

    Parameters
    ----------
    scan
        Projects the object, and knows the trained operator and the noise.
    seed
        Of the angles and the noise.
    """

    scan: SinogramScan
    seed: int

    def __call__(self, kind: str) -> Resampled:
        """Measured under a set of angles.

        Raises
        ------
        ConfigError
            If there is no such set.
        """
        trained = self.scan.operator
        count, turn = len(trained.angles), 360 if isinstance(trained, FanBeam) else 180
        generator = np.random.default_rng([self.seed, 31])
        match kind:
            case "random_angles":
                angles = np.sort(generator.uniform(0, turn, count))
            case "limited_angle":
                angles = np.linspace(0, LIMITED, count, endpoint=False)
            case _:
                raise ConfigError("[sampling] patterns", expected=f"{', '.join(get_args(Angles))} (CT)", came=repr(kind))
        operator = trained.with_angles(angles.tolist())
        clean = self.scan.project(operator)
        noise = torch.from_numpy(generator.standard_normal(tuple(clean.shape))).to(clean.dtype)
        return Resampled(operator, clean + self.scan.noise_std * noise, count, 1.0)


@dataclass(frozen=True)
class ViewPatterns:
    """Other views of a real scan.

    Parameters
    ----------
    scan
        All its views, and those that the network is made for.
    seed
        Of the choice.
    """

    scan: ViewSelection
    seed: int

    def __call__(self, kind: str) -> Resampled:
        """As many of the measured views, otherwise chosen.

        Raises
        ------
        ConfigError
            If there is no such choice.
        DataError
            If the scan has too few views within the limited angle.
        """
        angles, count = np.asarray(self.scan.angles), len(self.scan.trained)
        match kind:
            case "random_angles":
                chosen = np.sort(np.random.default_rng([self.seed, 31]).choice(len(angles), count, replace=False))
            case "limited_angle":
                chosen = _evenly(np.flatnonzero(angles - angles.min() < LIMITED), count)
            case _:
                raise ConfigError("[sampling] patterns", expected=f"{', '.join(get_args(Angles))} (CT)", came=repr(kind))
        operator = self.scan.operator.with_angles(angles[chosen].tolist())
        return Resampled(operator, self.scan.views[:, :, torch.from_numpy(chosen)], count, 1.0)


def _evenly(within: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Some of the views, each as near as may be to its place of an even spacing."""
    if len(within) < count:
        raise DataError(
            "[sampling] patterns: limited_angle",
            expected=f"at least the {count} views that are reconstructed from, within {LIMITED:g} degrees",
            came=f"{len(within)} views of the scan there",
            remedy="fewer [operator] angles, or only random_angles",
        )
    return within[np.arange(count) * len(within) // count]
