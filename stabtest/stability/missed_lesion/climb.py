"""Descent on the parameters of a lesion: the recovery over the admissible ones, its slope, and the least of all that were looked at.

The search that decides where descents begin, and what is admissible, are in `stabtest.stability.missed_lesion.search`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.memory import out_of_memory
from stabtest.stability.cases import Case, Method
from stabtest.stability.insertion import FACTOR, enter, local_phase
from stabtest.stability.missed_lesion.lesion import Lesion, LesionBox, Room, draw
from stabtest.stability.null_space import null_space_share
from stabtest.stability.structure import LEAST_DETECTABILITY, MOST_NULL_SPACE, detectability, recovery

LEAST_STEP = 0.01
"""A descent ends where its step is below this share of its units."""
DIFFERENCE = 0.02
"""Half width of a central difference, in the same units."""
AGREEMENT = 0.9
"""Least cosine between the gradient and central differences at which it is followed; along one way, one minus the largest relative error."""
MARGIN = 0.005
"""By how much the search stays within the gates, so that the lesion drawn by another program passes them too."""
Slope = Literal["autograd", "differences", "none"]


class Climb:
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
            own = self._own(lesion)
            if own is not None and self._confirmed(lesion, own):
                self.follows = "autograd"
                return own
            differences = self._differences(lesion)
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

    def _confirmed(self, lesion: Lesion, own: Tensor) -> bool:
        """Whether one central difference bears the gradient out: along it and as far across it, where a part that is cut would show."""
        size = own.norm()
        if self.left < 2 or not bool(size > 0):
            return False
        units = self._units()
        across = torch.randn(len(own), dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * (units > 0)
        across = across - (across @ own) / size**2 * own
        along = own / size + across / across.norm().clamp_min(1e-12)
        ends: list[tuple[Tensor, float]] = []
        for side in (DIFFERENCE, -DIFFERENCE):
            at = self.admit(self._moved(lesion, side * along / along.norm()))
            if at is None or (value := self.value(at)) is None:
                return False
            ends.append((self._vector(at), value))
        way = ends[0][0] - ends[1][0]
        return bool((ends[0][1] - ends[1][1] - own @ way).abs() <= (1 - AGREEMENT) * size * way.norm())

    def _vector(self, lesion: Lesion) -> Tensor:
        """A lesion in units, with the size of its contrast; zero where the box holds a parameter."""
        point, units = lesion.point.detach().clone(), self._units()
        point[3] = point[3].abs()
        return torch.where(units > 0, point / units.clamp_min(1e-300), 0.0)

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
