r"""Gradients against central differences, inside the set of a search.

With ``D = f(y + e + t) - f(y + e - t)`` for a small step ``t`` and the Jacobian ``J`` as autograd has it, ``||D - 2 J t||``
estimates how wrong ``J`` is. A search uses ``J*``, so that is what is compared: for standard normal ``w``, ``E (<D, w> - 2 <t, J* w>)^2 =
||D - 2 J t||^2``. The steps and what is made of the result: `stabtest.search.health`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.jacobian import common_randn
from stabtest.search.problem import Evaluation, GradientHealth, Problem

INSIDE = 0.9
"""Where on the ray to the surface gradients are examined; the rest is room for the differences."""
LIMIT = 0.2
"""Largest relative error that passes. Climbing needs a direction, not digits."""
STEP = {torch.float64: 1e-6, torch.float32: 2.5e-4}
"""Length of a difference's step relative to ``||y||`` or the perturbation, at most a tenth of the set's own size. A step ``h`` takes a
share of about ``h`` of the ReLUs across their kink, an error of about ``sqrt(h)``; rounding leaves one of about ``1e-7 / h`` in
float32."""
FACTORS = (1.0, 1 / 16, 16.0)
"""Steps that are tried in turn, in units of `STEP`; the best counts."""
FINEST = 1 / 256
"""The shortest step along a gradient, in the same units: what the objective moves by along its own gradient is the largest change there is,
and stands clear of rounding for longer than along a random direction."""
CLEAR = 5
"""How often what rounding explains goes into what counts there."""
FALLS = 0.5
"""Share to which an error falls, from the longest to the shortest step, where the gradient is a derivative of something rough."""
ROUNDING = 10
"""Units in the last place of the whole image that the difference of two reconstructions may be off by rounding."""
DRAWS = 4
"""Backward passes for one direction."""
UNSEEN = 1e-5
"""Samples whose gradient is below this share of the root mean square have none."""
RELEVANT = 0.05
"""Response to the samples without gradient, relative to that to all, from which they count."""
ONE_SIDED = 0.5
"""``||f(+) + f(-) - 2 f(0)|| / ||f(+) - f(-)||`` below which a response is not that of kinks being crossed (which have 1)."""


class Counted:
    """The problem with its passes counted."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.evaluations, self.backwards = problem, 0, 0

    def evaluate(self, v: Tensor) -> Evaluation:
        """`Problem.evaluate`."""
        self.evaluations, self.backwards = self.evaluations + 1, self.backwards + 1
        return self.problem.evaluate(v)

    def score(self, v: Tensor) -> Tensor:
        """`Problem.score`."""
        self.evaluations += 1
        return self.problem.score(v)

    def reconstruct(self, e: Tensor) -> Tensor:
        """``f(y + e)`` without graph."""
        self.evaluations += 1
        with torch.no_grad():
            return self.problem.reconstruct(e)

    def tracked(self, e: Tensor) -> Tensor:
        """``f(y + e)`` with its graph; without one if the network does not run under it (NumPy)."""
        self.evaluations += 1
        try:
            with torch.enable_grad():
                return self.problem.reconstruct(e)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            return self.reconstruct(e.detach())

    def pull(self, image: Tensor, e: Tensor, w: Tensor) -> Tensor:
        """``P J* w``; zero where autograd sees no way."""
        if not image.requires_grad:
            return torch.zeros_like(e)
        self.backwards += 1
        along = tensors.inner(image, w).sum()
        (back,) = torch.autograd.grad(along, e, retain_graph=True, allow_unused=True, materialize_grads=True)
        return self.problem.constraint.operator.restrict(back)

    def in_company(self, e: Tensor, *, generator: torch.Generator) -> Tensor:
        """``f(y + e)`` of a batch to which as many random measurements are added; of the batch alone if that cannot be done."""
        y, operator = self.problem.measurement, self.problem.constraint.operator
        noise = common_randn(y, generator=generator)
        mates = tensors.scale(tensors.normalise(operator.restrict(noise if y.is_complex() else noise.abs())), tensors.norm(y))
        try:
            with torch.no_grad():
                images = self.problem.reconstructor(torch.cat([y + e, mates]), operator)[: len(y)]
        except Exception:  # a fixed batch size, no memory, a network that refuses such data: nothing is said about company then
            return self.reconstruct(e)
        self.evaluations += 2
        return images


