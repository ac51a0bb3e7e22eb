r"""Was the solver finished? Asked of an iterative reconstruction at the clean measurement and at a witness.

A variational reconstruction that is stopped after ``N`` steps, ``f_N``, is smoother than its limit: it may look stable because it has
not arrived. And that it had arrived at the clean measurement says nothing about a perturbed one. So beside what a witness does to
``f_N`` stands how far ``f_N`` was from a run ten times as long at both measurements,

    d(y) = ||f_N(y) - f_L(y)|| / ||f_L(y)||,        d(y + e),

the certified gap of its objective, the length of one more step, and what the longer run does under the same perturbations,

    max over the witnesses e of this radius, of all ways of differentiating   ||f_L(y + e) - f_L(y)|| / ||f_L(y)||.

The last is a lower bound of the worst case of the longer run, which was not itself searched: the witnesses are those of ``f_N``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from stabtest.findings.records import SolverRow
from stabtest.operators.base import LinearOperator
from stabtest.search.problem import Reconstructor
from stabtest.stability.cases import Case

LONGER = 10
"""How many times longer the run is that a solver is compared with."""


class Progressed(Protocol):
    """How far from finished, per image, ``(B,)`` each: `reconstructors.convergence.Convergence` is one."""

    @property
    def residual(self) -> Tensor:
        """Relative length of one more step."""
        ...

    @property
    def gap(self) -> Tensor:
        """Certified bound of the relative excess of the objective."""
        ...

    @property
    def distance(self) -> Tensor:
        """Relative distance from the longer run."""
        ...

    @property
    def iterations(self) -> Tensor:
        """Steps taken."""
        ...

    @property
    def longer(self) -> Tensor:
        """Image of the longer run, ``(B, 1, H, W)``."""
        ...


@runtime_checkable
class Iterative(Protocol):
    """A method that can say how far from finished it is: those of `reconstructors.tv` and `reconstructors.wavelet` do."""

    def convergence(self, y: Tensor, operator: LinearOperator, *, factor: int = 10) -> Progressed:
        """Against itself run ``factor`` times as long."""
        ...


@dataclass(frozen=True, eq=False)
class Finishing:
    """An iterative method on one case, asked at the clean measurement.

    Parameters
    ----------
    method
        The method.
    case
        The measurement.
    clean
        What it said there.
    """

    method: Iterative
    case: Case
    clean: Progressed

    @classmethod
    def of(cls, reconstruct: Reconstructor, case: Case) -> Finishing | None:
        """None for a method that is not iterative.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> case = Case("a", "a", "other", Identity((8, 8)), torch.ones(1, 1, 8, 8))
        >>> Finishing.of(lambda y, A: y, case) is None
        True
        """
        if not isinstance(reconstruct, Iterative):
            return None
        return cls(reconstruct, case, reconstruct.convergence(case.measurement, case.operator, factor=LONGER))

    def at(self, perturbation: Tensor, others: Sequence[Tensor] = ()) -> SolverRow:
        """How far from finished it is at a witness.

        Parameters
        ----------
        perturbation
            ``e`` of the row, in the measurement domain, ``(1, *range)``.
        others
            Further perturbations of the same radius, under which the longer run is tried too.
        """
        y, operator = self.case.measurement, self.case.operator
        told = self.method.convergence(y + perturbation, operator, factor=LONGER)
        changes = [self._change(told.longer)]
        for e in others:
            if not torch.equal(e, perturbation):
                changes.append(self._change(self.method.convergence(y + e, operator, factor=LONGER).longer))
        return SolverRow(
            iterations=int(told.iterations),
            longer=LONGER,
            clean_distance=_figure(self.clean.distance),
            distance=_figure(told.distance),
            clean_gap=_figure(self.clean.gap),
            gap=_figure(told.gap),
            clean_residual=_figure(self.clean.residual),
            residual=_figure(told.residual),
            longer_change=max(changes),
        )

    def _change(self, image: Tensor) -> float:
        before = self.clean.longer
        return _figure(torch.linalg.vector_norm(image - before) / torch.linalg.vector_norm(before))


def _figure(value: Tensor) -> float:
    """A number; infinite where an image is not finite."""
    number = float(value)
    return math.inf if math.isnan(number) else number
