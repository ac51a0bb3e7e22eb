"""What a shift is, and what it hands to a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from stabtest.operators.base import LinearOperator
from stabtest.stability.cases import Case
from stabtest.stability.shift.scene import Scene

Family = Literal["object", "scan"]


@dataclass(frozen=True, eq=False)
class Shifted:
    """A measurement that is not quite what the method was trained for, or is told.

    Parameters
    ----------
    measurement
        ``y'``, ``(1, *operator.range.shape)``.
    operator
        What the method is *told*.
    truth
        What it should return, ``(1, 1, H, W)``; None where it is not known.
    expected
        What a method that commutes with the shift makes of it: maps ``f(y)`` to the image that should come of ``y'``. None
        where the shift is no map of images (another anatomy).
    resampled
        ``y`` of the object resampled there and back again, and that object: what the kernel alone changes. None where
        nothing is resampled.
    """

    measurement: Tensor
    operator: LinearOperator
    truth: Tensor | None
    expected: Callable[[Tensor], Tensor] | None
    resampled: tuple[Tensor, Tensor] | None = None


class Shift(Protocol):
    """One shift of one size, of the object or of the scan."""

    @property
    def family(self) -> Family:
        """Whether the object or the scan is another one."""
        ...

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    @property
    def label(self) -> str:
        """Its name with whatever else tells it from another one of this kind, the size excepted."""
        ...

    @property
    def size(self) -> float:
        """How much, in its unit; at 0 nothing happens."""
        ...

    @property
    def unit(self) -> str:
        """Of the size."""
        ...

    @property
    def needs_truth(self) -> bool:
        """Whether it can be made only of a case that knows its truth."""
        ...

    def unfit(self, case: Case) -> str | None:
        """Why it cannot be had of this case; None where it can."""
        ...

    def apply(self, case: Case | Scene, *, seed: int = 0) -> Shifted:
        """Make the shifted measurement, of a case or of a case whose finer object is at hand."""
        ...