def _step(problem: Problem, d: Tensor) -> Tensor:
    """The step along a point ``d`` of the set: `STEP` of the measurement or of ``d``, the larger, at most a tenth, ``(B,)``.

    The measurement alone would do for all but one of zeros, where an absolute radius is possible and the step would be nothing.
    """
    size = tensors.norm(problem.constraint.perturbation(d)).clamp_min(torch.finfo(tensors.real_dtype(d.dtype)).tiny)
    wanted = STEP.get(size.dtype, STEP[torch.float32]) * torch.maximum(tensors.norm(problem.measurement), size)
    return (wanted / size).clamp(max=1 - INSIDE)


def _ends(problem: Problem, v: Tensor, d: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """The two ends of a central difference, in the set."""
    constraint = problem.constraint
    return constraint.project(v + tensors.scale(d, step)), constraint.project(v - tensors.scale(d, step))


def network_error(
    counted: Counted, v: Tensor, here: Tensor, weights: list[Tensor], pulled: list[Tensor], *, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Relative error of the Jacobian along a random direction, beyond what rounding explains; ``||D||`` and length of the first step.

    Parameters
    ----------
    counted, v
        The problem and the point of its set.
    here
        ``f(y + e(v))``.
    weights, pulled
        Draws of ``w`` and ``J* w`` at ``v``.
    generator
        For the direction.

    Returns
    -------
    tuple of Tensor
        Error, change of the image and of the measurement between the ends of the first difference, each ``(B,)``. The error is
        NaN where an image is not finite, infinite where nothing moves although ``J`` says so.
    """
    problem = counted.problem
    d = problem.constraint.maximise_linear(common_randn(v, generator=generator))
    best, change, length = torch.empty(0), torch.empty(0), torch.empty(0)
    for factor in FACTORS:
        one, other = _ends(problem, v, d, (_step(problem, d) * factor).clamp(max=1 - INSIDE))
        e_one, e_other = problem.constraint.perturbation(one), problem.constraint.perturbation(other)
        difference = counted.reconstruct(e_one) - counted.reconstruct(e_other)
        squares = [
            (tensors.inner(difference, w) - tensors.inner(e_one - e_other, g)).square()
            for w, g in zip(weights, pulled, strict=True)
        ]
        size = tensors.norm(difference)
        missed = torch.stack(squares).mean(0).sqrt() - ROUNDING * torch.finfo(size.dtype).eps * tensors.norm(here)
        error = torch.where(missed <= 0, 0.0, missed / size)  # NaN stays NaN
        if factor == 1.0:
            best, change, length = error, size, tensors.norm(e_one - e_other)
        else:
            best = torch.where(best > LIMIT, torch.fmin(best, error), best)
        if bool((best <= LIMIT).all()):
            break
    return best, change, length


def blind_spot(e: Tensor, pulled: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Share of the perturbed samples without gradient, ``(B,)``, and which they are, shape of ``e``.

    Parameters
    ----------
    e
        A random perturbation: zero where nothing may be perturbed and only there.
    pulled
        Draws of ``J* w`` there.
    """
    perturbed = e.abs() > 0
    size = torch.stack([g.abs() for g in pulled])
    number = perturbed.flatten(1).sum(1).clamp_min(1)
    typical = ((size.square().mean(0) * perturbed).flatten(1).sum(1) / number).sqrt()
    blind = perturbed & (size.amax(0) <= UNSEEN * typical.reshape(-1, *([1] * (e.ndim - 1))))
    return blind.flatten(1).sum(1) / number, blind


def answers(
    counted: Counted, e: Tensor, here: Tensor, blind: Tensor, length: Tensor, change: Tensor, *, generator: torch.Generator
) -> Tensor:
    """Whether the image answers to the samples without gradient, otherwise than by kinks crossed, ``(B,)``.

    Parameters
    ----------
    counted, e, here
        The problem, a perturbation and ``f(y + e)``.
    blind
        Which samples have no gradient, shape of ``e``.
    length, change
        Norm of a step on all samples, and of the change of the image that it made, ``(B,)``.
    generator
        For the direction.
    """
    d = tensors.scale(tensors.normalise(common_randn(e, generator=generator) * blind), length / 2)
    plus, minus = counted.reconstruct(e + d), counted.reconstruct(e - d)
    across, bend = tensors.norm(plus - minus), tensors.norm(plus + minus - 2 * here)
    return (across > RELEVANT * change) & (bend < ONE_SIDED * across)


def climb_of(counted: Counted, v: Tensor) -> tuple[Tensor, Tensor]:
    """Rise of the objective along its gradient over what the gradient promises, and the health of that gradient, each ``(B,)``.

    The best of both sides counts: a power step likes to lead to where two pixels tie for a maximum, a kink that one side crosses.

    Parameters
    ----------
    counted, v
        The problem and a point of its set, a little inside.

    Returns
    -------
    tuple of Tensor
        The climb, NaN where nothing is promised, and `stabtest.search.problem.GradientHealth` as integers.
    """
    evaluation = counted.evaluate(v)
    best = torch.full_like(evaluation.value, torch.nan)
    for factor in FACTORS:
        climb = _climb(counted, v, evaluation, factor)
        best = torch.where((_miss(best) > LIMIT) & (_miss(climb) < _miss(best)), climb, best)
        if bool(((_miss(best) <= LIMIT) | (evaluation.health != GradientHealth.USABLE)).all()):
            break
    return best, evaluation.health


def is_rough(counted: Counted, v: Tensor) -> Tensor:
    """Whether a gradient that does not pass is the derivative, but of very short steps only, ``(B,)``.

    What a cut or false gradient leaves out stays the same share of the change however short the step; what kinks leave out falls with it. So the
    miss of the climb along the gradient must fall to `FALLS` from the first step to the `FINEST`, over which the image must move by several times
    what rounding may. A gradient that is false *and* that of something rough may pass for rough.

    Parameters
    ----------
    counted, v
        The problem and a point of its set, a little inside.
    """
    evaluation = counted.evaluate(v)
    first, last = (_miss(_climb(counted, v, evaluation, factor)) for factor in (1.0, FINEST))
    problem = counted.problem
    one, other = _towards(problem, v, evaluation, FINEST)
    here = counted.reconstruct(problem.constraint.perturbation(one))
    moved = tensors.norm(here - counted.reconstruct(problem.constraint.perturbation(other)))
    clear = moved > CLEAR * ROUNDING * torch.finfo(moved.dtype).eps * tensors.norm(here)
    return clear & torch.isfinite(last) & (first > LIMIT) & (last <= FALLS * first)


def _climb(counted: Counted, v: Tensor, evaluation: Evaluation, factor: float) -> Tensor:
    """The climb over a step both ways, or of the better side; NaN where nothing is promised."""
    one, other = _towards(counted.problem, v, evaluation, factor)
    up, here, down = counted.score(one), evaluation.value, counted.score(other)
    climb = torch.full_like(evaluation.value, torch.nan)
    for risen, way in ((up - down, one - other), (up - here, one - v), (here - down, v - other)):
        promised = tensors.inner(evaluation.gradient, way)
        this = torch.where(promised > 0, risen / promised, torch.nan)
        climb = torch.where(_miss(this) < _miss(climb), this, climb)
    return climb


def _towards(problem: Problem, v: Tensor, evaluation: Evaluation, factor: float) -> tuple[Tensor, Tensor]:
    """The two ends of a central difference along the gradient."""
    d = problem.constraint.maximise_linear(evaluation.gradient)
    return _ends(problem, v, d, (_step(problem, d) * factor).clamp(max=1 - INSIDE))


def _miss(climb: Tensor) -> Tensor:
    """How far a climb is from 1; infinite if it is NaN."""
    return (climb - 1).abs().nan_to_num(nan=torch.inf)
