"""Small problems of known answer for the published attacks, and a leader that remembers what it was offered."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from stabtest.operators import Identity
from stabtest.search.constraints import MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem


class Recorder(Leader):
    """Keeps every point and value in the order of the offers."""

    def __init__(self, problem: Problem) -> None:
        y = problem.measurement
        real = y.real.dtype if y.is_complex() else y.dtype
        super().__init__(problem.constraint.space.zeros(problem.batch, dtype=real), planned=1)
        self.points: list[Tensor] = []
        self.values: list[Tensor] = []

    def offer(self, v, evaluation):
        self.points.append(v)
        self.values.append(evaluation.value)
        return super().offer(v, evaluation)

    @property
    def trace(self) -> np.ndarray:
        """Points as real vectors, ``(evaluations, B, n)``."""
        points = torch.stack(self.points)
        points = torch.view_as_real(points) if points.is_complex() else points
        return points.flatten(2).numpy()


class Bent:
    """``y -> M y + c sin(D y)`` on six real numbers, in float64; value and gradient of the distance also in NumPy."""

    def __init__(self, *, bend: float) -> None:
        rng = np.random.default_rng(3)
        self.m, self.d, self.bend = rng.normal(size=(6, 6)), rng.normal(size=(6, 6)), bend
        self.y = rng.normal(size=(2, 6))

    def __call__(self, y: Tensor, operator) -> Tensor:
        flat = y.reshape(len(y), 6)
        m, d = torch.from_numpy(self.m), torch.from_numpy(self.d)
        return (flat @ m.T + self.bend * torch.sin(flat @ d.T)).reshape(y.shape)

    def output(self, y: np.ndarray) -> np.ndarray:
        return self.m @ y + self.bend * np.sin(self.d @ y)

    def value_and_gradient(self, image: int, e: np.ndarray) -> tuple[float, np.ndarray]:
        y = self.y[image]
        difference = self.output(y + e) - self.output(y)
        value = float(np.linalg.norm(difference))
        jacobian = self.m + self.bend * np.cos(self.d @ (y + e))[:, None] * self.d
        return value, jacobian.T @ difference / max(value, 1e-300)

    def problem(self, radius: float, norm: str = "l2") -> Problem:
        y = torch.from_numpy(self.y).reshape(2, 1, 2, 3)
        ball = MeasurementBall(Identity((2, 3)), torch.full((2,), radius, dtype=torch.float64), norm=norm)
        return Problem(self, y, ball, DistanceToClean(self(y, None)))


def project(v: np.ndarray, radius: float, norm: str = "l2") -> np.ndarray:
    if norm == "linf":
        return np.clip(v, -radius, radius)
    size = np.linalg.norm(v)
    return v if size <= radius else v * (radius / size)


def uphill(g: np.ndarray, radius: float, norm: str = "l2") -> np.ndarray:
    return radius * (np.sign(g) if norm == "linf" else g / np.linalg.norm(g))


@pytest.fixture
def toy() -> SimpleNamespace:
    start = torch.from_numpy(np.random.default_rng(7).normal(size=(2, 1, 2, 3)))
    return SimpleNamespace(Bent=Bent, Recorder=Recorder, project=project, uphill=uphill, start=start)
