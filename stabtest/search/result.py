"""What a worst-case search hands back: the witness, the damage, and how far to trust the search.

Ratios as in `stabtest.findings.records`: ``relative_change = ||f(y+e) - f(y)|| / ||f(y)||``, ``relative_error =
||f(y+e) - x|| / ||x||``, ``gain = ||f(y+e) - f(y)|| / ||e||`` with ``e`` in the measurement domain. All are infinite where
``f(y+e)`` is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from stabtest.search.health import GradientReport, Health
from stabtest.search.leader import TOLERANCE, PathEnd, Status
from stabtest.search.problem import GradientHealth


@dataclass(frozen=True)
class WorstCase:
    """The most damaging admissible perturbation found, for each image of the batch.

    "Found" is the word: a search bounds the worst case from below. Every figure here was computed from the stored witness by a
    fresh forward pass (`stabtest.search.verify`).

    Attributes
    ----------
    perturbation
        ``e``, measurement domain, zero where nothing is measured, ``(B, *range)``.
    image_perturbation
        ``r`` with ``e = A r`` where the search was in the image domain, ``(B, *domain)``; else ``None``.
    clean, perturbed
        ``f(y)`` and ``f(y + e)``, ``(B, 1, H, W)``.
    objective
        What was maximised, at the witness, ``(B,)``; never NaN.
    distance
        ``||f(y+e) - f(y)||``, ``(B,)``.
    gain, relative_change
        See the module's docstring, ``(B,)``.
    relative_error, clean_error
        ``||f(y+e) - x|| / ||x||`` and ``||f(y) - x|| / ||x||``, ``(B,)``; ``None`` without a truth.
    radius
        Absolute radius, of ``e`` or of ``r``, ``(B,)``.
    violation
        Relative violation of the constraint by the witness, in float64, ``(B,)``; at most 1e-6.
    evaluations
        Evaluations of the perturbed network per image, with or without gradient.
    history
        For each image ``(evaluations, best objective so far / ||f(y)||)`` at every rise; with the objective
        ``"clean"`` this is the best relative change so far.
    status
        For each image: did doubling the budget still pay (`stabtest.search.leader`)?
    health
        Worst `GradientHealth` met, ``(B,)`` integers.
    paths
        Where each path of the search ended, in order.
    chunk
        Most images that went through the network at once: what was asked for, or less where memory ran out; None: all.
    gradient
        What the gradient was found to be before the search; None if it was not looked at.
    queries
        For each image, how many of the evaluations were queries of a search without gradients; empty: none for any.
    ways
        For each image, along which of several derivatives its witness was found (`stabtest.search.ways`); empty: there was but one.
    """

    perturbation: Tensor
    image_perturbation: Tensor | None
    clean: Tensor
    perturbed: Tensor
    objective: Tensor
    distance: Tensor
    gain: Tensor
    relative_change: Tensor
    relative_error: Tensor | None
    clean_error: Tensor | None
    radius: Tensor
    violation: Tensor
    evaluations: int
    history: list[list[tuple[int, float]]]
    status: list[Status]
    health: Tensor
    paths: tuple[PathEnd, ...] = ()
    chunk: int | None = None
    gradient: GradientReport | None = None
    queries: tuple[int, ...] = ()
    ways: tuple[str, ...] = ()

    @property
    def spread(self) -> list[float]:
        """How far the paths from independent starts ended apart, per image, relative to the best of them; NaN for fewer than two."""
        ends = [path.value for path in self.paths if path.fresh]
        if len(ends) < 2:
            return [math.nan] * len(self.objective)
        values = torch.stack(ends)
        most, least = values.amax(0), values.amin(0)
        nothing = (most == torch.inf) | (most == least)  # nothing exceeds infinite damage; and 0 / 0 is no spread
        return torch.where(nothing, torch.zeros_like(most), (most - least) / most.abs()).tolist()

    @property
    def variable(self) -> Tensor:
        """The witness in the domain of the search: what `worst_case` takes as ``start``."""
        return self.perturbation if self.image_perturbation is None else self.image_perturbation

    @property
    def gradient_healthy(self) -> list[bool]:
        """Whether every gradient of an image was finite and not zero."""
        return [code == GradientHealth.USABLE for code in self.health.tolist()]

    @property
    def gradient_words(self) -> list[str]:
        """``"usable"``, ``"zero"``, ``"not finite"`` or ``"disconnected"``, the worst met by each image."""
        return [GradientHealth(code).words for code in self.health.tolist()]

    @property
    def gradient_names(self) -> list[Health | None]:
        """The name of each image's gradient, as in `stabtest.search.health`; None where nobody looked and nothing was met.

        As examined before the search or, where that found nothing and the search still had none to follow, as met on the way.
        """
        unknown: tuple[Health | None, ...] = (None,) * len(self.status)
        examined = unknown if self.gradient is None else self.gradient.health
        codes = self.health.tolist()
        return [_name(name, word, GradientHealth(code)) for name, word, code in zip(examined, self.status, codes, strict=True)]


_MET: Mapping[GradientHealth, Health] = {
    GradientHealth.ZERO: "zero",
    GradientHealth.NOT_FINITE: "not finite",
    GradientHealth.DISCONNECTED: "disconnected",
}
"""What a search met, by the names of the examination."""


def _name(examined: Health | None, word: Status, met: GradientHealth) -> Health | None:
    if word == "no usable gradient" and (examined is None or examined == "healthy") and met in _MET:
        return _MET[met]
    return examined


def better_of(a: WorstCase, b: WorstCase) -> WorstCase:
    """Image by image the search that found more, ``a`` where they are equal; the evaluations of both count.

    Both must be of the same problem, ``a`` made before ``b``: the history is that of ``a`` continued by ``b``.
    """
    take_b = b.objective > a.objective
    chosen: dict[str, Tensor | None] = {}
    for field in fields(WorstCase):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, Tensor) and isinstance(right, Tensor) and field.name not in ("radius", "health"):
            chosen[field.name] = torch.where(take_b.reshape(-1, *([1] * (left.ndim - 1))), right, left)
    # That a second search found more says that the first had not converged, whatever each said of itself.
    more = (take_b & ~(b.objective - a.objective <= TOLERANCE * a.objective.abs())).tolist()
    status: list[Status] = [
        _joint(left, right, beaten=rose, most=most)
        for left, right, rose, most in zip(
            a.status, b.status, more, torch.maximum(a.objective, b.objective).tolist(), strict=True
        )
    ]
    return replace(
        a,
        **chosen,
        evaluations=a.evaluations + b.evaluations,
        paths=a.paths + tuple(replace(end, evaluations=a.evaluations + end.evaluations) for end in b.paths),
        history=[_continued(left, right, a.evaluations) for left, right in zip(a.history, b.history, strict=True)],
        status=status,
        health=torch.maximum(a.health, b.health),
        gradient=a.gradient or b.gradient,
        queries=_added(a.queries, b.queries),
        ways=_taken(a.ways, b.ways, take_b.tolist()),
        chunk=min((chunk for chunk in (a.chunk, b.chunk) if chunk is not None), default=None),
    )


def lowered_into(small: WorstCase, large: WorstCase) -> WorstCase:
    """``large`` with the witness of a smaller radius wherever that does more damage: it is feasible there as well."""
    moved = replace(
        small,
        radius=large.radius,
        violation=torch.zeros_like(small.violation),
        evaluations=0,
        queries=(),
        paths=(),
        history=[[(0, rows[-1][1])] if rows else [] for rows in small.history],
        # What is still to be found at the larger radius is for its own search to say, unless nothing is.
        status=[
            mine if worst == torch.inf else theirs
            for mine, theirs, worst in zip(small.status, large.status, small.objective.tolist(), strict=True)
        ],
        health=large.health,
    )
    return better_of(large, moved)


def _joint(first: Status, second: Status, *, beaten: bool, most: float) -> Status:
    """The word on two searches; nothing exceeds infinite damage."""
    if most == torch.inf:
        return "converged"
    if first == "no usable gradient":
        return second
    return "still rising" if beaten else first


def _added(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """Counts per image, of which an empty one is zero for all."""
    return tuple(a + b for a, b in zip(first, second, strict=True)) if first and second else first or second


def _taken(first: tuple[str, ...], second: tuple[str, ...], take_second: list[bool]) -> tuple[str, ...]:
    """The word of the search that found more, per image; empty without words."""
    if not first or not second:
        return first or second
    return tuple(b if taken else a for a, b, taken in zip(first, second, take_second, strict=True))


def _continued(first: list[tuple[int, float]], second: list[tuple[int, float]], spent: int) -> list[tuple[int, float]]:
    """One record after the other; the best value never falls."""
    rows = list(first)
    for count, value in second:
        value = max(value, rows[-1][1]) if rows else value
        rows.append((spent + count, value))
    return rows
