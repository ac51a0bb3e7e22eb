"""The worst of the small realistic shifts: how the patient lay, and how bright the image is.

Over a box of few parameters ``p = (degrees, rows, columns, intensity)`` the error

    e(p) = ||f(y_p) - T_p x|| / ||T_p x||,        T_p = intensity after translation after rotation,

with the measurement ``y_p`` of ``T_p x`` and the case's noise (`stabtest.stability.shift.scene`), is made large. First every point of
a coarse grid is looked at, corners and zero among them; then, from the best of them and from random points of the box,
projected gradient ascent follows the gradient through the method, the scan and the resampler:

    p  <-  clip(p + h g / max|g|),    in units of the box;  h grows by 1.5 after a step that rose, and halves after one that did not.

The first gradient is held against central differences. Where they disagree, or the method has no gradient (NumPy inside, a
detached branch), central differences are followed throughout: with so few parameters they cost a handful of evaluations.

What is returned is the best of *all* points looked at, evaluated alone and without a graph: the largest value on the grid is
never undercut, with or without a usable gradient. It is *found*: a lower bound of the worst of the box.

Grid search over rotations and translations is the strong adversary for so few parameters: Engstrom, Tran, Tsipras, Schmidt,
Madry, *Exploring the landscape of spatial robustness*, ICML 2019, found first-order methods alone to be far weaker, since the
error has many maxima.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from stabtest import metrics, tensors
from stabtest.errors import ConfigError
from stabtest.networks.magnitude import comparable
from stabtest.search.memory import out_of_memory
from stabtest.stability.cases import Case, Method
from stabtest.stability.shift.box import Box, transform
from stabtest.stability.shift.resampling import Amount, Kernel
from stabtest.stability.shift.scene import Scene

LEAST_STEP = 1e-4
"""An ascent ends where its step is below this share of the box."""
DIFFERENCE = 0.01
"""Half width of a central difference, as a share of the box."""
AGREEMENT = 0.9
"""Least cosine between the gradient and central differences at which the gradient is followed."""


Slope = Literal["autograd", "differences", "none"]


@dataclass(frozen=True)
class WorstShift:
    """What a search of a box found.

    Parameters
    ----------
    parameters
        Name to value, in the units of the box, of the worst point.
    nrmse, clean
        Error there, and where nothing is shifted.
    grid_nrmse
        The largest error on the grid; never above ``nrmse``.
    evaluations
        Of the method, those of the grid and of the ascents, with and without a gradient.
    gradient
        What the ascents followed: the method's own gradient, or central differences where that is missing or wrong.
    gradients
        How many of the evaluations asked for the method's gradient.
    """

    parameters: dict[str, float] = field(hash=False)
    nrmse: float
    clean: float
    grid_nrmse: float
    evaluations: int
    gradient: Slope
    gradients: int = 0

    @property
    def damage(self) -> float:
        """``nrmse - clean``, not negative."""
        return self.nrmse - self.clean


def worst_shift(
    method: Method,
    case: Case | Scene,
    box: Box,
    *,
    points: int = 3,
    restarts: int = 3,
    steps: int = 10,
    kernel: Kernel | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> WorstShift:
    """Search a box of shifts of the object for the largest error.

    Parameters
    ----------
    method, case
        What reconstructs, and the case, with its truth, or a scene with the finer object.
    box
        What may vary, and how far.
    points
        Of the grid along each parameter, odd, so that zero is one of them; 1 is zero alone.
    restarts
        Ascents: from the best point of the grid, then in turns from a random point and from the next best of the grid.
    steps
        Of each ascent, at most; each is one evaluation, and one with a gradient where the last step rose.
    kernel
        Of the resampling.
    seed
        Of the random starts.
    progress
        Called after each evaluation of the grid and each ascent.

    Returns
    -------
    WorstShift
        Deterministic for a deterministic method.

    Raises
    ------
    ConfigError
        If the number of points is even or a number is out of range.
    DataError
        If the case has no truth.
    NetworkError
        If the method does not return a finite image of the right shape.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    >>> case = Case("a", "a", "other", Identity((8, 8)), image, truth=image)
    >>> saturating = Method("net", "under test", lambda y, A: y.clamp_max(1.0))
    >>> found = worst_shift(saturating, case, Box(degrees=0, rows=0, columns=0, intensity=0.25))
    >>> round(found.nrmse, 6), found.parameters
    (0.2, {'intensity': 0.25})
    """
    if points < 1 or points % 2 == 0 or restarts < 0 or steps < 0:
        came = f"points={points}, restarts={restarts}, steps={steps}"
        raise ConfigError("search of shifts", expected="an odd number of points, restarts and steps >= 0", came=came)
    scene = Scene.of(case)
    scene.truth("search of the worst shift")
    climb = _Climb(method, scene, box, kernel)
    axis = torch.linspace(-1, 1, points, dtype=torch.float64).tolist() if points > 1 else [0.0]
    nodes = [torch.tensor(node, dtype=torch.float64) for node in product(axis, repeat=len(box.names))]
    total = len(nodes) + restarts
    values: list[float] = []
    for done, node in enumerate(nodes, 1):
        values.append(climb.value(node))
        if progress is not None:
            progress(done, total)
    ranked = sorted(range(len(nodes)), key=lambda index: -values[index])
    generator = torch.Generator().manual_seed(seed)
    for start in range(restarts):
        drawn = 2 * torch.rand(len(box.names), generator=generator, dtype=torch.float64) - 1
        chosen = ranked[min(start // 2, len(ranked) - 1)]
        climb.ascend(*((drawn, None) if start % 2 else (nodes[chosen], values[chosen])), steps=steps)
        if progress is not None:
            progress(len(nodes) + start + 1, total)
    clean = values[len(nodes) // 2]  # the middle of an odd grid is zero
    place = {name: float(value) for name, value in zip(box.names, climb.best * box.sides)}
    return WorstShift(place, climb.highest, clean, max(values), climb.evaluations, climb.follows, climb.gradients)


class _Climb:
    """The error over the unit box, and the best of all points looked at."""

    def __init__(self, method: Method, scene: Scene, box: Box, kernel: Kernel | None) -> None:
        self.method, self.scene, self.box = method, scene, box
        self.told = scene.case.operator
        self.kernel: Kernel | None = kernel
        self.best, self.highest = torch.zeros(len(box.names), dtype=torch.float64), -math.inf
        self.evaluations = 0
        self.gradients = 0
        self.follows: Slope = "none"

    def value(self, point: Tensor) -> float:
        """The error at one point, without a graph; remembered if it is the largest."""
        self.evaluations += 1
        with torch.no_grad():
            y, truth = self._measure(point)
        image = self.method(y, self.told)
        error = float(metrics.nrmse(image, comparable(truth, image)))
        if error > self.highest:
            self.best, self.highest = point.clone(), error
        return error

    def slope(self, point: Tensor) -> Tensor:
        """The gradient of the squared error at one point: of the method where it can be trusted, else from differences."""
        if self.follows == "none":
            own, differences = self._own(point), self._differences(point)
            size = None if own is None else own.norm() * differences.norm()
            agree = size is not None and own is not None and bool(own @ differences >= AGREEMENT * size)
            self.follows = "autograd" if agree else "differences"
            return own if agree and own is not None else differences
        own = self._own(point) if self.follows == "autograd" else None
        return self._differences(point) if own is None else own

    def _own(self, point: Tensor) -> Tensor | None:
        """By automatic differentiation; None where there is no way from the image back to the measurement."""
        self.evaluations += 1
        self.gradients += 1
        at = point.clone().requires_grad_()
        with torch.enable_grad():
            y, truth = self._measure(at)
            try:
                image = self.method.reconstruct(y, self.told)
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                return None  # NumPy inside refuses tensors that require a gradient
            if not image.requires_grad:
                return None
            truth = comparable(truth, image)
            # The square: the norm itself has no derivative where the image is perfect.
            squared = tensors.inner(image - truth, image - truth) / tensors.inner(truth, truth)
            (gradient,) = torch.autograd.grad(squared.sum(), at)
        return gradient if bool(torch.isfinite(gradient).all()) else None

    def _differences(self, point: Tensor) -> Tensor:
        """Central differences, one-sided at the sides of the box."""
        slopes: list[float] = []
        for axis in range(len(point)):
            step = torch.zeros_like(point)
            step[axis] = DIFFERENCE
            up, down = (point + step).clamp(-1, 1), (point - step).clamp(-1, 1)
            slopes.append((self.value(up) ** 2 - self.value(down) ** 2) / float((up - down)[axis]))
        return torch.tensor(slopes, dtype=torch.float64)

    def ascend(self, start: Tensor, value: float | None, *, steps: int) -> None:
        """Projected ascent from one point."""
        point, here, length = start, self.value(start) if value is None else value, 0.5
        gradient: Tensor | None = None
        for _ in range(steps):
            gradient = self.slope(point) if gradient is None else gradient
            # Along a side of the box the outward part counts for nothing, or it would set the scale of the rest.
            inward = torch.where((point.abs() >= 1) & (point * gradient > 0), torch.zeros_like(gradient), gradient)
            if not bool((inward != 0).any()) or length < LEAST_STEP:
                return
            further = (point + length * inward / inward.abs().max()).clamp(-1, 1)
            there = self.value(further)
            if there > here:
                point, here, length, gradient = further, there, min(1.5 * length, 2.0), None
            else:
                length /= 2

    def _measure(self, point: Tensor) -> tuple[Tensor, Tensor]:
        before = self.scene.object("search of the worst shift")
        # A whole box in one tensor: the parameters keep the precision of float64 until they meet the image.
        amounts: dict[str, Amount] = dict(zip(self.box.names, (point * self.box.sides).to(before.device).unbind()))
        gain = 1 + amounts.get("intensity", 0.0)
        for name in ("rows", "columns"):
            if name in amounts:
                amounts[name] = self.scene.factor * amounts[name]
        changed = transform(before, kernel=self.kernel, **amounts)
        return self.scene.measure(changed, gain=gain), self.scene.image(changed)
