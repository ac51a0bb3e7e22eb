r"""Gradient estimates from the objective alone: the black-box attacks of the literature, for comparison.

Both estimate the gradient at ``v`` from ``m`` antithetic pairs,

    g = 1/m sum_i (phi(v + s z_i) - phi(v - s z_i)) / (2 s) z_i,

and climb with it as with a true one.

**NES 2018** (A. Ilyas, L. Engstrom, A. Athalye, J. Lin, *Black-box adversarial attacks with limited queries and information*, ICML 2018; code
labsix/limited-blackbox-attacks): Gaussian ``z``, 25 pairs to an estimate, momentum ``g <- 0.9 g_old + 0.1 g``, projected steps along the
furthest point of the set.

**SPSA 2018** (J. Uesato, B. O'Donoghue, A. van den Oord, P. Kohli, *Adversarial risk and the dangers of evaluating against weak attacks*,
ICML 2018; J. Spall, IEEE Trans. Automat. Control 37 (1992)): ``z`` of random signs, Adam, projected.

Written from the papers. The lengths are relative to the radius, since the published ones belong to photographs in ``[0, 1]``; every
query is a feasible point and is offered. `stabtest.search.black_box` uses the whole image that a query returns and finds more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.bases import Basis, Sight, pixel
from stabtest.search.black_box import without_gradient
from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.secants import as_real, like_real, step_length
from stabtest.search.starts import random_start


def nes_2018(
    problem: Problem,
    leader: Leader,
    *,
    queries: int,
    pairs: int = 25,
    sigma: float = 0.05,
    step_size: float = 1.0,
    momentum: float = 0.9,
    basis: Basis = pixel,
    generator: torch.Generator,
) -> None:
    """Natural evolution strategies with momentum.

    Parameters
    ----------
    problem
        Of which only the objective's values are used.
    leader
        Is offered every query.
    queries
        Evaluations per image, all counted.
    pairs
        Antithetic pairs to an estimate; the paper's 50 samples.
    sigma
        Length of ``s z`` relative to the norm of a point of the boundary.
    step_size
        Length of a step relative to the radius.
    momentum
        Share of the old gradient.
    basis
        Draws the directions ``z``: white noise as published, or another of `stabtest.search.bases`.
    generator
        Source of the start and the directions.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean, MeasurementBall
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> problem = Problem(lambda y, A: gains * y, y, MeasurementBall(Identity((1, 2)), torch.ones(1)), DistanceToClean(y))
    >>> leader = Leader(y, planned=200)
    >>> nes_2018(problem, leader, queries=200, pairs=4, generator=torch.Generator().manual_seed(0))
    >>> leader.evaluations, round(leader.value.item(), 1)
    (200, 3.0)
    """
    constraint = problem.constraint
    v, left = random_start(problem, generator=generator), queries
    length, average = sigma * tensors.norm(v), torch.zeros_like(v)
    while left > 0:
        gradient, left = _estimate(problem, leader, v, length, pairs, left, basis, generator)
        average = momentum * average + (1 - momentum) * tensors.normalise(gradient)
        v = constraint.project(v + step_size * constraint.maximise_linear(average))
        if left > 0:
            leader.offer(v, without_gradient(problem.score(v), v))
            left -= 1


def spsa_2018(
    problem: Problem,
    leader: Leader,
    *,
    queries: int,
    pairs: int = 25,
    sigma: float = 0.05,
    learning_rate: float = 1.0,
    generator: torch.Generator,
) -> None:
    """Simultaneous perturbation with random signs, and Adam.

    Parameters
    ----------
    problem, leader, queries, pairs, sigma, generator
        As in `nes_2018`.
    learning_rate
        Of Adam, relative to the root mean square of a point of the boundary.
    """
    constraint = problem.constraint
    v, left = random_start(problem, generator=generator), queries
    size = tensors.norm(v)
    rate = learning_rate * size / as_real(v).shape[1] ** 0.5
    mean, square = torch.zeros_like(as_real(v)), torch.zeros_like(as_real(v))
    k = 0
    while left > 0:
        k += 1
        gradient, left = _estimate(problem, leader, v, sigma * size, pairs, left, _signs, generator)
        g = as_real(tensors.normalise(gradient))  # Adam does not see the scale of its gradient
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        step = mean / (1 - 0.9**k) / ((square / (1 - 0.999**k)).sqrt() + 1e-8)
        v = constraint.project(v + tensors.scale(like_real(step, v), rate))
        if left > 0:
            leader.offer(v, without_gradient(problem.score(v), v))
            left -= 1


def _estimate(
    problem: Problem,
    leader: Leader,
    v: Tensor,
    length: Tensor,
    pairs: int,
    left: int,
    basis: Basis,
    generator: torch.Generator,
) -> tuple[Tensor, int]:
    """The estimated gradient from at most ``left`` queries, and how many are left; a pair needs two."""
    gradient = torch.zeros_like(v)
    for _ in range(min(pairs, (left + 1) // 2)):
        z = step_length(basis(Sight(problem, v, None, None), generator), length)
        values: list[Tensor] = []
        for point in (problem.constraint.project(v + z), problem.constraint.project(v - z))[:left]:
            value = problem.score(point)
            leader.offer(point, without_gradient(value, point))
            values.append(value)
            left -= 1
        if len(values) == 2:
            gradient = gradient + tensors.scale(z, torch.nan_to_num(values[0] - values[1], posinf=0.0, neginf=0.0))
    return gradient, left


def _signs(sight: Sight, generator: torch.Generator) -> Tensor:
    """Random signs on the support, of real and imaginary part on their own."""
    noise = pixel(sight, generator)
    return like_real(as_real(noise).sign(), noise)
