r"""Multipliers for the semidefinite bound, sought on a sample of frequencies.

    minimise  log rho - (kappa / n S)  sum over the sample of  log det (D^-1/2 Q D^-1/2),

``S`` the size of the sample, ``n`` the rows of ``Q`` and ``D`` its own ``rho`` and multipliers, in the logarithms of all unknowns, while
``kappa`` falls. The logarithms make the problem one of scales, over which the layers of a network differ by many powers of ten. An
unknown of level ``l`` stands in ``4^(D-l)`` rows of ``Q``, so its logarithm is scaled by ``2^-(D-l)``.

Frequencies at which the result is not positive are added to the sample. A form that a new frequency has made indefinite is lifted, by
a larger ``rho`` or by an admixture of the start, and the barrier begins again at a larger ``kappa``: along the edge of the
feasible set a descent only creeps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from stabtest.bounds.lattice.descent import descend
from stabtest.bounds.lattice.forms import Forms, Ingredients, Multipliers
from stabtest.bounds.lattice.network import Lattice
from stabtest.bounds.lattice.start import feasible_start
from stabtest.errors import BoundsError

KAPPAS = (30.0, 10.0, 3.0, 1.0)
"""Weights of the barrier, falling."""
POLISH, PAYS = (0.3, 0.1, 0.03, 0.01), 1e-3
"""Weights after that, as long as one of them lowers ``log rho`` by so much."""
STEPS, TOLERANCE = 300, 3e-4
"""Most steps of the descent for one weight, and the gain of a few steps below which it ends."""
SAMPLE = (32, 16, 6, 3)
"""Frequencies of the first sample by the number of coarser grids; half as many are added at a time."""
HOPELESS = 1e6
"""Where raising ``rho`` by so much does not help, nothing does."""
ROWS = 30_000
"""Rows of the finest level that are taken in one batch."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, planned)``."""


class NotPositiveError(BoundsError):
    """With these multipliers no ``rho`` makes the form positive at some frequencies."""

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__(
            "semidefinite bound",
            expected="multipliers for which the form is positive",
            came=f"none found at {len(frequencies)} of the frequencies",
            remedy="give it more time",
        )
        self.frequencies = frequencies


