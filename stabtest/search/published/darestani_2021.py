r"""Darestani 2021: projected Adam on the mean squared distance to the clean reconstruction, from near zero.

M. Darestani, A. Chaudhari, R. Heckel, *Measuring robustness in deep learning based compressive sensing*, ICML 2021; code
MLI-lab/Robustness-CS, ``adversarial_perturbations_trained.ipynb`` (``runner``). Maximises

    mean |f(y + e) - f(y)|^2    over    ||e|| <= eps ||y||,     eps = 0.08 or 0.04,

by Adam with PyTorch's settings (averages 0.9 and 0.999, ``eps = 1e-8``), projected after each step, from Gaussian noise of norm
``1e-4 ||y||``, for up to 2000 steps or 100 projections, and takes the worst iterate. The published learning rate is 0.01 by default
of the function, and 1e-6 (VarNet) and 5e-9 (U-Net) where it is applied to the k-space of fastMRI, whose values are some 1e-4 and less:
Adam's steps do not scale with the data, so the rate must. For images with values about 1 the function's own 0.01 is of that order.

What differs: perturbations live on the measured samples only (elsewhere theirs are masked before the network and cost norm for nothing), and
the rule of 100 projections is left out, since the number of steps is the budget here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.constraints import MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.published.adam import projected_adam
from stabtest.search.published.common import first_point


def darestani_2021(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    learning_rate: float | Tensor = 0.01,
    epsilon: float = 1e-8,
    start_norm: float = 1e-4,
    generator: torch.Generator,
    start: Tensor | None = None,
) -> None:
    """Projected Adam from near zero (Darestani et al. 2021).

    Parameters
    ----------
    problem
        With the distance to the clean reconstruction as objective.
    leader
        Is offered every iterate.
    steps
        Adam steps; one evaluation more scores the last point.
    learning_rate, epsilon
        As published, see the module for the rates; one number, or one for each image, ``(B,)``.
    start_norm
        Norm of the random first perturbation relative to that of the measurement (of the pseudo-inverse's image, for perturbations of
        the image); brought into the set if that is smaller.
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
    Adam's steps are about as long in every coordinate, and between such a step and the projection it comes to rest where all
    coordinates are equal, short of the largest possible 0.3:

    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean
    >>> y, gains = torch.ones(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> ball = MeasurementBall(Identity((1, 2)), torch.full((1,), 0.1))
    >>> problem = Problem(lambda y, A: gains * y, y, ball, DistanceToClean(gains * y))
    >>> leader = Leader(y, planned=101)
    >>> darestani_2021(problem, leader, steps=100, generator=torch.Generator().manual_seed(0))
    >>> round(leader.value.item(), 2)
    0.22
    """
    constraint, y = problem.constraint, problem.measurement
    v = first_point(problem, start, generator=generator)
    if start is None:
        with torch.no_grad():
            whole = y if isinstance(constraint, MeasurementBall) else constraint.operator.pseudo_inverse(y)
        v = constraint.project(tensors.scale(tensors.normalise(v), start_norm * tensors.norm(whole)))
    pixels = math.prod(constraint.operator.domain.shape)
    projected_adam(problem, leader, v, steps=steps, learning_rate=learning_rate, epsilon=epsilon, factor=1 / pixels)
