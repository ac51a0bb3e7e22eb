"""Does the method follow the object? Its error under a shift, and how far it is from commuting with it.

For a shift ``T`` with ``y' = A T x + n`` beside ``y = A x + n`` (the same noise):

    error without   ||f(y)  - x||   / ||x||
    error with      ||f(y') - T x|| / ||T x||                              the change between the two is paired
    defect          ||f(y') - T f(y)|| / ||f(y)||

The last is the *equivariance defect*. Where the scan does not commute with ``T`` (undersampling is at home in one orientation;
noise does not turn with the patient) no method has a defect of zero. So the same figures of the direct linear reconstruction
stand beside, and only what exceeds them belongs to the method. Of errors of the scan ``T`` is the identity (the receiver's gain
excepted), and the defect is the relative change of the image.

Resampling alone changes the object: bicubic interpolation smooths it, and a smoother object is easier. What the kernel does is
the change of the error for ``T^-1 T x``, which lies where ``x`` lies.

Source of equivariance as a property of reconstruction: Chen, Tachella, Davies, *Equivariant imaging: learning beyond the range
space*, ICCV 2021; Celledoni, Ehrhardt, Etmann, Owren, Schönlieb, Sherry, *Equivariant neural networks for inverse problems*,
Inverse Problems 37 (2021) 085006.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stabtest import metrics, tensors
from stabtest.networks.magnitude import Magnitude, comparable
from stabtest.operators.base import LinearOperator
from stabtest.stability.cases import Case, Method
from stabtest.stability.shift.scene import Scene
from stabtest.stability.shift.shifted import Shift, Shifted


@dataclass(frozen=True)
class Comparison:
    """One method with and without one shift.

    Parameters
    ----------
    without, under
        NRMSE of the case as it is, and under the shift; None where there is no truth.
    defect
        ``||f(y') - T f(y)|| / ||f(y)||``; None where the shift is no map of images.
    resampled
        NRMSE for the object resampled there and back; None where nothing is resampled.
    """

    without: float | None
    under: float | None
    defect: float | None
    resampled: float | None

    @property
    def change(self) -> float | None:
        """``under - without``: positive where the shift makes the image poorer."""
        return None if self.without is None or self.under is None else self.under - self.without

    @property
    def resampling_change(self) -> float | None:
        """``resampled - without``: what the resampling kernel alone does."""
        return None if self.without is None or self.resampled is None else self.resampled - self.without


def direct(y: Tensor, operator: LinearOperator) -> Tensor:
    """The linear reference: the operator's pseudo-inverse."""
    return operator.pseudo_inverse(y)


def linear_reference(case: Case, reconstruction: Tensor) -> Method:
    """The direct linear reconstruction of a case, as magnitudes where the method beside it returns magnitudes.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Fourier
    >>> A = Fourier(torch.ones(4, 4, dtype=torch.bool))
    >>> case = Case("a", "a", "mri", A, A(torch.full((1, 1, 4, 4), 1j)))
    >>> linear_reference(case, torch.ones(1, 1, 4, 4))(case.measurement, A).is_complex()
    False
    """
    magnitudes = case.operator.domain.is_complex and not reconstruction.is_complex()
    return Method("linear", "baseline", Magnitude(direct) if magnitudes else direct)


def compare(method: Method, case: Case, shifted: Shifted, *, clean: Tensor | None = None) -> Comparison:
    """Errors with and without a shift, and the equivariance defect.

    Parameters
    ----------
    method, case
        What reconstructs, and the case as it is.
    shifted
        What a `Shift` made of the case.
    clean
        ``f(y)`` if it is known already.

    Raises
    ------
    NetworkError
        If the method does not return a finite image of the right shape.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> from stabtest.stability.shift import ObjectShift
    >>> image = torch.ones(1, 1, 8, 8)
    >>> case = Case("a", "a", "other", Identity((8, 8)), image, truth=image)
    >>> absolute = Method("net", "under test", lambda y, A: y.clamp_max(1.0))
    >>> found = compare(absolute, case, ObjectShift("intensity", 1.0).apply(case))
    >>> found.without, found.under, found.defect
    (0.0, 0.5, 1.0)
    """
    clean = method(case.measurement, case.operator) if clean is None else clean
    image = method(shifted.measurement, shifted.operator)
    resampled = None
    if shifted.resampled is not None:
        again, there_and_back = shifted.resampled
        resampled = _error(method(again, case.operator), there_and_back)
    defect = None
    if shifted.expected is not None:
        defect = float(tensors.norm(image - shifted.expected(clean)) / tensors.norm(clean))
    return Comparison(_error(clean, case.truth), _error(image, shifted.truth), defect, resampled)


def equivariance(method: Method, case: Case | Scene, shift: Shift, *, seed: int = 0) -> tuple[Comparison, Comparison]:
    """A method under a shift, and the direct linear reconstruction under the same.

    Parameters
    ----------
    method, case, shift
        What reconstructs, what (a case, or a scene with its finer object), and what is shifted.
    seed
        Of what the shift draws.

    Returns
    -------
    tuple of Comparison
        Of the method, and of the linear reference.

    Raises
    ------
    DataError
        If the case cannot have this shift.
    NetworkError
        If the method does not return a finite image of the right shape.
    """
    shifted = shift.apply(case, seed=seed)
    case = Scene.of(case).case
    clean = method(case.measurement, case.operator)
    return compare(method, case, shifted, clean=clean), compare(linear_reference(case, clean), case, shifted)


def _error(image: Tensor, truth: Tensor | None) -> float | None:
    return None if truth is None else float(metrics.nrmse(image, comparable(truth, image)))
