"""Where the error of a reconstruction lies: in what was measured, or in what the scanner could not see.

With the projections of `stabtest.stability.null_space` and the error ``r = f(y) - x``,

    ||r||^2 = ||P_R r||^2 + ||P_N r||^2:

the first part contradicts the data or is their noise, the second is the method's prior alone. Where the projection is by conjugate
gradients, the parts are orthogonal up to where these stopped: the null part is an upper bound, the measured one a lower. What the image
shows in the null space is told from the truth's by its projection onto it,

    c = Re <P_N x, P_N f(y)> / ||P_N x||^2,        invented = P_N f(y) - c P_N x,

so that ``c = 1`` with nothing invented is a perfect guess, ``c = 0`` with nothing invented an honest blank (minimum norm, zero-filling), and the
invented part structure that is neither in the data nor in the object.

**Data consistency** ``||A f(y) - y|| / ||y||`` is held against the noise, whose norm is expected to be ``noise_std sqrt(m)`` for ``m`` measured
samples. An image far above it contradicts the data; an image far below has fitted the noise. An image at the noise level may
still be wrong everywhere in the null space, which is the point of this room (Gottschling et al., *The troublesome kernel*, SIAM Review 67 (2025);
Bhadra et al., IEEE TMI 40 (2021) 3249-3260).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import LinearOperator
from stabtest.stability.null_space import ITERATIONS, TOLERANCE, split


@dataclass(frozen=True)
class KernelErrors:
    """The error of one image in its parts; norms are relative to ``||x||`` unless said otherwise.

    Parameters
    ----------
    total, measured, null
        ``||r||``, ``||P_R r||`` and ``||P_N r||``.
    truth_null
        ``||P_N x||``: what there was to be invisible.
    null_recovery
        ``c``; None where the truth has nothing in the null space.
    null_invented
        ``||P_N f(y) - c P_N x||``.
    data_consistency
        ``||A f(y) - y|| / ||y||``.
    noise_level
        ``noise_std sqrt(m) / ||y||``; None where the noise is not known.
    residual, iterations
        Largest of the projections'.
    """

    total: float
    measured: float
    null: float
    truth_null: float
    null_recovery: float | None
    null_invented: float
    data_consistency: float
    noise_level: float | None
    residual: float
    iterations: int

    @property
    def null_share(self) -> float:
        """``||P_N r||^2 / ||r||^2``, the share of the error's energy that the data could not contradict; 0 without error."""
        return min(1.0, (self.null / self.total) ** 2) if self.total > 0 else 0.0


def kernel_errors(
    operator: LinearOperator,
    reconstruction: Tensor,
    truth: Tensor,
    measurement: Tensor,
    *,
    noise_std: float | None = None,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> KernelErrors:
    """Errors of one reconstruction in the measured part and in the null space.

    Parameters
    ----------
    operator
        ``A``.
    reconstruction, truth
        ``f(y)`` and ``x``, ``(1, *operator.domain.shape)``, complex in MRI.
    measurement
        ``y``, ``(1, *operator.range.shape)``.
    noise_std
        Of one sample, as `stabtest.stability.cases.Case` defines it; None, zero or not finite = not known.
    iterations, tolerance
        Limits of conjugate gradients.

    Raises
    ------
    DataError
        If the truth or the measurement is zero, or the reconstruction is a magnitude of complex images.
    OperatorError
        If a tensor does not fit the operator.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> mask = torch.zeros(8, 8, dtype=torch.bool)
    >>> mask[:, :4] = True
    >>> x = torch.zeros(1, 1, 8, 8, dtype=torch.complex128)
    >>> x[..., 4, 4] = 1
    >>> A = Fourier(mask)
    >>> found = kernel_errors(A, A.pseudo_inverse(A(x)), x, A(x))
    >>> round(found.null ** 2, 6), round(found.measured, 6), round(found.data_consistency, 6), round(found.null_recovery, 6)
    (0.5, 0.0, 0.0, 0.0)
    """
    check_complete(operator, reconstruction)
    x = operator.domain.check(truth, "truth").to(operator.domain.dtype(torch.float64))
    f = operator.domain.check(reconstruction, "reconstruction").to(x.dtype)
    y = operator.range.check(measurement, "measurement").to(operator.range.dtype(torch.float64))
    size, length = float(tensors.norm(x)), float(tensors.norm(y))
    if not (size > 0 and length > 0):
        raise DataError("errors in the null space", expected="truth and measurement that are not zero", came="zeros")
    # Independent problems; the error is its own, so that stopping early overstates its null part and never its measured one.
    parts = split(operator, torch.cat([x, f, f - x]), iterations=iterations, tolerance=tolerance)
    null_x, null_f = parts.null[:1], parts.null[1:2]
    energy = float(tensors.inner(null_x, null_x))
    # Below rounding, the direction of P_N x is arbitrary and its coefficient no number.
    recovery = float(tensors.inner(null_x, null_f)) / energy if math.sqrt(energy) > 1e-10 * size else None
    return KernelErrors(
        total=float(tensors.norm(f - x)) / size,
        measured=float(tensors.norm(parts.measured[2:])) / size,
        null=float(tensors.norm(parts.null[2:])) / size,
        truth_null=math.sqrt(energy) / size,
        null_recovery=recovery,
        null_invented=float(tensors.norm(null_f - (recovery or 0.0) * null_x)) / size,
        data_consistency=float(tensors.norm(operator.forward(f) - y)) / length,
        noise_level=None if (noise := noise_norm(operator, noise_std)) is None else noise / length,
        residual=float(parts.residual.max()),
        iterations=parts.iterations,
    )


def noise_norm(operator: LinearOperator, noise_std: float | None) -> float | None:
    """``noise_std sqrt(m)``, the root mean square norm of the noise of ``m`` measured samples; None where it is not known.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> noise_norm(Identity((4, 4)), 0.5), noise_norm(Identity((4, 4)), None)
    (2.0, None)
    """
    if noise_std is None or not 0 < noise_std < math.inf:
        return None
    ones = torch.ones_like(operator.range.zeros(dtype=torch.float64))
    return noise_std * float(tensors.norm(operator.restrict(ones)))


def check_complete(operator: LinearOperator, reconstruction: Tensor) -> None:
    """Raise `DataError` for magnitudes of complex images: without a phase they have no part in the null space, nor any data."""
    if operator.domain.is_complex and not reconstruction.is_complex():
        raise DataError(
            "null space",
            expected="complex images",
            came="magnitudes",
            remedy="give the method's complex image; a magnitude cannot be compared with the data",
        )
