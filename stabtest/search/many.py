r"""Many images under one perturbation: a mean of what it does to them, with its gradient, and the ascent of it.

    Phi(e) = M_i( phi_i(e) ),     phi_i(e) = ||f(y_i + e) - f(y_i)|| / ||f(y_i)||,
    grad Phi = sum_i w_i grad phi_i.

``M`` is the arithmetic mean (``w_i = 1 / N``), the root mean square (``w_i = phi_i / (N Phi)``) or a quantile. A quantile has the
gradient of one image only, which throws an ascent from one image to the next; there the images near it have a say, with weights
in proportion to ``min(phi_i / Phi, Phi / phi_i)^8``, as in the power mean of exponent -7 that stands in for a minimum. What is
reported, and what the best iterate is chosen by, is the quantile itself. It costs one forward pass more.

Images are evaluated in chunks, so that memory holds the activations of one chunk only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import NetworkError
from stabtest.search.constraints import Ball
from stabtest.search.leader import Leader, damage
from stabtest.search.precision import Precision
from stabtest.search.problem import Evaluation, GradientHealth, Problem, Reconstructor

Aggregate = Literal["mean", "rms", "minimum"] | float
"""How the relative changes of the images become one number; a float in (0, 1) is a quantile."""
SHRINK = 2 / 3
"""What a step that did not raise the objective multiplies the weight of the next corner by."""
POWER = 8
"""How sharply images count that are away from the quantile."""


def aggregated(changes: Tensor, aggregate: Aggregate) -> Tensor:
    """One number from those of the images.

    Parameters
    ----------
    changes
        ``(N,)``.
    aggregate
        ``"mean"``, ``"rms"``, ``"minimum"``, or ``q`` in (0, 1): the largest value that a share ``1 - q`` of the images reaches.

    Examples
    --------
    >>> changes = torch.tensor([4.0, 1.0, 2.0, 3.0])
    >>> [aggregated(changes, how).item() for how in ("mean", "minimum", 0.5)]
    [2.5, 1.0, 3.0]
    """
    if aggregate == "mean":
        return changes.mean()
    if aggregate == "rms":
        return changes.square().mean().sqrt()
    share = 0.0 if aggregate == "minimum" else float(aggregate)
    return changes.sort().values[min(math.floor(share * len(changes)), len(changes) - 1)]


@dataclass(frozen=True, eq=False)
class RelativeChange:
    """The objective of one chunk: ``||f(y+e) - f(y)|| / ||f(y)||``."""

    clean: Tensor
    size: Tensor
    vanishes_at_clean: ClassVar[bool] = True

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The change, shape ``(b,)``."""
        return tensors.norm(reconstruction - self.clean) / self.size


