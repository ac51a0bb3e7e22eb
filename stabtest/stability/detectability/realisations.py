"""Images from fresh noise: the same object measured again and again, with the lesion and without.

    y_i  =  y_0 + n_i          without the lesion,
    y_i' =  y_0 + A_fine h + n_i'     with it,

each ``n`` new, Gaussian, white, of the case's level and only on samples that are measured; no two images share any. ``y_0`` stands
for the object. It is

- ``"measurement"``: the measured ``y``, whose own noise is then a part of the object, the same in all images. This is what there is for
  real data; a method that adapts to the noise sees twice the variance of one measurement. What an observer knows beforehand
  includes that part, so that the ideal observer of ``y_i`` has ``d' = ||A_fine h|| / sigma`` all the same.
- ``"truth"``: ``A x`` with the true image on the grid of the reconstruction. The noise has its level, at the price of an object
  that the grid can represent (an inverse crime for the object, not for the lesion).

Noise is drawn for one image at a time from a stream of its own, so that neither the method nor the size of a batch changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.stability.cases import Case, Method

Background = Literal["measurement", "truth"]


def background(case: Case, kind: Background = "measurement") -> Tensor:
    """``y_0``, ``(1, *range)``.

    Raises
    ------
    ConfigError
        If the kind is neither.
    DataError
        If the case has no truth to be measured.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> y, x = torch.full((1, 1, 4, 4), 1.1), torch.ones(1, 1, 4, 4)
    >>> case = Case("a", "a", "other", Identity((4, 4)), y, truth=x, truth_source="phantom", noise_std=0.1)
    >>> background(case).unique(), background(case, "truth").unique()
    (tensor([1.1000]), tensor([1.]))
    """
    if kind == "measurement":
        return case.measurement
    if kind != "truth":
        raise ConfigError("background", expected="measurement or truth", came=repr(kind))
    if case.noiseless is not None:
        return case.noiseless
    if case.truth is None:
        raise DataError(
            f"case {case.name}: background", expected="a truth", came="none", remedy='use background = "measurement"'
        )
    return case.operator.forward(case.truth).detach()


def noise_level(case: Case) -> float:
    """The standard deviation of the noise of one sample.

    Raises
    ------
    DataError
        If it is not known, zero or not finite: without noise there is nothing to detect against.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> noise_level(Case("a", "a", "other", Identity((4, 4)), torch.ones(1, 1, 4, 4), noise_std=0.1))
    0.1
    """
    level = case.noise_std
    if level is None or not 0 < level < math.inf:
        raise DataError(
            f"case {case.name}: detectability",
            expected="a positive standard deviation of the noise",
            came=str(level),
            remedy="state the noise level of the case",
        )
    return level


def measurements(case: Case, mean: Tensor, *, count: int, stream: Sequence[int], batch: int = 16) -> Iterator[Tensor]:
    """Noisy measurements of one object, in batches.

    Parameters
    ----------
    case
        Gives the operator, the noise level and what is measured at all.
    mean
        What is measured without noise, ``(1, *range)``.
    count
        How many.
    stream
        Non-negative integers that name the stream: another sequence, other noise.
    batch
        At most so many at once.

    Yields
    ------
    Tensor
        ``(B, *range)``, ``B <= batch``.

    Raises
    ------
    DataError
        If the noise level is not known.
    ConfigError
        If the batch is smaller than 1.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> case = Case("a", "a", "other", Identity((4, 4)), torch.ones(1, 1, 4, 4), noise_std=0.1)
    >>> drawn = [torch.cat(list(measurements(case, case.measurement, count=5, stream=(0, 1), batch=b))) for b in (2, 5)]
    >>> drawn[0].shape, bool((drawn[0] == drawn[1]).all())
    (torch.Size([5, 1, 4, 4]), True)
    """
    if batch < 1:
        raise ConfigError("detectability: batch", expected="at least 1", came=str(batch))
    level = noise_level(case)
    seed = int(np.random.SeedSequence(list(stream)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    generator = torch.Generator().manual_seed(seed)
    for first in range(0, count, batch):
        drawn = [
            tensors.randn(tuple(mean.shape), dtype=mean.dtype, generator=generator, device=mean.device)
            for _ in range(min(batch, count - first))
        ]
        yield mean + level * case.operator.restrict(torch.cat(drawn))


def images(method: Method, case: Case, mean: Tensor, *, count: int, stream: Sequence[int], batch: int = 16) -> Iterator[Tensor]:
    """What a method makes of them: batches ``(B, 1, H, W)``; parameters and errors as for `measurements`.

    Raises
    ------
    NetworkError
        If the method does not return finite images of the right shape.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> case = Case("a", "a", "other", Identity((4, 4)), torch.ones(1, 1, 4, 4), noise_std=0.1)
    >>> doubled = Method("doubled", "baseline", lambda y, A: 2 * y)
    >>> [tuple(made.shape) for made in images(doubled, case, case.measurement, count=5, stream=(0,), batch=3)]
    [(3, 1, 4, 4), (2, 1, 4, 4)]
    """
    for y in measurements(case, mean, count=count, stream=stream, batch=batch):
        yield method(y, case.operator)
