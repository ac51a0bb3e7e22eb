r"""The worst case of a black box: a program, an ONNX session, anything that answers with an image and has no gradient.

What a query tells. An attack on a classifier sees a few numbers for each query, so it estimates a gradient from finite differences of one
number (NES, SPSA: `stabtest.search.score_attacks`). A reconstruction answers with an *image*, and of the objective the
gradient with respect to that image, ``u``, is known. Each query is thus a product ``J d ~ f(v + d) - f(v)`` with the Jacobian; what is missing
is only ``J* u``. It is put together from a regression on the products so far and, in directions that have not been tried, from a
reconstruction ``S`` that can be differentiated in place of the black box (`stabtest.search.secants`). Then the ascent is that of
`stabtest.search.ascent`:

*step*
    from the best point so far on the way to ``argmax_K <J* u, .>``, as far as ``t``: doubled after a success, halved after a failure;
*probe*
    after a step that gained little, a few queries beside the best point, along directions not tried so far
    (`stabtest.search.bases`), so that the next step knows more of ``J*``.

Where neither is left, because nothing is to be gained by what is known and all is known, the search begins anew from white noise; the leader
keeps the best.

Every query does two things: it is a candidate, and its secant improves the estimate (as in Broyden's method; on a linear
reconstruction, probes with steps are a Davidson method for the largest singular value, with ``S*`` in the place of ``J*``:
E. Davidson, J. Comput. Phys. 17 (1975)). The step without a length of its own is that of the generalised power method.

No gradient of the reconstruction is ever asked for. If the objective has none either, its value takes the place of the
image (``u = 1``): then the method is a gradient estimate from scalar differences in the same bases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.ascent import per_image
from stabtest.search.bases import Basis, Sight, damaged_places, low_frequency, mixture, pixel, pull_back, pulled
from stabtest.search.jacobian import common_randn
from stabtest.search.leader import Leader, damage
from stabtest.search.problem import Evaluation, GradientHealth, Problem, Reconstructor
from stabtest.search.secants import DRIFT, Secants, step_length
from stabtest.search.starts import zero_of

PROBE = 0.15
"""Length of a probe, relative to the norm of the point beside which it lies."""
PROBES = 3
"""Probes between steps that do not pay."""
PAYS = 0.01
"""Relative rise of the objective from which a step is followed by another at once."""
PREDICTED = 8
"""Power steps on the prediction of the secants for each step."""
SCALAR_DRIFT = 10.0
"""`Secants`' drift where only the value is known: the gradient of a norm turns with the point even if the reconstruction is linear."""
STILL = 1e-4
"""A step shorter than this, relative to where it begins, is none."""
UNKNOWN = 0.3
"""Share of white noise that has not been tried, below which nothing is left to look for and a search that stands still begins anew."""
SHORTEST = 1 / 16
"""Shortest way that a step goes towards the furthest point."""


def pseudo_inverse(y: Tensor, operator: LinearOperator) -> Tensor:
    """The surrogate of which every operator has one: its direct linear reconstruction."""
    return operator.pseudo_inverse(y)


@dataclass(frozen=True)
class _Answer:
    """What one query told: the image (or the value in its place), the objective's value, its gradient there."""

    image: Tensor
    value: Tensor
    pull: Tensor | None


