"""How the measurement of a changed object is made without losing the noise.

The scan is linear. So with an object ``o``, its measurement ``y = A o + n`` and the changed object ``T o``,

    y' = y + A (T o - o)

is the measurement of ``T o`` with the *same* ``n``, to the last sample, and ``y' = y`` exactly where nothing is changed.

**On the finer grid**, where the object that was simulated is at hand: ``o`` is that object, ``A`` the scan of the finer grid
(`LinearOperator.refine`), and the truth is what a perfect reconstruction shows of ``T o``. All of this is exact.

**On the grid of the reconstruction**, where only the truth ``x`` is known: ``o = x``, and the residual ``r = y - A x`` holds, beside the
noise, what the pixels of ``x`` cannot represent. That part stays where it was when the object moves, which no scan does. How
large it is, is told by

    misfit = ||r|| / (sigma sqrt N)        N measured samples of noise sigma; near 1: noise alone

The residual is *mixed* where ``misfit^2`` exceeds 1 by more than three standard deviations ``sqrt(2 / N)`` of what noise gives. With
a change of brightness ``g``, which is no matter of pixels, a mixed residual follows as a whole, ``y' = A (g x) + g r``: leaving it
dark would make linear methods look sensitive to brightness, and the price is that its noise becomes brighter too. When
another anatomy takes the object's place, a mixed residual is scaled down to the energy of noise. Single-coil MRI with a truth
that is the image of the full scan has residuals of noise alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators.base import LinearOperator
from stabtest.stability.cases import Case
from stabtest.stability.insertion import FACTOR, coarse_image
from stabtest.stability.shift.resampling import Amount

SAME_OBJECT = 1e-3
"""Largest relative difference between the truth and what a perfect reconstruction shows of the finer object."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A case and the object in it.

    Parameters
    ----------
    case
        The case as it is.
    finer
        The object on a grid twice as fine as the reconstruction, ``(1, 1, 2 H, 2 W)``, that the case was simulated from, if it
        is at hand.

    Raises
    ------
    DataError
        If the finer object is not that of the truth.
    OperatorError
        If it does not fit the operator of the finer grid.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image, noisy = torch.ones(1, 1, 8, 8), torch.full((1, 1, 8, 8), 1.25)
    >>> scene = Scene(Case("a", "a", "other", Identity((8, 8)), noisy, truth=image))
    >>> scene.measure(3 * image).unique(), scene.image(3 * image).unique()
    (tensor([3.2500]), tensor([3.]))
    """

    case: Case
    finer: Tensor | None = None

    def __post_init__(self) -> None:
        if self.finer is None:
            return
        truth, shown = self.truth("a finer object"), self._coarse(self.operator.domain.check(self.finer, "finer object"))
        away = float(tensors.norm(shown - truth) / tensors.norm(truth))
        if not away <= SAME_OBJECT:
            raise DataError(
                f"case {self.case.name}: finer object",
                expected=f"the object of the truth, to a relative difference of {SAME_OBJECT:g}",
                came=f"one that differs by {away:.3g}",
            )

    @staticmethod
    def of(case: Case | Scene) -> Scene:
        """The scene of a case, or the scene itself."""
        return case if isinstance(case, Scene) else Scene(case)

    @property
    def factor(self) -> int:
        """How much finer the grid of the object is than that of the reconstruction."""
        return 1 if self.finer is None else FACTOR

    @cached_property
    def operator(self) -> LinearOperator:
        """The scan of the object's grid."""
        return self.case.operator if self.factor == 1 else self.case.operator.refine(self.factor)

    def truth(self, what: str) -> Tensor:
        """The truth of the case.

        Parameters
        ----------
        what
            What needs it, for the error.

        Raises
        ------
        DataError
            If the case has none.
        """
        if self.case.truth is None:
            raise DataError(
                f"case {self.case.name}: {what}",
                expected="a case that knows its truth, since the object is measured anew",
                came="no truth",
                remedy="leave this shift out for real data, or give a reference image",
            )
        return self.case.truth

    def object(self, what: str) -> Tensor:
        """The object that is changed: the finer one, or the truth; ``what`` as for `truth`."""
        return self.truth(what) if self.finer is None else self.finer

    def measure(self, changed: Tensor, *, gain: Amount = 1.0) -> Tensor:
        """``y'``, the measurement of another object in the same scan.

        Parameters
        ----------
        changed
            On the grid of the object, ``(B, 1, ...)``.
        gain
            By which its brightness differs from the object's, for what the pixels cannot represent.

        Returns
        -------
        Tensor
            ``(B, *range)``, differentiable in both.
        """
        y = self.case.measurement + self.operator.forward(changed - self.object("another object"))
        if self.factor > 1 or not self.mixed:
            return y
        more = torch.as_tensor(gain - 1, device=y.device).to(tensors.real_dtype(y.dtype)).reshape(-1, *[1] * (y.ndim - 1))
        return y + more * self.residual

    def image(self, changed: Tensor) -> Tensor:
        """What a perfect reconstruction shows of another object, ``(B, 1, H, W)``."""
        if self.finer is None:
            return changed
        return self.truth("another object") + self._coarse(changed - self.finer)

    @cached_property
    def residual(self) -> Tensor:
        """``r``: what the object does not explain of the measurement."""
        return self.case.measurement - self.operator.forward(self.object("the residual"))

    @cached_property
    def misfit(self) -> float | None:
        """``||r|| / (sigma sqrt N)``; None without truth or noise level."""
        sigma = self.case.noise_std
        if self.case.truth is None or not sigma:
            return None
        return float(tensors.norm(self.residual)) / (sigma * math.sqrt(self._samples))

    @cached_property
    def mixed(self) -> bool:
        """Whether the residual is more than noise; False where the noise level is not known."""
        return self.misfit is not None and self.misfit**2 > 1 + 3 * math.sqrt(2 / self._samples)

    @cached_property
    def _samples(self) -> float:
        """``N``, the number of measured samples."""
        return float(tensors.norm(self.case.operator.restrict(torch.ones_like(self.case.measurement)))) ** 2

    def _coarse(self, finer: Tensor) -> Tensor:
        return coarse_image(finer, band_limited=self.case.modality == "mri")
