r"""The semidefinite bound of a network on a lattice, and its certificate.

    minimise  rho   subject to   Q(rho, lambda, mu) >= 0  at every frequency of the torus.

Good multipliers are sought on a few frequencies (`stabtest.bounds.lattice.seek`). Whatever was sought, the bound is what is
*checked*: with the multipliers found, ``rho`` is raised until ``Q`` is positive definite at every frequency, in float64, with a guard for
rounding (`stabtest.bounds.lattice.forms.GUARD`). What was positive stays so, since ``Q`` grows with ``rho``: a frequency is looked at
once more only if it failed.

Diagonal multipliers for slopes in [a, b]: Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and accurate estimation of Lipschitz
constants for deep neural networks*, NeurIPS 2019 (LipSDP-Neuron; the multipliers that couple neurons in that paper are not sound: P.
Pauli et al., *Training robust neural networks using Lipschitz bounds*, IEEE Control Systems Letters 6, 2022).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.bounds.lattice import symbols
from stabtest.bounds.lattice.forms import GUARD, Forms, Multipliers
from stabtest.bounds.lattice.network import Lattice
from stabtest.bounds.lattice.seek import HOPELESS, KAPPAS, NotPositiveError, Progress, Seeker, batch_of, first_sample, raised
from stabtest.bounds.lattice.start import primal_start
from stabtest.bounds.linear import LinearReplay
from stabtest.errors import BoundsError

MARGINS = (0.1, 0.3)
"""Of the two ascents of the primal problem: one to start from, one for what it lacks at some frequencies."""
ROUNDS = 8
"""How often violated frequencies are added."""
SCANNED = (2000, 600, 160, 48)
"""Frequencies among which violated ones are looked for, by the number of coarser grids; the check at the end spares none."""


@dataclass(frozen=True)
class SemidefiniteBound:
    """What was certified.

    Parameters
    ----------
    upper
        ``||f(x) - f(x')|| <= upper ||x - x'||``.
    sought
        The bound on the sample of frequencies alone: below ``upper`` by what the sample has missed.
    frequencies
        Frequencies of the coarsest grid at which the form was checked; each stands for itself and its mirror image.
    torus
        Points of the torus.
    seconds_seeking, seconds_checking
        Processor time.
    multipliers
        With which anybody can check again.
    """

    upper: float
    sought: float
    frequencies: int
    torus: tuple[int, int]
    seconds_seeking: float
    seconds_checking: float
    multipliers: Multipliers


def semidefinite_bound(
    lattice: Lattice,
    *,
    replay: LinearReplay | None = None,
    seconds: float = math.inf,
    start: Multipliers | None = None,
    progress: Progress | None = None,
    generator: torch.Generator | None = None,
) -> SemidefiniteBound:
    """Seek multipliers and certify the bound they give.

    Parameters
    ----------
    lattice
        The network (`stabtest.bounds.lattice.translate`).
    replay
        The same network in space (`stabtest.bounds.linear.linear_replay`), at this size or a smaller one: its primal problem gives a far
        better start (`stabtest.bounds.lattice.start`).
    seconds
        Processor time after which no better multipliers are sought; the check takes what it takes.
    start
        Multipliers of an earlier run to go on from; whatever they are, what is checked at the end is a bound.
    progress
        Told of the steps of the search and of the frequencies checked.
    generator
        Draws the sample of frequencies; seed 0 if not given.

    Raises
    ------
    NotPositiveError
        If no multipliers are found for which the form is positive.
    BoundsError
        If ``start`` has other variables or channels than the network.

    Examples
    --------
    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> from stabtest.bounds.lattice.translate import translate
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 1, 1, bias=False))
    >>> with torch.no_grad():  # weights without a minus sign: the network is as bad as its linear part
    ...     _ = network[0].weight.copy_(torch.tensor([3.0, 4.0]).reshape(2, 1, 1, 1))
    ...     _ = network[2].weight.copy_(torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1))
    >>> round(semidefinite_bound(translate(trace(network, torch.zeros(1, 1, 4, 4)))).upper, 1)
    3.5
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    begin = time.process_time()
    everywhere = symbols.frequencies(lattice.points(lattice.depth))
    sample = first_sample(everywhere, lattice, generator)
    spares: list[Multipliers] = []
    if replay is not None:
        starts = (primal_start(lattice, replay, sample, margin=margin, generator=generator) for margin in MARGINS)
        spares = [start for start in starts if start is not None]
    if start is not None:
        spares = [_fitting(start, lattice), *spares]
    first = 1 if lattice.depth > 1 and start is None else len(sample)  # frequency zero stands for many finer ones already
    seeker = Seeker(lattice, sample[:first], deadline=begin + seconds, progress=progress, spares=spares)
    kappas = KAPPAS[1:] if spares else KAPPAS
    seeker.descend(kappas if first == len(sample) else kappas[:2])
    if first < len(sample):
        seeker.extend(sample[first:])
        seeker.descend(KAPPAS[1:])
    scanned = everywhere[:: max(1, len(everywhere) // SCANNED[min(lattice.depth, len(SCANNED) - 1)])]
    for _ in range(ROUNDS):
        violated = seeker.violated(scanned)
        if not len(violated):
            break
        seeker.extend(violated)
        seeker.descend(KAPPAS[1:])
    safe = seeker.multipliers
    seeker.polish()
    middle = time.process_time()
    candidates = (*([spares[0]] if start is not None and _better(seeker, spares[0]) else []), seeker.multipliers, safe)
    found, rho = _certified(seeker, candidates, everywhere, progress)
    return SemidefiniteBound(
        upper=math.sqrt(rho),
        sought=math.sqrt(float(found.rho)),
        frequencies=len(everywhere),
        torus=lattice.torus,
        seconds_seeking=middle - begin,
        seconds_checking=time.process_time() - middle,
        multipliers=Multipliers(torch.tensor(rho, dtype=torch.float64), found.weights),
    )


def _fitting(start: Multipliers, lattice: Lattice) -> Multipliers:
    """Positive multipliers of this network, in double precision."""
    wanted = {index: (variable.channels,) for index, variable in enumerate(lattice.variables) if index}
    given = {index: tuple(weight.shape) for index, weight in start.weights.items()}
    if given != wanted or not all(bool((weight > 0).all()) for weight in (start.rho, *start.weights.values())):
        raise BoundsError(
            "start of the semidefinite bound", expected=f"positive multipliers of shapes {wanted}", came=str(given)
        )
    return Multipliers(
        start.rho.to(torch.float64), {index: weight.to(torch.float64) for index, weight in start.weights.items()}
    )


def _better(seeker: Seeker, start: Multipliers) -> bool:
    """Whether an earlier run's multipliers still are the best on the sample: there was no time, or nothing to gain."""
    with torch.no_grad():
        rho = raised(seeker.forms, start, seeker.given, float(start.rho))
    return rho is not None and rho <= float(seeker.multipliers.rho)


def _certified(
    seeker: Seeker, candidates: tuple[Multipliers, ...], everywhere: Tensor, progress: Progress | None
) -> tuple[Multipliers, float]:
    """Check one after the other; where none does, mix in as much of the start as makes the last one do, and check again."""
    found = candidates[0]
    for candidate in (*candidates, *[None] * ROUNDS):
        found = found if candidate is None else candidate
        try:
            return found, certify(seeker.lattice, seeker.lowered(found), everywhere, progress=progress)
        except NotPositiveError as failure:
            if candidate is None or candidate is candidates[-1]:
                with torch.no_grad():
                    found = seeker.mixed(failure.frequencies, found)
    return found, certify(seeker.lattice, found, everywhere, progress=progress)


def certify(
    lattice: Lattice, multipliers: Multipliers, frequencies: Tensor | None = None, *, progress: Progress | None = None
) -> float:
    """The smallest ``rho``, to 0.1 %, for which the form is positive definite at every frequency with these multipliers.

    Parameters
    ----------
    lattice, multipliers
        The network, and what to check; ``multipliers.rho`` is where to begin.
    frequencies
        Of the coarsest level, ``(F, 2)``; all of the torus if not given.
    progress
        Told of the frequencies checked.

    Raises
    ------
    NotPositiveError
        If no ``rho`` makes it positive.
    """
    everywhere = symbols.frequencies(lattice.points(lattice.depth)) if frequencies is None else frequencies
    forms = Forms(lattice, guard=GUARD)
    rho, done = float(multipliers.rho), 0
    with torch.no_grad():
        for part in everywhere.split(batch_of(lattice)):
            given = forms.ingredients(part)
            enough = raised(forms, multipliers, given, rho)
            if enough is None:
                hopeless = Multipliers(torch.tensor(rho * HOPELESS, dtype=torch.float64), multipliers.weights)
                raise NotPositiveError(part[torch.isnan(forms.log_determinant(hopeless, given))])
            rho = enough
            done += len(part)
            if progress is not None:
                progress("frequencies checked", done, len(everywhere))
    return rho
