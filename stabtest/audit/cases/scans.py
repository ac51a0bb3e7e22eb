"""One object measured with few or many samples, the noise on common samples being the same.

MRI: the noisy k-space is drawn once on the full grid and every mask shows a part of it. The masks of a sweep are nested:
those of a drawn mask come from its family (`stabtest.operators.MaskFamily`); around a mask from a file, fewer samples keep
its centre and a random part of the rest, more samples add others at random.

CT, simulated: the noise of a view is drawn from a seed that depends on nothing but the view's angle, so that it is the same in every
set of views that holds the view.

CT, measured: views are chosen among those of the scan, in an order in which each next one lies farthest from all before it
(farthest-point sampling, Gonzalez, *Theoretical Computer Science* 38, 1985), those that the network is made for first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from stabtest.errors import ConfigError, DataError
from stabtest.operators import FanBeam, Fourier, LinearOperator, Radon, sampling_fraction
from stabtest.stability.cases import Resampled

Masks = Callable[[float], Tensor]
"""Gives the mask ``(H, W)`` of a nested family at a sampling fraction."""


@dataclass(frozen=True, eq=False)
class KSpaceScan:
    """A fully measured k-space of which masks show a part.

    Parameters
    ----------
    kspace
        ``(1, C, H, W)``, complex, noise included.
    trained
        The mask that the network is made for, boolean ``(H, W)``.
    masks
        The nested family around it.
    operator
        Makes the forward model of a mask.
    measured
        Boolean ``(H, W)``, what the scanner measured; no mask can show more. None: everything.
    """

    kspace: Tensor
    trained: Tensor
    masks: Masks
    operator: Callable[[Tensor], LinearOperator] = Fourier
    measured: Tensor | None = None

    def __call__(self, fraction: float) -> Resampled:
        """The measurement at a sampling fraction; the trained mask where the fraction is its own."""
        is_trained = abs(fraction - sampling_fraction(self.trained)) < 0.5 / self.trained.numel()
        mask = self.trained if is_trained else self.masks(fraction)
        mask = mask if self.measured is None else mask & self.measured
        operator = self.operator(mask)
        return Resampled(
            operator=operator,
            measurement=operator.restrict(self.kspace),
            count=int(mask.sum()),
            fraction=sampling_fraction(mask),
            trained=is_trained,
        )


@dataclass(frozen=True, eq=False)
class SinogramScan:
    """An object that can be measured under any number of equispaced views.

    Parameters
    ----------
    operator
        The forward model that the network is made for.
    project
        The noise-free sinogram ``(1, 1, views, detectors)`` of given angles in degrees, with the forward model for them.
    noise_std
        Standard deviation of the noise on each reading.
    seed
        Of the noise.
    """

    operator: Radon | FanBeam
    project: Callable[[Radon | FanBeam], Tensor]
    noise_std: float
    seed: int

    def __call__(self, views: float) -> Resampled:
        """The measurement under ``views`` equispaced views over 180 degrees (fan beam: 360)."""
        trained = len(self.operator.angles)
        is_trained = int(views) == trained
        operator = self.operator if is_trained else self.operator.with_angles(int(views))
        clean = self.project(operator)
        noise = self.noise_std * view_noise(len(operator.angles), self.operator.geometry.detectors, seed=self.seed)
        return Resampled(operator, clean + noise, count=int(views), fraction=views / trained, trained=is_trained)


@dataclass(frozen=True, eq=False)
class ViewSelection:
    """A real scan of which some views are used.

    Parameters
    ----------
    views
        All views, ``(1, 1, N, detectors)``.
    angles
        Of all views, in degrees.
    trained
        Indices of those that the network is made for.
    operator
        The forward model of these.
    """

    views: Tensor
    angles: tuple[float, ...]
    trained: Tensor
    operator: Radon

    def __call__(self, views: float) -> Resampled:
        """The measurement with a number of views; a superset of every smaller one.

        Raises
        ------
        DataError
            If the scan has fewer.
        """
        count, trained = int(views), len(self.trained)
        if not 1 <= count <= len(self.angles):
            raise DataError(
                "[sampling] views",
                expected=f"at most the {len(self.angles)} views of the scan",
                came=str(count),
                remedy="smaller numbers in [sampling] views",
            )
        order = farthest_first(self.angles, self.trained.tolist())
        chosen = torch.tensor(sorted(order[:count]))
        geometry = self.operator.geometry
        angles = [self.angles[index] for index in chosen.tolist()]
        operator = Radon((geometry.height, geometry.width), angles, geometry.detectors)
        return Resampled(operator, self.views[:, :, chosen], count, count / trained, trained=count == trained)


def farthest_first(angles: Sequence[float], first: Sequence[int]) -> list[int]:
    """An order of views in which each next one lies farthest from those before it, some of them before all others.

    Parameters
    ----------
    angles
        In degrees; views half a turn apart are the same.
    first
        Indices of the views that come before all others.

    Examples
    --------
    >>> farthest_first([0, 30, 60, 90, 120, 150], first=[0, 3])
    [0, 3, 1, 2, 4, 5]
    """
    place = np.asarray(angles, dtype=np.float64) % 180.0
    order: list[int] = []
    distance = np.full(len(place), np.inf)
    for group in (set(first), set(range(len(place))) - set(first)):
        left = sorted(group)
        while left:
            chosen = max(left, key=lambda index: (round(float(distance[index]), 9), -index))
            left.remove(chosen)
            order.append(chosen)
            gap = np.abs(place - place[chosen])
            distance = np.minimum(distance, np.minimum(gap, 180.0 - gap))
    return order


def view_noise(views: int, detectors: int, *, seed: int) -> Tensor:
    """Standard normal noise ``(1, 1, views, detectors)`` of equispaced views, a function of each view's angle.

    Examples
    --------
    >>> few, many = view_noise(3, 5, seed=1), view_noise(6, 5, seed=1)
    >>> torch.equal(few, many[:, :, ::2])
    True
    """
    rows = np.empty((views, detectors), dtype=np.float32)
    for view in range(views):
        angle = Fraction(view, views)
        generator = np.random.Generator(np.random.PCG64([seed, angle.numerator, angle.denominator]))
        rows[view] = generator.standard_normal(detectors, dtype=np.float32)
    return torch.from_numpy(rows)[None, None]


def masks_around(mask: Tensor, *, seed: int) -> Masks:
    """A nested family that holds a given mask: whole columns where the mask is made of columns, else points.

    Parameters
    ----------
    mask
        Boolean ``(H, W)``.
    seed
        Of the order in which samples are given up or added.

    Examples
    --------
    >>> mask = torch.tensor([0, 1, 0, 1, 1, 1, 0, 0, 1, 0], dtype=torch.bool).expand(4, 10)
    >>> at = masks_around(mask, seed=0)
    >>> torch.equal(at(0.5), mask), at(0.3)[0].int().tolist(), bool((mask & ~at(0.8)).any())
    (True, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0], False)
    """
    height, width = mask.shape
    columns = bool((mask == mask[:1]).all())
    flat = mask[0] if columns else mask.flatten()
    down, across = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    distance = (across[0].abs() if columns else torch.hypot(down.double(), across.double()).flatten()).double()
    centre = _run_about(flat, width // 2) if columns else flat & (distance < _nearest(distance[~flat]))
    chance = torch.rand(len(flat), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    order = torch.argsort(torch.where(centre, distance / (1 + distance.max()), chance + torch.where(flat, 1.0, 2.0)))
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))

    def at(fraction: float) -> Tensor:
        chosen = ranks < max(round(fraction * len(ranks)), 1)
        return chosen.expand(height, width).contiguous() if columns else chosen.reshape(height, width)

    return at


def _run_about(flat: Tensor, middle: int) -> Tensor:
    """The unbroken run of measured columns that holds DC."""
    gaps = [column for column in range(len(flat)) if not flat[column]]
    first = max([gap for gap in gaps if gap <= middle], default=-1) + 1
    last = min([gap for gap in gaps if gap >= middle], default=len(flat))
    run = torch.zeros_like(flat)
    run[first:last] = True
    return run & flat


def _nearest(distances: Tensor) -> float:
    """Distance from DC to the nearest sample that was not measured."""
    return float(distances.min()) if len(distances) else float("inf")


def check_nested(counts: Sequence[int], key: str) -> tuple[int, ...]:
    """Counts of equally spaced views or readouts in order, each dividing the next, so that more are always a superset.

    Parameters
    ----------
    counts
        The trained one among them.
    key
        Of the configuration, for the error.

    Raises
    ------
    ConfigError
        If one does not divide the next.
    """
    ordered = tuple(sorted(set(counts)))
    for few, many in pairwise(ordered):
        if many % few:
            raise ConfigError(
                key,
                expected="counts (with the trained one among them) of which each divides the next",
                came=", ".join(map(str, ordered)),
                remedy=f"replace {many} by a multiple of {few}",
            )
    return ordered
