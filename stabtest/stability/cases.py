"""What every test of stability is given, and what it hands back.

A test asks one question of one method on one case: ``test.measure(method, case, seed=...) -> Outcome``. The case carries
everything that is known about the measurement ``y = A x + noise``; the method is a callable ``(y, A) -> image``; the outcome
is plain rows, pictures and stored arrays, so that it can be written to a file and joined with others later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import DataError, NetworkError
from stabtest.findings.records import Picture, Record
from stabtest.operators.base import LinearOperator

Modality = Literal["mri", "ct", "other"]
TruthSource = Literal["phantom", "image in the file", "reference in the file", "full reconstruction", "none"]
Role = Literal["under test", "reference", "baseline"]
Reconstruct = Callable[[Tensor, LinearOperator], Tensor]
Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """The measurement of the same object with fewer or more samples.

    Parameters
    ----------
    operator, measurement
        The forward model and what it measured, ``(1, *operator.range.shape)``; where samples are common to two levels, their
        noise is the same.
    count
        Measured k-space samples or views.
    fraction
        Realised sampling fraction, or views relative to the number trained with.
    trained
        Whether the network was trained for this.
    """

    operator: LinearOperator
    measurement: Tensor
    count: int
    fraction: float
    trained: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One measurement, and what is known about it.

    Parameters
    ----------
    name, patient
        The case is one image; images of one patient are not independent and are reduced to one value before any interval.
    modality
        Decides how pictures are drawn and how a detail is put in (MRI: with the local phase).
    operator
        The forward model ``A``.
    measurement
        ``y``, shape ``(1, *operator.range.shape)``.
    truth
        ``x`` on the grid of the reconstruction, ``(1, 1, H, W)``, or None.
    truth_source
        Where the truth came from.
    noise_std
        Standard deviation of the noise of one sample, or None if it is not known. Of a complex sample it is the standard
        deviation of the complex number, ``E|n|^2 = noise_std^2``, half the variance in each part.
    resample
        Makes the measurement of the same object at another sampling level (a fraction, or a number of views), or None where
        it cannot be had.
    repattern
        Makes the measurement of the same object with another pattern of about as many samples, by its name, or None.
    notes
        What the report should say about this case.
    noiseless
        ``A x`` without noise, of the measurement's shape, where it is known (simulation).

    Raises
    ------
    OperatorError
        If the measurement or the truth does not fit the operator.
    DataError
        If either is not one image, holds NaN or infinity, or is zero everywhere.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 8, 8)
    >>> Case("a", "a", "other", Identity((8, 8)), image, truth=image, truth_source="phantom").peak
    1.0
    """

    name: str
    patient: str
    modality: Modality
    operator: LinearOperator
    measurement: Tensor
    truth: Tensor | None = None
    truth_source: TruthSource = "none"
    noise_std: float | None = None
    resample: Callable[[float], Resampled] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    noiseless: Tensor | None = None
    repattern: Callable[[str], Resampled] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_one(self.operator.range.check(self.measurement, f"case {self.name}: measurement"), self.name, "measurement")
        if self.noiseless is not None:
            _check_one(self.operator.range.check(self.noiseless, f"case {self.name}: noiseless"), self.name, "noiseless")
        if self.truth is not None:
            _check_one(self.operator.domain.check(self.truth, f"case {self.name}: truth"), self.name, "truth")

    @cached_property
    def reference_image(self) -> Tensor:
        """The truth, or where there is none the direct linear reconstruction; ``(1, 1, H, W)``."""
        return self.truth if self.truth is not None else self.operator.pseudo_inverse(self.measurement).detach()

    @cached_property
    def peak(self) -> float:
        """Largest magnitude of `reference_image`: the unit in which contrasts are given."""
        return float(self.reference_image.abs().max())


@dataclass(frozen=True)
class Method:
    """A reconstruction method, under test or beside it.

    Parameters
    ----------
    name
        As it is shown in the report; unique in an audit.
    role
        "under test", "reference" (a classical method under the same tests) or "baseline".
    reconstruct
        ``(y (B, *range), operator) -> image (B, 1, H, W)``.
    """

    name: str
    role: Role
    reconstruct: Reconstruct

    def __call__(self, measurement: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct without a graph: ``(B, 1, H, W)``.

        In MRI a method may return magnitudes, as real images; its figures then refer to magnitudes on both sides
        (`stabtest.networks.magnitude`).

        Raises
        ------
        NetworkError
            If the result is not an image of the operator's domain for each measurement, or not finite.
        """
        with torch.no_grad():
            image = self.reconstruct(measurement, operator)
        expected = (len(measurement), *operator.domain.shape)
        if tuple(image.shape) != expected or (image.is_complex() and not operator.domain.is_complex):
            kind = "complex or magnitude" if operator.domain.is_complex else "real"
            raise NetworkError(
                f"{self.name}: wrong output", expected=f"{kind} {expected}", came=f"{image.dtype} {tuple(image.shape)}"
            )
        if not bool(torch.isfinite(image).all()):
            raise NetworkError(
                f"{self.name}: wrong output",
                expected="finite numbers",
                came="NaN or infinity",
                remedy="check the network's scaling and weights with 'stabtest check'",
            )
        return image


@dataclass(frozen=True)
class Outcome:
    """What one test of one method on one case found.

    Parameters
    ----------
    rows
        Rows of `stabtest.findings.records`.
    pictures
        Pictures for the report. Those that all methods share (the truth, a detail) have the method "truth" and the same
        ``id`` in each outcome: keep one.
    witnesses
        Arrays worth keeping, under the names that the rows point to.
    evaluations
        Gradient evaluations spent.
    """

    rows: tuple[Record, ...]
    pictures: tuple[Picture, ...] = ()
    witnesses: dict[str, NDArray[np.generic]] = field(default_factory=lambda: {})
    evaluations: int = 0


def _check_one(values: Tensor, case: str, what: str) -> None:
    if len(values) != 1:
        raise DataError(f"case {case}: {what}", expected="one image, batch axis 1", came=str(tuple(values.shape)))
    if not bool(torch.isfinite(values).all()):
        raise DataError(f"case {case}: {what}", expected="finite numbers", came="NaN or infinity")
    if not bool(values.abs().max() > 0):
        raise DataError(f"case {case}: {what}", expected="something measured", came="zeros only")
