r"""Whether a search could see: the gradient against finite differences, before anything is climbed.

A search that follows a gradient which is missing, cut or false finds nothing, and the network looks stable (A. Athalye, N.
Carlini, D. Wagner, *Obfuscated gradients give a false sense of security*, ICML 2018). `stabtest.search.problem` notices in every
evaluation a gradient that is zero, not finite or missing altogether. It cannot notice one that is there and wrong. So `examine`
compares it with central differences where a search works, just inside the surface of its set (at ``v``, nine tenths of the way to a
random point of the surface, and at the point of the surface to which the gradient there leads), every image on its own:

- **the network's**: with a step ``t`` along a random direction and ``D = f(y + e + t) - f(y + e - t)``, the error
  ``||D - 2 J t|| / ||D||`` must be small. For standard normal ``w``, ``E (<D, w> - 2 <t, J* w>)^2 = ||D - 2 J t||^2``, so a few
  backward passes estimate it, and test ``J*``, which is what a search uses;
- **the objective's**: along its own gradient ``g``, the climb ``phi(v + s g) - phi(v - s g)`` must be ``2 s ||g||^2``;
- **in the blind spot**: where ``J* w`` vanishes on some of the measured samples for every ``w``, the image must not answer to a
  perturbation of these samples. A ReLU that is off may be switched on by such a step, but then by that of one sign
  only, ``f(+) + f(-) - 2 f(0)`` is as large as ``f(+) - f(-)``; behind a cut gradient the answer is linear and that is small;
- **again**: the same measurement once more, in a batch with others, must give the same image.

The names, the first that applies:

================  ======================================================================================================
``not finite``    The image or the gradient holds NaN or infinity.
``stochastic``    The same measurement gives another image: dropout left on, batch normalisation in training mode, random numbers.
``disconnected``  There is no gradient, or it is zero and the objective moves: ``detach``, NumPy, ``argmax``, rounding.
``zero``          The gradient is zero and the objective does not move either: there is nothing to climb at this point.
``masked``        Some of the measured samples have no gradient, and the image depends on them.
``rough``         The gradient is the derivative over very short steps only: the image has kinks at every scale (hundreds of steps of a solver).
``wrong``         The gradient is not the derivative: part of the network detached, a straight-through estimator, a clipped gradient.
``healthy``       None of these was found.
================  ======================================================================================================

`stabtest.networks.gradient` tests the network at the measurement itself, in float64 where it can, and to a tighter limit; this is
the test of the very function that is climbed, as it is climbed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.jacobian import common_randn
from stabtest.search.problem import GradientHealth, Problem
from stabtest.search.slopes import DRAWS, INSIDE, LIMIT, Counted, answers, blind_spot, climb_of, is_rough, network_error
from stabtest.search.starts import zero_of

Health = Literal["healthy", "zero", "masked", "not finite", "stochastic", "disconnected", "rough", "wrong"]

SCATTER = 0.01
"""Largest difference between two evaluations that passes, relative to the change that the perturbation makes."""

REMEDIES: dict[str, str] = {
    "not finite": "look for a root, logarithm or division at zero; add a small constant inside of it",
    "stochastic": "call eval() on the network and switch random numbers off, or fix their seed in every call",
    "disconnected": "remove detach, torch.no_grad, NumPy, argmax and rounding from the forward, or use the black-box search",
    "zero": "check that the network uses the measurement, and that the objective looks where it acts",
    "masked": "remove the detach or the hook that cuts the gradient of some samples (a coil, a band, some views)",
    "rough": "none is needed: the ascent goes on, and a black-box search after it; more evaluations find more",
    "wrong": "remove detached branches, straight-through estimators and gradient clipping, or use the black-box search",
}
"""What to do about each."""


@dataclass(frozen=True, eq=False)
class GradientReport:
    """What was found of the gradient of each image.

    Attributes
    ----------
    health
        One word an image, as in the table of this module.
    error
        Of the network's Jacobian against differences, relative, beyond what rounding explains, ``(B,)``; NaN where there is none
        to compare.
    climb
        What the objective rose by along its gradient, relative to what the gradient promised, ``(B,)``: 1 where it is right, NaN
        where there is none.
    unseen
        Share of the samples that may be perturbed whose gradient is missing, ``(B,)``.
    scatter
        Difference between two evaluations at one point, relative to the change that the perturbation makes, ``(B,)``.
    evaluations, backwards
        Forward and backward passes, per image.
    """

    health: tuple[Health, ...]
    error: Tensor
    climb: Tensor
    unseen: Tensor
    scatter: Tensor
    evaluations: int
    backwards: int

    @property
    def healthy(self) -> bool:
        """Whether all images are."""
        return all(word == "healthy" for word in self.health)

    def advice(self) -> str:
        """One sentence for each name that is not healthy, most frequent first; empty if there is none."""
        names = sorted({word for word in self.health if word != "healthy"}, key=lambda word: (-self.health.count(word), word))
        total = len(self.health)
        return " ".join(f"Gradient {word} ({self.health.count(word)} of {total}): {REMEDIES[word]}." for word in names)


def examine(problem: Problem, *, generator: torch.Generator | None = None) -> GradientReport:
    """Compare the gradient that a search would climb with finite differences.

    Costs 10 forward passes and 6 backward passes where all is well; 4 forward passes more where a first comparison fails, 7 and a backward pass
    more where what fails may be rough, 2 more where some samples have no gradient, fewer where there is no gradient at all.

    Parameters
    ----------
    problem
        What is to be searched, over which set. All points but those in the blind spot are points of the set.
    generator
        For the point and the directions, the same for every image of the batch; seed 0 if not given.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.constraints import MeasurementBall
    >>> from stabtest.search.objectives import DistanceToClean
    >>> A, y = Identity((8, 8)), torch.ones(1, 1, 8, 8)
    >>> ball = MeasurementBall(A, torch.tensor([0.5]))
    >>> networks = [lambda y, A: 2 * y, lambda y, A: 2 * y.detach(), lambda y, A: y + y.detach()]
    >>> [examine(Problem(f, y, ball, DistanceToClean(2 * y))).health for f in networks]
    [('healthy',), ('disconnected',), ('wrong',)]
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    counted, constraint = Counted(problem), problem.constraint
    v = INSIDE * constraint.maximise_linear(common_randn(zero_of(problem), generator=generator))
    evaluation = counted.evaluate(v)
    e = constraint.perturbation(v).detach().requires_grad_(True)
    image = counted.tracked(e)
    here, clean = image.detach(), counted.reconstruct(torch.zeros_like(e))
    scatter, stochastic = _scatter(here, counted.in_company(e.detach(), generator=generator), clean)
    finite = torch.isfinite(tensors.norm(here)) & (evaluation.health != GradientHealth.NOT_FINITE)
    gone = (evaluation.health == GradientHealth.DISCONNECTED) | (evaluation.health == GradientHealth.ZERO)
    moves = _differ(here, clean) & _differ(evaluation.value[:, None], problem.objective(clean)[:, None])

    nothing = torch.full_like(evaluation.value, torch.nan)
    error, climb, unseen, masked = nothing, nothing, torch.zeros_like(nothing), torch.zeros_like(finite)
    flat, rough, further = torch.zeros_like(finite), torch.zeros_like(finite), v
    if bool((finite & ~stochastic & ~gone).any()):
        weights = [common_randn(here, generator=generator) * (math.sqrt(2) if here.is_complex() else 1) for _ in range(DRAWS)]
        pulled = [counted.pull(image, e, w) for w in weights]
        error, change, step = network_error(counted, v, here, weights, pulled, generator=generator)
        unseen, blind = blind_spot(e.detach(), pulled)
        if bool((unseen > 0).any()):
            masked = answers(counted, e.detach(), here, blind, step, change, generator=generator)
        further = INSIDE * constraint.maximise_linear(evaluation.gradient)
        climb, there = climb_of(counted, further)
        finite &= gone | ~(torch.isnan(error) | (there == GradientHealth.NOT_FINITE))
        flat = there == GradientHealth.ZERO  # a maximum reached in one step

    wrong = ~(error <= LIMIT) | ~(flat | ((climb - 1).abs() <= LIMIT))
    if bool((wrong & finite & ~stochastic & ~gone & ~masked).any()):
        rough = is_rough(counted, further)
    order: list[tuple[Health, Tensor]] = [
        ("not finite", ~finite),
        ("stochastic", stochastic),
        ("disconnected", gone & (moves | (evaluation.health == GradientHealth.DISCONNECTED))),
        ("zero", gone),
        ("masked", masked),
        ("rough", wrong & rough),
        ("wrong", wrong),
        ("healthy", torch.ones_like(wrong)),
    ]
    names: tuple[Health, ...] = tuple(next(name for name, applies in order if bool(applies[k])) for k in range(problem.batch))
    return GradientReport(names, error, climb, unseen, scatter, counted.evaluations, counted.backwards)


def _differ(a: Tensor, b: Tensor) -> Tensor:
    """Whether two tensors differ by more than rounding, per image, ``(B,)``."""
    size = torch.maximum(tensors.norm(a), tensors.norm(b))
    return ~(tensors.norm(a - b) <= 100 * torch.finfo(size.dtype).eps * size)


def _scatter(here: Tensor, again: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Relative difference of two evaluations, and whether it is more than rounding and `SCATTER`."""
    difference, change = tensors.norm(again - here), tensors.norm(here - clean)
    scatter = torch.where(difference > 0, difference / change.clamp_min(torch.finfo(change.dtype).tiny), 0.0)
    # Where the image is not finite, it cannot be compared; that has a name of its own.
    comparable = torch.isfinite(tensors.norm(here))
    return scatter, comparable & _differ(here, again) & ~(scatter <= SCATTER)
