"""Small random ReLU networks with their exact worst cases, and what `stabtest.search.worst_case` finds of them.

Two families: one hidden layer, and two. A problem is a network, the point ``y`` and a radius; radii of 0.3, 1 and 3 meet a few
regions, some and most of them. What is found is a share of what there is, `benchmarks.known.relu_regions.exact_worst_case`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.known.relu_regions import Relu, exact_worst_case, random_relu
from stabtest.operators import Identity
from stabtest.operators.base import LinearOperator
from stabtest.search.worst_case import EVALUATIONS, worst_case

FAMILIES = {
    "one hidden layer": ((3, 8, 3), (4, 6, 4), (3, 6, 2), (4, 7, 3)),
    "two hidden layers": ((3, 5, 5, 3), (4, 4, 4, 4), (3, 4, 4, 3), (4, 5, 4, 3)),
}
"""Widths of the layers, inputs and outputs included."""
RADII = (0.3, 1.0, 3.0)
FRESH_STEPS = 20
LONG_PATH = 400
"""Evaluations of one long path from the witness: a maximum at a kink is approached as slowly as the weight of the steps falls."""


@dataclass(frozen=True)
class ReluProblem:
    """Maximise ``||f(y + e) - f(y)||`` over ``||e|| <= radius``."""

    network: Relu
    y: np.ndarray
    radius: float

    def exact(self) -> tuple[float, int]:
        """The largest damage and the number of regions in the ball."""
        return exact_worst_case(self.network, self.y, self.radius)

    def search(self, evaluations: int = EVALUATIONS, *, fresh: int | None = None, longer: int = 0, seed: int = 0) -> float:
        """The damage that the search finds, with one long path of ``longer`` evaluations after it."""
        arguments = (as_torch(self.network), Identity((1, len(self.y))), torch.from_numpy(self.y).reshape(1, 1, 1, -1))
        # Its gradient is known to be right; a path that begins where every unit is off must not call for a search without one.
        options = {"radius": self.radius, "unit": "absolute", "check": False, "queries": 0}
        generator = torch.Generator().manual_seed(seed)
        found = worst_case(
            *arguments, evaluations=evaluations, restarts=fresh, parallel=fresh or 1, generator=generator, **options
        )
        if not longer:
            return found.distance.item()
        more = worst_case(*arguments, evaluations=longer, restarts=0, start=found.variable, **options)
        return max(found.distance.item(), more.distance.item())


def draw(family: str, number: int, radius: float) -> ReluProblem:
    """Problem ``number`` of a family: another seed each, widths in turn."""
    widths = FAMILIES[family][number % len(FAMILIES[family])]
    return ReluProblem(random_relu(number, widths), np.full(widths[0], 0.2), radius)


def as_torch(network: Relu):
    """The network as a reconstructor, in float64."""
    weights = [torch.from_numpy(weight) for weight in network.weights]
    biases = [torch.from_numpy(bias) for bias in network.biases]

    def reconstruct(y: Tensor, operator: LinearOperator) -> Tensor:
        v = y.flatten(1)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            v = torch.relu(v @ weight.T + bias)
        return (v @ weights[-1].T + biases[-1]).reshape(len(y), 1, 1, -1)

    return reconstruct
