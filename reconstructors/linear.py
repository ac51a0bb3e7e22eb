"""Direct linear reconstructions: the operator's own pseudo-inverse.

Zero-filling for Fourier measurements (``F* M y``), filtered back-projection for Radon measurements.
"""

from __future__ import annotations

from torch import Tensor

from stabtest.operators.base import LinearOperator


def zero_filled(y: Tensor, operator: LinearOperator) -> Tensor:
    """Inverse Fourier transform of the measured samples, zeros elsewhere.

    Parameters
    ----------
    y
        k-space ``(B, C, H, W)``, complex.
    operator
        The forward model.

    Returns
    -------
    Tensor
        Image ``(B, 1, H, W)``.
    """
    return operator.pseudo_inverse(y)


def fbp(y: Tensor, operator: LinearOperator) -> Tensor:
    """Filtered back-projection with the operator's default window.

    Parameters
    ----------
    y
        Sinogram ``(B, 1, angles, detectors)``, real.
    operator
        The forward model.

    Returns
    -------
    Tensor
        Image ``(B, 1, H, W)``.
    """
    return operator.pseudo_inverse(y)
