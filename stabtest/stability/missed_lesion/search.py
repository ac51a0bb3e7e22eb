"""The lesion that comes back least: a coarse grid over the body, then ascent on its parameters, within a stated budget.

With the lesion ``h(p)`` of the parameters ``p = (row, column, diameter, contrast, aspect, angle)``, its measurement ``A h``, template ``t`` and
region ``R`` (`stabtest.stability.insertion`), what is made small is the contrast recovery

    c(p) = Re <t, f(y + A h) - f(y)>_R / ||t||_R^2

of one method in the noise of one case, over the lesions of a box that lie in the body and that the data carry: ``d' = ||A h|| / sigma >=
5`` where the noise is known, and in any case a null-space share of at most 0.9. A lesion that is not measured is no miss.

First a lattice of places is looked at, each with the middle (or several) of the sizes and heights, and where lesions may be long with the
middle form, turned by 45 degrees from place to place. Then, from the worst of them, from
random lesions, and from the next worst at another place in turns, projected descent follows the gradient through the method, the scan
and the drawing of the lesion,

    p  <-  project(p - l g / max|g|),    in units of half the lattice and half the box;  l grows by 1.5 after a step that gained, and halves else,

until the budget is spent. The first gradient is held against central differences, which are followed throughout where the two
disagree or the method hands none back (NumPy inside, a detached branch).

What is returned is the worst *admissible* of all lesions looked at, each evaluated without a graph: never above the least of the
grid. It is *found*: an upper bound of the least recovery in the box.

Source: K. Cheng, F. Caliva, R. Shah, M. Han, S. Majumdar, V. Pedoia, *Addressing the false negative problem of deep learning MRI
reconstruction models by adversarial attacks and robust training*, MIDL 2020 (PMLR 121, 121-135): "false negative adversarial
features", small perceptible ones that are in the data and go missing; there, random search and ascent of the place of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.search.memory import out_of_memory
from stabtest.stability.cases import Case, Method
from stabtest.stability.insertion import FACTOR, enter, local_phase
from stabtest.stability.missed_lesion.lesion import Lesion, LesionBox, Room, draw
from stabtest.stability.null_space import null_space_share
from stabtest.stability.structure import LEAST_DETECTABILITY, MOST_NULL_SPACE, detectability, recovery

LEAST_STEP = 1e-3
"""A descent ends where its step is below this share of its units."""
DIFFERENCE = 0.02
"""Half width of a central difference, in the same units."""
AGREEMENT = 0.9
"""Least cosine between the gradient and central differences at which the gradient is followed."""
MARGIN = 0.005
"""By how much the search stays within the gates, so that the lesion drawn by another program passes them too."""
_MOST_IN_VAIN = 20
"""Starts in a row for which nothing could be evaluated, after which a search ends."""
Slope = Literal["autograd", "differences", "none"]


@dataclass(frozen=True)
class FoundLesion:
    """What a search found.

    Parameters
    ----------
    lesion
        The worst admissible one, or None if none was.
    recovery
        Its recovery; infinite if there is none.
    grid_recovery
        The least on the lattice.
    half_recovery
        The least after half of the budget.
    evaluations
        Of the method, with and without a gradient; never more than the budget.
    gradients
        How many of them asked for a gradient.
    set_aside
        Lesions that were not looked at, or not counted, because the data do not carry them or the body has no room.
    gradient
        What the descents followed.
    """

    lesion: Lesion | None
    recovery: float
    grid_recovery: float
    half_recovery: float
    evaluations: int
    gradients: int
    set_aside: int
    gradient: Slope


def search_lesion(
    method: Method,
    case: Case,
    box: LesionBox,
    *,
    places: int = 25,
    points: int = 1,
    evaluations: int = 150,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FoundLesion:
    """Search for the lesion that comes back least.

    Parameters
    ----------
    method, case
        What reconstructs, and the measurement that lesions are put into.
    box
        Which lesions.
    places
        About how many on the lattice.
    points
        Sizes and heights of the lattice: 1 = the middle of the box, 2 = its ends, 3 = both.
    evaluations
        Budget: reconstructions, with and without a gradient, beside the one without a lesion.
    seed
        Of the random starts.
    progress
        Called with the evaluations spent.

    Returns
    -------
    FoundLesion
        Deterministic for a deterministic method.

    Raises
    ------
    ConfigError
        If a number is out of range.
    DataError
        If the body has no room for any lesion of the box.
    NetworkError
        If the method does not return a finite image of the right shape.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 32, 32)
    >>> case = Case("a", "a", "other", Identity((32, 32)), image, truth=image)
    >>> left = torch.linspace(0, 1, 32).expand(32, 32)
    >>> blind = Method("net", "under test", lambda y, A: y * left)
    >>> found = search_lesion(blind, case, LesionBox(polarity="bright"), places=4, evaluations=40)
    >>> found.lesion.column < 6, found.recovery < 0.16 < 0.2 < found.grid_recovery
    (True, True)
    """
    if places < 1 or points not in (1, 2, 3) or evaluations < 1:
        came = f"places={places}, points={points}, evaluations={evaluations}"
        raise ConfigError("search of lesions", expected="places and evaluations >= 1, points of 1, 2 or 3", came=came)
    climb = _Climb(method, case, box, evaluations, progress)
    grid, spacing = _grid(climb.room, box, places, points)
    if not grid:
        raise DataError(
            f"case {case.name}: lesions of {box.words}",
            expected="room for one in the body",
            came="none",
            remedy="ask for smaller lesions, or other rows and columns",
        )
    climb.spacing = spacing
    looked = [(value, lesion) for lesion in grid if (value := climb.value(lesion)) is not None]
    grid_recovery = climb.least
    looked.sort(key=lambda one: one[0])
    generator = torch.Generator().manual_seed(seed)
    began: list[Lesion] = []
    in_vain = 0
    while climb.left > 0 and looked and in_vain < _MOST_IN_VAIN:
        before = climb.evaluations
        fresh = [one for one in looked if all(_apart(one[1], other) >= 1.5 * spacing for other in began)]
        if len(began) % 2 == 0 and fresh:
            known, start = fresh[0]
        else:
            known, start = None, _random(box, [lesion for _, lesion in looked], spacing, generator)
        began.append(start)
        climb.descend(start, known)
        in_vain = in_vain + 1 if climb.evaluations == before else 0
    return FoundLesion(
        lesion=climb.best,
        recovery=climb.least,
        grid_recovery=grid_recovery,
        half_recovery=climb.halfway if climb.halfway is not None else climb.least,
        evaluations=climb.evaluations,
        gradients=climb.gradients,
        set_aside=climb.set_aside,
        gradient=climb.follows,
    )


def _grid(room: Room, box: LesionBox, places: int, points: int) -> tuple[list[Lesion], float]:
    """Lesions of the lattice; where the largest has no room, smaller ones stand there too."""
    shares = {1: (0.5,), 2: (0.0, 1.0), 3: (0.0, 0.5, 1.0)}[points]

    def values(ends: tuple[float, float]) -> list[float]:
        return sorted({ends[0] + share * (ends[1] - ends[0]) for share in shares})

    sizes, heights = values(box.diameters), values(box.contrasts)
    sites, spacing = room.lattice(Lesion(0, 0, sizes[0], heights[0], (1.0 + box.aspect) / 2), places)
    if not sites:
        sizes = [box.diameters[0]]
        sites, spacing = room.lattice(Lesion(0, 0, sizes[0], heights[0], (1.0 + box.aspect) / 2), places)
    # All places with one kind before the next kind: a budget that ends within the grid has seen the whole body.
    kinds = product(sizes, heights, box.signs)
    # Long lesions lie in another direction at each place in turn: along the rows, across them, and along both diagonals.
    aspect = (1.0 + box.aspect) / 2
    turned = [(r, c, 45.0 * (k % 4) if aspect > 1 else 0.0) for k, (r, c) in enumerate(sites)]
    grid = [
        Lesion(float(r), float(c), size, sign * height, aspect, degrees)
        for size, height, sign in kinds
        for r, c, degrees in turned
    ]
    return grid, spacing


def _apart(one: Lesion, other: Lesion) -> float:
    return math.hypot(one.row - other.row, one.column - other.column)


def _random(box: LesionBox, near: list[Lesion], spacing: float, generator: torch.Generator) -> Lesion:
    """A lesion anywhere: about a random point of the lattice, of random size, height and form."""
    u: list[float] = torch.rand(7, generator=generator, dtype=torch.float64).tolist()
    about = near[min(int(u[0] * len(near)), len(near) - 1)]
    ends = (box.diameters, box.contrasts, (1.0, box.aspect))
    diameter, size, aspect = (low + share * (high - low) for share, (low, high) in zip(u[3:6], ends))
    return Lesion(
        about.row + (u[1] - 0.5) * spacing,
        about.column + (u[2] - 0.5) * spacing,
        diameter,
        math.copysign(size, about.contrast),
        aspect,
        180.0 * u[6] if box.aspect > 1 else 0.0,
    )


class _Climb:
    """The recovery over the admissible lesions, and the least of all that were looked at."""

    def __init__(
        self, method: Method, case: Case, box: LesionBox, budget: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self.method, self.case, self.box, self.budget, self.progress = method, case, box, budget, progress
        self.fine = case.operator.refine(FACTOR)
        self.phase = local_phase(case.reference_image, factor=FACTOR)
        self.shape = (case.reference_image.shape[-2], case.reference_image.shape[-1])
        self.room = Room(case.reference_image, box)
        self.clean = method(case.measurement, case.operator)
        self.spacing = 1.0
        self.best: Lesion | None = None
        self.least = math.inf
        self.halfway: float | None = None
        self.evaluations = self.gradients = self.set_aside = 0
        self.follows: Slope = "none"

    @property
    def left(self) -> int:
        """Evaluations that are left."""
        return self.budget - self.evaluations

    def _spend(self) -> None:
        if self.halfway is None and 2 * self.evaluations >= self.budget:
            self.halfway = self.least
        self.evaluations += 1
        if self.progress is not None:
            self.progress(self.evaluations, self.budget)

    def admit(self, lesion: Lesion) -> Lesion | None:
        """The nearest lesion of the box that has room and that the data carry; None where there is none."""
        placed = self.room.project(self.box.clip(lesion))
        if placed is None:
            return None
        data, _, _ = self._enter(replace(placed, contrast=1.0).point)
        unit = detectability(data, self.case.noise_std)
        if unit is None:
            return placed
        floor = LEAST_DETECTABILITY / unit * (1 + MARGIN) if unit > 0 else math.inf
        return self.box.clip(placed, floor) if floor <= self.box.contrasts[1] else None

    def value(self, lesion: Lesion) -> float | None:
        """Recovery of the admissible lesion nearest to one, remembered if it is the least; None where there is none."""
        admitted = self.admit(lesion)
        if admitted is None or self.left < 1:
            self.set_aside += admitted is None
            return None
        self._spend()
        with torch.no_grad():
            data, template, region = self._enter(admitted.point)
            change = self.method(self.case.measurement + data, self.case.operator) - self.clean
            back = recovery(change, self._as_shown(template, change), region)
        back = back if math.isfinite(back) else -math.inf
        if back < self.least:
            # Costly, and only of interest for what would be reported.
            if null_space_share(self.case.operator, template).share > MOST_NULL_SPACE - MARGIN:
                self.set_aside += 1
                return None
            self.best, self.least = admitted, back
        return back

    def descend(self, start: Lesion, known: float | None) -> None:
        """Projected descent from one lesion, whose recovery may be known."""
        point = self.admit(start)
        here = self.value(point) if point is not None and known is None else known
        if point is None or here is None:
            return
        length, gradient = 1.0, None
        while self.left > 0 and length >= LEAST_STEP:
            gradient = self.slope(point) if gradient is None else gradient
            if gradient is None or not bool((gradient != 0).any()):
                return
            # Where the box holds a parameter, its outward part counts for nothing, or it would set the scale of the rest.
            inward = self._inward(point, gradient)
            if not bool((inward != 0).any()):
                return
            further = self.admit(self._moved(point, -length * inward / inward.abs().max()))
            if further is None or further == point:
                length /= 2
                continue
            there = self.value(further)
            if there is not None and there < here:
                point, here, length, gradient = further, there, min(1.5 * length, 4.0), None
            else:
                length /= 2

    def slope(self, lesion: Lesion) -> Tensor | None:
        """Gradient in units: of the method where it can be trusted, else from differences; None where the budget ends."""
        if self.follows == "none":
            own, differences = self._own(lesion), self._differences(lesion)
            if differences is None:
                return own
            agree = own is not None and bool(own @ differences >= AGREEMENT * own.norm() * differences.norm())
            self.follows = "autograd" if agree else "differences"
            return own if agree else differences
        own = self._own(lesion) if self.follows == "autograd" else None
        return self._differences(lesion) if own is None else own

    def _units(self) -> Tensor:
        half = self.spacing / 2
        return torch.tensor([half, half, *self.box.units], dtype=torch.float64)

    def _moved(self, lesion: Lesion, by: Tensor) -> Lesion:
        point = lesion.point
        point[3] = point[3].abs()
        point = point + by * self._units()
        # The sign of the contrast is part of the start; through zero there is no way.
        point[3] = math.copysign(max(float(point[3]), 0.0), lesion.contrast)
        return Lesion(*point.tolist())

    def _inward(self, lesion: Lesion, gradient: Tensor) -> Tensor:
        """The gradient without the parts along which no step is possible."""
        kept = gradient.clone()
        for index in range(2, len(kept)):
            step = torch.zeros_like(gradient)
            step[index] = -0.01 * torch.sign(gradient[index])
            if self.box.clip(self._moved(lesion, step)) == self.box.clip(lesion):
                kept[index] = 0.0
        return kept

    def _own(self, lesion: Lesion) -> Tensor | None:
        """By automatic differentiation; None where there is no way from the image back to the lesion."""
        if self.left < 1:
            return None
        self._spend()
        self.gradients += 1
        point = lesion.point.requires_grad_()
        with torch.enable_grad():
            data, template, region = self._enter(point)
            try:
                image = self.method.reconstruct(self.case.measurement + data, self.case.operator)
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                return None  # NumPy inside refuses tensors that require a gradient
            if not image.requires_grad:
                return None
            shown = self._as_shown(template, image) * region
            value = tensors.inner(shown, image - self.clean) / tensors.inner(shown, shown)
            (gradient,) = torch.autograd.grad(value.sum(), point)
        # The vector that is searched holds the size of the contrast.
        gradient[3] = gradient[3] * math.copysign(1.0, lesion.contrast)
        gradient = gradient * self._units()
        return gradient if bool(torch.isfinite(gradient).all()) else None

    def _differences(self, lesion: Lesion) -> Tensor | None:
        """Central differences, one-sided where the set ends; None where the budget does not reach."""
        units = self._units()
        if self.left < 2 * int((units > 0).sum()):
            return None
        slopes = torch.zeros(len(units), dtype=torch.float64)
        for index in range(len(units)):
            if units[index] == 0:
                continue
            ends: list[tuple[float, float]] = []
            for side in (1.0, -1.0):
                step = torch.zeros_like(units)
                step[index] = side * DIFFERENCE
                at = self.admit(self._moved(lesion, step))
                if at is not None and (value := self.value(at)) is not None:
                    moved = (abs(at.contrast) if index == 3 else float(at.point[index])) / float(units[index])
                    ends.append((moved, value))
            if len(ends) == 2 and ends[0][0] != ends[1][0]:
                slopes[index] = (ends[0][1] - ends[1][1]) / (ends[0][0] - ends[1][0])
        return slopes

    def _enter(self, point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reference = self.case.reference_image
        height = point[3] * self.case.peak
        drawn = (draw(point, self.shape) * height).to(device=reference.device, dtype=tensors.real_dtype(reference.dtype))
        return enter(self.case, self.fine, drawn, self.phase)

    def _as_shown(self, template: Tensor, image: Tensor) -> Tensor:
        """As `Insertion.as_change_of`."""
        if template.is_complex() and not image.is_complex():
            return (self.case.reference_image + template).abs() - self.case.reference_image.abs()
        return template
