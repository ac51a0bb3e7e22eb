"""Which part of an image the scanner cannot see: the share of its norm in the null space of the forward model.

With ``P_N = I - A^+ A`` the orthogonal projection onto the null space, the share is ``||P_N h|| / ||h||``. For single-coil
Cartesian MRI ``A = M F`` has ``A^+ = A*``, and ``P_N h = h - A* A h`` exactly. Otherwise ``z = A^+ A h`` is found by
conjugate gradients on ``A* A z = A* A h`` from ``z = 0``. The iterates stay in the range of ``A*`` and approach ``z``
monotonically (Hestenes, Stiefel, 1952), so that ``||h - z_k||`` falls towards ``||P_N h||``: stopped early, the share is an
*upper* bound of the true one. It is given with the residual at which it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import Fourier, LinearOperator
from stabtest.operators.solvers import conjugate_gradient


@dataclass(frozen=True)
class NullSpaceShare:
    """The invisible part of an image.

    Parameters
    ----------
    share
        ``||P_N h|| / ||h||``, between 0 and 1; an upper bound where ``residual`` is not 0.
    residual
        Relative residual of the normal equations at which the projection stopped; 0 = exact.
    iterations
        Of conjugate gradients.
    """

    share: float
    residual: float
    iterations: int


def null_space_share(
    operator: LinearOperator, image: Tensor, *, iterations: int = 30, tolerance: float = 1e-3
) -> NullSpaceShare:
    """Share of one image that the operator does not see.

    Parameters
    ----------
    operator
        ``A``.
    image
        ``h``, shape ``(1, *operator.domain.shape)``, not zero.
    iterations, tolerance
        Limits of conjugate gradients.

    Returns
    -------
    NullSpaceShare
        Exact for `Fourier`.

    Raises
    ------
    DataError
        If the image is zero.
    OperatorError
        If it does not fit the operator.

    Examples
    --------
    >>> import torch
    >>> mask = torch.zeros(8, 8, dtype=torch.bool)
    >>> mask[:, :4] = True
    >>> delta = torch.zeros(1, 1, 8, 8, dtype=torch.complex128)
    >>> delta[..., 4, 4] = 1
    >>> round(null_space_share(Fourier(mask), delta).share ** 2, 6)
    0.5
    """
    size = float(tensors.norm(image))
    if not size > 0:
        raise DataError("null-space share", expected="an image that is not zero", came="zeros")
    seen = operator.adjoint(operator.forward(image))
    if isinstance(operator, Fourier):
        return NullSpaceShare(float(tensors.norm(image - seen)) / size, 0.0, 0)
    if not bool(tensors.norm(seen) > 0):
        return NullSpaceShare(1.0, 0.0, 0)
    solution = conjugate_gradient(operator, seen, iterations=iterations, tol=tolerance)
    share = float(tensors.norm(image - solution.x)) / size
    return NullSpaceShare(min(1.0, share), float(solution.residual), solution.iterations)
