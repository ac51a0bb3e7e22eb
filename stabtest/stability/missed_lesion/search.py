"""The lesion that comes back least: a coarse grid over the body, then descent on its parameters, within a stated budget.

With the lesion ``h(p)`` of the parameters ``p = (row, column, diameter, contrast, aspect, angle)``, its measurement ``A h``, template ``t`` and
region ``R`` (`stabtest.stability.insertion`), what is made small is the contrast recovery

    c(p) = Re <t, f(y + A h) - f(y)>_R / ||t||_R^2

of one method in the noise of one case, over the lesions of a box that lie in the body and that the data carry: ``d' = ||A h|| / sigma >=
5`` where the noise is known, and in any case a null-space share of at most 0.9. A lesion that is not measured is no miss.

First a lattice of places is looked at: one lesion each, sizes and heights spread evenly over the box by a Halton sequence (J. H. Halton,
Numer. Math. 2 (1960) 84-90), or several with the ends of the box; where lesions may be long with the middle form, turned by 45 degrees from
place to place. Then, from the worst of them, from the worst of a few random lesions, and from the next worst at another place in turns,
projected descent follows the gradient through the method, the scan and the drawing of the lesion,

    p  <-  project(p - l g / max|g|),    in units of half the lattice and half the box;  l grows by 1.5 after a step that gained, and halves else,

until the budget is spent. The first gradient is held against a central difference, along it and as far across; where the two disagree, against
those in all parameters, which are followed throughout where it is false or the method hands none back (NumPy inside, a detached branch).

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

import torch

from stabtest.errors import ConfigError, DataError
from stabtest.stability.cases import Case, Method
from stabtest.stability.missed_lesion.climb import Climb, Slope
from stabtest.stability.missed_lesion.lesion import Lesion, LesionBox, Room

_CANDIDATES = 4
"""Random lesions that are looked at for one descent."""
_MOST_IN_VAIN = 20
"""Starts in a row for which nothing could be evaluated, after which a search ends."""


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
        Sizes and heights at each place of the lattice: 1 = one of each, from place to place another, 2 = the ends of the box, 3 = its middle too.
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
    climb = Climb(method, case, box, evaluations, progress)
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
            drawn = [_random(box, grid, spacing, generator) for _ in range(_CANDIDATES)]
            some = [(value, lesion) for lesion in drawn if (value := climb.value(lesion)) is not None]
            if not some:
                in_vain += 1
                continue
            known, start = min(some, key=lambda one: one[0])
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
    shares = {1: (0.5,), 2: (0.0, 1.0), 3: (0.0, 0.5, 1.0)}[points]  # of one at each place the middle, until they are spread

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
    return ([_spread(lesion, box, k + 1) for k, lesion in enumerate(grid)] if points == 1 else grid), spacing


def _spread(lesion: Lesion, box: LesionBox, k: int) -> Lesion:
    """With the size and the height of point ``k`` of the Halton sequence in bases 2 and 3."""
    size, height = (
        low + share * (high - low)
        for share, (low, high) in zip((_inverted(k, 2), _inverted(k, 3)), (box.diameters, box.contrasts))
    )
    return replace(lesion, diameter=size, contrast=math.copysign(height, lesion.contrast))


def _inverted(k: int, base: int) -> float:
    """The digits of ``k`` in a base, mirrored at the point: van der Corput's sequence."""
    value, place = 0.0, 1.0
    while k:
        k, digit = divmod(k, base)
        place /= base
        value += digit * place
    return value


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
