"""What a training minimises: a term for the network, and, where the objective itself learns, a step of its own."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from experiments.training.recipe import Recipe
from stabtest.operators.base import LinearOperator


class Objective(Protocol):
    """One training's objective; images are real channels ``(B, C, H, W)``."""

    def loss(self, estimate: Tensor, target: Tensor) -> tuple[Tensor, dict[str, float]]:
        """What the network minimises, and what is recorded: ``loss`` is the mean squared error."""
        ...

    def learn(self, estimate: Tensor, target: Tensor) -> dict[str, float]:
        """The objective's own step after that of the network, and what is recorded of it."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class MeanSquare:
    """Least squares; nothing learns here."""

    def loss(self, estimate: Tensor, target: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of all channels."""
        loss = (estimate - target).square().mean()
        return loss, {"loss": loss.item()}

    def learn(self, estimate: Tensor, target: Tensor) -> dict[str, float]:
        """Nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


def make_objective(recipe: Recipe, operator: LinearOperator) -> Objective:
    """The objective of a recipe; random weights come from the global generator, seeded by the training."""
    if recipe.objective == "mean square":
        return MeanSquare()
    from experiments.training.adversarial import Adversarial

    return Adversarial(operator)
