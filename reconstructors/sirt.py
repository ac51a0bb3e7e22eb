r"""SIRT: the simultaneous iterative reconstruction technique of tomography, with the weights of row and column sums.

P. Gilbert, *Iterative methods for the three-dimensional reconstruction of an object from projections*, J. Theor. Biol. 36, 1972; in
the form of J. Gregor, T. Benson, *Computational analysis and improvement of SIRT*, IEEE TMI 27(7), 2008. With ``R`` and ``C`` the
diagonal matrices of the inverse row and column sums of a matrix ``A`` without negative entries (0 where a sum is), from ``x_0 = 0``:

    x_k+1 = x_k + r C A* R (y - A x_k),        R = diag 1 / (A 1),    C = diag 1 / (A* 1),     0 < r < 2.

``||R^1/2 A C^1/2|| = 1`` (Perron and Frobenius, as ``C A* R A 1 = 1``), so that it converges for these ``r``, without an estimate
of a norm, to a least-squares solution in the norm ``||.||_R``; after ``K`` steps a component of singular value ``s`` of the weighted
matrix has come in by ``1 - (1 - r s^2)^K``. What regularises is stopping: that is why the number of steps is a setting of the method
and not a question of patience, and why this method, unlike total variation, does not report how far it is from its limit. Linear in ``y``
unless ``nonnegative``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest.errors import ConfigError, NetworkError
from stabtest.operators.base import LinearOperator
from stabtest.operators.fan_beam import FanBeam
from stabtest.operators.identity import Identity
from stabtest.operators.radon import Radon


@dataclass(frozen=True)
class Sirt:
    """SIRT, a callable ``(y, operator) -> image`` for CT.

    Parameters
    ----------
    iterations
        Steps.
    relaxation
        ``r``.
    nonnegative
        Set negative values to 0 after every step.

    Raises
    ------
    ConfigError
        If a setting is not one.

    Examples
    --------
    >>> A = Radon(8, 6)
    >>> x = torch.ones(1, 1, 8, 8)
    >>> torch.allclose(Sirt(iterations=1)(A(x), A), x)  # C A* R A 1 = 1
    True
    """

    iterations: int = 50
    relaxation: float = 1.0
    nonnegative: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ConfigError("sirt: iterations", expected="at least 1", came=str(self.iterations))
        if not 0 < self.relaxation < 2:
            raise ConfigError("sirt: relaxation", expected="a number between 0 and 2", came=str(self.relaxation))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``, real.

        Raises
        ------
        NetworkError
            If the operator is not known to have no negative entries.
        OperatorError
            If the measurements do not fit the operator.
        """
        rows, columns = inverse_sums(operator, like=y)
        columns = self.relaxation * columns
        x = columns * operator.adjoint(rows * y)
        for step in range(self.iterations):
            if step:
                x = x + columns * operator.adjoint(rows * (y - operator.forward(x)))
            if self.nonnegative:
                x = x.clamp_min(0)
        return x


def inverse_sums(operator: LinearOperator, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse row sums ``(1, *range)`` and column sums ``(1, *domain)``; 0 where the sum is.

    Parameters
    ----------
    operator
        `Radon`, `FanBeam` or `Identity` on real images: what is known to have no negative entries.
    like
        Gives precision and device.

    Raises
    ------
    NetworkError
        If it is another operator.

    Examples
    --------
    >>> rows, columns = inverse_sums(Identity((1, 2)), like=torch.zeros(1))
    >>> rows.flatten(), columns.flatten()
    (tensor([1., 1.]), tensor([1., 1.]))
    """
    if not isinstance(operator, Radon | FanBeam | Identity) or operator.domain.is_complex:
        raise NetworkError(
            "sirt: wrong kind of scan",
            expected="an operator without negative entries on real images (CT)",
            came=f"{type(operator).__name__}, on {'complex' if operator.domain.is_complex else 'real'} images",
        )
    sums = (
        operator.forward(operator.domain.zeros(dtype=like.dtype, device=like.device) + 1),
        operator.adjoint(operator.range.zeros(dtype=like.dtype, device=like.device) + 1),
    )
    # A bin at the border that a pixel touches by rounding alone would get a weight without bound.
    least = (1e-6 * float(each.max()) for each in sums)
    rows, columns = (torch.where(each > low, 1 / each, 0) for each, low in zip(sums, least, strict=True))
    return rows, columns
