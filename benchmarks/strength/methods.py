"""By what: the default search, the published attacks as published, and the same with the best of a grid of learning rates.

Every run begins in the same random direction (the same seed, and every method draws its start first). A budget counts all evaluations of the
perturbed network, gradients for starts included. Methods that know their number of steps beforehand (PGD, APGD, the default) are run
once for each budget; those that do not are run once, and their best value is read off after each budget.

The rates of a grid are given in units that fit the problem at hand, which the published attacks do not know: a rate ``s`` makes the first
step from the start of length ``s R``. So the grid is centred for each image and radius, at the cost of an evaluation that is
not counted. All of this is generous to the grids: the best value is taken for each image and each budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.strength.subjects import Subject
from stabtest.search import DistanceToClean, Leader, MeasurementBall, Problem, WorstCase, published, verify, worst_case
from stabtest.search.starts import random_start

BUDGETS = (5, 10, 20, 50, 100)
LONG = 300
"""Evaluations of the long run of the default, with many restarts: for the reference value only."""
START_SEED = 0


@dataclass(frozen=True)
class Found:
    """What one run found: for each budget the best feasible value of each image, and the evaluations it took in all."""

    best: dict[int, list[float]]
    evaluations: int


@dataclass(frozen=True)
class Setting:
    """A method with its settings.

    Attributes
    ----------
    family
        Under which the tables show it.
    label
        Settings in short; ``"published"`` for those, ``"s=..."`` for a point of a grid.
    run
        ``(subject, absolute radii (B,), budgets) -> Found``.
    """

    family: str
    label: str
    run: Callable[[Subject, Tensor, tuple[int, ...]], Found]


def settings() -> list[Setting]:
    """All of them, the default first."""
    adam = published.genzel_2022
    return [
        Setting("default", "default", _default),
        Setting("default", f"long {LONG}", _long),
        Setting("Antun 2020", "published", _once(published.antun_2020)),
        *(
            Setting(
                "Antun 2020",
                f"s={s:g}",
                _once(published.antun_2020, _antun_rate(s), stop_at_radius=False, penalty=0.0, start_norm=1.0),
            )
            for s in (0.1, 0.3, 1.0, 3.0)
        ),
        Setting("Genzel 2022", "published", _once(published.genzel_2022)),
        Setting("Darestani 2021", "published", _once(published.darestani_2021)),
        *(Setting("projected Adam", f"s={s:g}", _once(adam, _adam_rate(s), epsilon=1e-8)) for s in (0.1, 0.3, 1.0, 3.0)),
        Setting("PGD", "published", _each(published.pgd)),
        *(Setting("PGD", f"s={s:g}", _once(published.pgd, step_size=s)) for s in (0.3, 1.0, 3.0, 10.0)),
        Setting("APGD", "published", _each(published.apgd)),
        *(Setting("APGD", f"s={s:g}", _each(published.apgd, step_size=s)) for s in (0.5, 6.0)),
    ]


def problem_of(subject: Subject, radius: Tensor) -> Problem:
    """Largest distance to the clean reconstruction over the measurement ball."""
    with torch.no_grad():
        clean = subject.reconstructor(subject.measurement, subject.operator)
    ball = MeasurementBall(subject.operator, radius)
    return Problem(subject.reconstructor, subject.measurement, ball, DistanceToClean(clean))


def default_search(subject: Subject, radius: Tensor, *, evaluations: int, restarts: int | None = None) -> WorstCase:
    """The library's own search with at most so many evaluations, gradients for starts included.

    The one place where the benchmark depends on how that search is asked for a budget.
    """
    return worst_case(
        subject.reconstructor,
        subject.operator,
        subject.measurement,
        radius=radius,
        unit="absolute",
        evaluations=evaluations,
        restarts=restarts,
        check=False,  # an examination of the gradient finds nothing, and the others do without
        generator=seeded(),
    )


def seeded() -> torch.Generator:
    """The generator of every run, so that all start alike."""
    return torch.Generator().manual_seed(START_SEED)


def best_after(history: list[tuple[int, float]], budget: int) -> float:
    """The best value of a record ``(evaluations, best so far)`` after at most so many evaluations; 0 where there is none.

    Examples
    --------
    >>> best_after([(1, 0.5), (4, 0.7), (9, 0.8)], 5), best_after([(3, 0.5)], 2)
    (0.7, 0.0)
    """
    return max((value for count, value in history if count <= budget), default=0.0)


def _default(subject: Subject, radius: Tensor, budgets: tuple[int, ...]) -> Found:
    best, spent = {}, 0
    for budget in budgets:
        worst = default_search(subject, radius, evaluations=budget)
        if worst.evaluations > budget:
            raise RuntimeError(f"the default spent {worst.evaluations} evaluations of {budget}")
        best[budget], spent = worst.objective.tolist(), spent + worst.evaluations
    return Found(best, spent)


def _long(subject: Subject, radius: Tensor, budgets: tuple[int, ...]) -> Found:
    worst = default_search(subject, radius, evaluations=LONG, restarts=8)
    return Found({LONG: worst.objective.tolist()}, worst.evaluations)


def _once(
    attack: Callable[..., None], rate: Callable[[Problem], Tensor] | None = None, **options: float | bool
) -> Callable[[Subject, Tensor, tuple[int, ...]], Found]:
    """One run of the largest budget, read off after each."""

    def run(subject: Subject, radius: Tensor, budgets: tuple[int, ...]) -> Found:
        problem = problem_of(subject, radius)
        given = options if rate is None else {**options, "learning_rate": rate(problem)}
        history, spent = _attack(problem, attack, steps=max(budgets) - 1, **given)
        return Found({budget: [best_after(rows, budget) for rows in history] for budget in budgets}, spent)

    return run


def _each(attack: Callable[..., None], **options: float | bool) -> Callable[[Subject, Tensor, tuple[int, ...]], Found]:
    """A run for each budget."""

    def run(subject: Subject, radius: Tensor, budgets: tuple[int, ...]) -> Found:
        problem, best, total = problem_of(subject, radius), {}, 0
        for budget in budgets:
            history, spent = _attack(problem, attack, steps=budget - 1, **options)
            best[budget], total = [best_after(rows, budget) for rows in history], total + spent
        return Found(best, total)

    return run


def _attack(
    problem: Problem, attack: Callable[..., None], *, steps: int, **options: object
) -> tuple[list[list[tuple[int, float]]], int]:
    """Run it, look at its witness from scratch, and return each image's record."""
    leader = Leader(problem.constraint.space.zeros(problem.batch), planned=steps + 1)
    attack(problem, leader, steps=steps, generator=seeded(), **options)
    if leader.evaluations > steps + 1:
        raise RuntimeError(f"{attack.__name__} spent {leader.evaluations} evaluations of {steps + 1}")
    found = verify(problem, leader.variable)
    if not torch.allclose(found.value, leader.value, rtol=1e-3):
        raise RuntimeError(f"{attack.__name__}: a fresh look finds {found.value.tolist()}, not {leader.value.tolist()}")
    return leader.history(torch.ones_like(leader.value)), leader.evaluations


def _antun_rate(s: float) -> Callable[[Problem], Tensor]:
    """``s R / ||d grad d||`` at the common start."""

    def rate(problem: Problem) -> Tensor:
        evaluation = problem.evaluate(random_start(problem, generator=seeded()))
        size = evaluation.value * torch.linalg.vector_norm(evaluation.gradient.flatten(1), dim=1)
        return s * problem.constraint.radius / size.clamp_min(torch.finfo(size.dtype).tiny)

    return rate


def _adam_rate(s: float) -> Callable[[Problem], Tensor]:
    """``s R / sqrt(n)`` for ``n`` real numbers measured: Adam's first step has length ``s R``."""

    def rate(problem: Problem) -> Tensor:
        space, radius = problem.constraint.space, problem.constraint.radius
        measured = int((problem.constraint.admissible(space.zeros() + 1) != 0).sum())
        return s * radius / math.sqrt(measured * (2 if space.is_complex else 1))

    return rate
