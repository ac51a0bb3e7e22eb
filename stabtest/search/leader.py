r"""What a search has found so far: the best feasible iterate of each image, and what it cost.

Ascent on a non-concave objective is not monotone, and the images of a batch peak at different steps. So the search keeps,
per image, the best point it has evaluated together with the gradient there (for the refinement), and the record of
evaluations against best value from which convergence is judged. Every point offered must be feasible.

A feasible point at which the image is not finite is the worst there can be: NaN counts as infinite damage, leads, and is
never overtaken.

Convergence is judged by doubling of the budget: if the paths of the second half raised the best value by more than 1 % over that
of the first half, the search was ``"still rising"`` and a larger budget would probably find more; else it is ``"converged"``,
which is a statement about this search and not about the network. A path cools as it goes (`stabtest.search.ascent`), so
only whole paths are compared: a search of one path cannot say that it has converged. Nothing exceeds infinite damage, so where
that was found the search is converged. How far paths from independent starts end apart (`PathEnd`) says how rugged the problem is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stabtest.search.problem import Evaluation, GradientHealth

Status = Literal["converged", "still rising", "no usable gradient"]
TOLERANCE = 0.01
"""Relative rise in the second half of the evaluations above which a search is called still rising."""

Progress = Callable[[int, int], None]
"""Called as ``progress(evaluations done, evaluations planned)`` after each evaluation of the network."""


@dataclass(frozen=True)
class PathEnd:
    """Where one path of a search ended.

    Attributes
    ----------
    evaluations
        Of the whole search so far.
    value
        The largest objective on this path, ``(B,)``.
    fresh
        Whether it began at a start of its own, not at the best point so far.
    """

    evaluations: int
    value: Tensor
    fresh: bool


class Leader:
    """The best point of each image; the one mutable object of a search.

    Parameters
    ----------
    like
        A tensor of the variable's shape ``(B, ...)``; the leader starts as zero perturbation with value ``-inf``.
    planned
        Evaluations that the search may spend, for `progress`.
    progress
        Called after every evaluation.

    Attributes
    ----------
    value, variable, gradient
        Best objective ``(B,)``, where it was found, and the gradient there.
    evaluations
        Evaluations of the perturbed network so far, per image, with or without gradient.
    """

    def __init__(self, like: Tensor, *, planned: int, progress: Progress | None = None) -> None:
        batch = like.shape[0]
        real = like.real.dtype if like.is_complex() else like.dtype
        self.value = torch.full((batch,), -torch.inf, dtype=real, device=like.device)
        self.variable = torch.zeros_like(like)
        self.gradient = torch.zeros_like(like)
        self.evaluations = 0
        self._broke = torch.zeros(batch, dtype=torch.bool, device=like.device)
        self._closed = torch.zeros_like(self._broke)
        self._record: list[Tensor] = []
        self._health: list[Tensor] = []
        self._paths: list[PathEnd] = []
        self._planned, self._progress = planned, progress

    def offer(self, v: Tensor, evaluation: Evaluation) -> Tensor:
        """Take ``v`` where it beats the leader; return where it did, ``(B,)`` boolean.

        A value that is not a number counts as infinite (`damage`), unless ``v`` itself is not finite.
        """
        value = damage(evaluation.value)
        better = (value > self.value) & torch.isfinite(v).flatten(1).all(1) & ~self._closed
        self.value = torch.where(better, value, self.value)
        here = better.reshape(-1, *([1] * (v.ndim - 1)))
        self.variable = torch.where(here, v, self.variable)
        self.gradient = torch.where(here, evaluation.gradient, self.gradient)
        self._health.append(evaluation.health)
        self._count()
        return better

    def count(self, evaluation: Evaluation) -> None:
        """Count an evaluation whose point is no candidate (another objective, another radius).

        If the image there was not finite, the search that does not find such a point itself is still rising.
        """
        self._broke = self._broke | ~torch.isfinite(evaluation.value)
        self._health.append(evaluation.health)
        self._count()

    def _count(self) -> None:
        self.evaluations += 1
        self._record.append(self.value)
        if self._progress is not None:
            self._progress(self.evaluations, max(self._planned, self.evaluations))

    def history(self, unit: Tensor) -> list[list[tuple[int, float]]]:
        """For each image the rises of the record: ``(evaluations, best value / unit)``, with ``unit`` ``(B,)``.

        Only the evaluations at which the best value rose are listed, and the last.
        """
        record = torch.stack(self._record) / unit
        rows: list[list[tuple[int, float]]] = []
        for curve in record.T.tolist():
            rises = [k for k, value in enumerate(curve) if k == len(curve) - 1 or k == 0 or value > curve[k - 1]]
            rows.append([(k + 1, curve[k]) for k in rises if curve[k] > -torch.inf])
        return rows

    def close(self, images: list[bool]) -> None:
        """Take no more points of these images: what is still tried is for the others."""
        self._closed = torch.tensor(images, device=self.value.device)

    def end_path(self, value: Tensor, *, fresh: bool = True) -> None:
        """Note that a path ends here, and the largest objective on it, ``(B,)``."""
        self._paths.append(PathEnd(self.evaluations, damage(value), fresh))

    def paths(self) -> tuple[PathEnd, ...]:
        """The paths that have ended, in order."""
        return tuple(self._paths)

    def settled(self) -> bool:
        """Whether a doubling of the budget no longer paid, for any image."""
        return len(self._paths) > 1 and all(word == "converged" for word in self.status())

    def health(self) -> Tensor:
        """The worst `GradientHealth` met by each image, ``(B,)``."""
        return torch.stack(self._health).amax(0)

    def status(self) -> list[Status]:
        """The word for each image, by the rule of this module."""
        usable = ((torch.stack(self._health) == GradientHealth.USABLE).float().mean(0) >= 0.5).tolist()
        half = torch.where(self._broke, -torch.inf, self._first_half()).tolist()
        last = self.value.tolist()
        return [_word(ok, early, late) for ok, early, late in zip(usable, half, last, strict=True)]

    def _first_half(self) -> Tensor:
        """Best value after the first half of the evaluations; where paths are told apart, of the paths that ended in it."""
        if not self._paths:
            return self._record[(len(self._record) - 1) // 2]
        ended = [path.evaluations for path in self._paths if 2 * path.evaluations <= self.evaluations]
        return self._record[ended[-1] - 1] if ended else torch.full_like(self.value, -torch.inf)


def damage(value: Tensor) -> Tensor:
    """What an objective counts for: NaN, the sign of an image that is not finite, is infinite damage.

    Examples
    --------
    >>> damage(torch.tensor([1.0, torch.nan, torch.inf]))
    tensor([1., inf, inf])
    """
    return torch.where(torch.isnan(value), torch.full_like(value, torch.inf), value)


def _word(usable: bool, early: float, late: float) -> Status:
    if late == math.inf:
        return "converged"
    if not usable:
        return "no usable gradient"
    return "still rising" if _rose(early, late) else "converged"


def _rose(early: float, late: float) -> bool:
    return early == -math.inf or late - early > TOLERANCE * abs(early)
