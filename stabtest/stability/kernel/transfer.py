"""Detail transfer: recovering two images that the data barely tell apart costs stability, and this is how much.

Let ``f`` be any map from data to images, ``x`` and ``x'`` two images, ``y`` and ``y'`` two measurements. The triangle inequality,

    ||x - x'||  <=  ||x - f(y)|| + ||f(y) - f(y')|| + ||f(y') - x'||,

divided by ``||y - y'||`` gives for the Lipschitz constant ``L`` of ``f`` on any set that holds ``y`` and ``y'``

    L  >=  ||f(y) - f(y')|| / ||y - y'||  >=  (||x - x'|| - ||f(y) - x|| - ||f(y') - x'||) / ||y - y'||.            (1)

The middle is the observed *gain*; the right-hand side is the *bound*: it holds for every method that makes errors no larger than these, so it
is the price of accuracy, not a property of one network. With ``h = x' - x``:

- **noise-free**, ``y = A x``, ``y' = A x'``: the denominator is ``||A h||``. With both errors at most ``eta`` and ``||A h|| <= eps`` this is
  the bound ``(||x - x'|| - 2 eta) / eps`` of the local Lipschitz constant in N. M. Gottschling, V. Antun, A. C. Hansen, B. Adcock, *The
  troublesome kernel*, SIAM Review 67 (2025).
- **the same noise**, ``y = A x + e``, ``y' = y + A h``: nothing changes. (1) never used that ``y`` is ``A x``: a measured ``y`` with noise and
  model error serves as well, and this is what is searched here.
- **different noise**, ``||e - e'|| <= 2 eta``: the denominator is at most ``||A h|| + 2 eta``.
- **about the method's own image**: nor did (1) use that ``x`` is the truth. With ``x = f(y)`` the first error is zero, and the bound
  ``(||h|| - ||f(y + A h) - f(y) - h||) / ||A h||`` asks only whether a detail is *transferred* when it is added. It is the sharper one for a
  method whose error at the truth is larger than any detail of interest, where the bound about the truth cannot be positive.
- **a least distance**: with ``max(||y - y'||, least)`` as denominator it stays a lower bound (``L >= 0`` where the numerator is negative).

**The kernel-aware ceiling.** If what ``f`` shows in the null space does not depend on the data, ``P_N f = k``, the two errors are at least
``||k - P_N x||`` and ``||k - P_N x - P_N h||``, together at least ``||P_N h||``, and (1) gives for every such method, whatever the noise,

    bound  <=  (||h|| - ||P_N h||) / ||A h||  =  ||P_R h||^2 / ((||h|| + ||P_N h||) ||A h||)  =:  ceiling(h).       (2)

Linear minimum norm, zero-filling of one coil and filtered back-projection of parallel beams are of this kind (their images lie in the range
of ``A*``; not so what is weighted pixel by pixel afterwards, as with coil maps or in a fan beam), and ``ceiling(h)`` tends to 0 with the
measured part of ``h``. A bound above the ceiling therefore *proves* that the method fills the null space as a function of the data, and
how steeply. It does not say that it fills it wrongly: sparse recovery is above the ceiling too, and pays the same price. Whether it is wrong
is read from the errors, and from `stabtest.stability.kernel.claims`.

If ``A h = 0`` exactly, ``y' = y`` and the numerator is never positive: nobody recovers both. In floating point ``y'`` is rounded, so
the distances are those of the rounded measurements, in float64: (1) is then true of the program as it is. For (2) the image's own
rounding, a few units in the last place of its norm, is allowed for. Where ``P_N`` comes from conjugate gradients, ``||P_N h||`` is an upper
bound (see `projections`) and the ceiling an estimate from below: a bound within it is within the true one, a bound above it proves nothing, and
whether the method is kernel-aware is then left open.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Method
from stabtest.stability.kernel.errors import check_complete
from stabtest.stability.null_space import ITERATIONS, TOLERANCE, split


@dataclass(frozen=True, eq=False)
class TransferBound:
    """The bound of one pair of images.

    Parameters
    ----------
    bound
        Right-hand side of (1): ``L`` is at least this; often negative, and then says nothing.
    gain
        ``||f(y) - f(y')|| / ||y - y'||``, never below the bound.
    ceiling
        Right-hand side of (2); 0 for a detail of the null space.
    ceiling_residual
        Residual of the projection in it; 0 = exact.
    rounding
        What the rounding of the method's images can add to the bound.
    image_distance, data_distance
        ``||x - x'||`` and ``||y - y'||``.
    error, error_with
        ``||f(y) - x||`` and ``||f(y') - x'||``.
    detail
        The witness ``h``, ``(1, *domain)``.
    """

    bound: float
    gain: float
    ceiling: float
    ceiling_residual: float
    rounding: float
    image_distance: float
    data_distance: float
    error: float
    error_with: float
    detail: Tensor

    @property
    def kernel_aware(self) -> bool | None:
        """True: within the ceiling, nothing shows that the null space is filled from the data. False: it is. None: not decided."""
        if self.bound <= self.ceiling + self.rounding:
            return True
        return False if self.ceiling_residual == 0 else None


def transfer_bound(
    method: Method,
    operator: LinearOperator,
    measurement: Tensor,
    image: Tensor,
    detail: Tensor,
    *,
    least: float = 0.0,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> TransferBound:
    """Both sides of (1) and (2) for a given detail, from two evaluations of the method.

    Parameters
    ----------
    method
        ``f``.
    operator
        ``A``.
    measurement
        ``y``, ``(1, *operator.range.shape)``.
    image
        ``x``, ``(1, *operator.domain.shape)``: the truth, or any image (see the module).
    detail
        ``h``, of the image's shape.
    least
        Smallest denominator, unit of the measurement.
    iterations, tolerance
        Limits of conjugate gradients for the ceiling.

    Raises
    ------
    DataError
        If the detail is not seen at all and there is no least distance, or the method returns magnitudes.
    NetworkError
        If the method does not return a finite image of the right shape.
    OperatorError
        If a tensor does not fit the operator.

    Examples
    --------
    A method that has learnt to double what it measures of one pixel, and is right about it:

    >>> from stabtest.operators import Identity
    >>> A = Identity((2, 2))
    >>> right = Method("right", "under test", lambda y, A: y)
    >>> x, h = torch.ones(1, 1, 2, 2), torch.tensor([[[[0.5, 0.0], [0.0, 0.0]]]])
    >>> found = transfer_bound(right, A, x, x, h)
    >>> found.bound, found.gain, found.ceiling, found.kernel_aware
    (1.0, 1.0, 1.0, True)
    """
    double, data = operator.domain.dtype(torch.float64), operator.range.dtype(torch.float64)
    x, y = operator.domain.check(image, "image"), operator.range.check(measurement, "measurement")
    h = operator.domain.check(detail, "detail")
    seen = (y.to(data) + operator.forward(h.to(double))).to(y.dtype)
    apart = float(tensors.norm(seen.to(data) - y.to(data)))
    below = max(apart, least)
    if not below > 0:
        raise DataError(
            "detail transfer",
            expected="a detail that the data see, however little",
            came="A h = 0 up to rounding",
            remedy="give a least distance; no method recovers both images of such a pair",
        )
    plain, with_detail = method(y, operator), method(seen, operator)
    check_complete(operator, plain)
    f, g = plain.to(double), with_detail.to(double)
    other = x.to(double) + h.to(double)
    size, error, error_with = (float(tensors.norm(a)) for a in (h.to(double), f - x.to(double), g - other))
    eps = torch.finfo(plain.dtype).eps
    parts = split(operator, h.to(double), iterations=iterations, tolerance=tolerance)
    measured, null = float(tensors.norm(parts.measured)), float(tensors.norm(parts.null))
    return TransferBound(
        bound=(size - error - error_with) / below,
        gain=float(tensors.norm(g - f)) / below,
        ceiling=measured**2 / ((size + null) * below) if size > 0 else 0.0,
        ceiling_residual=float(parts.residual),
        rounding=32 * eps * (float(tensors.norm(f)) + float(tensors.norm(g)) + float(tensors.norm(other))) / below,
        image_distance=size,
        data_distance=apart,
        error=error,
        error_with=error_with,
        detail=h,
    )