@dataclass(frozen=True, eq=False)
class Many:
    """All images under one perturbation, chunk by chunk.

    Parameters
    ----------
    reconstructor
        ``f``.
    constraint
        The set of the one perturbation, with one radius.
    chunks
        Measurements ``(b, *range)``, each with its objective.
    aggregate
        ``M``.
    precision
        Of the network in `evaluate`; `changes` runs it as it is.
    """

    reconstructor: Reconstructor
    constraint: Ball
    chunks: list[tuple[Tensor, RelativeChange]]
    aggregate: Aggregate
    precision: Precision = "float32"

    @classmethod
    def of(
        cls,
        reconstructor: Reconstructor,
        constraint: Ball,
        y: Tensor,
        aggregate: Aggregate,
        chunk: int,
        precision: Precision = "float32",
    ) -> Many:
        """Reconstruct all measurements ``y``, ``(N, *range)``, once, ``chunk`` at a time.

        Raises
        ------
        NetworkError
            If a reconstruction is not finite, or not one image for each.
        """
        chunks: list[tuple[Tensor, RelativeChange]] = []
        for part in y.split(chunk):
            with torch.no_grad():
                clean = reconstructor(part, constraint.operator)
            if len(clean) != len(part) or not bool(torch.isfinite(clean).all()):
                raise NetworkError(
                    "reconstruction of the clean measurements",
                    expected=f"{len(part)} finite images",
                    came=f"{tuple(clean.shape)}" if len(clean) != len(part) else "NaN or infinity",
                    remedy="check the weights",
                )
            size = tensors.norm(clean)
            chunks.append((part, RelativeChange(clean, size.clamp_min(torch.finfo(size.dtype).tiny))))
        return cls(reconstructor, constraint, chunks, aggregate, precision)

    def changes(self, v: Tensor) -> Tensor:
        """Relative change of each image, forward only, ``(N,)``; not a number counts as infinite."""
        return damage(torch.cat([self._problem(*each).score(self._spread(v, each[0])) for each in self.chunks]))

    def evaluate(self, v: Tensor) -> Evaluation:
        """Aggregate and its gradient with respect to the one variable; ``(1,)`` and ``(1, ...)``."""
        weighting = self._weighting(v)
        values, gradient, healths = list[Tensor](), torch.zeros_like(v), list[Tensor]()
        for index, (y, objective) in enumerate(self.chunks):
            weights = None if weighting is None else weighting[1][index]
            if weights is not None and not bool((weights > 0).any()):
                continue
            evaluation = self._problem(y, objective).evaluate(self._spread(v, y))
            if weights is None:
                weights = evaluation.value if self.aggregate == "rms" else torch.ones_like(evaluation.value)
            gradient = gradient + tensors.scale(evaluation.gradient, torch.nan_to_num(weights, 0, 0, 0)).sum(0, keepdim=True)
            values.append(evaluation.value)
            healths.append(evaluation.health)
        value = aggregated(damage(torch.cat(values)), self.aggregate) if weighting is None else weighting[0]
        count = sum(len(y) for y, _ in self.chunks)
        scale = count * (float(value) if self.aggregate == "rms" and 0 < float(value) < math.inf else 1.0)
        health = torch.cat(healths)
        usable = bool((health == GradientHealth.USABLE).any()) and bool(tensors.norm(gradient) > 0)
        word = torch.zeros_like(health[:1]) if usable else health.amax(0, keepdim=True).clamp_min(int(GradientHealth.ZERO))
        return Evaluation(value.reshape(1), gradient / scale, word)

    def _weighting(self, v: Tensor) -> tuple[Tensor, list[Tensor]] | None:
        """For a quantile its value and the weight of each image, chunk by chunk; None where no pass beforehand is needed."""
        if self.aggregate in ("mean", "rms"):
            return None
        changes = self.changes(v)
        value = aggregated(changes, self.aggregate)
        ratio = torch.nan_to_num(torch.minimum(changes / value, value / changes), nan=1.0)
        weights = torch.where(ratio**POWER < 1e-3, torch.zeros_like(ratio), ratio**POWER)
        return value, list(weights.split([len(y) for y, _ in self.chunks]))

    def _problem(self, y: Tensor, objective: RelativeChange) -> Problem:
        constraint = self.constraint.with_radius(self.constraint.radius.expand(len(y)))
        return Problem(self.reconstructor, y, constraint, objective, precision=self.precision)

    def _spread(self, v: Tensor, y: Tensor) -> Tensor:
        return v.expand(len(y), *v.shape[1:])


class Path(NamedTuple):
    """Where an ascent stands: next point, average of the corners, its weight, the last value and the best."""

    iterate: Tensor
    average: Tensor
    weight: float
    last: float
    best: float


def ascend(many: Many, path: Path, leader: Leader, *, steps: int) -> Path:
    """Damped power ascent, as `stabtest.search.ascent.ascend` for a single variable."""
    v, average, weight, last, best = path
    for _ in range(steps):
        evaluation = many.evaluate(v)
        leader.offer(v, evaluation)
        value = float(evaluation.value)
        weight = SHRINK * weight if value <= last else weight
        last, best = value, max(best, value)
        average = average + weight * (many.constraint.maximise_linear(evaluation.gradient) - average)
        if not bool(tensors.norm(average) > 0):
            break
        v = many.constraint.maximise_linear(average)
    return Path(v, average, weight, last, best)


def race(many: Many, starts: list[Tensor], leader: Leader, *, steps: int) -> None:
    """A quarter of the steps from each start, the rest from where the best of them stands."""
    paths = [Path(v, torch.zeros_like(v), 1.0, -math.inf, -math.inf) for v in starts]
    if len(paths) > 1:
        quarter = max(1, steps // 4)
        paths = [ascend(many, path, leader, steps=quarter) for path in paths]
        steps -= quarter
    ascend(many, max(paths, key=lambda path: path.best), leader, steps=steps)


def small_ball_power(small: Many, v: Tensor, leader: Leader, *, steps: int) -> Tensor:
    """Full power steps in a small ball, where all networks are linear: the direction of ``sum_i w_i J_i* J_i``."""
    for _ in range(steps):
        evaluation = small.evaluate(v)
        leader.count(evaluation)
        v = small.constraint.maximise_linear(evaluation.gradient) if bool(tensors.norm(evaluation.gradient) > 0) else v
    return v
