"""The direct linear reconstruction: the operator's own pseudo-inverse.

Zero-filling for Fourier measurements (``F* M y``), gridding for non-Cartesian ones (the density-compensated adjoint), filtered
back-projection for Radon measurements.
"""

from __future__ import annotations

from torch import Tensor

from stabtest.operators.base import LinearOperator


def direct(y: Tensor, operator: LinearOperator) -> Tensor:
    """What the data alone give, without any prior.

    Parameters
    ----------
    y
        Measurements ``(B, *range)``.
    operator
        The forward model; its window decides how filtered back-projection filters.

    Returns
    -------
    Tensor
        Image ``(B, 1, H, W)``.

    Raises
    ------
    OperatorError
        If the measurements do not fit the operator.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> direct(torch.ones(1, 1, 2, 2), Identity((2, 2))).sum()
    tensor(4.)
    """
    return operator.pseudo_inverse(y)