def black_box(
    problem: Problem,
    leader: Leader,
    *,
    queries: int,
    basis: Basis | None = None,
    surrogate: Reconstructor | None = pseudo_inverse,
    starts: Sequence[Tensor] = (),
    memory: int = 512,
    generator: torch.Generator,
) -> None:
    """Climb without gradients of the reconstruction.

    Parameters
    ----------
    problem
        Its reconstructor may be anything that answers with images; its objective, if PyTorch can differentiate it, is
        differentiated with respect to the image only.
    leader
        Is offered every query.
    queries
        Evaluations of the reconstruction per image, all counted, also the one of the clean measurement.
    basis
        Where probes look; by default the damage in parts, low frequencies and white noise by turns.
    surrogate
        A reconstruction that PyTorch can differentiate and that may resemble the black box: by default the operator's
        pseudo-inverse; another network of the same task carries over better; None to do without.
    starts
        Variables ``(B, ...)`` to begin from, for instance worst cases of other networks; each costs one query.
    memory
        Directions that are remembered; each takes the memory of one variable and one image.
    generator
        Source of all random numbers.

    Raises
    ------
    SearchError
        If the budget or the memory is too small.
    OperatorError
        If a start does not belong to the variable's space.

    Examples
    --------
    A reconstruction in NumPy that triples one sample and rounds:

    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean, MeasurementBall
    >>> y, gains = torch.zeros(1, 1, 1, 3), torch.tensor([3.0, 1.0, 1.0]).numpy()
    >>> program = lambda y, A: torch.from_numpy((1000 * gains * y.numpy()).round() / 1000)
    >>> problem = Problem(program, y, MeasurementBall(Identity((1, 3)), torch.ones(1)), DistanceToClean(y))
    >>> leader = Leader(y, planned=40)
    >>> black_box(problem, leader, queries=40, generator=torch.Generator().manual_seed(0))
    >>> leader.evaluations, round(leader.value.item(), 2)
    (40, 3.0)
    """
    if queries < 2 or memory < 2:
        raise SearchError(
            "black box: budget", expected="queries >= 2 and memory >= 2", came=f"queries={queries}, memory={memory}"
        )
    draw = mixture(pulled(4), pulled(8), pulled(16), damaged_places()) if basis is None else basis
    _Climb(problem, leader, queries, draw, surrogate, memory, generator).run(starts)


