r"""Genzel 2022: projected Adam on the squared distance.

M. Genzel, J. Macdonald, M. März, *Solving inverse problems with deep neural networks: robustness included?*, IEEE TPAMI 45
(2023); code jmaces/robust-nets, ``find_adversarial.py`` (``PAdam``) and ``config_robustness_*.py``. Maximises

    ||f(y + e) - x||^2    over    ||e|| <= R

by Adam with learning rate 5, ``eps = 1e-5`` and the usual averages 0.9 and 0.999, projected onto the ball after each step. It starts
from Gaussian noise of norm about ``3 R``, which its first projection brings to ``R``; here it starts from there. The published number of
steps is 1000 for phantoms and 200 for fastMRI (250 and 50 for total variation). Their loss compares the real part of the images after a
rotation of the phase; here it is the whole image.

A learning rate of 5 is far above the radius divided by the square root of the number of samples, so that the projection normalises
each step: what remains is a sign-like direction, the ratio of the two averages.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.published.adam import projected_adam
from stabtest.search.published.common import first_point


def genzel_2022(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    learning_rate: float | Tensor = 5.0,
    epsilon: float = 1e-5,
    generator: torch.Generator,
    start: Tensor | None = None,
) -> None:
    """Projected Adam (Genzel et al. 2022).

    Parameters
    ----------
    problem
        With the distance to the truth as objective, as published, or to the clean reconstruction.
    leader
        Is offered every iterate.
    steps
        Adam steps; one evaluation more scores the last point.
    learning_rate, epsilon
        As published; the rate one number, or one for each image, ``(B,)``.
    generator
        For the first perturbation.
    start
        First perturbation ``(B, ...)``, projected, in place of the random one.

    Raises
    ------
    OperatorError
        If the start does not belong to the variable's space.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean, MeasurementBall
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> problem = Problem(lambda y, A: gains * y, y, MeasurementBall(Identity((1, 2)), torch.ones(1)), DistanceToClean(y))
    >>> leader = Leader(y, planned=101)
    >>> genzel_2022(problem, leader, steps=100, learning_rate=0.05, generator=torch.Generator().manual_seed(0))
    >>> bool(2.9 < leader.value.item() <= 3.0)
    True
    """
    v = first_point(problem, start, generator=generator)
    projected_adam(problem, leader, v, steps=steps, learning_rate=learning_rate, epsilon=epsilon, factor=1.0)
