r"""The witness examined from scratch, as if it had come from somebody else.

Nothing the search believed about its own result is reported. From the stored perturbation alone:

- its norm and its support are recomputed in float64: ``violation = max(||v|| - R, 0) / R + ||v - P v|| / R``;
- rounding may have put it outside by a few units of the last place: then it is shrunk until it is not;
- the reconstruction is run again, forward only, in at least single precision, and the damage is taken from that image;
  where that image is not finite the damage is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.search.constraints import Ball
from stabtest.search.leader import damage
from stabtest.search.problem import Problem

TOLERANCE = 1e-6
"""Largest relative violation of a witness that is shown to anybody."""


@dataclass(frozen=True)
class Verified:
    """What a fresh look at a witness found, per image.

    Attributes
    ----------
    variable
        The witness, shrunk onto the set if rounding had put it outside.
    perturbation
        Its perturbation in the measurement domain, ``(B, *range)``.
    perturbed
        ``f(y + e)`` from a fresh forward pass.
    value
        The objective there, ``(B,)``; infinite where it is not a number.
    violation
        Relative violation in float64, ``(B,)``, at most `TOLERANCE`.
    """

    variable: Tensor
    perturbation: Tensor
    perturbed: Tensor
    value: Tensor
    violation: Tensor


def shrink(constraint: Ball, v: Tensor) -> Tensor:
    """``v`` scaled down where float64 finds it outside the set; elsewhere bit for bit ``v``.

    Raises
    ------
    SearchError
        If ``v`` lies further outside than rounding explains (1e-3 of the radius), or off the measured samples.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.constraints import MeasurementBall
    >>> ball = MeasurementBall(Identity((1, 1)), torch.tensor([1.0]))
    >>> shrink(ball, torch.full((1, 1, 1, 1), 1.0000002)).item() <= 1
    True
    """
    rounding = torch.finfo(tensors.real_dtype(v.dtype)).eps
    for attempt in range(8):
        violation = constraint.violation(v)
        outside = violation > 0
        if not bool(outside.any()):
            return v
        if not bool((violation < 1e-3).all()):
            raise SearchError("witness: infeasible", expected="a violation below 1e-3", came=f"{violation.tolist()}")
        factor = torch.where(outside, 1 / (1 + violation) * (1 - 2**attempt * rounding), 1.0)
        v = tensors.scale(constraint.admissible(v), factor.to(tensors.real_dtype(v.dtype)))
    raise SearchError("witness: cannot be made feasible", expected="violation 0", came=f"{constraint.violation(v).tolist()}")


def verify(problem: Problem, v: Tensor) -> Verified:
    """Examine a witness: feasibility in float64, damage by a fresh forward pass.

    Parameters
    ----------
    problem
        The problem it claims to be a witness for; its constraint carries the radius.
    v
        The variable, ``(B, ...)``.

    Raises
    ------
    SearchError
        If the witness is not feasible.
    """
    v = shrink(problem.constraint, v.detach().clone())
    e = problem.constraint.perturbation(v)
    with torch.no_grad():
        perturbed = problem.reconstruct(e)
        value = damage(problem.objective(perturbed))
    return Verified(variable=v, perturbation=e, perturbed=perturbed, value=value, violation=problem.constraint.violation(v))
