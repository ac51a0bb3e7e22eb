"""The same object scanned again and again: independent noise realisations of one measurement.

Noise is drawn as the case declares it, white and Gaussian of standard deviation ``sigma`` on the measured samples. What it is
added to depends on what is known:

- of a phantom, the measurement without noise, or where that was not kept ``A x`` of its truth: every realisation has the case's
  own noise level. (``x`` lives on the grid of the reconstruction. For noise and for the response to an inserted disc, itself drawn
  twice as fine, that is no matter; errors of an image are measured elsewhere.)
- otherwise the measurement ``y``, which has noise already. The realisations differ by noise of level ``sigma`` exactly, which
  is what a noise power spectrum needs, but a method sees noise of level ``sqrt 2 sigma``, and a network may smooth more then.
  ``ratio`` says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.stability.cases import Case


@dataclass(frozen=True, eq=False)
class Realisations:
    """Scans of one object.

    Parameters
    ----------
    measurements
        Each ``(1, *range)``.
    clean
        What the noise was added to, ``(1, *range)``; the measurement itself where none was.
    ratio
        Level of the noise in each relative to that of the case: 1, or ``sqrt 2`` where it was added to a noisy measurement; None
        where the level is not known and the only measurement is the case's own.
    """

    measurements: tuple[Tensor, ...]
    clean: Tensor
    ratio: float | None

    def __len__(self) -> int:
        return len(self.measurements)


def realisations(case: Case, *, count: int, seed: int) -> Realisations:
    """Draw scans of a case.

    Parameters
    ----------
    case
        With ``noise_std``; where it is not known, or is 0, the case's own measurement is all there is.
    count
        How many, at least 1.
    seed
        Of the noise; the first scans of a larger count are those of a smaller one.

    Raises
    ------
    ConfigError
        If the count is not positive.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 32, 32)
    >>> case = Case("a", "a", "other", Identity((32, 32)), image, truth=image, truth_source="phantom", noise_std=0.1)
    >>> scans = realisations(case, count=2, seed=0)
    >>> len(scans), scans.ratio, round((scans.measurements[0] - image).std().item(), 2)
    (2, 1.0, 0.1)
    """
    if count < 1:
        raise ConfigError("noise realisations", expected="at least 1", came=str(count))
    y, level = case.measurement, case.noise_std
    if level is None or not 0 < level < math.inf:
        return Realisations((y,), y, None)
    known, clean = True, case.noiseless
    if clean is None and case.truth is not None and case.truth_source == "phantom":
        clean = case.operator.forward(case.truth).detach()
    if clean is None:
        known, clean = False, y
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        noise = tensors.randn(tuple(y.shape), dtype=y.dtype, generator=generator, device=y.device)
        return clean + level * case.operator.restrict(noise)

    return Realisations(tuple(draw() for _ in range(count)), clean, 1.0 if known else math.sqrt(2))