class _Climb:
    """One search: where each image stands, and what it has learnt."""

    def __init__(
        self,
        problem: Problem,
        leader: Leader,
        queries: int,
        draw: Basis,
        surrogate: Reconstructor | None,
        memory: int,
        generator: torch.Generator,
    ) -> None:
        self.problem, self.leader, self.left = problem, leader, queries
        self.draw, self.surrogate, self.generator = draw, surrogate, generator
        self.here = zero_of(problem)
        self.scalar = False
        self.tiny = torch.finfo(tensors.real_dtype(self.here.dtype)).tiny
        self.answer = self.query(self.here)
        self.secants = Secants(self.here, self.answer.image, memory=memory, drift=SCALAR_DRIFT if self.scalar else DRIFT)

    def run(self, starts: Sequence[Tensor]) -> None:
        """All of it: the starts, then steps and probes until the budget is spent."""
        constraint, batch = self.problem.constraint, self.problem.batch
        given = [constraint.maximise_linear(constraint.space.check(v.detach(), "start")) for v in starts]
        for v in given or [constraint.maximise_linear(low_frequency(16)(self.sight(), self.fresh()))]:
            if self.left > 0:
                self.move(v)
        like = self.answer.value
        t, waiting = torch.ones_like(like), torch.zeros(batch, dtype=torch.int64, device=like.device)
        while self.left > 0:
            generator = self.fresh()
            stepping, restart = waiting <= 0, torch.zeros_like(waiting, dtype=torch.bool)
            candidate = self.here
            if bool(stepping.any()):
                full = self.step(t)
                # Nothing to gain by what is known: look further, and where there is nothing further, begin anew.
                still = stepping & (tensors.norm(full - self.here) <= STILL * tensors.norm(self.here))
                stepping = stepping & ~still
                candidate = torch.where(per_image(stepping, full), full, candidate)
                if bool(still.any()):
                    noise = pixel(self.sight(), self.fresh(generator))
                    unknown = tensors.norm(self.secants.outside(noise)) / tensors.norm(noise).clamp_min(self.tiny)
                    # A search that never left the clean measurement (a start of zeros) has no length to probe with.
                    restart = still & ((unknown < UNKNOWN) | (tensors.norm(self.here) == 0))
                    candidate = torch.where(per_image(restart, noise), constraint.maximise_linear(noise), candidate)
            probing = ~(stepping | restart)
            if bool(probing.any()):
                candidate = torch.where(per_image(probing, candidate), self.probe(self.fresh(generator)), candidate)
            before = self.answer.value
            rose = self.move(candidate, whatever=restart)
            pays = rose & (self.answer.value - before > PAYS * before.abs())
            t = torch.where(stepping, torch.where(rose, (2 * t).clamp(max=1.0), (t / 2).clamp(min=SHORTEST)), t)
            t = torch.where(restart, 1.0, t)
            waiting = torch.where(stepping, torch.where(pays, 0, PROBES), torch.where(restart, 0, waiting - 1))

    def fresh(self, parent: torch.Generator | None = None) -> torch.Generator:
        """A generator for one query, so that what an image draws does not depend on what the others of its batch do."""
        parent = self.generator if parent is None else parent
        seed = int(torch.randint(2**62, (1,), generator=parent, device=parent.device))
        return torch.Generator(parent.device).manual_seed(seed)

    def step(self, t: Tensor) -> Tensor:
        """The way to the furthest point along the estimated gradient, as far as ``t``.

        The gradient is taken where the secants expect the best point: power steps on their prediction cost no query.
        """
        constraint, u = self.problem.constraint, self.answer.pull
        if u is None:
            gradient = self.secants.transpose(torch.ones_like(self.answer.image))
            return constraint.towards(self.here, constraint.maximise_linear(gradient), t, gradient)
        guess = pull_back(self.sight(), u)
        gradient = self.secants.transpose(u, guess)
        full = constraint.maximise_linear(gradient)
        for _ in range(PREDICTED):
            expected = self.pull(self.answer.image + self.secants.forward(full - self.here))[1]
            if expected is None:
                break
            gradient = self.secants.transpose(expected, guess)
            full = constraint.maximise_linear(gradient)
        return constraint.towards(self.here, full, t, gradient)

    def probe(self, generator: torch.Generator) -> Tensor:
        """A point beside the best, in a direction that has not been tried."""
        direction = self.secants.outside(self.draw(self.sight(), generator))
        return self.problem.constraint.project(self.here + step_length(direction, PROBE * tensors.norm(self.here)))

    def move(self, v: Tensor, *, whatever: Tensor | bool = False) -> Tensor:
        """Query a point, learn from it, and stand there where it is better, or ``whatever`` it is; return where, ``(B,)``."""
        answer = self.query(v)
        self.secants.add(v - self.here, answer.image - self.answer.image)
        # Nobody stays at the clean measurement, where the objective may have no gradient.
        better = (damage(answer.value) > damage(self.answer.value)) | (tensors.norm(self.here) == 0) | whatever
        moved = tensors.norm(v - self.here) / tensors.norm(v).clamp_min(self.tiny)
        self.secants.move(torch.where(better, moved, 0))
        self.here = torch.where(per_image(better, v), v, self.here)
        pull = self.answer.pull
        if pull is not None and answer.pull is not None:
            pull = torch.where(per_image(better, pull), answer.pull, pull)
        self.answer = _Answer(
            image=torch.where(per_image(better, answer.image), answer.image, self.answer.image),
            value=torch.where(better, answer.value, self.answer.value),
            pull=pull,
        )
        return better

    def query(self, v: Tensor) -> _Answer:
        """One evaluation of the black box; the gradient of the objective is taken with respect to its image."""
        problem = self.problem
        with torch.no_grad():
            image = problem.reconstruct(problem.constraint.perturbation(v)).detach()
        if self.scalar:
            value, pull = problem.objective(image), None
        else:
            value, pull = self.pull(image)
            self.scalar = pull is None  # the first query settles it: the value stands in place of the image
        self.left -= 1
        self.leader.offer(v, without_gradient(value, v))
        return _Answer(value[:, None] if self.scalar else image, value, pull)

    def pull(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """The objective of an image and its gradient with respect to the image, None where PyTorch finds none."""
        with torch.enable_grad():
            leaf = image.detach().clone().requires_grad_(True)
            value = self.problem.objective(leaf)
            if not value.requires_grad:
                return value, None
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), torch.nan_to_num(gradient)

    def sight(self) -> Sight:
        """What a basis may know."""
        return Sight(self.problem, self.here, self.answer.pull, self.surrogate)


def continue_without_gradient(problem: Problem, leader: Leader, *, queries: int, generator: torch.Generator) -> None:
    """`black_box` from where a leader stands: for a search whose gradient turned out not to be usable.

    Parameters
    ----------
    problem, queries, generator
        As in `black_box`.
    leader
        Its best variable is the start of every image for which it has one.
    """
    led = tensors.norm(leader.variable) > 0
    noise = problem.constraint.maximise_linear(common_randn(leader.variable, generator=generator))
    start = torch.where(per_image(led, noise), leader.variable, noise)
    black_box(problem, leader, queries=queries, starts=[start], generator=generator)


def without_gradient(value: Tensor, v: Tensor) -> Evaluation:
    """An evaluation of which only the value is known, ``(B,)``: the gradient is zero and counts as disconnected."""
    health = torch.full_like(value, GradientHealth.DISCONNECTED, dtype=torch.int8)
    return Evaluation(value, torch.zeros_like(v), health)
