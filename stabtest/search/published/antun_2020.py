r"""Antun 2020: gradient ascent with momentum on the squared distance, with a penalty.

V. Antun, F. Renna, C. Poon, B. Adcock, A. Hansen, *On instabilities of deep learning in image reconstruction and the
potential costs of AI*, PNAS 117 (2020), algorithm 1 of the supplement; code vegarant/Invfool, ``py_adv_tools`` and
``FBPConvNet/perturb_SGA.m``:

    Q(r) = 1/2 ||f(y + A r) - f(y)||^2 - lambda/2 ||r||^2
    v <- gamma v + eta grad Q(r),     r <- r + v,

from a small random ``r`` and ``v = 0``, stopped when ``||r||`` reaches the size wanted. The published settings differ from network to
network and were chosen by hand:

============  ===========  ============  ===========  ==================================
network       ``gamma``    ``eta``       ``lambda``   first ``r``: uniform, times
============  ===========  ============  ===========  ==================================
Deep MRI Net  0.9          0.01          0.001        0.01
AUTOMAP       0.9          0.001         0.1          1e-5
MRI-VN        0.9          0.005         1            0.001
FBPConvNet    0.9          0.005         20           0.005
============  ===========  ============  ===========  ==================================

The defaults here are those of Deep MRI Net, a cascade for images with values up to about 1. The last two networks have images with values
of several hundred. What differs: the ball is a hard constraint, so that an iterate that would leave it is projected; the random start is
measured relative to the radius, since a fixed size per pixel may already lie outside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.leader import Leader
from stabtest.search.problem import Problem
from stabtest.search.published.common import choose, first_point, rate_of


def antun_2020(
    problem: Problem,
    leader: Leader,
    *,
    steps: int,
    learning_rate: float | Tensor = 0.01,
    momentum: float = 0.9,
    penalty: float = 1e-3,
    start_norm: float = 1e-2,
    stop_at_radius: bool = True,
    generator: torch.Generator,
    start: Tensor | None = None,
) -> None:
    """Momentum ascent with penalty (Antun et al. 2020).

    Parameters
    ----------
    problem
        With the distance to the clean reconstruction as objective; the paper's domain is the image.
    leader
        Is offered every iterate.
    steps
        Gradient steps; one evaluation more scores the last point.
    learning_rate, momentum, penalty
        ``eta`` (one number, or one for each image), ``gamma`` and ``lambda``; see the module for the published values.
    start_norm
        Norm of the random first perturbation, relative to the radius.
    stop_at_radius
        As published: an image that has reached its radius stays there, and all end when all have. Otherwise the ascent goes on along
        the sphere, projected.
    generator
        For the first perturbation.
    start
        First perturbation ``(B, ...)`` as it is, in place of the random one.

    Raises
    ------
    OperatorError
        If the start does not belong to the variable's space.

    Examples
    --------
    A linear network at a rate that fits: the ascent reaches the radius along the first coordinate and stops.

    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean, MeasurementBall
    >>> y, gains = torch.zeros(1, 1, 1, 2), torch.tensor([3.0, 1.0])
    >>> problem = Problem(lambda y, A: gains * y, y, MeasurementBall(Identity((1, 2)), torch.ones(1)), DistanceToClean(y))
    >>> leader = Leader(y, planned=101)
    >>> antun_2020(problem, leader, steps=100, generator=torch.Generator().manual_seed(0))
    >>> round(leader.value.item(), 2), leader.evaluations < 101
    (3.0, True)
    """
    constraint = problem.constraint
    random = first_point(problem, start, generator=generator)
    v = random * start_norm if start is None else random
    speed, rate = torch.zeros_like(v), rate_of(learning_rate, v)
    for _ in range(steps):
        evaluation = problem.evaluate(v)
        leader.offer(v, evaluation)
        # grad 1/2 d^2 = d grad d
        ascent = tensors.scale(evaluation.gradient, evaluation.value) - penalty * v
        speed = momentum * speed + tensors.scale(ascent, rate)
        moved = constraint.project(v + speed)
        if not stop_at_radius:
            v = moved
            continue
        arrived = constraint.size(v) >= constraint.radius * (1 - 1e-6)
        if bool(arrived.all()):
            return
        v = choose(arrived, v, moved)
    leader.offer(v, problem.evaluate(v))