class Seeker:
    """Descends on the barrier; keeps multipliers that are feasible on the sample."""

    def __init__(
        self,
        lattice: Lattice,
        sample: Tensor,
        *,
        deadline: float,
        progress: Progress | None,
        spares: Sequence[Multipliers] = (),
    ) -> None:
        self.lattice, self.sample, self.deadline, self.progress = lattice, sample, deadline, progress
        self.forms = Forms(lattice)
        self._quick = Forms(lattice, dtype=torch.complex64)
        self.order = range(1, len(lattice.variables))
        self.sizes = [lattice.variables[v].channels for v in self.order]
        rows = [float(4 ** (lattice.depth - lattice.variables[v].level)) for v in (0, *self.order)]
        counts = [1, *self.sizes]
        self.rows = torch.cat([torch.full((n,), r, dtype=torch.float64) for n, r in zip(counts, rows)])
        self.rows_of_input = lattice.variables[0].channels
        self.size = float(self.rows.sum()) + rows[0] * (self.rows_of_input - 1)
        self.unit = self.rows.rsqrt()
        self.given = self.forms.ingredients(sample)
        self._spares = spares
        start = spares[0] if spares else feasible_start(lattice, sample)
        logs = torch.cat([start.rho.log()[None], *(start.weights[v].log() for v in self.order)])
        self.place = logs / self.unit
        self._lift()

    @property
    def multipliers(self) -> Multipliers:
        """Those of the present place."""
        return self._at(self.place)

    def _at(self, place: Tensor) -> Multipliers:
        values = (place * self.unit).exp()
        return Multipliers(values[0], dict(zip(self.order, values[1:].split(self.sizes))))

    def _barrier(self, place: Tensor, kappa: float, forms: Forms, given: Ingredients) -> Tensor:
        logs = place * self.unit
        own = (self.rows * logs).sum() + self.rows[0] * (self.rows_of_input - 1) * logs[0]
        determinants = forms.log_determinant(self._at(place), given)
        value = logs[0] - kappa / self.size * (determinants - own).mean()
        return torch.where(torch.isnan(value), torch.inf, value)

    def descend(self, kappas: tuple[float, ...]) -> None:
        """Follow the barrier down: in single precision, which is enough away from the edge, else in double."""
        quick = self._quick.ingredients(self.sample)
        for kappa in kappas:
            barrier = partial(self._barrier, kappa=kappa, forms=self._quick, given=quick)
            with torch.no_grad():
                if not bool(torch.isfinite(barrier(self.place))):
                    barrier = partial(self._barrier, kappa=kappa, forms=self.forms, given=self.given)
            path = descend(barrier, self.place, steps=STEPS, tolerance=TOLERANCE)
            for step, self.place in enumerate(path, 1):
                if self.progress is not None:
                    self.progress(f"barrier {kappa:g}", step, STEPS)
                if time.process_time() > self.deadline:
                    return

    def polish(self) -> None:
        """Follow the barrier further, while it pays."""
        for kappa in POLISH:
            before = float(self.multipliers.rho.log())
            self.descend((kappa,))
            if time.process_time() > self.deadline or before - float(self.multipliers.rho.log()) < PAYS:
                return

    def lowered(self, found: Multipliers) -> Multipliers:
        """The same with the smallest ``rho`` that does on the sample."""
        with torch.no_grad():
            rho = raised(self.forms, found, self.given, float(found.rho) / 4)
        return found if rho is None else Multipliers(torch.tensor(rho, dtype=torch.float64), found.weights)

    def violated(self, everywhere: Tensor) -> Tensor:
        """Frequencies at which the form is not positive, those that fail by most; none where there is no time."""
        if time.process_time() > self.deadline:
            return everywhere[:0]
        found = self.multipliers
        left = everywhere
        for factor in (1.002, 1.01, 1.03, 1.1, 1.3, 2.0, HOPELESS):
            trial = Multipliers(found.rho * factor, found.weights)
            bad = self._failing(trial, left)
            if not len(bad):
                return left if factor > 1.002 else bad
            left = bad
            if len(left) <= self._room:
                break
        return left

    def _failing(self, multipliers: Multipliers, frequencies: Tensor) -> Tensor:
        with torch.no_grad():
            parts = frequencies.split(batch_of(self.lattice))
            failed = [torch.isnan(self.forms.log_determinant(multipliers, self.forms.ingredients(part))) for part in parts]
        return frequencies[torch.cat(failed)]

    @property
    def _room(self) -> int:
        """How many frequencies are added at a time."""
        return (SAMPLE[min(self.lattice.depth, len(SAMPLE) - 1)] + 1) // 2

    def extend(self, frequencies: Tensor) -> None:
        """Take some of these frequencies into the sample."""
        spread = torch.linspace(0, len(frequencies) - 1, min(self._room, len(frequencies))).long()
        self.sample = torch.cat([self.sample, frequencies[spread]])
        self.given = self.forms.ingredients(self.sample)
        self._lift()

    def _lift(self) -> None:
        """Make the form positive on the whole sample: by a larger ``rho``, else by some of the multipliers of the start.

        Those are positive, and the form is affine in ``rho`` and multipliers together: a mixture with enough of them is, too.
        """
        found = self.multipliers
        with torch.no_grad():
            rho = raised(self.forms, found, self.given, float(found.rho))
            if rho is None:
                found = self.mixed(self.sample, found)
                rho = float(found.rho)
        # A little more, so that the barrier does not begin at its edge.
        logs = [torch.tensor([math.log(rho * 1.05)], dtype=torch.float64), *(found.weights[v].log() for v in self.order)]
        self.place = torch.cat(logs) / self.unit

    def mixed(self, frequencies: Tensor, found: Multipliers) -> Multipliers:
        """Multipliers with as much of others added as makes the form positive at these frequencies, and a little more.

        The spares first, which are near, then the start that is certain to be positive, which is far.
        """
        for spare in self._spares:
            enough = self._enough(frequencies, found, spare, most=100.0)
            if enough is not None:
                return enough
        enough = self._enough(frequencies, found, feasible_start(self.lattice, frequencies), most=HOPELESS)
        if enough is None:
            raise NotPositiveError(frequencies)
        return enough

    def _enough(self, frequencies: Tensor, found: Multipliers, other: Multipliers, *, most: float) -> Multipliers | None:
        share = 1e-12 if most > 100 else 1e-3
        while share <= most:
            trial = self._sum(found, other, share)
            frequencies = self._failing(trial, frequencies)
            if not len(frequencies):
                return self._sum(found, other, 1.5 * share)
            share *= 3
        return None

    def _sum(self, one: Multipliers, other: Multipliers, share: float) -> Multipliers:
        weights = {v: one.weights[v] + share * other.weights[v] for v in self.order}
        return Multipliers(one.rho + share * other.rho, weights)


def raised(forms: Forms, multipliers: Multipliers, given: Ingredients, rho: float) -> float | None:
    """``rho``, raised as little as makes the form positive at these frequencies; None where nothing does."""

    def holds(value: float) -> bool:
        trial = Multipliers(torch.tensor(value, dtype=torch.float64), multipliers.weights)
        return not bool(torch.isnan(forms.log_determinant(trial, given)).any())

    if holds(rho):
        return rho
    return _smallest(lambda excess: holds(rho * (1 + excess)), lambda excess: rho * (1 + excess))


def _smallest(holds: Callable[[float], bool], value: Callable[[float], float]) -> float | None:
    """``value(excess)`` for the smallest excess that holds, found by doubling and bisection to 0.1 %; None if none does."""
    high = 1e-3
    while not holds(high):
        high *= 2 if high < 1 else 8
        if high > HOPELESS:
            return None
    low = high / (2 if high <= 1 else 8) if high > 1e-3 else 0.0
    while (1 + high) / (1 + low) > 1.001:
        middle = math.sqrt((1 + low) * (1 + high)) - 1
        low, high = (low, middle) if holds(middle) else (middle, high)
    return value(high)


def batch_of(lattice: Lattice) -> int:
    """Frequencies of the coarsest level that are taken at once."""
    finest = sum(variable.channels for variable in lattice.variables if variable.level == 0) * 4**lattice.depth
    return max(1, ROWS // finest)


def first_sample(everywhere: Tensor, lattice: Lattice, generator: torch.Generator) -> Tensor:
    """Frequency zero, and others drawn: one or two where each has many finer ones beneath it."""
    count = SAMPLE[min(lattice.depth, len(SAMPLE) - 1)] - 1
    drawn = (
        1 + torch.randperm(len(everywhere) - 1, generator=generator)[:count] if len(everywhere) > 1 else torch.zeros(0).long()
    )
    return torch.cat([everywhere[:1], everywhere[drawn]])
